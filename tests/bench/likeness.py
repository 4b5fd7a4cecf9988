"""The benchmark: does a model write like a person, which method makes it, and what does it cost?

Run as ``python -m tests.bench.likeness --voices FOLDER`` with the extras ``calibrate`` and ``bench``; a full run on six
people takes some two hours on two cores. Goes in: a folder with a folder of texts for each person. Comes out: a table
for each author and one of averages, a plot, and with ``--json`` one object.

Every method learns from the training and validation share of the author's documents, in a process of its own, and is
measured on the most recent documents, which nothing before has seen; see `tests.bench.bench` for what is measured,
`tests.bench.tables` for what the columns say, `tests.bench.prompting` and `tests.bench.steering` for the methods.
"""

from __future__ import annotations

from typing import Any

import click

from tests.bench.methods import NAMES, STANDARD, chosen_methods
from tests.bench.options import Options, listed, run, with_options


@click.command()
@click.option("--methods", help=f"Apart by commas, of {', '.join(NAMES)}; {', '.join(STANDARD)} without it.")
@with_options
def main(methods: str | None, authors: str | None, **options: Any) -> None:
    """Compare ways to make a model write like a person, on documents none of them has seen."""

    def work(options: Options) -> None:
        wanted = chosen_methods(listed(methods))
        # Only now: what these load must find the environment settled.
        from tests.bench.likeness_report import compare
        from tests.bench.opening import opened

        with opened(options) as found:
            compare(options, found, wanted)

    run(work, Options(authors=listed(authors), **options))


if __name__ == "__main__":
    main()
