"""The page one writes on: the conversation or a welcome, a banner for what went wrong, and the composer."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QWidget

from app.desktop.icons import Icons
from app.desktop.presenters.chat import Line, Opened
from app.desktop.presenters.problem import Problem
from app.desktop.theme import Space, Theme
from app.desktop.views.composer import Composer
from app.desktop.views.conversation import ConversationView
from app.desktop.views.parts import Banner, centred, column
from app.desktop.views.welcome import Welcome


class ChatPage(QWidget):
    """Emits ``sent`` with a text, ``stopped``, ``try_again``, ``problem_dismissed`` and ``learn_wanted``."""

    sent = Signal(str)
    stopped = Signal()
    try_again = Signal()
    problem_dismissed = Signal()
    learn_wanted = Signal()

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self.welcome = Welcome(icons)
        self.conversation = ConversationView(theme, icons)
        self.banner = Banner(icons)
        self.composer = Composer(icons)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.welcome)
        self._pages.addWidget(self.conversation)
        below = QWidget()
        foot = column(below, gap=Space.M)
        foot.setContentsMargins(Space.L, 0, Space.L, Space.L)
        foot.addWidget(self.banner)
        foot.addWidget(self.composer)
        whole = column(self, gap=0)
        whole.addWidget(self._pages, 1)
        whole.addLayout(centred(below, Space.COLUMN + 2 * Space.L))
        self.welcome.asked.connect(self.sent)
        self.welcome.learn_wanted.connect(self.learn_wanted)
        self.conversation.try_again.connect(self.try_again)
        self.composer.sent.connect(self.sent)
        self.composer.stopped.connect(self.stopped)
        self.banner.acted.connect(self.try_again)
        self.banner.dismissed.connect(self.problem_dismissed)

    def show_opened(self, opened: Opened) -> None:
        """Show another conversation."""
        self.conversation.show_conversation(opened.lines)
        self._choose_page(bool(opened.lines))
        self.composer.setFocus()

    def show_lines(self, lines: tuple[Line, ...]) -> None:
        """Show what stands in the open conversation now."""
        self.conversation.show_lines(lines)
        self._choose_page(bool(lines))

    def show_problem(self, problem: Problem | None) -> None:
        """Show what went wrong outside any message; None when it is settled."""
        self.banner.show_problem(problem)

    def _choose_page(self, has_messages: bool) -> None:
        self._pages.setCurrentWidget(self.conversation if has_messages else self.welcome)
