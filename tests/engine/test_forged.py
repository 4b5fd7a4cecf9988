"""Voice files that are broken, forged or something else: named and refused before llama.cpp sees them."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest

from engine.adapterfile import read_low_rank_edit
from engine.native import Adapter, Weights
from engine.voicefile import VoiceFileError, read_control_vector
from tests.engine.forging import ADAPTER, A, B, Write, forged_adapter, refusal
from tests.engine.helpers import Array, edit_file, random_edit, random_vector, vector_file


def forged_vector(path: Path, tensors: Mapping[str, Array]) -> Path:
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def raw(keys: list[bytes], tensors: list[bytes], *, counts: tuple[int, int] | None = None) -> bytes:
    """A GGUF file of these keys and tensors, with the counts it announces."""
    announced = counts or (len(tensors), len(keys))
    return b"GGUF" + struct.pack("<IQQ", 3, *announced) + b"".join([*keys, *tensors])


def string_key(name: str, value: str) -> bytes:
    return text(name) + struct.pack("<I", 8) + text(value)


IS_VECTOR = string_key("general.architecture", "controlvector")
LIST = text("some.list") + struct.pack("<I", 9)


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, place: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, place)


# What other programs write is read too


def test_an_adapter_written_by_another_program_is_read(tmp_path: Path) -> None:
    path = forged_adapter(
        tmp_path / "a.gguf",
        more=_add_what_others_add,
    )
    edit = read_low_rank_edit(path)
    np.testing.assert_array_equal(edit.layers[1][0], A)
    assert (edit.architecture, edit.provenance) == ("llama", None)


def _add_what_others_add(writer: gguf.GGUFWriter) -> None:
    writer.add_name("mine")
    writer.add_array("general.tags", ["a", "b"])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.add_bool("some.flag", True)


def test_a_control_vector_written_by_another_program_is_read(tmp_path: Path) -> None:
    row = np.arange(64, dtype=np.float32)
    path = forged_vector(tmp_path / "v.gguf", {"direction.12": row, "notes": row.reshape(8, 8)})
    vector = read_control_vector(path)
    assert list(vector.directions) == [12]
    np.testing.assert_array_equal(vector.directions[12], row)


# What is no file of this kind


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "gone.gguf")
    assert "is not a file" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "is not a file" in refusal(tmp_path / "pipe.gguf")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF")
        file.truncate(2**40)
    assert "too large" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"GGU", b"Dear friend, it is raining."])
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.gguf"
    path.write_bytes(content)
    assert "not a GGUF file" in refusal(path)


def test_a_model_is_no_voice(tiny: Path) -> None:
    assert "but not an adapter" in refusal(tiny)


# What is broken or forged


@pytest.mark.parametrize("kind", ["vector", "adapter"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cut.gguf"
    if kind == "vector":
        vector_file(path, random_vector(layers=[1], hidden=8))
    else:
        edit_file(path, random_edit(layers=[0], rank=1, inner=4, hidden=8))
    whole = path.read_bytes()
    for length in range(len(whole)):
        if whole[length:].strip(b"\0"):  # what is behind the last number only fills the file up
            path.write_bytes(whole[:length])
            refusal(path)


@pytest.mark.parametrize("kind", ["vector", "adapter"])
def test_no_damage_breaks_the_reader(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "voice.gguf"
    if kind == "vector":
        vector_file(path)
    else:
        edit_file(path, random_edit(rank=1, layers=(0,)))
    read = read_control_vector if kind == "vector" else read_low_rank_edit
    whole = path.read_bytes()
    refused = 0
    for data in damaged(whole, 1500, seed=8):
        path.write_bytes(data)
        try:
            read(path)  # a change that does not matter (a letter of the provenance) may pass
        except VoiceFileError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 300


def damaged(whole: bytes, count: int, seed: int, changes: int = 3) -> list[bytes]:
    """Copies of a voice file with up to ``changes`` bytes in front of its numbers changed; some are cut off too."""
    choose = random.Random(seed)
    header = max(whole.rindex(b"direction" if b"direction" in whole else b"lora_b") + 40, 40)
    copies = []
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(choose.randint(1, changes)):
            place = choose.randrange(header)
            if choose.random() < 0.3:
                data[place : place + 8] = struct.pack("<Q", choose.choice([0, 2**31, 2**63, 2**64 - 1]))
            else:
                data[place] = choose.randrange(256)
        if choose.random() < 0.1 * changes:
            del data[choose.randrange(len(data)) :]
        copies.append(bytes(data))
    return copies


def test_llama_cpp_survives_everything_that_is_let_through(tiny: Path, tmp_path: Path) -> None:
    """In a process of its own, since what it does not survive ends the process."""
    edit_file(tmp_path / "whole.gguf", random_edit(rank=1, layers=(0, 2)))
    whole = (tmp_path / "whole.gguf").read_bytes()
    files = []
    for number, data in enumerate(damaged(whole, 1500, seed=9, changes=1)):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(data)
        try:
            read_low_rank_edit(path)
        except VoiceFileError:
            path.unlink()
        else:
            files.append(str(path))
    assert len(files) > 40
    for number, write in enumerate(
        (
            lambda writer: writer.add_uint32("adapter.alora.invocation_tokens", 1),
            lambda writer: writer.add_array("adapter.alora.invocation_tokens", ["a"]),
            lambda writer: writer.add_uint32("general.name", 7),
            lambda writer: writer.add_array("general.name", [0.5]),
        )
    ):
        path = forged_adapter(tmp_path / f"key-{number}.gguf", more=write)
        read_low_rank_edit(path)
        files.append(str(path))
    script = """
        import sys
        from pathlib import Path
        from engine.errors import EngineError
        from engine.native import Adapter, Weights

        weights = Weights(Path(sys.argv[1]))
        for path in sys.stdin.read().split():
            try:
                Adapter(weights, Path(path)).close()
            except EngineError as error:
                assert path in str(error)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tiny)],
        input="\n".join(files),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (raw([], [], counts=(2**60, 0)), "announces"),
        (raw([], [], counts=(0, 2**60)), "announces"),
        (raw([], [], counts=(9_999, 9_999)), "cut off"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version"),
        (raw([text("k") + struct.pack("<I", 77)], []), "unknown type 77"),
        (raw([IS_VECTOR, IS_VECTOR], []), "twice"),
        (raw([IS_VECTOR, LIST + struct.pack("<IQ", 0, 2**60)], []), "cut off"),
        (raw([IS_VECTOR, LIST + struct.pack("<IQ", 8, 2**60)], []), "cut off"),
        (raw([IS_VECTOR, LIST + struct.pack("<IQ", 9, 2)], []), "unknown type 9"),
        (raw([text("general.alignment") + struct.pack("<II", 4, 64)], []), "not where"),
        (raw([struct.pack("<Q", 2**63) + b"k"], []), "cut off"),
        (raw([struct.pack("<Q", 1) + b"\xff" + struct.pack("<I", 8) + text("a")], []), "decode"),
    ],
)
def test_a_forged_header_is_refused_for_what_is_wrong_with_it(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "forged.gguf"
    path.write_bytes(data)
    assert said in refusal(path)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ([tensor("direction.1", (8,)), tensor("direction.1", (8,))], "twice"),
        ([tensor("direction.1", (0,))], "empty"),
        ([tensor("direction.1", (2**40,))], "cut off"),
        ([tensor("direction.1", (2**62, 4, 2**62))], "cut off"),
        ([tensor("direction.1", (8,), place=64)], "cut off"),
        ([tensor("direction.1", (8,), place=2**64 - 32)], "cut off"),
        ([tensor(f"direction.{n}", (16,)) for n in range(1, 9)], "cut off"),
        ([tensor("direction.1", ())], "0 dimensions"),
        ([tensor("direction.1", (1, 1, 1, 1, 8))], "5 dimensions"),
        ([tensor("direction.1", (8,), kind=1)], "not of float32"),
        ([tensor("direction.1", (8,), kind=99)], "not of float32"),
        ([tensor("direction.1", (4, 2))], "row of numbers"),
        ([tensor("direction.0", (8,))], "block called '0'"),
        ([tensor("direction.-1", (8,))], "block called '-1'"),
        ([tensor("direction.01", (8,))], "block called '01'"),
        ([tensor("direction.99999", (8,))], "block called '99999'"),
        ([tensor("direction.", (8,))], "block called ''"),
        ([tensor("direction.1", (8,)), tensor("direction.2", (4,))], "same hidden size"),
        ([tensor("elsewhere", (8,))], "at least one layer"),
        ([], "at least one layer"),
    ],
)
def test_directions_that_are_none_are_refused(tmp_path: Path, tensors: list[bytes], said: str) -> None:
    path = tmp_path / "forged.gguf"
    header = raw([IS_VECTOR], tensors)
    path.write_bytes(header + bytes(-len(header) % 32) + bytes(64))
    with pytest.raises(VoiceFileError) as caught:
        read_control_vector(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "voice.gguf"
    for file in (vector_file, edit_file):
        file(path)
        data = bytearray(path.read_bytes())
        data[-4:] = struct.pack("<f", value)
        path.write_bytes(data)
        with pytest.raises(VoiceFileError, match="not finite"):
            (read_control_vector if file is vector_file else read_low_rank_edit)(path)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"blk.1.ffn_down.weight.lora_a": A}, "A or B of a block is missing"),
        ({"blk.1.ffn_down.weight.lora_b": B}, "A or B of a block is missing"),
        ({**ADAPTER, "blk.2.ffn_down.weight.lora_a": A}, "A or B of a block is missing"),
        ({**ADAPTER, "blk.1.ffn_up.weight.lora_a": A}, "blk.1.ffn_up.weight.lora_a"),
        ({**ADAPTER, "output_norm.weight": A[0]}, "output_norm.weight"),
        ({"blk.01.ffn_down.weight.lora_a": A, "blk.01.ffn_down.weight.lora_b": B}, "blk.01"),
        ({"blk.1.ffn_down.weight.lora_a": A, "blk.1.ffn_down.weight.lora_b": B.T}, "(hidden, rank)"),
        ({"blk.1.ffn_down.weight.lora_a": A[:1], "blk.1.ffn_down.weight.lora_b": B}, "(hidden, rank)"),
        ({"blk.1.ffn_down.weight.lora_a": A[0], "blk.1.ffn_down.weight.lora_b": B}, "(hidden, rank)"),
        ({}, "at least one layer"),
    ],
)
def test_tensors_that_are_no_edit_are_refused(tmp_path: Path, tensors: dict[str, Array], said: str) -> None:
    assert said in refusal(forged_adapter(tmp_path / "adapter.gguf", tensors))


