"""Queries: the request a passage could be the answer to, fabricated from the passage itself.

Goes in: a passage. Comes out: a `Query` – a request in words that carries the passage's content, and the part of the
passage that answers it. The templates are data (resources/prompts/queries.toml); content words and key
phrases are found by frequency. The default model is too small to be asked for such requests: its own are
mostly about something else, and a query that does not carry the content teaches a voice to ignore requests.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from calibrate.text import Rarity, sentences
from resources import read_text

# Shares of the kinds: most requests name a matter; notes carry the most content; continuing is rare.
_KINDS = ("topic", "notes", "topic", "notes", "topic", "notes", "topic", "continue")


@dataclass(frozen=True)
class Query:
    """``text``: the request; ``answer``: the words of the passage that answer it; ``kind``: which template."""

    kind: str
    text: str
    answer: str


class Queries:
    """Fabricates queries, the same for the same passage and seed, whatever else is learnt beside it."""

    def __init__(self, rarity: Rarity, seed: int) -> None:
        self._rarity = rarity
        self._seed = seed
        self._templates: dict[str, list[str]] = tomllib.loads(read_text("prompts", "queries.toml"))

    def of(self, passage: str) -> Query:
        """The query for ``passage``."""
        digest = sha256(f"{self._seed}\n{passage}".encode()).digest()
        choose = random.Random(digest)
        kind = choose.choice(_KINDS)
        opening = sentences(passage)[:1]
        if kind == "continue":
            rest = _without_opening(passage, opening)
            if len(rest.split()) >= 40:
                return Query(kind, self._fill(choose, kind, opening=opening[0]), rest)
            kind = "topic"
        if kind == "notes":
            notes = self._rarity.spans(passage, count=choose.randint(3, 6))
            if notes:
                return Query(kind, self._fill(choose, kind, notes="; ".join(notes)), passage)
        topic = _listed(self._rarity.keywords(passage, count=choose.randint(2, 4))) or passage[:40]
        return Query("topic", self._fill(choose, "topic", topic=topic), passage)

    def _fill(self, choose: random.Random, kind: str, **content: str) -> str:
        return choose.choice(self._templates[kind]).format(**content)


def _without_opening(passage: str, opening: Sequence[str]) -> str:
    if not opening:
        return ""
    position = " ".join(passage.split()).find(opening[0])
    flat = " ".join(passage.split())
    return flat[position + len(opening[0]) :].strip() if position >= 0 else ""


def _listed(items: Sequence[str]) -> str:
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
