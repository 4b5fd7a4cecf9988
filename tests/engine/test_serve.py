"""The engine as a process: what goes over its pipe, and that it never outlives it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from engine.messages import (
    EVENTS,
    REQUESTS,
    Cancel,
    Failed,
    Finished,
    Generate,
    Load,
    Ready,
    Sampling,
    Token,
    VoiceUse,
    WireError,
)
from engine.voicefile import write_control_vector
from tests.engine.helpers import SYSTEM, random_vector, user

SAMPLING = Sampling(temperature=1.0, max_tokens=12, seed=4)
ASK = Generate(1, (SYSTEM, user("Write to my friend.")), None, SAMPLING)


@dataclass
class Process:
    child: subprocess.Popen[bytes]

    def send(self, request: Any) -> None:
        self.send_line(REQUESTS.encode(request))

    def send_line(self, line: bytes) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line)
        self.child.stdin.flush()

    def next(self) -> Any:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, "the engine closed its pipe"
        return EVENTS.decode(line)

    def until(self, kind: type) -> tuple[list[Any], Any]:
        before = []
        while not isinstance(event := self.next(), kind):
            before.append(event)
        return before, event

    def answer(self, request: Generate) -> tuple[str, Finished]:
        self.send(request)
        tokens, finished = self.until(Finished)
        assert {token.id for token in tokens} <= {request.id}
        return "".join(token.text for token in tokens), finished


@pytest.fixture
def engine() -> Iterator[Process]:
    child = subprocess.Popen(
        [sys.executable, "-m", "engine.serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield Process(child)
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()


@pytest.fixture
def loaded(engine: Process, tiny: Path) -> Process:
    engine.send(Load(str(tiny), 512, 1))
    assert isinstance(engine.next(), Ready)
    return engine


def test_a_loaded_model_says_what_it_is(engine: Process, tiny: Path) -> None:
    engine.send(Load(str(tiny), 512, 1))
    ready = engine.next()
    assert (ready.model_name, ready.architecture, ready.hidden_size) == ("Tiny Llama", "llama", 64)
    assert (ready.layer_count, ready.context_tokens, len(ready.sha256)) == (4, 512, 64)


def test_the_same_request_gets_the_same_answer_and_a_voice_another(loaded: Process, tmp_path: Path) -> None:
    text, finished = loaded.answer(ASK)
    assert (finished.seed, finished.tokens > 0, finished.reason in ("end", "length")) == (4, True, True)
    assert loaded.answer(replace(ASK, id=2))[0] == text
    path = tmp_path / "voice.gguf"
    write_control_vector(path, random_vector(size=3.0))
    assert loaded.answer(replace(ASK, id=3, voice=VoiceUse(str(path))))[0] != text
    assert loaded.answer(replace(ASK, id=4, voice=VoiceUse(str(path), 0.0)))[0] == text


def test_without_a_seed_the_one_that_was_drawn_gives_the_text_again(loaded: Process) -> None:
    text, finished = loaded.answer(replace(ASK, sampling=replace(SAMPLING, seed=None)))
    assert loaded.answer(replace(ASK, sampling=replace(SAMPLING, seed=finished.seed)))[0] == text


def test_a_cancelled_answer_ends_as_stopped_and_the_next_one_is_whole(loaded: Process) -> None:
    loaded.send(
        replace(ASK, sampling=replace(SAMPLING, max_tokens=400, temperature=3.0, top_p=1.0, min_p=0.0))
    )
    assert isinstance(loaded.next(), Token)
    loaded.send(Cancel(1))
    _, finished = loaded.until(Finished)
    assert finished.reason in ("stopped", "end")
    assert finished.tokens < 400
    assert loaded.answer(replace(ASK, id=2))[1].reason != "stopped"


def test_what_a_person_can_mend_is_known_and_the_process_goes_on(engine: Process, tiny: Path) -> None:
    engine.send(ASK)
    early = engine.next()
    assert (early.id, early.known) == (1, True)
    engine.send(Load("/nowhere/model.gguf", 512, 1))
    failed = engine.next()
    assert (failed.id, failed.known) == (None, True)
    assert "/nowhere/model.gguf" in failed.message
    engine.send(Load(str(tiny), 512, 1))
    assert isinstance(engine.next(), Ready)
    engine.send(replace(ASK, voice=VoiceUse("/nowhere/voice.gguf")))
    failed = engine.next()
    assert isinstance(failed, Failed)
    assert (failed.id, failed.known) == (1, True)
    assert engine.answer(ASK)[0]


def test_a_broken_line_is_answered_and_passed_over(loaded: Process) -> None:
    for line in (b"not json\n", b'{"is": "Explode"}\n', b'{"is": "Cancel"}\n', b"[]\n"):
        loaded.send_line(line)
        failed = loaded.next()
        assert (failed.id, failed.known) == (None, False)
    assert loaded.answer(ASK)[0]


def test_the_process_ends_with_its_pipe_in_mid_answer_too(loaded: Process) -> None:
    loaded.send(replace(ASK, sampling=replace(SAMPLING, max_tokens=400)))
    assert loaded.child.stdin is not None
    loaded.child.stdin.close()
    assert loaded.child.wait(timeout=10) == 0


def test_messages_come_back_as_they_were() -> None:
    voice = VoiceUse("v.gguf", 0.5, "a.gguf")
    for request in (ASK, replace(ASK, voice=voice), Load("é", 7), Cancel(3)):
        assert REQUESTS.decode(REQUESTS.encode(request)) == request
    assert json.loads(REQUESTS.encode(Cancel(3))) == {"is": "Cancel", "id": 3}
    with pytest.raises(WireError, match="not a message of this pipe"):
        REQUESTS.encode(Token(1, "text"))
    with pytest.raises(WireError):
        REQUESTS.decode(b'{"is": "Load"}')
