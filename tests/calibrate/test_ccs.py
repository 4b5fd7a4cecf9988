from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from calibrate.ccs import (
    UNINFORMED,
    Array,
    Normalise,
    cross_validated_loss,
    rank_layers,
    ranking_stability,
    search,
    spearman,
)

LAYERS, HIDDEN = 8, 128
MARKED = (1, 4, 6)
SEEDS = (0, 1, 2, 3)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Made:
    """Pairs whose sides share their content, and the axis along which the marked layers' sides differ."""

    own: Array
    plain: Array
    axis: Array


def made(kind: str, pairs: int = 32, seed: int = 3) -> Made:
    """``kind`` of the difference on the layers MARKED: "shift", the same for every pair; "opposite", own and plain
    move in opposite senses, by another amount and to another side for every pair; "none"."""
    random = np.random.default_rng(seed)
    content = random.normal(size=(pairs, LAYERS, HIDDEN))
    own, plain = (content + random.normal(size=content.shape) for _ in range(2))
    axis = random.normal(size=(LAYERS, HIDDEN))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    amount = {
        "shift": np.full(pairs, 6.0),
        "opposite": random.choice([-1, 1], pairs) * random.uniform(3, 9, pairs),
        "none": np.zeros(pairs),
    }[kind]
    for layer in MARKED:
        own[:, layer] += amount[:, None] * axis[layer]
        plain[:, layer] -= amount[:, None] * axis[layer]
    return Made(own.astype(np.float32), plain.astype(np.float32), axis.astype(np.float32))


def noise(pairs: int = 16, hidden: int = 256, layers: int = 6) -> tuple[Array, Array]:
    own, plain = np.random.default_rng(11).normal(size=(2, pairs, layers, hidden)).astype(np.float32)
    return own, plain


@pytest.mark.parametrize(
    ("kind", "normalise"), [("opposite", "each side"), ("opposite", "together"), ("shift", "together")]
)
def test_layers_that_carry_the_difference_rank_first_whatever_the_seed(
    kind: str, normalise: Normalise
) -> None:
    data = made(kind)
    for seed in SEEDS:
        loss = cross_validated_loss(data.own, data.plain, seed, normalise=normalise)
        assert set(rank_layers(loss)[: len(MARKED)]) == set(MARKED), loss
        assert loss[list(MARKED)].max() < 0.1, loss
        others = np.delete(loss, MARKED)
        assert others.min() > 0.9 * UNINFORMED, loss


def test_a_ranking_with_signal_is_stable_over_seeds_and_one_of_chance_is_less_so() -> None:
    # Every layer carries another amount, so that the whole order means something; spread over all dimensions.
    random = np.random.default_rng(5)
    own, plain = random.normal(size=(2, 48, LAYERS, HIDDEN))
    sign = random.choice([-1, 1], 48)
    for layer in range(LAYERS):
        own[:, layer, 0] += 0.8 * layer * sign
        plain[:, layer, 0] -= 0.8 * layer * sign
    turn = np.linalg.qr(random.normal(size=(HIDDEN, HIDDEN)))[0]
    graded = [
        cross_validated_loss((own @ turn).astype(np.float32), (plain @ turn).astype(np.float32), seed)
        for seed in SEEDS
    ]
    chance = [cross_validated_loss(*noise(), seed) for seed in SEEDS]
    assert ranking_stability(graded) > 0.7
    assert ranking_stability(chance) < ranking_stability(graded)
    assert rank_layers(graded[0])[0] in (LAYERS - 1, LAYERS - 2)


def test_in_full_dimension_the_training_loss_of_pure_noise_is_zero_and_the_held_out_loss_is_not() -> None:
    own, plain = noise()
    assert search(own, plain, components=own.shape[2]).training_loss.max() < 0.01  # the trap
    assert cross_validated_loss(own, plain, components=own.shape[2]).min() > UNINFORMED
    for seed in SEEDS:
        assert cross_validated_loss(own, plain, seed).min() > 0.7 * UNINFORMED


def test_noise_reads_as_no_signal_because_held_out_pairs_have_no_part_in_the_fit() -> None:
    # Components fitted on the held-out pairs too give those pairs a spread of their own, and the probe confident
    # wrong answers: about 0.45.
    losses = [cross_validated_loss(*noise(), seed) for seed in SEEDS]
    assert float(np.mean(losses)) == pytest.approx(UNINFORMED, abs=0.06)


def test_of_several_starts_the_best_is_kept() -> None:
    # In two dimensions all probes of moderate size can be tried; the loss has valleys of unequal depth.
    own, plain = noise(pairs=8, hidden=2)
    found = search(own, plain, components=2).training_loss
    z_own, z_plain = ((side - side.mean(axis=0)) / side.std(axis=0) for side in (own, plain))
    angle, length, bias = np.meshgrid(
        np.linspace(0, 2 * np.pi, 60), np.linspace(0, 4, 24), np.linspace(-3, 3, 31), indexing="ij"
    )
    weights = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=-1)
    for layer, reached in enumerate(found):
        p_own, p_plain = (
            1 / (1 + np.exp(-(weights @ z[:, layer].T + bias[..., None]))) for z in (z_own, z_plain)
        )
        lowest = ((p_own + p_plain - 1) ** 2 + np.minimum(p_own, p_plain) ** 2).mean(axis=-1).min()
        assert float(reached) < float(lowest) + 0.002


