"""From a document to passages, the units of learning: 70–200 words of prose each.

The places to cut are chosen together: between paragraphs where possible, at sentence ends inside a long one,
so that as few passages as can be are too short or too long. A short document is one short passage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.history.prose import is_prose, without_fences, without_quotations
from app.history.sentences import sentence_ends
from app.history.textwork import count_words

FEWEST_WORDS, MOST_WORDS = 70, 200
# A passage this short is kept when there is nothing to join it to; a remainder may lengthen one to this.
LEAST_WORDS, LONGEST_WORDS = 25, 230

_COMFORTABLE_WORDS = 130
# What it costs to cut at a place, on the scale of what a passage's length costs.
_AT_PARAGRAPH, _AT_LINE, _AT_SENTENCE, _AT_CLAUSE, _AT_WORD = 0.0, 3.0, 6.0, 12.0, 15.0

_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
# Looking back keeps a long run of blanks from being tried from each of them on.
_CLAUSE_END = re.compile(r"(?<=[;:,—–])\s+|(?<!\s)\s+(?=[—–])|(?<=[、，；：])")
_SPACE = re.compile(r"\s+")
# The longest stretch without a space that is taken for words at all.
_LONGEST_WORD = 400


@dataclass(frozen=True)
class _Unit:
    """A piece no longer than a passage; ``apart`` is what stands before it, ``cost`` that of cutting there."""

    text: str
    apart: str
    cost: float
    words: int


def cut(text: str) -> list[str]:
    """The passages of ``text``, in order; paragraphs in them are apart by an empty line.

    Paragraphs that are no prose are left out, and so are quotations. Text of fewer than 25 words gives none.
    """
    units = [
        unit
        for paragraph in _BLANK_LINES.split(without_quotations(without_fences(text)))
        if is_prose(paragraph)
        for unit in _units(paragraph.strip(), "\n\n", _AT_PARAGRAPH)
    ]
    pieces = []
    for first, last in _best_cuts(units):
        if sum(unit.words for unit in units[first:last]) >= LEAST_WORDS:
            rest = "".join(f"{unit.apart}{unit.text}" for unit in units[first + 1 : last])
            pieces.append(units[first].text + rest)
    return pieces


def _clause_ends(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _CLAUSE_END.finditer(text))


def _word_ends(text: str) -> Iterator[tuple[int, int]]:
    last = 0
    for match in _SPACE.finditer(text):
        yield from ((at, at) for at in range(last + _LONGEST_WORD, match.start(), _LONGEST_WORD))
        yield match.span()
        last = match.end()
    yield from ((at, at) for at in range(last + _LONGEST_WORD, len(text), _LONGEST_WORD))


# How a text is taken apart: where, at what cost, and from how many words on.
_WAYS = (
    (sentence_ends, _AT_SENTENCE, 0),
    (_clause_ends, _AT_CLAUSE, FEWEST_WORDS),
    (_word_ends, _AT_WORD, MOST_WORDS),
)


def _units(text: str, apart: str, cost: float, ways: int = 0) -> Iterator[_Unit]:
    """``text``, which stands after ``apart``, in its sentences; long ones in their clauses, those in words."""
    words = count_words(text)
    if ways == len(_WAYS) or words <= _WAYS[ways][2]:
        yield _Unit(text, apart, cost, words)
        return
    ends, cost_within, _ = _WAYS[ways]
    begin = 0
    for end, after in (*ends(text), (len(text), len(text))):
        if text[begin:end].strip():
            yield from _units(text[begin:end], apart, cost, ways + 1)
        apart = text[end:after]
        cost = _AT_LINE if "\n" in apart else cost_within
        begin = after


def _best_cuts(units: list[_Unit]) -> Iterator[tuple[int, int]]:
    """The cheapest way to put ``units`` into passages: from which unit to before which, in order."""
    costs, begins = [0.0], [0]
    for last in range(1, len(units) + 1):
        best, best_first, words = float("inf"), last - 1, 0
        for first in range(last - 1, -1, -1):
            words += units[first].words
            if words > LONGEST_WORDS and first < last - 1:
                break
            cost = costs[first] + units[first].cost + _discomfort(words)
            if cost < best:
                best, best_first = cost, first
        costs.append(best)
        begins.append(best_first)
    cuts = []
    last = len(units)
    while last > 0:
        cuts.append((begins[last], last))
        last = begins[last]
    return reversed(cuts)


def _discomfort(words: int) -> float:
    """What it costs to have a passage of so many words."""
    cost = ((words - _COMFORTABLE_WORDS) / 60) ** 2
    if words > MOST_WORDS:
        cost += 2.0 + 0.15 * (words - MOST_WORDS)
    elif words < LEAST_WORDS:
        cost += 40.0
    elif words < FEWEST_WORDS:
        cost += 3.0 + 0.2 * (FEWEST_WORDS - words)
    return cost
