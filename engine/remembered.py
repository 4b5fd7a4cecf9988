"""What was computed for other conversations and other voices, put away in memory until it is wanted again.

Goes in: the state of a sequence, with the tokens and the steering it was computed for. Comes out: the entry that a
prompt can go on from. Going back to a voice or a conversation then costs a copy and no computation.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

State = NDArray[np.uint8]

# Computing fewer tokens again is as quick as copying them.
FEWEST_TOKENS = 64


@dataclass(frozen=True)
class Entry:
    """``state``: what was computed for ``tokens`` under the steering ``key``, the first ``together`` of them in
    groups."""

    key: Hashable
    tokens: tuple[int, ...]
    together: int
    state: State


class Remembered:
    """Entries of ``budget`` bytes together; the one used longest ago leaves first."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._entries: list[Entry] = []  # the one used last at the end

    @property
    def size(self) -> int:
        """Bytes taken by the states."""
        return sum(entry.state.nbytes for entry in self._entries)

    def has_room_for(self, size: int) -> bool:
        """Whether a state of ``size`` bytes can be kept at all."""
        return size <= self._budget

    def put(self, entry: Entry) -> None:
        """Keep ``entry``, in place of those it goes on from."""
        self._entries = [each for each in self._entries if not _goes_on_from(entry, each)]
        self._entries.append(entry)
        while self._entries and self.size > self._budget:
            del self._entries[0]

    def take(
        self, key: Hashable, tokens: Sequence[int], *, exact: bool, beyond: int
    ) -> tuple[Entry | None, int]:
        """The entry under ``key`` that begins most like ``tokens``, and for how many of them: more than ``beyond``, or
        it is None.

        ``exact`` counts only what was computed in groups. The entry is no longer kept: it is in use.
        """
        found, longest = None, beyond
        for entry in self._entries:
            if entry.key == key:
                known = entry.tokens[: entry.together] if exact else entry.tokens
                if (length := common_length(known, tokens)) > longest:
                    found, longest = entry, length
        if found is not None:
            self._entries.remove(found)
        return found, longest


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens the two begin with alike."""
    for length, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return length
    return min(len(one), len(other))


def _goes_on_from(entry: Entry, other: Entry) -> bool:
    return entry.key == other.key and entry.tokens[: len(other.tokens)] == other.tokens
