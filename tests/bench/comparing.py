"""One comparison: every chosen method on every chosen author, learnt, measured and kept.

Goes in: a `Bench` and what is to be learnt. Comes out: `Row`s, the plain model's first for each author.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calibrate.messages import Job, JobDocument, Settings
from calibrate.plan import Plan
from tests.bench.authors import Author
from tests.bench.bench import Bench
from tests.bench.keeping import Keeper, Learnt
from tests.bench.learning import Assignment, Failed, learn_apart
from tests.bench.methods import PLAIN, method_named
from tests.bench.rows import Row

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """``model_path`` and ``weights_path`` as in a `calibrate.messages.Job`; ``tell`` gets a line at each step."""

    bench: Bench
    keeper: Keeper
    model_path: str
    weights_path: str
    seed: int
    tell: Tell

    def plain(self, author: Author) -> Row:
        """The plain model."""
        name = f"{author.name}.{PLAIN}"
        found = self.keeper.row(name)
        if found is None:
            self.tell(f"{author.name}: {PLAIN} model")
            found = self.bench.plain_row(author.name)
            self.keeper.keep(name, found)
        return found

    def row(self, author: Author, method: str) -> Row:
        """``method`` on ``author``, with the budget of the benchmark."""
        sizes = self.bench.sizes
        return self.row_of(author, method, method, author.documents, sizes.budget, sizes.plan)

    def row_of(
        self,
        author: Author,
        method: str,
        label: str,
        documents: Sequence[JobDocument],
        budget: str,
        plan: Plan,
    ) -> Row:
        """``method`` learnt from ``documents`` of ``author``, kept under ``label``."""
        name, title = f"{author.name}.{label}", method_named(method).title
        if (kept := self.keeper.row(name)) is not None:
            return kept
        learnt = self._learnt(author, method, label, documents, budget, plan)
        if isinstance(learnt, Failed):
            self.tell(f"{author.name}: {label}: {learnt.message}")
            reason = learnt.message if learnt.known else f"broke: {learnt.message}"
            return Row(author.name, label, title, failed=reason)
        row = self.bench.row(author.name, label, title, learnt.artefact, learnt.cost)
        self.keeper.keep(name, row)
        return row

    def curve(self, author: Author, method: str, plain: Row, at_best: Row) -> list[Row]:
        """What ``method`` writes at each strength of the curve; what is measured already is not measured again."""
        learnt = self.keeper.learnt(f"{author.name}.{method}.learnt")
        if learnt is None or at_best.failed:
            return []
        known = {0.0: plain, learnt.artefact.strength: at_best}
        points = []
        for strength in self.bench.sizes.strengths:
            name = f"{author.name}.{method}.at-{strength}"
            row = known.get(strength) or self.keeper.row(name)
            if row is None:
                self.tell(f"{author.name}: {method} at strength {strength}")
                row = self.bench.at_strength(author.name, method, at_best.title, learnt.artefact, strength)
                self.keeper.keep(name, row)
            points.append(row)
        return points

    def _learnt(
        self,
        author: Author,
        method: str,
        label: str,
        documents: Sequence[JobDocument],
        budget: str,
        plan: Plan,
    ) -> Learnt | Failed:
        name = f"{author.name}.{label}.learnt"
        if (kept := self.keeper.learnt(name)) is not None:
            return kept
        self.tell(f"{author.name}: {label}: learning")
        folder = self.keeper.workshop(author.name, label)
        job = Job(
            voice=author.name,
            model_path=self.model_path,
            weights_path=self.weights_path,
            documents=tuple(documents),
            output_dir=str(folder),
            settings=Settings(budget, self.seed),
        )
        outcome, cost = learn_apart(Assignment(method, plan, job))
        if isinstance(outcome, Failed):
            return outcome
        self.tell(f"{author.name}: {label}: {cost.seconds:.0f} s, {cost.peak_bytes / 2**20:.0f} MB")
        learnt = Learnt(outcome, cost)
        self.keeper.keep(name, learnt)
        return learnt
