"""Log files that cannot grow without end and that only their owner can read."""

from __future__ import annotations

import contextlib
import datetime
import os
import threading
import traceback
from pathlib import Path

_LARGEST = 1024 * 1024


class LogFile:
    """One log file. When it is full it moves to ``<name>.1``, replacing the one before.

    A log that cannot be written (disk full, folder gone) is not worth an error of its own: what would have
    been logged is dropped.
    """

    def __init__(self, path: Path, *, largest: int = _LARGEST) -> None:
        self.path = path
        self._largest = largest
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Append ``data`` as it is."""
        with self._lock, contextlib.suppress(OSError):
            self._make_room(len(data))
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "ab", buffering=0) as file:
                file.write(data)

    def note(self, text: str) -> None:
        """Append ``text`` as a line of its own, with the time."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.write(f"{now} {text}\n".encode(errors="replace"))

    def bug(self, error: BaseException) -> None:
        """Append the full traceback of ``error``."""
        self.note("".join(traceback.format_exception(error)).rstrip())

    def _make_room(self, wanted: int) -> None:
        if self.path.exists() and self.path.stat().st_size + wanted > self._largest:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
