"""``idiolect demo``: the whole job on the bundled sample writing, in a data folder of its own."""

from __future__ import annotations

import importlib.resources
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import console
from app.errors import KnownError
from app.places import Places
from app.shell import INTERRUPTED, Parts, ctrl_c, parts_of, places_of, with_data_dir, with_json, writing
from app.wording import duration, likeness_numbers, likeness_sentence
from resources import read_text, resource

if TYPE_CHECKING:
    from app.history.records import Likeness, Voice
    from app.history.store import Store

VOICE = "sample"
_SEED = 1
_LONGEST_ANSWER = 120


@dataclass(frozen=True)
class Answers:
    """One request, answered plainly and in the voice."""

    request: str
    plain: str
    own: str


@click.command()
@click.option("--no-window", is_flag=True, help="Do not open the window at the end.")
@with_json
@with_data_dir
@click.pass_context
def demo(ctx: click.Context, no_window: bool, as_json: bool) -> None:
    """Show the whole job on bundled sample writing: import, learn, compare. Takes a few minutes.

    The demo keeps its data apart from yours. Run again, it uses what it has learnt. At its end the window
    opens on the demo's data where there is a screen.

    \b
      idiolect demo
      idiolect demo --no-window
    """
    parts = parts_of(ctx)
    places = Places.under(places_of(ctx).data / "demo")
    began = time.monotonic()
    with writing(places) as store:
        words = _import_sample(store)
        voice = _learnt_before(store, places)
        if voice is None:
            voice = _learn(ctx, store, places, parts)
        answers = _answer(store, places, parts)
    seconds = time.monotonic() - began
    if as_json:
        console.print_json(_as_json(voice, words, answers, seconds))
        return
    for each in answers:
        click.echo(f"\n▸ {each.request}")
        console.side_by_side("plain", each.plain, f"in the voice {VOICE!r}", each.own)
    likeness = _likeness(voice)
    click.echo(
        f"Learnt from {words:,} words of sample writing with {voice.pairs} pairs. "
        f"{likeness_sentence(likeness)}\n  measured: {likeness_numbers(likeness)}\n"
        f"  the whole demo took {duration(seconds)}"
    )
    if not no_window:
        _show_window(parts, places)


def _import_sample(store: Store) -> int:
    """Bring the bundled writing into the history; how many words that is."""
    from app.history.importer import import_paths

    with console.steps() as shown, importlib.resources.as_file(resource("sample-writing")) as folder:
        files = sorted(Path(folder).glob("*.txt"))
        result = import_paths(
            store,
            files,
            on_progress=lambda path, done, total: shown.at(
                "Reading the sample writing", done / max(total, 1)
            ),
        )
    if result.skipped:
        first = result.skipped[0]
        raise RuntimeError(f"bundled sample writing cannot be read: {first.path}: {first.reason}")
    return result.words


def _learnt_before(store: Store, places: Places) -> Voice | None:
    from app.workers.voices import files_of

    for voice in store.voices():
        if voice.name == VOICE and not voice.out_of_date:
            try:
                files_of(places, voice)
            except KnownError:
                return None
            return voice
    return None


def _learn(ctx: click.Context, store: Store, places: Places, parts: Parts) -> Voice:
    from app.workers.learning import Learning, Stopped
    from calibrate.messages import Settings

    learning = Learning(store, places, command=parts.calibrate_command)
    try:
        with console.steps() as shown, ctrl_c(learning.stop, "Stopping at the next safe point…"):
            learning.run(
                VOICE,
                model=parts.find_model(None),
                settings=Settings(budget="fast", seed=_SEED),
                on_event=console.LearnDisplay(shown),
            )
    except Stopped:
        console.note("Stopped. Run the demo again to go on from there.")
        ctx.exit(INTERRUPTED)
    return store.voice(VOICE)


def _answer(store: Store, places: Places, parts: Parts) -> list[Answers]:
    from app.workers.asking import ask
    from app.workers.engine_client import Engines
    from app.workers.voices import use_of
    from engine.messages import Sampling

    model, use = use_of(store, places, VOICE, 1.0, find_model=parts.find_model)
    requests = read_text("prompts", "demo-requests.txt").splitlines()
    sampling = Sampling(seed=_SEED, max_tokens=_LONGEST_ANSWER)
    engines = Engines(places, parts.make_engine)
    answers = []
    try:
        engine = engines.for_model(model)
        with console.steps() as shown:
            for number, request in enumerate(requests):
                texts: list[str] = []
                for voice in (None, use):
                    done = (2 * number + len(texts)) / (2 * len(requests))
                    shown.at("Answering three requests, plainly and in the voice", done)
                    reply = ask(engine, request, voice, sampling)
                    if reply.finished.reason == "stopped":
                        raise KeyboardInterrupt
                    texts.append(reply.text.strip())
                answers.append(Answers(request, plain=texts[0], own=texts[1]))
    finally:
        engines.close()
    return answers


def _likeness(voice: Voice) -> Likeness:
    assert voice.likeness is not None  # a voice that is listed has been measured
    return voice.likeness


def _as_json(voice: Voice, words: int, answers: list[Answers], seconds: float) -> dict[str, Any]:
    return {
        "voice": voice.name,
        "words": words,
        "pairs": voice.pairs,
        "strength": voice.strength,
        "likeness": console.likeness_json(_likeness(voice)),
        "answers": [vars(each) for each in answers],
        "seconds": round(seconds, 1),
    }


def _show_window(parts: Parts, places: Places) -> None:
    try:
        parts.open_window(places)
    except KnownError as error:
        console.note(f"\nThe window does not open: {error}")
