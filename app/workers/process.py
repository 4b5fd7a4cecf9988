"""A child process that speaks JSON lines: started, spoken to, listened to, and never left behind.

The child reads requests on stdin and ends when stdin closes, so it cannot outlive this program however this
program ends. What it prints to stderr goes to a log file.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from app.errors import KnownError
from app.logfile import LogFile
from app.workers.ending import in_words, memory_kills
from engine.messages import WireError

# Longer than any message either process sends; a line beyond it is no message.
_LONGEST_LINE = 64 * 1024 * 1024


class Vocabulary(Protocol):
    """The message types one direction of the pipe may carry."""

    def encode(self, message: Any) -> bytes: ...
    def decode(self, line: bytes) -> Any: ...


@dataclass(frozen=True)
class Ending:
    """Why a child is gone: ``reason`` completes "it …"; ``expected`` when this side closed it."""

    reason: str
    expected: bool


def worker_command(name: str) -> list[str]:
    """The command that runs the process ``engine`` or ``calibrate``, from Python or the frozen binary."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "--worker", name]
    return [sys.executable, "-P", "-m", f"{name}.serve"]


class Child:
    """One running child.

    ``on_event`` gets every message, ``on_end`` the `Ending`, exactly once and after the last message; both
    are called from the reader thread. An exception in ``on_event`` is a bug of this side: it is logged and
    the child is ended, so that nobody waits for an answer that was lost.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        requests: Vocabulary,
        events: Vocabulary,
        log: LogFile,
        on_event: Callable[[Any], None],
        on_end: Callable[[Ending], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it. Raises KnownError when the system cannot start another process."""
        self._requests, self._events, self._log = requests, events, log
        self._on_event, self._on_end = on_event, on_end
        self._write_lock = threading.Lock()
        self._closing = False
        self._broken = ""
        self._memory_kills = memory_kills()
        try:
            self._process = _start(command, environment or {})
        except OSError as error:
            raise KnownError(
                f"The program {command[0]} could not be started: {error.strerror or error}. "
                "Close other programs and try again."
            ) from error
        self._errors = threading.Thread(target=self._keep_errors, name="child stderr", daemon=True)
        self._reader = threading.Thread(target=self._read, name="child reader", daemon=True)
        self._errors.start()
        self._reader.start()
        _open_children.add(self)

    @property
    def pid(self) -> int:
        """The system's number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, message: Any) -> None:
        """Write one request. A child that is gone takes it silently: ``on_end`` tells what happened."""
        line = self._requests.encode(message)
        with self._write_lock:
            try:
                stdin = _pipe(self._process.stdin)
                stdin.write(line)
                stdin.flush()
            except (OSError, ValueError):  # the pipe broke, or close() closed it
                return

    def close(self, patience: float = 3.0) -> None:
        """End it: close its stdin, wait ``patience`` seconds, then terminate, then kill. May be repeated."""
        self._closing = True
        self._end(patience)

    def _end(self, patience: float) -> None:
        _open_children.discard(self)
        self._hang_up()
        for next_step in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                next_step()
        self._process.wait()
        if threading.current_thread() is not self._reader:
            self._reader.join(patience)

    def _hang_up(self) -> None:
        # A writer stuck in a full pipe holds the lock; the signals that follow free it.
        if self._write_lock.acquire(timeout=0.2):
            try:
                _pipe(self._process.stdin).close()
            except OSError:
                pass
            finally:
                self._write_lock.release()

    def _read(self) -> None:
        output = _pipe(self._process.stdout)
        while line := output.readline(_LONGEST_LINE):
            try:
                event = self._events.decode(line)
            except WireError:
                # What was in the line is not logged: it may be the person's text.
                self._broken = "sent something that is no message"
                break
            try:
                self._on_event(event)
            except Exception as error:
                self._log.bug(error)
                self._broken = f"was ended after an error in this program (see {self._log.path})"
                break
        if self._broken:
            self._end(0.5)
        returncode = self._process.wait()
        output.close()
        self._errors.join(1.0)
        _open_children.discard(self)
        reason = self._broken or in_words(
            returncode, memory_kills_before=self._memory_kills, memory_kills_after=memory_kills()
        )
        self._log.note(f"process {self._process.pid} {'was closed' if self._closing else reason}")
        self._on_end(Ending(reason, expected=self._closing))

    def _keep_errors(self) -> None:
        with _pipe(self._process.stderr) as errors:
            while chunk := os.read(errors.fileno(), 65536):
                self._log.write(chunk)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # all three are pipes
    return stream


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The process in a session (Windows: group) of its own, so that Ctrl-C reaches this program only."""
    windows = sys.platform == "win32"
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUTF8": "1", **environment},
        start_new_session=not windows,
        creationflags=flags,
    )


_open_children: weakref.WeakSet[Child] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for child in list(_open_children):
        child.close(0.5)
