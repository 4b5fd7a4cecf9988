"""``idiolect import`` and ``idiolect learn``: from documents to a voice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app import console
from app.errors import KnownError
from app.shell import INTERRUPTED, ctrl_c, parts_of, places_of, with_data_dir, with_json, writing

if TYPE_CHECKING:
    from app.history.store import Store

_BUDGETS = ("fast", "normal", "thorough")


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@with_json
@with_data_dir
@click.pass_context
def import_(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Take your writing into the history: files and folders of .txt, .md and .docx.

    Importing the same again changes nothing; a file that changed replaces what it held before. A file that
    cannot be read is named and left out, the rest goes in.

    \b
      idiolect import ~/letters essay.docx
    """
    from app.history.importer import import_paths

    with writing(places_of(ctx)) as store, console.steps() as shown:
        result = import_paths(
            store,
            paths,
            on_progress=lambda path, done, total: shown.at("Reading", done / max(total, 1), detail=path.name),
        )
    skipped = [(each.path, each.reason) for each in result.skipped]
    if as_json:
        console.print_json(
            {
                "sources": result.sources,
                "documents": result.documents,
                "passages": result.passages,
                "words": result.words,
                "skipped": [{"path": str(path), "reason": reason} for path, reason in skipped],
            }
        )
    elif skipped:
        console.note(console.skipped_lines(skipped))
    if result.added == 0 and result.unchanged == 0:
        _nothing_found(paths, skipped)
    if not as_json:
        click.echo(
            f"{result.added} added, {result.unchanged} unchanged. The history holds {result.words:,} words: "
            f"{result.passages:,} passages from {result.documents:,} documents in {result.sources:,} sources."
        )


def _nothing_found(paths: tuple[Path, ...], skipped: list[tuple[Path, str]]) -> None:
    where = ", ".join(str(path) for path in paths)
    if skipped:
        path, reason = skipped[0]
        more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        raise KnownError(f"Nothing was imported: {path} {reason}{more}.")
    raise KnownError(f"There are no documents in {where}. Idiolect reads .txt, .md and .docx files.")


@click.command()
@click.option("--voice", metavar="NAME", help="What to call it.  [default: my-voice]")
@click.option("--model", metavar="ID|PATH", help="The model to learn on (see: idiolect models).")
@click.option(
    "--budget", type=click.Choice(_BUDGETS), default="normal", show_default=True, help="How long to learn."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--from",
    "only_from",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Learn only from what was imported from PATH; may be repeated.",
)
@with_json
@with_data_dir
@click.pass_context
def learn(
    ctx: click.Context,
    voice: str | None,
    model: str | None,
    budget: str,
    seed: int,
    only_from: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Learn how you write from the history, and measure how well that worked on text kept aside.

    Ctrl-C stops; what was done is kept, and the same command goes on from there.

    \b
      idiolect learn
      idiolect learn --voice letters --from ~/letters --budget thorough
    """
    from app.workers.learning import Learning, Stopped
    from app.workers.voices import DEFAULT_NAME
    from calibrate.messages import Settings

    parts, places = parts_of(ctx), places_of(ctx)
    name = DEFAULT_NAME if voice is None else voice
    with writing(places) as store:
        sources = _sources_under(store, only_from) if only_from else None
        known = {each.name: each.model_id for each in store.voices()}
        learning = Learning(store, places, command=parts.calibrate_command)
        try:
            with console.steps() as shown, ctrl_c(learning.stop, "Stopping at the next safe point…"):
                result = learning.run(
                    name,
                    model=parts.find_model(model or known.get(name)),
                    settings=Settings(budget=budget, seed=seed),
                    source_ids=sources,
                    on_event=console.LearnDisplay(shown),
                )
        except Stopped:
            kept = len(store.pairs(name))
            console.note(f"Stopped. {kept} pairs are kept; the same command goes on from there.")
            ctx.exit(INTERRUPTED)
    if as_json:
        console.print_json(console.learnt_json(result))
    else:
        click.echo(console.learnt(result))


def _sources_under(store: Store, paths: tuple[Path, ...]) -> list[int]:
    wanted = [path.expanduser().resolve() for path in paths]
    found = [
        source.id
        for source in store.sources()
        if any(Path(source.path).is_relative_to(folder) for folder in wanted)
    ]
    if not found:
        named = " ".join(str(path) for path in paths)
        raise KnownError(f"Nothing in the history came from there. Import it first: idiolect import {named}")
    return found
