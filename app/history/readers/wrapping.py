"""Lines broken by an editor at its margin, put together again: where a line ends there is no part of the manner."""

from __future__ import annotations

import re

# Margins people set. Longer lines are whole paragraphs, shorter ones are verse, lists and addresses.
_NARROWEST, _WIDEST = 50, 100
_FEWEST_BREAKS = 3
# The share of breaks after long lines that a margin must explain before any break is taken to come from one;
# after a line shorter than this share of the margin a person has made the break.
_EXPLAINED, _LONG = 0.8, 0.6
_OWN_LINE = re.compile(r"[ \t]*(?:[-*+•–—>|#]|\d+[.)]\s|\t|[ ]{4})")


def unwrapped(text: str) -> str:
    """``text`` with every paragraph on one line, where its lines were broken at a margin: each is as full as the
    next word allowed. Breaks that a person made, as after a salutation, stay."""
    lines = text.split("\n")
    lengths = sorted(len(line) for line in lines if line)
    if len(lengths) <= _FEWEST_BREAKS:
        return text
    margin = lengths[int(0.98 * (len(lengths) - 1))]
    if not _NARROWEST <= margin <= _WIDEST:
        return text
    breaks = [
        number
        for number in range(1, len(lines))
        if len(lines[number - 1]) >= _LONG * margin and lines[number] and not _OWN_LINE.match(lines[number])
    ]
    full = {number for number in breaks if _is_full(lines[number - 1], lines[number], margin)}
    if len(full) < max(_FEWEST_BREAKS, _EXPLAINED * len(breaks)):
        return text
    joined = (f" {line.lstrip()}" if number in full else f"\n{line}" for number, line in enumerate(lines))
    return "".join(joined)[1:]


def _is_full(line: str, following: str, margin: int) -> bool:
    """Whether the first word of the line after would have gone beyond the margin."""
    return len(line) + 1 + len(following.split(maxsplit=1)[0]) > margin
