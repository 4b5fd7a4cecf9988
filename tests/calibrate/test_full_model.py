"""The full-precision model with hooks, against llama.cpp with the same vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="learning needs the calibrate extra")

from calibrate.full_model import FullModel, Sample, WeightsError, batches  # noqa: E402
from calibrate.refine import Tuning, mean_nll, tune  # noqa: E402
from engine.score import scoring  # noqa: E402

RANDOM = np.random.default_rng(3)


def samples(count: int, seed: int = 0) -> list[Sample]:
    random = np.random.default_rng(seed)
    return [
        Sample(tuple(random.integers(0, 256, 5).tolist()), tuple(random.integers(0, 256, length).tolist()))
        for length in random.integers(6, 30, count)
    ]


@pytest.fixture(scope="module")
def full(tiny: Path) -> FullModel:
    torch.set_num_threads(2)
    return FullModel.load(tiny)


def edit_for(full: FullModel, size: float) -> torch.Tensor:
    return torch.from_numpy(RANDOM.normal(0, size, (full.layer_count, full.hidden_size)).astype(np.float32))


@pytest.mark.parametrize("size", [0.0, 0.3])
def test_full_precision_and_llama_cpp_agree_plain_and_steered(
    full: FullModel, tiny: Path, size: float
) -> None:
    edit = edit_for(full, size)
    given = samples(6)
    with scoring(tiny, 64, 1) as scorer:
        scorer.steer(edit.numpy())
        engine = np.array([scorer.nll(sample.prompt, sample.answer) for sample in given])
    # bfloat16, where this computer is faster with it, rounds in the third digit
    np.testing.assert_allclose(full.nlls(given, edit), engine, rtol=0.02)


def test_block_0_is_never_steered(full: FullModel) -> None:
    only_first = torch.zeros(full.layer_count, full.hidden_size)
    only_first[0] = 5.0
    given = samples(2)
    np.testing.assert_array_equal(full.nlls(given, only_first), full.nlls(given, None))


def test_padding_does_not_change_a_sample(full: FullModel) -> None:
    given = samples(5)
    together = full.nlls(given, None)
    alone = np.concatenate([full.nlls([sample], None) for sample in given])
    np.testing.assert_allclose(together, alone, rtol=0.02)


def test_answer_means_ignore_prompt_and_padding(full: FullModel) -> None:
    long, short = sorted(samples(8), key=lambda sample: -sample.length)[:2]
    together = full.answer_means([long, short])
    alone = full.answer_means([short])
    assert together.shape == (2, full.layer_count, full.hidden_size)
    torch.testing.assert_close(together[1], alone[0], rtol=0.05, atol=0.05)


def test_steering_ends_with_its_block(full: FullModel) -> None:
    given = samples(3)
    before = full.nlls(given, None)
    with pytest.raises(RuntimeError, match="in the middle"), full.steered(edit_for(full, 1.0)):
        raise RuntimeError("in the middle")
    np.testing.assert_array_equal(before, full.nlls(given, None))


def test_batches_hold_every_sample_once_and_keep_to_the_size() -> None:
    given = samples(40)
    groups = batches(given, 100)
    assert sorted(index for group in groups for index in group) == list(range(40))
    for group in groups:
        assert len(group) == 1 or max(given[index].length for index in group) * len(group) <= 100


def test_weights_that_are_no_weights_are_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.gguf"
    path.write_text("Dear friend")
    with pytest.raises(WeightsError, match=r"letter\.gguf"):
        FullModel.load(path)


def test_tuning_makes_the_answers_likelier_and_keeps_the_best_pass(full: FullModel) -> None:
    person = [Sample((1, 2, 3), (40, 41, 42, 43) * 5) for _ in range(8)]
    start = torch.zeros(full.layer_count, full.hidden_size)
    steps: list[tuple[int, int]] = []
    tuning = Tuning(passes=3, learning_rate=0.05, samples_per_step=4)
    tuned = tune(
        full,
        person,
        person[:2],
        start,
        tuning,
        lambda done, total: steps.append((done, total)),
        lambda: False,
    )
    assert tuned.curve[0] < -0.1
    gained = mean_nll(full, person[:2], tuned.edit) - mean_nll(full, person[:2], None)
    assert gained == pytest.approx(min(tuned.curve), abs=1e-3)
    assert not tuned.edit[0].any()
    assert steps[-1] == (6, 6)


def test_tuning_that_only_hurts_validation_leaves_the_plain_model(full: FullModel, tiny: Path) -> None:
    # Validation is what the plain model itself would write, so every change makes it less likely.
    favourite: list[int] = []
    with scoring(tiny, 64, 1) as scorer:
        for _ in range(12):
            favourite.append(int(scorer.logits((1, 2, 3), (*favourite, 0))[-1].argmax()))
    person = [Sample((1, 2, 3), (40, 41, 42, 43) * 5) for _ in range(4)]
    start = torch.zeros(full.layer_count, full.hidden_size)
    validation = [Sample((1, 2, 3), tuple(favourite))]
    tuned = tune(full, person, validation, start, Tuning(4, 0.5, 4), lambda *_: None, lambda: False)
    assert len(tuned.curve) == 1
    assert tuned.curve[0] > 0
    assert not tuned.edit.any()


def test_a_step_that_is_not_finite_is_undone_and_said(
    full: FullModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = [Sample((1, 2, 3), (40, 41, 42, 43) * 5) for _ in range(8)]
    original, calls = full.nll, []

    def sometimes_nan(group: list[Sample]) -> torch.Tensor:
        calls.append(1)
        found = original(group)
        return found * float("nan") if len(calls) == 2 and found.requires_grad else found

    monkeypatch.setattr(full, "nll", sometimes_nan)
    start = torch.zeros(full.layer_count, full.hidden_size)
    tuned = tune(full, person, person[:2], start, Tuning(2, 0.05, 4), lambda *_: None, lambda: False)
    assert torch.isfinite(tuned.edit).all()
    assert "not finite" in tuned.notes[0]
