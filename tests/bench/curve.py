"""The learning curve and what learning costs: likeness by the size of the history, time and memory by budget.

Run as ``python -m tests.bench.curve --voices FOLDER`` with the extras ``calibrate`` and ``bench``. Goes in: a folder
with a folder of texts for each person. Comes out: two tables, a plot, and with ``--json`` one object.

A history of n passages is what somebody has who imported no more than that: a part of it is set aside for validation
and for the run's own measuring, as always ("to learn from" is what remains, of which a budget may use less), and where
there is too little a method says so. What it learnt is measured here on the author's held-out documents, the same for
every n and every budget.

Whatever is slow can be left out: the budget thorough takes half an hour an author on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from app.errors import KnownError
from calibrate.messages import BUDGETS
from tests.bench.methods import DEFAULT, NAMES, chosen_methods
from tests.bench.options import Options, listed, run, with_options

COUNTS = (1, 4, 16, 64)
_METHODS = ("retrieved", "mean-difference", DEFAULT)


@click.command()
@click.option("--methods", help=f"Apart by commas, of {', '.join(NAMES)}; {', '.join(_METHODS)} without it.")
@click.option("--counts", default=",".join(map(str, COUNTS)), show_default=True, help="Sizes of the history.")
@click.option("--budgets", default=",".join(BUDGETS), show_default=True, help="Budgets to learn with.")
@with_options
def main(methods: str | None, counts: str, budgets: str, authors: str | None, **options: Any) -> None:
    """How much writing it takes, and how long each budget takes. --budget is that of the learning curve."""

    def work(options: Options) -> None:
        wanted = chosen_methods(listed(methods) or _METHODS)
        sizes = COUNTS[:2] if options.quick else _numbers(listed(counts))
        spent = () if options.quick else _budgets(listed(budgets))
        # Only now: what these load must find the environment settled.
        from tests.bench.curve_report import measure
        from tests.bench.opening import opened

        with opened(options) as found:
            measure(options, found, wanted, sizes, spent)

    run(work, Options(authors=listed(authors), **options))


def _numbers(texts: Sequence[str]) -> tuple[int, ...]:
    if wrong := [text for text in texts if not (text.isdecimal() and int(text))]:
        raise KnownError(f"{wrong[0]!r} is no number of passages; give numbers such as 1,4,16.")
    return tuple(map(int, texts))


def _budgets(names: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in BUDGETS]:
        raise KnownError(f"There is no budget {unknown[0]!r}; there are {', '.join(BUDGETS)}.")
    return tuple(names)


if __name__ == "__main__":
    main()
