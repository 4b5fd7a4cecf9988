"""Contrast-consistent search (CCS): θn, the direction of the plain side, and how well each layer tells the sides.

Goes in: own and plain embeddings, each (pairs, layers, hidden) float32. Comes out: one unit vector per layer,
(layers, hidden), and one loss per layer, (layers,), no unit.

Per layer (Burns et al., ICLR 2023, arXiv 2212.03827, section 2.2), for pairs i = 1 … n:

    z       each side less its own mean, over its own deviation, dimension by dimension
    u       the leading principal components of both sides' z together, each scaled to variance 1
    p(u)    σ(w·u + b), the probe
    L(w, b) = (1/n) Σ [p(ownᵢ) − (1 − p(plainᵢ))]² + min(p(ownᵢ), p(plainᵢ))²     consistency + confidence

CHAMELEON (arXiv 2503.01048, section 3.3) takes θn from the probe and edits the layers of lowest L. What is done
differently here, and why: a person brings tens of pairs and a layer has hundreds of dimensions, so there is a w
that separates *any* pairs and every layer reaches L ≈ 0. Hence the few components, and layers are ranked by L on
pairs that were not trained on (`cross_validated_loss`). A probe that says 0.4 to everything has L = 0.2
(`UNINFORMED`): held-out losses of about that much and more are no signal.

**What CCS does not see.** Normalising each side by itself takes away the mean difference between the sides. In
Burns et al. that is the purpose ("yes" and "no" would tell the sides apart, while which of them is true varies
from pair to pair). Here own is always own, so a manner that shifts every answer alike is invisible; only what
moves own and plain in opposite senses from pair to pair is found. ``normalise="together"``, one mean and one
deviation for both sides, keeps the shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]
Exact = NDArray[np.float64]
Normalise = Literal["each side", "together"]

FEWEST_PAIRS = 4
UNINFORMED = 0.2
_COMPONENTS = 8
# A probe of k + 1 numbers needs more pairs than that to say anything about others.
_PAIRS_A_COMPONENT = 4
_STARTS = 10
_STEPS = 300
_RATE = 0.05
_WEIGHT_DECAY = 0.01
# A dimension or component whose deviation is below this share of its size is constant but for rounding.
_CONSTANT = 1e-6


@dataclass(frozen=True)
class Probes:
    """``theta_n`` (layers, hidden); ``training_loss`` (layers,), L on the pairs trained on: no ground to rank by."""

    theta_n: Array
    training_loss: Array


def search(
    own: Array,
    plain: Array,
    seed: int = 0,
    components: int | None = None,
    normalise: Normalise = "each side",
) -> Probes:
    """θn of every layer, from the best of several starts on all pairs.

    θn is the normal of the probe's hyperplane among plain embeddings: without its part along θn, every plain
    embedding reads the same. CCS itself knows no sign; it is set so that plain lies further along θn than own on
    average. Unit vectors, except where a layer holds the same for every answer: zero there. ``components`` None
    means 8, or one for every four pairs trained on where that is less. Raises ValueError for fewer than four
    pairs.
    """
    _check(own, plain)
    everything = np.ones((1, len(own)), dtype=bool)
    own_parts, plain_parts, back = _reduced(own, plain, everything, components, normalise)
    weights, bias = _best_probes(own_parts, plain_parts, torch.ones(own_parts.shape[:2]), seed)
    loss = _losses(own_parts, plain_parts, weights[:, None], bias[:, None]).mean(dim=(1, 2))
    found = unit(np.einsum("lk,lkh->lh", weights.double().numpy(), back[0]))
    away = ((plain.mean(axis=0) - own.mean(axis=0)) * found).sum(axis=1, keepdims=True)
    return Probes(np.where(away < 0, -found, found), loss.numpy())


def cross_validated_loss(
    own: Array,
    plain: Array,
    seed: int = 0,
    folds: int = 5,
    components: int | None = None,
    normalise: Normalise = "each side",
) -> Array:
    """L of every layer on pairs its probe was not trained on: (layers,), the mean over the pairs.

    The pairs are dealt at random into ``folds``; normalisation and components, too, are fitted without the fold.
    ``components`` as in `search`. Raises ValueError for fewer than four pairs or two folds.
    """
    _check(own, plain)
    if folds < 2:
        raise ValueError(f"{folds} folds leave nothing to train on; give 2 or more")
    pairs, layers = own.shape[:2]
    folds = min(folds, pairs)
    dealt = np.random.default_rng(seed).permutation(pairs) % folds
    train = dealt[None, :] != np.arange(folds)[:, None]  # (folds, pairs)
    own_parts, plain_parts, _ = _reduced(own, plain, train, components, normalise)
    trained = torch.from_numpy(train).float().repeat_interleave(layers, dim=0)  # (folds · layers, pairs)
    weights, bias = _best_probes(own_parts, plain_parts, trained, seed)
    losses = _losses(own_parts, plain_parts, weights[:, None], bias[:, None])[:, 0]
    held_out = ((1 - trained) * losses).reshape(folds, layers, pairs).sum(dim=0)
    found: Array = held_out.mean(dim=1).numpy()
    return found


def rank_layers(ccs_loss: Array) -> NDArray[np.intp]:
    """Layers from the lowest loss to the highest: (layers,)."""
    order: NDArray[np.intp] = np.argsort(ccs_loss, kind="stable")
    return order


def ranking_stability(losses: Sequence[Array]) -> float:
    """Mean Spearman correlation over all couples of rankings, one (layers,) of losses per seed: −1 … 1.

    1 where every seed ranks the layers alike, about 0 where the ranking is chance. Raises ValueError for fewer
    than two.
    """
    if len(losses) < 2:
        raise ValueError("stability takes the losses of two seeds or more")
    return float(np.mean([spearman(first, second) for first, second in combinations(losses, 2)]))


def spearman(first: Array, second: Array) -> float:
    """Spearman's rank correlation; equal values share their mean rank. NaN where one side is all equal."""
    ranks = []
    for values in (first, second):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts + 1) / 2)[place])
    left, right = (rank - rank.mean() for rank in ranks)
    size = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / size if size else float("nan")


