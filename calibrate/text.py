"""Small measures on text: words, sentences, which words carry the content.

Goes in: passages as str. Comes out: word lists, sentence lists, content words and content spans, found by
frequency alone, so that any language with spaces between words works.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+(?=[\"'“‘(]*[^\W\d_a-z])")
_TOKEN = re.compile(r"\S+")


def words(text: str) -> list[str]:
    """The words of ``text`` in order, as written."""
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """The sentences of ``text`` in order; paragraph breaks end a sentence too."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        found += [piece.strip() for piece in _SENTENCE_END.split(" ".join(paragraph.split()))]
    return [piece for piece in found if piece]


class Rarity:
    """How much a word says: its inverse document frequency over a background of texts.

    idf(w) = ln((1 + N) / (1 + df(w))) with N texts, of which df(w) hold w (the smoothed form of scikit-learn).
    """

    def __init__(self, background: Iterable[str]) -> None:
        self._in_texts: Counter[str] = Counter()
        self._texts = 0
        for text in background:
            self._texts += 1
            self._in_texts.update({word.lower() for word in words(text)})

    def of(self, word: str) -> float:
        """idf of ``word`` (0 = in every text)."""
        return math.log((1 + self._texts) / (1 + self._in_texts[word.lower()]))

    def keywords(self, text: str, count: int) -> list[str]:
        """The ``count`` words of ``text`` that say most, in order of appearance.

        Ranked by tf·idf; words under four letters are left out unless capitalised inside a sentence.
        """
        tally: Counter[str] = Counter()
        shown: dict[str, str] = {}
        for word in words(text):
            if len(word) < 4:
                continue
            tally[word.lower()] += 1
            shown.setdefault(word.lower(), word)
        best = sorted(tally, key=lambda word: (-math.sqrt(tally[word]) * self.of(word), word))[:count]
        keep = set(best)
        return [form for word, form in shown.items() if word in keep]

    def spans(self, text: str, count: int, width: int = 5) -> list[str]:
        """Up to ``count`` runs of ≤ ``width`` words that say most, one a sentence, in order of appearance."""
        candidates: list[tuple[float, int, str]] = []
        for position, sentence in enumerate(sentences(text)):
            tokens = _TOKEN.findall(sentence)
            best = max(
                (
                    self._window(tokens[start : start + width])
                    for start in range(max(1, len(tokens) - width + 1))
                ),
                default=(0.0, ""),
            )
            if best[1]:
                candidates.append((best[0], position, best[1]))
        chosen = sorted(candidates, reverse=True)[:count]
        return [span for _, _, span in sorted(chosen, key=lambda item: item[1])]

    def _window(self, tokens: Sequence[str]) -> tuple[float, str]:
        weights = [max((self.of(word) for word in words(token)), default=0.0) for token in tokens]
        # A span neither begins nor ends with a word that says little ("of", "the").
        threshold = 0.5 * max(weights, default=0.0)
        start, end = 0, len(tokens)
        while start < end and weights[start] < threshold:
            start += 1
        while end > start and weights[end - 1] < threshold:
            end -= 1
        return sum(weights[start:end]), " ".join(tokens[start:end]).strip(' ,;:.!?"“”()-–—')
