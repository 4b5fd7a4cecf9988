from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from app.errors import KnownError
from app.workers.asking import ask
from app.workers.engine_client import Died
from engine.messages import Failed, Sampling, Token
from resources import read_text
from tests.fakes import FakeEngine


def test_the_answer_comes_whole_and_piece_by_piece() -> None:
    engine = FakeEngine(threaded=True)
    pieces: list[str] = []
    engine.enqueue("Dear Anna, thanks.")
    reply = ask(engine, " Thank Anna.\n", None, Sampling(), pieces.append)
    assert reply.text == "Dear Anna, thanks." == "".join(pieces)
    assert len(pieces) == 3
    assert [turn.content for turn in engine.asked[0].turns] == [
        read_text("prompts", "system.txt"),
        "Thank Anna.",
    ]


def test_failures_come_as_the_error_they_are() -> None:
    engine = FakeEngine()
    engine.enqueue(
        [Failed(0, known=True, message="The model is damaged.")],
        [Failed(0, known=False, message="Traceback")],
        [Token(0, "Dear"), Died("crashed (signal 11, SIGSEGV)")],
    )
    with pytest.raises(KnownError, match="The model is damaged"):
        ask(engine, "Hello", None, Sampling())
    with pytest.raises(RuntimeError, match="Traceback"):
        ask(engine, "Hello", None, Sampling())
    with pytest.raises(KnownError, match="The engine crashed"):
        ask(engine, "Hello", None, Sampling())


@pytest.mark.skipif(sys.platform == "win32", reason="a test cannot send itself Ctrl-C on Windows")
def test_ctrl_c_stops_the_answer_and_keeps_what_had_come() -> None:
    engine = FakeEngine(threaded=True)
    engine.enqueue([Token(0, "Dear ")])

    def interrupt(piece: str) -> None:
        # Later, when the caller waits for the next piece.
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()

    reply = ask(engine, "Hello", None, Sampling(), interrupt)
    assert (reply.text, reply.finished.reason) == ("Dear ", "stopped")
    assert engine.cancelled == [1]
