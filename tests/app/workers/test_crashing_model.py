"""A model file that native code does not survive costs the answer, and nothing else."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.workers.engine_client import AnswerEvent, Died, Engine
from engine.header import check_model_file
from engine.messages import ChatTurn, Failed, Finished, Sampling, Token
from tests.engine.model_files import ModelFile
from tests.tiny_architectures import write_tiny
from tests.tiny_models import write_tiny_llama

WAIT = 60.0


EngineFor = Callable[[Path], Engine]


@pytest.fixture
def engine_for(tmp_path: Path) -> Iterator[EngineFor]:
    """Makes real engines, and ends them when the test is over."""
    made: list[Engine] = []

    def make(path: Path) -> Engine:
        made.append(Engine(path, tmp_path))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def last_event(engine: Engine) -> AnswerEvent:
    """What a request ends with."""
    events: queue.Queue[AnswerEvent] = queue.Queue()
    engine.generate([ChatTurn("user", "Hello.")], None, Sampling(max_tokens=4, seed=1), events.put)
    while isinstance(event := events.get(timeout=WAIT), Token):
        pass
    return event


def without_experts(path: Path) -> None:
    """llama.cpp asserts that a model of this architecture has experts, when it loads it."""
    model = ModelFile.of(write_tiny(path, "llama"))
    for key, value in model.pairs:
        if key.startswith(b"llama."):
            model.set(key.replace(b"llama", b"smallthinker"), value)
    model.set(
        "general.architecture", model.get("general.architecture")[:4] + b"\x0c" + bytes(7) + b"smallthinker"
    )
    model.write(path)


def without_attention(path: Path) -> None:
    """llama.cpp does without a tensor it should ask for, and reads from address 0 when it plans the computation."""
    model = ModelFile.of(write_tiny(path, "phi3"))
    model.tensors = [each for each in model.tensors if each.name != b"blk.2.attn_qkv.weight"]
    model.write(path)


@pytest.mark.parametrize("forge", [without_experts, without_attention])
def test_a_model_that_ends_the_engine_is_told_and_another_one_answers(
    engine_for: EngineFor, tmp_path: Path, forge: Callable[[Path], None]
) -> None:
    bad, good = tmp_path / "bad.gguf", write_tiny_llama(tmp_path / "good.gguf")
    forge(bad)
    check_model_file(bad)
    engine = engine_for(bad)
    for _ in range(2):  # at the next try as well
        event = last_event(engine)
        assert isinstance(event, Died | Failed)  # a later llama.cpp may refuse it in words
        assert not isinstance(event, Died) or "crashed" in event.reason
    assert isinstance(last_event(engine_for(good)), Finished)
