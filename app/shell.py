"""What every command shares: options, error handling and exit codes, and opening the history."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from app.errors import KnownError
from app.interrupts import first_ctrl_c
from app.places import Places

if TYPE_CHECKING:
    from app.history.store import Store
    from app.models import Model
    from app.workers.engine_client import AnswerSource

_DATA_DIR = "idiolect.data_dir"

KNOWN, BUG, INTERRUPTED, READER_GONE = 2, 1, 130, 141

F = TypeVar("F", bound=Callable[..., Any])


def _engine(model_path: Path, places: Places) -> AnswerSource:
    from app.workers.engine_client import engine_of

    return engine_of(model_path, places)


def _window(places: Places) -> int:
    from app.screen import require_screen

    require_screen()
    from app.desktop.main import run

    return run(places)


@dataclass(frozen=True)
class Parts:
    """The parts behind the commands that a test replaces by small ones."""

    find_model: Callable[[str | None], Model]
    make_engine: Callable[[Path, Places], AnswerSource] = _engine
    calibrate_command: Sequence[str] | None = None
    open_window: Callable[[Places], int] = _window

    @classmethod
    def of(cls, ctx: click.Context) -> Parts:
        """The real ones. Whose added models are meant is known when a sub-command's own --data-dir has been read,
        so that is asked for when a model is."""

        def find(name: str | None) -> Model:
            from app.models import resolve

            return resolve(name, places_of(ctx))

        return cls(find)


class _Known(click.ClickException):
    """An error a person can mend, told in one message."""

    exit_code = KNOWN

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class _Bug(_Known):
    exit_code = BUG


class _Interrupted(_Known):
    exit_code = INTERRUPTED


class Commands(click.Group):
    """A group whose commands end with exit code 2 for what a person can mend, 1 for a bug (its traceback goes
    to the log file), 130 when they were interrupted, and 141 when nobody reads their output any more."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; every error but click's own comes out as one message."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except BrokenPipeError as gone:
            # Whoever read the output has left, as `head` does; what is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(READER_GONE) from gone
        except KnownError as error:
            raise _Known(str(error)) from error
        except KeyboardInterrupt as interrupt:
            raise _Interrupted("Stopped.") from interrupt
        except Exception as error:
            raise _Bug(_logged(error, ctx)) from error


def _logged(error: Exception, ctx: click.Context) -> str:
    from app.logfile import LogFile

    try:
        places = places_of(ctx)
        places.make()
    except KnownError:
        return f"An unexpected error, and no log file could be written:\n{traceback.format_exc()}"
    log = LogFile(places.logs / "idiolect.log")
    log.bug(error)
    return f"An unexpected error ({type(error).__name__}). Details are in {log.path}"


def with_data_dir(command: F) -> F:
    """Add ``--data-dir``, accepted before and after the sub-command; the later one counts."""

    def remember(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> None:
        if value is not None:
            ctx.meta[_DATA_DIR] = value

    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        expose_value=False,
        callback=remember,
        help="Keep everything under DIR (history, voices, logs).",
    )(command)


def with_json(command: F) -> F:
    """Add ``--json``."""
    return click.option(
        "as_json", "--json", is_flag=True, help="Print one JSON object on stdout; progress goes to stderr."
    )(command)


def places_of(ctx: click.Context) -> Places:
    """Where the data lies for this call."""
    chosen = ctx.meta.get(_DATA_DIR)
    return Places.default() if chosen is None else Places.under(Path(chosen).expanduser())


def parts_of(ctx: click.Context) -> Parts:
    """The parts behind the commands."""
    parts = ctx.obj
    assert isinstance(parts, Parts)
    return parts


@contextlib.contextmanager
def writing(places: Places) -> Iterator[Store]:
    """The history, open for writing. Raises KnownError when another Idiolect has it open."""
    from app.history.store import Store
    from app.places import hold

    places.make()
    with hold(places), Store.open(places.database) as store:
        store.recover()
        yield store


@contextlib.contextmanager
def reading(places: Places) -> Iterator[Store | None]:
    """The history, open for reading beside whoever writes; None while there is none."""
    from app.history.store import Store

    places.make()
    if not places.database.exists():
        yield None
        return
    with Store.open(places.database, read_only=True) as store:
        yield store


@contextlib.contextmanager
def ctrl_c(stop: Callable[[], None], message: str) -> Iterator[None]:
    """Within it the first Ctrl-C shows ``message`` and calls ``stop``; the second one interrupts at once."""

    def tell_and_stop() -> None:
        click.echo(message, err=True)
        stop()

    with first_ctrl_c(tell_and_stop):
        yield
