"""The report of the learning curve and of what learning costs: tables, one object of numbers, a plot.

Goes in: what was opened, methods, sizes of the history, budgets. Comes out: files and text by
`tests.bench.options.finish`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calibrate.messages import JobDocument
from calibrate.plan import PLANS
from calibrate.select import split
from tests.bench.authors import Author, history_of
from tests.bench.methods import DEFAULT
from tests.bench.opening import Opened
from tests.bench.options import Options, finish
from tests.bench.plots import curve_plot
from tests.bench.rows import Row, average, numbers
from tests.bench.tables import change, number, share, size, table, with_ratio

Numbers = dict[str, float]
_COLUMNS: dict[str, Callable[[Mapping[str, float]], str]] = {
    "to learn from": lambda found: number(found, "to_learn_from", "{:.0f}"),
    "own": lambda found: change(found, "own"),
    "others": lambda found: change(found, "others"),
    "gap": lambda found: change(found, "gap"),
    "attributed": lambda found: share(found, "attributed"),
    "cosine": lambda found: with_ratio(found, "cosine", "cosine_ratio"),
    "perplexity": lambda found: number(found, "perplexity_ratio", "× {:.2f}"),
    "minutes": lambda found: number({"m": found["seconds"] / 60} if found else {}, "m", "{:.1f}"),
    "memory": lambda found: size(found, "peak_bytes"),
}


def measure(
    options: Options, found: Opened, methods: Sequence[str], counts: Sequence[int], budgets: Sequence[str]
) -> None:
    """Learn from each of ``counts`` passages by ``methods``, and with each of ``budgets``, and report."""
    comparison = found.comparison
    by_size = {(method, count): _of_size(found, method, count) for method in methods for count in counts}
    by_budget = {name: _with_budget(found, name) for name in budgets}
    names = ", ".join(author.name for author in found.learners)
    parts = [
        f"## Learning curve: {found.model_name}, budget {comparison.bench.sizes.budget}, mean of {names}",
        table(
            "history",
            [
                (f"{count} passage{'s' if count > 1 else ''}, {part.title}", part.mean, part.failed)
                for (_, count), part in by_size.items()
            ],
            _COLUMNS,
        ),
    ]
    if budgets:
        parts += [
            "### All of the history, by budget",
            table("budget", [(name, part.mean, part.failed) for name, part in by_budget.items()], _COLUMNS),
        ]
    curves = {
        by_size[method, counts[0]].title: [(count, by_size[method, count].mean) for count in counts]
        for method in methods
    }
    result = {
        "model": found.model_name,
        "budget": comparison.bench.sizes.budget,
        "seed": options.seed,
        "history": [
            {"method": method, "passages": count, **part.as_json()}
            for (method, count), part in by_size.items()
        ],
        "budgets": {name: part.as_json() for name, part in by_budget.items()},
    }
    finish(
        options,
        "curve",
        found.folder,
        "\n\n".join(parts),
        result,
        lambda path: curve_plot(path, curves, {name: part.mean for name, part in by_budget.items()}),
    )


class _Part:
    """The same learning for every author: ``mean`` of its numbers, and why it ``failed`` for which, or "".

    ``rows``: for each author what was learnt, the plain model's row, and the passages there were to learn from.
    """

    def __init__(self, rows: Sequence[tuple[Row, Row, int]]) -> None:
        self.title = rows[0][0].title
        self.by_author = {row.author: _with_count(numbers(row, plain), count) for row, plain, count in rows}
        self.mean = average([found for found in self.by_author.values() if found])
        reasons = {row.author: row.failed for row, _, _ in rows if row.failed}
        why = sorted(set(reasons.values()))
        everybody = len(reasons) == len(rows)
        self.failed = "; ".join(why if everybody else [f"{name}: {text}" for name, text in reasons.items()])

    def as_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "authors": self.by_author, "failed": self.failed}


def _with_count(found: Numbers, count: int) -> Numbers:
    return found | {"to_learn_from": float(count)} if found else found


def _over(
    found: Opened,
    history: Callable[[Author], Sequence[JobDocument]],
    learn: Callable[[Author, Sequence[JobDocument]], Row],
) -> _Part:
    rows = []
    for author in found.learners:
        documents = history(author)
        rows.append((learn(author, documents), found.comparison.plain(author), len(split(documents).train)))
    return _Part(rows)


def _of_size(found: Opened, method: str, count: int) -> _Part:
    """``method`` learnt from a history of ``count`` passages."""
    comparison, sizes = found.comparison, found.comparison.bench.sizes

    def learn(author: Author, documents: Sequence[JobDocument]) -> Row:
        return comparison.row_of(author, method, f"{method}-of-{count}", documents, sizes.budget, sizes.plan)

    return _over(found, lambda author: history_of(author, count), learn)


def _with_budget(found: Opened, budget: str) -> _Part:
    """The default learnt from the whole history with ``budget``."""
    comparison = found.comparison
    label = DEFAULT if budget == comparison.bench.sizes.budget else f"{DEFAULT}-{budget}"

    def learn(author: Author, documents: Sequence[JobDocument]) -> Row:
        return comparison.row_of(author, DEFAULT, label, documents, budget, PLANS[budget])

    return _over(found, lambda author: author.documents, learn)
