"""The whole window on a real history, with the model and the calibrate process replaced by stand-ins."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QListWidget, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.desktop.main import Desktop
from app.desktop.opening import Services
from app.errors import KnownError
from app.history import records
from app.history.store import Store
from app.models import Model
from app.places import Places
from app.workers.chat import Chat
from app.workers.engine_client import Engines
from app.workers.learning import LearnResult, OnLearningEvent, Stopped
from calibrate.messages import InsightWritten, Likeness, Notice, PairMade, Progress, Settings
from tests.fakes import MODEL, FakeEngine

LIKENESS = Likeness(-0.345, -0.402, -0.288, -0.071, 2140, 18)
PAIR = PairMade(
    "key", "history", 1, "letter", "Ask for the score back.", "At once, I beg!", "Kindly return it."
)


def result(voice: str) -> LearnResult:
    """A run that went well."""
    return LearnResult(voice, 1, 96, 412.0, 1.0, LIKENESS, {}, {}, ("The voice will be rough.",))


@dataclass
class FakeLearning:
    """Learns when the test lets it go on; ``fails`` is raised instead of a result."""

    asked: list[tuple[str, Settings, frozenset[int]]] = field(default_factory=list)
    fails: Exception | None = None
    learnt: Callable[[str], None] = lambda voice: None
    go_on: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(
        self,
        voice_name: str,
        *,
        model: Model,
        settings: Settings,
        on_event: OnLearningEvent,
        source_ids: Collection[int] | None = None,
    ) -> LearnResult:
        self.asked.append((voice_name, settings, frozenset(source_ids or ())))
        on_event(Notice("There are 2,460 words of yours to learn from."))
        on_event(InsightWritten("Writes in haste."))
        on_event(PAIR)
        on_event(Progress("fabricate", 31, 60, 0.37, 240.0))
        while not self.go_on.wait(0.01):
            if self.stopped.is_set():
                raise Stopped
        if self.fails is not None:
            raise self.fails
        self.learnt(voice_name)
        return result(voice_name)

    def stop(self) -> None:
        self.stopped.set()


def add_voice(store: Store, places: Places, name: str, recommended: float = 1.0) -> None:
    """A learnt voice in ``store``."""
    run = store.start_run(name, MODEL.id, {"budget": "fast"}, [])
    file = places.voices / f"run-{run}" / "control-vector.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF")
    kept = {"control_vector": f"{file.parent.name}/{file.name}"}
    measured = records.Likeness(**dataclasses.asdict(LIKENESS))
    store.finish_run(run, kept, recommended, measured, {}, 412.0)


class Whole:
    """A started window and what a test needs to look at it and to work it."""

    def __init__(self, qtbot: QtBot, app: QApplication, folder: Path) -> None:
        self.qtbot = qtbot
        self._ended = False
        self.places = Places.under(folder)
        self.engine = FakeEngine(threaded=True)
        self.learning = FakeLearning()
        self.missing_model: KnownError | None = None
        self.desktop = Desktop(app, self.places, self._open)
        self.window = self.desktop.window
        self.chat, self.learn = self.window.chat, self.window.learn
        self.composer = self.chat.composer

    def _open(self, places: Places) -> Services:
        store = Store.open(places.database)
        store.recover()
        engines = Engines(places, lambda path, places: self.engine)
        chat = Chat(store, places, engines.for_model, find_model=self._find_model)
        return Services(store, engines, chat, self.learning, self._find_model)

    def _find_model(self, name: str | None = None) -> Model:
        if self.missing_model is not None:
            raise self.missing_model
        return MODEL

    @property
    def store(self) -> Store:
        """The history the window works on."""
        assert self.desktop.services is not None
        return self.desktop.services.store

    def start(self) -> None:
        """Show the window and wait until it can be used."""
        self.desktop.show()
        self.qtbot.waitUntil(lambda: self.desktop.usable)

    def end(self) -> None:
        """Close the window as a person does, and end what is behind it."""
        if self._ended:
            return
        self._ended = True
        self.window.close()
        self.desktop.close()
        self.window.deleteLater()

    def add_voice(self, name: str, recommended: float = 1.0) -> None:
        """Have a voice that was learnt, and wait until it can be picked."""
        add_voice(self.store, self.places, name, recommended)
        self.desktop.voices.refresh()
        self.qtbot.waitUntil(lambda: name in [line.name for line in self.desktop.voices.choice.lines])

    def write(self, text: str) -> None:
        """Type ``text`` and press Enter."""
        self.composer.draft.setFocus()
        QTest.keyClicks(self.composer.draft, text)
        QTest.keyClick(self.composer.draft, Qt.Key.Key_Return)

    def ask(self, text: str, answer: str) -> None:
        """Write ``text`` and wait for ``answer``."""
        self.engine.enqueue(answer)
        self.write(text)
        self.qtbot.waitUntil(lambda: not self.writing and self.texts[-1:] == [answer])

    @property
    def texts(self) -> list[str]:
        """What stands in the conversation."""
        return [view.line.text for view in self.chat.conversation.views]

    @property
    def writing(self) -> bool:
        """Whether an answer is being written."""
        return self.composer.button.accessibleName() == "Stop"

    @property
    def conversation_titles(self) -> list[str]:
        """What the sidebar lists, without its headings."""
        items = [self._list.item(row) for row in range(self._list.count())]
        return [item.text() for item in items if item.flags() & Qt.ItemFlag.ItemIsEnabled]

    def open_conversation(self, title: str) -> None:
        """Click it in the sidebar."""
        (item,) = self._list.findItems(title, Qt.MatchFlag.MatchExactly)
        place = self._list.visualItemRect(item).center()
        QTest.mouseClick(self._list.viewport(), Qt.MouseButton.LeftButton, pos=place)

    @property
    def _list(self) -> QListWidget:
        (found,) = self.window.sidebar.findChildren(QListWidget)
        return found

    def click(self, text: str, inside: QWidget | None = None) -> None:
        """Click the button that says ``text``."""
        QTest.mouseClick(self.button(text, inside), Qt.MouseButton.LeftButton)

    def button(self, text: str, inside: QWidget | None = None) -> QPushButton:
        """The button in sight that says ``text``."""
        shown = [
            each
            for each in (inside or self.window).findChildren(QPushButton)
            if each.isVisible() and text in (each.text(), each.accessibleName())
        ]
        assert shown, f"no button {text!r} in sight"
        return shown[0]
