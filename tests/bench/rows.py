"""What was measured, and its plain numbers.

A `Row` is one method on one author. `numbers` gives what tables, averages and JSON hold, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibrate.measure import Change

_RESAMPLES = 1000


@dataclass(frozen=True)
class Span:
    """A value and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Likelihood:
    """Change of negative log-likelihood per token (nats, negative = closer) on held-out text, plain to steered.

    ``own``: the author's; ``others``: that of the others; ``gap``: own less others, what is the author's alone.
    """

    own: Span
    others: Span
    gap: Span


@dataclass(frozen=True)
class Writing:
    """Measures of the answers to the requests, means over them.

    ``attributed``: share attributed to the author. ``overlap``: content words of the request kept; ``cosine``: of
    request and answer; ``finds``: share of answers nearest to their own request. ``surprise``: the plain model's
    negative log-likelihood per token of the answers, after their requests (nats). ``repetition``: repeated trigrams.
    """

    attributed: Span
    overlap: float
    cosine: float
    finds: float
    surprise: float
    repetition: float
    words: float


@dataclass(frozen=True)
class Row:
    """One method on one author, at one strength of its voice.

    ``prompt_tokens``: added to the prompt, mean over the requests. ``failed``: why there are no numbers, or "".
    """

    author: str
    method: str
    title: str
    strength: float = 1.0
    likelihood: Likelihood | None = None
    writing: Writing | None = None
    prompt_tokens: float = 0.0
    seconds: float = 0.0
    peak_bytes: int = 0
    artefact_bytes: int = 0
    failed: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    answers: tuple[str, ...] = ()


def change_span(change: Change) -> Span:
    """Δ per token with its interval over passages."""
    return Span(change.per_token, *change.interval())


def gap_span(own: Change, others: Change, seed: int = 0) -> Span:
    """Δ on own less Δ on others' text; both are resampled, each by itself."""
    random = np.random.default_rng(seed)
    return _span(own.per_token - others.per_token, _resampled(own, random) - _resampled(others, random))


def mean_span(values: Sequence[float], seed: int = 0) -> Span:
    """The mean of ``values`` with its interval."""
    found = np.asarray(values, dtype=np.float64)
    rows = np.random.default_rng(seed).integers(0, len(found), (_RESAMPLES, len(found)))
    return _span(float(found.mean()), found[rows].mean(axis=1))


def numbers(row: Row, plain: Row) -> dict[str, float]:
    """Everything measured by name; ratios to the ``plain`` model's answers among them. Empty for a failed row."""
    found: dict[str, float] = {}
    if row.failed:
        return found
    if row.likelihood is not None:
        for name in ("own", "others", "gap"):
            found |= _named(name, getattr(row.likelihood, name))
    if row.writing is not None and plain.writing is not None:
        ours, base = row.writing, plain.writing
        found |= _named("attributed", ours.attributed)
        found |= {"overlap": ours.overlap, "overlap_ratio": _ratio(ours.overlap, base.overlap)}
        found |= {"cosine": ours.cosine, "cosine_ratio": _ratio(ours.cosine, base.cosine)}
        found |= {
            "finds": ours.finds,
            "surprise": ours.surprise,
            "perplexity_ratio": float(np.exp(ours.surprise - base.surprise)),
            "repetition": ours.repetition,
            "words": ours.words,
        }
    return found | {
        "prompt_tokens": row.prompt_tokens,
        "seconds": row.seconds,
        "peak_bytes": float(row.peak_bytes),
        "artefact_bytes": float(row.artefact_bytes),
    }


def average(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of every number all of ``found`` have; intervals are left out, since they do not average.

    One author's numbers are their own average, intervals included.
    """
    if len(found) < 2:
        return dict(found[0]) if found else {}
    names = [
        name
        for name in found[0]
        if all(name in each for each in found) and not name.endswith(("_low", "_high"))
    ]
    return {name: float(np.mean([each[name] for each in found])) for name in names}


def _named(name: str, span: Span) -> dict[str, float]:
    return {name: span.value, f"{name}_low": span.low, f"{name}_high": span.high}


def _ratio(value: float, base: float) -> float:
    return value / base if base else float("nan")


def _resampled(change: Change, random: np.random.Generator) -> NDArray[np.float64]:
    """Δ per token of resampled passages: (resamples,)."""
    rows = random.integers(0, len(change.tokens), (_RESAMPLES, len(change.tokens)))
    found: NDArray[np.float64] = (change.steered - change.plain)[rows].sum(axis=1) / change.tokens[rows].sum(
        axis=1
    )
    return found


def _span(value: float, resampled: NDArray[np.float64]) -> Span:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Span(value, float(low), float(high))
