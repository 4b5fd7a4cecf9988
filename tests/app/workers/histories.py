"""Small histories and voices for tests, made through the store as the program makes them."""

from __future__ import annotations

from pathlib import Path

from app.history.records import Likeness, NewDocument
from app.history.store import Store
from app.places import Places
from tests.fakes import MODEL

SENTENCE = "The ferry was late again, so I walked home along the harbour and thought about nothing at all. "


def add_writing(store: Store, words: int, path: str = "/home/anna/letters.txt") -> int:
    """A source of about ``words`` words in several documents; its id."""
    each = 180
    documents = [
        NewDocument(f"letter {number}", f"2020-01-{number % 28 + 1:02d}", "mail", text_of(each, number))
        for number in range(max(1, round(words / each)))
    ]
    return store.add_source(path, "txt", f"{abs(hash((path, words))):064x}"[:64], documents).id


def text_of(words: int, number: int = 0) -> str:
    """Prose of exactly ``words`` words."""
    return " ".join(f"{SENTENCE * (words // 15 + 1)}".split()[: words - 1]) + f" {number}."


def learnt_voice(store: Store, places: Places, name: str) -> Path:
    """A voice that has been learnt; its control-vector file."""
    run = store.start_run(name, MODEL.id, {"budget": "fast"}, [])
    folder = places.voices / f"run-{run}"
    folder.mkdir()
    file = folder / "control-vector.gguf"
    file.write_bytes(b"GGUF")
    likeness = Likeness(
        own=-0.4, own_low=-0.5, own_high=-0.3, others=-0.1, words_heldout=900, passages_heldout=7
    )
    store.finish_run(run, {"control_vector": f"{folder.name}/{file.name}"}, 1.0, likeness, {}, 3.0)
    return file
