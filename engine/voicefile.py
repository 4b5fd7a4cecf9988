"""The control-vector file: one reader, one writer, exact round trip.

A control vector is a GGUF file with ``general.architecture = "controlvector"``,
``controlvector.model_hint`` (the model's architecture), ``controlvector.layer_count`` and one float32 tensor
``direction.N`` of shape (hidden,) per steered layer. llama.cpp adds ``direction.N`` to the residual stream at
the output of block N (counted from 0); block 0 cannot be steered, so N starts at 1. Any llama.cpp build
loads the file with ``--control-vector``.

Beside llama.cpp's own keys the file says what it was made for and how (`Provenance`, keys under
``idiolect.``); other programs ignore them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError

Vector = NDArray[np.float32]

_ARCHITECTURE = "controlvector"
_PROVENANCE_KEY = "idiolect.provenance"
# The longest file this program could have written, with room: 200 layers of 16,384 float32 values.
_LARGEST_FILE = 64 * 1024 * 1024


class VoiceFileError(EngineError):
    """The file is not a voice file, or not one for this model; the message names the file and the reason."""


@dataclass(frozen=True)
class Provenance:
    """What a voice file was made for and how.

    ``model_sha256`` is the hash of the weights file; ``strength`` the recommended strength; ``own`` and
    ``others`` the measured likeness (change of nats per token on held-out text).
    """

    voice: str
    model_name: str
    model_sha256: str
    method: str
    settings: str
    made_at: str
    pairs: int
    strength: float
    own: float | None
    others: float | None


@dataclass(frozen=True)
class ControlVector:
    """Additive vectors by block number: ``directions[n]`` has shape (hidden,), float32, n >= 1."""

    architecture: str
    directions: Mapping[int, Vector]
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        if not self.directions:
            raise ValueError("a control vector needs at least one layer")
        if min(self.directions) < 1:
            raise ValueError("block 0 cannot be steered: layers start at 1")
        if len({vector.shape for vector in self.directions.values()}) != 1:
            raise ValueError("all layers of a control vector have the same hidden size")

    @property
    def hidden_size(self) -> int:
        """Length of every vector."""
        return int(next(iter(self.directions.values())).shape[0])

    def flat(self, layer_count: int) -> Vector:
        """The layout ``llama_set_adapter_cvec`` takes: shape ((layer_count - 1) * hidden,), layer 1 first."""
        rows = np.zeros((layer_count - 1, self.hidden_size), dtype=np.float32)
        for layer, vector in self.directions.items():
            rows[layer - 1] = vector
        return rows.reshape(-1)


def write_control_vector(path: Path, vector: ControlVector) -> None:
    """Write ``vector`` to ``path``, beside it first and then moved into place."""
    import gguf

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        writer = gguf.GGUFWriter(part, _ARCHITECTURE)
        writer.add_string(f"{_ARCHITECTURE}.model_hint", vector.architecture)
        writer.add_uint32(f"{_ARCHITECTURE}.layer_count", len(vector.directions))
        if vector.provenance is not None:
            writer.add_string(_PROVENANCE_KEY, json.dumps(vars(vector.provenance), ensure_ascii=False))
        for layer in sorted(vector.directions):
            tensor = np.ascontiguousarray(vector.directions[layer], dtype=np.float32)
            writer.add_tensor(f"direction.{layer}", tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_control_vector(path: Path) -> ControlVector:
    """The control vector in ``path``. Raises VoiceFileError naming the file and what is wrong with it."""
    import gguf

    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise VoiceFileError(f"{path} is too large ({size} bytes) to be a voice file")
        with path.open("rb") as start:
            if start.read(4) != b"GGUF":
                raise VoiceFileError(f"{path} is not a GGUF file; learn the voice again")
        reader = gguf.GGUFReader(path)
        return _from_reader(path, reader)
    except VoiceFileError:
        raise
    except OSError as error:
        raise VoiceFileError(f"The voice file {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the reader of the format raises whatever a broken file makes it raise
        raise VoiceFileError(f"The voice file {path} is damaged ({error}); learn the voice again") from error


def _from_reader(path: Path, reader: object) -> ControlVector:
    fields = reader.fields  # type: ignore[attr-defined]

    def text(key: str) -> str:
        field = fields.get(key)
        return str(field.contents()) if field is not None else ""

    if text("general.architecture") != _ARCHITECTURE:
        raise VoiceFileError(f"{path} is a GGUF file, but not a control vector")
    directions: dict[int, Vector] = {}
    for tensor in reader.tensors:  # type: ignore[attr-defined]
        kind, _, layer = str(tensor.name).partition(".")
        if kind != "direction":
            continue
        values = np.array(tensor.data, dtype=np.float32)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise VoiceFileError(f"{path} holds a direction that is no finite vector; learn the voice again")
        directions[int(layer)] = values
    provenance = text(_PROVENANCE_KEY)
    return ControlVector(
        architecture=text(f"{_ARCHITECTURE}.model_hint"),
        directions=directions,
        provenance=Provenance(**json.loads(provenance)) if provenance else None,
    )
