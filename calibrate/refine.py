"""Step 6, refine: tune the edit by gradient, the model frozen.

Goes in: the full-precision model, tuning and validation samples (query and the person's own answer as token
ids), a start. Comes out: the `Edit` of the best pass.

Minimised over the edit (A, B and v of every block; see `calibrate.edit`), for a group of samples (query q, answer a):

    L = (1/T) Σ nll(a_i | q_i) + λ (1/k) Σ max(0, c − m_i)
    m_i = (nll(h_i | q_j) − nll(h_i | q_i)) / tokens of h_i,   h_i the first tokens of a_i, j ≠ i

The first part is the likelihood of the person's own words, T tokens in all. It alone teaches the manner at the cost
of the matter: the model begins to write what this person usually writes about, whatever it is asked. The second
part keeps to the request: the beginning of an answer shall be likelier after its own request than after another one,
by c nats per token. It is a hinge on the mutual information of request and answer (maximised for dialogue in
arXiv 1510.03055), and is measured on k samples of each group.

It goes beyond CHAMELEON, whose directions are used as they are; on small models it gains about ten times as much.
Tuning stops by validation: the pass with the lowest validation loss is kept, and a pass that is worse than the
best ends it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from calibrate.batching import Sample, batches, memory_errors
from calibrate.edit import Edit
from calibrate.full_model import FullModel

_WARM_UP_STEPS = 5
# The request margin: tokens of h, nats per token c asked for, and samples k of a group it is measured on.
_HEAD_TOKENS = 40
_MARGIN = 1.0
_MARGIN_SAMPLES = 2
_FINAL_RATE = 0.1


@dataclass(frozen=True)
class Tuning:
    """How to tune: passes at most, Adam's learning rates (of A and B, and of v), samples a step, the rank of
    A and B (0 tunes v alone), the weight λ of the request margin, and the seed of the order and of A."""

    passes: int
    learning_rate: float = 5e-3
    vector_rate: float = 1e-2
    samples_per_step: int = 4
    rank: int = 4
    request_weight: float = 0.35
    seed: int = 0


@dataclass(frozen=True)
class Tuned:
    """``edit``: that of the best pass; ``curve``: change of validation loss (nats per token) after each
    pass; ``notes``: what the person should know (a rate that had to be lowered)."""

    edit: Edit
    curve: tuple[float, ...]
    notes: tuple[str, ...]


class Interrupted(Exception):  # noqa: N818 - asked for, so no error
    """Stopped on request between two steps."""


def tune(
    model: FullModel,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    start: Edit,
    tuning: Tuning,
    on_step: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Tuned:
    """Tune from ``start``. ``on_step(done, total)`` counts optimiser steps.

    Raises Interrupted when ``should_stop`` says so. A step that is not finite goes back to the best edit so
    far and halves the rates.
    """
    shuffle = random.Random(tuning.seed)
    steps_a_pass = -(-len(train) // tuning.samples_per_step)
    total = steps_a_pass * tuning.passes
    base = mean_nll(model, validation, None)
    best, best_loss = start, base
    if not start.is_nothing() and (loss := mean_nll(model, validation, start)) < base:
        best_loss = loss
    slower, curve, notes, done = 1.0, [], [], 0
    edit, optimiser = _fresh(best, tuning)
    for _ in range(tuning.passes):
        order = list(range(len(train)))
        shuffle.shuffle(order)
        for first in range(0, len(order), tuning.samples_per_step):
            if should_stop():
                raise Interrupted
            group = [train[index] for index in order[first : first + tuning.samples_per_step]]
            warm_up = min(1.0, (done + 1) / _WARM_UP_STEPS)
            pace = slower * warm_up * (1 - (1 - _FINAL_RATE) * done / total)
            for parameters in optimiser.param_groups:
                parameters["lr"] = parameters["full_rate"] * pace
            finite = _step(model, group, edit, optimiser, tuning.request_weight)
            done += 1
            on_step(done, total)
            if not finite:
                slower /= 2
                notes.append(
                    f"A tuning step was not finite; it was undone and the rate lowered to {slower:.2g} of what it was."
                )
                edit, optimiser = _fresh(best, tuning)
        loss = mean_nll(model, validation, edit.detached())
        curve.append(loss - base)
        if loss < best_loss:
            best, best_loss = edit.detached(), loss
        else:
            break
    kept = best if best_loss < base else Edit.nothing(model.layer_count, model.hidden_size)
    return Tuned(kept, tuple(curve), tuple(notes))


def starting_edit(directions: Sequence[NDArray[np.float32]], rank: int, seed: int) -> Edit:
    """Where tuning begins: an edit that changes nothing yet, but reads along ``directions``.

    ``directions``: unit vectors by block, each (layers, hidden) – θp and θn of the MLP output. They are the first
    rows of A, up to ``rank``; the others are random and of unit length on average. B and v are zero (as LoRA
    begins, arXiv 2106.09685). Beginning with the directions in force instead ends worse: they move every state far,
    and tuning spends its passes on the way back.
    """
    layers, hidden = directions[0].shape
    noise = torch.Generator().manual_seed(seed)
    reads = torch.randn(layers, rank, hidden, generator=noise) / math.sqrt(hidden)
    for row, direction in enumerate(directions[:rank]):
        reads[:, row] = torch.from_numpy(direction)
    return Edit(torch.zeros(layers, hidden), reads, torch.zeros(layers, hidden, rank))


def mean_nll(model: FullModel, samples: Sequence[Sample], edit: Edit | None) -> float:
    """Negative log-likelihood per answer token (nats) under ``edit``."""
    tokens = sum(len(sample.answer) for sample in samples)
    return float(model.nlls(samples, edit).sum()) / max(1, tokens)


def _fresh(edit: Edit, tuning: Tuning) -> tuple[Edit, torch.optim.Optimizer]:
    """A tunable copy of ``edit`` and an optimiser that knows nothing yet."""
    tunable = Edit(*(tensor.detach().clone().requires_grad_() for tensor in edit.tensors))
    groups = [{"params": [tunable.vectors], "full_rate": tuning.vector_rate}]
    if edit.rank:
        groups.append({"params": [tunable.reads, tunable.writes], "full_rate": tuning.learning_rate})
    return tunable, torch.optim.Adam(groups, lr=tuning.learning_rate, betas=(0.9, 0.99))


def _step(
    model: FullModel,
    group: Sequence[Sample],
    edit: Edit,
    optimiser: torch.optim.Optimizer,
    request_weight: float,
) -> bool:
    """One optimiser step over ``group``; False (and no step) where the gradient is not finite.

    Where memory does not suffice it is done again in smaller batches; raises MemoryError when that no longer helps.
    """
    while True:
        optimiser.zero_grad()
        try:
            with memory_errors():
                _backward(model, group, edit, request_weight)
            break
        except MemoryError:
            if not model.batching.shrink():
                raise
    gradients = [tensor.grad for tensor in edit.tensors if tensor.grad is not None]
    if not gradients or not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
        return False
    optimiser.step()
    return True


def _backward(model: FullModel, group: Sequence[Sample], edit: Edit, request_weight: float) -> None:
    """Add the gradient of the loss of ``group`` to that of ``edit``."""
    tokens = sum(len(sample.answer) for sample in group)
    with model.steered(edit):
        asked = min(_MARGIN_SAMPLES, len(group)) if len(group) > 1 and request_weight else 0
        heads = [
            Sample(group[index - 1].prompt, group[index].answer[:_HEAD_TOKENS]) for index in range(asked)
        ]
        lengths = [len(head.answer) for head in heads]
        # Of each head: nll after another sample's request; and the weight of its margin in the loss.
        elsewhere = model.nll(heads) if heads else torch.zeros(0)
        weights = [0.0] * asked
        for batch in batches(group, model.batching.tokens):
            sums = model.nll([group[index] for index in batch], _HEAD_TOKENS)
            loss = sums[:, 0].sum() / tokens
            for row, index in enumerate(batch):
                if index >= asked:
                    continue
                margin = float((elsewhere[index] - sums[row, 1]).detach())
                if margin < _MARGIN * lengths[index]:
                    weights[index] = request_weight / (asked * lengths[index])
                    loss = loss + weights[index] * sums[row, 1]
            loss.backward()  # type: ignore[no-untyped-call]
        if any(weights):
            (-torch.tensor(weights) * elsewhere).sum().backward()  # type: ignore[no-untyped-call]
