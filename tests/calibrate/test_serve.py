"""What the process answers when learning cannot be done."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("torch", reason="learning needs the calibrate extra")

from calibrate import pipeline, serve
from calibrate.full_model import WeightsError
from calibrate.messages import Failed, Job
from calibrate.refine import Interrupted

JOB = Job(voice="v", model_path="m", weights_path="m", documents=(), output_dir="o")


@pytest.mark.parametrize(
    ("error", "known", "stopped", "words"),
    [
        (MemoryError("0 bytes left"), True, False, "Close other programs"),
        (WeightsError("m.gguf: cut off"), True, False, "m.gguf: cut off"),
        (Interrupted(), True, True, "kept"),
        (ZeroDivisionError("a bug"), False, False, "ZeroDivisionError: a bug"),
    ],
)
def test_why_a_run_failed_is_said(
    monkeypatch: pytest.MonkeyPatch, error: Exception, known: bool, stopped: bool, words: str
) -> None:
    def fail(run: pipeline.Run) -> None:
        raise error

    monkeypatch.setattr(pipeline.Run, "learn", fail)
    told = serve._outcome(JOB, lambda event: None, threading.Event())
    assert isinstance(told, Failed)
    assert (told.known, told.stopped) == (known, stopped)
    assert words in told.message
