"""A voice as other programs get it: what is in the files, and that they are there whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from engine.adapterfile import LowRankEdit, read_low_rank_edit, write_low_rank_edit
from engine.messages import Sampling
from engine.sharing import (
    EngineError,
    Parcel,
    SharedFile,
    SharedVoice,
    SharingError,
    as_gguf,
    as_ollama,
    as_peft,
    read_voice,
    write,
)
from engine.voicefile import ControlVector, write_control_vector
from tests.engine.helpers import MADE, random_edit, random_vector

SYSTEM = "You are kind.\nWrite what is asked for."
MODEL = Path("/models/tiny model.gguf")
SHA = "5f" * 32


def voice_in(
    folder: Path,
    vector: ControlVector | None = None,
    edit: LowRankEdit | None = None,
    name: str = "mine",
) -> SharedVoice:
    files: dict[str, Path] = {}
    if vector is not None:
        files["control_vector"] = folder / "v.gguf"
        write_control_vector(files["control_vector"], vector)
    if edit is not None:
        files["adapter"] = folder / "a.gguf"
        write_low_rank_edit(files["adapter"], edit)
    return read_voice(name, files)


@pytest.fixture
def voice(tmp_path: Path) -> SharedVoice:
    made = replace(MADE, model_sha256=SHA)
    return voice_in(
        tmp_path, replace(random_vector(layers=(1, 3)), provenance=made), random_edit(layers=(0, 1), rank=2)
    )


def content(parcel: Parcel, kind: str) -> bytes:
    (found,) = [file.content for file in parcel.files if file.kind == kind]
    return found


def names(parcel: Parcel) -> list[str]:
    return [file.name for file in parcel.files]


def test_llama_cpp_gets_the_files_as_they_are_and_how_to_load_them(voice: SharedVoice) -> None:
    parcel = as_gguf(voice, SYSTEM, 0.75)
    assert names(parcel) == ["adapter.gguf", "control-vector.gguf", "README.txt"]
    assert content(parcel, "adapter") == voice.files["adapter"].read_bytes()
    assert content(parcel, "control_vector") == voice.files["control_vector"].read_bytes()
    readme = content(parcel, "readme").decode()
    for told in (
        "--lora-scaled adapter.gguf:0.75 --control-vector-scaled control-vector.gguf:0.75",
        "Tiny Llama (llama)",
        SHA,
        "1.25 is recommended",  # what the file says
        "    Write what is asked for.",
    ):
        assert told in readme


def test_llama_cpp_is_told_of_the_files_that_there_are(tmp_path: Path) -> None:
    lone = as_gguf(voice_in(tmp_path, vector=random_vector()), SYSTEM)
    assert names(lone) == ["control-vector.gguf", "README.txt"]
    assert "lora" not in content(lone, "readme").decode()


def test_a_lora_of_peft_holds_the_edit_and_the_vector_as_its_bias(voice: SharedVoice) -> None:
    assert voice.edit is not None
    assert voice.vector is not None
    parcel = as_peft(voice, SYSTEM, 0.5)
    assert names(parcel) == ["adapter_model.safetensors", "adapter_config.json", "README.md"]
    weights = load(content(parcel, "weights"))
    assert len(weights) == 3 * 3

    def found(layer: int, part: str) -> np.ndarray:
        return weights[f"base_model.model.model.layers.{layer}.mlp.down_proj.{part}"]

    for layer in (0, 1):
        a, b = voice.edit.layers[layer]
        np.testing.assert_array_equal(found(layer, "lora_A.weight"), a)
        np.testing.assert_array_equal(found(layer, "lora_B.weight"), b * np.float32(0.5))
    for layer in (1, 3):
        half = voice.vector.directions[layer] * np.float32(0.5)
        np.testing.assert_array_equal(found(layer, "lora_B.bias"), half)
    assert not found(0, "lora_B.bias").any()
    assert found(3, "lora_A.weight").shape == (2, 128)
    assert found(3, "lora_B.weight").shape == (64, 2)
    assert not found(3, "lora_A.weight").any()
    config = json.loads(content(parcel, "config"))
    assert (config["r"], config["lora_alpha"], config["lora_bias"]) == (2, 2, True)
    assert (config["target_modules"], config["layers_to_transform"]) == (["down_proj"], [0, 1, 3])
    assert (config["task_type"], config["base_model_name_or_path"]) == ("CAUSAL_LM", "Tiny Llama")
    readme = content(parcel, "readme").decode()
    for told in ("vLLM", "--without-vector", "lora_bias", "at strength 0.5", SHA, "    You are kind."):
        assert told in readme
    assert [note for note in parcel.notes if "vLLM" in note]


def test_a_lora_without_the_vector_is_an_ordinary_one(voice: SharedVoice) -> None:
    parcel = as_peft(voice, SYSTEM, with_vector=False)
    weights = load(content(parcel, "weights"))
    assert {name.rpartition("down_proj.")[2] for name in weights} == {"lora_A.weight", "lora_B.weight"}
    config = json.loads(content(parcel, "config"))
    assert (config["lora_bias"], config["layers_to_transform"]) == (False, [0, 1])
    assert "left out" in parcel.notes[0]
    assert "left out" in content(parcel, "readme").decode()


def test_a_voice_without_a_vector_needs_no_warning(tmp_path: Path) -> None:
    parcel = as_peft(voice_in(tmp_path, edit=random_edit()), SYSTEM)
    assert parcel.notes == ()
    assert json.loads(content(parcel, "config"))["lora_bias"] is False


def test_what_cannot_be_a_lora_is_refused_with_a_way_out(tmp_path: Path) -> None:
    lone = voice_in(tmp_path, vector=random_vector())
    with pytest.raises(SharingError, match=r"no low-rank part.*gguf"):
        as_peft(lone, SYSTEM)
    with pytest.raises(SharingError, match=r"Ollama does not know.*gguf"):
        as_ollama(lone, SYSTEM, MODEL, Sampling())
    normalising = replace(random_vector(), architecture="gemma2")
    both = voice_in(tmp_path, normalising, random_edit(architecture="gemma2"))
    with pytest.raises(SharingError, match=r"gemma2.*--without-vector"):
        as_peft(both, SYSTEM)
    assert as_peft(both, SYSTEM, with_vector=False).files


def instructions(modelfile: str) -> list[str]:
    """The lines of a Modelfile that are no comments."""
    return [line for line in modelfile.splitlines() if not line.startswith("#")]


def test_ollama_gets_the_adapter_and_is_told_the_rest(voice: SharedVoice) -> None:
    sampling = Sampling(temperature=0.6, top_k=30)
    parcel = as_ollama(voice, SYSTEM, MODEL, sampling)
    assert names(parcel) == ["Modelfile", "adapter.gguf"]
    assert content(parcel, "adapter") == voice.files["adapter"].read_bytes()
    modelfile = content(parcel, "modelfile").decode()
    assert instructions(modelfile) == [
        "FROM /models/tiny model.gguf",
        "ADAPTER ./adapter.gguf",
        'SYSTEM """You are kind.',
        'Write what is asked for."""',
        "PARAMETER temperature 0.6",
        "PARAMETER top_p 0.9",
        "PARAMETER top_k 30",
        "PARAMETER min_p 0.05",
        "PARAMETER repeat_penalty 1.1",
        "PARAMETER num_predict 400",
    ]
    for note in parcel.notes:
        assert f"# {note}\n" in modelfile
    assert "control vector" in parcel.notes[0]
    assert "0.34.1" in parcel.notes[1]


