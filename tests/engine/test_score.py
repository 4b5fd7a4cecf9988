"""How likely an answer is: against probabilities worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.adapterfile import write_low_rank_edit
from engine.model import Model
from engine.score import Scorer, scoring
from tests.engine.helpers import expected_after, random_edit, random_vector

PROMPT, ANSWER = (40, 41, 42, 43), (50, 60, 70)


@pytest.fixture
def scorer(tiny: Path) -> Iterator[Scorer]:
    with scoring(tiny, 600, 1) as made:
        yield made


def test_it_is_the_sum_of_the_negative_log_probabilities(scorer: Scorer, model: Model) -> None:
    expected = 0.0
    for place, token in enumerate(ANSWER):
        logits = expected_after(model, [*PROMPT, *ANSWER[:place]]).astype(np.float64)
        expected -= logits[token] - np.log(np.exp(logits).sum())
    assert scorer.nll(PROMPT, ANSWER) == pytest.approx(expected, rel=1e-4)


def test_an_answer_longer_than_one_computation_is_scored_whole(scorer: Scorer) -> None:
    tokens = [40 + n % 100 for n in range(590)]
    whole = scorer.nll(tokens[:5], tokens[5:])
    parts = scorer.nll(tokens[:5], tokens[5:300]) + scorer.nll(tokens[:300], tokens[300:])
    assert whole == pytest.approx(parts, rel=1e-3)


def test_vectors_and_adapter_count_and_go_again(scorer: Scorer, tmp_path: Path) -> None:
    plain = scorer.nll(PROMPT, ANSWER)
    vector, adapter = random_vector(size=2.0), tmp_path / "adapter.gguf"
    write_low_rank_edit(adapter, random_edit(size=0.4))
    rows = np.concatenate([np.full((1, 64), 9.0, np.float32), vector.flat(4).reshape(3, 64)])
    found = []
    for edit, file in ((rows, None), (None, adapter), (rows, adapter)):
        scorer.steer(edit, file)
        found.append(scorer.nll(PROMPT, ANSWER))
    assert len({round(value, 3) for value in (plain, *found)}) == 4
    rows[0] = 0.0  # llama.cpp cannot steer block 0: its row is ignored
    scorer.steer(rows, adapter)
    assert scorer.nll(PROMPT, ANSWER) == found[2]
    scorer.steer(None)
    assert scorer.nll(PROMPT, ANSWER) == plain
