"""The window as a whole: shown first, then opened, and closed with nothing lost and nothing left running."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication

from app.desktop import state
from app.desktop.bridge import Background, GuiThread
from app.desktop.interrupt import Interrupts
from app.desktop.opening import Services, open_services
from app.desktop.presenters.chat import ChatPresenter
from app.desktop.presenters.learn import LearnPresenter
from app.desktop.presenters.problem import Troubles
from app.desktop.presenters.voices import VoicesPresenter
from app.desktop.theme import Theme
from app.desktop.views.window import MainWindow
from app.desktop.wiring import wire
from app.errors import KnownError
from app.places import Places, hold

_PATIENCE_SECONDS = 5.0


class Desktop(QObject):
    """One window on one data folder."""

    def __init__(
        self, app: QApplication, places: Places, open_them: Callable[[Places], Services] = open_services
    ) -> None:
        super().__init__()
        self._places, self._open_them = places, open_them
        self._troubles = Troubles(places.logs)
        self._held = contextlib.ExitStack()
        self.services: Services | None = None
        self._remembered = state.load(places.config)
        self._kept_conversation = self._remembered.conversation_id
        self._gui = GuiThread(self)
        self._asking, self._importing, self._learning = (
            Background(self._gui, name) for name in ("conversations", "import", "learning")
        )
        self.chat = ChatPresenter(self._gui, self._asking, self._troubles)
        self.voices = VoicesPresenter(self._remembered.voice, self._remembered.strength)
        self.learn = LearnPresenter(self._gui, self._importing, self._learning, self._troubles)
        self.window = MainWindow(Theme(app))
        wire(self.window, self.chat, self.voices, self.learn)
        self.window.start_problem.try_again.connect(self.open)
        self.window.start_problem.quit_wanted.connect(self.window.close)
        self.window.restore(self._remembered.geometry)

    @property
    def usable(self) -> bool:
        """Whether the data folder could be opened."""
        return self.services is not None

    def show(self) -> None:
        """Show the window; what takes longer comes after it is on screen."""
        self.window.show()
        QTimer.singleShot(0, self.open)

    def open(self) -> None:
        """Hold the data folder and open what is in it, or say why that cannot be."""
        self._held.close()
        try:
            self._places.make()
            self._held.enter_context(hold(self._places))
        except KnownError as error:
            self._cannot_open(error)
            return
        self._asking.run(lambda: self._open_them(self._places), self._opened, self._cannot_open)

    def tell_bug(self, error: BaseException) -> None:
        """Log an unexpected error and tell the person where, from any thread."""
        problem = self._troubles.describe(error)
        self._gui.post(lambda: self.window.chat.show_problem(problem))
        self._gui.post(lambda: self.window.learn.show_problem(problem))

    def close(self) -> None:
        """Stop what runs, save what there is of it, and let the data folder go."""
        self._gui.close()
        if self.services is not None:
            self._save_state()
            self.services.learning.stop()
        self.learn.stop_import()
        for background in (self._asking, self._importing, self._learning):
            background.close(_PATIENCE_SECONDS)
        if self.services is not None:
            self.services.close()
        self._held.close()

    def _opened(self, services: Services) -> None:
        self.services = services
        self.window.settle_start_problem()
        self.chat.connect_to(services.store, services.chat, self._remembered.conversation_id)
        self.chat.lines_changed.connect(lambda _lines: self._keep_place())
        self.voices.connect_to(services.store.voices, self._asking)
        self.learn.connect_to(services.for_learning())
        strength = self.voices.choice.strength
        self._asking.run(lambda: services.warm(self.voices.remembered, strength))

    def _cannot_open(self, error: Exception) -> None:
        self._held.close()
        self.window.show_start_problem(self._troubles.describe(error).text)

    def _keep_place(self) -> None:
        """Write down which conversation is open as soon as that changes: a window that is killed begins there too."""
        if self.chat.conversation_id not in (None, self._kept_conversation):
            self._kept_conversation = self.chat.conversation_id
            self._save_state()

    def _save_state(self) -> None:
        remember = state.WindowState(
            geometry=self.window.place,
            conversation_id=self.chat.conversation_id,
            voice=self.voices.remembered,
            strength=self.voices.choice.strength,
            others=self._remembered.others,
        )
        with contextlib.suppress(OSError):  # where the window stood is not worth an error
            state.save(self._places.config, remember)


def run(places: Places) -> int:
    """Show the window on ``places`` until it is closed.

    The exit code: 0, or 2 when the data folder could not be opened (the window said why).
    """
    app = QApplication([sys.argv[0]])
    app.setApplicationName("Idiolect")
    app.setDesktopFileName("idiolect")
    desktop = Desktop(app, places)
    with _bugs_told_by(desktop):
        interrupts = Interrupts(desktop.window.close)
        desktop.show()
        app.exec()
        interrupts.close()
        desktop.close()
    return 0 if desktop.usable else 2


@contextlib.contextmanager
def _bugs_told_by(desktop: Desktop) -> Iterator[None]:
    former, former_threads = sys.excepthook, threading.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        desktop.tell_bug(error)

    sys.excepthook = hook
    threading.excepthook = lambda bug: desktop.tell_bug(bug.exc_value) if bug.exc_value else None
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = former, former_threads
