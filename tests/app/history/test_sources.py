from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.history.records import Likeness, NewDocument, Pair
from app.history.store import Store
from app.places import Places
from tests.app.history.writing import add, new_document, prose

LIKENESS = Likeness(-0.4, -0.5, -0.3, -0.1, 900, 7)


def learnt(store: Store, name: str, *source_ids: int) -> int:
    """A voice learnt from these sources, with a pair for each of their passages; its run."""
    run = store.start_run(name, "tiny", {}, source_ids)
    for document in store.training_documents(source_ids):
        for passage in document.passages:
            key = f"{name} {passage.id}"
            store.add_pair(run, Pair(key, "history", passage.id, "topic", "query", passage.text, "plain"))
    store.finish_run(run, {}, 1.0, LIKENESS, {}, 1.0)
    return run


def count(store: Store, table: str) -> int:
    with store._database.read() as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def everything(places: Places) -> bytes:
    """All bytes of the history on the disk."""
    return b"".join(file.read_bytes() for file in sorted(places.data.glob(f"{places.database.name}*")))


# What is held


def test_a_source_knows_its_size(store: Store) -> None:
    add(store, "/a/b.txt", new_document(100, "Anna"), new_document(400, "Ben"), new_document(10, "Cora"))
    (source,) = store.sources()
    assert (source.path, source.kind, source.sha256) == ("/a/b.txt", "txt", "1")
    assert (source.documents, source.words) == (3, 500), "the scrap is a document, and nothing to learn from"
    assert source.passages == sum(len(document.passages) for document in store.training_documents())
    assert store.source_at("/a/b.txt") == source
    assert store.source_at(Path("/a/none.txt")) is None
    assert store.fingerprints() == {"/a/b.txt": "1"}


def test_sources_come_in_natural_order_of_their_paths(store: Store) -> None:
    for number in (10, 9, 1):
        add(store, f"/a/Letter {number}.txt", new_document(50, f"N{number}"))
    add(store, "/a/letter 2.txt", new_document(50, "N2"))
    assert [source.path[10:-4] for source in store.sources()] == ["1", "2", "9", "10"]


def test_a_passage_counts_once_wherever_it_occurs(store: Store) -> None:
    add(store, "/a/1.txt", new_document(100, "Anna"), new_document(100, "Anna"))
    add(store, "/a/2.txt", new_document(100, "Anna"), new_document(100, "Ben"))
    totals = store.totals()
    assert (totals.sources, totals.documents, totals.passages, totals.words) == (2, 4, 2, 200)
    assert [(source.passages, source.words) for source in store.sources()] == [(1, 100), (2, 200)]
    assert [len(document.passages) for document in store.training_documents()] == [1, 1]


def test_words_are_counted_in_scripts_without_spaces(store: Store) -> None:
    text = "昨日は一日中川沿いを散歩して、たわいもないことを話しました。" * 6
    add(store, "/a/1.txt", NewDocument("a", None, "note", text))
    assert 60 < store.totals().words < 120
    assert [passage.words for passage in store.training_documents()[0].passages] == [store.totals().words]


def test_text_with_half_characters_is_held_mended(store: Store) -> None:
    add(store, "/a/1.txt", NewDocument("half \ud83d", None, "note", f"\ud83d\ude42 {prose(100)}"))
    (document,) = store.training_documents()
    assert document.title == "half \ufffd"
    assert document.passages[0].text.startswith("🙂")


def test_an_empty_history_is_empty(store: Store) -> None:
    assert (store.sources(), store.training_documents(), store.fingerprints()) == ([], [], {})
    assert (store.totals().sources, store.totals().words) == (0, 0)


# The order of writing


def test_documents_come_in_the_order_they_were_written(store: Store) -> None:
    add(store, "/a/1.txt", new_document(50, "Third", "2021-03-01"), new_document(50, "First", "2019-01-01"))
    add(store, "/a/2.txt", new_document(50, "Second", "2020-06-01"), new_document(50, "Beside", None))
    assert [document.title.split()[-1] for document in store.training_documents()] == [
        "First",
        "Second",
        "Beside",
        "Third",
    ]


def test_without_dates_they_come_in_the_order_of_their_names_and_places(store: Store) -> None:
    add(store, "/a/10.txt", new_document(50, "Ten"))
    add(store, "/a/9.txt", new_document(50, "Nine"), new_document(50, "Nine-and-a-half", "1999-01-01"))
    assert [document.title.split()[-1] for document in store.training_documents()] == [
        "Nine",
        "Nine-and-a-half",
        "Ten",
    ]


def test_a_repeated_passage_counts_where_it_was_written_first(store: Store) -> None:
    add(store, "/a/1.txt", NewDocument("later", "2020-01-01", "note", prose(100)))
    add(store, "/a/2.txt", NewDocument("earlier", "2019-01-01", "note", prose(100)))
    assert [document.title for document in store.training_documents()] == ["earlier"]


def test_learning_can_be_kept_to_some_sources(store: Store) -> None:
    first, second = (add(store, f"/a/{mark}.txt", new_document(100, mark)) for mark in ("Anna", "Ben"))
    assert [document.source_id for document in store.training_documents([second])] == [second]
    assert [document.source_id for document in store.training_documents([first, second])] == [first, second]
    assert store.training_documents([]) == []


# Replacing


def test_the_same_file_again_is_left_as_it_is(store: Store) -> None:
    number = add(store, "/a/1.txt", new_document(100))
    learnt(store, "mine", number)
    before = (store.sources(), store.training_documents())
    assert add(store, "/a/1.txt", new_document(100, "Other"), sha256="1") == number
    assert (store.sources(), store.training_documents()) == before
    assert not store.voice("mine").out_of_date


