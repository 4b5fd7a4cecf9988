"""Stand-ins for the model, so that no test of the program around it needs weights."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.models import Model
from app.workers.engine_client import AnswerEvent, Died, OnAnswerEvent
from engine.messages import ChatTurn, Failed, Finished, Ready, Sampling, Token, VoiceUse

MODEL = Model("tiny", "Tiny", Path("/nowhere/tiny.gguf"), Path("/nowhere/tiny.gguf"))


@dataclass(frozen=True)
class Asked:
    """One request the engine got."""

    turns: tuple[ChatTurn, ...]
    voice: VoiceUse | None
    sampling: Sampling
    opening: str = ""


def finished(reason: str = "end", *, seed: int = 7, tokens: int = 3, turns_dropped: int = 0) -> Finished:
    """A `Finished` with plausible numbers."""
    return Finished(
        id=0,
        reason=reason,
        seed=seed,
        prompt_tokens=11,
        tokens=tokens,
        seconds_to_first_token=0.25,
        tokens_per_second=40.0,
        turns_dropped=turns_dropped,
    )


class FakeEngine:
    """An `AnswerSource` that answers with what a test enqueued.

    A text comes as one token a word and ends well; a list of events comes as it is (request numbers are
    filled in). A list without `Finished`, `Failed` or `Died` at its end leaves the answer open until `cancel`
    or `finish`. With ``threaded`` the events come from another thread, as those of the real engine do.
    """

    def __init__(self, *, threaded: bool = False) -> None:
        self.asked: list[Asked] = []
        self.cancelled: list[int] = []
        self.adjusted: list[tuple[int, float]] = []
        self.warmed: list[tuple[tuple[ChatTurn, ...], VoiceUse | None]] = []
        self.closed = False
        self.ready: Ready | None = None
        self._threaded = threaded
        self._replies: deque[Sequence[AnswerEvent]] = deque()
        self._open: dict[int, OnAnswerEvent] = {}
        self._lock = threading.Lock()

    def enqueue(self, *replies: str | Sequence[AnswerEvent]) -> None:
        """What to answer to the next requests, one reply each."""
        for reply in replies:
            self._replies.append(_events(reply) if isinstance(reply, str) else reply)

    def generate(
        self,
        turns: Sequence[ChatTurn],
        voice: VoiceUse | None,
        sampling: Sampling,
        on_event: OnAnswerEvent,
        *,
        opening: str = "",
    ) -> int:
        self.asked.append(Asked(tuple(turns), voice, sampling, opening))
        number = len(self.asked)
        assert self._replies, "the test enqueued no reply for this request"
        events = self._replies.popleft()
        with self._lock:
            self._open[number] = on_event
        if self._threaded:
            threading.Thread(target=self._play, args=(number, events), daemon=True).start()
        else:
            self._play(number, events)
        return number

    def tell(self, number: int, event: AnswerEvent) -> None:
        """Have one more event of the open answer ``number`` come."""
        self._tell(number, event)

    def finish(self, number: int, event: Finished | Failed | Died) -> None:
        """End the open answer ``number``."""
        self._tell(number, event)

    def cancel(self, request: int) -> None:
        self.cancelled.append(request)
        self._tell(request, finished("stopped"))

    def adjust(self, request: int, strength: float) -> None:
        self.adjusted.append((request, strength))

    def warm(self, turns: Sequence[ChatTurn] = (), voice: VoiceUse | None = None) -> None:
        self.warmed.append((tuple(turns), voice))

    def close(self) -> None:
        self.closed = True
        for number in list(self._open):
            self._tell(number, Died("was closed"))

    def _play(self, number: int, events: Sequence[AnswerEvent]) -> None:
        for event in events:
            self._tell(number, event)

    def _tell(self, number: int, event: AnswerEvent) -> None:
        last = not isinstance(event, Token)
        with self._lock:
            on_event = self._open.pop(number, None) if last else self._open.get(number)
        if on_event is not None:
            on_event(event if isinstance(event, Died) else dataclasses.replace(event, id=number))


def _events(text: str) -> list[AnswerEvent]:
    words = text.split(" ")
    pieces = [words[0], *(f" {word}" for word in words[1:])]
    return [*(Token(0, piece) for piece in pieces), finished(tokens=len(pieces))]
