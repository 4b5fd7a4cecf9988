"""Step 5, align: from the pairs' embeddings to one direction per layer.

Goes in: own and plain embeddings, each (pairs, layers, hidden) float32. Comes out: `Directions`, all
(layers, hidden) or (layers,).

Equations
- theta_p: first right singular vector of the **uncentred** matrix of own embeddings, X = U S Vᵀ, θp = V₁
  (CHAMELEON, arXiv 2503.01048, section 3.3).
- mean difference: mean(own) - mean(plain), the additive direction of StyleVector (arXiv 2503.05213).
- start: the mean difference without the part that every answer shares. θp of an uncentred matrix is mostly the
  mean state of any text, so what remains of the difference beside it is what tells the person apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Directions:
    """``theta_p``: unit vectors; ``difference``: mean difference; ``start``: where refine begins.

    ``separation`` says per layer how well the difference tells own from plain answers: the share of pairs
    whose own answer lies further along it than the plain one, each pair judged by the others (leave-one-out).
    """

    theta_p: Array
    difference: Array
    start: Array
    separation: Array


def align(own: Array, plain: Array) -> Directions:
    """Directions of every layer. Raises ValueError where the two differ in shape or hold no pair."""
    if own.shape != plain.shape or own.ndim != 3 or not len(own):
        raise ValueError(f"own {own.shape} and plain {plain.shape} must be (pairs, layers, hidden) alike")
    theta_p = np.stack([leading_direction(own[:, layer]) for layer in range(own.shape[1])])
    difference = (own - plain).mean(axis=0)
    shared = (difference * theta_p).sum(axis=1, keepdims=True) * theta_p
    return Directions(
        theta_p=theta_p,
        difference=difference,
        start=(difference - shared).astype(np.float32),
        separation=_separation(own - plain),
    )


def leading_direction(embeddings: Array) -> Array:
    """θp of one layer: the first right singular vector of ``embeddings`` (pairs, hidden), uncentred.

    Its sign is chosen so that the embeddings lie on its positive side on average.
    """
    _, _, axes = np.linalg.svd(embeddings, full_matrices=False)
    axis: Array = axes[0].astype(np.float32)
    return -axis if float((embeddings @ axis).mean()) < 0 else axis


def _separation(differences: Array) -> Array:
    """Share of pairs (per layer) on the positive side of the mean of the *other* pairs' differences."""
    count = len(differences)
    if count < 2:
        return np.full(differences.shape[1], np.nan, dtype=np.float32)
    others = (differences.sum(axis=0, keepdims=True) - differences) / (count - 1)
    share: Array = ((differences * others).sum(axis=2) > 0).mean(axis=0).astype(np.float32)
    return share
