"""A conversation with the model: what is typed is in SQLite before anything is generated, what comes back
is saved while it comes, and whatever happens to the engine, the conversation stays whole."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.errors import KnownError
from app.history.records import Message
from app.logfile import LogFile
from app.models import Model, resolve
from app.places import Places
from app.workers.engine_client import AnswerEvent, AnswerSource, Died
from app.workers.voices import use_of
from engine.messages import ChatTurn, Failed, Finished, Sampling, Token, VoiceUse
from resources import read_text

if TYPE_CHECKING:
    from app.history.store import Store

# How much of an answer a power cut may take.
SAVE_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class AnswerStarted:
    """The answer's message exists, still empty. Sent from the thread that called `Chat.send`."""

    message: Message


@dataclass(frozen=True)
class AnswerGrew:
    """More text came; ``text_so_far`` is all of it."""

    message_id: int
    text_so_far: str


@dataclass(frozen=True)
class AnswerFinished:
    """The answer is complete and saved. ``note``: a sentence to show beside it, or ""."""

    message: Message
    note: str = ""


@dataclass(frozen=True)
class AnswerFailed:
    """The answer broke off; what had come is in ``message`` and saved. ``explanation`` says why and what
    to do."""

    message: Message
    explanation: str


ChatEvent = AnswerStarted | AnswerGrew | AnswerFinished | AnswerFailed
OnChatEvent = Callable[[ChatEvent], None]


def system_turn() -> ChatTurn:
    """The turn every prompt starts with, the same when learning and when writing.

    Without one the template of the default model puts in its own, which leaks into what people read.
    """
    return ChatTurn("system", read_text("prompts", "system.txt"))


@dataclass
class _Answer:
    """The answer being written."""

    message: Message
    engine: AnswerSource
    on_event: OnChatEvent
    request: int | None = None
    stop_wanted: bool = False
    text: str = ""
    saved_at: float = field(default_factory=time.monotonic)


