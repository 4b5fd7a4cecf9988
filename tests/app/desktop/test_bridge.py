"""Calls and values on their way between threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from app.desktop.bridge import Background, GuiThread, Throttle


@pytest.fixture
def gui(qtbot: QtBot) -> GuiThread:
    return GuiThread()


@pytest.fixture
def background(gui: GuiThread) -> Iterator[Background]:
    made = Background(gui, "test")
    yield made
    assert made.close(5.0)


def test_calls_from_another_thread_arrive_in_this_one_in_order(qtbot: QtBot, gui: GuiThread) -> None:
    arrived: list[tuple[int, int]] = []

    def post() -> None:
        for number in range(100):
            gui.post(lambda number=number: arrived.append((number, threading.get_ident())))  # type: ignore[misc]

    threading.Thread(target=post).start()
    qtbot.waitUntil(lambda: len(arrived) == 100)
    assert arrived == [(number, threading.get_ident()) for number in range(100)]


def test_nothing_is_called_after_closing(qtbot: QtBot, gui: GuiThread) -> None:
    called: list[int] = []
    gui.post(lambda: called.append(1))
    gui.close()
    gui.post(lambda: called.append(2))
    qtbot.wait(20)
    assert called == []


def test_jobs_run_elsewhere_and_their_outcome_comes_back(
    qtbot: QtBot, gui: GuiThread, background: Background
) -> None:
    outcome: list[object] = []
    background.run(threading.get_ident, outcome.append)
    background.run(lambda: 1 // 0, outcome.append, outcome.append)
    qtbot.waitUntil(lambda: len(outcome) == 2)
    assert outcome[0] != threading.get_ident()
    assert isinstance(outcome[1], ZeroDivisionError)


def test_a_bug_in_a_job_is_not_swallowed(qtbot: QtBot, gui: GuiThread, background: Background) -> None:
    with qtbot.captureExceptions() as caught:
        background.run(lambda: 1 // 0)
        qtbot.waitUntil(lambda: len(caught) == 1)
    assert caught[0][0] is ZeroDivisionError


def test_of_many_values_the_last_arrives_and_few_between(qtbot: QtBot) -> None:
    arrived: list[int] = []
    throttle: Throttle[int] = Throttle(arrived.append)

    def put() -> None:
        for number in range(5000):
            throttle.put(number)

    thread = threading.Thread(target=put)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: bool(arrived) and arrived[-1] == 4999)
    assert len(arrived) < 50


def test_what_is_dropped_does_not_arrive(qtbot: QtBot) -> None:
    arrived: list[int] = []
    throttle: Throttle[int] = Throttle(arrived.append)
    throttle.put(1)
    throttle.drop()
    qtbot.wait(60)
    assert arrived == []
    throttle.put(2)
    qtbot.waitUntil(lambda: arrived == [2])


def test_twenty_thousand_signals_do_not_end_the_process() -> None:
    """Some versions of the Qt binding abort after ten to twenty thousand emissions."""
    script = """
import threading
from PySide6.QtCore import QCoreApplication
from app.desktop.bridge import GuiThread, Throttle
app = QCoreApplication([])
gui = GuiThread()
throttle = Throttle(lambda value: None)
count = 0
def one():
    global count
    count += 1
    if count == 20_000:
        app.quit()
def post():
    for number in range(20_000):
        throttle.put(number)
        gui.post(one)
threading.Thread(target=post).start()
app.exec()
assert count == 20_000
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