@pytest.mark.parametrize(
    ("write", "said"),
    [
        ({"kind": lambda writer: writer.add_type("model")}, "not an adapter"),
        ({"kind": lambda writer: writer.add_uint32("general.type", 1)}, "not an adapter"),
        ({"kind": lambda writer: None}, "not an adapter"),
        ({"lora": lambda writer: writer.add_string("adapter.type", "other")}, "not an adapter"),
        ({"lora": lambda writer: writer.add_bool("adapter.type", True)}, "not an adapter"),
        ({"alpha": lambda writer: writer.add_float32("adapter.lora.alpha", 16.0)}, "not its rank, 2"),
        ({"alpha": lambda writer: writer.add_float64("adapter.lora.alpha", 2.0)}, "not its rank, 2"),
        ({"alpha": lambda writer: writer.add_string("adapter.lora.alpha", "2")}, "not its rank, 2"),
        ({"alpha": lambda writer: None}, "not its rank, 2"),
    ],
)
def test_keys_that_llama_cpp_would_take_otherwise_are_refused(
    tmp_path: Path, write: dict[str, Write], said: str
) -> None:
    assert said in refusal(forged_adapter(tmp_path / "adapter.gguf", **write))  # type: ignore[arg-type]


def test_an_adapter_has_to_say_for_which_kind_of_model_it_is(tmp_path: Path) -> None:
    path = forged_adapter(tmp_path / "adapter.gguf", architecture="llama")
    name = text("general.architecture")
    forged = path.read_bytes().replace(name, text("general.architectura"))
    path.write_bytes(forged)
    assert "which kind of model" in refusal(path)


def test_an_adapter_is_closed_once_and_may_outlive_the_weights(tiny: Path, tmp_path: Path) -> None:
    path = Path(edit_file(tmp_path / "adapter.gguf", random_edit()))
    weights = Weights(tiny)
    first, second = Adapter(weights, path), Adapter(weights, path)
    first.close()
    first.close()
    weights.close()
    second.close()
