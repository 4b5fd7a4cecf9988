"""From worker threads into the thread of the window, and back: nothing slow happens where things are drawn."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QElapsedTimer, QObject, Qt, QTimer, Signal

T = TypeVar("T")

# About thirty pictures a second: as fast as a person sees text grow.
THROTTLE_MS = 33


class GuiThread(QObject):
    """Makes calls in the thread this object was made in, in the order they were handed over."""

    _handed_over = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._open = True
        self._handed_over.connect(self._make, Qt.ConnectionType.QueuedConnection)

    def post(self, call: Callable[[], object]) -> None:
        """Have ``call`` made, from any thread. After `close` it is dropped."""
        if self._open:
            self._handed_over.emit(call)

    def close(self) -> None:
        """Make no further calls: what they would touch is going away."""
        self._open = False

    def _make(self, call: Callable[[], object]) -> None:
        if self._open:
            call()


class Background:
    """One worker thread: jobs run in order, their outcome arrives in the window's thread."""

    def __init__(self, gui: GuiThread, name: str) -> None:
        self._gui = gui
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A daemon, because a job stuck in the system must not keep a closed program alive.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(
        self,
        job: Callable[[], T],
        done: Callable[[T], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        """Run ``job``, then ``done`` with what it returned or ``failed`` with what it raised.

        Without ``failed`` an exception is a bug: it is raised again in the window's thread.
        """

        def whole() -> None:
            try:
                outcome = job()
            except Exception as error:
                caught = error
                self._gui.post(lambda: failed(caught) if failed else _raise(caught))
            else:
                if done is not None:
                    self._gui.post(lambda: done(outcome))

        self._jobs.put(whole)

    def close(self, patience: float | None = None) -> bool:
        """Take no further jobs and wait for those given, ``patience`` seconds at most; whether all ended."""
        self._jobs.put(None)
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while job := self._jobs.get():
            job()


class Throttle(QObject, Generic[T]):
    """Passes on the newest of many values, at most once every `THROTTLE_MS`. Made in the window's thread."""

    _first_came = Signal()

    def __init__(self, deliver: Callable[[T], object], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._deliver = deliver
        self._lock = threading.Lock()
        self._newest: list[T] = []
        self._since = QElapsedTimer()
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.flush)
        self._first_came.connect(self._plan, Qt.ConnectionType.QueuedConnection)

    def put(self, value: T) -> None:
        """Pass ``value`` on soon, from any thread; a value not yet passed on is forgotten for it."""
        with self._lock:
            is_first = not self._newest
            self._newest = [value]
        if is_first:
            self._first_came.emit()

    def flush(self) -> None:
        """Pass on what waits, now."""
        self._timer.stop()
        with self._lock:
            waiting, self._newest = self._newest, []
        if waiting:
            self._since.start()
            self._deliver(waiting[0])

    def drop(self) -> None:
        """Forget what waits."""
        with self._lock:
            self._newest = []

    def _plan(self) -> None:
        passed = self._since.elapsed() if self._since.isValid() else THROTTLE_MS
        self._timer.start(int(max(0, THROTTLE_MS - passed)))


def _raise(error: Exception) -> Any:
    raise error
