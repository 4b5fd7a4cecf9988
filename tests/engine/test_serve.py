"""The engine as a process: what goes over its pipe, and that it never outlives it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
from engine.voicefile import ControlVector, write_control_vector
from tests.engine.helpers import (
    SYSTEM,
    edit_file,
    random_edit,
    random_vector,
    tensor_of,
    user,
    with_tensors_changed,
)
from tests.tiny_models import write_tiny_llama

SAMPLING = Sampling(temperature=1.0, max_tokens=12, seed=4)
ASK = Generate(1, (SYSTEM, user("Write to my friend.")), None, SAMPLING)


ENDLESS = replace(ASK, id=7, sampling=replace(SAMPLING, max_tokens=1500))


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
        events, finished = self.until(Finished)
        assert {event.id for event in events} <= {request.id}
        return "".join(event.text for event in events if isinstance(event, Token)), finished


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


@pytest.fixture
def endless(engine: Process, tmp_path: Path) -> Process:
    """With a model that does not end an answer by itself, and takes its time over it."""
    path = write_tiny_llama(tmp_path / "endless.gguf", layers=12, hidden=256)
    output = tensor_of(path, "output.weight")
    never = np.zeros_like(output)
    never[-3:, 0] = -100.0  # the control tokens
    path = with_tensors_changed(path, tmp_path / "changed.gguf", {"output.weight": never})
    engine.send(Load(str(path), 2048, 1))
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
    adapter = edit_file(tmp_path / "adapter.gguf", random_edit(size=0.6))
    assert loaded.answer(replace(ASK, id=5, voice=VoiceUse(adapter=adapter)))[0] != text
    assert loaded.answer(replace(ASK, id=6))[0] == text


def test_without_a_seed_the_one_that_was_drawn_gives_the_text_again(loaded: Process) -> None:
    text, finished = loaded.answer(replace(ASK, sampling=replace(SAMPLING, seed=None)))
    assert loaded.answer(replace(ASK, sampling=replace(SAMPLING, seed=finished.seed)))[0] == text


def test_a_cancelled_answer_ends_as_stopped_and_the_next_one_is_whole(endless: Process) -> None:
    whole, _ = endless.answer(ASK)
    endless.send(ENDLESS)
    assert isinstance(endless.next(), Token)
    endless.send(Cancel(ENDLESS.id))
    _, finished = endless.until(Finished)
    assert (finished.id, finished.reason) == (ENDLESS.id, "stopped")
    assert finished.tokens < 1500
    assert endless.answer(ASK)[0] == whole


def test_an_answer_cancelled_while_it_waits_is_never_begun(endless: Process) -> None:
    waiting = replace(ASK, id=8)
    for request in (ENDLESS, waiting, replace(ASK, id=9), Cancel(8), Cancel(77), Cancel(ENDLESS.id)):
        endless.send(request)
    heard = [endless.until(Finished) for _ in range(3)]
    assert [finished.id for _, finished in heard] == [ENDLESS.id, 8, 9]
    assert [finished.reason == "stopped" for _, finished in heard] == [True, True, False]
    assert (heard[1][0], heard[1][1].tokens) == ([], 0)


def test_a_second_model_is_refused_and_the_first_goes_on(loaded: Process, tiny: Path) -> None:
    loaded.send(Load(str(tiny), 512, 1))
    failed = loaded.next()
    assert (failed.id, failed.known) == (None, False)
    assert "loaded its model already" in failed.message
    assert loaded.answer(ASK)[0]


def test_a_long_conversation_says_how_many_turns_were_left_out(loaded: Process) -> None:
    turns = (SYSTEM, *(user(f"question {number} " + "the rain " * 20) for number in range(12)))
    _, finished = loaded.answer(replace(ASK, turns=turns))
    assert 0 < finished.turns_dropped < 12
    assert finished.prompt_tokens <= 512
    loaded.send(replace(ASK, turns=(user("xyz" * 600),)))
    failed = loaded.next()
    assert (failed.id, failed.known) == (1, True)
    assert "too long" in failed.message


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX")
def test_ctrl_c_in_the_terminal_is_for_the_program_at_the_other_end(loaded: Process) -> None:
    loaded.child.send_signal(signal.SIGINT)
    assert loaded.answer(ASK)[0]


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


def test_the_process_ends_with_its_pipe(engine: Process) -> None:
    assert engine.child.stdin is not None
    engine.child.stdin.close()
    assert engine.child.wait(timeout=60) == 0


@pytest.mark.parametrize("pipe", ["stdin", "stdout"])
def test_the_process_ends_with_either_pipe_in_mid_answer_too(endless: Process, pipe: str) -> None:
    endless.send(replace(ENDLESS, id=1))
    assert isinstance(endless.next(), Token)
    endless.send(replace(ENDLESS, id=2))
    getattr(endless.child, pipe).close()
    assert endless.child.wait(timeout=60) == 0


def test_reading_a_long_prompt_is_reported(endless: Process) -> None:
    endless.send(replace(ENDLESS, turns=(SYSTEM, user("the rain in my garden " * 90))))
    before, _ = endless.until(Token)
    assert [type(event) for event in before] == [Reading, Reading]
    assert [event.done for event in before] == [512, 1024]


def test_the_strength_changes_in_the_middle_of_an_answer(endless: Process, tmp_path: Path) -> None:
    # The vector makes the token "!" certain, from the last block on; before it is in force, nothing is.
    sampling = replace(SAMPLING, max_tokens=1500, temperature=0.0)
    off = VoiceUse(always(tmp_path / "v.gguf", hidden=256, layer=11), 0.0)
    endless.send(replace(ENDLESS, voice=off, sampling=sampling))
    endless.until(Token)
    endless.send(Adjust(ENDLESS.id, 1.0))
    events, _ = endless.until(Finished)
    text = "".join(event.text for event in events)
    plain = replace(ENDLESS, id=8, sampling=sampling)
    assert text != endless.answer(plain)[0]  # and what came of both strengths is not reused


def always(path: Path, hidden: int, layer: int) -> str:
    """A control vector that pushes hard in one direction."""
    direction = np.full(hidden, 3.0, dtype=np.float32)
    direction[0] = 0.0
    write_control_vector(path, ControlVector("llama", {layer: direction}, None))
    return str(path)


def test_a_blend_adds_up(loaded: Process, tmp_path: Path) -> None:
    one, two = random_vector(1), random_vector(2)
    both = ControlVector(
        "llama",
        {layer: one.directions[layer] * 0.5 + two.directions[layer] for layer in one.directions},
        None,
    )
    uses = []
    for number, vector in enumerate((one, two, both)):
        write_control_vector(tmp_path / f"{number}.gguf", vector)
        uses.append(VoiceUse(str(tmp_path / f"{number}.gguf"), 0.5 if number == 0 else 1.0))
    blended, _ = loaded.answer(replace(ASK, voice=uses[0], blend=(uses[1],)))
    assert blended == loaded.answer(replace(ASK, id=2, voice=uses[2]))[0]
    assert blended != loaded.answer(replace(ASK, id=3, voice=uses[0]))[0]
    assert blended != loaded.answer(replace(ASK, id=4, voice=uses[1]))[0]


def test_a_text_is_gone_on_with_as_it_stands(engine: Process, tmp_path: Path) -> None:
    engine.send(Load(str(write_tiny_llama(tmp_path / "speller.gguf", spells="abcdef")), 256, 1))
    assert isinstance(engine.next(), Ready)
    assert engine.answer(Generate(1, (), None, SAMPLING, opening="xy abc"))[0] == "def"
    text = "ab" * 300
    engine.send(Generate(2, (), None, SAMPLING, opening=text))
    failed = engine.next()
    assert (type(failed), failed.known, "too long" in failed.message) == (Failed, True, True)


def test_warming_reads_the_opening_and_gives_way_to_a_request(endless: Process) -> None:
    long = ChatTurn("system", "the rain in my garden " * 60)
    endless.send(Warm((long,)))
    text, _ = endless.answer(replace(ASK, turns=(long, user("Hello"))))
    endless.send(Warm((ChatTurn("system", "a house on the hill " * 60),)))
    endless.send(Warm((ChatTurn("system", "What is there to be said? " * 60),), VoiceUse("nowhere.gguf")))
    assert endless.answer(replace(ASK, id=3, turns=(long, user("Hello"))))[0] == text


def test_what_was_warmed_is_not_read_again(endless: Process) -> None:
    for attempt in range(6):
        long = ChatTurn("system", f"{attempt}: the rain in my garden " * 60)
        endless.send(Warm((long,)))
        time.sleep(0.3 * 2**attempt)  # a request that comes too soon ends the warming
        endless.send(replace(ASK, id=attempt, turns=(long, user("Hello"))))
        events, _ = endless.until(Finished)
        if not any(isinstance(event, Reading) for event in events):
            return
    raise AssertionError("the opening was read again each time")
