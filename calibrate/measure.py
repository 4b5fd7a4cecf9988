"""Step 7, measure: choose the strength on validation passages, then report likeness on held-out ones.

Goes in: the quantised model the person will use, samples (query + answer as token ids), the tuned edit. Comes
out: the best scale of the edit, and a `Likeness`.

Likeness is the change of negative log-likelihood per answer token, Δ = (Σ nll_steered − Σ nll_plain) / Σ tokens,
measured through the engine with the very vectors that are exported, so the number is what the person gets,
quantisation included. Its confidence interval is a bootstrap over passages (Efron 1979).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibrate.full_model import Sample
from calibrate.messages import Likeness
from calibrate.quantised import Quantised
from engine.voicefile import Vector

SCALES = (0.5, 0.75, 1.0, 1.25)
_RESAMPLES = 1000


@dataclass(frozen=True)
class Change:
    """Per passage: tokens of the answer, and its nll (nats, summed) plain and steered."""

    tokens: NDArray[np.float64]
    plain: NDArray[np.float64]
    steered: NDArray[np.float64]

    @property
    def per_token(self) -> float:
        """Δ over all passages, nats per token; negative = closer."""
        return float((self.steered - self.plain).sum() / self.tokens.sum())

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """95 % bootstrap interval of `per_token` over passages."""
        rows = np.random.default_rng(seed).integers(0, len(self.tokens), (_RESAMPLES, len(self.tokens)))
        resampled = (self.steered - self.plain)[rows].sum(axis=1) / self.tokens[rows].sum(axis=1)
        low, high = np.percentile(resampled, [2.5, 97.5])
        return float(low), float(high)


def change(
    model: Quantised,
    samples: Sequence[Sample],
    edit: Vector,
    on_sample: Callable[[], None],
    plain: NDArray[np.float64] | None = None,
) -> Change:
    """How ``edit`` (layers, hidden) changes the nll of every sample's answer. ``plain`` spares its half."""
    if plain is None:
        plain = model.nll(samples, None, on_sample)
    steered = model.nll(samples, edit, on_sample)
    tokens = np.array([len(sample.answer) for sample in samples], dtype=np.float64)
    return Change(tokens, plain, steered)


def choose_scale(
    model: Quantised, validation: Sequence[Sample], edit: Vector, on_sample: Callable[[], None]
) -> tuple[float, dict[float, float]]:
    """The scale of ``edit`` that measures best on validation, and Δ at every scale tried.

    Goes up from the smallest scale and stops at the first that is worse than the one before it.
    """
    plain = model.nll(validation, None, on_sample)
    curve: dict[float, float] = {}
    for scale in SCALES:
        curve[scale] = change(model, validation, edit * np.float32(scale), on_sample, plain).per_token
        if len(curve) > 1 and curve[scale] > min(curve.values()):
            break
    return min(curve, key=lambda scale: curve[scale]), curve


def likeness(own: Change, others: Change, words_heldout: int) -> Likeness:
    """The reported numbers from the two measurements."""
    low, high = own.interval()
    return Likeness(
        own=round(own.per_token, 4),
        own_low=round(low, 4),
        own_high=round(high, 4),
        others=round(others.per_token, 4),
        words_heldout=words_heldout,
        passages_heldout=len(own.tokens),
    )
