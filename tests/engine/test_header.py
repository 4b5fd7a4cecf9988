"""The rules for model files, one by one: what breaks one is refused for it, and nothing else is."""

from __future__ import annotations

import ctypes
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from llama_cpp._ggml import libggml

from app.models import catalogue
from engine.errors import EngineError
from engine.header import NOT_WEIGHTS, check_model_file
from tests.engine.model_files import Kind, ModelFile, Tensor, numbers, text, texts, uint32
from tests.tiny_architectures import SHAPES, write_tiny

TOKENS = "tokenizer.ggml.tokens"
Forge = Callable[[ModelFile], None]


@pytest.fixture
def sound(tiny: Path) -> ModelFile:
    """A model to forge."""
    return ModelFile.of(tiny)


def refusal(path: Path) -> str:
    """What is said to ``path``; it names the file and what to do."""
    with pytest.raises(EngineError) as caught:
        check_model_file(path)
    said = str(caught.value)
    assert str(path) in said
    assert "hoose another model" in said
    return said


def key(name: str, value: bytes) -> Forge:
    return lambda model: model.set(name, value)


def announced(tensors: int | None = None, pairs: int | None = None) -> Forge:
    def forge(model: ModelFile) -> None:
        model.tensor_count, model.pair_count = tensors, pairs

    return forge


def twice(model: ModelFile) -> None:
    model.pairs.append(model.pairs[3])


def aligned(alignment: int) -> Forge:
    def forge(model: ModelFile) -> None:
        model.alignment = alignment
        model.set("general.alignment", uint32(alignment))

    return forge


def tensor(
    *,
    name: bytes | None = None,
    shape: list[int] | None = None,
    kind: int | None = None,
    offset: int | None = None,
) -> Forge:
    """Another name, shape, … for the query matrix of the first block, which is 64 × 64 numbers of four bytes."""

    def forge(model: ModelFile) -> None:
        (query,) = [each for each in model.tensors if each.name == b"blk.0.attn_q.weight"]
        query.name = query.name if name is None else name
        query.shape = query.shape if shape is None else shape
        query.kind = query.kind if kind is None else kind
        query.offset = offset

    return forge


def norm(kind: int) -> Forge:
    """Another type for the numbers of a tensor of one dimension."""

    def forge(model: ModelFile) -> None:
        (found,) = [each for each in model.tensors if each.name == b"output_norm.weight"]
        found.kind = kind

    return forge


def without(count: int, name: str) -> Forge:
    """The list ``name`` of four-byte numbers without the last ``count``."""

    def forge(model: ModelFile) -> None:
        kind, length = struct.unpack_from("<IQ", model.get(name), 4)
        model.set(name, struct.pack("<IIQ", 9, kind, length - count) + model.get(name)[16 : -4 * count])

    return forge


def renamed_tokens(*names: tuple[bytes, bytes]) -> Forge:
    def forge(model: ModelFile) -> None:
        for pair in names:
            before, after = (struct.pack("<Q", len(each)) + each for each in pair)
            assert before in model.get(TOKENS)
            model.set(TOKENS, model.get(TOKENS).replace(before, after))

    return forge


def many_settings(model: ModelFile) -> None:
    model.pairs += [(b"setting.%d" % number, uint32(1)) for number in range(10_000)]


def many_tensors(model: ModelFile) -> None:
    model.tensors += [Tensor(b"tensor.%d" % number, [1], Kind.F32) for number in range(100_000)]


def experts(count: int, used: int, groups: int = 0, groups_used: int = 0) -> Forge:
    def forge(model: ModelFile) -> None:
        model.set("llama.expert_count", uint32(count))
        model.set("llama.expert_used_count", uint32(used))
        model.set("llama.expert_group_count", uint32(groups))
        model.set("llama.expert_group_used_count", uint32(groups_used))

    return forge


