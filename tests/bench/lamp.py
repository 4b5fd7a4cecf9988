"""LaMP with this project's method: does what is learnt from a user's profile answer for this user?

Run as ``python -m tests.bench.lamp FOLDER --task 2`` (or 3, 7) with the extras ``calibrate`` and ``bench``. FOLDER
holds the dev split of the task (see `tests.bench.lamp_data`); for LaMP-2 the one about movies. Comes out: the table of
CHAMELEON (arXiv 2503.01048), a row for the plain model and one for each way of learning (`tests.bench.lamp_learning`),
and with ``--json`` one object. Where there are labels to choose from, a row without a model shows what it takes to
answer as the user mostly did: what is learnt is more than that only where it is better.

Every user is learnt from alone; the paper's group mode is not here. ``tests/bench/lamp_sample`` is invented and shows
the form of the files; its numbers say nothing.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.errors import KnownError
from tests.bench.environment import settle
from tests.bench.lamp_data import User, read_users
from tests.bench.lamp_result import Result, Row
from tests.bench.lamp_tasks import TASKS, Task
from tests.bench.methods import PLAIN, PLAIN_TITLE

if TYPE_CHECKING:
    from tests.bench.models import Models

HABIT, HABIT_TITLE = "habit", "the user's most frequent answer (no model)"
Tell = Callable[[str], None]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--task", "number", type=click.Choice(list(map(str, TASKS))), required=True, help="Of LaMP.")
@click.option("--model", help="Id or path, as for idiolect; the default model without it.")
@click.option("--limit", type=click.IntRange(min=1), help="The first users only.")
@click.option("--seed", default=0, show_default=True, help="Of learning.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(folder: Path, number: str, model: str | None, limit: int | None, seed: int, as_json: bool) -> None:
    """Answer the questions of LaMP plain, and as learnt from each user's profile."""
    task, tell = TASKS[int(number)], partial(click.echo, err=True)
    try:
        users = read_users(folder, task, limit)
        with _loaded(model, tell) as (name, models), tempfile.TemporaryDirectory() as temporary:
            result = answer_all(models, task, users, Path(temporary), seed, tell)
    except KnownError as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from error
    if as_json:
        click.echo(json.dumps({"model": name, "seed": seed, **result.as_object()}))
    else:
        click.echo(f"## {task.name}, {task.title}: {name}, seed {seed}\n\n{result.table()}")


def answer_all(
    models: Models, task: Task, users: Sequence[User], folder: Path, seed: int, tell: Tell
) -> Result:
    """Every user's question, answered plain and in every way; ``folder`` is for files that pass."""
    from tests.bench.lamp_answers import Answers
    from tests.bench.lamp_learning import WAYS, fabricated, lesson_of

    answers = Answers(models, task, folder)
    rows = {PLAIN: Row(PLAIN_TITLE), **{way.name: Row(way.title) for way in WAYS}}
    if task.labels:
        # Where nothing is known of a user, any label will do.
        rows[HABIT] = Row(HABIT_TITLE, [user.habit or task.labels[0] for user in users])
    begun, pair_seconds = time.monotonic(), 0.0
    for place, user in enumerate(users, start=1):
        plain = answers.answer(user.request, None)
        rows[PLAIN].answers.append(plain)
        start = time.monotonic()
        lesson = lesson_of(answers, models.full, task, fabricated(answers, task, user), seed)
        pair_seconds += time.monotonic() - start
        for way in WAYS:
            row, start = rows[way.name], time.monotonic()
            edit = way.learn(models.full, lesson, seed) if lesson is not None else None
            row.seconds += time.monotonic() - start
            row.unlearnt += edit is None
            row.answers.append(plain if edit is None else answers.answer(user.request, edit))
        each, left = (time.monotonic() - begun) / place, len(users) - place
        tell(f"user {place} of {len(users)}; {each:.0f} s each, {each * left / 60:.0f} min left")
    return Result(task, users, rows, pair_seconds)


@contextmanager
def _loaded(wanted: str | None, tell: Tell) -> Iterator[tuple[str, Models]]:
    """The name of the model called ``wanted``, and its two forms. What is wrong with it is a KnownError."""
    settle()
    from app.models import resolve
    from calibrate.full_model import WeightsError
    from engine.errors import EngineError
    from tests.bench.models import Models

    model = resolve(wanted)
    tell(f"loading {model.name}")
    try:
        models = Models(model.path, model.weights)
        try:
            yield model.name, models
        finally:
            models.close()
    except (EngineError, WeightsError) as error:
        raise KnownError(str(error)) from error


if __name__ == "__main__":
    main()
