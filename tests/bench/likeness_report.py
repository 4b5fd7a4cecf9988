"""The report of the likeness benchmark: tables, one object of numbers, a plot.

Goes in: what was opened, and the methods to compare. Comes out: files and text by `tests.bench.options.finish`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.authors import Author
from tests.bench.comparing import Comparison
from tests.bench.methods import DEFAULT
from tests.bench.opening import Opened
from tests.bench.options import Options, finish
from tests.bench.plots import likeness_plot
from tests.bench.rows import average, numbers
from tests.bench.tables import LEGEND, likeness_table, strength_table


class Measured:
    """The rows of one author, the plain model's first, and of the default's curve over strength."""

    def __init__(self, comparison: Comparison, author: Author, methods: Sequence[str]) -> None:
        self.name = author.name
        plain = comparison.plain(author)
        self.rows = [plain, *(comparison.row(author, method) for method in methods)]
        best = next((row for row in self.rows if row.method == DEFAULT), None)
        self.curve = comparison.curve(author, DEFAULT, plain, best) if best is not None else []

    def numbers(self) -> dict[str, dict[str, float]]:
        """The numbers of every row by its method."""
        return {row.method: numbers(row, self.rows[0]) for row in self.rows}

    def points(self) -> list[tuple[float, dict[str, float]]]:
        """(strength, numbers) of the curve."""
        return [(row.strength, numbers(row, self.rows[0])) for row in self.curve]

    def table(self) -> str:
        """The author's part of the report."""
        found = self.numbers()
        text = f"### {self.name}\n\n" + likeness_table(
            [(row.title, found[row.method], row.failed) for row in self.rows]
        )
        return text + (f"\n\n{strength_table(self.points())}" if self.curve else "")


def compare(options: Options, found: Opened, methods: Sequence[str]) -> None:
    """Measure every one of ``methods`` on every learner, and report."""
    bench = found.comparison.bench
    accuracy = bench.accuracy()
    right = sum(accuracy.values()) / len(accuracy)
    measured = [Measured(found.comparison, author, methods) for author in found.learners]
    titles = {row.method: row.title for row in measured[0].rows}
    averages = {name: average([each for one in measured if (each := one.numbers()[name])]) for name in titles}
    points = _average_points([one.points() for one in measured if one.curve])
    sizes = bench.sizes
    names = measured[0].name if len(measured) == 1 else f"mean of {len(measured)} authors"
    legend = LEGEND.format(requests=len(sizes.requests), seed=options.seed, accuracy=right)
    parts = [
        f"## Likeness: {found.model_name}, budget {sizes.budget}, {names}",
        likeness_table([(titles[name], averages[name], _failures(measured, name)) for name in titles]),
        *([f"{titles[DEFAULT]}, over strength:", strength_table(points)] if points else []),
        legend,
        "Classifier on real held-out passages: "
        + ", ".join(f"{name} {value:.0%}" for name, value in accuracy.items())
        + ".",
        *(one.table() for one in measured if len(measured) > 1),
    ]
    result = {
        "model": found.model_name,
        "budget": sizes.budget,
        "seed": options.seed,
        "requests": list(sizes.requests),
        "classifier_accuracy": {"mean": right, **accuracy},
        "average": averages,
        "average_by_strength": _points(points),
        "authors": {one.name: _author(one) for one in measured},
    }
    named = {titles[name]: averages[name] for name in titles}
    finish(
        options,
        "likeness",
        found.folder,
        "\n\n".join(parts),
        result,
        lambda path: likeness_plot(path, named, points),
    )


def _author(one: Measured) -> dict[str, Any]:
    found = one.numbers()
    return {
        "methods": {
            row.method: {
                **found[row.method],
                "failed": row.failed,
                "notes": row.notes,
                "answers": list(row.answers),
            }
            for row in one.rows
        },
        "by_strength": _points(one.points()),
    }


def _points(points: Sequence[tuple[float, Mapping[str, float]]]) -> list[dict[str, float]]:
    return [{"strength": strength, **found} for strength, found in points]


def _average_points(
    curves: Sequence[Sequence[tuple[float, dict[str, float]]]],
) -> list[tuple[float, dict[str, float]]]:
    if not curves:
        return []
    return [(points[0][0], average([found for _, found in points])) for points in zip(*curves, strict=True)]


def _failures(measured: Sequence[Measured], method: str) -> str:
    failed = [one.name for one in measured for row in one.rows if row.method == method and row.failed]
    return f"without {', '.join(failed)}" if failed else ""
