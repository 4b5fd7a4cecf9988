"""Ctrl-C as a request: the first one asks for an end, the second one interrupts."""

from __future__ import annotations

import signal
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def first_ctrl_c(action: Callable[[], None]) -> Iterator[None]:
    """Within it the first Ctrl-C calls ``action``; the second one raises KeyboardInterrupt, as ever.

    A handler, not ``except KeyboardInterrupt``: the exception may come between any two steps of the work, also
    where nothing catches it. Only the main thread hears of Ctrl-C; in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(number: int, frame: types.FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        action()

    former = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