class Chat:
    """All conversations of one store; one answer at a time.

    `AnswerStarted` comes from the thread that called, the other events mostly from the engine's reader
    thread. Each answer ends with exactly one `AnswerFinished` or `AnswerFailed`, unless `close` ends it.
    """

    def __init__(
        self,
        store: Store,
        places: Places,
        engine_for: Callable[[Model], AnswerSource],
        *,
        model: str | None = None,
        find_model: Callable[[str | None], Model] = resolve,
    ) -> None:
        """``engine_for``: `Engines.for_model`. ``model``: which model answers without a voice (None: the
        default)."""
        self._store, self._places = store, places
        self._engine_for, self._find_model = engine_for, find_model
        self._model = model
        self._log = LogFile(places.logs / "idiolect.log")
        self._lock = threading.RLock()
        self._answer: _Answer | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is being written."""
        return self._answer is not None

    def warm(self, voice: str | None = None, strength: float = 1.0) -> None:
        """Load the model that will answer and read what every conversation begins with, so that the first answer comes
        sooner. Raises KnownError when the voice or its model is not there."""
        model, use = self._use(voice, strength)
        self._engine_for(model).warm([system_turn()], use)

    def send(
        self,
        conversation_id: int | None,
        text: str,
        *,
        voice: str | None,
        strength: float,
        on_event: OnChatEvent,
        sampling: Sampling | None = None,
    ) -> Message:
        """Add ``text`` to the conversation (None: a new one) and have it answered.

        Returns the person's message, which is in SQLite by then. Raises KnownError, with nothing stored, for
        an empty text, while another answer is being written, and for a voice or model that is not there.
        """
        text = text.strip()
        if not text:
            raise KnownError("There is nothing to send: the message is empty.")
        with self._lock:
            model, use, engine = self._ready_for(voice, strength)
            if conversation_id is None:
                conversation_id = self._store.new_conversation().id
            before = self._store.messages(conversation_id)
            parent = before[-1].id if before else None
            user = self._store.add_message(conversation_id, "user", text, parent_id=parent)
            self._start([*before, user], model, use, engine, voice, strength, sampling, on_event)
        return user

    def retry(
        self,
        conversation_id: int,
        *,
        voice: str | None,
        strength: float,
        on_event: OnChatEvent,
        sampling: Sampling | None = None,
    ) -> Message:
        """Answer the person's last message again; the former answer stays beside the new one.

        Returns the message that is answered. Raises KnownError as `send` does.
        """
        with self._lock:
            model, use, engine = self._ready_for(voice, strength)
            messages = self._store.messages(conversation_id)
            while messages and messages[-1].role != "user":
                messages = messages[:-1]
            if not messages:
                raise KnownError("There is no message to answer in this conversation yet.")
            self._start(messages, model, use, engine, voice, strength, sampling, on_event)
        return messages[-1]

    def stop(self) -> None:
        """Stop the answer being written, if there is one; it ends with `AnswerFinished`."""
        with self._lock:
            answer = self._answer
            if answer is None:
                return
            answer.stop_wanted = True
            request = answer.request
        if request is not None:
            answer.engine.cancel(request)

    def adjust(self, strength: float) -> None:
        """Write the rest of the answer under way at ``strength``; no effect without one, or on a plain one."""
        with self._lock:
            answer = self._answer
            if answer is None or answer.request is None or answer.message.voice is None:
                return
            self._store.set_strength(answer.message.id, strength)
            answer.message = dataclasses.replace(answer.message, strength=strength)
        answer.engine.adjust(answer.request, strength)

    def close(self) -> None:
        """Stop, and save what has come of the answer at once; no event follows."""
        with self._lock:
            answer, self._answer = self._answer, None
            if answer is None:
                return
            self._store.finish_answer(
                answer.message.id,
                answer.text,
                stopped_because="interrupted",
                seed=None,
                prompt_tokens=0,
                tokens=0,
                tokens_per_second=0.0,
            )
        if answer.request is not None:
            answer.engine.cancel(answer.request)

    def _use(self, voice: str | None, strength: float) -> tuple[Model, VoiceUse | None]:
        plain = self._model if voice is None else None
        return use_of(self._store, self._places, voice, strength, model=plain, find_model=self._find_model)

    def _ready_for(self, voice: str | None, strength: float) -> tuple[Model, VoiceUse | None, AnswerSource]:
        if self._answer is not None:
            raise KnownError("An answer is still being written. Stop it first, or wait for its end.")
        model, use = self._use(voice, strength)
        return model, use, self._engine_for(model)

    def _start(
        self,
        messages: Sequence[Message],
        model: Model,
        use: VoiceUse | None,
        engine: AnswerSource,
        voice: str | None,
        strength: float,
        sampling: Sampling | None,
        on_event: OnChatEvent,
    ) -> None:
        sampling = sampling or Sampling()
        message = self._store.add_message(
            messages[-1].conversation_id,
            "assistant",
            "",
            parent_id=messages[-1].id,
            model=model.id,
            voice=voice if use is not None else None,
            strength=strength if use is not None else 0.0,
            seed=sampling.seed,
            sampling=json.dumps(dataclasses.asdict(sampling)),
        )
        answer = _Answer(message, engine, on_event)
        self._answer = answer
        on_event(AnswerStarted(message))
        answer.request = answer.engine.generate(
            turns_of(messages), use, sampling, lambda event: self._heard(answer, event)
        )
        if answer.stop_wanted:
            answer.engine.cancel(answer.request)

    def _heard(self, answer: _Answer, event: AnswerEvent) -> None:
        with self._lock:
            if self._answer is not answer:
                return
            try:
                told = self._take(answer, event)
            except Exception as error:  # whatever keeps the store from saving; nobody else would hear of it
                told = self._unsaved(answer, error)
            if not isinstance(told, AnswerGrew):
                self._answer = None
        answer.on_event(told)

    def _take(self, answer: _Answer, event: AnswerEvent) -> ChatEvent:
        """Save what ``event`` brings; what to tell."""
        if isinstance(event, Token):
            answer.text += event.text
            now = time.monotonic()
            if now - answer.saved_at >= SAVE_EVERY_SECONDS:
                self._store.grow_answer(answer.message.id, answer.text)
                answer.saved_at = now
            return AnswerGrew(answer.message.id, answer.text)
        if isinstance(event, Finished):
            message = self._save(answer, event.reason, event)
            return AnswerFinished(message, note=_note(event))
        message = self._save(answer, "failed", None)
        return AnswerFailed(message, self._explanation(event))

    def _save(self, answer: _Answer, stopped_because: str, finished: Finished | None) -> Message:
        seed = finished.seed if finished else answer.message.seed
        prompt_tokens = finished.prompt_tokens if finished else 0
        tokens = finished.tokens if finished else 0
        speed = finished.tokens_per_second if finished else 0.0
        self._store.finish_answer(
            answer.message.id,
            answer.text,
            stopped_because=stopped_because,
            seed=seed,
            prompt_tokens=prompt_tokens,
            tokens=tokens,
            tokens_per_second=speed,
        )
        return dataclasses.replace(
            answer.message,
            text=answer.text,
            stopped_because=stopped_because,
            seed=seed,
            prompt_tokens=prompt_tokens,
            tokens=tokens,
            tokens_per_second=speed,
        )

    def _unsaved(self, answer: _Answer, error: Exception) -> AnswerFailed:
        if answer.request is not None:
            answer.engine.cancel(answer.request)
        message = dataclasses.replace(answer.message, text=answer.text, stopped_because="failed")
        if isinstance(error, KnownError):
            return AnswerFailed(message, f"The answer could not be saved. {error}")
        self._log.bug(error)
        return AnswerFailed(
            message,
            f"The answer could not be saved in {self._places.database}. Details are in {self._log.path}.",
        )

    def _explanation(self, event: Failed | Died) -> str:
        if isinstance(event, Died):
            if event.loading:
                return (
                    f"The engine {event.reason} while it loaded the model. Your message is kept. Try again; if that "
                    "does not help, the model's file is not for this computer or damaged: choose another model."
                )
            return (
                f"The engine {event.reason}. Your message and what had come of the answer are kept; "
                "try again to start it anew."
            )
        if event.known:
            return event.message
        self._log.note(event.message)
        return f"The engine met an unexpected error. Details are in {self._log.path}."


def turns_of(messages: Sequence[Message]) -> list[ChatTurn]:
    """The prompt for ``messages``: the system turn first; answers that broke off before their first word are
    left out, and the person's messages around them joined, since templates want the roles to take turns."""
    turns = [system_turn()]
    for message in messages:
        if not message.text.strip():
            continue
        if message.role == turns[-1].role:
            joined = f"{turns.pop().content}\n\n{message.text}"
            turns.append(ChatTurn(message.role, joined))
        else:
            turns.append(ChatTurn(message.role, message.text))
    return turns


def _note(finished: Finished) -> str:
    notes = []
    if finished.turns_dropped:
        notes.append(
            "The conversation is longer than the model can read; its oldest "
            f"{finished.turns_dropped} messages were left out."
        )
    if finished.reason == "length":
        notes.append("The answer was cut at its longest allowed length.")
    return " ".join(notes)
