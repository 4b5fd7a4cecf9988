"""Conversations: which there are, what stands in the open one, and the answer being written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from app.desktop.bridge import Background, GuiThread, Throttle
from app.desktop.presenters.problem import Problem, Troubles
from app.desktop.presenters.wording import caption
from app.errors import KnownError
from app.history.records import Conversation, Message
from app.workers.chat import AnswerFailed, AnswerFinished, AnswerGrew, AnswerStarted, ChatEvent, OnChatEvent

NOT_ANSWERED = "This message was not answered: the program ended first."
TRY_AGAIN = "Try again"


class ChatService(Protocol):
    """What the presenter needs of `app.workers.chat.Chat`."""

    def send(
        self, conversation_id: int | None, text: str, *, voice: str | None, strength: float,
        on_event: OnChatEvent,
    ) -> Message: ...  # fmt: skip

    def retry(
        self, conversation_id: int, *, voice: str | None, strength: float, on_event: OnChatEvent
    ) -> Message: ...

    def stop(self) -> None: ...

    def adjust(self, strength: float) -> None: ...


class ConversationStore(Protocol):
    """What the presenter reads of the store."""

    def conversations(self) -> Sequence[Conversation]: ...

    def messages(self, conversation_id: int) -> Sequence[Message]: ...


@dataclass(frozen=True)
class Line:
    """One message as it is shown. ``writing``: its text still grows. ``problem``: why it is not whole."""

    id: int
    role: str
    text: str
    caption: str = ""
    writing: bool = False
    note: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Opened:
    """A conversation with its messages; ``id`` None is a new one, of which nothing is stored yet."""

    id: int | None
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class _Answering:
    conversation_id: int
    message_id: int


class ChatPresenter(QObject):
    """Shows by signals, is asked by methods; every method returns at once."""

    conversations_changed = Signal(list)  # of Conversation, newest first
    opened = Signal(object)  # Opened
    lines_changed = Signal(object)  # tuple of Line: what stands in the open conversation now
    line_grew = Signal(object)  # Line: the last one, with more text
    answering_changed = Signal(bool)  # whether an answer is being written in the open conversation
    problem_changed = Signal(object)  # Problem, or None when it is settled
    draft_returned = Signal(str)  # what could not be sent

    def __init__(self, gui: GuiThread, background: Background, troubles: Troubles) -> None:
        super().__init__()
        self._gui, self._background, self._troubles = gui, background, troubles
        self._store: ConversationStore | None = None
        self._chat: ChatService | None = None
        self._open = Opened(None)
        self._answering: _Answering | None = None
        self._sending = ""  # the text on its way into the store
        self._visit = 0  # counts what was opened: an answer to an older question is not listened to
        self._after_stop: Callable[[], None] | None = None
        self._voice: str | None = None
        self._strength = 1.0
        self._grew: Throttle[AnswerGrew] = Throttle(self._show_growth, self)

    @property
    def conversation_id(self) -> int | None:
        """The open conversation; None while a new one is empty."""
        return self._open.id

    @property
    def answering(self) -> bool:
        """Whether an answer is being written in the open conversation, or a message is on its way."""
        here = self._answering is not None and self._answering.conversation_id == self._open.id
        return here or bool(self._sending)

    def connect_to(self, store: ConversationStore, chat: ChatService, conversation_id: int | None) -> None:
        """Begin: list the conversations and open ``conversation_id``, where it still exists."""
        self._store, self._chat = store, chat

        def listed(conversations: Sequence[Conversation]) -> None:
            self.conversations_changed.emit(list(conversations))
            if conversation_id in {each.id for each in conversations}:
                self.open(conversation_id)

        self._background.run(store.conversations, listed)

    def write_with(self, voice: str | None, strength: float) -> None:
        """Let further answers be written in ``voice`` at ``strength``, and the rest of one in this voice under way."""
        goes_on = self._answering is not None and voice is not None and voice == self._voice
        if goes_on and strength != self._strength and self._chat is not None:
            chat = self._chat
            self._background.run(lambda: chat.adjust(strength), failed=self._failed)
        self._voice, self._strength = voice, strength

    def new(self) -> None:
        """Open an empty conversation; it is stored with its first message."""
        self._visit += 1
        self._show(Opened(None))

    def open(self, conversation_id: int | None) -> None:
        """Open a conversation. An answer being written in another one goes on."""
        if conversation_id is None or self._store is None:
            self.new()
            return
        self._visit += 1
        visit, store = self._visit, self._store

        def read(messages: Sequence[Message]) -> None:
            if visit != self._visit:
                return
            if self._ended_meanwhile(messages):
                self.open(conversation_id)
            else:
                self._show(Opened(conversation_id, self._lines(messages)))

        self._background.run(lambda: store.messages(conversation_id), read, self._failed)

    def send(self, text: str) -> None:
        """Add ``text`` to the open conversation and have it answered."""
        if not text.strip():
            return
        if self._chat is None or self.answering:
            self.draft_returned.emit(text)
            return
        if self._answering is not None:  # in another conversation: there is one engine
            self._after_stop = lambda: self.send(text)
            self.stop()
            return
        chat, conversation_id, visit = self._chat, self._open.id, self._visit
        voice, strength = self._voice, self._strength
        self._begin(text.strip())

        def send() -> Message:
            return chat.send(
                conversation_id, text, voice=voice, strength=strength, on_event=self._hear_for(visit)
            )

        self._background.run(send, failed=lambda error: self._not_sent(error, text))

    def try_again(self) -> None:
        """Have the last message of the open conversation answered again."""
        if self._chat is None or self._open.id is None or self.answering:
            return
        if self._answering is not None:
            self._after_stop = self.try_again
            self.stop()
            return
        chat, conversation_id, visit = self._chat, self._open.id, self._visit
        voice, strength = self._voice, self._strength
        self.problem_changed.emit(None)

        def retry() -> Message:
            return chat.retry(conversation_id, voice=voice, strength=strength, on_event=self._hear_for(visit))

        self._background.run(retry, failed=self._failed)

    def stop(self) -> None:
        """Stop the answer being written; what there is of it stays."""
        if self._chat is not None:
            self._background.run(self._chat.stop)

    def dismiss_problem(self) -> None:
        """The person has read it."""
        self.problem_changed.emit(None)

    def _begin(self, text: str) -> None:
        self._sending = text
        self.problem_changed.emit(None)
        self.answering_changed.emit(True)

    def _hear_for(self, visit: int) -> OnChatEvent:
        """A listener, for whatever thread, of the answer asked for on this visit."""

        def hear(event: ChatEvent) -> None:
            if isinstance(event, AnswerGrew):
                self._grew.put(event)
            else:
                self._gui.post(lambda: self._heard(event, visit))

        return hear

    def _heard(self, event: ChatEvent, visit: int) -> None:
        if isinstance(event, AnswerStarted):
            self._started(event.message, visit)
            return
        if isinstance(event, AnswerGrew):
            raise TypeError("growth comes through the throttle")
        self._grew.drop()
        self._answering = None
        if event.message.conversation_id == self._open.id:
            ended = _line(event.message)
            if isinstance(event, AnswerFailed):
                ended = dataclasses.replace(ended, problem=event.explanation)
            elif isinstance(event, AnswerFinished):
                ended = dataclasses.replace(ended, note=event.note)
            self._replace(ended)
        self.answering_changed.emit(self.answering)
        self._list_conversations()
        if self._after_stop is not None:
            then, self._after_stop = self._after_stop, None
            then()

    def _started(self, answer: Message, visit: int) -> None:
        sent, self._sending = self._sending, ""
        self._answering = _Answering(answer.conversation_id, answer.id)
        if self._open.id is None and visit == self._visit:
            self._open = Opened(answer.conversation_id)
        if self._open.id == answer.conversation_id:
            lines = list(self._open.lines)
            if sent and answer.parent_id is not None:
                lines.append(Line(answer.parent_id, "user", sent))
            while lines and lines[-1].role != "user":  # what is answered again
                lines.pop()
            if lines and lines[-1].problem:
                lines[-1] = dataclasses.replace(lines[-1], problem="")
            lines.append(_line(answer, writing=True))
            self._set_lines(tuple(lines))
        self.answering_changed.emit(self.answering)
        self._list_conversations()

    def _show_growth(self, event: AnswerGrew) -> None:
        lines = self._open.lines
        if lines and lines[-1].id == event.message_id and lines[-1].writing:
            grown = dataclasses.replace(lines[-1], text=event.text_so_far)
            self._open = dataclasses.replace(self._open, lines=(*lines[:-1], grown))
            self.line_grew.emit(grown)

    def _not_sent(self, error: Exception, text: str) -> None:
        self._sending = ""
        self.answering_changed.emit(self.answering)
        self.draft_returned.emit(text)
        self.problem_changed.emit(self._troubles.describe(error))

    def _failed(self, error: Exception) -> None:
        action = TRY_AGAIN if isinstance(error, KnownError) else ""
        self.problem_changed.emit(self._troubles.describe(error, action))

    def _ended_meanwhile(self, messages: Sequence[Message]) -> bool:
        """Whether the answer at the end of ``messages`` was read unfinished but is finished by now."""
        if not messages or messages[-1].role == "user" or messages[-1].stopped_because:
            return False
        return self._answering is None or self._answering.message_id != messages[-1].id

    def _lines(self, messages: Sequence[Message]) -> tuple[Line, ...]:
        now = self._answering.message_id if self._answering is not None else None
        lines = [_line(message, writing=message.id == now) for message in messages]
        if lines and lines[-1].role == "user" and not self._sending:
            lines[-1] = dataclasses.replace(lines[-1], problem=NOT_ANSWERED)
        return tuple(lines)

    def _replace(self, line: Line) -> None:
        self._set_lines(tuple(line if each.id == line.id else each for each in self._open.lines))

    def _set_lines(self, lines: tuple[Line, ...]) -> None:
        self._open = dataclasses.replace(self._open, lines=lines)
        self.lines_changed.emit(lines)

    def _show(self, opened: Opened) -> None:
        self._open = opened
        self.problem_changed.emit(None)
        self.opened.emit(opened)
        self.answering_changed.emit(self.answering)

    def _list_conversations(self) -> None:
        if self._store is not None:
            self._background.run(
                self._store.conversations, lambda found: self.conversations_changed.emit(list(found))
            )


def _line(message: Message, *, writing: bool = False) -> Line:
    if message.role == "user":
        return Line(message.id, "user", message.text)
    problem = ""
    if not writing and message.stopped_because in ("failed", "interrupted"):
        problem = "This answer is not complete."
    return Line(
        message.id,
        message.role,
        message.text,
        caption=caption(message),
        writing=writing,
        problem=problem,
    )


__all__ = ["ChatPresenter", "ChatService", "ConversationStore", "Line", "Opened", "Problem"]
