"""Model names as clients send them: ``smollm2`` is the plain model, ``smollm2:my-voice`` a voice learnt on it, and
``smollm2:my-voice@0.8`` the same voice at another strength than 1. Goes in: a name. Comes out: a `Speaker`.

The history is opened anew for each request, so that voices learnt meanwhile are there.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.models import Model, default_id
from app.places import Places
from app.server.protocol import RefusedError
from app.shell import reading
from app.workers.voices import STRONGEST, use_of
from engine.messages import VoiceUse

if TYPE_CHECKING:
    from app.history.store import Store


@dataclass(frozen=True)
class Listed:
    """A model clients can name. ``voice`` None: ``model_id`` as it is. ``created``: when it was learnt, in seconds
    since 1970, or 0."""

    name: str
    model_id: str
    voice: str | None = None
    created: int = 0


@dataclass(frozen=True)
class Speaker:
    """The model that answers, and how it is steered."""

    model: Model
    use: VoiceUse | None


class Names:
    """The models of one data folder, as clients name them."""

    def __init__(self, places: Places, find_model: Callable[[str | None], Model]) -> None:
        self._places, self._find_model = places, find_model

    def listed(self) -> list[Listed]:
        """Every model there is. Raises KnownError when the history cannot be read."""
        with reading(self._places) as store:
            return _listed(store)

    def check(self, name: str) -> Listed:
        """The model called ``name``, with or without a strength. Raises RefusedError: 404, listing what there is, when
        there is none; 400 for a strength out of range; KnownError when the history cannot be read."""
        return _found(self.listed(), name)[0]

    def speaker(self, name: str) -> Speaker:
        """Who answers as ``name``. Raises as `check` does, and KnownError when a model or the file of a voice is not
        there."""
        with reading(self._places) as store:
            found, strength = _found(_listed(store), name)
            plain = found.model_id if found.voice is None else None
            model, use = use_of(
                store, self._places, found.voice, strength, model=plain, find_model=self._find_model
            )
        return Speaker(model, use)


def _listed(store: Store | None) -> list[Listed]:
    """The plain models first: the default, and those that voices were learnt on."""
    voices = store.voices() if store is not None else []
    plain = dict.fromkeys([default_id(), *(voice.model_id for voice in voices)])
    return [
        *(Listed(_label(model_id), model_id) for model_id in plain),
        *(
            Listed(
                f"{_label(voice.model_id)}:{voice.name}",
                voice.model_id,
                voice.name,
                int(datetime.datetime.fromisoformat(voice.learnt_at).timestamp()) if voice.learnt_at else 0,
            )
            for voice in voices
        ),
    ]


def _label(model_id: str) -> str:
    """What clients call a model: its id, or the name of its file when the id is a path."""
    path = Path(model_id)
    return path.stem if path.is_absolute() else model_id


def _found(listed: Sequence[Listed], wanted: str) -> tuple[Listed, float]:
    """The model ``wanted`` and its strength. A voice may have an "@" in its own name: that reading comes first."""
    by_name = {each.name: each for each in reversed(listed)}
    if wanted in by_name:
        return by_name[wanted], 1.0
    name, _, number = wanted.rpartition("@")
    found = by_name.get(name)
    strength = _strength(number)
    if found is None or found.voice is None or strength is None:
        raise RefusedError(
            404,
            f"There is no model called {wanted!r}. There are: {', '.join(each.name for each in listed)}. "
            "A voice may be followed by its strength, as in smollm2:my-voice@0.8.",
            code="model_not_found",
            param="model",
        )
    if not 0 <= strength <= STRONGEST:
        raise RefusedError(
            400,
            f"The strength of a voice is a number from 0 (plain) to {STRONGEST:g}; {number} is not.",
            code="invalid_value",
            param="model",
        )
    return found, strength


def _strength(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
