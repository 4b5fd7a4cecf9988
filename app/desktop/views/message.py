"""One message of a conversation."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from app.desktop.icons import Icons
from app.desktop.presenters.chat import TRY_AGAIN, Line
from app.desktop.presenters.problem import Problem
from app.desktop.theme import Space, Theme
from app.desktop.views.parts import Banner, button, column, label, row
from app.desktop.views.rich_text import RichText

_COPIED_MS = 1500
_DOTS_MS = 400


class MessageView(QWidget):
    """What all messages have in common: their line, and "try again" asked for."""

    try_again = Signal()

    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_line(self, line: Line, *, is_last: bool) -> None:
        """Show what ``line`` says now; the last message can be tried again."""
        raise NotImplementedError

    @property
    def stops(self) -> tuple[QWidget, ...]:
        """Where the Tab key stops in it, in order."""
        raise NotImplementedError


class UserMessage(MessageView):
    """What the person wrote: to the right, on a tinted ground, exactly as typed."""

    def __init__(self, theme: Theme, icons: Icons, line: Line) -> None:
        super().__init__(line)
        self._text = RichText(theme, "You wrote")
        bubble = QFrame()
        bubble.setObjectName("bubble")
        inside = column(bubble)
        inside.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        inside.addWidget(self._text)
        self._problem = Banner(icons, can_dismiss=False)
        self._problem.acted.connect(self.try_again)
        whole = column(self, gap=Space.S)
        whole.addWidget(bubble, 0, Qt.AlignmentFlag.AlignRight)
        whole.addWidget(self._problem)
        self._text.show_plain(line.text)

    @property
    def stops(self) -> tuple[QWidget, ...]:
        """The text, and what may be done about a problem."""
        return (self._text, self._problem.action)

    def show_line(self, line: Line, *, is_last: bool) -> None:
        """Show what ``line`` says now."""
        self.line = line
        problem = Problem(line.problem, TRY_AGAIN) if line.problem and is_last else None
        self._problem.show_problem(problem)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The bubble takes what the text needs, four fifths of the column at most."""
        super().resizeEvent(event)
        most = self.width() * 4 // 5 - 2 * Space.L
        self._text.setFixedWidth(self._text.natural_width(max(most, 80)))


class Answer(MessageView):
    """What Idiolect wrote: Markdown over the whole column, a caption and what can be done with it below."""

    def __init__(self, theme: Theme, icons: Icons, line: Line) -> None:
        super().__init__(line)
        self._icons = icons
        self._text = RichText(theme, "Idiolect wrote")
        self._dots = label("", "")
        self._dots.setObjectName("writing")
        self._dots.setAccessibleName("Idiolect is thinking")
        self._blink = QTimer(self, interval=_DOTS_MS)
        self._blink.timeout.connect(self._next_dots)
        self._note = label("", "small", wrap=True)
        self._caption = label("", "small")
        self._copy = button("Copy", "quiet", says="Copy this answer")
        self._again = button("Try again", "quiet", says="Answer again")
        icons.put(self._copy, "copy", "muted", 14)
        icons.put(self._again, "again", "muted", 14)
        self._copy.clicked.connect(self._copy_text)
        self._again.clicked.connect(self.try_again)
        self._problem = Banner(icons, can_dismiss=False)
        self._problem.acted.connect(self.try_again)
        self._below = QWidget()
        below = row(self._below, gap=Space.XS)
        below.addWidget(self._caption)
        below.addSpacing(Space.S)
        below.addWidget(self._copy)
        below.addWidget(self._again)
        below.addStretch(1)
        whole = column(self, gap=Space.S)
        for part in (self._text, self._dots, self._note, self._problem, self._below):
            whole.addWidget(part)
        self.show_line(line, is_last=False)

    @property
    def stops(self) -> tuple[QWidget, ...]:
        """The text, then what can be done with it."""
        return (self._text, self._problem.action, self._copy, self._again)

    def show_line(self, line: Line, *, is_last: bool) -> None:
        """Show what ``line`` says now; the last answer can be written again."""
        if line.text != self.line.text or not self._text.document().characterCount() > 1:
            self._text.show_markdown(line.text)
        self.line = line
        thinking = line.writing and not line.text
        self._text.setVisible(bool(line.text))
        self._dots.setVisible(thinking)
        if thinking and not self._blink.isActive():
            self._next_dots()
            self._blink.start()
        elif not thinking:
            self._blink.stop()
        self._note.setText(line.note)
        self._note.setVisible(bool(line.note))
        self._problem.show_problem(
            Problem(line.problem, TRY_AGAIN if is_last else "") if line.problem else None
        )
        self._caption.setText(line.caption)
        self._below.setVisible(not line.writing)
        self._copy.setVisible(bool(line.text))
        self._again.setVisible(is_last and not line.problem)

    def _next_dots(self) -> None:
        self._dots.setText("•" * (len(self._dots.text()) % 3 + 1))

    def _copy_text(self) -> None:
        QGuiApplication.clipboard().setText(self.line.text)
        self._copy.setText("Copied")
        self._icons.put(self._copy, "check", "muted", 14)
        QTimer.singleShot(_COPIED_MS, self, self._offer_copy)

    def _offer_copy(self) -> None:
        self._copy.setText("Copy")
        self._icons.put(self._copy, "copy", "muted", 14)


def view_of(theme: Theme, icons: Icons, line: Line) -> MessageView:
    """The widget for ``line``."""
    return UserMessage(theme, icons, line) if line.role == "user" else Answer(theme, icons, line)
