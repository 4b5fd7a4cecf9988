"""The engine process: requests in on stdin, events out on stdout, as `engine.messages` defines them.

Two threads. One reads requests, so that a `Cancel` acts in the middle of a computation, and ends the process the
moment stdin closes: whatever this process does then, nobody is left to hear it. The other works through the
requests in order.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import EngineError
from engine.messages import (
    EVENTS,
    REQUESTS,
    Adjust,
    Cancel,
    Failed,
    Finished,
    Generate,
    Load,
    Reading,
    Ready,
    Token,
    Warm,
    WireError,
)
from engine.model import Model
from engine.stopping import StopFlag
from engine.voice import Steering
from engine.wire import sender, take_stdio


class Control:
    """What may still be said to an answer under way, from another thread."""

    def __init__(self) -> None:
        self.stop = StopFlag()
        self._strengths: queue.SimpleQueue[float] = queue.SimpleQueue()

    def adjust(self, strength: float) -> None:
        """Go on with the voice this strong."""
        self._strengths.put(strength)

    def take_strength(self) -> float | None:
        """The strength asked for since the last call, the newest if there are several; None where there is none."""
        newest = None
        with contextlib.suppress(queue.Empty):
            while True:
                newest = self._strengths.get_nowait()
        return newest


class _Worker:
    """Does what is asked, one request after the other, and reports on it."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._model: Model | None = None

    def load(self, request: Load) -> None:
        """Load the model and say `Ready`, or `Failed` without an id.

        A file that passes `engine.header` can still end this process: llama.cpp asserts much that depends on the
        architecture. There is no trial in another process before: this one is the trial. Nothing is lost with it but
        the answer under way, which ends as `Died`, and the next request starts another. A trial would have the same
        rights, take the time of a second load, and find only what this one finds.
        """
        began = time.perf_counter()
        try:
            if self._model is not None:
                raise RuntimeError("this process has loaded its model already")
            model = Model.load(
                Path(request.model_path),
                request.context_tokens,
                request.threads,
                request.kept_megabytes * 2**20,
            )
        except Exception as error:
            self._send(_failure(None, error))
            return
        self._model = model
        self._send(
            Ready(
                model_name=model.name,
                architecture=model.architecture,
                sha256=model.sha256,
                hidden_size=model.hidden_size,
                layer_count=model.layer_count,
                context_tokens=model.context_tokens,
                seconds=time.perf_counter() - began,
            )
        )

    def warm(self, request: Warm, stop: StopFlag) -> None:
        """Read what an answer will begin with."""
        model = self._model
        if model is not None:
            with contextlib.suppress(EngineError):
                model.steer(model.voices.steering(request.voice))
                model.read(model.chat.opening(request.turns), stop)

    def generate(self, request: Generate, control: Control) -> None:
        """Write an answer: `Reading`s, `Token`s and `Finished`, or `Failed`."""
        try:
            self._answer(request, control)
        except Exception as error:
            self._send(_failure(request.id, error))

    def _answer(self, request: Generate, control: Control) -> None:
        began = time.perf_counter()
        model = self._model
        if model is None:
            raise EngineError("No model is loaded. Choose a model first.")
        model.steer(model.voices.steering(request.voice, *request.blend))
        if request.opening:
            prompt = model.chat.plain(request.opening, model.context_tokens)
        else:
            prompt = model.chat.prompt(request.turns, model.context_tokens, request.sampling.max_tokens)

        def steered_anew() -> Steering | None:
            strength = control.take_strength()
            if strength is None or request.voice is None:
                return None
            return model.voices.steering(replace(request.voice, strength=strength), *request.blend)

        def on_read(done: int, total: int) -> None:
            if done < total:
                self._send(Reading(request.id, done, total))

        answer = model.answer(
            prompt,
            request.sampling,
            control.stop,
            on_read=on_read,
            steered_anew=steered_anew,
        )
        first = 0.0
        for text in answer:
            first = first or time.perf_counter()
            self._send(Token(request.id, text))
        first = first or time.perf_counter()
        writing = time.perf_counter() - first
        self._send(
            Finished(
                id=request.id,
                reason=answer.reason,
                seed=answer.seed,
                prompt_tokens=len(prompt.tokens),
                tokens=answer.tokens,
                seconds_to_first_token=first - began,
                # The first token belongs to the time before it.
                tokens_per_second=(answer.tokens - 1) / writing if answer.tokens > 1 and writing > 0 else 0.0,
                turns_dropped=prompt.turns_dropped,
            )
        )


def _failure(request: int | None, error: Exception) -> Failed:
    if isinstance(error, EngineError):
        return Failed(request, known=True, message=str(error))
    return Failed(request, known=False, message="".join(traceback.format_exception(error)))


Task = tuple[Load, None] | tuple[Warm, StopFlag] | tuple[Generate, Control]


def _listen(requests: BinaryIO, tasks: queue.SimpleQueue[Task], send: Callable[[Any], None]) -> None:
    """Read requests until stdin closes, then end the process."""
    controls: dict[int, Control] = {}
    warming = StopFlag()
    for line in requests:
        try:
            request = REQUESTS.decode(line)
        except WireError as error:
            send(_failure(None, error))
            continue
        match request:
            case Cancel(id=number):
                # One that was answered long ago is stopped to no effect.
                if number in controls:
                    controls[number].stop.set()
            case Adjust(id=number, strength=strength):
                if number in controls:
                    controls[number].adjust(strength)
            case Generate():
                warming.set()
                controls[request.id] = Control()
                tasks.put((request, controls[request.id]))
            case Warm():
                warming.set()
                warming = StopFlag()
                tasks.put((request, warming))
            case _:
                tasks.put((request, None))
    os._exit(0)


def main() -> None:
    """Serve requests until stdin closes."""
    # Ctrl-C reaches every process of the terminal; what it means is for the program at the other end to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, events = take_stdio()
    write = sender(EVENTS, events)

    def send(event: Any) -> None:
        try:
            write(event)
        except OSError:  # nobody listens any more
            os._exit(0)

    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, tasks, send), name="requests", daemon=True).start()
    worker = _Worker(send)
    while True:
        match tasks.get():
            case Load() as request, None:
                worker.load(request)
            case Warm() as request, StopFlag() as stop:
                worker.warm(request, stop)
            case Generate() as request, Control() as control:
                worker.generate(request, control)


if __name__ == "__main__":
    main()
