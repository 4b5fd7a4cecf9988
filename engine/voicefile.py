"""The control-vector file: one reader, one writer, exact round trip.

A control vector is a GGUF file with ``general.architecture = "controlvector"``,
``controlvector.model_hint`` (the model's architecture), ``controlvector.layer_count`` and one float32 tensor
``direction.N`` of shape (hidden,) per steered layer. llama.cpp adds ``direction.N`` to the residual stream at
the output of block N (counted from 0); block 0 cannot be steered, so N starts at 1. Any llama.cpp build
loads the file with ``--control-vector``.

The other kind of voice file is in `engine.adapterfile`; what the two share in `engine.container`.
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

__all__ = [
    "VECTOR_FILE", "ControlVector", "Provenance", "Vector", "VoiceFileError", "read_control_vector",
    "write_control_vector",
]  # fmt: skip

# What a voice's file of this kind is called.
VECTOR_FILE = "control-vector.gguf"

_ARCHITECTURE = "controlvector"
_PREFIX = "direction."
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
# The longest file this program could have written, with room: 200 layers of 16,384 float32 values.
_LARGEST_FILE = 64 * 1024 * 1024


@dataclass(frozen=True)
class ControlVector:
    """Additive vectors by block number: ``directions[n]`` has shape (hidden,), float32, n >= 1.

    Raises ValueError for what no model can be steered with.
    """

    architecture: str
    directions: Mapping[int, Vector]
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        if not self.directions:
            raise ValueError("a control vector needs at least one layer")
        if min(self.directions) < 1:
            raise ValueError("block 0 cannot be steered: layers start at 1")
        if any(vector.ndim != 1 for vector in self.directions.values()):
            raise ValueError("each layer of a control vector is a row of numbers")
        if len({vector.shape for vector in self.directions.values()}) != 1:
            raise ValueError("all layers of a control vector have the same hidden size")
        if not all(np.isfinite(vector).all() for vector in self.directions.values()):
            raise ValueError("every number of a control vector is finite")

    @property
    def hidden_size(self) -> int:
        """Length of every vector."""
        return int(next(iter(self.directions.values())).shape[0])

    @property
    def last_layer(self) -> int:
        """The number of the last block that is steered."""
        return max(self.directions)

    def flat(self, layer_count: int) -> Vector:
        """The layout ``llama_set_adapter_cvec`` takes: shape ((layer_count - 1) * hidden,), layer 1 first."""
        rows = np.zeros((layer_count - 1, self.hidden_size), dtype=np.float32)
        for layer, vector in self.directions.items():
            rows[layer - 1] = vector
        return rows.reshape(-1)


def write_control_vector(path: Path, vector: ControlVector) -> None:
    """Write ``vector`` to ``path``, beside it first and then moved into place."""
    contents = Contents(
        texts={"general.architecture": _ARCHITECTURE, f"{_ARCHITECTURE}.model_hint": vector.architecture},
        numbers={},
        tensors={f"{_PREFIX}{layer}": vector.directions[layer] for layer in sorted(vector.directions)},
        provenance=vector.provenance,
    )
    counts = {f"{_ARCHITECTURE}.layer_count": len(vector.directions)}
    write_contents(path, contents, counts=counts, largest=_LARGEST_FILE)


def read_control_vector(path: Path) -> ControlVector:
    """The control vector in ``path``. Raises VoiceFileError naming the file and what is wrong with it."""
    expected = {"general.architecture": _ARCHITECTURE}
    contents = read_contents(path, "a control vector", expected, largest=_LARGEST_FILE)
    directions: dict[int, Vector] = {}
    for name, values in contents.tensors.items():
        if not name.startswith(_PREFIX):
            continue  # other programs may put more beside the directions
        number = name.removeprefix(_PREFIX)
        if not _NUMBER.fullmatch(number):
            raise damaged(path, f"it steers a block called {number!r}")
        directions[int(number)] = values
    try:
        return ControlVector(
            architecture=contents.texts.get(f"{_ARCHITECTURE}.model_hint", ""),
            directions=directions,
            provenance=contents.provenance,
        )
    except ValueError as error:
        raise damaged(path, error) from error
