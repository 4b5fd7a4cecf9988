"""What the window remembers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from app.desktop.state import FILE_NAME, WindowState, load, save


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    state = WindowState("AAAA", 12, "Größe", 0.85)
    save(tmp_path, state)
    assert load(tmp_path) == state


def test_a_first_start_has_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == WindowState()


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00\xff", '"words"'])
def test_a_damaged_file_has_defaults(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    assert load(tmp_path) == WindowState()


def test_values_that_make_no_sense_have_defaults(tmp_path: Path) -> None:
    saved = {"geometry": 3, "conversation_id": "x", "voice": ["a"], "strength": 12.0}
    (tmp_path / FILE_NAME).write_text(json.dumps(saved))
    assert load(tmp_path) == WindowState()


def test_keys_of_another_version_are_kept(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({"font_size": 14, "voice": "a"}))
    state = load(tmp_path)
    assert state.voice == "a"
    save(tmp_path, state)
    assert json.loads((tmp_path / FILE_NAME).read_text())["font_size"] == 14


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    save(tmp_path, WindowState())
    save(tmp_path, WindowState(voice="b"))
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    save(tmp_path, WindowState())
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
