"""What the engine takes from llama.cpp: tokens, computations that can be stopped, sequences apart from each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.messages import VoiceUse
from engine.native import Adapter, Context, NativeError, Weights
from engine.score import scoring
from engine.stopping import StopFlag
from tests.engine.conftest import Loader
from tests.engine.helpers import ask, edit_file, random_edit
from tests.tiny_models import END, START, WORDS


@pytest.fixture
def weights(tiny: Path) -> Iterator[Weights]:
    weights = Weights(tiny)
    yield weights
    weights.close()


@pytest.fixture
def context(weights: Weights) -> Iterator[Context]:
    context = Context(weights, 256, threads=1, sequences=2)
    yield context
    context.close()


@pytest.mark.parametrize(
    "text", ["", "a", " ".join(WORDS), "Grüße – 你好 👩‍👩‍👧", "\x00\x01\xff \n\t ", f"a{END}b", "x" * 5000]
)
def test_text_comes_back_from_its_tokens(weights: Weights, text: str) -> None:
    tokens = weights.tokenize(text)
    assert b"".join(weights.piece(token) for token in tokens).decode() == text
    assert not any(weights.is_special(token) for token in tokens)


def test_names_of_control_tokens_become_them_only_where_asked(weights: Weights) -> None:
    (token,) = weights.tokenize(END, special=True)
    assert (token, weights.name_of(token)) == (weights.end, END)
    assert weights.is_special(token)
    assert weights.ends(token)
    assert weights.piece(token) == b""
    assert weights.name_of(weights.begin) == START
    assert weights.name_of(-1) == ""


def test_what_the_file_does_not_say_is_none(weights: Weights) -> None:
    assert weights.metadata("general.name") == "Tiny Llama"
    assert weights.metadata("general.nonsense") is None


def test_a_computation_that_was_stopped_leaves_the_memory_as_it_was(context: Context) -> None:
    def computed(tokens: list[int], position: int) -> bool:
        context.add(tokens, position)
        return context.run()

    assert computed([1, 2, 3, 4], 0)
    assert computed([5, 6, 7], 4)
    expected = context.logits()
    context.forget(0, 4)
    stop = StopFlag()
    context.obey(stop)
    stop.set()
    assert not computed([50, 60, 70], 4)
    context.obey(None)
    assert computed([5, 6, 7], 4)
    np.testing.assert_array_equal(context.logits(), expected)


def test_a_text_that_outgrows_the_context_is_refused_and_forgotten(context: Context) -> None:
    context.add([1] * 300, 0)
    with pytest.raises(NativeError, match="no room left"):
        context.run()
    context.add([1, 2], 0)
    assert context.run()


def test_sequences_do_not_see_each_other(context: Context) -> None:
    context.add([1, 2, 3], 0, 0)
    assert context.run()
    alone = context.logits()
    context.clear()
    context.add([70, 71, 72, 73], 0, 1)
    assert context.run()
    context.add([1, 2, 3], 0, 0)
    assert context.run()
    np.testing.assert_array_equal(context.logits(), alone)


def test_logits_are_a_copy(context: Context) -> None:
    context.add([1, 2, 3], 0)
    context.run()
    first = context.logits()
    kept = first.copy()
    context.add([4, 5], 3)
    context.run()
    np.testing.assert_array_equal(first, kept)
    assert np.abs(context.logits() - first).max() > 0


def test_all_tokens_are_scored_where_asked_and_the_last_one_always(context: Context) -> None:
    context.add([1, 2, 3], 0, scored=True)
    context.run()
    rows = [context.logits(index) for index in range(3)]
    np.testing.assert_array_equal(context.logits(), rows[2])
    context.clear()
    context.add([1, 2], 0)
    context.run()
    np.testing.assert_allclose(context.logits(), rows[1], atol=1e-4)


def test_every_adapter_that_was_loaded_is_freed(
    tiny: Path, tmp_path: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: set[int] = set()
    loaded, close = Adapter.__init__, Adapter.close

    def counted_load(adapter: Adapter, weights: Weights, path: Path) -> None:
        loaded(adapter, weights, path)
        alive.add(id(adapter))

    def counted_close(adapter: Adapter) -> None:
        close(adapter)
        alive.discard(id(adapter))

    monkeypatch.setattr(Adapter, "__init__", counted_load)
    monkeypatch.setattr(Adapter, "close", counted_close)
    paths = [edit_file(tmp_path / f"{seed}.gguf", random_edit(seed)) for seed in range(10)]
    model = load(tiny)
    with scoring(tiny, 64, 1) as scorer:
        for count, path in enumerate(paths, start=1):
            model.steer(model.voices.steering(VoiceUse(adapter=path)))
            scorer.steer(None, Path(path))
            assert len(alive) == 1 + min(count, 8)  # the model keeps some for the next time
        scorer.steer(None)
        assert len(alive) == 8
        scorer.steer(None, Path(paths[0]))
    assert len(alive) == 8
    answer = ask(model)  # under the last one, whatever was freed meanwhile
    fresh = load(tiny)
    fresh.steer(fresh.voices.steering(VoiceUse(adapter=paths[-1])))
    assert answer == ask(fresh)
    fresh.close()
    model.close()
    assert not alive
