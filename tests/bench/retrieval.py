"""Retrieval: the passages of a person that are most like a request.

Goes in: passages, then requests. Comes out: the passages nearest by the cosine of their TF-IDF vectors over words
(tf·idf with sublinear tf and smoothed idf, as scikit-learn computes it).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
    TfidfVectorizer,
)


class Retriever:
    """An index over ``passages``."""

    def __init__(self, passages: Sequence[str]) -> None:
        self._passages = list(passages)
        self._vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        self._rows = self._vectorizer.fit_transform(self._passages)

    def best(self, request: str, count: int) -> list[str]:
        """The ``count`` passages most like ``request``, the most like it first; all where there are fewer."""
        likeness = (self._rows @ self._vectorizer.transform([request]).T).toarray()[:, 0]
        order = np.argsort(-likeness, kind="stable")[:count]
        return [self._passages[int(place)] for place in order]
