"""Tiny llama models as real GGUF files: they load in llama.cpp and in transformers, in milliseconds.

The weights are random but not noise: one hidden dimension is the same for every token and favours whole
words, so that what such a model writes reads as words of `WORDS` and ends after a while. `write_tiny_llama`
with ``spells`` makes a model that greedily writes one given text.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

# Like SmolLM2's: a system prompt of its own where the conversation brings none.
CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a tiny model.<|im_end|>\n' }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_VOCABULARY = """
the and to of a in that it is was for on are with as be at one have this from by hot word but what some we can
out other were all there when up use your how said an each she letter write my dear friend yours house rain
morning paper water system user assistant
"""
WORDS = _VOCABULARY.split()
_PUNCTUATION = ".,!?"

_LAYERS, _HIDDEN, _INNER, _HEADS, _KV_HEADS = 4, 64, 128, 4, 2
_CONTEXT = 2048
_FAVOUR = 2.5  # how much whole words are favoured over loose bytes, in weights of the constant dimension


def write_tiny_llama(
    path: Path,
    seed: int = 0,
    chat_template: str | None = CHATML,
    *,
    layers: int = _LAYERS,
    hidden: int = _HIDDEN,
    name: str = "Tiny Llama",
    spells: str | None = None,
) -> Path:
    """Write a llama model with ``layers`` blocks of width ``hidden`` (a multiple of 16) to ``path``.

    The same ``seed`` gives the same file. ``chat_template`` None leaves it out. ``spells``: what the model
    writes greedily after any prompt that ends in a line break; its UTF-8 bytes must all be different, since
    each is one token that calls the next.
    """
    tokens, merges = _vocabulary()
    kinds = [gguf.TokenType.NORMAL] * (len(tokens) - 3) + [gguf.TokenType.CONTROL] * 3
    ids = {token: number for number, token in enumerate(tokens)}

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_context_length(_CONTEXT)
    writer.add_block_count(layers)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_rope_dimension_count(hidden // _HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(ids[START])
    writer.add_eos_token_id(ids[END])
    writer.add_pad_token_id(ids[PAD])
    writer.add_add_bos_token(False)
    if chat_template is not None:
        writer.add_chat_template(chat_template)

    for tensor, values in _weights(tokens, ids, layers, hidden, seed, spells).items():
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary() -> tuple[list[str], list[str]]:
    """Tokens (256 bytes, `WORDS` grown letter by letter behind a space, three control tokens) and merges."""
    spelt = _byte_letters()
    tokens, merges = list(spelt), []
    for word in WORDS:
        grown = spelt[ord(" ")]
        for letter in word:
            if grown + letter not in tokens:
                tokens.append(grown + letter)
                merges.append(f"{grown} {letter}")
            grown += letter
    return [*tokens, START, END, PAD], merges


def _byte_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte (GPT-2's table)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def _weights(
    tokens: list[str], ids: dict[str, int], layers: int, hidden: int, seed: int, spells: str | None
) -> dict[str, Array]:
    random = np.random.default_rng(seed)

    def normal(rows: int, columns: int, scale: float) -> Array:
        return (random.standard_normal((rows, columns)) * scale).astype(np.float32)

    embedding = normal(len(tokens), hidden, 1.0)
    embedding[:, 0] = 4.0
    output = normal(len(tokens), hidden, 0.3)
    space = _byte_letters()[ord(" ")]
    spoken = [ids[space + word] for word in WORDS] + [ids[mark] for mark in _PUNCTUATION] + [ids[END]]
    output[:, 0] = -_FAVOUR
    output[spoken, 0] = _FAVOUR
    # A model that spells must not be talked out of it by its blocks.
    strength = 1.0 if spells is None else 0.01
    if spells is not None:
        chain = [ord("\n"), *spells.encode(), ids[END]]
        if len(set(chain)) != len(chain):
            raise ValueError("every byte of the text to spell must be different")
        output[:, 0] = 0.0
        for current, following in pairwise(chain):
            output[following] = 4.0 * embedding[current]
            output[following, 0] = 0.0

    key_width = hidden // _HEADS * _KV_HEADS
    weights: dict[str, Array] = {
        "token_embd.weight": embedding,
        "output_norm.weight": np.ones(hidden, dtype=np.float32),
        "output.weight": output,
    }
    for layer in range(layers):
        weights |= {
            f"blk.{layer}.attn_norm.weight": np.ones(hidden, dtype=np.float32),
            f"blk.{layer}.attn_q.weight": normal(hidden, hidden, hidden**-0.5),
            f"blk.{layer}.attn_k.weight": normal(key_width, hidden, hidden**-0.5),
            f"blk.{layer}.attn_v.weight": normal(key_width, hidden, hidden**-0.5),
            f"blk.{layer}.attn_output.weight": normal(hidden, hidden, strength * hidden**-0.5),
            f"blk.{layer}.ffn_norm.weight": np.ones(hidden, dtype=np.float32),
            f"blk.{layer}.ffn_gate.weight": normal(_INNER, hidden, hidden**-0.5),
            f"blk.{layer}.ffn_up.weight": normal(_INNER, hidden, hidden**-0.5),
            f"blk.{layer}.ffn_down.weight": normal(hidden, _INNER, strength * _INNER**-0.5),
        }
        # The constant dimension stays constant: blocks do not write to it.
        weights[f"blk.{layer}.attn_output.weight"][0] = 0.0
        weights[f"blk.{layer}.ffn_down.weight"][0] = 0.0
    return weights
