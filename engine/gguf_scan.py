"""The front of a GGUF file, gone through from one thing to the next: lengths, counts, keys and their values.

Goes in: the bytes of a file, or a memory map of it. Comes out: what is there, or a ValueError that completes "The
file is damaged: …".

The file may come from anybody, so nothing it announces is believed: every length and count is held against the bytes
that are there before it is used, no memory is taken on the word of a count, and what is only gone over is not copied.
What a file must hold to be a model is in `engine.header`, and to be a voice in `engine.container`.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Bytes = bytes | mmap.mmap
Scalar = int | float | bool

MAGIC = b"GGUF"
VERSIONS = (2, 3)
# GGUF's numbers for the types of values.
UINT32, FLOAT32, STRING, ARRAY, UINT64 = 4, 6, 8, 9, 10
_WHOLE = {0: "B", 1: "b", 2: "H", 3: "h", UINT32: "I", 5: "i", UINT64: "Q", 11: "q"}
_OTHERS = {FLOAT32: "f", 7: "?", 12: "d"}
_FORMS = {kind: struct.Struct(f"<{letter}") for kind, letter in (_WHOLE | _OTHERS).items()}
_LENGTH = _FORMS[UINT64]  # in front of every text
# Far more than a model has in all its lists together; to go over so many takes a second.
_MOST_TEXTS = 4_000_000


@dataclass(frozen=True)
class Field:
    """A value in a file: ``count`` things of type ``kind`` from ``place`` on, in a list or one that stands alone."""

    kind: int
    listed: bool
    count: int
    place: int


class Reader:
    """Takes one thing after another out of ``data``, from ``place`` on. ValueError where the data ends before it."""

    def __init__(self, data: Bytes, place: int) -> None:
        self.place = place
        self._data = data
        self._end = len(data)
        self._texts = 0  # that were gone over

    def scalar(self, kind: int) -> Scalar:
        """The next value, of type ``kind``."""
        form = _FORMS[kind]
        self._skip(form.size)
        value: Scalar = form.unpack_from(self._data, self.place - form.size)[0]
        return value

    def count(self, kind: int = UINT64) -> int:
        """The next whole number."""
        return int(self.scalar(kind))

    def text(self) -> bytes:
        """The next text."""
        length = self.count()
        self._skip(length)
        return self._data[self.place - length : self.place]

    def name(self, longest: int) -> str:
        """The next text, which names something, in ``longest`` letters at most.

        In plain letters only: llama.cpp reads names up to a zero byte, and would take one for another.
        """
        length = self.count()
        self._skip(length)
        if not 1 <= length <= longest:
            raise ValueError(f"a name has {length} letters")
        name = self._data[self.place - length : self.place].decode("ascii", errors="replace")
        if not (name.isascii() and name.isprintable()):
            raise ValueError("a name cannot be decoded: it is not in plain letters")
        return name

    def value(self) -> Field:
        """Where the next value of a key lies; it is gone over."""
        kind, count = self.count(UINT32), 1
        listed = kind == ARRAY
        if listed:
            kind, count = self.count(UINT32), self.count()
        field = Field(kind, listed, count, self.place)
        if kind == STRING:
            self._skip_texts(count)
        elif kind in _FORMS:
            self._skip(count * _FORMS[kind].size)
        else:  # a list of lists as well: llama.cpp knows none either
            raise ValueError(f"a {'list' if listed else 'value'} is of the unknown type {kind}")
        return field

    def _skip(self, count: int) -> None:
        if count > self._end - self.place:
            raise ValueError("it is cut off")
        self.place += count

    def _skip_texts(self, count: int) -> None:
        """Go over ``count`` texts: hundreds of thousands in a model, hence without the detours of `text`."""
        if count * _LENGTH.size > self._end - self.place:
            raise ValueError("it is cut off")
        self._texts += count
        if self._texts > _MOST_TEXTS:
            raise ValueError(f"it announces {self._texts} texts, more than any model has")
        data, unpack, width = self._data, _LENGTH.unpack_from, _LENGTH.size
        place, last = self.place, self._end - width
        for _ in range(count):
            if place > last:
                raise ValueError("it is cut off")
            place += width + unpack(data, place)[0]
        self._skip(place - self.place)


@dataclass(frozen=True)
class Keys:
    """What the keys of a file say, read when it is asked for. ValueError where there is something of another type."""

    data: Bytes
    fields: Mapping[str, Field]

    def count(self, key: str) -> int:
        """How many things the list ``key`` has; 0 for no key."""
        field = self.fields.get(key)
        if field is None:
            return 0
        if not field.listed:
            raise ValueError(f"its {key} is no list")
        return field.count

    def numbers(self, key: str) -> Iterator[int]:
        """The whole numbers of ``key``: one, those of a list, or none for no key."""
        for reader, kind in self._things(key):
            if kind not in _WHOLE:
                raise ValueError(f"its {key} is no whole number")
            yield reader.count(kind)

    def texts(self, key: str) -> Iterator[bytes]:
        """The texts of ``key``: one, those of a list, or none for no key."""
        for reader, kind in self._things(key):
            if kind != STRING:
                raise ValueError(f"its {key} is no text")
            yield reader.text()

    def number(self, key: str, otherwise: int) -> int:
        """The one whole number of ``key``; ``otherwise`` for no key."""
        return next(self.numbers(self._single(key)), otherwise)

    def text(self, key: str) -> bytes:
        """The one text of ``key``; empty for no key."""
        return next(self.texts(self._single(key)), b"")

    def float32(self, key: str) -> float:
        """The one float32 number of ``key``, which is there."""
        reader, kind = next(self._things(self._single(key)))
        if kind != FLOAT32:
            raise ValueError(f"its {key} is no float32 number")
        return float(reader.scalar(kind))

    def _single(self, key: str) -> str:
        if key in self.fields and self.fields[key].listed:
            raise ValueError(f"its {key} is a list")
        return key

    def _things(self, key: str) -> Iterator[tuple[Reader, int]]:
        """A reader in front of each thing of ``key`` in turn, to be read from there, and its type."""
        field = self.fields.get(key)
        if field is not None:
            reader = Reader(self.data, field.place)
            for _ in range(field.count):
                yield reader, field.kind
