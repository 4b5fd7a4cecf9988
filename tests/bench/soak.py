"""Hours of use in minutes: one long conversation with stops, other voices, killed engines and a full context.

Run as ``python -m tests.bench.soak [--turns 300] [--model M]``. Goes in: a model. Comes out: a table of what happened,
and exit code 1 where anything was lost: a message that is not in the database, an answer without an end, memory that
grows, a process left behind.
"""

from __future__ import annotations

import json
import queue
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click
import psutil  # type: ignore[import-untyped]

from app.errors import KnownError
from app.models import Model, resolve
from tests.bench.environment import settle

_VOICES = ("one", "two")
# More than these make the database, the log and the lists of this test look like growth.
_MOST_GROWTH = 0.05
_WORDS = [
    "garden",
    "river",
    "letter",
    "winter",
    "harbour",
    "morning",
    "table",
    "window",
    "answer",
    "journey",
    "kitchen",
    "friend",
]
_ENDS = {"end", "length", "stopped", "failed"}


@dataclass
class Seen:
    """What happened in the run."""

    ended: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    dropped: int = 0
    lost: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


@click.command()
@click.option("--turns", default=300, show_default=True, help="Messages to send.")
@click.option("--model", help="Id or path, as for idiolect; the default model without it.")
@click.option("--seed", default=0, show_default=True, help="Of what happens when.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(turns: int, model: str | None, seed: int, as_json: bool) -> None:
    """Use the program hard, and look at what is left."""
    settle()
    try:
        found = resolve(model)
    except KnownError as error:
        raise click.ClickException(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="idiolect-soak-") as folder:
        seen = soak(found, Path(folder), turns, random.Random(seed))
    third = max(1, len(seen.memory) // 3)
    growth = median(seen.memory[-third:]) / median(seen.memory[third : 2 * third] or seen.memory) - 1
    if growth > _MOST_GROWTH:
        seen.lost.append(f"memory grew by {growth:.1%} from the second third to the last")
    numbers = {
        "turns": turns, "kills": seen.kills, "answers_with_turns_left_out": seen.dropped, **seen.ended,
        "memory_growth": round(growth, 4), "lost": seen.lost,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(numbers))
    else:
        click.echo("| what | |\n| --- | ---: |")
        for name, value in numbers.items():
            click.echo(f"| {name.replace('_', ' ')} | {value or 0} |")
    raise SystemExit(1 if seen.lost else 0)


def soak(model: Model, folder: Path, turns: int, chance: random.Random) -> Seen:
    """``turns`` messages of one conversation, and what became of them."""
    from app.history.records import Likeness
    from app.history.store import Store
    from app.places import Places
    from app.workers.chat import AnswerFailed, AnswerFinished, Chat, ChatEvent
    from app.workers.engine_client import Engines
    from engine.messages import Sampling
    from tests.bench.engine_cases import voice_file

    seen, nothing = Seen(), Likeness(0.0, 0.0, 0.0, 0.0, 0, 0)
    places = Places.under(folder)
    places.make()
    files = {name: voice_file(model.path, folder / name, vector=True, rank=4) for name in _VOICES}
    sent: list[str] = []
    conversation: int | None = None
    with Store.open(places.database) as store:
        for name, use in files.items():
            run = store.start_run(name, model.id, {}, [])
            store.finish_run(
                run, {"control_vector": use.control_vector, "adapter": use.adapter}, 1.0, nothing, {}, 0.0
            )
        engines = Engines(places)
        chat = Chat(store, places, engines.for_model, find_model=lambda name: model)
        try:
            for turn in range(turns):
                text = f"{turn}: {' '.join(chance.choices(_WORDS, k=chance.choice((5, 20, 60))))}"
                heard: queue.SimpleQueue[ChatEvent] = queue.SimpleQueue()
                user = chat.send(
                    conversation,
                    text,
                    voice=chance.choice((None, *_VOICES)),
                    strength=chance.choice((0.0, 0.6, 1.0)),
                    on_event=heard.put,
                    sampling=Sampling(max_tokens=chance.choice((8, 24, 48))),
                )
                conversation = user.conversation_id
                sent.append(text)
                what = chance.random()
                if what < 0.3:
                    time.sleep(chance.uniform(0, 0.5))
                    chat.stop()
                elif what < 0.34:
                    time.sleep(chance.uniform(0, 0.5))
                    seen.kills += _kill_engine()
                elif what < 0.4:
                    chat.adjust(chance.uniform(0, 2))
                while not isinstance(event := heard.get(timeout=300), AnswerFinished | AnswerFailed):
                    pass
                seen.ended[event.message.stopped_because] += 1
                seen.dropped += isinstance(event, AnswerFinished) and "left out" in event.note
                if turn % 5 == 0:
                    seen.memory.append(_memory())
        finally:
            chat.close()
            engines.close()
        assert conversation is not None
        stored = store.messages(conversation)
    kept = [message.text for message in stored if message.role == "user"]
    if kept != sent:
        seen.lost.append(f"{len(set(sent) - set(kept))} messages are not in the database as they were sent")
    if len(stored) != 2 * len(sent) or any(each.stopped_because not in _ENDS for each in stored):
        seen.lost.append("some answers are missing or have no end")
    time.sleep(1)
    if left := psutil.Process().children(recursive=True):
        seen.lost.append(f"{len(left)} processes are left")
    return seen


def _engines() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "engine.serve" in each.cmdline()]


def _kill_engine() -> int:
    for engine in (found := _engines()):
        engine.kill()
    return len(found)


def _memory() -> int:
    """Bytes of this process and of the engine."""
    return sum(int(each.memory_info().rss) for each in (psutil.Process(), *_engines()))


if __name__ == "__main__":
    main()
