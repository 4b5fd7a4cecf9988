"""The order in which the person's documents were written, as far as can be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_DIGITS = re.compile(r"(\d+)")


def natural_key(path: str) -> list[tuple[int, int, str]]:
    """A sort key that puts "letter 2" before "letter 10"."""
    pieces = _DIGITS.split(path.casefold())
    return [(1, int(piece), "") if piece.isdecimal() else (0, 0, piece) for piece in pieces if piece]


def in_order(items: Sequence[T], written_at: Callable[[T], str | None]) -> list[T]:
    """``items``, which come in natural order of their paths, in the order they were written.

    Where most have a date, the dates decide, and one without takes that of its neighbour before; otherwise
    the order they come in stays, since people number their files.
    """
    dates = [written_at(item) for item in items]
    known = [date for date in dates if date]
    if 2 * len(known) <= len(items):
        return list(items)
    filled, last = [], known[0]
    for date in dates:
        last = date or last
        filled.append(last)
    return [items[number] for number in sorted(range(len(items)), key=lambda each: (filled[each], each))]
