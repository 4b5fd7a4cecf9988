"""What a method is given to learn from, and what it is.

A method learns in a process of its own (see `tests.bench.learning`), from a `Lesson`, and gives an `Artefact`; the
artefact says how it is scored and how it generates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from calibrate.messages import Job, JobPassage
from calibrate.plan import Plan
from calibrate.queries import Queries
from calibrate.select import Split, split
from calibrate.text import Rarity
from tests.bench.artefact import Artefact


class NotEnoughError(ValueError):
    """The history is too small for the method; the message says what is missing."""


@dataclass(frozen=True)
class Lesson:
    """The training and the validation share of a history, and what a run may spend (``plan``).

    ``job`` is for the product's own run only: it holds the whole history, which the run shares out for itself, alike.
    """

    job: Job
    plan: Plan

    @property
    def train(self) -> tuple[JobPassage, ...]:
        """What to learn from."""
        return self._parts.train

    @property
    def validation(self) -> tuple[JobPassage, ...]:
        """What to choose settings by."""
        return self._parts.validation

    @property
    def seed(self) -> int:
        """Makes learning repeatable."""
        return self.job.settings.seed

    @property
    def folder(self) -> Path:
        """Where the method's files go."""
        return Path(self.job.output_dir)

    @cached_property
    def queries(self) -> Queries:
        """Fabricates the requests the passages answer, as a run does."""
        return Queries(Rarity(each.text for each in (*self.train, *self.validation)), self.seed)

    @cached_property
    def _parts(self) -> Split:
        return split(self.job.documents)


class Method(Protocol):
    """A way to make a model write like a person. ``name`` is typed and stored, ``title`` shown."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    def learn(self, lesson: Lesson) -> Artefact:
        """Learn, files into the lesson's folder. Raises `NotEnoughError`, and what the product's own run raises."""
        ...
