"""``idiolect export``: a voice for other programs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app import console
from app.errors import KnownError
from app.shell import parts_of, places_of, reading, with_data_dir, with_json

if TYPE_CHECKING:
    from app.history.records import Voice
    from engine.sharing import Parcel

_PROGRAMS = {"gguf": "llama.cpp", "peft": "PEFT", "ollama": "Ollama"}


@click.command()
@click.argument("voice")
@click.option(
    "--format",
    "form",
    type=click.Choice(tuple(_PROGRAMS)),
    default="gguf",
    show_default=True,
    help="For what.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where to, made if missing.  [default: VOICE-FORMAT, here]",
)
@click.option(
    "--strength", type=float, default=1.0, show_default=True, help="How strongly the voice is to work."
)
@click.option(
    "--without-vector", is_flag=True, help="With peft: leave out what engines such as vLLM do not know."
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@with_json
@with_data_dir
@click.pass_context
def export(
    ctx: click.Context,
    voice: str,
    form: str,
    to: Path | None,
    strength: float,
    without_vector: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write the voice VOICE into a folder, for llama.cpp (gguf), PEFT or Ollama.

    It holds no text of yours, but it does hold your manner: whoever has the files can write like you.

    \b
      idiolect export letters
      idiolect export letters --format peft --to ~/letters-adapter
    """
    from app.workers.voices import STRONGEST, files_of
    from engine.sharing import EngineError, write

    if not (math.isfinite(strength) and 0 < strength <= STRONGEST):
        raise KnownError(f"A strength is a number above 0, up to {STRONGEST:g}; {strength:g} is not.")
    if without_vector and form != "peft":
        raise KnownError("Only the format peft can leave the control vector out: add --format peft.")
    places = places_of(ctx)
    with reading(places) as store:
        if store is None:
            raise KnownError(
                f"There is no voice called {voice!r}: none is learnt yet. Learn one: idiolect learn"
            )
        found = store.voice(voice)
        files = files_of(places, found)
    folder = (Path(_folder_name(found.name, form)) if to is None else to.expanduser()).absolute()
    if folder.resolve().is_relative_to(places.voices.resolve()):
        raise KnownError(f"{folder} is where Idiolect keeps its own voices. Choose another folder with --to.")
    try:
        parcel = _parcel(ctx, found, files, form, strength, with_vector=not without_vector)
        _nothing_in_the_way(folder, parcel, force)
        written = write(folder, parcel.files)
    except EngineError as error:
        raise KnownError(str(error)) from error
    for note in parcel.notes:
        console.note(note)
    if as_json:
        console.print_json(
            {"voice": found.name, "format": form, "folder": str(folder)}
            | {"files": {kind: str(path) for kind, path in written.items()}, "notes": list(parcel.notes)}
        )
    else:
        click.echo(f"The voice {found.name!r} is exported for {_PROGRAMS[form]} to {folder}:")
        click.echo("\n".join(f"  {path.name}" for path in written.values()))


def _parcel(
    ctx: click.Context,
    voice: Voice,
    files: Mapping[str, Path],
    form: str,
    strength: float,
    *,
    with_vector: bool,
) -> Parcel:
    from app.workers.chat import system_turn
    from engine.messages import Sampling
    from engine.sharing import as_gguf, as_ollama, as_peft, read_voice

    shared, system = read_voice(voice.name, files), system_turn().content
    if form == "peft":
        return as_peft(shared, system, strength, with_vector=with_vector)
    if form == "ollama":
        model = parts_of(ctx).find_model(voice.model_id)
        return as_ollama(shared, system, model.path.absolute(), Sampling(), strength)
    return as_gguf(shared, system, strength)


def _nothing_in_the_way(folder: Path, parcel: Parcel, force: bool) -> None:
    for file in parcel.files:
        path = folder / file.name
        if path.is_dir() or (path.exists() and not force):
            raise KnownError(
                f"{path} is there already. Choose another folder with --to, or overwrite with --force."
            )


def _folder_name(voice: str, form: str) -> str:
    """The folder for a voice whose name may hold anything, slashes too."""
    plain = re.sub(r"[^\w-]+", "-", voice).strip("-")
    return f"{plain or 'voice'}-{form}"
