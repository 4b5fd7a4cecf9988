"""The voice files: exact round trips, and what a broken or forged one comes to."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from engine.adapterfile import LowRankEdit, read_low_rank_edit, write_low_rank_edit
from engine.voicefile import (
    ControlVector,
    VoiceFileError,
    read_control_vector,
    write_control_vector,
)
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


def test_what_is_no_edit_cannot_be_made() -> None:
    good = np.ones((2, 8), dtype=np.float32), np.ones((4, 2), dtype=np.float32)
    for layers in (
        {},
        {-1: good},
        {0: (good[0], np.ones((4, 3), dtype=np.float32))},
        {0: (good[0] * np.float32("nan"), good[1])},
        {0: good, 1: (np.ones((3, 8), dtype=np.float32), np.ones((4, 3), dtype=np.float32))},
    ):
        with pytest.raises(ValueError, match=r"."):
            LowRankEdit("llama", layers)
    for directions in ({}, {0: np.ones(4, dtype=np.float32)}):
        with pytest.raises(ValueError, match=r"."):
            ControlVector("llama", directions)


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


@pytest.mark.parametrize("kind", ["vector", "adapter"])
def test_no_broken_file_gets_through_or_breaks_the_reader(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "voice.gguf"
    if kind == "vector":
        write_control_vector(path, random_vector())
    else:
        write_low_rank_edit(path, random_edit(rank=1, layers=(0,)))
    read = read_control_vector if kind == "vector" else read_low_rank_edit
    whole = path.read_bytes()
    choose = random.Random(8)
    header = whole.index(b"idiolect.provenance") + 400
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(choose.randint(1, 3)):
            place = choose.randrange(header)
            if choose.random() < 0.3:
                data[place : place + 8] = struct.pack("<Q", choose.choice([0, 2**31, 2**63, 2**64 - 1]))
            else:
                data[place] = choose.randrange(256)
        if choose.random() < 0.3:
            del data[choose.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            read(path)  # a change that does not matter (a letter of the provenance) may pass
        except VoiceFileError as error:
            assert str(path) in str(error)


def test_a_file_with_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "voice.gguf"
    write_control_vector(path, random_vector())
    data = bytearray(path.read_bytes())
    data[-4:] = struct.pack("<f", float("inf"))
    path.write_bytes(data)
    with pytest.raises(VoiceFileError, match=r"voice\.gguf"):
        read_control_vector(path)
