"""The engine process as the program sees it: ask, get events, stop, and start it again when it died.

One `Engine` serves one model and answers one request at a time: further requests wait their turn. Events of
one request come from one thread at a time, in order, and end with exactly one `Finished`, `Failed` or `Died`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.errors import KnownError
from app.logfile import LogFile
from app.models import Model
from app.places import Places
from app.settings import EngineSettings, load
from app.workers.process import Child, Ending, worker_command
from engine.messages import (
    EVENTS,
    REQUESTS,
    Adjust,
    Cancel,
    ChatTurn,
    Failed,
    Finished,
    Generate,
    Load,
    Reading,
    Ready,
    Sampling,
    Token,
    VoiceUse,
    Warm,
)


@dataclass(frozen=True)
class Died:
    """The engine process ended before the answer was complete; ``reason`` completes "The engine …". ``loading``: before
    the model was loaded, so that trying again may not help."""

    reason: str
    loading: bool = False


AnswerEvent = Token | Finished | Failed | Died
OnAnswerEvent = Callable[[AnswerEvent], None]


# The engine stops within milliseconds, in the middle of a prefill too; one that has not by then is wedged.
_CANCEL_PATIENCE_SECONDS = 5.0
# Loading is a matter of the disk, and says nothing before its end.
_LOADING_SECONDS = 1200.0


class AnswerSource(Protocol):
    """What writes answers: the `Engine`, or a fake in tests."""

    @property
    def ready(self) -> Ready | None:
        """What is known of the loaded model; None while none is loaded."""

    def generate(
        self,
        turns: Sequence[ChatTurn],
        voice: VoiceUse | None,
        sampling: Sampling,
        on_event: OnAnswerEvent,
        *,
        opening: str = "",
    ) -> int:
        """Start an answer to the last of ``turns``, or where there are none the rest of ``opening``; its number, for
        `cancel`."""

    def cancel(self, request: int) -> None:
        """Stop the answer ``request``; it ends with `Finished` and reason ``stopped``. Others: no effect."""

    def adjust(self, request: int, strength: float) -> None:
        """Write the rest of the answer ``request`` with its voice at ``strength``. Others: no effect."""

    def warm(self, turns: Sequence[ChatTurn] = (), voice: VoiceUse | None = None) -> None:
        """Load the model and read ``turns`` under ``voice``, so that an answer that begins so comes sooner."""

    def close(self) -> None:
        """End the process; answers under way end with `Died`."""


@dataclass(frozen=True)
class _Request:
    message: Generate
    on_event: OnAnswerEvent


class Engine:
    """The engine process of one model. Every method may be called from any thread and returns at once,
    `close` excepted; nothing is raised: what goes wrong arrives as `Failed` or `Died`."""

    def __init__(
        self,
        model_path: Path,
        logs: Path,
        *,
        command: Sequence[str] | None = None,
        settings: EngineSettings | None = None,
    ) -> None:
        """``command`` runs the process; by default the one that belongs to this program."""
        self._model_path = model_path
        self._log = LogFile(logs / "engine.log")
        self._command = list(command) if command is not None else worker_command("engine")
        self._lock = threading.RLock()
        self._child: Child | None = None
        self._starts = 0  # numbers the children: what a former one still says is not listened to
        self._ready: Ready | None = None
        self._current: _Request | None = None
        self._waiting: deque[_Request] = deque()
        self._last_id = 0
        self._settings = settings or EngineSettings()
        self._heard_at = 0.0
        self._watch: threading.Timer | None = None  # over the answer under way, or over having none

    @property
    def ready(self) -> Ready | None:
        """What is known of the loaded model; None while none is loaded."""
        return self._ready

    def generate(
        self,
        turns: Sequence[ChatTurn],
        voice: VoiceUse | None,
        sampling: Sampling,
        on_event: OnAnswerEvent,
        *,
        opening: str = "",
    ) -> int:
        """Start an answer to the last of ``turns``, or the rest of ``opening``, after those already asked for; its
        number."""
        with self._lock:
            self._last_id += 1
            message = Generate(self._last_id, tuple(turns), voice, sampling, opening=opening)
            self._waiting.append(_Request(message, on_event))
        self._go_on()
        return message.id

    def cancel(self, request: int) -> None:
        """Stop the answer ``request``. One that still waits ends here, without ever reaching the engine."""
        with self._lock:
            current, child = self._current, self._child
            found = [each for each in self._waiting if each.message.id == request]
            for each in found:
                self._waiting.remove(each)
        for each in found:
            each.on_event(_stopped(each.message))
        if child is not None and current is not None and current.message.id == request:
            child.send(Cancel(request))
            _later(_CANCEL_PATIENCE_SECONDS, self._end_wedged, current)

    def adjust(self, request: int, strength: float) -> None:
        """Write the rest of the answer ``request`` with its voice at ``strength``."""
        with self._lock:
            if self._child is not None and self._current is not None and self._current.message.id == request:
                self._child.send(Adjust(request, strength))

    def warm(self, turns: Sequence[ChatTurn] = (), voice: VoiceUse | None = None) -> None:
        """Load the model and read ``turns`` under ``voice``. A failure is kept quiet: the next answer tries again and
        tells it."""
        with self._lock:
            try:
                child = self._running()
            except KnownError as error:
                self._log.note(str(error))
                return
            if turns:
                child.send(Warm(tuple(turns), voice))
            self._rest()

    def close(self) -> None:
        """End the process; answers under way and waiting end with `Died`. A later request starts it again."""
        with self._lock:
            child, self._child, self._ready = self._child, None, None
            dropped = [each for each in (self._current, *self._waiting) if each is not None]
            self._current = None
            self._waiting.clear()
            if self._watch is not None:
                self._watch.cancel()
        for each in dropped:
            each.on_event(Died("was closed"))
        if child is not None:
            child.close()

    def _running(self) -> Child:
        """The child, started if there is none. The lock is held."""
        if self._child is None:
            self._starts += 1
            start = self._starts
            self._child = Child(
                self._command,
                requests=REQUESTS,
                events=EVENTS,
                log=self._log,
                on_event=lambda event: self._heard(start, event),
                on_end=lambda ending: self._ended(start, ending),
            )
            settings = self._settings
            self._child.send(
                Load(
                    str(self._model_path), settings.context_tokens, settings.threads, settings.kept_megabytes
                )
            )
        return self._child

    def _go_on(self) -> None:
        """Hand the engine the next waiting request when it is free."""
        while True:
            with self._lock:
                if self._current is not None:
                    return
                if not self._waiting:
                    self._rest()
                    return
                request = self._waiting.popleft()
                self._current = request
                try:
                    child = self._running()
                except KnownError as error:
                    self._current = None
                    failure = Failed(request.message.id, known=True, message=str(error))
                else:
                    child.send(request.message)
                    self._heard_at = time.monotonic()
                    self._watch_for(self._settings.silence_seconds, self._end_silent, request)
                    return
            request.on_event(failure)

    def _rest(self) -> None:
        """Give the memory back if nothing is asked until then. The lock is held."""
        if self._child is not None and self._current is None:
            self._watch_for(self._settings.idle_minutes * 60, self._unload, self._starts, self._last_id)

    def _watch_for(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        """Make a call then, in place of the one that was planned: a timer is a thread, and one is enough. The lock is
        held."""
        if self._watch is not None:
            self._watch.cancel()
        self._watch = _later(seconds, call, *arguments)

    def _unload(self, start: int, last_id: int) -> None:
        with self._lock:
            child = self._child
            if child is None or (self._starts, self._last_id) != (start, last_id):
                return
            self._child, self._ready = None, None
        self._log.note("the engine was not needed for a while, and is ended")
        child.close()

    def _end_silent(self, request: _Request) -> None:
        """End the process if it has said nothing for too long; look again later if it has.

        It speaks after every token, and after every 512 of a prompt, which take half a minute with a large model on a
        small computer.
        """
        with self._lock:
            if self._child is None or self._current is not request:
                return
            patience = self._settings.silence_seconds if self._ready is not None else _LOADING_SECONDS
            left = self._heard_at + patience - time.monotonic()
            if left > 0:
                self._watch_for(min(left, self._settings.silence_seconds), self._end_silent, request)
                return
        self._end_current(request, Died(f"did not react for {patience:.0f} seconds and was ended"))

    def _end_wedged(self, request: _Request) -> None:
        """End the process if it has not stopped ``request`` by now; who asked to stop gets what they wanted."""
        self._end_current(request, _stopped(request.message))

    def _end_current(self, request: _Request, told: AnswerEvent) -> None:
        """End the process while it answers ``request``, and tell ``told`` in its place."""
        with self._lock:
            child = self._child
            if child is None or self._current is not request:
                return
            self._child, self._ready, self._current = None, None, None
        self._log.note("the engine did not react in time, and is ended")
        request.on_event(told)
        child.close(0.2)
        self._go_on()

    def _heard(self, start: int, event: Ready | Reading | Token | Finished | Failed) -> None:
        with self._lock:
            child = self._child
            if child is None or start != self._starts:
                return
            self._heard_at = time.monotonic()
            if isinstance(event, Reading):
                return
            if isinstance(event, Ready):
                self._ready = event
                return
            request = self._current
            unloaded = isinstance(event, Failed) and event.id is None
            if unloaded:
                self._child, self._ready = None, None
            if request is None or (event.id != request.message.id and not unloaded):
                request = None
            elif not isinstance(event, Token):
                self._current = None
        if request is not None:
            request.on_event(event)
        if unloaded:
            child.close(0.5)
        if not isinstance(event, Token):
            self._go_on()

    def _ended(self, start: int, ending: Ending) -> None:
        with self._lock:
            if self._child is None or start != self._starts:
                return
            loading = self._ready is None
            self._child, self._ready = None, None
            request, self._current = self._current, None
        if request is not None:
            request.on_event(Died(ending.reason, loading))
        self._go_on()


def engine_of(model_path: Path, places: Places) -> AnswerSource:
    """The engine process for a model, as the settings want it. Raises KnownError when these make no sense."""
    return Engine(model_path, places.logs, settings=load(places.config).engine)


MakeEngine = Callable[[Path, Places], AnswerSource]


class Engines:
    """The engine of whatever model is asked for. Only one model is in memory at a time."""

    def __init__(self, places: Places, make: MakeEngine = engine_of) -> None:
        self._places, self._make = places, make
        self._lock = threading.Lock()
        self._model: Model | None = None
        self._engine: AnswerSource | None = None

    def for_model(self, model: Model) -> AnswerSource:
        """The engine that serves ``model``; the engine of another model is closed. Raises KnownError for settings that
        make no sense."""
        with self._lock:
            if self._engine is None or self._model != model:
                if self._engine is not None:
                    self._engine.close()
                self._model, self._engine = model, self._make(model.path, self._places)
            return self._engine

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
            self._model, self._engine = None, None


def _later(seconds: float, call: Callable[..., None], *arguments: object) -> threading.Timer:
    """Make a call from a thread of its own, unless the program has ended by then or the timer was cancelled."""
    timer = threading.Timer(seconds, call, arguments)
    timer.daemon = True
    timer.start()
    return timer


def _stopped(message: Generate) -> Finished:
    return Finished(
        id=message.id,
        reason="stopped",
        seed=message.sampling.seed or 0,
        prompt_tokens=0,
        tokens=0,
        seconds_to_first_token=0.0,
        tokens_per_second=0.0,
    )
