"""A voice put on a model: read its file, check that it was made for this model, scale it, hand it to the context.

Goes in: a `VoiceUse` and what is known of the model. Comes out: a `Steering`, or `PLAIN` where nothing is to be
added. Adding happens at the output of block N, x ← x + strength · direction_N; the strength is folded into the
vectors, so changing it is one call and no reload.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import EngineError
from engine.messages import VoiceUse
from engine.voicefile import ControlVector, Vector, read_control_vector


@dataclass(frozen=True)
class Fit:
    """What a voice has to fit: a model by name, hash of its file, architecture, hidden size and blocks."""

    name: str
    sha256: str
    architecture: str
    hidden_size: int
    layer_count: int


@dataclass(frozen=True, eq=False)
class Steering:
    """What is added to the blocks: ``vectors`` (layers - 1, hidden), first row block 1; None adds nothing.

    Two steerings are the same when their ``key`` is: the file as it was when read, and the strength.
    """

    key: tuple[str, int, int, float] | None
    vectors: Vector | None


PLAIN = Steering(None, None)


class Voices:
    """Voice files, each read once until it changes on disk."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self._read: dict[tuple[str, int, int], ControlVector] = {}

    def steering(self, use: VoiceUse | None) -> Steering:
        """The steering for ``use``. Raises EngineError when its file is no voice, or one for another model."""
        if use is None or use.strength == 0:
            return PLAIN
        if not math.isfinite(use.strength):
            raise EngineError(f"A voice cannot have the strength {use.strength}. Choose a number such as 1.")
        path = Path(use.control_vector)
        try:
            status = path.stat()
        except OSError as error:
            raise EngineError(
                f"The voice file {path} cannot be read: {error.strerror or error}. Learn the voice again."
            ) from error
        version = (str(path), status.st_mtime_ns, status.st_size)
        if version not in self._read:
            vector = read_control_vector(path)
            check_fit(vector, self._fit, path)
            self._read[version] = vector
        flat = self._read[version].flat(self._fit.layer_count)
        vectors = flat.reshape(self._fit.layer_count - 1, self._fit.hidden_size)
        return Steering((*version, use.strength), vectors * np.float32(use.strength))


def check_fit(vector: ControlVector, fit: Fit, path: Path) -> None:
    """Raise EngineError, naming the model ``vector`` was made for, unless it is the one described by ``fit``."""
    made = vector.provenance
    voice = f"The voice “{made.voice}”" if made is not None else f"The voice in {path}"
    advice = f"Choose that model, or learn the voice for {fit.name}."
    if made is not None and made.model_sha256 and made.model_sha256 != fit.sha256:
        if made.model_name == fit.name:
            raise EngineError(
                f"{voice} was made for another file of {fit.name} than the one in use. "
                "Use the file it was made for, or learn the voice again."
            )
        raise EngineError(f"{voice} was made for the model {made.model_name}, not for {fit.name}. {advice}")
    maker = made.model_name if made is not None else f"a model of the kind {vector.architecture or 'unknown'}"
    if vector.architecture != fit.architecture:
        raise EngineError(
            f"{voice} was made for {maker} ({vector.architecture or 'unknown'}), "
            f"not for {fit.name} ({fit.architecture}). {advice}"
        )
    if vector.hidden_size != fit.hidden_size:
        raise EngineError(
            f"{voice} was made for {maker} with hidden size {vector.hidden_size}, "
            f"not for {fit.name} with {fit.hidden_size}. {advice}"
        )
    if max(vector.directions) >= fit.layer_count:
        raise EngineError(
            f"{voice} was made for {maker} with more than {max(vector.directions)} blocks, "
            f"not for {fit.name} with {fit.layer_count}. {advice}"
        )
