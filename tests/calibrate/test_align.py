from __future__ import annotations

import numpy as np
import pytest

from calibrate.align import align, leading_direction

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


def test_one_pair_already_gives_a_direction() -> None:
    found = align(*pairs(1, signal=0.5))
    assert np.isfinite(found.start).all()
    assert np.isnan(found.separation).all()


def test_sides_of_different_shape_are_refused() -> None:
    own, plain = pairs(4, signal=0.5)
    with pytest.raises(ValueError, match="alike"):
        align(own, plain[:3])
