"""The window from start to end: opened, remembered, closed; and usable without seeing or a mouse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.desktop.presenters.learn import Step
from app.history.store import Store
from engine.messages import Token
from tests.app.desktop.whole import Whole


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def again(qtbot: QtBot, qapp: QApplication, folder: Path) -> Iterator[list[Whole]]:
    """The windows a test started on one folder, ended after it."""
    started: list[Whole] = []
    yield started
    for each in started:
        each.end()


def start(again: list[Whole], qtbot: QtBot, folder: Path) -> Whole:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    again.append(Whole(qtbot, app, folder))
    again[-1].start()
    return again[-1]


def test_conversation_voice_and_strength_come_back(again: list[Whole], qtbot: QtBot, folder: Path) -> None:
    first = start(again, qtbot, folder)
    first.add_voice("Letters")
    first.ask("First", "One.")
    first.click("New conversation")
    first.ask("Second", "Two.")
    first.open_conversation("First")
    qtbot.waitUntil(lambda: first.texts == ["First", "One."])
    first.window.topbar.voice_picked.emit("Letters")
    first.window.topbar.strength.slider.setValue(30)
    first.window.resize(1000, 640)
    first.end()
    second = start(again, qtbot, folder)
    qtbot.waitUntil(lambda: second.texts == ["First", "One."])
    qtbot.waitUntil(lambda: "Letters" in second.window.topbar.voice.accessibleName())
    assert second.window.topbar.strength.slider.value() == 30
    assert second.window.height() == 640


def test_a_voice_that_is_gone_leaves_the_plain_model(again: list[Whole], qtbot: QtBot, folder: Path) -> None:
    first = start(again, qtbot, folder)
    first.add_voice("Letters")
    first.window.topbar.voice_picked.emit("Letters")
    first.store.delete_voice("Letters")
    first.end()
    second = start(again, qtbot, folder)
    second.ask("Write", "Yes.")
    assert second.engine.asked[0].voice is None


def test_closing_while_an_answer_is_written_keeps_what_has_come(
    again: list[Whole], qtbot: QtBot, folder: Path
) -> None:
    first = start(again, qtbot, folder)
    first.engine.enqueue([Token(0, "Dear "), Token(0, "friend")])
    first.write("Write")
    qtbot.waitUntil(lambda: first.texts == ["Write", "Dear friend"])
    first.end()
    assert first.engine.closed
    with Store.open(first.places.database) as store:
        answer = store.messages(store.conversations()[0].id)[-1]
    assert (answer.text, answer.stopped_because) == ("Dear friend", "interrupted")
    second = start(again, qtbot, folder)
    qtbot.waitUntil(lambda: second.texts == ["Write", "Dear friend"])
    second.engine.enqueue("Dear friend, I am ill.")
    second.click("Try again", second.chat.conversation)
    qtbot.waitUntil(lambda: second.texts == ["Write", "Dear friend, I am ill."])


def test_a_second_window_on_the_same_data_says_so_and_starts_when_the_first_is_gone(
    again: list[Whole], qtbot: QtBot, folder: Path
) -> None:
    first = start(again, qtbot, folder)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    second = Whole(qtbot, app, folder)
    again.append(second)
    second.desktop.show()
    qtbot.waitUntil(lambda: second.window.start_problem.isVisible())
    assert not second.desktop.usable
    first.end()
    second.click("Try again")
    qtbot.waitUntil(lambda: second.desktop.usable)
    assert second.chat.isVisible()


def test_a_damaged_history_is_told_in_the_window(again: list[Whole], qtbot: QtBot, folder: Path) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    whole = Whole(qtbot, app, folder)
    again.append(whole)
    whole.places.make()
    whole.places.database.write_bytes(b"this is no database, whatever its name says " * 200)
    whole.desktop.show()
    qtbot.waitUntil(lambda: whole.window.start_problem.isVisible())
    assert not whole.desktop.usable


def test_a_bug_is_told_in_the_window_and_logged(whole: Whole, qtbot: QtBot) -> None:
    whole.desktop.tell_bug(ZeroDivisionError("odd"))
    qtbot.waitUntil(whole.chat.banner.isVisible)
    assert "odd" in (whole.places.logs / "idiolect.log").read_text()


def focusable(whole: Whole) -> list[QWidget]:
    """Everything the keyboard can reach, on every page."""
    widgets = [whole.window, *whole.window.findChildren(QWidget)]
    return [each for each in widgets if each.focusPolicy() & Qt.FocusPolicy.TabFocus]


def test_every_control_has_an_accessible_name(whole: Whole, qtbot: QtBot) -> None:
    whole.ask("Write", "Yes.")
    controls = focusable(whole)
    assert len(controls) > 20
    for control in controls:
        interface = QAccessible.queryAccessibleInterface(control)
        name = interface.text(QAccessible.Text.Name)
        assert name, f"{type(control).__name__} {control.objectName()!r} has no accessible name"


def test_the_tab_key_goes_from_top_to_bottom_through_each_page(whole: Whole, qtbot: QtBot) -> None:
    whole.ask("Write", "Yes.")
    whole.window.activateWindow()
    parts: list[QWidget] = [
        whole.window.sidebar,
        whole.window.topbar,
        whole.chat.conversation,
        whole.composer,
    ]
    order = []
    first: QWidget = whole.window.sidebar
    at = first.nextInFocusChain()
    while at is not None and at is not first:
        if at.isVisible() and at.isEnabled() and at.focusPolicy() & Qt.FocusPolicy.TabFocus:
            order += [part for part in parts if part is at or part.isAncestorOf(at)]
        at = at.nextInFocusChain()
    assert [
        part for number, part in enumerate(order) if number == 0 or part is not order[number - 1]
    ] == parts


def test_keys_reach_everything_that_matters(whole: Whole, qtbot: QtBot) -> None:
    whole.ask("Write", "Yes.")
    QTest.keyClick(whole.window, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert whole.learn.isVisible()
    assert whole.desktop.learn.step == Step.CHOOSE
    QTest.keyClick(whole.window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert whole.chat.isVisible()
    assert whole.texts == []


def test_the_window_needs_no_heavy_library() -> None:
    script = (
        "import sys, app.desktop.main;"
        "heavy = {'torch', 'llama_cpp', 'numpy', 'transformers', 'gguf'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
