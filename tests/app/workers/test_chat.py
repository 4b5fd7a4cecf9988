from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import KnownError
from app.history.records import Likeness, Message
from app.history.store import Store
from app.places import Places
from app.workers import chat as chat_module
from app.workers.chat import (
    AnswerFailed,
    AnswerFinished,
    AnswerGrew,
    AnswerStarted,
    Chat,
    ChatEvent,
    system_turn,
)
from app.workers.engine_client import Died
from engine.messages import Failed, Sampling, Token, VoiceUse
from resources import read_text
from tests.app.workers.histories import learnt_voice
from tests.fakes import MODEL, FakeEngine, finished


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places.under(tmp_path / "data")
    places.make()
    return places


@pytest.fixture
def store(places: Places) -> Iterator[Store]:
    with Store.open(places.database) as store:
        yield store


class Desk:
    """A chat with a fake engine, and what it told."""

    def __init__(self, store: Store, places: Places, *, threaded: bool = False) -> None:
        self.engine = FakeEngine(threaded=threaded)
        self.events: list[ChatEvent] = []
        self.ended = threading.Event()
        self.chat = Chat(store, places, lambda model: self.engine, find_model=lambda name: MODEL)

    def hear(self, event: ChatEvent) -> None:
        self.events.append(event)
        if isinstance(event, AnswerFinished | AnswerFailed):
            self.ended.set()

    def send(
        self,
        text: str,
        conversation: int | None = None,
        voice: str | None = None,
        strength: float = 1.0,
        sampling: Sampling | None = None,
    ) -> Message:
        return self.chat.send(
            conversation, text, voice=voice, strength=strength, on_event=self.hear, sampling=sampling
        )


@pytest.fixture
def desk(store: Store, places: Places) -> Desk:
    return Desk(store, places)


def on_disk(places: Places, message_id: int) -> str:
    """The text of a message as another process would read it."""
    with Store.open(places.database, read_only=True) as other:
        for conversation in other.conversations():
            for message in other.messages(conversation.id):
                if message.id == message_id:
                    return message.text
    raise AssertionError(f"message {message_id} is not in the database")


def test_an_answer_is_stored_with_its_numbers_and_told_as_it_grows(desk: Desk, store: Store) -> None:
    desk.engine.enqueue("Dear Anna, thanks.")
    user = desk.send("Thank Anna.")
    started, *grew, ended = desk.events
    assert isinstance(started, AnswerStarted)
    assert [event.text_so_far for event in grew if isinstance(event, AnswerGrew)] == [
        "Dear", "Dear Anna,", "Dear Anna, thanks.",
    ]  # fmt: skip
    assert isinstance(ended, AnswerFinished)
    assert ended.note == ""
    messages = store.messages(user.conversation_id)
    assert [(message.role, message.text) for message in messages] == [
        ("user", "Thank Anna."),
        ("assistant", "Dear Anna, thanks."),
    ]
    answer = messages[1]
    assert answer == ended.message
    assert (answer.stopped_because, answer.seed, answer.tokens, answer.prompt_tokens) == ("end", 7, 3, 11)
    assert (answer.model, answer.voice, answer.strength) == ("tiny", None, 0.0)


def test_the_message_is_in_the_database_before_the_engine_is_asked(store: Store, places: Places) -> None:
    class Checks(FakeEngine):
        def generate(self, *arguments: object, **named: object) -> int:
            with Store.open(places.database, read_only=True) as other:
                (conversation,) = other.conversations()
                stored.extend(message.text for message in other.messages(conversation.id))
            return 1

    stored: list[str] = []
    chat = Chat(store, places, lambda model: Checks(), find_model=lambda name: MODEL)
    chat.send(None, "Do not lose me", voice=None, strength=1.0, on_event=lambda event: None)
    assert stored == ["Do not lose me", ""]


def test_every_prompt_starts_with_the_system_turn_and_holds_the_conversation(desk: Desk) -> None:
    desk.engine.enqueue("Yes.", "No.")
    first = desk.send("One?")
    desk.send("Two?", first.conversation_id)
    turns = desk.engine.asked[1].turns
    assert [(turn.role, turn.content) for turn in turns] == [
        ("system", read_text("prompts", "system.txt")),
        ("user", "One?"),
        ("assistant", "Yes."),
        ("user", "Two?"),
    ]


def test_an_answer_that_never_began_is_left_out_of_the_next_prompt(desk: Desk) -> None:
    desk.engine.enqueue([Died("was killed (signal 9)")], "Here.")
    first = desk.send("One?")
    desk.send("Are you there?", first.conversation_id)
    assert [turn.content for turn in desk.engine.asked[1].turns[1:]] == ["One?\n\nAre you there?"]