REFUSED: list[tuple[Forge, str]] = [
    (announced(tensors=2**63), "announces 9223372036854775808 tensors"),
    (announced(pairs=2**64 - 1), "announces 39 tensors and 18446744073709551615 settings"),
    (announced(pairs=200), "damaged"),
    (announced(tensors=200), "damaged"),
    (many_settings, "settings, more than any model has"),
    (many_tensors, "settings, more than any model has"),
    (twice, "is in it twice"),
    (key("k" * 65_536, uint32(1)), "a name has 65536 letters"),
    (key("", uint32(1)), "a name has 0 letters"),
    (key("general.alignment\0", uint32(8)), "not in plain letters"),
    (key("größe", uint32(8)), "not in plain letters"),
    (key("x", struct.pack("<I", 13) + bytes(64)), "value is of the unknown type 13"),
    (key("x", struct.pack("<IIQ", 9, 13, 1) + bytes(64)), "list is of the unknown type 13"),
    (key("x", struct.pack("<IIQIQ", 9, 9, 1, 4, 0)), "list is of the unknown type 9"),
    (key("x", struct.pack("<IQ", 8, 2**63)), "cut off"),
    (key("x", struct.pack("<IQ", 8, 2**40)), "cut off"),
    (key("x", struct.pack("<IIQ", 9, 8, 2**61)), "cut off"),
    (key("x", struct.pack("<IIQ", 9, 8, 20_000)), "cut off"),
    (key("x", struct.pack("<IIQQ", 9, 8, 2, 2**64 - 8)), "cut off"),
    (key("x", struct.pack("<IIQ", 9, 10, 2**61)), "cut off"),
    (key("general.alignment", uint32(0)), "general.alignment is 0"),
    (key("general.alignment", uint32(48)), "general.alignment is 48"),
    (key("general.alignment", uint32(2**31)), "general.alignment is 2147483648"),
    (key("general.alignment", numbers([32])), "general.alignment is a list"),
    (aligned(8), "general.alignment is 8"),
    (aligned(2**21), "general.alignment is 2097152"),
    (tensor(name=b"blk.1.attn_q.weight"), "blk.1.attn_q.weight is in it twice"),
    (tensor(name=b"n" * 64), "a name has 64 letters"),
    (tensor(name=b""), "a name has 0 letters"),
    (tensor(name=b"blk.0.attn_q.weight\0"), "not in plain letters"),
    (tensor(shape=[]), "has 0 dimensions"),
    (tensor(shape=[64, 64, 1, 1, 1]), "has 5 dimensions"),
    (tensor(shape=[64, 0]), "has the shape [64, 0]"),
    (tensor(shape=[2**62, 4]), "has the shape"),
    (tensor(shape=[2**32, 2**32, 2**32, 2**32]), "has the shape"),
    (tensor(shape=[64, 2**40]), "cut off"),
    (
        tensor(shape=[64, 2**56 - 64]),
        "does not follow",
    ),  # the next is where 64 bits say, 16 kB in front of it
    (tensor(kind=4_000), "newer than this program"),
    (tensor(kind=4), "newer than this program"),
    (tensor(kind=Kind.I32), "in the format I32"),
    (tensor(kind=Kind.Q8_1), "in the format Q8_1"),
    (norm(Kind.F16), "in the format F16"),
    (tensor(shape=[33, 64], kind=Kind.Q4_0), "rows of 33, which is no multiple of 32"),
    (tensor(shape=[64, 64], kind=Kind.Q4_K), "rows of 64, which is no multiple of 256"),
    (tensor(offset=0), "does not follow"),
    (tensor(offset=16), "does not follow"),
    (tensor(offset=2**64 - 32), "does not follow"),
    (key("general.architecture", uint32(1)), "general.architecture is no text"),
    (key("llama.block_count", uint32(0)), "llama.block_count is 0"),
    (key("llama.block_count", uint32(513)), "llama.block_count is 513"),
    (key("llama.block_count", text("4")), "llama.block_count is no whole number"),
    (key("llama.context_length", uint32(0)), "llama.context_length is 0"),
    (key("llama.context_length", uint32(2**31)), "llama.context_length is 2147483648"),
    (key("llama.embedding_length", uint32(2**32 - 1)), "llama.embedding_length is 4294967295"),
    (key("llama.feed_forward_length", numbers([128, 2**31, 128, 128])), "feed_forward_length is 2147483648"),
    (key("llama.feed_forward_length", numbers([128] * 513)), "feed_forward_length is a list of 513"),
    (key("llama.attention.head_count", uint32(2**31)), "llama.attention.head_count is 2147483648"),
    (key("llama.attention.head_count_kv", numbers([2, 2, 2, 2**31])), "head_count_kv is 2147483648"),
    (key("llama.rope.scaling.type", text("elastic")), "rope.scaling.type is unknown"),
    (key("llama.nextn_predict_layers", uint32(5)), "nextn_predict_layers is 5"),
    (key("llama.vocab_size", uint32(2**31)), "llama.vocab_size is 2147483648"),
    (experts(1025, 2), "expert_count is 1025"),
    (experts(8, 0), "uses 0 of 8 experts"),
    (experts(4, 8), "uses 8 of 4 experts"),
    (experts(0, 0, groups=2), "uses 0 of 2 groups of 0 experts"),
    (experts(8, 2, groups=3, groups_used=1), "uses 1 of 3 groups of 8 experts"),
    (experts(8, 2, groups=4, groups_used=4), "uses 4 of 4 groups of 8 experts"),
    (key("split.count", struct.pack("<IH", 2, 2)), "one of several that belong together"),
    (key("tokenizer.ggml.model", text("none")), "no vocabulary to write with"),
    (key(TOKENS, text("a")), "tokenizer.ggml.tokens is no list"),
    (key(TOKENS, numbers([1, 2, 3])), "damaged"),
    (without(1, "tokenizer.ggml.token_type"), "tokens, and tokenizer.ggml.token_type for"),
    (key("tokenizer.ggml.scores", numbers([0])), "tokens, and tokenizer.ggml.scores for 1"),
    (key("tokenizer.ggml.scores", numbers([0] * 999)), "tokens, and tokenizer.ggml.scores for 999"),
    (renamed_tokens((b"!", b"?")), "a token is in it twice"),
    (renamed_tokens((b"!", b"?\0!")), "a token is in it twice"),
]
# Beside the forged ones: what is still sound.
ACCEPTED: list[Forge] = [
    key("k" * 65_535, uint32(1)),
    key("x", struct.pack("<IIQ", 9, 8, 0)),
    key("x", struct.pack("<Id", 12, 0.5)),
    aligned(64),
    aligned(2**20),
    tensor(name=b"n" * 63),
    tensor(shape=[2, 4, 8, 64]),
    tensor(kind=Kind.Q4_0),
    tensor(shape=[256, 16], kind=Kind.Q4_K),
    key("llama.block_count", uint32(512)),
    key("llama.feed_forward_length", numbers([0] * 512)),
    key("llama.attention.head_count", numbers([4, 4, 0, 0])),
    key("llama.rope.scaling.type", text("yarn")),
    key("llama.nextn_predict_layers", uint32(4)),
    experts(8, 2),
    experts(8, 2, groups=4, groups_used=3),
    key("split.count", struct.pack("<IH", 2, 1)),
    renamed_tokens((b"!", b""), (b"?", b"\0?")),
]