def test_a_shift_alike_for_all_pairs_is_invisible_where_each_side_is_normalised_by_itself() -> None:
    shifted, none = made("shift"), made("none")
    blind = cross_validated_loss(shifted.own, shifted.plain)
    assert blind == pytest.approx(cross_validated_loss(none.own, none.plain), abs=0.01)


@pytest.mark.parametrize(
    ("kind", "normalise"), [("opposite", "each side"), ("opposite", "together"), ("shift", "together")]
)
def test_theta_n_is_the_axis_of_the_difference_and_points_to_the_plain_side(
    kind: str, normalise: Normalise
) -> None:
    data = made(kind)
    theta_n = search(data.own, data.plain, normalise=normalise).theta_n
    assert theta_n.dtype == np.float32
    assert np.linalg.norm(theta_n, axis=1) == pytest.approx(1.0, abs=1e-5)
    for layer in MARKED:
        assert abs(float(theta_n[layer] @ data.axis[layer])) > 0.75
    further = ((data.plain - data.own).mean(axis=0) * theta_n).sum(axis=1)
    assert (further >= -1e-5).all()


def test_theta_n_reads_the_same_of_an_answer_in_whatever_units_the_dimensions_are() -> None:
    data = made("opposite")
    units = np.random.default_rng(2).uniform(0.1, 10, HIDDEN).astype(np.float32)
    layer = MARKED[0]
    read = data.plain[:, layer] @ search(data.own, data.plain).theta_n[layer]
    scaled = data.plain[:, layer] * units @ search(data.own * units, data.plain * units).theta_n[layer]
    assert abs(float(np.corrcoef(read, scaled)[0, 1])) > 0.999


def test_a_layer_is_judged_by_itself() -> None:
    data = made("opposite")
    layer = MARKED[1]
    alone, company = (
        search(data.own[:, part], data.plain[:, part]) for part in (slice(layer, layer + 1), slice(None))
    )
    assert float(alone.theta_n[0] @ company.theta_n[layer]) > 0.999
    assert float(alone.training_loss[0]) == pytest.approx(float(company.training_loss[layer]), abs=1e-3)


def test_the_same_seed_gives_the_same_losses_and_leaves_torchs_own_random_numbers_alone() -> None:
    data = made("opposite")
    state = torch.get_rng_state()
    first, again = (cross_validated_loss(data.own, data.plain, 7) for _ in range(2))
    assert (first == again).all()
    assert (torch.get_rng_state() == state).all()


def test_dimensions_and_layers_in_which_nothing_varies_do_no_harm() -> None:
    data = made("opposite", pairs=12)
    for side in (data.own, data.plain):
        side[:, :, 5] = 37.3
        side[:, 0] = 0
        side[:, 2] = 1.7
    found = search(data.own, data.plain)
    assert np.isfinite(found.theta_n).all()
    assert (found.theta_n[[0, 2]] == 0).all()
    assert (found.theta_n[:, 5] == 0).all()
    loss = cross_validated_loss(data.own, data.plain)
    assert loss[[0, 2]] == pytest.approx(UNINFORMED, abs=0.01)


@pytest.mark.parametrize("pairs", [4, 5, 7])
def test_a_handful_of_pairs_is_enough(pairs: int) -> None:
    data = made("opposite", pairs)
    assert np.isfinite(cross_validated_loss(data.own, data.plain)).all()
    assert np.isfinite(search(data.own, data.plain).theta_n).all()


def test_three_pairs_one_fold_or_unequal_sides_are_refused() -> None:
    data = made("opposite", pairs=6)
    with pytest.raises(ValueError, match="4 pairs or more, there are 3"):
        search(data.own[:3], data.plain[:3])
    with pytest.raises(ValueError, match="4 pairs or more, there are 3"):
        cross_validated_loss(data.own[:3], data.plain[:3])
    with pytest.raises(ValueError, match="folds"):
        cross_validated_loss(data.own, data.plain, folds=1)
    with pytest.raises(ValueError, match="alike"):
        search(data.own, data.plain[:5])


def test_spearman_follows_ranks_and_shares_ties() -> None:
    values = np.array([3.0, 1.0, 2.0, 10.0], dtype=np.float32)
    assert spearman(values, np.exp(values)) == pytest.approx(1.0)
    assert spearman(values, -values) == pytest.approx(-1.0)
    tied = np.array([1.0, 2.0, 2.0, 3.0], dtype=np.float32)
    order = np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 · 5).
    assert spearman(tied, order) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    assert np.isnan(spearman(order, np.ones(4, dtype=np.float32)))
    assert ranking_stability([values, values, -values]) == pytest.approx(-1 / 3)
    with pytest.raises(ValueError, match="two seeds"):
        ranking_stability([values])
