"""Step 4, read: run the full-precision model over pairs once and keep what its layers held.

Goes in: pairs as samples (query + answer as token ids). Comes out: `Readings`, the MLP output and the residual
output of every block, averaged over the answer's tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibrate.batching import Sample
from calibrate.full_model import FullModel

_AT_ONCE = 8
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Side:
    """One side of the pairs: ``mlp`` and ``residual``, each (pairs, layers, hidden) float32."""

    mlp: Array
    residual: Array


@dataclass(frozen=True)
class Readings:
    """What the layers held over the own and over the plain answers."""

    own: Side
    plain: Side


def read(
    model: FullModel,
    own: Sequence[Sample],
    plain: Sequence[Sample],
    on_step: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Readings:
    """The readings of every pair; of fewer where ``should_stop`` says so."""
    rows: list[list[tuple[Array, Array]]] = [[], []]
    for first in range(0, len(own), _AT_ONCE):
        if should_stop():
            break
        for side, samples in zip(rows, (own, plain), strict=True):
            mlp, residual = model.answer_means(samples[first : first + _AT_ONCE])
            side.append((mlp.numpy(), residual.numpy()))
        on_step(min(first + _AT_ONCE, len(own)), len(own))
    return Readings(*(Side(*map(np.concatenate, zip(*side, strict=True))) for side in rows))
