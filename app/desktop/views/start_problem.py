"""What stands in the window when the program cannot begin: why, and what can be done."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from app.desktop.theme import Space
from app.desktop.views.parts import button, centred, column, label, row


class StartProblem(QWidget):
    """Emits ``try_again`` and ``quit_wanted``."""

    try_again = Signal()
    quit_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self._text = label("", wrap=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        again, leave = button("Try again", "primary"), button("Quit")
        again.clicked.connect(self.try_again)
        leave.clicked.connect(self.quit_wanted)
        inside = QWidget()
        middle = column(inside, gap=Space.L)
        middle.addWidget(label("Idiolect cannot start yet", "title", wrap=True))
        middle.addWidget(self._text)
        buttons = row(gap=Space.M)
        buttons.addWidget(again)
        buttons.addWidget(leave)
        buttons.addStretch(1)
        middle.addLayout(buttons)
        whole = column(self, margin=Space.XXL)
        whole.addStretch(1)
        whole.addLayout(centred(inside, Space.COLUMN))
        whole.addStretch(2)

    def show_text(self, text: str) -> None:
        """Show why."""
        self._text.setText(text)
