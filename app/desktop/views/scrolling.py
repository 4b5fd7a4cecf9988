"""A scroll area that a screen reader can walk through while its content comes and goes."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea


class ScrollArea(QScrollArea):
    """Scrolls upright only; the bar has room of its own, so that nothing moves when it appears.

    Qt 6.11 counts the bars' containers among a scroll area's accessible children while the bars are visible, and
    reads past the end of that list when a screen reader asks for a child that has gone since it counted: the
    program dies. Here the bar stands beside the containers, so that there is always the same one child.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        bar = self.verticalScrollBar()
        bar.setParent(self)
        bar.setVisible(bar.maximum() > 0)
        bar.rangeChanged.connect(lambda _least, most: bar.setVisible(most > 0))
        self._place_bar()

    @property
    def bar_room(self) -> int:
        """The width kept free for the bar, in pixels."""
        return self.verticalScrollBar().sizeHint().width()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the bar at the edge."""
        super().resizeEvent(event)
        self._place_bar()

    def _place_bar(self) -> None:
        room = self.bar_room
        if self.viewportMargins().right() != room:
            self.setViewportMargins(0, 0, room, 0)
        self.verticalScrollBar().setGeometry(self.width() - room, 0, room, self.height())
