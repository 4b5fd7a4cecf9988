"""Ctrl-C in the terminal and a polite "end" from the system close the window as its own button would."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier


class Interrupts(QObject):
    """Calls ``then`` in the window's thread when a signal arrives.

    Python runs its signal handlers only when Python code runs, which an idle event loop never does: the byte
    that Python writes to a socket for each signal wakes it.
    """

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)
        self._notifier = QSocketNotifier(self._read.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._wake)
        self._former_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        wanted = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP"):
            wanted.append(signal.SIGHUP)
        self._former = {number: signal.signal(number, self._caught) for number in wanted}

    def close(self) -> None:
        """Put everything back as it was."""
        for number, former in self._former.items():
            signal.signal(number, former)
        signal.set_wakeup_fd(self._former_fd)
        self._notifier.setEnabled(False)
        self._read.close()
        self._write.close()

    def _wake(self) -> None:
        self._read.recv(4096)  # by now Python has run the handler

    def _caught(self, _number: int, _frame: FrameType | None) -> None:
        self._then()
