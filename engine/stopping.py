"""A flag that stops llama.cpp in the middle of a computation.

llama.cpp asks an abort callback after every node of its graph: about a thousand times a token for a small model.
A callback written in Python would take the GIL each time, so the callback is C's own ``strlen`` on a buffer of two
bytes: "" has length 0, which is false, go on; "x" has length 1, which is true, stop.
"""

from __future__ import annotations

import ctypes
import sys


class StopFlag:
    """Set from any thread, at any time; whoever computes under it stops at once. It is never reset: each
    request has a flag of its own, so that stopping one cannot reach the next."""

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)

    def set(self) -> None:
        """Stop what runs under this flag, or what is about to."""
        self._text.value = b"x"

    def is_set(self) -> bool:
        """Whether `set` was called."""
        return self._text.value != b""

    @property
    def address(self) -> int:
        """What the callback is given. It must not outlive the flag."""
        return ctypes.addressof(self._text)


def _strlen() -> int:
    """The address of C's strlen."""
    library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
    return ctypes.cast(library.strlen, ctypes.c_void_p).value or 0


CALLBACK = _strlen()
