from __future__ import annotations

import threading

import pytest

from app.errors import KnownError
from app.history.records import Message
from app.history.store import Store


def texts(messages: list[Message]) -> list[str]:
    return [message.text for message in messages]


def ended(store: Store, message: Message, text: str, reason: str = "end", seed: int | None = None) -> None:
    store.finish_answer(
        message.id,
        text,
        stopped_because=reason,
        seed=seed,
        prompt_tokens=11,
        tokens=3,
        tokens_per_second=40.0,
    )


def test_a_message_comes_back_as_it_was_said(store: Store) -> None:
    conversation = store.new_conversation()
    said = store.add_message(conversation.id, "user", "Cancel – “dinner” 🙂\n\non Friday")
    answer = store.add_message(
        conversation.id, "assistant", "", parent_id=said.id, model="tiny", voice="mine", strength=0.7, seed=4
    )
    assert store.messages(conversation.id) == [said, answer]
    assert (said.role, said.parent_id, said.stopped_because) == ("user", None, "end")
    assert (answer.voice, answer.strength, answer.seed, answer.stopped_because) == ("mine", 0.7, 4, "")


def test_an_answer_grows_and_ends_with_its_numbers(store: Store) -> None:
    conversation = store.new_conversation()
    answer = store.add_message(conversation.id, "assistant", "", seed=4)
    store.grow_answer(answer.id, "I am")
    assert texts(store.messages(conversation.id)) == ["I am"]
    ended(store, answer, "I am sorry.", "length")
    (found,) = store.messages(conversation.id)
    assert (found.text, found.stopped_because, found.seed) == ("I am sorry.", "length", 4)
    assert (found.prompt_tokens, found.tokens, found.tokens_per_second) == (11, 3, 40.0)
    ended(store, answer, "I am sorry.", seed=9)
    assert store.messages(conversation.id)[0].seed == 9


def test_a_late_piece_does_not_overwrite_an_answer_that_has_ended(store: Store) -> None:
    conversation = store.new_conversation()
    answer = store.add_message(conversation.id, "assistant", "")
    ended(store, answer, "I am sorry.")
    store.grow_answer(answer.id, "I am")
    assert texts(store.messages(conversation.id)) == ["I am sorry."]


def test_regenerating_makes_a_sibling_and_keeps_the_first_answer(store: Store) -> None:
    conversation = store.new_conversation()
    said = store.add_message(conversation.id, "user", "Hello")
    first = store.add_message(conversation.id, "assistant", "one", parent_id=said.id)
    second = store.add_message(conversation.id, "assistant", "two", parent_id=said.id)
    assert texts(store.messages(conversation.id)) == ["Hello", "two"]
    with store._database.read() as db:
        kept = db.execute("SELECT id, parent_id, text FROM message WHERE role = 'assistant'").fetchall()
    assert kept == [(first.id, said.id, "one"), (second.id, said.id, "two")]


def test_going_on_from_an_earlier_answer_shows_that_branch(store: Store) -> None:
    conversation = store.new_conversation()
    said = store.add_message(conversation.id, "user", "Hello")
    first = store.add_message(conversation.id, "assistant", "one", parent_id=said.id)
    store.add_message(conversation.id, "assistant", "two", parent_id=said.id)
    store.add_message(conversation.id, "user", "more", parent_id=first.id)
    assert texts(store.messages(conversation.id)) == ["Hello", "one", "more"]


def test_editing_the_first_message_makes_another_root(store: Store) -> None:
    conversation = store.new_conversation()
    said = store.add_message(conversation.id, "user", "Helo")
    store.add_message(conversation.id, "assistant", "one", parent_id=said.id)
    store.add_message(conversation.id, "user", "Hello")
    assert texts(store.messages(conversation.id)) == ["Hello"]


def test_interrupted_answers_are_settled_at_the_next_start(store: Store) -> None:
    conversation = store.new_conversation()
    said = store.add_message(conversation.id, "user", "Hello")
    done = store.add_message(conversation.id, "assistant", "", parent_id=said.id)
    ended(store, done, "Hi.", "stopped")
    killed = store.add_message(conversation.id, "assistant", "", parent_id=said.id)
    store.grow_answer(killed.id, "I am sor")
    assert store.recover() == 1
    assert [(each.text, each.stopped_because) for each in store.messages(conversation.id)] == [
        ("Hello", "end"),
        ("I am sor", "interrupted"),
    ]
    with store._database.read() as db:
        assert db.execute("SELECT stopped_because FROM message WHERE id = ?", [done.id]).fetchone() == (
            "stopped",
        )
    assert store.recover() == 0


def test_the_first_message_gives_the_title(store: Store) -> None:
    conversation = store.new_conversation()
    store.add_message(conversation.id, "assistant", "Welcome")
    for text in ("Write an email to cancel\n dinner on Friday, and say that I am sorry about it", "No"):
        store.add_message(conversation.id, "user", text)
    assert store.conversations()[0].title == "Write an email to cancel dinner on Friday, and say that I…"
    store.rename_conversation(conversation.id, "Dinner \ud83d")
    store.add_message(conversation.id, "user", "More")
    assert store.conversations()[0].title == "Dinner \ufffd"


def test_conversations_come_with_the_one_used_last_first(store: Store) -> None:
    first, second = store.new_conversation("first"), store.new_conversation("second")
    assert [each.title for each in store.conversations()] == ["second", "first"]
    answer = store.add_message(first.id, "assistant", "")
    assert [each.title for each in store.conversations()] == ["first", "second"]
    store.add_message(second.id, "user", "Hello")
    ended(store, answer, "done")
    assert [each.title for each in store.conversations()] == ["first", "second"]


def test_a_deleted_conversation_is_gone_with_its_messages_and_takes_no_more(store: Store) -> None:
    conversation, other = store.new_conversation(), store.new_conversation("other")
    said = store.add_message(conversation.id, "user", "Hello")
    answer = store.add_message(conversation.id, "assistant", "", parent_id=said.id)
    store.delete_conversation(conversation.id)
    assert [each.id for each in store.conversations()] == [other.id]
    assert store.messages(conversation.id) == []
    store.grow_answer(answer.id, "late")
    ended(store, answer, "late")
    with pytest.raises(KnownError, match="conversation has been deleted"):
        store.add_message(conversation.id, "user", "Hello?")


def test_a_message_cannot_hang_under_one_of_another_conversation(store: Store) -> None:
    here, there = store.new_conversation(), store.new_conversation()
    said = store.add_message(there.id, "user", "Hello")
    for parent in (said.id, 999):
        with pytest.raises(ValueError, match=f"message {parent} is not in conversation {here.id}"):
            store.add_message(here.id, "assistant", "", parent_id=parent)
    assert store.messages(here.id) == []


def test_many_threads_may_write_at_once(store: Store) -> None:
    conversation = store.new_conversation()
    failed: list[Exception] = []

    def write(thread: int) -> None:
        try:
            for number in range(20):
                store.add_message(conversation.id, "user", f"{thread} {number}")
                store.messages(conversation.id)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with store._database.read() as db:
        assert db.execute("SELECT count(DISTINCT text) FROM message").fetchone() == (120,)
