"""The window: sidebar, top bar and pages put together, and the keys that work everywhere."""

from __future__ import annotations

import base64

from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from app.desktop.icons import Icons
from app.desktop.theme import Theme
from app.desktop.views.chat_page import ChatPage
from app.desktop.views.learn_page import LearnPage
from app.desktop.views.parts import column, row
from app.desktop.views.sidebar import Sidebar
from app.desktop.views.start_problem import StartProblem
from app.desktop.views.topbar import TopBar


class MainWindow(QMainWindow):
    """The parts are ``sidebar``, ``topbar``, ``chat``, ``learn`` and ``start_problem``; what they emit is wired
    up by `app.desktop.wiring`. Emits ``closing`` once, when the person closes the window."""

    closing = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setWindowTitle("Idiolect")
        self.resize(1180, 780)
        self.setMinimumSize(840, 560)
        icons = Icons(theme)
        self._icons = icons
        self.sidebar = Sidebar(icons)
        self.topbar = TopBar(theme, icons)
        self.chat = ChatPage(theme, icons)
        self.learn = LearnPage(theme, icons)
        self.start_problem = StartProblem()
        self._pages = QStackedWidget()
        for page in (self.chat, self.learn, self.start_problem):
            self._pages.addWidget(page)
        right = QWidget()
        inside = column(right, gap=0)
        inside.addWidget(self.topbar)
        inside.addWidget(self._pages, 1)
        centre = QWidget()
        centre.setObjectName("centre")
        whole = row(centre, gap=0)
        whole.addWidget(self.sidebar)
        whole.addWidget(right, 1)
        self.setCentralWidget(centre)
        self._add_shortcuts()
        self.show_chat()

    def show_chat(self) -> None:
        """Show the page one writes on."""
        self._pages.setCurrentWidget(self.chat)
        self.chat.composer.setFocus()

    def show_learn(self) -> None:
        """Show "Learn my style"."""
        self._pages.setCurrentWidget(self.learn)
        self.learn.focus_step()

    def show_start_problem(self, text: str) -> None:
        """Show why the program cannot begin; nothing else can be done then."""
        self._set_usable(False)
        self.start_problem.show_text(text)
        self._pages.setCurrentWidget(self.start_problem)

    def settle_start_problem(self) -> None:
        """The program can begin after all."""
        self._set_usable(True)
        if self._pages.currentWidget() is self.start_problem:
            self.show_chat()

    @property
    def place(self) -> str:
        """Where the window stands, for `restore`."""
        return base64.b64encode(self.saveGeometry().data()).decode("ascii")

    def restore(self, place: str) -> None:
        """Put the window where it was; a place that no screen has any more is left to Qt."""
        try:
            geometry = base64.b64decode(place, validate=True)
        except ValueError:
            return
        if geometry:
            self.restoreGeometry(QByteArray(geometry))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Disappear at once; what is under way is ended behind the scenes."""
        event.accept()
        self.closing.emit()

    def _set_usable(self, usable: bool) -> None:
        self.sidebar.setEnabled(usable)
        self.topbar.setEnabled(usable)

    def _add_shortcuts(self) -> None:
        actions = {
            QKeySequence(QKeySequence.StandardKey.New): self.sidebar.new_wanted,
            QKeySequence("Ctrl+L"): self.topbar.learn_wanted,
            QKeySequence(QKeySequence.StandardKey.Quit): self.close,
        }
        for keys, then in actions.items():
            QShortcut(keys, self, context=Qt.ShortcutContext.WindowShortcut).activated.connect(then)
        stop = QShortcut(
            QKeySequence("Esc"), self.chat, context=Qt.ShortcutContext.WidgetWithChildrenShortcut
        )
        stop.activated.connect(self.chat.stopped)