def test_ollama_cannot_scale_so_the_strength_is_in_the_file(voice: SharedVoice, tmp_path: Path) -> None:
    assert voice.edit is not None
    parcel = as_ollama(voice, SYSTEM, MODEL, Sampling(), strength=0.5)
    (tmp_path / "half.gguf").write_bytes(content(parcel, "adapter"))
    half = read_low_rank_edit(tmp_path / "half.gguf")
    for layer, (a, b) in voice.edit.layers.items():
        np.testing.assert_array_equal(half.layers[layer][0], a)
        np.testing.assert_array_equal(half.layers[layer][1], b * np.float32(0.5))
    assert "at strength 0.5" in content(parcel, "modelfile").decode()


def test_a_name_cannot_become_an_instruction(tmp_path: Path) -> None:
    made = replace(MADE, model_name="Tiny\nADAPTER ./evil.gguf\r\nSYSTEM evil", model_sha256="a\nSYSTEM b")
    voice = voice_in(tmp_path, edit=random_edit(provenance=made), name="my\nSYSTEM voice")
    lines = instructions(content(as_ollama(voice, SYSTEM, MODEL, Sampling()), "modelfile").decode())
    assert [line for line in lines if "evil" in line or line in ("SYSTEM voice", "SYSTEM b")] == []
    config = json.loads(content(as_peft(voice, SYSTEM), "config"))
    assert config["base_model_name_or_path"] == "Tiny ADAPTER ./evil.gguf SYSTEM evil"
    with pytest.raises(SharingError, match="cannot be told of a path"):
        as_ollama(voice, SYSTEM, Path("/models/a\nSYSTEM b.gguf"), Sampling())


def test_a_file_that_does_not_say_for_what_it_was_made_is_shared_too(tmp_path: Path) -> None:
    voice = voice_in(
        tmp_path, replace(random_vector(), provenance=None), replace(random_edit(), provenance=None)
    )
    assert "a model of the kind llama" in content(as_gguf(voice, SYSTEM), "readme").decode()
    assert json.loads(content(as_peft(voice, SYSTEM), "config"))["base_model_name_or_path"] is None


def test_files_that_are_no_voice_or_not_of_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(SharingError, match="'mine' has no file"):
        read_voice("mine", {})
    with pytest.raises(SharingError, match=r"v\.gguf and .*a\.gguf were made for different models"):
        voice_in(tmp_path, random_vector(hidden=32), random_edit())
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    with pytest.raises(EngineError, match=r"a\.gguf is damaged|file .*a\.gguf"):
        read_voice("mine", {"adapter": tmp_path / "a.gguf"})


FILES = (SharedFile("one", "one.txt", b"first"), SharedFile("two", "two.bin", bytes(range(256))))


def test_files_are_written_whole_into_a_folder_that_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    assert write(folder, FILES) == {"one": folder / "one.txt", "two": folder / "two.bin"}
    assert write(folder, FILES)["two"].read_bytes() == bytes(range(256))
    assert sorted(path.name for path in folder.iterdir()) == ["one.txt", "two.bin"]


def test_a_failed_write_names_the_file_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.txt").write_bytes(b"before")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("engine.sharing.os.fsync", full)
        with pytest.raises(SharingError, match=r"one\.txt cannot be written: No space left"):
            write(tmp_path, FILES)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("one.txt", b"before")]
    with pytest.raises(SharingError, match=r"one\.txt cannot be written"):
        write(tmp_path / "one.txt", FILES)