def test_a_changed_file_keeps_the_pairs_of_what_is_still_in_it(store: Store) -> None:
    number = add(
        store, "/a/1.txt", new_document(100, "Anna"), new_document(100, "Ben"), new_document(100, "Ben")
    )
    learnt(store, "mine", number)
    other = add(store, "/a/2.txt", new_document(100, "Dan"))
    learnt(store, "other", other)
    changed = (new_document(100, "Ben"), new_document(100, "Cora"))
    assert add(store, "/a/1.txt", *changed, sha256="2") == number
    assert [pair.own for pair in store.pairs("mine")] == [prose(100, "Ben")]
    assert (store.voice("mine").out_of_date, store.voice("other").out_of_date) == (True, False)
    assert (count(store, "document"), count(store, "passage")) == (3, 3)


def test_a_file_that_fails_half_way_leaves_what_was_there(store: Store) -> None:
    add(store, "/a/1.txt", new_document(100))
    before = (store.sources(), store.training_documents())
    broken = NewDocument(None, None, "note", prose(50))  # type: ignore[arg-type]
    for path in ("/a/1.txt", "/a/2.txt"):
        with pytest.raises((TypeError, AttributeError, sqlite3.Error, UnicodeError)):
            add(store, path, new_document(100, "Ben"), broken, sha256="2")
    assert (store.sources(), store.training_documents()) == before


# Removing


def test_removing_a_source_takes_its_passages_and_pairs_and_nothing_else(store: Store) -> None:
    first = add(store, "/a/1.txt", new_document(100, "Anna"))
    second = add(store, "/a/2.txt", new_document(100, "Ben"))
    learnt(store, "mine", first, second)
    learnt(store, "other", second)
    store.remove_source(first)
    assert [source.id for source in store.sources()] == [second]
    assert [pair.own for pair in store.pairs("mine")] == [prose(100, "Ben")]
    assert (store.voice("mine").out_of_date, store.voice("other").out_of_date) == (True, False)
    assert (count(store, "document"), count(store, "passage"), count(store, "pair")) == (1, 1, 2)
    store.remove_source(second)
    assert store.voice("other").out_of_date
    tables = ("document", "passage", "pair", "run_source")
    assert [count(store, table) for table in tables] == [0] * len(tables)


def test_a_voice_learnt_anew_after_a_removal_is_up_to_date(store: Store) -> None:
    first = add(store, "/a/1.txt", new_document(100, "Anna"))
    second = add(store, "/a/2.txt", new_document(100, "Ben"))
    learnt(store, "mine", first, second)
    store.remove_source(first)
    learnt(store, "mine", second)
    assert not store.voice("mine").out_of_date


def test_a_source_removed_while_it_is_learnt_makes_the_voice_out_of_date(store: Store) -> None:
    number = add(store, "/a/1.txt", new_document(100))
    passage = store.training_documents()[0].passages[0]
    run = store.start_run("mine", "tiny", {}, [number])
    store.remove_source(number)
    store.add_pair(run, Pair("k", "history", passage.id, "topic", "q", passage.text, "plain"))
    store.finish_run(run, {}, 1.0, LIKENESS, {}, 1.0)
    assert store.voice("mine").out_of_date
    assert store.pairs("mine") == [], "nor is a pair kept of what is gone"


def secret_history(store: Store) -> tuple[list[int], list[int]]:
    """Sources whose every sentence, title and path says secret, and some that do not, written in turn."""
    secret: list[int] = []
    kept: list[int] = []
    for number in range(40):
        mark, numbers = ("secret", secret) if number % 2 else ("harmless", kept)
        documents = [
            new_document(60 + 37 * (number % 9), f"{mark}{number}x{each}") for each in range(1 + number % 5)
        ]
        numbers.append(add(store, f"/home/{mark}/{number}.txt", *documents))
    learnt(store, "mine", *secret, *kept)
    return secret, kept


def test_a_removed_source_leaves_no_text_behind(store: Store, places: Places) -> None:
    secret, _ = secret_history(store)
    assert everything(places).count(b"secret") > 1000
    for number in secret:
        store.remove_source(number)
    assert everything(places).count(b"secret") == 0, "with the program still running"
    assert everything(places).count(b"harmless") > 1000


def test_a_replaced_source_leaves_none_of_its_former_text_behind(store: Store, places: Places) -> None:
    add(store, "/a/1.txt", new_document(900, "secret"))
    add(store, "/a/1.txt", new_document(900, "harmless"), sha256="2")
    assert everything(places).count(b"secret") == 0


def test_a_deleted_voice_leaves_no_text_behind(store: Store, places: Places) -> None:
    number = add(store, "/a/1.txt", new_document(300, "harmless"))
    run = store.start_run("secret voice", "tiny", {}, [number])
    passage = store.training_documents()[0].passages[0]
    for key in range(50):
        own = prose(100, "secret")
        store.add_pair(run, Pair(f"{key}", "history", passage.id, "topic", "secret", own, "plain"))
    store.delete_voice("secret voice")
    assert everything(places).count(b"secret") == 0


def test_a_deleted_conversation_leaves_no_text_behind(store: Store, places: Places) -> None:
    conversation = store.new_conversation("secret title")
    store.add_message(conversation.id, "user", prose(2000, "secret"))
    store.delete_conversation(conversation.id)
    assert everything(places).count(b"secret") == 0


def test_removing_goes_on_while_another_program_reads_and_is_finished_at_the_end(places: Places) -> None:
    with Store.open(places.database) as store:
        secret, _ = secret_history(store)
        reader = sqlite3.connect(places.database)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM passage").fetchone()
        for number in secret[:2]:
            store.remove_source(number)
        reader.close()
        for number in secret[2:]:
            store.remove_source(number)
    assert everything(places).count(b"secret") == 0
