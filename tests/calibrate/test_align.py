from __future__ import annotations

import numpy as np
import pytest

from calibrate.align import align, leading_direction, mean_difference, principal_difference
from calibrate.ccs import cross_validated_loss

RANDOM = np.random.default_rng(7)


def pairs(count: int, signal: float) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings with a large shared state (dimension 0) and a small difference along dimension 3."""
    plain = RANDOM.normal(0, 0.1, (count, 2, 16)).astype(np.float32)
    plain[:, :, 0] += 10
    own = plain + RANDOM.normal(0, 0.1, plain.shape).astype(np.float32)
    own[:, :, 3] += signal
    return own, plain


def test_theta_p_is_the_leading_uncentred_direction() -> None:
    own, _ = pairs(24, signal=0.5)
    theta = leading_direction(own[:, 0])
    moments = own[:, 0].T @ own[:, 0]
    _, vectors = np.linalg.eigh(moments)
    assert abs(float(theta @ vectors[:, -1])) == pytest.approx(1.0, abs=1e-4)
    assert float(np.linalg.norm(theta)) == pytest.approx(1.0, abs=1e-5)
    assert (own[:, 0] @ theta).mean() > 0


def test_the_start_points_where_own_differs_and_not_along_what_all_share() -> None:
    own, plain = pairs(64, signal=0.5)
    found = align(own, plain)
    start = found.start[1] / np.linalg.norm(found.start[1])
    assert start[3] > 0.95
    assert abs(float(start @ found.theta_p[1])) < 1e-4


def test_separation_tells_signal_from_noise() -> None:
    marked = align(*pairs(64, signal=0.5)).separation
    none = align(*pairs(64, signal=0.0)).separation
    assert (marked > 0.95).all()
    assert (none < 0.75).all()


def test_theta_n_points_to_the_plain_side_and_the_ranking_follows_the_held_out_loss() -> None:
    own, plain = pairs(48, signal=0)
    # Layer 1 alone: own and plain move in opposite senses from pair to pair, and apart on the whole.
    amount = RANDOM.uniform(0, 2, 48)
    axis = np.ones(16, dtype=np.float32)
    axis[8:] = -1
    own[:, 1] += amount[:, None] * axis
    plain[:, 1] -= amount[:, None] * axis
    found = align(own, plain, seed=4)
    assert float(found.theta_n[1] @ axis) < 0
    assert np.linalg.norm(found.theta_n, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert found.ccs_loss == pytest.approx(cross_validated_loss(own, plain, seed=4))
    assert found.ranking.tolist() == [1, 0]
    assert found.ccs_loss[1] < 0.1 < found.ccs_loss[0]


def test_normalising_both_sides_together_finds_a_shift_that_ccs_proper_does_not_see() -> None:
    own, plain = pairs(48, signal=0.0)
    own[:, 0, 3:9] += 1
    assert align(own, plain).ccs_loss[0] > 0.15
    together = align(own, plain, normalise="together")
    assert together.ccs_loss[0] < 0.05
    assert together.ranking.tolist() == [0, 1]
    assert (together.theta_n[0, 3:9] < 0).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_pair_or_three_already_give_directions_and_a_ranking(count: int) -> None:
    own, plain = pairs(count, signal=0.0)
    own[:, 1, 3] += 0.8
    found = align(own, plain)
    assert np.isfinite(found.start).all()
    assert np.isnan(found.separation).all() == (count == 1)
    assert np.isnan(found.ccs_loss).all()
    assert found.theta_n[1, 3] < -0.8
    assert np.linalg.norm(found.theta_n, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert sorted(found.ranking) == [0, 1]
    assert found.ranking[0] == 1


def test_the_mean_difference_is_the_mean_of_own_less_that_of_plain() -> None:
    own, plain = pairs(9, signal=0.5)
    assert mean_difference(own, plain) == pytest.approx(own.mean(axis=0) - plain.mean(axis=0), abs=1e-5)
    assert (align(own, plain).difference == mean_difference(own, plain)).all()


def test_the_principal_difference_is_where_differences_vary_most_signed_by_their_mean() -> None:
    plain = RANDOM.normal(0, 0.1, (40, 12, 16)).astype(np.float32)
    own = plain + RANDOM.normal(0, 0.1, plain.shape).astype(np.float32)
    own[:, :, 3] += 1  # a constant difference: no variation
    own[:, :, 7] += RANDOM.normal(1, 1, (40, 1)) * np.array([1, -1] * 6)
    found = principal_difference(own, plain)
    for layer in range(12):
        centred = (own - plain)[:, layer] - mean_difference(own, plain)[layer]
        _, vectors = np.linalg.eigh(centred.T @ centred)
        assert abs(float(found[layer] @ vectors[:, -1])) == pytest.approx(1.0, abs=1e-4)
    assert (found[::2, 7] > 0.95).all()
    assert (found[1::2, 7] < -0.95).all()
    assert principal_difference(plain, own) == pytest.approx(-found, abs=1e-4)


def test_the_principal_difference_of_one_pair_is_its_difference() -> None:
    own, plain = pairs(1, signal=0.5)
    difference = (own - plain)[0]
    lengths = np.linalg.norm(difference, axis=1, keepdims=True)
    assert principal_difference(own, plain) == pytest.approx(difference / lengths, abs=1e-5)


def test_answers_that_are_all_alike_give_no_direction_and_no_error() -> None:
    same = np.ones((5, 2, 16), dtype=np.float32)
    found = align(same, same)
    assert not found.theta_n.any()
    assert not found.difference.any()
    assert np.isfinite(found.ccs_loss).all()


def test_sides_of_different_shape_are_refused() -> None:
    own, plain = pairs(4, signal=0.5)
    with pytest.raises(ValueError, match="alike"):
        align(own, plain[:3])
