"""The imported writing by folder, each file with a tick: learn from it or not."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from app.desktop.presenters.sources import SourceFolder, SourceLine, SourcesShown
from app.desktop.theme import Space

_ID = Qt.ItemDataRole.UserRole
_COLUMNS = ("Your writing", "Documents", "Passages", "Words")
# More files than this in one folder are folded away at first.
_FOLDED_FROM = 8


class SourceList(QTreeWidget):
    """Emits ``ticked`` with source ids and whether to learn from them."""

    ticked = Signal(list, bool)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Your writing")
        self.setColumnCount(len(_COLUMNS))
        self.setHeaderLabels(list(_COLUMNS))
        self.setUniformRowHeights(True)
        self.setMinimumHeight(150)
        head = self.header()
        head.setStretchLastSection(False)
        head.setSectionsMovable(False)
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for place in range(1, len(_COLUMNS)):
            head.setSectionResizeMode(place, QHeaderView.ResizeMode.Fixed)
            self.setColumnWidth(place, 104)
            self.headerItem().setTextAlignment(place, _RIGHT)
        self.setIndentation(Space.L + Space.XS)
        self._shape: tuple[object, ...] = ()
        self._items: dict[int, QTreeWidgetItem] = {}
        self.itemChanged.connect(self._changed)

    def show_sources(self, shown: SourcesShown) -> None:
        """List the sources; where only ticks changed, only those."""
        self.blockSignals(True)
        shape = tuple((folder.path, tuple(_shape(line) for line in folder.lines)) for folder in shown.folders)
        if shape != self._shape:
            self._shape = shape
            self._build(shown)
        for folder in shown.folders:
            for line in folder.lines:
                self._items[line.id].setCheckState(0, _state(line.ticked))
        self.blockSignals(False)
        self.viewport().update()

    def _build(self, shown: SourcesShown) -> None:
        tops = [self.topLevelItem(index) for index in range(self.topLevelItemCount())]
        folded = {top.data(0, _ID): not top.isExpanded() for top in tops if top is not None}
        self.clear()
        self._items = {}
        for folder in shown.folders:
            top = self._folder(folder)
            self.addTopLevelItem(top)
            for line in folder.lines:
                self._items[line.id] = item = _source(line)
                top.addChild(item)
            top.setExpanded(not folded.get(folder.path, len(folder.lines) >= _FOLDED_FROM))

    def _folder(self, folder: SourceFolder) -> QTreeWidgetItem:
        lines = folder.lines
        item = _row(
            folder.name,
            sum(line.documents for line in lines),
            sum(line.passages for line in lines),
            sum(line.words for line in lines),
        )
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsAutoTristate)
        item.setData(0, _ID, folder.path)
        item.setToolTip(0, folder.path)
        font = item.font(0)
        font.setBold(True)
        item.setFont(0, font)
        return item

    def _changed(self, item: QTreeWidgetItem, place: int) -> None:
        state = item.checkState(0)
        if place != 0 or state == Qt.CheckState.PartiallyChecked:
            return
        inside = [item.child(index) for index in range(item.childCount())]
        ids = [child.data(0, _ID) for child in inside if child is not None] or [item.data(0, _ID)]
        self.ticked.emit(ids, state == Qt.CheckState.Checked)


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


def _state(ticked: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked


def _shape(line: SourceLine) -> tuple[object, ...]:
    return (line.id, line.name, line.documents, line.passages, line.words)


def _row(name: str, documents: int, passages: int, words: int) -> QTreeWidgetItem:
    item = QTreeWidgetItem([name, f"{documents:,}", f"{passages:,}", f"{words:,}"])
    for place in range(1, len(_COLUMNS)):
        item.setTextAlignment(place, _RIGHT)
    return item


def _source(line: SourceLine) -> QTreeWidgetItem:
    item = _row(line.name, line.documents, line.passages, line.words)
    item.setData(0, _ID, line.id)
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
    item.setToolTip(0, line.name)
    return item
