"""The messages of the open conversation, the newest in sight unless the person scrolled up to read."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget

from app.desktop.icons import Icons
from app.desktop.presenters.chat import Line
from app.desktop.theme import Space, Theme
from app.desktop.views.message import MessageView, view_of
from app.desktop.views.parts import button, centred, column
from app.desktop.views.scrolling import ScrollArea

# Building a message takes about a millisecond; more than these are built when the person asks for them.
BUILT_AT_ONCE = 60
_NEAR_THE_END = 32


class ConversationView(ScrollArea):
    """Emits ``try_again`` for the last message."""

    try_again = Signal()

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self._theme, self._icons = theme, icons
        self._lines: tuple[Line, ...] = ()
        self._views: list[MessageView] = []
        self._at_end = True
        self.setAccessibleName("Conversation")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inside = QWidget()
        inside.setObjectName("column")
        whole = column(inside, gap=0)
        self._whole = whole
        self._earlier = button("Show earlier messages", "quiet")
        self._earlier.clicked.connect(self._build_earlier)
        self._earlier.hide()
        whole.addWidget(self._earlier, 0, Qt.AlignmentFlag.AlignHCenter)
        self._column = QWidget()
        self._inside = column(self._column, gap=Space.XL)
        whole.addLayout(centred(self._column, Space.COLUMN))
        whole.addStretch(1)
        self.setWidget(inside)
        # The scroll bar takes its room from the margin, so that the text stays in line with the composer.
        whole.setContentsMargins(Space.XL, Space.XL, Space.XL - self.bar_room, Space.L)
        self._to_end = button("", "float", says="Jump to the newest text")
        self._to_end.setParent(self)
        icons.put(self._to_end, "down")
        self._to_end.hide()
        self._to_end.clicked.connect(self.go_to_end)
        bar = self.verticalScrollBar()
        bar.rangeChanged.connect(self._range_changed)
        bar.valueChanged.connect(self._scrolled)

    @property
    def views(self) -> Sequence[MessageView]:
        """The messages that are built, in order."""
        return self._views

    def show_conversation(self, lines: Sequence[Line]) -> None:
        """Show another conversation, from its end."""
        for view in self._views:
            self._drop(view)
        self._views = []
        self._at_end = True
        self._lines = ()
        self.show_lines(lines)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show ``lines``; what did not change is left alone."""
        first_built = max(0, len(lines) - BUILT_AT_ONCE)
        if self._views:
            ids = [line.id for line in lines]
            first_id = self._views[0].line.id
            first_built = ids.index(first_id) if first_id in ids else first_built
        self._lines = tuple(lines)
        wanted = self._lines[first_built:]
        keep = 0
        while keep < min(len(wanted), len(self._views)) and self._views[keep].line.id == wanted[keep].id:
            keep += 1
        for view in self._views[keep:]:
            self._drop(view)
        del self._views[keep:]
        for line in wanted[keep:]:
            self._insert(len(self._views), line)
        for view, line in zip(self._views, wanted, strict=True):
            view.show_line(line, is_last=line is wanted[-1])
        self._earlier.setVisible(first_built > 0)
        if len(wanted) > keep and wanted[-1].writing:
            self.go_to_end()

    def grow(self, line: Line) -> None:
        """Show more text of the last message."""
        if self._views and self._views[-1].line.id == line.id:
            self._views[-1].show_line(line, is_last=True)

    def go_to_end(self) -> None:
        """Scroll to the newest text, and stay with it."""
        self._at_end = True
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())
        self._to_end.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the column centred and the button in its place."""
        super().resizeEvent(event)
        place = self._to_end.sizeHint()
        self._to_end.move((self.width() - place.width()) // 2, self.height() - 34 - Space.M)

    def event(self, event: QEvent) -> bool:
        """A layout pass may move the end away; stay with it."""
        handled = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest and self._at_end:
            self.go_to_end()
        return handled

    def _build_earlier(self) -> None:
        ids = [line.id for line in self._lines]
        first = ids.index(self._views[0].line.id)
        bar = self.verticalScrollBar()
        below = bar.maximum() - bar.value()
        for line in reversed(self._lines[max(0, first - BUILT_AT_ONCE) : first]):
            self._insert(0, line).show_line(line, is_last=False)
        self._earlier.setVisible(first > BUILT_AT_ONCE)
        self._whole.activate()
        bar.setValue(bar.maximum() - below)

    def _insert(self, at: int, line: Line) -> MessageView:
        view = view_of(self._theme, self._icons, line)
        view.try_again.connect(self.try_again)
        self._views.insert(at, view)
        self._inside.insertWidget(at, view)
        # Else the Tab key would come to a new message after everything else.
        before: QWidget = self._views[at - 1].stops[-1] if at > 0 else self._earlier
        for stop in view.stops:
            QWidget.setTabOrder(before, stop)
            before = stop
        return view

    def _drop(self, view: MessageView) -> None:
        self._inside.removeWidget(view)
        view.hide()
        view.deleteLater()

    def _range_changed(self, _least: int, most: int) -> None:
        if self._at_end:
            self.verticalScrollBar().setValue(most)

    def _scrolled(self, value: int) -> None:
        most = self.verticalScrollBar().maximum()
        self._at_end = value >= most - _NEAR_THE_END
        self._to_end.setVisible(not self._at_end)
