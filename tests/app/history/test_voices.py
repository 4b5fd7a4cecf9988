from __future__ import annotations

import pytest

from app.errors import KnownError
from app.history.records import Likeness, Pair
from app.history.store import Store
from tests.app.history.writing import add, new_document

LIKENESS = Likeness(own=-0.4, own_low=-0.5, own_high=-0.3, others=-0.1, words_heldout=900, passages_heldout=7)


@pytest.fixture
def passage(store: Store) -> int:
    add(store, "/a/1.txt", new_document(100))
    return store.training_documents()[0].passages[0].id


def pair(key: str, passage: int, plain: str = "plain") -> Pair:
    return Pair(key, "history", passage, "topic", "Write about the ferry.", "my words", plain)


def state(store: Store, run: int) -> tuple[str, str, bool]:
    with store._database.read() as db:
        row = db.execute("SELECT state, reason, ended_at IS NOT NULL FROM run WHERE id = ?", [run]).fetchone()
    return (row[0], row[1], bool(row[2]))


def finish(store: Store, run: int, strength: float = 1.0) -> None:
    store.finish_run(run, {"control_vector": f"run-{run}/cv.gguf"}, strength, LIKENESS, {"note": "n"}, 12.5)


def test_a_voice_is_there_once_a_run_of_it_has_succeeded(store: Store, passage: int) -> None:
    run = store.start_run("mine", "tiny", {"budget": "fast"}, [])
    store.add_pair(run, pair("a", passage))
    store.set_insight(run, "Short sentences.")
    assert store.voices() == []
    assert state(store, run) == ("running", "", False)
    finish(store, run, 0.8)
    (voice,) = store.voices()
    assert voice == store.voice("mine")
    assert (voice.name, voice.model_id, voice.strength, voice.pairs) == ("mine", "tiny", 0.8, 1)
    assert (voice.insight, voice.likeness, voice.out_of_date) == ("Short sentences.", LIKENESS, False)
    assert voice.files == {"control_vector": f"run-{run}/cv.gguf"}
    assert voice.learnt_at is not None
    assert voice.created_at < voice.learnt_at
    assert state(store, run) == ("finished", "", True)


def test_a_voice_is_what_its_last_successful_run_left(store: Store, passage: int) -> None:
    first = store.start_run("mine", "tiny", {}, [])
    finish(store, first, 0.5)
    for strength, end in ((0.7, finish), (0.9, None)):
        run = store.start_run("mine", "tiny", {}, [])
        if end is None:
            store.fail_run(run, "out of memory")
            assert state(store, run) == ("failed", "out of memory", True)
        else:
            end(store, run, strength)
    (voice,) = store.voices()
    assert voice.strength == 0.7


def test_voices_come_by_name(store: Store) -> None:
    for name in ("work", "home", "letters"):
        finish(store, store.start_run(name, "tiny", {}, []))
    assert [voice.name for voice in store.voices()] == ["home", "letters", "work"]


def test_the_newest_pair_of_each_key_counts(store: Store, passage: int) -> None:
    first, second = (store.start_run("mine", "tiny", {}, []) for _ in range(2))
    store.add_pair(first, pair("a", passage, "old"))
    store.add_pair(first, pair("b", passage))
    store.fail_run(first, "stopped")
    store.add_pair(second, pair("a", passage, "new"))
    store.add_pair(store.start_run("other", "tiny", {}, []), pair("a", passage, "of another voice"))
    assert [(each.key, each.plain) for each in store.pairs("mine")] == [("b", "plain"), ("a", "new")]
    assert store.pairs("none") == []
    finish(store, second)
    assert store.voice("mine").pairs == 2


def test_pairs_of_another_model_do_not_count_for_the_voice(store: Store, passage: int) -> None:
    small, large = store.start_run("mine", "small", {}, []), store.start_run("mine", "large", {}, [])
    store.add_pair(small, pair("a", passage))
    store.add_pair(large, pair("b", passage))
    finish(store, large)
    assert (store.voice("mine").model_id, store.voice("mine").pairs) == ("large", 1)


def test_a_pair_comes_back_as_it_was_made(store: Store, passage: int) -> None:
    run = store.start_run("mine", "tiny", {}, [])
    made = Pair("k", "insight", passage, "notes", "Write – “now”.", "eigene Wörter\n\nzwei", "🙂\ud83d")
    store.add_pair(run, made)
    (back,) = store.pairs("mine")
    assert (back.key, back.source, back.kind, back.own) == ("k", "insight", "notes", "eigene Wörter\n\nzwei")
    assert back.plain == "🙂\ufffd"


def test_a_killed_run_is_marked_failed_at_the_next_start_and_its_pairs_stay(
    store: Store, passage: int
) -> None:
    done = store.start_run("mine", "tiny", {}, [])
    finish(store, done)
    killed = store.start_run("mine", "tiny", {}, [])
    store.add_pair(killed, pair("a", passage))
    assert store.recover() == 0, "no answers were under way"
    assert state(store, killed) == ("failed", "interrupted", True)
    assert state(store, done)[0] == "finished"
    assert [each.key for each in store.pairs("mine")] == ["a"]


def test_a_deleted_voice_is_gone_with_its_pairs_even_half_learnt(store: Store, passage: int) -> None:
    for name in ("mine", "half"):
        run = store.start_run(name, "tiny", {}, [])
        store.add_pair(run, pair("a", passage))
        if name == "mine":
            finish(store, run)
        store.delete_voice(name)
        assert (store.voices(), store.pairs(name)) == ([], [])
        store.add_pair(run, pair("b", passage))
        with pytest.raises(KnownError, match="deleted while it was being learnt"):
            finish(store, run)
    with store._database.read() as db:
        assert db.execute("SELECT count(*) FROM pair").fetchone() == (0,)


def test_an_unknown_voice_is_answered_with_those_that_exist(store: Store) -> None:
    for ask in (store.voice, store.delete_voice):
        with pytest.raises(
            KnownError, match=r"no voice called 'mine'\. None is learnt yet\. Learn one: idiolect learn"
        ):
            ask("mine")
    for name in ("work", "home"):
        finish(store, store.start_run(name, "tiny", {}, []))
    for ask in (store.voice, store.delete_voice):
        with pytest.raises(KnownError, match=r"no voice called 'mine'\. There are: home, work\."):
            ask("mine")
