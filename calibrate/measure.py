"""Step 7, measure: choose the strength on validation passages, then report likeness on held-out ones.

Goes in: the full-precision model, samples (query + answer as token ids), the tuned edit. Comes out: the best
scale of the edit, and a `Likeness`; then the exported vectors are checked against the engine.

Likeness is the change of negative log-likelihood per answer token, Δ = (Σ nll_steered − Σ nll_plain) / Σ tokens.
Its confidence interval is a bootstrap over passages (Efron 1979). Measuring runs at full precision, where it is
several times faster than through the quantised model; `engine_change` then repeats a part of it through llama.cpp
with the vectors as exported, so that what is promised is what a person gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibrate.batching import Sample
from calibrate.edit import Edit
from calibrate.export import VoiceFiles
from calibrate.full_model import FullModel
from calibrate.messages import Likeness
from engine.score import scoring

SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15)
# Around its best scale likeness hardly changes, but what was asked for gets lost as the scale grows. So the smallest
# scale is taken that reaches this share of the best likeness.
_NEAR_BEST = 0.96
# How far the engine's Δ may lie from full precision's on the same passages, nats per token. Quantisation noise
# measures at about 0.01 on the default model; a vector applied to the wrong block or model at several tenths.
TOLERANCE = 0.08
# How far the two plain models may be apart, nats per token: a coarse quantisation may be 0.2 off its full weights,
# another model differs by whole nats.
WEIGHTS_TOLERANCE = 0.5
_RESAMPLES = 1000


@dataclass(frozen=True)
class Change:
    """Per passage: tokens of the answer, and its nll (nats, summed) plain and steered; all (passages,)."""

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
    model: FullModel,
    samples: Sequence[Sample],
    edit: Edit,
    on_samples: Callable[[int], None],
    plain: NDArray[np.float64] | None = None,
) -> Change:
    """How ``edit`` changes the nll of every sample's answer. ``plain`` spares its half."""
    if plain is None:
        plain = model.nlls(samples, None, on_samples)
    return Change(answer_tokens(samples), plain, model.nlls(samples, edit, on_samples))


def choose_scale(
    model: FullModel, validation: Sequence[Sample], edit: Edit, on_samples: Callable[[int], None]
) -> tuple[float, dict[float, float]]:
    """The scale at which ``edit`` becomes strength 1, and Δ on validation at every scale tried (`SCALES`)."""
    plain = model.nlls(validation, None, on_samples)
    curve = {scale: change(model, validation, edit * scale, on_samples, plain).per_token for scale in SCALES}
    return recommended_scale(curve), curve


def recommended_scale(curve: Mapping[float, float]) -> float:
    """The smallest scale whose Δ is near the best of ``curve`` (Δ by scale)."""
    best = min(curve.values())
    return min(scale for scale, found in curve.items() if found <= best * (_NEAR_BEST if best < 0 else 1.0))


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


def engine_change(
    model_path: Path,
    samples: Sequence[Sample],
    files: VoiceFiles,
    threads: int,
    on_samples: Callable[[int], None],
) -> Change:
    """The same measurement through llama.cpp on the quantised model, with the voice's files as exported."""
    sides: list[list[float]] = []
    with scoring(model_path, max(sample.length for sample in samples), threads) as scorer:
        for vectors, adapter in ((None, None), (files.vectors(), files.adapter)):
            scorer.steer(vectors, adapter)
            sides.append([])
            for sample in samples:
                sides[-1].append(scorer.nll(sample.prompt, sample.answer))
                on_samples(1)
    return Change(answer_tokens(samples), np.array(sides[0]), np.array(sides[1]))


def weights_gap(model: FullModel, model_path: Path, samples: Sequence[Sample], threads: int) -> float:
    """How far the plain model in ``model_path`` is from ``model`` on ``samples``, nats per token.

    Near 0 where the two are the same model; the sign does not matter to whoever asks.
    """
    with scoring(model_path, max(sample.length for sample in samples), threads) as scorer:
        engine = np.array([scorer.nll(sample.prompt, sample.answer) for sample in samples])
    return float(np.abs(engine - model.nlls(samples, None)).sum() / answer_tokens(samples).sum())


def answer_tokens(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Tokens of every sample's answer: (samples,)."""
    return np.array([len(sample.answer) for sample in samples], dtype=np.float64)
