"""Small measures on what was written: what of the request is in it, and how much it repeats itself.

Goes in: requests and answers as text. Comes out: shares from 0 to 1.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

# Words of a request that say what to write, or nothing, rather than what about.
_NOT_CONTENT = frozenset(Path(__file__).with_name("stopwords.txt").read_text(encoding="utf-8").split())
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_TOGETHER = 3


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case; a genitive's 's is no part of its word."""
    return [re.sub(r"['’]s$", "", word) for word in _WORD.findall(text.lower())]


def content_words(text: str) -> set[str]:
    """The words of ``text`` that carry content, as stems, so that "books" and "book" are one."""
    return {_stem(word) for word in words(text) if word not in _NOT_CONTENT and len(word) > 2}


def overlap(request: str, answer: str) -> float:
    """The share of the content words of ``request`` that ``answer`` holds; 1 for a request without any.

    It is ROUGE-1 recall (Lin 2004) with the request as the reference, over content words.
    """
    wanted = content_words(request)
    return len(wanted & content_words(answer)) / len(wanted) if wanted else 1.0


def repetition(text: str) -> float:
    """The share of word trigrams that occurred before in ``text``; 0 where it is shorter than four words."""
    found = words(text)
    runs = [tuple(found[first : first + _TOGETHER]) for first in range(len(found) - _TOGETHER + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


@cache
def _stem(word: str) -> str:
    """Porter's stem of ``word``, by rouge-score; a word in other letters than a to z as it is."""
    found: list[str] = _tokenizer().tokenize(word) if word.isascii() else []
    return "".join(found) or word


@cache
def _tokenizer() -> Any:
    from rouge_score.tokenizers import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        DefaultTokenizer,
    )

    return DefaultTokenizer(use_stemmer=True)
