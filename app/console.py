"""What the commands show: progress on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.wording import likeness_numbers, likeness_sentence, stage_name, time_left

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from app.workers.learning import LearningEvent, LearnResult

# Below this width two columns of prose are too narrow to read.
_NARROW = 72
# Signs that would move a terminal's cursor or change its state; a model may write them.
_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)))


def note(text: str) -> None:
    """A line for the person, beside the result."""
    click.echo(text, err=True)


def print_json(value: Mapping[str, Any]) -> None:
    """The one JSON object of a command; ASCII only, so that no encoding of the terminal can spoil it."""
    click.echo(json.dumps(value, allow_nan=False))


def stream(piece: str) -> None:
    """A piece of an answer, at once."""
    sys.stdout.write(printable(piece))
    sys.stdout.flush()


def printable(text: str) -> str:
    """``text`` without control characters, line ends and tabs excepted."""
    return text.translate(_CONTROLS)


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _bar(console: Console) -> Bar:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
    )


class Steps:
    """Progress of one piece of work: a bar on a terminal, sparse lines elsewhere (a log, a pipe)."""

    def __init__(self, bar: Bar | None) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=1.0, left="") if bar is not None else None
        self._last = ("", -1.0)

    def at(self, description: str, fraction: float, left: str = "", detail: str = "") -> None:
        """The work is ``fraction`` (0–1) done and does ``description`` now; ``detail`` changes often and is
        for the bar only."""
        if self._bar is not None and self._task is not None:
            shown = f"{description} {printable(detail)}".rstrip()
            self._bar.update(self._task, description=shown, completed=fraction, left=left)
            return
        before, told = self._last
        if description != before or fraction - told >= 0.1 or fraction >= 1 > told:
            self._last = (description, fraction)
            note(f"{fraction:4.0%}  {description}{f' ({left})' if left else ''}")

    def say(self, text: str) -> None:
        """A sentence above the bar."""
        if self._bar is not None:
            self._bar.console.print(text)
        else:
            note(text)


@contextmanager
def steps() -> Iterator[Steps]:
    """Show progress while the body runs."""
    console = _stderr()
    if not console.is_terminal:
        yield Steps(None)
        return
    with _bar(console) as bar:
        yield Steps(bar)


class LearnDisplay:
    """Shows the events of a run of learning."""

    def __init__(self, shown: Steps) -> None:
        self._shown = shown
        self.pairs = 0

    def __call__(self, event: LearningEvent) -> None:
        """Show ``event``."""
        from calibrate.messages import InsightWritten, Notice, PairMade, Progress

        match event:
            case Progress():
                self._shown.at(stage_name(event.stage), event.fraction, time_left(event.seconds_left))
            case Notice(text):
                self._shown.say(text)
            case InsightWritten(text):
                self._shown.say(f"How you write, in the model's words: {printable(text)}")
            case PairMade():
                self.pairs += 1


def learnt(result: LearnResult) -> str:
    """A learnt voice in words and numbers."""
    from app.wording import duration

    files = "\n".join(f"  {kind}: {path}" for kind, path in result.files.items())
    return (
        f"The voice {result.voice!r} is learnt: {result.pairs} pairs, {duration(result.seconds)}.\n"
        f"{likeness_sentence(result.likeness)}\n"
        f"  measured: {likeness_numbers(result.likeness)}\n"
        f"{files}\n"
        f'Try it: idiolect compare "Invite a friend to dinner on Sunday."'
    )


def learnt_json(result: LearnResult) -> dict[str, Any]:
    """A learnt voice as ``learn --json`` prints it."""
    return {
        "voice": result.voice,
        "pairs": result.pairs,
        "seconds": round(result.seconds, 1),
        "strength": result.strength,
        "likeness": likeness_json(result.likeness),
        "files": {kind: str(path) for kind, path in result.files.items()},
        "notices": list(result.notices),
    }


def likeness_json(likeness: Any) -> dict[str, float]:
    """A measured likeness, of the store or of the calibrate process, as JSON."""
    names = ("own", "others", "words_heldout", "own_low", "own_high", "passages_heldout")
    return {name: getattr(likeness, name) for name in names}


def side_by_side(left_title: str, left: str, right_title: str, right: str) -> None:
    """Two texts in two columns; below each other where the terminal is narrow."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    cells = [Text(printable(text.strip())) for text in (left, right)]
    if console.width < _NARROW:
        for title, cell in zip((left_title, right_title), cells, strict=True):
            console.print(Text(f"— {title} —", style="bold"))
            console.print(cell)
            console.print()
        return
    table = Table(box=box.SIMPLE_HEAD, expand=True)
    table.add_column(left_title, ratio=1)
    table.add_column(right_title, ratio=1)
    table.add_row(*cells)
    console.print(table)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        drawn.add_column(column, overflow="fold")  # an id that is cut cannot be typed
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False, markup=False, emoji=False).print(drawn)


def skipped_lines(skipped: Sequence[tuple[Path, str]]) -> str:
    """The files that were left out, with the reason of each."""
    return "\n".join(f"  left out: {path} {reason}" for path, reason in skipped)
