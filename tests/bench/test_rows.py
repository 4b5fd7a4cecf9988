from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the benchmark needs the calibrate extra")

from calibrate.measure import Change
from tests.bench.rows import (
    Likelihood,
    Row,
    Span,
    Writing,
    average,
    change_span,
    gap_span,
    mean_span,
    numbers,
)


def changed(shift: float, count: int = 30, noise: float = 4.0) -> Change:
    random = np.random.default_rng(2)
    tokens = random.integers(50, 150, count).astype(np.float64)
    return Change(tokens, 4 * tokens, (4 + shift) * tokens + random.normal(0, noise, count))


def writing(cosine: float, surprise: float) -> Writing:
    return Writing(Span(0.5, 0.4, 0.6), 0.4, cosine, 0.8, surprise, 0.1, 60.0)


PLAIN = Row("ada", "plain", "plain model", writing=writing(0.5, 2.0))


def test_the_gap_is_what_is_the_author_s_alone() -> None:
    own, others = changed(-0.4), changed(-0.1, count=20)
    gap = gap_span(own, others)
    assert gap.value == pytest.approx(own.per_token - others.per_token)
    assert gap.low < -0.3 < gap.high
    assert gap == gap_span(own, others)
    width = change_span(own).high - change_span(own).low
    assert gap.high - gap.low > width, "two samples are less certain than one"


def test_the_interval_of_a_share_narrows_with_more_answers() -> None:
    few, many = mean_span([1.0, 0.0] * 5), mean_span([1.0, 0.0] * 50)
    assert few.value == many.value == 0.5
    assert few.low < many.low < 0.5 < many.high < few.high
    assert mean_span([1.0, 1.0]) == Span(1.0, 1.0, 1.0)


def test_answers_are_held_against_the_plain_model_s() -> None:
    row = replace(PLAIN, method="x", writing=writing(0.25, 2.0 + math.log(3)))
    found = numbers(row, PLAIN)
    assert found["cosine_ratio"] == 0.5
    assert found["perplexity_ratio"] == pytest.approx(3.0)
    assert "own" not in found
    assert numbers(PLAIN, PLAIN)["perplexity_ratio"] == 1.0


def test_a_failed_row_has_no_numbers_and_is_not_averaged() -> None:
    failed = Row("ada", "x", "X", failed="not enough")
    assert numbers(failed, PLAIN) == {}
    likelihood = Likelihood(*(Span(value, value - 0.1, value + 0.1) for value in (-0.4, 0.0, -0.4)))
    found = [
        numbers(replace(PLAIN, likelihood=likelihood, seconds=seconds), PLAIN) for seconds in (10.0, 20.0)
    ]
    mean = average(found)
    assert (mean["own"], mean["seconds"]) == (-0.4, 15.0)
    assert "own_low" not in mean, "intervals do not average"
    assert average(found[:1]) == found[0]
    assert average([]) == {}