def unit(vectors: NDArray[np.floating[Any]]) -> Array:
    """``vectors`` (…, hidden) scaled to length 1; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    found: Array = scaled.astype(np.float32)
    return found


def _check(own: Array, plain: Array) -> None:
    if own.shape != plain.shape or own.ndim != 3:
        raise ValueError(f"own {own.shape} and plain {plain.shape} must be (pairs, layers, hidden) alike")
    if len(own) < FEWEST_PAIRS:
        raise ValueError(f"CCS needs {FEWEST_PAIRS} pairs or more, there are {len(own)}")


def _reduced(
    own: Array, plain: Array, train: NDArray[np.bool_], components: int | None, normalise: Normalise
) -> tuple[Tensor, Tensor, Exact]:
    """u of both sides for every fold, and the way back.

    ``train`` (folds, pairs) says which pairs the normalisation and the components are fitted on; all pairs are
    transformed. Gives own and plain, each (folds · layers, pairs, k), and ``back`` (folds, layers, k, hidden):
    w · u rises by w @ back per unit of the plain side's embedding.
    """
    layers, hidden = own.shape[1:]
    fewest = int(train.sum(axis=1).min())
    count = min(_COMPONENTS, fewest // _PAIRS_A_COMPONENT) if components is None else components
    count = max(1, min(count, hidden, 2 * fewest))
    own_rows, plain_rows = (side.swapaxes(0, 1).astype(np.float64) for side in (own, plain))
    parts: tuple[list[Exact], list[Exact]] = ([], [])
    back = np.empty((len(train), layers, count, hidden))
    for fold, fitted in enumerate(train):
        own_z, plain_z, deviation = _normalised(own_rows, plain_rows, fitted, normalise)
        axes = _whitening_axes(np.concatenate([own_z[:, fitted], plain_z[:, fitted]], axis=1), count)
        for part, z in zip(parts, (own_z, plain_z), strict=True):
            part.append(z @ axes.swapaxes(1, 2))
        back[fold] = axes / deviation
    own_parts, plain_parts = (torch.from_numpy(np.concatenate(part)).float() for part in parts)
    return own_parts, plain_parts, back


def _normalised(
    own: Exact, plain: Exact, fitted: NDArray[np.bool_], normalise: Normalise
) -> tuple[Exact, Exact, Exact]:
    """z of own and plain, each (layers, pairs, hidden), and the plain side's deviation (layers, 1, hidden).

    A dimension that does not vary gets an infinite deviation, so that it is 0 everywhere.
    """
    fits = [own[:, fitted], plain[:, fitted]]
    if normalise == "together":
        fits = [np.concatenate(fits, axis=1)] * 2
    z, deviation = [], np.empty(0)
    for side, fit in zip((own, plain), fits, strict=True):
        mean, deviation = fit.mean(axis=1, keepdims=True), fit.std(axis=1, keepdims=True)
        deviation = np.where(deviation > _CONSTANT * np.abs(mean), deviation, np.inf)
        z.append((side - mean) / deviation)
    return z[0], z[1], deviation


def _whitening_axes(rows: Exact, count: int) -> Exact:
    """The ``count`` leading principal axes of ``rows`` (layers, n, hidden), which have mean 0.

    Each is divided by the deviation along it, so that one learning rate fits every layer. An axis along which
    nothing varies is 0.
    """
    _, values, axes = np.linalg.svd(rows, full_matrices=False)
    deviation = values[:, :count] / np.sqrt(rows.shape[1])
    real = deviation > _CONSTANT * deviation[:, :1]
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=real)
    scaled: Exact = axes[:, :count] * scale[:, :, None]
    return scaled


def _best_probes(own: Tensor, plain: Tensor, trained: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """w (problems, k) and b (problems,) of the start that ends with the lowest training loss.

    ``own`` and ``plain`` (problems, pairs, k); ``trained`` (problems, pairs) is 1 for the pairs to train on. The
    starts are the same for every problem, so that a layer's result does not depend on its neighbours.
    """
    problems, _, count = own.shape
    first = torch.randn(_STARTS, count, generator=torch.Generator().manual_seed(seed))
    weights = first.expand(problems, -1, -1).clone().requires_grad_()
    bias = torch.zeros(problems, _STARTS, requires_grad=True)
    share = (trained / trained.sum(dim=1, keepdim=True))[:, None]
    optimiser = torch.optim.AdamW([weights, bias], lr=_RATE, weight_decay=_WEIGHT_DECAY)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        # A sum over problems and starts: none has a gradient on another's probe.
        (_losses(own, plain, weights, bias) * share).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        best = (_losses(own, plain, weights, bias) * share).sum(dim=2).argmin(dim=1)
        problem = torch.arange(problems)
        return weights[problem, best].clone(), bias[problem, best].clone()


def _losses(own: Tensor, plain: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """Consistency + confidence of every pair: (problems, starts, pairs)."""
    p_own, p_plain = (
        torch.sigmoid(weights @ side.transpose(1, 2) + bias[:, :, None]) for side in (own, plain)
    )
    return (p_own - (1 - p_plain)) ** 2 + torch.minimum(p_own, p_plain) ** 2
