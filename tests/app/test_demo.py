from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.errors import KnownError
from app.places import Places
from resources import read_text
from tests.app.commandline import Shell, only_json

REQUESTS = read_text("prompts", "demo-requests.txt").splitlines()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_the_demo_learns_and_answers_plainly_and_in_the_voice(shell: Shell) -> None:
    shell.engine.enqueue(*(f"{way} {number}" for number in range(3) for way in ("plain", "own")))
    told = only_json(shell("demo", "--json"))
    assert [answer["request"] for answer in told["answers"]] == REQUESTS
    assert [(answer["plain"], answer["own"]) for answer in told["answers"]] == [
        ("plain 0", "own 0"), ("plain 1", "own 1"), ("plain 2", "own 2"),
    ]  # fmt: skip
    assert told["words"] > 8000
    assert told["likeness"]["own"] == -0.4
    assert [asked.voice is None for asked in shell.engine.asked] == [True, False] * 3
    assert len({asked.sampling for asked in shell.engine.asked}) == 1
    assert shell.windows == []


def test_the_demo_keeps_apart_from_the_person_and_shows_itself_in_the_window(shell: Shell) -> None:
    shell.engine.enqueue(*(["text"] * 6))
    result = shell("demo")
    assert result.exit_code == 0, result.output
    assert "own −0.40" in result.stdout
    assert "Reading the sample writing" in result.stderr
    assert [places.data for places in shell.windows] == [shell.data / "demo"]
    assert only_json(shell("voices", "--json")) == {"voices": []}


def test_the_demo_run_again_uses_what_it_learnt(shell: Shell) -> None:
    shell.engine.enqueue(*(["text"] * 12))
    first = only_json(shell("demo", "--json"))
    shell.calibrate = [sys.executable, "-c", "raise SystemExit('learnt again')"]
    second = only_json(shell("demo", "--json"))
    assert second["likeness"] == first["likeness"]


def test_a_stopped_demo_goes_on_where_it_was(shell: Shell) -> None:
    if sys.platform == "win32":
        pytest.skip("a test cannot send itself Ctrl-C on Windows")
    assert shell.calibrate is not None
    shell.calibrate[-1] = "interrupts"
    assert shell("demo").exit_code == 130
    shell.calibrate[-1] = "learns"
    shell.engine.enqueue(*(["text"] * 6))
    assert only_json(shell("demo", "--json"))["pairs"] == 3


def test_the_demo_ends_well_where_there_is_no_screen(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_screen(places: Places) -> int:
        raise KnownError("There is no screen here.")

    shell.engine.enqueue(*(["text"] * 6))
    monkeypatch.setattr(shell, "_window", no_screen)
    result = shell("demo")
    assert result.exit_code == 0
    assert "There is no screen here." in result.stderr
    shell.engine.enqueue(*(["text"] * 6))
    assert "There is no screen" not in shell("demo", "--no-window").stderr
