"""Where the person writes: grows with the text, Enter sends, Shift+Enter starts a line."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QMimeData, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextOption
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from app.desktop.icons import Icons
from app.desktop.theme import Space
from app.desktop.views.parts import button, restyle, row

_MOST_LINES = 8


class Draft(QPlainTextEdit):
    """The text field: plain text only, one to `_MOST_LINES` lines tall."""

    entered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("draft")
        self.setAccessibleName("Message")
        self.setPlaceholderText("Write a message…")
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDocumentMargin(2)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter and Ctrl+Enter send; Shift+Enter starts a new line."""
        key, modifiers = event.key(), event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if modifiers == Qt.KeyboardModifier.ShiftModifier:
                self.textCursor().insertBlock()
                self.ensureCursorVisible()
            else:
                self.entered.emit()
        else:
            super().keyPressEvent(event)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Take the text of what is pasted and nothing else of it."""
        if source.hasText():
            self.insertPlainText(source.text())

    def changeEvent(self, event: QEvent) -> None:
        """Another font makes another height."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        lines = min(max(1, int(self.document().size().height())), _MOST_LINES)  # a plain text counts in lines
        margins = 2 * int(self.document().documentMargin()) + 4
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + margins)


class Composer(QFrame):
    """The draft and the button that sends it, or stops the answer being written."""

    sent = Signal(str)
    stopped = Signal()

    def __init__(self, icons: Icons) -> None:
        super().__init__()
        self.setObjectName("composer")
        self._icons = icons
        self._answering = False
        self.draft = Draft()
        self.button = button("", "round", says="Send")
        self.button.setFixedSize(QSize(36, 36))
        inside = row(self, gap=Space.S)
        inside.setContentsMargins(Space.L, Space.S, Space.S, Space.S)
        inside.addWidget(self.draft, 1, Qt.AlignmentFlag.AlignVCenter)
        inside.addWidget(self.button, 0, Qt.AlignmentFlag.AlignBottom)
        self.draft.entered.connect(self.send)
        self.draft.textChanged.connect(self._adapt)
        self.draft.installEventFilter(self)
        self.button.clicked.connect(self._pressed)
        self.setFocusProxy(self.draft)
        self._adapt()

    def send(self) -> None:
        """Hand the draft over, unless it is empty or an answer is being written."""
        text = self.draft.toPlainText()
        if text.strip() and not self._answering:
            self.draft.clear()
            self.sent.emit(text)

    def give_back(self, text: str) -> None:
        """Put what could not be sent back, before whatever was typed meanwhile."""
        typed = self.draft.toPlainText()
        self.draft.setPlainText(f"{text}\n{typed}" if typed.strip() else text)
        self.draft.moveCursor(self.draft.textCursor().MoveOperation.End)

    def set_answering(self, answering: bool) -> None:
        """Whether the button stops or sends."""
        self._answering = answering
        self._adapt()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The frame shows that the draft has the focus."""
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            restyle(self, "active", event.type() == QEvent.Type.FocusIn)
        return super().eventFilter(watched, event)

    def _pressed(self) -> None:
        if self._answering:
            self.stopped.emit()
        else:
            self.send()

    def _adapt(self) -> None:
        says = "Stop" if self._answering else "Send"
        self.button.setAccessibleName(says)
        self.button.setToolTip("Stop (Esc)" if self._answering else "Send (Enter)")
        self._icons.put(self.button, "stop" if self._answering else "send", "on_accent")
        self.button.setEnabled(self._answering or bool(self.draft.toPlainText().strip()))
