from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import KnownError
from app.settings import FILE_NAME, EngineSettings, Settings, load


def saved(folder: Path, text: str) -> Path:
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return folder


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    assert load(tmp_path) == load(tmp_path / "nowhere") == Settings()


def test_what_is_set_is_taken_and_the_rest_has_its_default(tmp_path: Path) -> None:
    text = "future = 1\n[engine]\nidle_minutes = 0.5\nthreads = 3\nunknown = 'x'\n[window]\nfont = 12\n"
    assert load(saved(tmp_path, text)).engine == EngineSettings(idle_minutes=0.5, threads=3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engine\n", "no TOML"),
        ("engine = 3\n", r"write \[engine\]"),
        ("[engine]\nthreads = 1.5\n", "threads = 1.5 makes no sense: it is a whole number from 0 on"),
        ("[engine]\nthreads = true\n", "threads = True"),
        ("[engine]\nidle_minutes = -1\n", "idle_minutes = -1 .* a number from 0 on"),
        ("[engine]\nidle_minutes = nan\n", "idle_minutes = nan"),
        ("[engine]\nsilence_seconds = inf\n", "silence_seconds = inf"),
        ("[engine]\ncontext_tokens = 100\n", "from 256 on"),
        ("[engine]\nkept_megabytes = 'many'\n", "kept_megabytes = 'many'"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(KnownError, match=words) as caught:
        load(saved(tmp_path, text))
    assert str(tmp_path / FILE_NAME) in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KnownError, match=FILE_NAME):
        load(tmp_path)
