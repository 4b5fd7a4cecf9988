"""Rotary position embeddings as the GGUF file has them, where the reader of the full-precision model passes over them.

Goes in: a model read by transformers, and the file. Comes out: the same model with the file's frequencies.

transformers takes the base of the frequencies from a GGUF and nothing else. Models stretched to long contexts carry
more: a divisor for every frequency (Llama 3.1 and later: ``rope_freqs``; Phi-3 128k and Phi-4 mini: one set for short
contexts and one for long), a common divisor (linear scaling; Gemma 3 from 4B on, in its blocks without a window), a
factor on the attention (Phi-3), and how many dimensions of a head turn at all (Phi-4 mini). With them, as llama.cpp
turns dimension pair i of a head at position p (arXiv 2104.09864):

    angle = p / (base^(2i / dimensions) · divisor_i · factor)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

# The set of divisors for long contexts is in force from the original length on (4,096 tokens and more), the one for
# short contexts below; neither learning nor writing goes beyond that.
_DIVISORS = ("rope_freqs.weight", "rope_factors_short.weight")
_KNOWN = ("none", "linear", "longrope")


class UnknownScalingError(ValueError):
    """The file scales its positions in a way that is not known here."""


def follow_file(model: Any, path: Path) -> None:
    """Give ``model``, as transformers read it from the GGUF ``path``, the file's own frequencies, in place.

    Raises UnknownScalingError, saying which scaling it is, where they cannot be followed.
    """
    from gguf import GGUFReader

    reader = GGUFReader(path)
    architecture = str(reader.fields["general.architecture"].contents())
    keys = {
        name.removeprefix(f"{architecture}.rope."): field.contents()
        for name, field in reader.fields.items()
        if name.startswith(f"{architecture}.rope.")
    }
    divisors = [each for each in reader.tensors if each.name in _DIVISORS]
    by_pair = torch.from_numpy(np.array(divisors[0].data, np.float32)) if divisors else None
    scaling = str(keys.get("scaling.type", "none"))
    if scaling not in _KNOWN:
        raise UnknownScalingError(f"it scales positions by “{scaling}”, which is not known here")
    rotary = model.model.rotary_emb
    factor = float(keys.get("scaling.factor") or 1.0) if scaling == "linear" else 1.0
    if hasattr(rotary, "inv_freq"):
        _turn(rotary, "inv_freq", _frequencies(rotary.inv_freq, keys, by_pair) / factor)
        rotary.attention_scaling *= float(keys.get("scaling.attn_factor", 1.0))
    elif factor != 1.0:
        _turn(rotary, "full_attention_inv_freq", rotary.full_attention_inv_freq / factor)


def _frequencies(known: Tensor, keys: Mapping[str, Any], by_pair: Tensor | None) -> Tensor:
    pairs = int(keys.get("dimension_count", 2 * len(known))) // 2
    if pairs != len(known):
        known = float(keys.get("freq_base", 10_000.0)) ** -(torch.arange(pairs) / pairs)
    return known if by_pair is None else known / by_pair


def _turn(rotary: Any, name: str, frequencies: Tensor) -> None:
    """Set ``name``, and the copy that transformers goes back to."""
    prefix = name.removesuffix("inv_freq")
    setattr(rotary, name, frequencies)
    setattr(rotary, f"{prefix}original_inv_freq", frequencies.clone())
