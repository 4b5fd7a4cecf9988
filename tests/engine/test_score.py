"""The likelihood of an answer, against the same number computed another way."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.native import Weights
from engine.score import Scorer, scoring
from tests.engine.conftest import Loader
from tests.engine.helpers import HIDDEN, LAYERS, edit_file, expected_after, merged, random_edit, random_vector

Tokens = list[int]
VECTORS = random_vector().flat(LAYERS + 1).reshape(LAYERS, HIDDEN)


def sample(prompt: int, answer: int, seed: int = 0) -> tuple[Tokens, Tokens]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, prompt).tolist(), random.integers(0, 256, answer).tolist()


@pytest.fixture
def scorer(tiny: Path) -> Iterator[Scorer]:
    with scoring(tiny, 1400, 1) as scorer:
        yield scorer


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=-1, keepdims=True)
    return np.asarray(exact - np.log(np.exp(exact).sum(axis=-1, keepdims=True)))


@pytest.mark.parametrize(("prompt_length", "answer_length"), [(1, 1), (1, 9), (7, 1), (5, 20), (40, 3)])
def test_every_row_is_what_the_model_expects_after_the_tokens_before(
    scorer: Scorer, tiny: Path, load: Loader, prompt_length: int, answer_length: int
) -> None:
    prompt, answer = sample(prompt_length, answer_length)
    rows = scorer.logits(prompt, answer)
    model = load(tiny)
    expected = [expected_after(model, [*prompt, *answer[:length]]) for length in range(answer_length)]
    np.testing.assert_allclose(rows, np.stack(expected), atol=1e-4)


@pytest.mark.parametrize(
    ("prompt_length", "answer_length"),
    [(1, 1), (5, 20), (600, 700), (512, 512), (513, 2), (2, 1024)],
)
def test_the_nll_is_minus_the_sum_of_the_log_probabilities_of_the_answer(
    scorer: Scorer, tiny: Path, load: Loader, prompt_length: int, answer_length: int
) -> None:
    prompt, answer = sample(prompt_length, answer_length)
    tokens = [*prompt, *answer]
    likelihoods = log_softmax(scorer.logits(prompt, answer))
    expected = -sum(likelihoods[place, token] for place, token in enumerate(answer))
    assert scorer.nll(prompt, answer) == pytest.approx(expected, rel=1e-5)
    # and the rows are the right ones where a text takes several computations
    model = load(tiny, 2048)
    for place in {0, answer_length // 2, answer_length - 1}:
        after = expected_after(model, tokens[: prompt_length + place])
        np.testing.assert_allclose(likelihoods[place], log_softmax(after), atol=1e-3)


def test_a_sample_is_scored_alike_whatever_was_scored_before(scorer: Scorer) -> None:
    one, other = sample(9, 30), sample(20, 50, seed=1)
    first = scorer.nll(*one)
    scorer.nll(*other)
    scorer.steer(VECTORS)
    assert abs(scorer.nll(*one) - first) > 0.1
    scorer.steer(None)
    assert scorer.nll(*one) == first


def test_the_first_row_of_the_vectors_is_ignored(scorer: Scorer) -> None:
    only_first = np.zeros((LAYERS, HIDDEN), dtype=np.float32)
    only_first[0] = 5.0
    plain = scorer.nll(*sample(9, 30))
    scorer.steer(only_first)
    assert scorer.nll(*sample(9, 30)) == plain


def test_an_adapter_scores_as_the_edit_merged_into_the_weights(
    scorer: Scorer, tiny: Path, tmp_path: Path
) -> None:
    edit, one = random_edit(size=0.3), sample(9, 30)
    plain = scorer.logits(*one)
    scorer.steer(None, Path(edit_file(tmp_path / "adapter.gguf", edit)))
    edited = scorer.logits(*one)
    scorer.steer(VECTORS, Path(edit_file(tmp_path / "adapter.gguf", edit)))
    both = scorer.logits(*one)
    scorer.steer(VECTORS)
    vectors = scorer.logits(*one)
    scorer.steer(None)
    np.testing.assert_array_equal(scorer.logits(*one), plain)
    with scoring(tiny, 64, 1) as other:
        other.steer(VECTORS)
        np.testing.assert_array_equal(vectors, other.logits(*one))
    with scoring(merged(tiny, tmp_path / "merged.gguf", edit), 64, 1) as other:
        np.testing.assert_allclose(edited, other.logits(*one), atol=2e-3)
        other.steer(VECTORS)
        np.testing.assert_allclose(both, other.logits(*one), atol=2e-3)
    for found in (edited, both, vectors):
        assert np.abs(found - plain).max() > 0.5
    assert np.abs(both - vectors).max() > 0.5


def test_a_file_that_is_no_adapter_for_the_model_changes_nothing(
    scorer: Scorer, tiny: Path, tmp_path: Path
) -> None:
    fitting = Path(edit_file(tmp_path / "fits.gguf"))
    scorer.steer(VECTORS, fitting)
    before = scorer.nll(*sample(9, 30))
    narrow = Path(edit_file(tmp_path / "narrow.gguf", random_edit(hidden=32)))
    foreign = Path(edit_file(tmp_path / "foreign.gguf", random_edit(architecture="qwen2")))
    deep = Path(edit_file(tmp_path / "deep.gguf", random_edit(layers=[LAYERS])))
    # llama.cpp would take this one
    forged = Path(edit_file(tmp_path / "forged.gguf"))
    forged.write_bytes(forged.read_bytes()[:-4] + struct.pack("<f", np.nan))
    for path in (narrow, foreign, deep, tiny, forged, tmp_path / "gone.gguf"):
        with pytest.raises(EngineError) as caught:
            scorer.steer(None, path)
        assert str(path) in str(caught.value)
        assert scorer.nll(*sample(9, 30)) == before


def test_scorers_may_share_weights_and_outlive_each_other(tiny: Path, tmp_path: Path) -> None:
    path = Path(edit_file(tmp_path / "adapter.gguf"))
    weights = Weights(tiny)
    first, second = Scorer(weights, 64, 1), Scorer(weights, 64, 1)
    plain = first.nll(*sample(9, 30))
    first.steer(None, path)
    assert second.nll(*sample(9, 30)) == plain
    second.steer(None, path)
    edited = second.nll(*sample(9, 30))
    first.close()
    assert second.nll(*sample(9, 30)) == edited != plain
    second.close()
    weights.close()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.gguf"
    path.write_text("Dear friend")
    with pytest.raises(EngineError, match=r"letter\.gguf"), scoring(path, 64, 1):
        pass
