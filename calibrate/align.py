"""Step 5, align: from the pairs' embeddings to one direction per layer.

Goes in: own and plain embeddings, each (pairs, layers, hidden) float32, either the MLP outputs (for the
projection edit) or the residual outputs (for control vectors). Comes out: `Directions`, all (layers, hidden) or
(layers,).

Equations
- theta_p: first right singular vector of the **uncentred** matrix of own embeddings, X = U S Vᵀ, θp = V₁
  (CHAMELEON, arXiv 2503.01048, section 3.3).
- theta_n: contrast-consistent search, see `calibrate.ccs`; the layers are ranked by its held-out loss.
- mean difference: mean(own) - mean(plain), the additive direction of StyleVector (arXiv 2503.05213).
- principal difference: first principal component of the centred own - plain, as repeng has it.
- start: the mean difference without the part that every answer shares. θp of an uncentred matrix is mostly the
  mean state of any text, so what remains of the difference beside it is what tells the person apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibrate.ccs import FEWEST_PAIRS, Normalise, cross_validated_loss, rank_layers, search, unit

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Directions:
    """``theta_p``, ``theta_n``: unit vectors; ``difference``: mean difference.

    ``start``: where an additive edit may begin; the product's refine begins at nothing, see `refine.starting_edit`.

    ``separation`` says per layer how well the difference tells own from plain answers: the share of pairs
    whose own answer lies further along it than the plain one, each pair judged by the others (leave-one-out);
    NaN with one pair. ``ccs_loss``: the CCS loss on pairs not trained on, lower is better; NaN with fewer than
    four pairs. ``ranking``: the layers, the one to edit first at the front.
    """

    theta_p: Array
    theta_n: Array
    difference: Array
    start: Array
    separation: Array
    ccs_loss: Array
    ranking: NDArray[np.intp]


def align(own: Array, plain: Array, seed: int = 0, normalise: Normalise = "each side") -> Directions:
    """Directions of every layer. Raises ValueError where the two differ in shape or hold no pair.

    CCS needs four pairs. With fewer, so that one history item is enough to begin with, theta_n is where plain
    lies seen from own (the mean difference, reversed and normalised), and the layers are ranked by separation,
    then by how large the difference is beside the states themselves.
    """
    if own.shape != plain.shape or own.ndim != 3 or not len(own):
        raise ValueError(f"own {own.shape} and plain {plain.shape} must be (pairs, layers, hidden) alike")
    theta_p = np.stack([leading_direction(own[:, layer]) for layer in range(own.shape[1])])
    difference = mean_difference(own, plain)
    shared = (difference * theta_p).sum(axis=1, keepdims=True) * theta_p
    separation = _separation(own - plain)
    if len(own) < FEWEST_PAIRS:
        theta_n, ccs_loss = unit(-difference), np.full(own.shape[1], np.nan, dtype=np.float32)
        ranking = np.lexsort((-_relative_size(own, plain), -np.nan_to_num(separation)))
    else:
        theta_n = search(own, plain, seed, normalise=normalise).theta_n
        ccs_loss = cross_validated_loss(own, plain, seed, normalise=normalise)
        ranking = rank_layers(ccs_loss)
    return Directions(
        theta_p=theta_p,
        theta_n=theta_n,
        difference=difference,
        start=(difference - shared).astype(np.float32),
        separation=separation,
        ccs_loss=ccs_loss,
        ranking=ranking,
    )


def leading_direction(embeddings: Array) -> Array:
    """θp of one layer: the first right singular vector of ``embeddings`` (pairs, hidden), uncentred.

    Its sign is chosen so that the embeddings lie on its positive side on average.
    """
    _, _, axes = np.linalg.svd(embeddings, full_matrices=False)
    axis: Array = axes[0].astype(np.float32)
    return -axis if float((embeddings @ axis).mean()) < 0 else axis


def mean_difference(own: Array, plain: Array) -> Array:
    """mean(own) - mean(plain) of every layer: (layers, hidden), not normalised."""
    found: Array = (own - plain).mean(axis=0)
    return found


def principal_difference(own: Array, plain: Array) -> Array:
    """First principal component of the centred own - plain of every layer: (layers, hidden), unit vectors.

    As repeng's ``pca_diff`` (github.com/vgel/repeng, extract.py), except that the sign is the mean difference's.
    It is the axis along which the differences *vary* most, not where they point. One pair varies along none; the
    difference itself is given, normalised.
    """
    mean = mean_difference(own, plain)
    if len(own) < 2:
        return unit(mean)
    differences = (own - plain).swapaxes(0, 1)  # (layers, pairs, hidden)
    _, _, axes = np.linalg.svd(differences - mean[:, None], full_matrices=False)
    axis: Array = axes[:, 0].astype(np.float32)
    return np.where((axis * mean).sum(axis=1, keepdims=True) < 0, -axis, axis)


def _separation(differences: Array) -> Array:
    """Share of pairs (per layer) on the positive side of the mean of the *other* pairs' differences."""
    count = len(differences)
    if count < 2:
        return np.full(differences.shape[1], np.nan, dtype=np.float32)
    others = (differences.sum(axis=0, keepdims=True) - differences) / (count - 1)
    share: Array = ((differences * others).sum(axis=2) > 0).mean(axis=0).astype(np.float32)
    return share


def _relative_size(own: Array, plain: Array) -> Array:
    """Length of the mean difference over the length of the mean state: (layers,); 0 where there is no state."""
    state = np.linalg.norm((own + plain).mean(axis=0) / 2, axis=1)
    size = np.linalg.norm(mean_difference(own, plain), axis=1)
    found: Array = np.divide(size, state, out=np.zeros_like(size), where=state > 0)
    return found
