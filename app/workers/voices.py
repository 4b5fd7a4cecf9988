"""From the name of a voice to what the engine needs: the model it was learnt on and its file."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import KnownError
from app.history.records import Voice
from app.models import Model, resolve
from app.places import Places
from engine.messages import VoiceUse

if TYPE_CHECKING:
    from app.history.store import Store

# What a person types for the model as it is; no voice can have this name.
PLAIN = "none"
# Folders in the voices folder: what a run that succeeded made, and where a run works.
RUN, WORKSHOP = "run-", ".learning-"
DEFAULT_NAME = "my-voice"
STRONGEST = 2.0


def use_of(
    store: Store | None,
    places: Places,
    voice: str | None,
    strength: float,
    *,
    model: str | None = None,
    find_model: Callable[[str | None], Model] = resolve,
) -> tuple[Model, VoiceUse | None]:
    """The model that answers, and how it is steered.

    ``voice`` None or "none" is the plain model: ``model``, or the default one. A voice brings the model it
    was learnt on. Strength 0 steers nothing: the output is that of the plain model, exactly.

    ``store`` None: there is no history yet. Raises KnownError for a voice that does not exist, a file that
    is gone, a strength outside 0–2, a missing model, and a voice asked of a model it was not learnt on.
    """
    if not (math.isfinite(strength) and 0.0 <= strength <= STRONGEST):
        raise KnownError(f"A strength is a number from 0 (plain) to {STRONGEST:g}; {strength:g} is not.")
    if voice is None or voice == PLAIN:
        return find_model(model), None
    if store is None:
        raise KnownError(f"There is no voice called {voice!r}: none is learnt yet. Learn one: idiolect learn")
    found = store.voice(voice)
    learnt_on = find_model(found.model_id)
    if model is not None and find_model(model) != learnt_on:
        raise KnownError(
            f"The voice {found.name!r} was learnt on {learnt_on.name}. Leave the model out, "
            f"or learn the voice again on {find_model(model).name}."
        )
    files = files_of(places, found)
    if strength == 0:
        return learnt_on, None
    return learnt_on, VoiceUse(
        control_vector=str(files.get("control_vector", "")),
        adapter=str(files.get("adapter", "")),
        strength=strength,
    )


def files_of(places: Places, voice: Voice) -> dict[str, Path]:
    """The files of ``voice`` by kind (``control_vector``, ``adapter``), all of which are there.

    Raises KnownError where there is none, or one is not there any more.
    """
    files = _recorded(places, voice)
    gone = [path for path in files.values() if not path.is_file()]
    if gone or not files:
        raise KnownError(
            f"A file of the voice {voice.name!r} is missing{f' ({gone[0]})' if gone else ''}. Learn the voice "
            "again: the fabricated pairs are kept, so it is quick."
        )
    return files


def _recorded(places: Places, voice: Voice) -> dict[str, Path]:
    """The store knows the files relative to the voices folder."""
    return {kind: places.voices / name for kind, name in voice.files.items()}


def sweep(store: Store, places: Places) -> None:
    """Remove the files in the voices folder that no voice has: of voices deleted or learnt again, and of runs
    that were killed. For the program that writes, while no run is under way."""
    kept = {path.parent for voice in store.voices() for path in _recorded(places, voice).values()}
    for folder in places.voices.iterdir():
        if folder not in kept and folder.name.startswith((RUN, WORKSHOP)):
            shutil.rmtree(folder, ignore_errors=True)


def newest(store: Store) -> Voice | None:
    """The voice learnt most recently; None while there is none."""
    return max(store.voices(), key=lambda voice: voice.learnt_at or "", default=None)


def check_name(name: str) -> str:
    """``name`` without surrounding blanks. Raises KnownError for one that a voice cannot have."""
    name = name.strip()
    if name.lower() == PLAIN:
        raise KnownError(f"A voice cannot be called {PLAIN!r}: that name means the plain model.")
    if not name or len(name) > 60 or not name.isprintable():
        raise KnownError("The name of a voice is 1 to 60 letters, digits or signs on one line.")
    return name
