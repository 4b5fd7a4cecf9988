"""The result of a LaMP run: every way's answers, the metrics of them, the table and the object to print.

Goes in: answers in the order of the users, seconds. Comes out: numbers by name, a Markdown table, an object for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.bench.lamp_data import User
from tests.bench.lamp_metrics import change_interval
from tests.bench.lamp_tasks import Task
from tests.bench.methods import PLAIN
from tests.bench.tables import Numbers, number, table

LEGEND = """
- Each metric is over {users} users, an arrow saying which way is better; beside it the change from the plain model,
  with the 95 % bootstrap interval over users.
- Labels are chosen by likelihood at full precision, texts are written greedily by the quantised model.
- seconds: of learning, per user; fabricating and reading the pairs, {pairs:.1f} s, is the same for all. unlearnt: users
  for whom the plain model answers, since their items show no difference or nothing learnt was better on validation.
""".strip()


@dataclass
class Row:
    """One way's answers, in the order of the users; ``seconds`` of learning in all; ``unlearnt`` users."""

    title: str
    answers: list[str] = field(default_factory=list)
    seconds: float = 0.0
    unlearnt: int = 0


@dataclass(frozen=True)
class Result:
    """``rows`` by name, the plain model's among them; ``pair_seconds``: fabricating and reading the pairs, in all."""

    task: Task
    users: Sequence[User]
    rows: dict[str, Row]
    pair_seconds: float

    def numbers(self, name: str) -> dict[str, float]:
        """The metrics of a row, their change from the plain model with its interval, and the costs."""
        row, golds = self.rows[name], [user.gold for user in self.users]
        found = {label: metric(golds, row.answers) for label, metric in self.task.metrics.items()}
        if name == PLAIN:
            return found
        before = self.rows[PLAIN].answers
        for label, metric in self.task.metrics.items():
            low, high = change_interval(metric, golds, before, row.answers)
            found[f"{label} change"] = found[label] - metric(golds, before)
            found |= {f"{label} low": low, f"{label} high": high}
        return {**found, "seconds": row.seconds / len(golds), "unlearnt": float(row.unlearnt)}

    def table(self) -> str:
        """The rows as a table, and what its columns mean."""
        columns: dict[str, Callable[[Numbers], str]] = {}
        for label in self.task.metrics:
            columns[f"{label} {self.task.better}"] = partial(number, name=label, form="{:.3f}")
            columns[f"{label} change"] = partial(_change, label=label)
        columns["seconds"] = partial(number, name="seconds", form="{:.1f}")
        columns["unlearnt"] = partial(number, name="unlearnt", form="{:.0f}")
        rows = [(row.title, self.numbers(name), "") for name, row in self.rows.items()]
        legend = LEGEND.format(users=len(self.users), pairs=self.pair_seconds / len(self.users))
        return f"{table('method', rows, columns)}\n\n{legend}"

    def as_object(self) -> dict[str, Any]:
        """The same for JSON; ``golds`` of a method are its answers, as the benchmark's own evaluation takes them."""
        return {
            "task": self.task.name,
            "users": len(self.users),
            "seconds_of_pairs": self.pair_seconds / len(self.users),
            "methods": {name: self._method(name, row) for name, row in self.rows.items()},
        }

    def _method(self, name: str, row: Row) -> dict[str, Any]:
        found = {key.replace(" ", "_"): value for key, value in self.numbers(name).items()}
        answered = zip(self.users, row.answers, strict=True)
        return {**found, "golds": [{"id": user.id, "output": answer} for user, answer in answered]}


def _change(found: Numbers, label: str) -> str:
    if f"{label} change" not in found:
        return "–"
    value, low, high = (number(found, f"{label} {part}", "{:+.3f}") for part in ("change", "low", "high"))
    return f"{value} [{low}, {high}]"
