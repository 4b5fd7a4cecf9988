"""What is learnt from one user's profile, in two ways: the paper's projection edit, and the refined edit.

Goes in: the `User`. Comes out: a `Lesson`, and from it an `Edit`, or None where there is nothing to learn. At most
`ITEMS` profile items are used, the most representative ones, as CHAMELEON does (arXiv 2503.01048, section 3.1); every
fourth is kept for validation.

The pairs (query, own, plain) are of history: own is what the user really answered about the item, plain what the
plain model answers to the same query. For tweets the query has to be fabricated, since a profile holds the tweet
alone: the plain model paraphrases it, and the query asks for a paraphrase of that. So the benchmark's own questions
were made, by a larger model; what the small one makes of a tweet that has hardly a word of it is left out. Pairs whose
two sides are the same show no difference and give no direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from calibrate.align import Directions, align
from calibrate.batching import Sample
from calibrate.edit import Edit
from calibrate.full_model import FullModel
from calibrate.messages import JobPassage
from calibrate.projection import projection_edit
from calibrate.read import read
from calibrate.refine import Tuning, mean_nll, starting_edit, tune
from calibrate.select import representative
from tests.bench.lamp_answers import Answers
from tests.bench.lamp_data import Item, User
from tests.bench.lamp_tasks import Task
from tests.bench.steering import ALPHAS, LAYERS
from tests.bench.textmeasures import overlap

ITEMS = 16
_VALIDATION_EVERY = 4
_PASSES = 4
# The share of the tweet's content words that a paraphrase of it has at least.
_CONTENT_KEPT = 1 / 3


@dataclass(frozen=True)
class Pair:
    """The same query answered by the user and by the plain model."""

    query: str
    own: str
    plain: str


@dataclass(frozen=True)
class Lesson:
    """``train`` and ``validation``: queries with the user's own answers; ``directions``: of the MLP outputs of the
    training pairs. ``keeps_to_request``: whether an answer carries what was asked, as a text does and a label not."""

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    directions: Directions
    keeps_to_request: bool


@dataclass(frozen=True)
class Way:
    """A way of learning; ``learn`` (model, lesson, seed) gives None where the plain model is the best it found."""

    name: str
    title: str
    learn: Callable[[FullModel, Lesson, int], Edit | None]


def fabricated(answers: Answers, task: Task, user: User) -> list[Pair]:
    """The pairs of ``user``'s most representative items."""
    passages = [JobPassage(place, item.text) for place, item in enumerate(user.profile)]
    items = [user.profile[passage.id] for passage in representative(passages, ITEMS)]
    queries = [task.query(item.text) for item in items]
    if not task.labels:
        neutral = answers.written(queries, None)
        items, queries = _asked_back(task, items, neutral)
    plain = answers.written(queries, None)
    return [Pair(query, item.answer, text) for query, item, text in zip(queries, items, plain, strict=True)]


def lesson_of(
    answers: Answers, full: FullModel, task: Task, pairs: Sequence[Pair], seed: int
) -> Lesson | None:
    """What there is to learn from ``pairs``; None where no pair shows a difference."""
    train, validation = shares(pairs)
    shown = [pair for pair in train if pair.plain and pair.own != pair.plain]
    if not shown:
        return None
    readings = read(
        full,
        [answers.sample(pair.query, pair.own) for pair in shown],
        [answers.sample(pair.query, pair.plain) for pair in shown],
        lambda done, total: None,
        lambda: False,
    )
    own, rest = (
        tuple(answers.sample(pair.query, pair.own, ends=True) for pair in share)
        for share in (train, validation)
    )
    return Lesson(own, rest, align(readings.own.mlp, readings.plain.mlp, seed), not task.labels)


def shares(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Training and validation share; a single pair has to serve as both."""
    validation = list(pairs[_VALIDATION_EVERY - 1 :: _VALIDATION_EVERY]) or list(pairs[-1:])
    train = [pair for pair in pairs if pair not in validation]
    return train or list(pairs), validation


def projection(full: FullModel, lesson: Lesson, _seed: int, alpha: float = 1.0) -> Edit | None:
    """CHAMELEON's edit in the layers of lowest CCS loss, at full strength as the paper has it."""
    layers = [int(layer) for layer in lesson.directions.ranking[:LAYERS]]
    reads, writes = map(torch.from_numpy, projection_edit(lesson.directions, layers, alpha))
    return Edit(torch.zeros(full.layer_count, full.hidden_size), reads, writes)


def projection_chosen(full: FullModel, lesson: Lesson, seed: int) -> Edit | None:
    """The same edit at the strength that is best on validation, which may be none."""
    best, lowest = None, mean_nll(full, lesson.validation, None)
    for alpha in ALPHAS:
        edit = projection(full, lesson, seed, alpha)
        if (found := mean_nll(full, lesson.validation, edit)) < lowest:
            best, lowest = edit, found
    return best


def refined(full: FullModel, lesson: Lesson, seed: int) -> Edit | None:
    """The edit tuned by gradient for a few passes over the items.

    The request margin is for texts: that a label fits one request better than another says nothing.
    """
    how = Tuning(passes=_PASSES, seed=seed)
    if not lesson.keeps_to_request:
        how = Tuning(passes=_PASSES, seed=seed, request_weight=0.0)
    start = starting_edit((lesson.directions.theta_p, lesson.directions.theta_n), how.rank, seed)
    edit = tune(
        full, lesson.train, lesson.validation, start, how, lambda done, total: None, lambda: False
    ).edit
    return None if edit.is_nothing() else edit


WAYS = (
    Way("projection", "projection edit (CHAMELEON), full strength", projection),
    Way("projection-chosen", "projection edit, strength by validation", projection_chosen),
    Way("refined", "refined edit", refined),
)


def _asked_back(task: Task, items: Sequence[Item], neutral: Sequence[str]) -> tuple[list[Item], list[str]]:
    """The items the plain model has paraphrased, and the requests to say that in the user's words."""
    kept = [
        (item, text)
        for item, text in zip(items, neutral, strict=True)
        if text not in ("", item.answer) and overlap(item.answer, text) >= _CONTENT_KEPT
    ]
    return [item for item, _ in kept], [task.query(text) for _, text in kept]
