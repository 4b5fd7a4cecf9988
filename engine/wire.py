"""Frozen dataclasses as JSON lines, and the pipe a child process speaks them on.

Goes in: a dataclass listed in a vocabulary. Comes out: one line of UTF-8 JSON with its class name under
``"is"``. Nested dataclasses and tuples of them come back as what they were.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO


class WireError(ValueError):
    """A line that is not a message of the vocabulary."""


class Vocabulary:
    """The message types one pipe may carry."""

    def __init__(self, kinds: Iterable[type]) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def encode(self, message: Any) -> bytes:
        """``message`` as one line, newline included. Raises WireError for a type not in the vocabulary."""
        name = message.__class__.__name__
        if self._kinds.get(name) is not message.__class__:
            raise WireError(f"{name} is not a message of this pipe")
        values: Any = message  # whose class is in the vocabulary, hence a dataclass
        fields = {"is": name, **dataclasses.asdict(values)}
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="surrogatepass") + b"\n"  # file names that are no UTF-8 hold surrogates

    def decode(self, line: bytes) -> Any:
        """The message in ``line``. Raises WireError where it is none."""
        try:
            fields = json.loads(line)
            kind = self._kinds[fields.pop("is")]
            return _build(kind, fields)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise WireError(f"not a message: {line[:200]!r} ({error})") from error


def _build(kind: Any, value: Any) -> Any:
    """``value`` (from JSON) as the annotated type ``kind``: dataclasses, tuples, dicts, optionals, scalars.

    Raises TypeError (or what a missing or unknown field makes a dataclass raise) where it is none.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (inner,) = [arm for arm in typing.get_args(kind) if arm is not type(None)]
        return _build(inner, value)
    if origin is tuple:
        item = typing.get_args(kind)[0]
        _expect(list, value)
        return tuple(_build(item, each) for each in value)
    if origin is dict:
        item = typing.get_args(kind)[1]
        return {key: _build(item, each) for key, each in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _build(hints[name], each) for name, each in value.items()})
    if kind is float and type(value) is int:
        return float(value)
    if kind in (str, int, float, bool):
        _expect(kind, value)
    return value


def _expect(kind: type, value: Any) -> None:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.60} is not of type {kind.__name__}")


def take_stdio() -> tuple[BinaryIO, BinaryIO]:
    """This process's pipe: (requests in, events out).

    File descriptor 1 is pointed at stderr afterwards, so that a library that prints to stdout – native
    code included – cannot break a line of the protocol.
    """
    requests = os.fdopen(os.dup(0), "rb")
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, events


def sender(vocabulary: Vocabulary, events: BinaryIO) -> Callable[[Any], None]:
    """A function that writes one message to ``events``, whole lines even from several threads."""
    import threading

    lock = threading.Lock()

    def send(message: Any) -> None:
        line = memoryview(vocabulary.encode(message))
        with lock:
            while line:  # an unbuffered pipe may take a part of the line only
                line = line[events.write(line) :]

    return send
