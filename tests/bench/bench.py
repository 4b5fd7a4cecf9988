"""The measuring itself: what an artefact does to held-out text, and what is written with it.

Goes in: authors, both models, artefacts. Comes out: `Row`s. This is the only module that looks at held-out passages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibrate.batching import Sample
from calibrate.edit import Edit
from calibrate.measure import Change, answer_tokens
from calibrate.plan import PLANS, Plan
from calibrate.queries import Query
from calibrate.select import evenly
from tests.bench.artefact import Artefact, plain
from tests.bench.authors import Author
from tests.bench.classifier import PASSAGES, Attribution
from tests.bench.embedding import Embedder, own_and_nearest
from tests.bench.learning import Cost
from tests.bench.methods import PLAIN, PLAIN_TITLE
from tests.bench.models import Models
from tests.bench.rows import Likelihood, Row, Writing, change_span, gap_span, mean_span
from tests.bench.textmeasures import overlap, repetition, words

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


@dataclass(frozen=True)
class Sizes:
    """``budget`` and the ``plan`` it buys; held-out passages of the author and of all others; the requests, how long
    an answer may be, and the strengths of the curve."""

    budget: str
    plan: Plan
    held_out: int
    others: int
    requests: tuple[str, ...]
    answer_tokens: int = 120
    strengths: tuple[float, ...] = STRENGTHS


def sizes(budget: str, requests: Sequence[str], *, quick: bool) -> Sizes:
    """The sizes of a full benchmark, or ``quick`` ones that only show that everything runs."""
    if not quick:
        return Sizes(budget, PLANS[budget], held_out=40, others=40, requests=tuple(requests))
    small = replace(PLANS["fast"], passages=8, pairs=4, insight_pairs=1, passes=1)
    small = replace(small, validation=2, held_out=2, others=2)
    return Sizes("quick", small, 3, 3, tuple(requests[:4]), answer_tokens=24, strengths=(0.0, 0.5, 1.0))


class Bench:
    """``authors``: all people, those not learnt from too; they are the others, and known to the classifier."""

    def __init__(self, authors: Sequence[Author], models: Models, sizes: Sizes, seed: int) -> None:
        self.sizes = sizes
        self._models = models
        self._seed = seed
        self._authors = {author.name: author for author in authors}
        self._classifier = Attribution(
            {each.name: [passage.text for passage in evenly(each.parts.train, PASSAGES)] for each in authors}
        )
        self._embedder = Embedder()
        self._requests = self._embedder.embed(sizes.requests)
        self._queries = {each.name: each.queries(seed) for each in authors}
        self._unedited: dict[tuple[tuple[str, ...], int], NDArray[np.float64]] = {}

    def accuracy(self) -> dict[str, float]:
        """The share of real held-out passages the classifier attributes to who wrote them, by author."""
        return self._classifier.accuracy(
            {name: [each.text for each in author.parts.held_out] for name, author in self._authors.items()}
        )

    def plain_row(self, author: str) -> Row:
        """The plain model's answers, as to what they have of ``author``."""
        writing, answers = self._writing(author, plain(), None)
        return Row(author, PLAIN, PLAIN_TITLE, strength=0.0, writing=writing, answers=answers)

    def row(self, author: str, method: str, title: str, artefact: Artefact, cost: Cost) -> Row:
        """Everything measured of ``artefact``, learnt from ``author``."""
        writing, answers = self._writing(author, artefact, None)
        return Row(
            author,
            method,
            title,
            strength=artefact.strength,
            likelihood=self._likelihood(author, artefact),
            writing=writing,
            prompt_tokens=self._prompt_tokens(artefact) - self._prompt_tokens(plain()),
            seconds=cost.seconds,
            peak_bytes=cost.peak_bytes,
            artefact_bytes=artefact.size,
            notes=artefact.notes,
            answers=answers,
        )

    def at_strength(self, author: str, method: str, title: str, artefact: Artefact, strength: float) -> Row:
        """What is written at another ``strength``; nothing else is measured."""
        writing, answers = self._writing(author, artefact, strength)
        return Row(author, method, title, strength=strength, writing=writing, answers=answers)

    def _likelihood(self, author: str, artefact: Artefact) -> Likelihood:
        edit = self._models.edit(artefact)
        rest = [name for name in self._authors if name != author]
        own = self._change((author,), artefact, edit, self.sizes.held_out)
        others = self._change(tuple(rest), artefact, edit, math.ceil(self.sizes.others / len(rest)))
        return Likelihood(change_span(own), change_span(others), gap_span(own, others))

    def _change(
        self, names: tuple[str, ...], artefact: Artefact, edit: Edit | None, passages_each: int
    ) -> Change:
        """On held-out passages of ``names``: from the plain prompt and model to those of ``artefact``."""
        queries = [
            self._queries[name].of(passage.text)
            for name in names
            for passage in evenly(self._authors[name].parts.held_out, passages_each)
        ]
        full, key = self._models.full, (names, passages_each)
        before = self._samples(queries, plain())
        if key not in self._unedited:
            self._unedited[key] = full.nlls(before, None)
        after = self._samples(queries, artefact) if artefact.changes_prompt else before
        return Change(answer_tokens(before), self._unedited[key], full.nlls(after, edit))

    def _samples(self, queries: Sequence[Query], artefact: Artefact) -> list[Sample]:
        return [self._models.sample(artefact.turns(query.text), query.answer) for query in queries]

    def _writing(
        self, author: str, artefact: Artefact, strength: float | None
    ) -> tuple[Writing, tuple[str, ...]]:
        """Measures of the answers to the requests, and the answers."""
        requests = self.sizes.requests
        asked = [artefact.turns(request) for request in requests]
        answers = self._models.answers(asked, artefact.voice(strength), self.sizes.answer_tokens, self._seed)
        cosines, found = own_and_nearest(self._requests, self._embedder.embed(answers))
        hits = [float(name == author) for name in self._classifier.authors_of(answers)]
        writing = Writing(
            attributed=mean_span(hits),
            overlap=float(np.mean([overlap(*each) for each in zip(requests, answers, strict=True)])),
            cosine=float(cosines.mean()),
            finds=float(found.mean()),
            surprise=self._surprise(answers),
            repetition=float(np.mean([repetition(answer) for answer in answers])),
            words=float(np.mean([len(words(answer)) for answer in answers])),
        )
        return writing, tuple(answers)

    def _surprise(self, answers: Sequence[str]) -> float:
        """The plain model's nll per token of ``answers`` after their requests (nats); NaN where all are empty."""
        samples = [
            self._models.sample(plain().turns(request), answer)
            for request, answer in zip(self.sizes.requests, answers, strict=True)
            if answer.strip()
        ]
        if not samples:
            return float("nan")
        return float(self._models.full.nlls(samples, None).sum() / answer_tokens(samples).sum())

    def _prompt_tokens(self, artefact: Artefact) -> float:
        """Tokens of the prompt, mean over the requests."""
        return float(
            np.mean([len(self._models.prompt(artefact.turns(each))) for each in self.sizes.requests])
        )
