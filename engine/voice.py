"""A voice put on a model: read its files, check that they were made for this model, say how strongly they work.

Goes in: a `VoiceUse` and what is known of the model. Comes out: a `Steering`, or `PLAIN` where nothing is to be
changed. Of a control vector strength · direction_N is added to the output of block N; the strength is folded into
the vectors. Of an adapter strength · B·A is added to a matrix of block N; the strength is its scale. So changing the
strength is one call and no reload.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from engine.adapterfile import LowRankEdit, read_low_rank_edit
from engine.errors import EngineError
from engine.messages import VoiceUse
from engine.voicefile import ControlVector, Vector, read_control_vector

File = TypeVar("File", ControlVector, LowRankEdit)


@dataclass(frozen=True)
class Fit:
    """What a voice has to fit: a model by name, hash of its file, architecture, sizes and number of blocks.

    ``inner_size``: width of its MLP; 0 where the model does not say.
    """

    name: str
    sha256: str
    architecture: str
    hidden_size: int
    layer_count: int
    inner_size: int = 0


class FileVersion(NamedTuple):
    """A file as it was at some time."""

    path: str
    changed_ns: int
    size: int


@dataclass(frozen=True, eq=False)
class Steering:
    """What is added to the blocks, and to their matrices.

    ``vectors`` (layers - 1, hidden), first row block 1, strength included; None adds nothing. ``adapters``: files
    found to fit the model, each with the scale it is in force with. Two steerings are the same when their ``key``
    is: of each voice the files as they were when read, and the strength.
    """

    key: tuple[tuple[FileVersion | None, FileVersion | None, float], ...]
    vectors: Vector | None
    adapters: tuple[tuple[FileVersion, float], ...] = ()


PLAIN = Steering((), None)


class Voices:
    """Voice files, each read once until it changes on disk."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self._vectors: dict[str, tuple[FileVersion, ControlVector]] = {}
        self._edits: dict[str, tuple[FileVersion, LowRankEdit]] = {}

    def steering(self, *uses: VoiceUse | None) -> Steering:
        """The steering for ``uses`` together: what they add is added up. Raises EngineError when a file is no voice, or
        one for another model."""
        parts = [self._part(use) for use in uses if use is not None and use.strength != 0]
        if not parts:
            return PLAIN
        vectors = [part.vectors for part in parts if part.vectors is not None]
        return Steering(
            tuple(key for part in parts for key in part.key),
            np.sum(vectors, axis=0) if vectors else None,
            tuple(adapter for part in parts for adapter in part.adapters),
        )

    def _part(self, use: VoiceUse) -> Steering:
        if not math.isfinite(use.strength):
            raise EngineError(f"A voice cannot have the strength {use.strength}. Choose a number such as 1.")
        if not (use.control_vector or use.adapter):
            raise EngineError("The voice has no file. Learn the voice again.")
        vectors = vector_version = adapter_version = None
        if use.control_vector:
            vector_version, vector = self._read(use.control_vector, self._vectors, read_control_vector)
            rows = vector.flat(self._fit.layer_count).reshape(-1, self._fit.hidden_size)
            vectors = rows * np.float32(use.strength)
        if use.adapter:
            adapter_version, _ = self._read(use.adapter, self._edits, read_low_rank_edit)
        adapters = ((adapter_version, use.strength),) if adapter_version is not None else ()
        return Steering(((vector_version, adapter_version, use.strength),), vectors, adapters)

    def _read(
        self, name: str, known: dict[str, tuple[FileVersion, File]], read: Callable[[Path], File]
    ) -> tuple[FileVersion, File]:
        """The file called ``name`` as it is now, read unless that version of it is ``known``."""
        path = Path(name)
        try:
            status = path.stat()
        except OSError as error:
            raise EngineError(
                f"The voice file {path} cannot be read: {error.strerror or error}. Learn the voice again."
            ) from error
        version = FileVersion(name, status.st_mtime_ns, status.st_size)
        if name not in known or known[name][0] != version:
            content = read(path)
            check_fit(content, self._fit, path)
            known[name] = version, content
        return known[name]


def check_fit(file: ControlVector | LowRankEdit, fit: Fit, path: Path) -> None:
    """Raise EngineError, naming the model ``file`` was made for, unless it is the one described by ``fit``."""
    made = file.provenance
    voice = f"The voice “{made.voice}”" if made is not None else f"The voice in {path}"
    advice = f"Choose that model, or learn the voice for {fit.name}."
    if made is not None and made.model_sha256 and made.model_sha256 != fit.sha256:
        if made.model_name == fit.name:
            raise EngineError(
                f"{voice} was made for another file of {fit.name} than the one in use. "
                "Use the file it was made for, or learn the voice again."
            )
        raise EngineError(f"{voice} was made for the model {made.model_name}, not for {fit.name}. {advice}")
    maker = made.model_name if made is not None else f"a model of the kind {file.architecture or 'unknown'}"
    if file.architecture != fit.architecture:
        raise EngineError(
            f"{voice} was made for {maker} ({file.architecture or 'unknown'}), "
            f"not for {fit.name} ({fit.architecture}). {advice}"
        )
    if file.hidden_size != fit.hidden_size:
        raise EngineError(
            f"{voice} was made for {maker} with hidden size {file.hidden_size}, "
            f"not for {fit.name} with {fit.hidden_size}. {advice}"
        )
    if file.last_layer >= fit.layer_count:
        raise EngineError(
            f"{voice} was made for {maker} with more than {file.last_layer} blocks, "
            f"not for {fit.name} with {fit.layer_count}. {advice}"
        )
    if isinstance(file, LowRankEdit) and fit.inner_size and file.inner_size != fit.inner_size:
        raise EngineError(
            f"{voice} was made for {maker} with MLPs of width {file.inner_size}, "
            f"not for {fit.name} with {fit.inner_size}. {advice}"
        )
