"""The voice files: exact round trips, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from engine.adapterfile import LowRankEdit, read_low_rank_edit, write_low_rank_edit
from engine.voicefile import ControlVector, Vector, VoiceFileError, read_control_vector, write_control_vector
from tests.engine.helpers import MADE, random_edit, random_vector


def test_a_control_vector_comes_back_as_it_was(tmp_path: Path) -> None:
    path, vector = tmp_path / "voice.gguf", random_vector(layers=(1, 3))
    write_control_vector(path, vector)
    found = read_control_vector(path)
    assert (found.architecture, found.provenance) == ("llama", MADE)
    assert list(found.directions) == [1, 3]
    for layer, direction in vector.directions.items():
        np.testing.assert_array_equal(found.directions[layer], direction)
    flat = found.flat(4).reshape(3, 64)
    np.testing.assert_array_equal(flat[[0, 2]], [vector.directions[1], vector.directions[3]])
    assert not flat[1].any()


def test_an_adapter_comes_back_as_it_was(tmp_path: Path) -> None:
    path, edit = tmp_path / "voice.gguf", random_edit(layers=(0, 2), rank=3)
    write_low_rank_edit(path, edit)
    found = read_low_rank_edit(path)
    assert (found.architecture, found.provenance, found.rank) == ("llama", MADE, 3)
    assert list(found.layers) == [0, 2]
    for layer, matrices in edit.layers.items():
        for one, other in zip(found.layers[layer], matrices, strict=True):
            np.testing.assert_array_equal(one, other)


def test_other_programs_find_what_llama_cpp_specifies(tmp_path: Path) -> None:
    write_control_vector(tmp_path / "v.gguf", random_vector())
    write_low_rank_edit(tmp_path / "a.gguf", random_edit(rank=2))
    vector, adapter = gguf.GGUFReader(tmp_path / "v.gguf"), gguf.GGUFReader(tmp_path / "a.gguf")
    keys = {key: field.contents() for key, field in (vector.fields | adapter.fields).items()}
    assert keys["controlvector.model_hint"] == "llama"
    assert keys["controlvector.layer_count"] == 3
    assert (keys["general.type"], keys["adapter.type"], keys["adapter.lora.alpha"]) == (
        "adapter",
        "lora",
        2.0,
    )
    assert [tensor.name for tensor in vector.tensors] == [f"direction.{n}" for n in (1, 2, 3)]
    shapes = {tensor.name: tuple(reversed(tensor.shape.tolist())) for tensor in adapter.tensors}
    assert shapes["blk.0.ffn_down.weight.lora_a"] == (2, 128)
    assert shapes["blk.0.ffn_down.weight.lora_b"] == (64, 2)


ONES = np.ones(4, dtype=np.float32)


@pytest.mark.parametrize(
    ("directions", "said"),
    [
        ({}, "at least one layer"),
        ({0: ONES}, "layers start at 1"),
        ({1: ONES, 2: ONES[:3]}, "same hidden size"),
        ({1: ONES.reshape(2, 2)}, "a row of numbers"),
        ({1: ONES, 2: ONES * np.float32("nan")}, "finite"),
        ({1: ONES * np.float32("inf")}, "finite"),
    ],
)
def test_what_is_no_control_vector_cannot_be_made(directions: dict[int, Vector], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ControlVector("llama", directions)


A, B = np.ones((2, 8), dtype=np.float32), np.ones((4, 2), dtype=np.float32)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ({}, "at least one layer"),
        ({-1: (A, B)}, "layers start at 0"),
        ({0: (A, B.T)}, "not \\(2, 8\\) and \\(2, 4\\)"),
        ({0: (A[0], B)}, "A is \\(rank, inner\\)"),
        ({0: (A[:0], B[:, :0])}, "there are some"),
        ({0: (A, B * np.float32("nan"))}, "finite"),
        ({0: (A * np.float32("inf"), B)}, "finite"),
        ({0: (A, B), 1: (A[:1], B[:, :1])}, "same rank"),
        ({0: (A, B), 1: (A[:, :7], B)}, "inner size"),
        ({0: (A, B), 1: (A, B[:3])}, "hidden size"),
    ],
)
def test_what_is_no_edit_cannot_be_made(layers: dict[int, tuple[Vector, Vector]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LowRankEdit("llama", layers)


def test_one_kind_of_file_does_not_pass_for_the_other(tmp_path: Path) -> None:
    write_control_vector(tmp_path / "v.gguf", random_vector())
    write_low_rank_edit(tmp_path / "a.gguf", random_edit())
    with pytest.raises(VoiceFileError, match=r"v\.gguf"):
        read_low_rank_edit(tmp_path / "v.gguf")
    with pytest.raises(VoiceFileError, match=r"a\.gguf"):
        read_control_vector(tmp_path / "a.gguf")


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "voice.gguf"
    write_low_rank_edit(path, random_edit())
    before = path.read_bytes()

    def full(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_low_rank_edit(path, random_edit(seed=5))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_without_provenance_comes_back_without(tmp_path: Path) -> None:
    write_control_vector(tmp_path / "v.gguf", replace(random_vector(), provenance=None))
    write_low_rank_edit(tmp_path / "a.gguf", random_edit(provenance=None))
    assert read_control_vector(tmp_path / "v.gguf").provenance is None
    assert read_low_rank_edit(tmp_path / "a.gguf").provenance is None


def test_provenance_comes_back_whatever_is_in_it(tmp_path: Path) -> None:
    made = replace(MADE, voice='Zoë “你好”\n"', strength=2, own=None, others=-1e-9, pairs=0)
    write_low_rank_edit(tmp_path / "a.gguf", random_edit(provenance=made))
    assert read_low_rank_edit(tmp_path / "a.gguf").provenance == made


def test_numbers_of_another_kind_are_written_as_float32(tmp_path: Path) -> None:
    vector = ControlVector("llama", {1: np.arange(8)[::-1]})  # type: ignore[dict-item]
    write_control_vector(tmp_path / "v.gguf", vector)
    found = read_control_vector(tmp_path / "v.gguf").directions[1]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [7, 6, 5, 4, 3, 2, 1, 0])


def test_what_was_read_does_not_change_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "v.gguf"
    write_control_vector(path, random_vector())
    found = read_control_vector(path)
    path.write_bytes(bytes(path.stat().st_size))
    np.testing.assert_array_equal(found.directions[1], random_vector().directions[1])


@pytest.mark.parametrize("module", ["voicefile", "adapterfile"])
def test_nothing_is_written_that_could_not_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(f"engine.{module}._LARGEST_FILE", 1000)
    with pytest.raises(ValueError, match="at most 1000 can be read"):
        if module == "voicefile":
            write_control_vector(tmp_path / "v.gguf", random_vector())
        else:
            write_low_rank_edit(tmp_path / "a.gguf", random_edit())
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_says_its_sizes() -> None:
    edit = random_edit(layers=[0, 3], rank=5)
    assert (edit.rank, edit.inner_size, edit.hidden_size, edit.last_layer) == (5, 128, 64, 3)
