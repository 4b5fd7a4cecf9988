"""What a screen reader finds in a scroll area does not change under its hands."""

from __future__ import annotations

from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QLabel, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from app.desktop.views.scrolling import ScrollArea
from tests.app.desktop.whole import Whole

LONG = "\n".join(f"line {each}" for each in range(200))


def children(widget: QWidget) -> int:
    """As many accessible children as Qt says there are."""
    return QAccessible.queryAccessibleInterface(widget).childCount()


def test_the_bar_coming_and_going_leaves_the_accessible_children_as_they_are(qtbot: QtBot) -> None:
    area = ScrollArea()
    qtbot.addWidget(area)
    inside = QLabel("short")
    area.setWidget(inside)
    area.resize(300, 200)
    area.show()
    qtbot.waitExposed(area)
    bar = area.verticalScrollBar()
    assert not bar.isVisible()
    assert children(area) == 1
    inside.setText(LONG)
    qtbot.waitUntil(bar.isVisible)
    assert children(area) == 1
    area.hide()
    assert children(area) == 1


def test_the_bar_stands_at_the_edge_and_covers_nothing(qtbot: QtBot) -> None:
    area = ScrollArea()
    qtbot.addWidget(area)
    area.setWidget(QLabel(LONG))
    area.resize(300, 200)
    area.show()
    bar = area.verticalScrollBar()
    qtbot.waitUntil(bar.isVisible)
    assert bar.geometry().right() == area.rect().right()
    assert area.viewport().geometry().right() < bar.geometry().left()
    area.resize(500, 400)
    assert (bar.geometry().right(), bar.height()) == (area.rect().right(), area.height())
    assert bar.pageStep() == area.viewport().height()


def test_every_scroll_area_of_the_window_is_of_this_kind(whole: Whole) -> None:
    found = whole.window.findChildren(QScrollArea)
    assert found
    assert [type(each).__name__ for each in found if not isinstance(each, ScrollArea)] == []
