"""Running commands in tests: the real command line over a fake engine and a small learning process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from app.cli import cli
from app.models import Model
from app.places import Places
from app.shell import Parts
from tests.app.workers.histories import text_of
from tests.fakes import MODEL, FakeEngine

CALIBRATE = str(Path(__file__).parent / "workers" / "fake_calibrate_process.py")


class Shell:
    """Runs commands on the data folder ``data``."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.writing = folder / "writing"
        self.engine = FakeEngine()
        self.windows: list[Places] = []
        self.find_model: Callable[[str | None], Model] = lambda name: MODEL
        self.calibrate: list[str] | None = [sys.executable, CALIBRATE, "learns"]

    @property
    def places(self) -> Places:
        return Places.under(self.data)

    def __call__(self, *arguments: str, stdin: str | None = None) -> Result:
        return self.bare("--data-dir", str(self.data), *arguments, stdin=stdin)

    def bare(self, *arguments: str, stdin: str | None = None) -> Result:
        parts = Parts(
            make_engine=lambda path, places: self.engine,
            calibrate_command=self.calibrate,
            open_window=self._window,
            find_model=self.find_model,
        )
        return CliRunner().invoke(cli, arguments, input=stdin, obj=parts)

    def write(self, words: int = 4000) -> Path:
        """A folder with that many words in short letters."""
        self.writing.mkdir(exist_ok=True)
        for number in range(max(1, words // 180)):
            (self.writing / f"letter {number}.txt").write_text(text_of(min(words, 180), number))
        return self.writing

    def learnt(self, voice: str = "my-voice") -> None:
        """Import and learn, without looking at what comes out."""
        for arguments in (("import", str(self.write())), ("learn", "--voice", voice)):
            result = self(*arguments)
            assert result.exit_code == 0, result.output

    def _window(self, places: Places) -> int:
        self.windows.append(places)
        return 0


def only_json(result: Result) -> Any:
    """The object on stdout, which must hold nothing else."""
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1, f"more than one line on stdout:\n{result.stdout}"
    return json.loads(result.stdout)


def refused(result: Result, *said: str) -> None:
    """The command ended with exit code 2, a message and nothing on stdout, and without a traceback."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    for words in said:
        assert words in result.stderr
    assert result.stdout == ""
