from __future__ import annotations

import numpy as np
import pytest

from calibrate.measure import Change, likeness, recommended_scale


def changed(shift: float, count: int = 40, noise: float = 5.0) -> Change:
    random = np.random.default_rng(1)
    tokens = random.integers(50, 150, count).astype(np.float64)
    plain = 4.0 * tokens
    return Change(tokens, plain, plain + shift * tokens + random.normal(0, noise, count))


def test_likeness_is_per_token_not_per_passage() -> None:
    short_worse = Change(np.array([10.0, 190.0]), np.array([40.0, 760.0]), np.array([50.0, 570.0]))
    assert short_worse.per_token == pytest.approx((10 - 190) / 200)


def test_the_interval_holds_the_truth_and_narrows_with_more_text() -> None:
    low, high = changed(-0.3).interval()
    assert low < -0.3 < high
    few_low, few_high = changed(-0.3, count=5).interval()
    assert few_high - few_low > high - low


def test_an_interval_is_the_same_every_time() -> None:
    assert changed(-0.3).interval() == changed(-0.3).interval()


def test_the_report_keeps_own_and_others_apart() -> None:
    found = likeness(changed(-0.4), changed(0.1, count=7), words_heldout=1234)
    assert found.own == pytest.approx(-0.4, abs=0.05)
    assert found.others == pytest.approx(0.1, abs=0.05)
    assert (found.passages_heldout, found.words_heldout) == (40, 1234)


def test_the_smallest_scale_near_the_best_is_recommended() -> None:
    assert recommended_scale({0.5: -0.40, 0.7: -0.48, 0.9: -0.495, 1.1: -0.47}) == 0.7
    assert recommended_scale({0.5: -0.20, 0.7: -0.30, 0.9: -0.40}) == 0.9
    assert recommended_scale({0.5: 0.02, 0.7: 0.05}) == 0.5
