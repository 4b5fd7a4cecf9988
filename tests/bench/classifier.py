"""Who wrote this? An authorship classifier by character n-grams, the usual baseline of authorship attribution.

Goes in: real passages of several people, then texts. Comes out: who of them each text is most like. Features are
TF-IDF of character 2- to 4-grams inside words (sublinear tf), the classifier is logistic regression. It is trained on
real training text only, and says itself how often it is right on real held-out text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sklearn.feature_extraction.text import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
    TfidfVectorizer,
)
from sklearn.linear_model import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
    LogisticRegression,
)
from sklearn.pipeline import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
    make_pipeline,
)

# Passages a person is known by; the same for all, so that nobody is favoured for having written more.
PASSAGES = 130


class Attribution:
    """Trained on ``passages`` by author."""

    def __init__(self, passages: Mapping[str, Sequence[str]]) -> None:
        self._pipeline = make_pipeline(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2),
            LogisticRegression(C=20, max_iter=500, class_weight="balanced"),
        )
        texts = [_flat(text) for each in passages.values() for text in each]
        names = [name for name, each in passages.items() for _ in each]
        self._pipeline.fit(texts, names)

    def authors_of(self, texts: Sequence[str]) -> list[str]:
        """Who each of ``texts`` is attributed to; "" for one without words."""
        if not texts:
            return []
        names = self._pipeline.predict([_flat(text) for text in texts])
        return [str(name) if text.strip() else "" for name, text in zip(names, texts, strict=True)]

    def accuracy(self, passages: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """The share of real ``passages`` attributed to who wrote them, by author."""
        return {
            name: sum(found == name for found in self.authors_of(texts)) / len(texts)
            for name, texts in passages.items()
            if texts
        }


def _flat(text: str) -> str:
    """Without line ends: how a text is set out would tell a model from a person, not one person from another."""
    return " ".join(text.split())
