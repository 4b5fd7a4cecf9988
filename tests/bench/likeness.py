"""The benchmark: does a model write like a person, which method makes it, and what does it cost?

Run as ``python -m tests.bench.likeness --voices FOLDER`` with the extras ``calibrate`` and ``bench``; a full run on six
people takes some two hours on two cores. Goes in: a folder with a folder of texts for each person. Comes out: a table
for each author and one of averages, a plot, and with ``--json`` one object.

Every method learns from the training and validation share of the author's documents, in a process of its own, and is
measured on the most recent documents, which nothing before has seen; see `tests.bench.bench` for what is measured,
`tests.bench.tables` for what the columns say, `tests.bench.prompting` and `tests.bench.steering` for the methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from tests.bench.authors import Author
from tests.bench.comparing import Comparison
from tests.bench.methods import DEFAULT, NAMES, STANDARD, chosen_methods
from tests.bench.opening import Opened, Options, finish, listed, opened, run, with_options
from tests.bench.plots import likeness_plot
from tests.bench.rows import average, numbers
from tests.bench.tables import LEGEND, likeness_table, strength_table


@click.command()
@click.option("--methods", help=f"Apart by commas, of {', '.join(NAMES)}; {', '.join(STANDARD)} without it.")
@with_options
def main(methods: str | None, authors: str | None, **options: Any) -> None:
    """Compare ways to make a model write like a person, on documents none of them has seen."""

    def work(options: Options) -> None:
        wanted = chosen_methods(listed(methods))
        with opened(options) as found:
            _compare(options, found, wanted)

    run(work, Options(authors=listed(authors), **options))


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


def _compare(options: Options, found: Opened, methods: Sequence[str]) -> None:
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


if __name__ == "__main__":
    main()
