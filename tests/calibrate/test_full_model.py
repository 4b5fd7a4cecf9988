"""The full-precision model with hooks, against llama.cpp with the same vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="learning needs the calibrate extra")

from torch import Tensor  # noqa: E402

from calibrate.batching import Batching, Sample, batches  # noqa: E402
from calibrate.edit import Edit  # noqa: E402
from calibrate.export import export  # noqa: E402
from calibrate.full_model import FullModel, WeightsError  # noqa: E402
from calibrate.refine import Tuning, mean_nll, starting_edit, tune  # noqa: E402
from engine.score import scoring  # noqa: E402
from engine.voicefile import Provenance  # noqa: E402

RANDOM = np.random.default_rng(3)


def provenance() -> Provenance:
    return Provenance("v", "tiny", "", "test", "{}", "2024-01-01", 1, 1.0, None, None)


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


def edit_for(full: FullModel, size: float, rank: int = 0) -> Edit:
    def noise(*shape: int) -> Tensor:
        made: Tensor = torch.from_numpy(RANDOM.normal(0, size, shape).astype(np.float32))
        return made

    layers, hidden = full.layer_count, full.hidden_size
    return Edit(noise(layers, hidden), noise(layers, rank, hidden), noise(layers, hidden, rank))


def plain_start(full: FullModel, rank: int = 0) -> Edit:
    nowhere = np.zeros((full.layer_count, full.hidden_size), dtype=np.float32)
    return starting_edit((nowhere,) if rank == 0 else (nowhere + 0.125,), rank, seed=0)


@pytest.mark.parametrize(("size", "rank"), [(0.0, 0), (0.3, 0), (0.3, 4)])
def test_full_precision_and_llama_cpp_agree_plain_and_edited(
    full: FullModel, tiny: Path, tmp_path: Path, size: float, rank: int
) -> None:
    edit = edit_for(full, size, rank)
    given = samples(6)
    vectors, adapter = None, None
    if size:
        files = export(tmp_path, "llama", full, edit, provenance())
        vectors, adapter = files.vectors(), files.adapter
        assert (adapter is not None) == bool(rank)
    with scoring(tiny, 64, 1) as scorer:
        scorer.steer(vectors, adapter)
        engine = np.array([scorer.nll(sample.prompt, sample.answer) for sample in given])
    # bfloat16, where this computer is faster with it, rounds in the third digit
    np.testing.assert_allclose(full.nlls(given, edit), engine, rtol=0.02)
    if size:
        assert np.abs(engine / full.nlls(given, None) - 1).max() > 0.03  # the edit is not too small to see


def test_block_0_gets_no_vector(full: FullModel) -> None:
    only_first = torch.zeros(full.layer_count, full.hidden_size)
    only_first[0] = 5.0
    given = samples(2)
    np.testing.assert_array_equal(full.nlls(given, Edit.additive(only_first)), full.nlls(given, None))


def test_an_edit_scales_linearly(full: FullModel) -> None:
    edit = edit_for(full, 0.1, 2)
    half = edit * 0.5
    given = samples(3)
    np.testing.assert_array_equal(full.nlls(given, edit * 0.0), full.nlls(given, None))
    np.testing.assert_allclose(full.nlls(given, half * 2.0), full.nlls(given, edit), rtol=1e-3)
    torch.testing.assert_close(half.writes @ half.reads, 0.5 * (edit.writes @ edit.reads))


def test_padding_does_not_change_a_sample(full: FullModel) -> None:
    given = samples(5)
    together = full.nlls(given, None)
    alone = np.concatenate([full.nlls([sample], None) for sample in given])
    np.testing.assert_allclose(together, alone, rtol=0.02)


def test_answer_means_ignore_prompt_and_padding(full: FullModel) -> None:
    long, short = sorted(samples(8), key=lambda sample: -sample.length)[:2]
    for together, alone in zip(full.answer_means([long, short]), full.answer_means([short]), strict=True):
        assert together.shape == (2, full.layer_count, full.hidden_size)
        torch.testing.assert_close(together[1], alone[0], rtol=0.05, atol=0.05)


def test_the_mlp_output_is_its_matrix_times_what_is_inside(full: FullModel) -> None:
    inside: list[Tensor] = []
    handle = full._blocks[1].mlp.down_proj.register_forward_pre_hook(lambda _, given: inside.append(given[0]))
    (sample,) = samples(1)
    mlp, _ = full.answer_means([sample])
    handle.remove()
    means = inside[0][0, len(sample.prompt) : sample.length].float().mean(dim=0)
    expected = torch.from_numpy(full.mlp_matrix(1)) @ means
    torch.testing.assert_close(mlp[0, 1], expected, rtol=0.05, atol=0.02)


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


@pytest.mark.parametrize("rank", [0, 2])
def test_tuning_makes_the_answers_likelier_and_keeps_the_best_pass(full: FullModel, rank: int) -> None:
    person = [Sample((1, 2, 3), (40, 41, 42, 43) * 5) for _ in range(8)]
    steps: list[tuple[int, int]] = []
    tuned = tune(
        full,
        person,
        person[:2],
        plain_start(full, rank),
        Tuning(passes=3, learning_rate=0.05, vector_rate=0.05, rank=rank),
        lambda done, total: steps.append((done, total)),
        lambda: False,
    )
    assert tuned.curve[0] < -0.1
    gained = mean_nll(full, person[:2], tuned.edit) - mean_nll(full, person[:2], None)
    assert gained == pytest.approx(min(tuned.curve), abs=1e-3)
    assert not tuned.edit.vectors[0].any()
    assert bool(tuned.edit.writes.any()) == bool(rank)
    assert steps[-1] == (6, 6)


def test_tuning_that_only_hurts_validation_leaves_the_plain_model(full: FullModel, tiny: Path) -> None:
    # Validation is what the plain model itself would write, so every change makes it less likely.
    favourite: list[int] = []
    with scoring(tiny, 64, 1) as scorer:
        for _ in range(12):
            favourite.append(int(scorer.logits((1, 2, 3), (*favourite, 0))[-1].argmax()))
    person = [Sample((1, 2, 3), (40, 41, 42, 43) * 5) for _ in range(4)]
    validation = [Sample((1, 2, 3), tuple(favourite))]
    rates = Tuning(4, learning_rate=0.5, vector_rate=0.5)
    tuned = tune(full, person, validation, plain_start(full, 2), rates, lambda *_: None, lambda: False)
    assert len(tuned.curve) == 1
    assert tuned.curve[0] > 0
    assert tuned.edit.is_nothing()


def test_a_step_that_is_not_finite_is_undone_and_said(
    full: FullModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = [Sample((1, 2, 3), (40, 41, 42, 43) * 5) for _ in range(8)]
    original, calls = full.nll, []

    def sometimes_nan(group: list[Sample], head: int | None = None) -> Tensor:
        found = original(group, head)
        if found.requires_grad:
            calls.append(1)
        return found * float("nan") if found.requires_grad and len(calls) == 4 else found

    monkeypatch.setattr(full, "nll", sometimes_nan)
    rates = Tuning(2, learning_rate=0.05, vector_rate=0.05)
    tuned = tune(full, person, person[:2], plain_start(full, 2), rates, lambda *_: None, lambda: False)
    assert all(torch.isfinite(tensor).all() for tensor in tuned.edit.tensors)
    assert "not finite" in tuned.notes[0]


def test_the_head_of_an_answer_is_a_part_of_it(full: FullModel) -> None:
    given = samples(4)
    short = [Sample(sample.prompt, sample.answer[:5]) for sample in given]
    with torch.no_grad():
        both = full.nll(given, head=5)
        torch.testing.assert_close(both[:, 0], full.nll(given), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(both[:, 1], full.nll(short), rtol=0.02, atol=0.1)


def test_the_request_margin_ties_answers_to_their_requests(full: FullModel) -> None:
    # Four requests, each with an answer of its own: the margin is how much likelier an answer is after its own.
    person = [Sample((1, 2, 60 + n), (40 + n, 41 + n, 50 - n, 43 + n) * 4) for n in range(4)]
    elsewhere = [Sample(person[n - 1].prompt, person[n].answer) for n in range(4)]

    def margin(weight: float) -> float:
        rates = Tuning(12, learning_rate=0.02, vector_rate=0.02, request_weight=weight)
        tuned = tune(full, person, person, plain_start(full, 2), rates, lambda *_: None, lambda: False)
        return mean_nll(full, elsewhere, tuned.edit) - mean_nll(full, person, tuned.edit)

    assert margin(1.0) > 2 * margin(0.0) + 0.02


def short_of_memory(full: FullModel, monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Let ``full`` take ``most`` samples at once, as torch does on a computer that has no more; what it was given."""
    original, given = full.nll, list[int]()

    def nll(group: list[Sample], head: int | None = None) -> Tensor:
        given.append(len(group))
        if len(group) > most:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"
            )
        return original(group, head)

    monkeypatch.setattr(full, "nll", nll)
    monkeypatch.setattr(full, "batching", Batching())
    return given