def test_a_dead_engine_keeps_what_had_come_and_says_why(desk: Desk, store: Store) -> None:
    desk.engine.enqueue([Token(0, "Dear "), Token(0, "An"), Died("was killed (signal 9)")], "Dear Anna.")
    user = desk.send("Write to Anna.")
    failed = desk.events[-1]
    assert isinstance(failed, AnswerFailed)
    assert "was killed (signal 9)" in failed.explanation
    assert failed.message.text == "Dear An"
    assert store.messages(user.conversation_id)[-1] == failed.message
    assert failed.message.stopped_because == "failed"
    again = desk.chat.retry(user.conversation_id, voice=None, strength=1.0, on_event=desk.hear)
    assert again.id == user.id
    assert store.messages(user.conversation_id)[-1].text == "Dear Anna."
    assert [turn.role for turn in desk.engine.asked[1].turns] == ["system", "user"]


def test_a_known_failure_is_told_as_it_is(desk: Desk) -> None:
    desk.engine.enqueue([Failed(0, known=True, message="The voice was made for another model.")])
    desk.send("Hello")
    failed = desk.events[-1]
    assert isinstance(failed, AnswerFailed)
    assert failed.explanation == "The voice was made for another model."


def test_a_bug_of_the_engine_goes_to_the_log_and_its_place_is_named(desk: Desk, places: Places) -> None:
    desk.engine.enqueue([Failed(0, known=False, message="Traceback: KeyError")])
    desk.send("Hello")
    failed = desk.events[-1]
    assert isinstance(failed, AnswerFailed)
    assert str(places.logs) in failed.explanation
    assert "KeyError" not in failed.explanation
    assert "KeyError" in (places.logs / "idiolect.log").read_text()


def test_stopping_keeps_what_had_come(desk: Desk, store: Store) -> None:
    desk.engine.enqueue([Token(0, "Dear ")])
    user = desk.send("Write to Anna.")
    assert desk.chat.busy
    desk.chat.stop()
    ended = desk.events[-1]
    assert isinstance(ended, AnswerFinished)
    assert (ended.message.text, ended.message.stopped_because) == ("Dear ", "stopped")
    assert store.messages(user.conversation_id)[-1].stopped_because == "stopped"
    assert not desk.chat.busy


def test_stopping_while_the_answer_is_being_started_is_not_lost(store: Store, places: Places) -> None:
    desk = Desk(store, places)
    desk.engine.enqueue([])

    def stop_at_once(event: ChatEvent) -> None:
        desk.hear(event)
        if isinstance(event, AnswerStarted):
            desk.chat.stop()

    desk.chat.send(None, "Hello", voice=None, strength=1.0, on_event=stop_at_once)
    assert isinstance(desk.events[-1], AnswerFinished)
    assert not desk.chat.busy


def test_a_growing_answer_is_saved_before_it_ends(
    desk: Desk, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "SAVE_EVERY_SECONDS", 0.0)
    desk.engine.enqueue([Token(0, "Dear "), Token(0, "Anna")])
    desk.send("Write to Anna.")
    started = desk.events[0]
    assert isinstance(started, AnswerStarted)
    assert on_disk(places, started.message.id) == "Dear Anna"
    desk.chat.stop()


def test_closing_saves_what_had_come_as_interrupted(desk: Desk, store: Store) -> None:
    desk.engine.enqueue([Token(0, "Dear ")])
    user = desk.send("Write to Anna.")
    desk.chat.close()
    answer = store.messages(user.conversation_id)[-1]
    assert (answer.text, answer.stopped_because) == ("Dear ", "interrupted")
    assert not any(isinstance(event, AnswerFinished | AnswerFailed) for event in desk.events)


def test_only_one_answer_is_written_at_a_time_and_the_second_message_is_not_stored(
    desk: Desk, store: Store
) -> None:
    desk.engine.enqueue([Token(0, "Dear ")])
    user = desk.send("Write to Anna.")
    with pytest.raises(KnownError, match="still being written"):
        desk.send("And to Ben.", user.conversation_id)
    assert len(store.messages(user.conversation_id)) == 2
    desk.chat.stop()


def test_refused_messages_leave_no_trace(desk: Desk, store: Store) -> None:
    for text, voice, strength in (("  \n", None, 1.0), ("Hello", "nobody", 1.0), ("Hello", None, 3.0)):
        with pytest.raises(KnownError):
            desk.send(text, voice=voice, strength=strength)
    assert store.conversations() == []
    assert not desk.chat.busy


