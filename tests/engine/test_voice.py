"""A voice on a model: exactly as strong as asked, off without a trace, and never on a model it was not made for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.adapterfile import write_low_rank_edit
from engine.errors import EngineError
from engine.messages import ChatTurn, Sampling, VoiceUse
from engine.model import Model
from engine.native import Adapter, Context, Logits
from engine.voice import PLAIN
from engine.voicefile import write_control_vector
from tests.engine.conftest import Loader
from tests.engine.helpers import (
    HIDDEN,
    LAYERS,
    MADE,
    SYSTEM,
    ask,
    edit_file,
    expected_after,
    last_hidden,
    merged,
    prompt_of,
    random_edit,
    random_vector,
    tensor_of,
    user,
    vector_file,
)
from tests.tiny_models import write_tiny_llama

WARM = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=40, seed=7)
TURNS = [SYSTEM, user("Write about the rain in my house.")]


@pytest.fixture
def vector(tmp_path: Path) -> str:
    return vector_file(tmp_path / "vector.gguf")


@pytest.fixture
def adapter(tmp_path: Path) -> str:
    return edit_file(tmp_path / "adapter.gguf")


@pytest.fixture(params=["vector", "adapter", "both"])
def use(request: pytest.FixtureRequest, vector: str, adapter: str) -> VoiceUse:
    """A voice with each of the files, and with both."""
    return VoiceUse(
        control_vector="" if request.param == "adapter" else vector,
        adapter="" if request.param == "vector" else adapter,
    )


def steer(model: Model, use: VoiceUse | None) -> None:
    model.steer(model.voices.steering(use))


def logits(model: Model, use: VoiceUse | None = None) -> Logits:
    """What ``model`` expects after `TURNS` in the voice ``use``, computed anew."""
    steer(model, use)
    return expected_after(model, prompt_of(model, TURNS).tokens)


def refusal(model: Model, use: VoiceUse) -> str:
    """What is said to ``use``; the plain model goes on as before."""
    before = logits(model)
    with pytest.raises(EngineError) as caught:
        steer(model, use)
    np.testing.assert_array_equal(
        expected_after(model, prompt_of(model, TURNS).tokens),
        before,
    )
    return str(caught.value)


# How strongly


def test_a_voice_changes_what_is_expected_and_what_is_written(model: Model, use: VoiceUse) -> None:
    plain, text = logits(model), ask(model, TURNS, WARM)
    assert np.abs(logits(model, use) - plain).max() > 0.5
    assert ask(model, TURNS, WARM) != text


def test_strength_0_is_the_plain_model_to_the_last_bit(model: Model, use: VoiceUse) -> None:
    plain, text = logits(model), ask(model, TURNS, WARM)
    for before in (use, replace(use, strength=2.0)):
        for off in (replace(use, strength=0.0), replace(use, strength=-0.0), None):
            logits(model, before)
            np.testing.assert_array_equal(logits(model, off), plain)
            assert ask(model, TURNS, WARM) == text


def test_strength_0_puts_nothing_in_force_and_reads_no_file(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.voices.steering(VoiceUse("/nowhere/v.gguf", 0.0, "/nowhere/a.gguf")) is PLAIN
    monkeypatch.setattr(Context, "adapt", None)
    monkeypatch.setattr(Context, "steer", None)
    steer(model, VoiceUse("/nowhere/v.gguf", 0.0, "/nowhere/a.gguf"))


STRENGTHS = (-1.0, 0.5, 1.0, 1.7)


def test_what_a_vector_adds_to_a_block_is_its_strength_times_its_direction(
    tiny: Path, model: Model, tmp_path: Path
) -> None:
    given = random_vector(layers=[LAYERS - 1])
    path = vector_file(tmp_path / "last.gguf", given)
    output = tensor_of(tiny, "output.weight")
    plain = last_hidden(logits(model), output)
    for strength in STRENGTHS:
        added = last_hidden(logits(model, VoiceUse(path, strength)), output) - plain
        np.testing.assert_allclose(added, strength * given.directions[LAYERS - 1], atol=1e-3)


def test_what_an_adapter_adds_to_a_block_grows_with_its_strength(
    tiny: Path, model: Model, tmp_path: Path
) -> None:
    path = edit_file(tmp_path / "last.gguf", random_edit(layers=[LAYERS - 1]))
    output = tensor_of(tiny, "output.weight")
    plain = last_hidden(logits(model), output)

    def added(strength: float) -> NDArray[np.float64]:
        return last_hidden(logits(model, VoiceUse(adapter=path, strength=strength)), output) - plain

    whole = added(1.0)
    assert np.abs(whole).max() > 0.1
    for strength in STRENGTHS:
        np.testing.assert_allclose(added(strength), strength * whole, atol=1e-3)


def test_a_vector_steers_the_blocks_it_names_and_no_others(tiny: Path, model: Model, tmp_path: Path) -> None:
    """Steering one block is the same as a bias there: the blocks behind it see what it added."""
    output = tensor_of(tiny, "output.weight")
    plain = last_hidden(logits(model), output)
    found = []
    for layer in (1, 2, 3):
        path = vector_file(tmp_path / f"{layer}.gguf", random_vector(layers=[layer]))
        found.append(last_hidden(logits(model, VoiceUse(path)), output) - plain)
    directions = [random_vector(layers=[layer]).directions[layer] for layer in (1, 2, 3)]
    assert np.abs(found[2] - directions[2]).max() < 1e-3
    assert np.abs(found[1] - directions[1]).max() > 1e-2
    assert np.abs(found[0] - directions[0]).max() > 1e-2


# An adapter is a change of the weights


@pytest.mark.parametrize("rank", [1, 2, 4, 9])
@pytest.mark.parametrize("strength", [1.0, -0.7, 1.6])
def test_an_adapter_is_the_edit_merged_into_the_weights(
    tiny: Path, model: Model, load: Loader, tmp_path: Path, rank: int, strength: float
) -> None:
    edit = random_edit(rank=rank, size=0.3)
    path = edit_file(tmp_path / "adapter.gguf", edit)
    other = load(merged(tiny, tmp_path / "merged.gguf", edit, strength))
    found = logits(model, VoiceUse(adapter=path, strength=strength))
    expected = logits(other)
    assert np.abs(expected - logits(model)).max() > 0.5
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("layers", [[0], [2], [0, 3]])
def test_an_adapter_edits_the_blocks_it_names_and_no_others(
    tiny: Path, model: Model, load: Loader, tmp_path: Path, layers: Sequence[int]
) -> None:
    edit = random_edit(layers=layers, size=0.3)
    path = edit_file(tmp_path / "adapter.gguf", edit)
    other = load(merged(tiny, tmp_path / "merged.gguf", edit))
    np.testing.assert_allclose(logits(model, VoiceUse(adapter=path)), logits(other), atol=2e-4)


def test_a_vector_and_an_adapter_work_together(
    tiny: Path, model: Model, load: Loader, tmp_path: Path, vector: str
) -> None:
    edit = random_edit(seed=3, size=0.3)
    path = edit_file(tmp_path / "both.gguf", edit)
    other = load(merged(tiny, tmp_path / "merged.gguf", edit, 0.6))
    found = logits(model, VoiceUse(vector, 0.6, path))
    np.testing.assert_allclose(found, logits(other, VoiceUse(vector, 0.6)), atol=2e-4)
    assert np.abs(found - logits(model, VoiceUse(vector, 0.6))).max() > 0.1
    assert np.abs(found - logits(model, VoiceUse(adapter=path, strength=0.6))).max() > 0.1


# Changing it


def test_what_was_read_in_another_voice_is_read_again(tiny: Path, load: Loader, use: VoiceUse) -> None:
    used = load(tiny)
    for voice in (None, use, replace(use, strength=0.5), None, replace(use, strength=0.5), use):
        fresh = load(tiny)
        steer(fresh, voice)
        steer(used, voice)
        assert ask(used, TURNS, replace(WARM, seed=3)) == ask(fresh, TURNS, replace(WARM, seed=3))


def test_the_same_seed_is_the_same_text_in_a_voice_too(tiny: Path, load: Loader, use: VoiceUse) -> None:
    fresh = load(tiny)
    steer(fresh, use)
    expected = ask(fresh, TURNS, WARM)
    used = load(tiny)
    for before in ([SYSTEM, user("Write about")], [user("x" * 300)], [*TURNS, ChatTurn("assistant", "I")]):
        steer(used, use)
        ask(used, before, replace(WARM, seed=None))
        assert ask(used, TURNS, WARM) == expected


def test_the_same_voice_again_keeps_what_was_read(
    model: Model, use: VoiceUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    steer(model, use)
    ask(model, TURNS, WARM)
    monkeypatch.setattr(Context, "clear", None)
    steer(model, replace(use))


def test_another_strength_reads_no_file_again(
    model: Model, use: VoiceUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = logits(model, use)
    monkeypatch.setattr(Adapter, "__init__", None)
    monkeypatch.setattr("engine.voice.read_control_vector", None)
    monkeypatch.setattr("engine.voice.read_low_rank_edit", None)
    second = logits(model, replace(use, strength=0.5))
    assert np.abs(first - second).max() > 0.05
    logits(model)
    np.testing.assert_array_equal(logits(model, use), first)


def test_a_voice_learnt_again_is_used_as_it_is_now(model: Model, vector: str, adapter: str) -> None:
    use = VoiceUse(vector, adapter=adapter)
    seen = [logits(model, use)]
    for file in (vector, adapter):
        if file == vector:
            write_control_vector(Path(vector), random_vector(seed=8))
        else:
            write_low_rank_edit(Path(adapter), random_edit(seed=8))
        later = Path(file).stat().st_mtime_ns + 10_000_000  # some systems' clocks of files are slow
        os.utime(file, ns=(later, later))
        seen.append(logits(model, use))
        assert np.abs(seen[-1] - seen[-2]).max() > 0.1


def test_two_voices_in_turn_are_each_themselves(model: Model, tmp_path: Path) -> None:
    uses = [VoiceUse(adapter=edit_file(tmp_path / f"{seed}.gguf", random_edit(seed))) for seed in (1, 2)]
    first, second = (logits(model, use) for use in uses)
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_array_equal(logits(model, uses[0]), first)
    np.testing.assert_array_equal(logits(model, uses[1]), second)


def test_a_model_of_another_size_takes_its_own_voice(tmp_path: Path, load: Loader) -> None:
    wide = load(write_tiny_llama(tmp_path / "wide.gguf", hidden=128, layers=3))
    use = VoiceUse(
        vector_file(tmp_path / "vector.gguf", random_vector(hidden=128, layers=(1, 2))),
        adapter=edit_file(tmp_path / "adapter.gguf", random_edit(hidden=128, layers=(0, 2))),
    )
    for one in (replace(use, control_vector=""), replace(use, adapter="")):
        assert np.abs(logits(wide, one) - logits(wide)).max() > 0.1


# Refusals


def made_for(name: str, sha256: str) -> dict[str, object]:
    return {"provenance": replace(MADE, model_name=name, model_sha256=sha256)}


def both_kinds(folder: Path, **changes: object) -> list[VoiceUse]:
    """Voices with either kind of file, both with ``changes`` to what they say they were made for."""
    vector = replace(random_vector(), **changes)  # type: ignore[arg-type]
    edit = replace(random_edit(), **changes)  # type: ignore[arg-type]
    return [
        VoiceUse(vector_file(folder / "vector.gguf", vector)),
        VoiceUse(adapter=edit_file(folder / "adapter.gguf", edit)),
    ]


def test_a_voice_for_another_model_is_refused_by_name(model: Model, tmp_path: Path) -> None:
    for use in both_kinds(tmp_path, **made_for("Other Llama", "0" * 64)):
        assert "“mine” was made for the model Other Llama, not for Tiny Llama" in refusal(model, use)


def test_a_voice_for_another_file_of_the_model_is_refused(model: Model, tmp_path: Path) -> None:
    for use in both_kinds(tmp_path, **made_for("Tiny Llama", "0" * 64)):
        assert "another file of Tiny Llama" in refusal(model, use)


def test_a_voice_for_this_very_file_is_accepted(model: Model, tmp_path: Path) -> None:
    plain = logits(model)
    for use in both_kinds(tmp_path, **made_for("whatever", model.sha256)):
        assert np.abs(logits(model, use) - plain).max() > 0.1


def test_a_voice_for_another_architecture_is_refused(model: Model, tmp_path: Path) -> None:
    for use in both_kinds(tmp_path, architecture="qwen2", provenance=None):
        said = refusal(model, use)
        assert "qwen2" in said
        assert "not for Tiny Llama (llama)" in said


def test_a_voice_of_another_width_is_refused(model: Model, tmp_path: Path) -> None:
    for use in (
        VoiceUse(vector_file(tmp_path / "vector.gguf", random_vector(hidden=HIDDEN * 2))),
        VoiceUse(adapter=edit_file(tmp_path / "adapter.gguf", random_edit(hidden=HIDDEN * 2))),
    ):
        assert "hidden size 128, not for Tiny Llama with 64" in refusal(model, use)


def test_a_voice_for_more_blocks_is_refused(model: Model, tmp_path: Path) -> None:
    for use in (
        VoiceUse(vector_file(tmp_path / "vector.gguf", random_vector(layers=[1, LAYERS]))),
        VoiceUse(adapter=edit_file(tmp_path / "adapter.gguf", random_edit(layers=[0, LAYERS]))),
    ):
        assert "more than 4 blocks" in refusal(model, use)


def test_an_adapter_for_another_inner_width_is_refused(model: Model, tmp_path: Path) -> None:
    use = VoiceUse(adapter=edit_file(tmp_path / "adapter.gguf", random_edit(inner=96)))
    assert "MLPs of width 96, not for Tiny Llama with 128" in refusal(model, use)


def test_of_two_files_each_must_fit(model: Model, tmp_path: Path, vector: str, adapter: str) -> None:
    foreign = both_kinds(tmp_path, **made_for("Other Llama", "0" * 64))
    fitting = vector_file(tmp_path / "fits.gguf")
    assert "Other Llama" in refusal(model, VoiceUse(fitting, adapter=foreign[1].adapter))
    fitting = edit_file(tmp_path / "fits.gguf")
    assert "Other Llama" in refusal(model, VoiceUse(foreign[0].control_vector, adapter=fitting))


def test_one_kind_of_file_is_not_taken_for_the_other(model: Model, vector: str, adapter: str) -> None:
    assert "not a control vector" in refusal(model, VoiceUse(adapter))
    assert "not an adapter" in refusal(model, VoiceUse(adapter=vector))


def test_a_voice_whose_file_is_gone_is_an_error_to_act_on(model: Model, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.gguf")
    for use in (VoiceUse(gone), VoiceUse(adapter=gone)):
        assert gone in refusal(model, use)
        assert "Learn the voice again" in refusal(model, use)


def test_a_damaged_voice_is_named(model: Model, tmp_path: Path, vector: str, adapter: str) -> None:
    for file in (vector, adapter):
        path = Path(file)
        path.write_bytes(path.read_bytes()[:-500])
    assert vector in refusal(model, VoiceUse(vector, adapter=adapter))
    assert adapter in refusal(model, VoiceUse(adapter=adapter))


def test_a_voice_whose_file_goes_while_it_is_in_use_is_an_error_too(model: Model, use: VoiceUse) -> None:
    steer(model, use)
    Path(use.adapter or use.control_vector).unlink()
    with pytest.raises(EngineError, match="cannot be read"):
        steer(model, replace(use, strength=0.5))


def test_a_voice_without_a_file_is_none(model: Model) -> None:
    assert "has no file" in refusal(model, VoiceUse())


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), -float("inf")])
def test_a_strength_is_a_number(model: Model, vector: str, strength: float) -> None:
    assert "strength" in refusal(model, VoiceUse(vector, strength))


def test_an_adapter_that_only_llama_cpp_finds_wrong_leaves_the_voice_before_in_force(
    tiny: Path, load: Loader, tmp_path: Path, adapter: str
) -> None:
    model = load(write_tiny_llama(tmp_path / "narrow.gguf", hidden=32))
    fitting = VoiceUse(vector_file(tmp_path / "v.gguf", random_vector(hidden=32)))
    before = logits(model, fitting)
    steering = load(tiny).voices.steering(VoiceUse(adapter=adapter))
    with pytest.raises(EngineError, match=r"adapter\.gguf cannot be used with this model"):
        model.steer(steering)
    np.testing.assert_array_equal(expected_after(model, prompt_of(model, TURNS).tokens), before)
