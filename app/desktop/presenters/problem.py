"""Something went wrong: what the person reads, and what they can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.errors import KnownError
from app.logfile import LogFile


@dataclass(frozen=True)
class Problem:
    """``text`` says what happened and what to do; ``action`` labels the button that tries it, or is ""."""

    text: str
    action: str = ""


class Troubles:
    """Turns exceptions into problems. A bug goes to the log with its traceback, and the person is told where."""

    def __init__(self, logs: Path) -> None:
        self._log = LogFile(logs / "idiolect.log")

    def describe(self, error: BaseException, action: str = "") -> Problem:
        """What to show for ``error``."""
        if isinstance(error, KnownError):
            return Problem(str(error), action)
        self._log.bug(error)
        return Problem(f"Something went wrong inside Idiolect. Details are in {self._log.path}.", action)
