"""Everything the window works with, opened after it is on screen and closed when it is gone.

What takes long to import is imported here, when it is needed, not before the window can be seen.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.desktop.presenters.learn import LearningService, LearnServices, OnImport
from app.errors import KnownError
from app.models import Model, resolve
from app.places import Places
from app.workers.chat import Chat
from app.workers.engine_client import Engines
from app.workers.learning import Learning

if TYPE_CHECKING:
    from app.history.importer import ImportResult
    from app.history.store import Store


@dataclass(frozen=True)
class Services:
    """The open store and what works on it."""

    store: Store
    engines: Engines
    chat: Chat
    learning: LearningService
    find_model: Callable[[], Model]

    def warm(self, voice: str | None, strength: float) -> None:
        """Start loading the model, so that the first answer comes sooner. What keeps it from loading is told
        with the first answer."""
        with contextlib.suppress(KnownError):
            self.chat.warm(voice, strength)

    def for_learning(self) -> LearnServices:
        """The part "Learn my style" works with."""
        from app.history.importer import import_paths
        from app.history.readers import SUFFIXES

        store = self.store

        def take_in(
            paths: Sequence[Path], on_progress: OnImport, should_stop: Callable[[], bool]
        ) -> ImportResult:
            return import_paths(store, paths, on_progress, should_stop)

        return LearnServices(
            suffixes=SUFFIXES,
            sources=store.sources,
            import_paths=take_in,
            learning=self.learning,
            find_model=self.find_model,
            voice_names=lambda: [voice.name for voice in store.voices()],
        )

    def close(self) -> None:
        """Save what there is of an answer, end the engine, close the store."""
        self.chat.close()
        self.engines.close()
        self.store.close()


def open_services(places: Places) -> Services:
    """Open the history and settle what a killed program left behind. The writer's lock is held already.

    Raises KnownError for a history that is damaged or of a newer version.
    """
    from app.history.store import Store

    store = Store.open(places.database)
    try:
        store.recover()
        engines, find = Engines(places), functools.partial(resolve, places=places)
        chat = Chat(store, places, engines.for_model, find_model=find)
        return Services(store, engines, chat, Learning(store, places), find)
    except BaseException:
        store.close()
        raise