def test_a_voice_steers_with_its_file_and_is_stored_with_the_answer(
    desk: Desk, store: Store, places: Places
) -> None:
    file = learnt_voice(store, places, "letters")
    desk.engine.enqueue("Yours.", "Plain.")
    user = desk.send("Hello", voice="letters", strength=0.7)
    assert desk.engine.asked[0].voice == VoiceUse(str(file), 0.7)
    answer = store.messages(user.conversation_id)[-1]
    assert (answer.voice, answer.strength) == ("letters", 0.7)
    desk.send("Hello", user.conversation_id, voice="letters", strength=0.0)
    assert desk.engine.asked[1].voice is None


def test_a_voice_whose_file_is_gone_says_to_learn_it_again(desk: Desk, store: Store, places: Places) -> None:
    learnt_voice(store, places, "letters").unlink()
    with pytest.raises(KnownError, match=r"'letters' is missing.*Learn the voice again"):
        desk.send("Hello", voice="letters")


def test_a_voice_without_any_file_says_to_learn_it_again(desk: Desk, store: Store, places: Places) -> None:
    run = store.start_run("bare", "tiny", {}, [])
    store.finish_run(run, {}, 1.0, Likeness(-0.4, -0.5, -0.3, -0.1, 900, 7), {}, 3.0)
    with pytest.raises(KnownError, match=r"'bare' is missing.*Learn the voice again"):
        desk.send("Hello", voice="bare")


def test_dropped_turns_and_cut_answers_are_noted(desk: Desk) -> None:
    desk.engine.enqueue([Token(0, "Dear"), finished("length", turns_dropped=4)])
    desk.send("Write to Anna.")
    ended = desk.events[-1]
    assert isinstance(ended, AnswerFinished)
    assert "4 messages were left out" in ended.note
    assert "longest allowed length" in ended.note


def test_an_answer_that_cannot_be_saved_is_told_and_the_engine_stopped(
    desk: Desk, store: Store, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise KnownError("The disk is full.")

    desk.engine.enqueue([Token(0, "Dear ")])
    desk.send("Write to Anna.")
    monkeypatch.setattr(store, "finish_answer", full)
    desk.engine.finish(1, finished())
    failed = desk.events[-1]
    assert isinstance(failed, AnswerFailed)
    assert "The disk is full." in failed.explanation
    assert failed.message.text == "Dear "
    assert not desk.chat.busy


def test_answers_from_another_thread_arrive_whole_and_in_order(store: Store, places: Places) -> None:
    desk = Desk(store, places, threaded=True)
    text = " ".join(str(number) for number in range(200))
    desk.engine.enqueue(text)
    user = desk.send("Count.", sampling=Sampling(seed=5))
    assert desk.ended.wait(20)
    assert store.messages(user.conversation_id)[-1].text == text
    assert desk.engine.asked[0].sampling.seed == 5


def test_warming_loads_the_model_of_the_voice(desk: Desk) -> None:
    desk.chat.warm()
    assert desk.engine.warmed == [((system_turn(),), None)]
    with pytest.raises(KnownError):
        desk.chat.warm("nobody")


def test_the_settings_an_answer_was_written_with_are_kept(desk: Desk, store: Store) -> None:
    desk.engine.enqueue("Yes.")
    sampling = Sampling(temperature=0.2, seed=5, stop=("\n",))
    user = desk.send("Well?", sampling=sampling)
    question, answer = store.messages(user.conversation_id)
    assert question.sampling == ""
    kept = json.loads(answer.sampling)
    assert Sampling(**(kept | {"stop": tuple(kept["stop"])})) == sampling


def test_the_strength_of_an_answer_under_way_can_be_changed(desk: Desk, store: Store, places: Places) -> None:
    learnt_voice(store, places, "letters")
    desk.engine.enqueue([Token(0, "Dear")])
    user = desk.send("Thank Anna.", voice="letters", strength=0.5)
    desk.chat.adjust(1.25)
    assert desk.engine.adjusted == [(1, 1.25)]
    desk.engine.finish(1, finished("end"))
    answer = store.messages(user.conversation_id)[-1]
    assert (answer.strength, answer.stopped_because) == (1.25, "end")
    desk.chat.adjust(0.5)  # none is under way
    assert len(desk.engine.adjusted) == 1


def test_a_plain_answer_has_no_strength_to_change(desk: Desk) -> None:
    desk.engine.enqueue([Token(0, "Dear")])
    desk.send("Thank Anna.")
    desk.chat.adjust(1.25)
    assert desk.engine.adjusted == []


def test_a_model_the_engine_dies_of_is_told_apart(desk: Desk) -> None:
    desk.engine.enqueue([Died("crashed (signal 11)", loading=True)])
    desk.send("Hello")
    failed = desk.events[-1]
    assert isinstance(failed, AnswerFailed)
    assert "while it loaded the model" in failed.explanation
    assert "choose another model" in failed.explanation
