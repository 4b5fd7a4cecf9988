"""Step 8, export: the files the engine loads.

Goes in: the edit with the strength folded in, and where it comes from. Comes out: a control-vector GGUF for its
additive part and an adapter GGUF for its low-rank part; see `engine.voicefile` and `engine.adapterfile`.

The low-rank part works on the MLP output x = W h, W the matrix ffn_down: B A x = B (A W) h, which is a LoRA on
``ffn_down`` with A′ = A W (rank, inner).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibrate.edit import Edit
from calibrate.full_model import FullModel
from calibrate.projection import as_ffn_down
from engine.adapterfile import ADAPTER_FILE, LowRankEdit, write_low_rank_edit
from engine.voicefile import (
    VECTOR_FILE,
    ControlVector,
    Provenance,
    Vector,
    read_control_vector,
    write_control_vector,
)


@dataclass(frozen=True)
class VoiceFiles:
    """The files of a voice for a model of ``layers`` blocks; None where the voice has no such part."""

    layers: int
    control_vector: Path | None
    adapter: Path | None

    @property
    def by_kind(self) -> dict[str, str]:
        """The paths by the names the caller knows them by."""
        named = {"control_vector": self.control_vector, "adapter": self.adapter}
        return {kind: str(path) for kind, path in named.items() if path is not None}

    def vectors(self) -> Vector | None:
        """The control vector as the file holds it: (layers, hidden), row 0 zero."""
        if self.control_vector is None:
            return None
        vector = read_control_vector(self.control_vector)
        rows: Vector = vector.flat(self.layers).reshape(self.layers - 1, vector.hidden_size)
        return np.concatenate([np.zeros_like(rows[:1]), rows])


def export(
    folder: Path, architecture: str, model: FullModel, edit: Edit, provenance: Provenance
) -> VoiceFiles:
    """Write ``edit`` into ``folder``; blocks it leaves alone are left out.

    Raises ValueError where nothing would be left: a voice that changes nothing is no voice.
    """
    if edit.is_nothing():
        raise ValueError("the edit changes nothing")
    directions = {
        layer: np.ascontiguousarray(row.numpy(), dtype=np.float32)
        for layer, row in enumerate(edit.vectors)
        if layer > 0 and bool(row.any())
    }
    matrices = {
        layer: _as_ffn_down(model, edit, layer)
        for layer in range(model.layer_count)
        if edit.rank and bool(edit.writes[layer].any())
    }
    vector_path = folder / VECTOR_FILE if directions else None
    adapter_path = folder / ADAPTER_FILE if matrices else None
    if vector_path is not None:
        write_control_vector(vector_path, ControlVector(architecture, directions, provenance))
    if adapter_path is not None:
        write_low_rank_edit(adapter_path, LowRankEdit(architecture, matrices, provenance))
    return VoiceFiles(model.layer_count, vector_path, adapter_path)


def _as_ffn_down(model: FullModel, edit: Edit, layer: int) -> tuple[Vector, Vector]:
    reads = as_ffn_down(edit.reads[layer].numpy(), model.mlp_matrix(layer))
    return reads, np.ascontiguousarray(edit.writes[layer].numpy(), dtype=np.float32)
