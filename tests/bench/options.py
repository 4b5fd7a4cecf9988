"""The command line of both benchmarks: options they share, and where results go. No model is loaded for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from app.errors import KnownError
from calibrate.messages import BUDGETS
from tests.bench.environment import settle


@dataclass(frozen=True)
class Options:
    """What was asked for; ``authors`` empty means all of them (one where ``quick``)."""

    voices: Path
    model: str | None
    authors: tuple[str, ...]
    budget: str
    quick: bool
    out: Path | None
    as_json: bool
    resume: bool
    seed: int


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` the common options."""
    folder = click.Path(path_type=Path, file_okay=False)
    for option in (
        click.option("--seed", default=0, show_default=True, help="Of learning and of the answers."),
        click.option(
            "--resume",
            is_flag=True,
            help="Take what an earlier run left in --out; not after a change of code.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--out", type=folder, help="Write table, plot, answers and voices here."),
        click.option("--quick", is_flag=True, help="Tiny sizes: shows that it runs, measures nothing."),
        click.option("--budget", default="normal", show_default=True, type=click.Choice(BUDGETS)),
        click.option(
            "--authors", help="Learn from these only, apart by commas; all others still serve as others."
        ),
        click.option("--model", help="Id or path, as for idiolect; the default model without it."),
        click.option(
            "--voices", type=folder, required=True, help="A folder with a folder of texts for each person."
        ),
    ):
        command = option(command)
    return command


def listed(text: str | None) -> tuple[str, ...]:
    """The names in ``text``, which stand apart by commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def finish(
    options: Options,
    name: str,
    folder: Path,
    text: str,
    found: Mapping[str, Any],
    plot: Callable[[Path], None],
) -> None:
    """Print the result, and write it into ``--out`` as NAME.md, NAME.json and NAME.png."""
    found = without_nan(found)
    if options.out is not None:
        (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        plot(folder / f"{name}.png")
    click.echo(json.dumps(found, allow_nan=False) if options.as_json else text)


def without_nan(value: Any) -> Any:
    """``value`` with null for what is not a number, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and value != value else value


def run(work: Callable[[Options], None], options: Options) -> None:
    """Do ``work``; what a person can mend is said in a line, with exit code 2."""
    settle()
    try:
        work(options)
    except KnownError as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from error
