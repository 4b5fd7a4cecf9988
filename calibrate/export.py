"""Step 8, export: the control-vector file the engine loads.

Goes in: the edit (layers, hidden) float32 with the strength folded in, and where it comes from. Comes out: a GGUF
file beside which nothing else is needed; see `engine.voicefile`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.voicefile import ControlVector, Provenance, Vector, write_control_vector

FILE_NAME = "control-vector.gguf"


def export(folder: Path, architecture: str, edit: Vector, provenance: Provenance) -> Path:
    """Write ``edit`` into ``folder``; rows that are zero (block 0 among them) are left out.

    Raises ValueError where nothing would be left: a voice that changes nothing is no voice.
    """
    directions = {
        layer: np.ascontiguousarray(row, dtype=np.float32)
        for layer, row in enumerate(edit)
        if layer > 0 and bool(row.any())
    }
    path = folder / FILE_NAME
    write_control_vector(path, ControlVector(architecture, directions, provenance))
    return path
