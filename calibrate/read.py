"""Step 4, read: run the full-precision model over pairs once and keep what its layers held.

Goes in: pairs as samples (query + answer as token ids). Comes out: (own, plain), each (pairs, layers, hidden)
float32: the residual output of every block, averaged over the answer's tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from calibrate.full_model import FullModel, Sample

_AT_ONCE = 8


def read(
    model: FullModel,
    own: Sequence[Sample],
    plain: Sequence[Sample],
    on_step: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings of the own and the plain side of every pair; fewer pairs where ``should_stop`` says so."""
    sides: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
    for first in range(0, len(own), _AT_ONCE):
        if should_stop():
            break
        for rows, samples in zip(sides, (own, plain), strict=True):
            rows.append(model.answer_means(samples[first : first + _AT_ONCE]).numpy())
        on_step(min(first + _AT_ONCE, len(own)), len(own))
    return np.concatenate(sides[0]), np.concatenate(sides[1])
