"""Small parts that every page is put together from."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.desktop.icons import Icons
from app.desktop.presenters.problem import Problem
from app.desktop.theme import Space


def label(text: str, kind: str = "", *, wrap: bool = False) -> QLabel:
    """A label whose text is shown as it is, never taken for HTML; ``kind`` as in the style sheet."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if kind:
        made.setProperty("kind", kind)
    return made


def button(text: str, kind: str = "", *, says: str = "") -> QPushButton:
    """A push button; ``says`` is its accessible name and tool tip where the text alone does not do."""
    made = QPushButton(text)
    if kind:
        made.setProperty("kind", kind)
    if says:
        made.setAccessibleName(says)
        made.setToolTip(says)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    return made


def column(parent: QWidget | None = None, *, margin: int = 0, gap: int = Space.M) -> QVBoxLayout:
    """An upright layout with these distances."""
    made = QVBoxLayout(parent) if parent is not None else QVBoxLayout()
    made.setContentsMargins(margin, margin, margin, margin)
    made.setSpacing(gap)
    return made


def row(parent: QWidget | None = None, *, margin: int = 0, gap: int = Space.S) -> QHBoxLayout:
    """A level layout with these distances."""
    made = QHBoxLayout(parent) if parent is not None else QHBoxLayout()
    made.setContentsMargins(margin, margin, margin, margin)
    made.setSpacing(gap)
    return made


def centred(widget: QWidget, widest: int) -> QHBoxLayout:
    """``widget`` in the middle of the room there is, at most ``widest`` wide."""
    widget.setMaximumWidth(widest)
    made = row(gap=0)
    made.addStretch(1)
    made.addWidget(widget, 1000)
    made.addStretch(1)
    return made


def card(kind: str = "card", *, gap: int = Space.S) -> tuple[QFrame, QVBoxLayout]:
    """A framed area and the layout inside it."""
    frame = QFrame()
    frame.setProperty("kind", kind)
    inside = column(frame, margin=Space.L, gap=gap)
    return frame, inside


def restyle(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet looks at, and have the look follow."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
        widget.update()


def clear(layout: QBoxLayout) -> None:
    """Take everything out of ``layout``."""
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()


class Banner(QFrame):
    """A message to the person inside the page: what happened, a button to mend it, and a way to put it away."""

    acted = Signal()
    dismissed = Signal()

    def __init__(self, icons: Icons, kind: str = "problem", *, can_dismiss: bool = True) -> None:
        super().__init__()
        self.setProperty("kind", kind)
        self._text = label("", wrap=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.action = button("Try again")
        self._close = button("", "quiet", says="Put this message away")
        icons.put(self._close, "close", "muted", 14)
        self._close.setVisible(can_dismiss)
        inside = row(self, gap=Space.M)
        inside.setContentsMargins(Space.L, Space.M, Space.M, Space.M)
        inside.addWidget(self._text, 1)
        inside.addWidget(self.action, 0, Qt.AlignmentFlag.AlignVCenter)
        inside.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        self.action.clicked.connect(self.acted)
        self._close.clicked.connect(self.dismissed)
        self.hide()

    def show_problem(self, problem: Problem | None) -> None:
        """Show ``problem``; None puts the banner away."""
        if problem is not None:
            self._text.setText(problem.text)
            self.action.setVisible(bool(problem.action))
            if problem.action:
                self.action.setText(problem.action)
        self.setVisible(problem is not None)
