"""The paper's projection edit, as a rank-2 edit of the MLP output.

Goes in: the `Directions` of the MLP outputs, which layers to edit, how strongly. Comes out: A (layers, 2, hidden)
and B (layers, hidden, 2), float32: the low-rank part of a `calibrate.edit.Edit`, x ← x + B A x.

CHAMELEON (arXiv 2503.01048, section 3.3) edits the MLP output x of each chosen layer in two steps:

    x ← x + (⟨x, θp⟩ / ⟨θp, θp⟩) θp,   then   x ← x − (⟨x, θn⟩ / ⟨θn, θn⟩) θn

With θp, θn of length 1 that is x + B A x for A = [θpᵀ ; θnᵀ] and B = [θp − θn ⟨θn, θp⟩, −θn]: θn is taken
out of what the first step added as well. Strength scales B.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibrate.align import Directions
from calibrate.ccs import rank_layers, unit

Array = NDArray[np.float32]


def projection_edit(
    directions: Directions, layers: Sequence[int], alpha: float = 1.0, alpha_n: float | None = None
) -> tuple[Array, Array]:
    """A and B of the edit on ``layers``; all zero for the others.

    B = [alpha (θp − θn ⟨θn, θp⟩), −alpha_n θn]; ``alpha_n`` None is ``alpha``, so that 0 changes nothing and 1 is
    the paper's edit. Where a direction is zero its step is left out. Raises ValueError for a layer that is not
    there.
    """
    count, hidden = directions.theta_p.shape
    if wrong := [layer for layer in layers if not 0 <= layer < count]:
        raise ValueError(f"there is no layer {wrong[0]}; the layers are 0 to {count - 1}")
    reads, writes = np.zeros((count, 2, hidden), np.float32), np.zeros((count, hidden, 2), np.float32)
    chosen = list(layers)
    theta_p, theta_n = unit(directions.theta_p[chosen]), unit(directions.theta_n[chosen])
    overlap = (theta_p * theta_n).sum(axis=1, keepdims=True)
    reads[chosen] = np.stack([theta_p, theta_n], axis=1)
    add, take = theta_p - overlap * theta_n, theta_n
    writes[chosen] = np.stack([alpha * add, -(alpha if alpha_n is None else alpha_n) * take], axis=2)
    return reads, writes


def best_layers(ccs_loss: Array, count: int) -> tuple[int, ...]:
    """The ``count`` layers of lowest CCS loss, the lowest first; all where there are fewer.

    Raises ValueError for a negative count, and where there is no loss to go by (`Directions.ranking` always
    has an order).
    """
    if count < 0:
        raise ValueError(f"{count} layers cannot be chosen")
    if not np.isfinite(ccs_loss).all():
        raise ValueError(
            "there is no CCS loss of fewer than four pairs; take the first of Directions.ranking"
        )
    return tuple(int(layer) for layer in rank_layers(ccs_loss)[:count])


def as_ffn_down(reads: Array, matrix: Array) -> Array:
    """A′ = A W (r, inner) for A ``reads`` (r, hidden) and W ``matrix`` (hidden, inner), the layer's ffn_down.

    Since the MLP output is x = W h, B A x = B A′ h: B and A′ are a LoRA on ffn_down, without loss where ffn_down
    has no bias. Raises ValueError where the two do not fit.
    """
    if reads.ndim != 2 or matrix.ndim != 2 or reads.shape[1] != matrix.shape[0]:
        raise ValueError(f"A {reads.shape} must be (r, hidden) and W {matrix.shape} (hidden, inner)")
    found: Array = np.ascontiguousarray(reads @ matrix, dtype=np.float32)
    return found
