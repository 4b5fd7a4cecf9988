"""The command line: import, learn, say, compare, voices, models, export, serve, demo; without one, the window."""

from __future__ import annotations

import click

from app.commands.export import export
from app.commands.gather import import_, learn
from app.commands.listing import voices
from app.commands.models import models
from app.commands.serve import serve
from app.commands.speak import compare, say
from app.demo import demo
from app.shell import Commands, Parts, parts_of, places_of, with_data_dir

_FINE = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}


def _version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"idiolect {version('idiolect-desktop')}")
    ctx.exit()


@click.group(cls=Commands, invoke_without_command=True, context_settings=_FINE)
@with_data_dir
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Idiolect learns how you write and writes that way, entirely on your computer.

    Without a command the window opens. A first try that needs nothing of yours:

    \b
      idiolect demo

    With your own writing:

    \b
      idiolect import ~/Documents/letters
      idiolect learn
      idiolect say "Thank Anna for the weekend."

    Exit codes: 0 done; 2 something you can mend, told on stderr; 1 a bug, with its details in the log file;
    130 interrupted by Ctrl-C.
    """
    if ctx.obj is None:
        ctx.obj = Parts.of(ctx)
    if ctx.invoked_subcommand is None:
        ctx.exit(parts_of(ctx).open_window(places_of(ctx)))


for _command in (import_, learn, say, compare, voices, models, export, serve, demo):
    cli.add_command(_command)
