"""The metrics of LaMP (arXiv 2304.11406, section 2), and how sure a change in one of them is.

Goes in: what the users really answered, and the answers to be judged, both as text and in the same order. Comes out:
numbers. They are what the benchmark's own evaluation computes: F1 is averaged over all labels of the task, one that
nobody used counting as 0, so that on few users it is far below accuracy; ROUGE (Lin 2004) is the F-measure without
stemming.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

Texts = Sequence[str]
Metric = Callable[[Texts, Texts], float]
_RESAMPLES = 1000


def accuracy(golds: Texts, answers: Texts) -> float:
    """The share of answers that are right."""
    return _mean([float(gold == answer) for gold, answer in zip(golds, answers, strict=True)])


def macro_f1(golds: Texts, answers: Texts, labels: Texts) -> float:
    """F1 = 2 TP / (2 TP + FP + FN) of every label, averaged over ``labels``; 0 where a label never occurs."""
    counts = {label: [0, 0] for label in labels}  # right ones, and occurrences on either side
    for gold, answer in zip(golds, answers, strict=True):
        for label in (gold, answer):
            if label in counts:
                counts[label][0] += gold == answer
                counts[label][1] += 1
    return _mean([right / seen if seen else 0.0 for right, seen in counts.values()])


def mean_absolute_error(golds: Texts, answers: Texts) -> float:
    """MAE of ratings written as numbers."""
    return _mean([abs(each) for each in _errors(golds, answers)])


def root_mean_squared_error(golds: Texts, answers: Texts) -> float:
    """RMSE of ratings written as numbers."""
    return math.sqrt(_mean([each**2 for each in _errors(golds, answers)]))


def rouge_1(golds: Texts, answers: Texts) -> float:
    """F-measure of the words that both have, mean over the texts."""
    return _mean([_rouge(gold, answer)[0] for gold, answer in zip(golds, answers, strict=True)])


def rouge_l(golds: Texts, answers: Texts) -> float:
    """F-measure of the longest word sequence that both have in this order, mean over the texts."""
    return _mean([_rouge(gold, answer)[1] for gold, answer in zip(golds, answers, strict=True)])


def change_interval(
    metric: Metric, golds: Texts, before: Texts, after: Texts, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval, over users, of how much ``metric`` changes from ``before`` to ``after``.

    Both are taken on the same resampled users (Efron 1979), which says more than their two intervals.
    """
    random = np.random.default_rng(seed)
    changes = []
    for _ in range(_RESAMPLES):
        drawn = random.integers(0, len(golds), len(golds)).tolist()
        truth, old, new = ([side[place] for place in drawn] for side in (golds, before, after))
        changes.append(metric(truth, new) - metric(truth, old))
    low, high = np.percentile(changes, [2.5, 97.5])
    return float(low), float(high)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _errors(golds: Texts, answers: Texts) -> list[float]:
    return [float(answer) - float(gold) for gold, answer in zip(golds, answers, strict=True)]


@cache
def _rouge(gold: str, answer: str) -> tuple[float, float]:
    found = _scorer().score(gold, answer)
    return float(found["rouge1"].fmeasure), float(found["rougeL"].fmeasure)


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        RougeScorer,
    )

    return RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