def test_scoring_goes_on_in_smaller_batches_when_memory_runs_short(
    full: FullModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = samples(24)
    expected = full.nlls(texts, None)
    counted: list[int] = []
    given = short_of_memory(full, monkeypatch, most=4)
    np.testing.assert_allclose(full.nlls(texts, None, counted.append), expected, rtol=1e-3)
    assert sum(counted) == 24
    assert sum(size > 4 for size in given) < 4  # it learns from it, and does not try as much again


def test_a_tuning_step_is_done_again_in_smaller_batches(
    full: FullModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = [Sample((1, 2, 3), (40, 41, 42, 43) * 12) for _ in range(8)]
    rates = Tuning(2, learning_rate=0.05, vector_rate=0.05, samples_per_step=8)

    def tuned() -> Edit:
        start = plain_start(full, 2)
        return tune(full, person, person[:2], start, rates, lambda *_: None, lambda: False).edit

    expected = tuned()
    given = short_of_memory(full, monkeypatch, most=3)
    for found, wanted in zip(tuned().tensors, expected.tensors, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0.05, atol=5e-3)
    assert max(given) == 8


def test_memory_that_suffices_for_no_sample_is_an_error_of_memory(
    full: FullModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(full, monkeypatch, most=0)
    with pytest.raises(MemoryError):
        full.nlls(samples(3), None)
    with pytest.raises(MemoryError):
        tune(full, samples(4), samples(2), plain_start(full), Tuning(1), lambda *_: None, lambda: False)


def test_other_errors_of_torch_stay_what_they_are(full: FullModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(group: list[Sample], head: int | None = None) -> Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(full, "nll", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        full.nlls(samples(3), None)
