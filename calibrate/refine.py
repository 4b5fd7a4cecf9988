"""Step 6, refine: tune the per-layer vectors by gradient, the model frozen.

Goes in: the full-precision model, tuning and validation samples (query and the person's own answer as token
ids), a start. Comes out: the edit of the best pass, (layers, hidden) float32, row 0 zero.

Minimised, over the vectors v (one per block n ≥ 1, added to the block's output):
L(v) = −(1/T) Σ log p_v(own token | query, own tokens before it), T tokens of a batch.
It goes beyond CHAMELEON, whose directions are used as they are; on small models it gains about ten times as much.
Tuning stops by validation: the pass with the lowest validation loss is kept, and a pass that is worse than the
best ends it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from calibrate.full_model import MICRO_BATCH_TOKENS, FullModel, Sample, batches

_WARM_UP_STEPS = 5
_FINAL_RATE = 0.1


@dataclass(frozen=True)
class Tuning:
    """How to tune: passes at most, Adam's learning rate, samples a step, and the seed of the order."""

    passes: int
    learning_rate: float = 1e-2
    samples_per_step: int = 4
    seed: int = 0


@dataclass(frozen=True)
class Tuned:
    """``edit``: the vectors of the best pass; ``curve``: change of validation loss (nats per token) after each
    pass; ``notes``: what the person should know (a rate that had to be lowered)."""

    edit: Tensor
    curve: tuple[float, ...]
    notes: tuple[str, ...]


class Interrupted(Exception):  # noqa: N818 - asked for, so no error
    """Stopped on request between two steps."""


def tune(
    model: FullModel,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    start: Tensor,
    tuning: Tuning,
    on_step: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Tuned:
    """Tune from ``start`` (layers, hidden). ``on_step(done, total)`` counts answered tokens' batches.

    Raises Interrupted when ``should_stop`` says so. A step that is not finite goes back to the best edit so
    far and halves the rate.
    """
    shuffle = random.Random(tuning.seed)
    steps_a_pass = -(-len(train) // tuning.samples_per_step)
    total = steps_a_pass * tuning.passes
    base = mean_nll(model, validation, None)
    best, best_loss = torch.zeros_like(start, dtype=torch.float32), base
    if start.any() and (loss := mean_nll(model, validation, start)) < base:
        best, best_loss = start.float(), loss
    rate, curve, notes, done = tuning.learning_rate, [], [], 0
    edit, optimiser = _fresh(best, rate)
    for _ in range(tuning.passes):
        order = list(range(len(train)))
        shuffle.shuffle(order)
        for first in range(0, len(order), tuning.samples_per_step):
            if should_stop():
                raise Interrupted
            group = [train[index] for index in order[first : first + tuning.samples_per_step]]
            decay = 1 - (1 - _FINAL_RATE) * done / total
            for parameters in optimiser.param_groups:
                parameters["lr"] = rate * min(1.0, (done + 1) / _WARM_UP_STEPS) * decay
            if _step(model, group, edit, optimiser):
                done += 1
                on_step(done, total)
                continue
            rate /= 2
            notes.append(f"A tuning step was not finite; it was undone and the rate lowered to {rate:.2g}.")
            edit, optimiser = _fresh(best, rate)
            done += 1
        loss = mean_nll(model, validation, edit.detach())
        curve.append(loss - base)
        if loss < best_loss:
            best, best_loss = edit.detach().clone(), loss
        else:
            break
    return Tuned(best, tuple(curve), tuple(notes))


def mean_nll(model: FullModel, samples: Sequence[Sample], edit: Tensor | None) -> float:
    """Negative log-likelihood per answer token (nats) under ``edit``."""
    tokens = sum(len(sample.answer) for sample in samples)
    return float(model.nlls(samples, edit).sum()) / max(1, tokens)


def _fresh(edit: Tensor, rate: float) -> tuple[Tensor, torch.optim.Optimizer]:
    """A tunable copy of ``edit`` and an optimiser that knows nothing yet."""
    tunable = edit.clone().requires_grad_()
    return tunable, torch.optim.Adam([tunable], lr=rate, betas=(0.9, 0.99))


def _step(model: FullModel, group: Sequence[Sample], edit: Tensor, optimiser: torch.optim.Optimizer) -> bool:
    """One optimiser step over ``group``; False (and no step) where the gradient is not finite."""
    tokens = sum(len(sample.answer) for sample in group)
    optimiser.zero_grad()
    for batch in batches(group, MICRO_BATCH_TOKENS):
        with model.steered(edit):
            loss = model.nll([group[index] for index in batch]).sum() / tokens
        loss.backward()  # type: ignore[no-untyped-call]
    if edit.grad is None or not bool(torch.isfinite(edit.grad).all()):
        return False
    optimiser.step()
    return True
