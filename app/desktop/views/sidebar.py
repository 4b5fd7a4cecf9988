"""The conversations, newest first, and the way to a new one."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from app.desktop.icons import Icons
from app.desktop.presenters.wording import day_group
from app.desktop.theme import Space
from app.desktop.views.parts import button, column, label
from app.history.records import Conversation

_ID = Qt.ItemDataRole.UserRole


class Sidebar(QWidget):
    """Emits ``new_wanted``, and ``opened`` with the id of the conversation that was picked."""

    new_wanted = Signal()
    opened = Signal(int)

    def __init__(self, icons: Icons) -> None:
        super().__init__()
        self.setObjectName("sidebar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(Space.SIDEBAR)
        brand = label("Idiolect")
        brand.setObjectName("brand")
        new = button("New conversation")
        new.setObjectName("new")
        new.setToolTip("New conversation (Ctrl+N)")
        icons.put(new, "plus")
        new.clicked.connect(self.new_wanted)
        self._list = QListWidget()
        self._list.setObjectName("conversations")
        self._list.setAccessibleName("Conversations")
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self._list.itemClicked.connect(self._picked)
        self._list.itemActivated.connect(self._picked)
        self._empty = label("Your conversations will be listed here.", "small", wrap=True)
        self._empty.setContentsMargins(Space.S, Space.S, Space.S, 0)
        self._private = label("Everything stays on this computer.", "small", wrap=True)
        self._private.setContentsMargins(Space.S, 0, Space.S, 0)
        whole = column(self, margin=Space.M, gap=Space.M)
        brand.setContentsMargins(Space.S, Space.S, 0, Space.XS)
        for part in (brand, new, self._empty):
            whole.addWidget(part)
        whole.addWidget(self._list, 1)
        whole.addWidget(self._private)
        self._shown: tuple[Conversation, ...] = ()
        self._selected: int | None = None

    def show_conversations(self, conversations: Sequence[Conversation]) -> None:
        """List ``conversations`` under the days they are of."""
        if tuple(conversations) == self._shown:
            return
        self._shown = tuple(conversations)
        scrolled = self._list.verticalScrollBar().value()
        self._list.clear()
        now = datetime.datetime.now().astimezone()
        group = ""
        for each in conversations:
            if (its := day_group(each.updated_at, now)) != group:
                group = its
                self._list.addItem(_heading(group))
            item = QListWidgetItem(each.title or "New conversation")
            item.setData(_ID, each.id)
            item.setToolTip(each.title)
            item.setSizeHint(QSize(0, self.fontMetrics().height() + 20))
            self._list.addItem(item)
        self._empty.setVisible(not conversations)
        self.select(self._selected)
        self._list.verticalScrollBar().setValue(scrolled)

    def select(self, conversation_id: int | None) -> None:
        """Mark the open conversation; None marks none."""
        self._selected = conversation_id
        self._list.clearSelection()
        self._list.setCurrentRow(-1)
        for index in range(self._list.count()):
            item = self._list.item(index)
            if conversation_id is not None and item.data(_ID) == conversation_id:
                self._list.setCurrentItem(item)

    def _picked(self, item: QListWidgetItem) -> None:
        conversation_id = item.data(_ID)
        if conversation_id is not None:
            self.opened.emit(conversation_id)


def _heading(text: str) -> QListWidgetItem:
    item = QListWidgetItem(text)
    item.setFlags(Qt.ItemFlag.NoItemFlags)
    font = item.font()
    font.setPointSizeF(font.pointSizeF() * 0.88)
    item.setFont(font)
    return item
