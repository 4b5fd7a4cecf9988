"""A voice on a model: what it does to the hidden states, which files are let through, and that 0 is nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.adapterfile import write_low_rank_edit
from engine.batch import answer_many
from engine.errors import EngineError
from engine.messages import Sampling, VoiceUse
from engine.model import Model
from engine.voice import PLAIN
from engine.voicefile import write_control_vector
from tests.engine.conftest import Loader
from tests.engine.helpers import (
    MADE,
    SYSTEM,
    ask,
    expected_after,
    last_hidden,
    prompt_of,
    random_edit,
    random_vector,
    tensor_of,
    user,
    with_tensors_changed,
)
from tests.tiny_models import write_tiny_llama

TOKENS = list(range(40, 60))
WARM = Sampling(temperature=1.0, max_tokens=24, seed=3)


@pytest.fixture
def vector_file(tmp_path: Path) -> Path:
    path = tmp_path / "control-vector.gguf"
    write_control_vector(path, random_vector())
    return path


@pytest.fixture
def adapter_file(tmp_path: Path) -> Path:
    path = tmp_path / "adapter.gguf"
    write_low_rank_edit(path, random_edit())
    return path


def steered(model: Model, **use: object) -> np.ndarray:
    model.steer(model.voices.steering(VoiceUse(**use)))  # type: ignore[arg-type]
    return expected_after(model, TOKENS)


def test_a_vector_on_the_last_block_is_added_to_its_output(model: Model, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "last.gguf"
    vector = random_vector(layers=[3])
    write_control_vector(path, vector)
    output = tensor_of(tiny, "output.weight")
    plain = last_hidden(expected_after(model, TOKENS), output)
    for strength in (0.5, 1.0, 2.0):
        moved = last_hidden(steered(model, control_vector=str(path), strength=strength), output)
        np.testing.assert_allclose(moved - plain, strength * vector.directions[3], atol=2e-3)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_an_adapter_is_the_same_as_its_product_added_to_the_matrices(
    model: Model, tiny: Path, tmp_path: Path, load: Loader, adapter_file: Path, strength: float
) -> None:
    edit = random_edit()
    changes = {
        f"blk.{n}.ffn_down.weight": np.float32(strength) * (b @ a) for n, (a, b) in edit.layers.items()
    }
    merged = load(with_tensors_changed(tiny, tmp_path / "merged.gguf", changes))
    plain = expected_after(model, TOKENS)
    edited = steered(model, adapter=str(adapter_file), strength=strength)
    np.testing.assert_allclose(edited, expected_after(merged, TOKENS), atol=2e-3)
    assert np.abs(edited - plain).max() > 0.05


def test_vector_and_adapter_work_together(
    model: Model, tiny: Path, tmp_path: Path, load: Loader, vector_file: Path, adapter_file: Path
) -> None:
    both = steered(model, control_vector=str(vector_file), adapter=str(adapter_file))
    changes = {f"blk.{n}.ffn_down.weight": b @ a for n, (a, b) in random_edit().layers.items()}
    merged = load(with_tensors_changed(tiny, tmp_path / "merged.gguf", changes))
    np.testing.assert_allclose(both, steered(merged, control_vector=str(vector_file)), atol=2e-3)
    for one in ({"control_vector": str(vector_file)}, {"adapter": str(adapter_file)}):
        assert np.abs(both - steered(model, **one)).max() > 0.01


def test_strength_0_is_the_plain_model_bit_by_bit(
    model: Model, vector_file: Path, adapter_file: Path
) -> None:
    voice = VoiceUse(str(vector_file), adapter=str(adapter_file))
    plain_logits, plain_text = expected_after(model, TOKENS), ask(model, sampling=WARM)
    assert model.voices.steering(replace(voice, strength=0.0)) is PLAIN
    assert model.voices.steering(None) is PLAIN
    model.steer(model.voices.steering(voice))
    assert not np.array_equal(expected_after(model, TOKENS), plain_logits)
    model.steer(model.voices.steering(replace(voice, strength=0.0)))
    np.testing.assert_array_equal(expected_after(model, TOKENS), plain_logits)
    assert ask(model, sampling=WARM) == plain_text


def test_another_strength_forgets_what_was_computed_under_the_last(model: Model, vector_file: Path) -> None:
    turns = [SYSTEM, user("Write to my friend.")]
    texts: dict[float, str] = {}
    for strength in (2.0, 1.0, 2.0, 1.0):
        model.steer(model.voices.steering(VoiceUse(str(vector_file), strength)))
        text = "".join(model.answer(prompt_of(model, turns), WARM))
        assert texts.setdefault(strength, text) == text
    assert texts[1.0] != texts[2.0]


def test_a_file_that_changed_is_read_again(model: Model, vector_file: Path) -> None:
    before = steered(model, control_vector=str(vector_file))
    write_control_vector(vector_file, random_vector(seed=9))
    assert not np.array_equal(steered(model, control_vector=str(vector_file)), before)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (replace(MADE, model_name="Big Phi", model_sha256="ab"), "made for the model Big Phi"),
        (replace(MADE, model_sha256="ab"), "another file of Tiny Llama"),
    ],
)
def test_a_voice_made_for_another_model_is_refused_by_name(
    model: Model, tmp_path: Path, made: object, said: str
) -> None:
    vector, adapter = tmp_path / "v.gguf", tmp_path / "a.gguf"
    write_control_vector(vector, replace(random_vector(), provenance=made))  # type: ignore[arg-type]
    write_low_rank_edit(adapter, random_edit(provenance=made))  # type: ignore[arg-type]
    for use in (VoiceUse(str(vector)), VoiceUse(adapter=str(adapter))):
        with pytest.raises(EngineError, match=said) as error:
            model.voices.steering(use)
        assert "“mine”" in str(error.value)


def test_a_voice_of_another_shape_is_refused(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    for edit, said in (
        (random_edit(hidden=32), "hidden size 32"),
        (random_edit(inner=64), "width 64"),
        (random_edit(layers=[7]), "more than 7 blocks"),
        (random_edit(architecture="phi3"), "phi3"),
    ):
        write_low_rank_edit(path, edit)
        with pytest.raises(EngineError, match=said):
            model.voices.steering(VoiceUse(adapter=str(path)))
    write_control_vector(path, random_vector(hidden=32))
    with pytest.raises(EngineError, match="hidden size 32"):
        model.voices.steering(VoiceUse(str(path)))


def test_a_missing_or_damaged_voice_is_named_and_changes_nothing(
    model: Model, tmp_path: Path, adapter_file: Path
) -> None:
    before = expected_after(model, TOKENS)
    (tmp_path / "cut.gguf").write_bytes(adapter_file.read_bytes()[:-500])
    (tmp_path / "letter.gguf").write_text("Dear friend")
    for name in ("gone.gguf", "cut.gguf", "letter.gguf"):
        for use in (VoiceUse(str(tmp_path / name)), VoiceUse(adapter=str(tmp_path / name))):
            with pytest.raises(EngineError, match=name.replace(".", r"\.")):
                model.steer(model.voices.steering(use))
    with pytest.raises(EngineError, match="strength nan"):
        model.voices.steering(VoiceUse(str(adapter_file), float("nan")))
    np.testing.assert_array_equal(expected_after(model, TOKENS), before)


def test_many_answers_at_once_are_those_of_each_alone_in_a_voice_too(
    model: Model, vector_file: Path, adapter_file: Path
) -> None:
    prompts = [[SYSTEM, user(text)] for text in ("Write.", "The rain in my garden", "Dear friend", "How?")]

    def answers(which: list[int], parallel: int, strength: float) -> dict[int, str]:
        found: dict[int, str] = {}
        use = VoiceUse(str(vector_file), strength, str(adapter_file))
        answer_many(
            model,
            [prompts[index] for index in which],
            Sampling(temperature=1.0, max_tokens=16),
            5,
            lambda number, text: found.update({which[number]: text}),
            lambda: False,
            parallel,
            model.voices.steering(use),
        )
        return found

    voice = answers([0, 1, 2, 3], 4, 1.0)
    assert answers([0, 1, 2, 3], 2, 1.0) == voice
    assert answers([0], 8, 1.0)[0] == voice[0]
    plain = answers([0, 1, 2, 3], 4, 0.0)
    assert plain != voice
    assert answers([0, 1, 2, 3], 1, 0.0) == plain


def test_many_answers_stop_when_asked(model: Model) -> None:
    done: list[int] = []
    answer_many(
        model,
        [[SYSTEM, user("Write.")]] * 6,
        Sampling(max_tokens=8),
        1,
        lambda number, text: done.append(number),
        lambda: len(done) >= 1,
        parallel=1,
    )
    assert len(done) == 1


def test_a_model_of_another_size_takes_its_own_voice(tmp_path: Path, load: Loader) -> None:
    wide = load(write_tiny_llama(tmp_path / "wide.gguf", hidden=128, layers=3))
    path = tmp_path / "wide-voice.gguf"
    write_control_vector(path, random_vector(hidden=128, layers=(1, 2)))
    plain = expected_after(wide, TOKENS)
    assert np.abs(steered(wide, control_vector=str(path)) - plain).max() > 0.01
