"""One question, one answer, waited for: what the command line and side-by-side comparisons need."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import KnownError
from app.interrupts import first_ctrl_c
from app.workers.chat import system_turn
from app.workers.engine_client import AnswerEvent, AnswerSource, Died
from engine.messages import ChatTurn, Failed, Finished, Sampling, Token, VoiceUse


@dataclass(frozen=True)
class Reply:
    """A complete answer; ``finished`` has its numbers and why it ended."""

    text: str
    finished: Finished


def ask(
    engine: AnswerSource,
    request: str,
    voice: VoiceUse | None,
    sampling: Sampling,
    on_text: Callable[[str], None] | None = None,
) -> Reply:
    """The answer to ``request``; ``on_text`` gets each piece as it comes, on the calling thread.

    Ctrl-C stops the answer: what had come is returned, with reason ``stopped``; a second one is raised.
    Raises KnownError when the engine died or failed for a reason one can act on, RuntimeError with its
    traceback when it has a bug.
    """
    # A lone half of a surrogate pair, as a terminal or a clipboard may hand over, cannot be sent on.
    request = request.encode("utf-8", "replace").decode().strip()
    if not request:
        raise KnownError("The request is empty: say what should be written.")
    heard: queue.SimpleQueue[AnswerEvent] = queue.SimpleQueue()
    number = engine.generate([system_turn(), ChatTurn("user", request)], voice, sampling, heard.put)
    pieces: list[str] = []
    with first_ctrl_c(lambda: engine.cancel(number)):
        while True:
            try:
                # Waiting without an end could not be interrupted on Windows.
                event = heard.get(timeout=0.2)
            except queue.Empty:
                continue
            match event:
                case Token(text=text):
                    pieces.append(text)
                    if on_text is not None:
                        on_text(text)
                case Finished():
                    return Reply("".join(pieces), event)
                case Failed(known=True):
                    raise KnownError(event.message)
                case Failed():
                    raise RuntimeError(f"the engine failed:\n{event.message}")
                case Died(loading=True):
                    raise KnownError(
                        f"The engine {event.reason} while it loaded the model. Try again; if that does not help, its "
                        "file is not for this computer or damaged: choose another model."
                    )
                case Died():
                    raise KnownError(f"The engine {event.reason} while it was answering. Try again.")
