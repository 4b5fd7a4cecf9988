"""The adapter file: one reader, one writer, exact round trip.

An adapter is a low-rank edit of the MLP output, W ← W + B·A for the matrix W ``blk.N.ffn_down.weight``
(hidden × inner) of each edited block N, counted from 0. The paper's projection edit is one of rank 2:
A = [θpᵀW ; θnᵀW], B = [θp − θn·(θn·θp), −θn]; a tuned one may have any rank.

The file is what llama.cpp calls a LoRA: GGUF with ``general.type = "adapter"``, ``adapter.type = "lora"``,
``general.architecture`` (the model's) and two float32 tensors a block, ``blk.N.ffn_down.weight.lora_a``
(rank, inner) and ``.lora_b`` (hidden, rank). llama.cpp multiplies B·A by ``adapter.lora.alpha`` / rank; alpha is the
rank here, so the edit is B·A itself. Any llama.cpp build loads the file with ``--lora``.

llama.cpp loads the file itself, so nothing but this is let through to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.container import (
    Contents,
    Provenance,
    Vector,
    VoiceFileError,
    damaged,
    read_contents,
    write_contents,
)

# What a voice's file of this kind is called.
ADAPTER_FILE = "adapter.gguf"

_TENSOR = re.compile(r"blk\.(0|[1-9][0-9]{0,3})\.ffn_down\.weight\.lora_([ab])")
_TEXTS = {"general.type": "adapter", "adapter.type": "lora"}
_ALPHA = "adapter.lora.alpha"
# Rank 32 on 80 blocks of 8,192 and 28,672 values, with room.
_LARGEST_FILE = 384 * 1024 * 1024


@dataclass(frozen=True)
class LowRankEdit:
    """Edits of ``ffn_down`` by block number: ``layers[n]`` is A (rank, inner) and B (hidden, rank), float32, n >= 0.

    Raises ValueError for what is no edit: the shapes are the same in all blocks, the numbers finite.
    """

    architecture: str
    layers: Mapping[int, tuple[Vector, Vector]]
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("an edit needs at least one layer")
        if min(self.layers) < 0:
            raise ValueError("layers start at 0")
        for a, b in self.layers.values():
            if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
                raise ValueError(f"A is (rank, inner) and B (hidden, rank), not {a.shape} and {b.shape}")
            if not (a.size and b.size and np.isfinite(a).all() and np.isfinite(b).all()):
                raise ValueError("every number of an edit is finite, and there are some")
        if len({(a.shape, b.shape) for a, b in self.layers.values()}) != 1:
            raise ValueError("all layers of an edit have the same rank, inner size and hidden size")

    @property
    def rank(self) -> int:
        """Rank of B·A."""
        return int(self._first[0].shape[0])

    @property
    def inner_size(self) -> int:
        """Width of the MLP of the model."""
        return int(self._first[0].shape[1])

    @property
    def hidden_size(self) -> int:
        """Width of the model between the blocks."""
        return int(self._first[1].shape[0])

    @property
    def last_layer(self) -> int:
        """The number of the last block that is edited."""
        return max(self.layers)

    @property
    def _first(self) -> tuple[Vector, Vector]:
        return next(iter(self.layers.values()))


def write_low_rank_edit(path: Path, edit: LowRankEdit) -> None:
    """Write ``edit`` to ``path``, beside it first and then moved into place."""
    tensors: dict[str, Vector] = {}
    for layer in sorted(edit.layers):
        a, b = edit.layers[layer]
        tensors[f"blk.{layer}.ffn_down.weight.lora_a"] = a
        tensors[f"blk.{layer}.ffn_down.weight.lora_b"] = b
    contents = Contents(
        texts={"general.architecture": edit.architecture, **_TEXTS},
        numbers={_ALPHA: float(edit.rank)},
        tensors=tensors,
        provenance=edit.provenance,
    )
    write_contents(path, contents, counts={}, largest=_LARGEST_FILE)


def read_low_rank_edit(path: Path) -> LowRankEdit:
    """The edit in ``path``. Raises VoiceFileError naming the file and what is wrong with it."""
    contents = read_contents(path, "an adapter", _TEXTS, largest=_LARGEST_FILE)
    edit = _edit(path, contents)
    if contents.numbers.get(_ALPHA) != edit.rank:
        raise damaged(path, f"its {_ALPHA} is not its rank, {edit.rank}")
    return edit


def _edit(path: Path, contents: Contents) -> LowRankEdit:
    sides: dict[str, dict[int, Vector]] = {"a": {}, "b": {}}
    for name, values in contents.tensors.items():
        match = _TENSOR.fullmatch(name)
        if match is None:
            raise VoiceFileError(f"{path} edits {name}, which no voice of this program does")
        sides[match[2]][int(match[1])] = values
    if sides["a"].keys() != sides["b"].keys():
        raise damaged(path, "A or B of a block is missing")
    try:
        return LowRankEdit(
            architecture=contents.texts["general.architecture"],
            layers={layer: (a, sides["b"][layer]) for layer, a in sides["a"].items()},
            provenance=contents.provenance,
        )
    except KeyError as error:
        raise damaged(path, "it does not say for which kind of model it is") from error
    except ValueError as error:
        raise damaged(path, error) from error