@pytest.mark.parametrize(("forge", "said"), REFUSED)
def test_a_forged_file_is_refused_for_what_is_forged(
    sound: ModelFile, tmp_path: Path, forge: Forge, said: str
) -> None:
    path = sound.write(tmp_path / "model.gguf")
    check_model_file(path)
    forge(sound)
    assert said in refusal(sound.write(path))


@pytest.mark.parametrize("forge", ACCEPTED)
def test_what_is_unusual_but_sound_is_accepted(sound: ModelFile, tmp_path: Path, forge: Forge) -> None:
    forge(sound)
    check_model_file(sound.write(tmp_path / "model.gguf"))


@pytest.mark.parametrize("name", SHAPES)
def test_small_models_of_every_architecture_are_accepted(tmp_path: Path, name: str) -> None:
    check_model_file(write_tiny(tmp_path / "model.gguf", name))


def test_every_format_of_weights_takes_as_many_bytes_as_llama_cpp_thinks() -> None:
    libggml.ggml_type_size.restype = ctypes.c_size_t
    libggml.ggml_blck_size.restype = ctypes.c_int64
    for kind, (block, size) in gguf.GGML_QUANT_SIZES.items():
        if kind not in NOT_WEIGHTS:
            assert (libggml.ggml_blck_size(int(kind)), libggml.ggml_type_size(int(kind))) == (block, size)


def test_a_model_cut_off_is_told_by_how_much(sound: ModelFile, tmp_path: Path) -> None:
    path = sound.write(tmp_path / "model.gguf")
    os.truncate(path, sound.size - 1)
    assert f"cut off after {sound.size - 1} of {sound.size} bytes" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "is not a file" in refusal(tmp_path / "pipe.gguf")


@pytest.mark.parametrize(
    "forge",
    [
        announced(tensors=2**62),
        announced(pairs=2**62),
        key("k", struct.pack("<IQ", 8, 2**40)),
        key("k", struct.pack("<IIQ", 9, 8, 2**40)),
        key("k", struct.pack("<IIQ", 9, 4, 2**40)),
        key("llama.feed_forward_length", numbers([1] * 100_000)),
        tensor(shape=[2**31, 2**31]),
    ],
)
def test_no_memory_is_taken_on_the_word_of_a_forged_count(
    sound: ModelFile, tmp_path: Path, forge: Forge
) -> None:
    forge(sound)
    path = sound.write(tmp_path / "model.gguf")
    refusal(path)  # once before, for what is kept the first time
    tracemalloc.start()
    try:
        refusal(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def seconds(path: Path) -> float:
    """How long the check keeps the processor."""
    began = time.process_time()
    check_model_file(path)
    return time.process_time() - began


def test_the_default_model_is_accepted_at_once() -> None:
    path = next((entry.path for entry in catalogue()), None)
    if path is None:
        pytest.skip("the default model is not installed")
    assert min(seconds(path) for _ in range(3)) < 0.2


def test_a_large_vocabulary_takes_less_than_a_second(sound: ModelFile, tmp_path: Path) -> None:
    sound.set(TOKENS, texts([b"token %d" % number for number in range(256_000)]))
    sound.set("tokenizer.ggml.token_type", numbers([1] * 256_000))
    sound.set("tokenizer.ggml.merges", texts([b"a b"] * 500_000))
    path = sound.write(tmp_path / "model.gguf")
    assert min(seconds(path) for _ in range(3)) < 1.0


def test_forged_lists_of_endless_texts_end(sound: ModelFile, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        sound.set(name, struct.pack("<IIQ", 9, 8, 1_500_000) + bytes(8 * 1_500_000))
    path = sound.write(tmp_path / "model.gguf")
    began = time.process_time()
    assert "texts, more than any model has" in refusal(path)
    assert time.process_time() - began < 5.0
