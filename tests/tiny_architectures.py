"""Tiny random models of several architectures as real GGUF files, as llama.cpp's converter would write them.

They are for comparing the full-precision model with llama.cpp number by number: nothing in them is at a value that
would hide a difference. Norms are not one, attention is sharp enough for its soft cap to bend it, and windows of
attention are shorter than the texts. See `tests.tiny_models` for models that write words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

HIDDEN = 64
# All that `write_tiny` knows of the vocabulary of a SentencePiece model: three control tokens and the bytes.
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
_KINDS = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]

_INNER, _HEADS, _KV_HEADS = 128, 4, 2
_WINDOW = 16  # in tokens, where the architecture has windows


@dataclass(frozen=True)
class Shape:
    """What is particular about the blocks of an architecture."""

    layers: int = 4
    head_width: int = 16
    fused: bool = False  # query, key and value are one matrix, gate and up another
    query_biases: bool = False  # and those of key and value
    head_norms: bool = False  # of every head's query and key
    output_norms: bool = False  # of what attention and MLP add to the hidden state
    tied: bool = False  # the embedding is the output matrix as well
    windows: bool = False  # some blocks look back a few tokens only
    caps: bool = False  # attention scores and logits are soft-capped
    sharpness: float = 1.0  # of attention: about the standard deviation of its scores
    architecture: str = ""  # where it goes by another name here
    turned: int = 0  # dimensions of a head that turn with the position; all of them where it is 0
    divisors: tuple[
        str, ...
    ] = ()  # tensors of divisors for the frequencies, one for every pair of dimensions
    attention_factor: float = 1.0  # of stretched positions
    scaling: tuple[str, float] = ("", 1.0)  # how positions are stretched, and by how much


# Gemma's heads are as wide as the real ones: the GGUF does not say how scores are scaled, and both readers assume
# the real width. Every sixth block of gemma3 has no window, so there are as many.
SHAPES = {
    "llama": Shape(),
    "phi3": Shape(fused=True),
    "qwen2": Shape(query_biases=True),
    "qwen3": Shape(head_width=128, head_norms=True),
    "gemma": Shape(head_width=256, tied=True),
    "gemma2": Shape(head_width=256, output_norms=True, tied=True, windows=True, caps=True, sharpness=8.0),
    "gemma3": Shape(layers=6, head_width=256, head_norms=True, output_norms=True, tied=True, windows=True),
    # Stretched to long contexts, each in its own way: Llama 3.1, Phi-4 mini, a linear one, and Gemma 3 from 4B on.
    "llama 3.1": Shape(architecture="llama", divisors=("rope_freqs",)),
    "phi 4": Shape(
        architecture="phi3",
        fused=True,
        turned=12,
        divisors=("rope_factors_long", "rope_factors_short"),
        attention_factor=1.19,
    ),
    "llama, linear": Shape(architecture="llama", scaling=("linear", 4.0)),
    "gemma 3 4B": Shape(
        architecture="gemma3",
        layers=6,
        head_width=256,
        head_norms=True,
        output_norms=True,
        tied=True,
        windows=True,
        scaling=("linear", 8.0),
    ),
}


def write_tiny(
    path: Path,
    architecture: str,
    seed: int = 0,
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
) -> Path:
    """Write a model of ``architecture``, one of `SHAPES`, to ``path``; the same ``seed`` gives the same numbers.

    ``kind``: how matrices are stored. Norms and biases stay float32, as in any file.
    """
    shape = SHAPES[architecture]
    writer = gguf.GGUFWriter(path, shape.architecture or architecture)
    # Not the architecture's name: llama.cpp expects certain tokens in a model that is called phi3.
    writer.add_name("Tiny")
    writer.add_context_length(2048)
    writer.add_block_count(shape.layers)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_dimension_count(shape.turned or shape.head_width)
    writer.add_rope_freq_base(20_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    if shape.attention_factor != 1.0:
        writer.add_rope_scaling_attn_factors(shape.attention_factor)
    if shape.scaling[0]:
        writer.add_rope_scaling_type(gguf.RopeScalingType(shape.scaling[0]))
        writer.add_rope_scaling_factor(shape.scaling[1])
    if shape.windows:
        writer.add_sliding_window(_WINDOW)
    if shape.caps:
        writer.add_attn_logit_softcapping(50.0)
        writer.add_final_logit_softcapping(30.0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types(_KINDS)
    writer.add_bos_token_id(TOKENS.index("<s>"))
    writer.add_eos_token_id(TOKENS.index("</s>"))
    # Without one, transformers takes the real model's, which this vocabulary does not reach.
    writer.add_pad_token_id(TOKENS.index("<unk>"))
    for name, values in _weights(shape, seed):
        stored = kind if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _weights(shape: Shape, seed: int) -> Iterator[tuple[str, Array]]:
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, gain: float = 1.0) -> Array:
        """Makes ``rows`` numbers of about ``gain`` out of ``columns`` numbers of about 1."""
        made: Array = (random.standard_normal((rows, columns)) * gain * columns**-0.5).astype(np.float32)
        return made

    def around(middle: float, width: int) -> Array:
        return (middle + 0.3 * random.standard_normal(width)).astype(np.float32)

    queries, keys = _HEADS * shape.head_width, _KV_HEADS * shape.head_width
    yield "token_embd.weight", matrix(len(TOKENS), HIDDEN, gain=2.0)
    yield "output_norm.weight", around(1.0, HIDDEN)
    for place, name in enumerate(shape.divisors):
        pairs = (shape.turned or shape.head_width) // 2
        yield f"{name}.weight", np.linspace(1.0, 8.0 / (1 + place), pairs, dtype=np.float32)
    if not shape.tied:
        yield "output.weight", matrix(len(TOKENS), HIDDEN, gain=2.0)
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        parts = {
            "attn_q": matrix(queries, HIDDEN, shape.sharpness),
            "attn_k": matrix(keys, HIDDEN),
            "attn_v": matrix(keys, HIDDEN),
            "attn_output": matrix(HIDDEN, queries),
            "ffn_gate": matrix(_INNER, HIDDEN),
            "ffn_up": matrix(_INNER, HIDDEN),
            "ffn_down": matrix(HIDDEN, _INNER),
        }
        if shape.fused:
            parts["attn_qkv"] = np.concatenate([parts.pop(f"attn_{name}") for name in "qkv"])
            parts["ffn_up"] = np.concatenate([parts.pop("ffn_gate"), parts["ffn_up"]])
        for name, values in parts.items():
            yield f"{block}{name}.weight", values
        if shape.query_biases:
            for name, width in (("attn_q", queries), ("attn_k", keys), ("attn_v", keys)):
                yield f"{block}{name}.bias", around(0.0, width)
        norms = {"attn_norm": HIDDEN, "ffn_norm": HIDDEN}
        if shape.head_norms:
            norms |= {"attn_q_norm": shape.head_width, "attn_k_norm": shape.head_width}
        if shape.output_norms:
            norms |= {"post_attention_norm": HIDDEN, "post_ffw_norm": HIDDEN}
        for name, width in norms.items():
            yield f"{block}{name}.weight", around(1.0, width)
