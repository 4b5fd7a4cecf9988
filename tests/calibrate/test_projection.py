from __future__ import annotations

import numpy as np
import pytest

from calibrate.align import Directions, align
from calibrate.projection import Array, as_ffn_down, best_layers, projection_edit

PAIRS, LAYERS, HIDDEN, INNER = 6, 5, 16, 24
RANDOM = np.random.default_rng(17)


def normal(*shape: int) -> Array:
    found: Array = RANDOM.normal(size=shape).astype(np.float32)
    return found


def directions(theta_p: Array, theta_n: Array) -> Directions:
    nothing = np.zeros(len(theta_p), np.float32)
    return Directions(theta_p, theta_n, theta_p, theta_p, nothing, nothing, np.arange(len(theta_p)))


def sequential(x: np.ndarray, theta_p: Array, theta_n: Array) -> np.ndarray:
    """The paper's two steps as they stand, in float64; x (…, hidden)."""
    tp, tn = theta_p.astype(np.float64), theta_n.astype(np.float64)
    x = x + (x @ tp / (tp @ tp))[..., None] * tp
    return x - (x @ tn / (tn @ tn))[..., None] * tn


def test_the_rank_two_edit_is_the_papers_two_steps() -> None:
    # Neither of length 1 nor orthogonal: the formula divides by the lengths, and the second step sees the first.
    theta_p, theta_n = 3 * normal(LAYERS, HIDDEN), 0.2 * normal(LAYERS, HIDDEN)
    theta_n += 0.1 * theta_p
    reads, writes = projection_edit(directions(theta_p, theta_n), range(LAYERS))
    assert reads.shape == (LAYERS, 2, HIDDEN)
    assert writes.shape == (LAYERS, HIDDEN, 2)
    assert reads.dtype == writes.dtype == np.float32
    x = RANDOM.normal(size=(10, HIDDEN))
    for layer in range(LAYERS):
        edited = x + x @ reads[layer].T.astype(np.float64) @ writes[layer].T.astype(np.float64)
        assert edited == pytest.approx(sequential(x, theta_p[layer], theta_n[layer]), abs=2e-6)


def test_an_edited_state_has_no_part_along_theta_n() -> None:
    found = align(normal(PAIRS, LAYERS, HIDDEN), normal(PAIRS, LAYERS, HIDDEN))
    reads, writes = projection_edit(found, [2])
    x = normal(HIDDEN)
    edited = x + writes[2] @ (reads[2] @ x)
    assert float(edited @ found.theta_n[2]) == pytest.approx(0, abs=1e-5)


def test_layers_not_chosen_are_left_alone() -> None:
    found = directions(normal(LAYERS, HIDDEN), normal(LAYERS, HIDDEN))
    reads, writes = projection_edit(found, [3, 1])
    for layer in range(LAYERS):
        assert bool(reads[layer].any()) == bool(writes[layer].any()) == (layer in (1, 3))
    reads, writes = projection_edit(found, [])
    assert not reads.any()
    assert not writes.any()


def test_strength_scales_the_edit_and_zero_changes_nothing() -> None:
    found = directions(normal(LAYERS, HIDDEN), normal(LAYERS, HIDDEN))
    full, half, none = (projection_edit(found, [0, 2], alpha)[1] for alpha in (1.0, 0.5, 0.0))
    assert half == pytest.approx(full / 2, abs=1e-7)
    assert not none.any()
    add_only = projection_edit(found, [0, 2], 1.0, alpha_n=0.0)[1]
    assert (add_only[..., 0] == full[..., 0]).all()
    assert not add_only[..., 1].any()


def test_a_zero_direction_leaves_its_step_out() -> None:
    theta_p, zero = normal(1, HIDDEN), np.zeros((1, HIDDEN), np.float32)
    reads, writes = projection_edit(directions(theta_p, zero), [0])
    x = RANDOM.normal(size=HIDDEN)
    tp = theta_p[0].astype(np.float64)
    assert x + writes[0] @ (reads[0] @ x) == pytest.approx(x + (x @ tp / (tp @ tp)) * tp, abs=2e-6)


@pytest.mark.parametrize("layer", [-1, LAYERS])
def test_a_layer_that_is_not_there_is_refused(layer: int) -> None:
    found = directions(normal(LAYERS, HIDDEN), normal(LAYERS, HIDDEN))
    with pytest.raises(ValueError, match=f"no layer {layer}"):
        projection_edit(found, [0, layer])


def test_best_layers_are_those_of_lowest_loss() -> None:
    loss = np.array([0.3, 0.05, 0.2, 0.01], np.float32)
    assert best_layers(loss, 2) == (3, 1)
    assert best_layers(loss, 0) == ()
    assert best_layers(loss, 9) == (3, 1, 2, 0)
    with pytest.raises(ValueError, match="-1"):
        best_layers(loss, -1)
    with pytest.raises(ValueError, match="ranking"):
        best_layers(np.full(4, np.nan, np.float32), 2)


def test_the_edit_as_a_lora_on_ffn_down_does_the_same() -> None:
    found = directions(normal(LAYERS, HIDDEN), normal(LAYERS, HIDDEN))
    reads, writes = projection_edit(found, [1])
    matrix, inner = normal(HIDDEN, INNER), normal(INNER)
    lora = as_ffn_down(reads[1], matrix)
    assert lora.shape == (2, INNER)
    assert lora.dtype == np.float32
    assert lora.flags["C_CONTIGUOUS"]
    expected = writes[1] @ (reads[1] @ (matrix @ inner))
    assert writes[1] @ (lora @ inner) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_matrix_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden"):
        as_ffn_down(normal(2, HIDDEN), normal(INNER, HIDDEN))
