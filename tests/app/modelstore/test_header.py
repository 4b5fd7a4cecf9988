from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.errors import KnownError
from app.modelstore.header import read_header
from tests.app.modelstore import files
from tests.app.modelstore.files import PAIRS, model, nested, number, numbers, string
from tests.tiny_models import write_tiny_llama


def written(folder: Path, content: bytes) -> Path:
    path = folder / "m.gguf"
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(KnownError) as caught:
        read_header(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    content = model()
    header = read_header(written(tmp_path, content))
    assert (header.architecture, header.name, header.context) == ("llama", "Tiny", 2048)
    assert (header.quantisation, header.has_template) == ("Q4_K_M", True)
    assert header.parameters == 64 * 32 + 64 + 64
    assert header.size == len(content)
    # Two blocks of keys and values for two heads of width 64 / 8, in two bytes each.
    assert header.cache_per_token == 2 * 2 * 2 * 8 * 2
    assert header.memory == len(content) + 2048 * header.cache_per_token + 100_000_000


def test_a_model_of_another_program_is_read_alike(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    path = write_tiny_llama(tmp_path / "tiny.gguf", chat_template=None)
    header = read_header(path)
    reader = gguf.GGUFReader(path)
    assert header.parameters == sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert (header.architecture, header.name, header.context) == ("llama", "Tiny Llama", 2048)
    assert (header.quantisation, header.has_template) == ("F32", False)
    assert header.cache_per_token == 2 * 2 * 2 * 16 * 4


@pytest.mark.parametrize(
    ("changed", "cache"),
    [
        ({"llama.attention.head_count_kv": numbers(2, 4)}, 2 * 2 * 8 * (2 + 4)),
        (
            {"llama.attention.key_length": number(16), "llama.attention.value_length": number(4)},
            2 * 20 * 2 * 2,
        ),
        ({"llama.attention.head_count_kv": None}, 2 * 2 * 8 * 8 * 2),
        ({"llama.block_count": None}, 0),
    ],
)
def test_what_a_context_takes_follows_the_heads(
    tmp_path: Path, changed: Mapping[str, bytes | None], cache: int
) -> None:
    pairs = {key: value for key, value in {**PAIRS, **changed}.items() if value is not None}
    assert read_header(written(tmp_path, model(pairs))).cache_per_token == cache


def test_a_file_that_does_not_name_its_quantisation_has_that_of_most_weights(tmp_path: Path) -> None:
    pairs = {key: value for key, value in PAIRS.items() if key != "general.file_type"}
    tensors = [("a", (64,), files.F32), ("b", (64, 64), files.F16), ("c", (64,), files.F32)]
    header = read_header(written(tmp_path, model(pairs, tensors)))
    assert (header.quantisation, header.context) == ("F16", 2048)
    guessed = {**PAIRS, "general.file_type": number(1024 + 7)}
    assert read_header(written(tmp_path, model(guessed))).quantisation == "Q8_0"


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    content = model()
    path = written(tmp_path, content)
    began = time.monotonic()
    for length in range(len(content) - 1, -1, -1):
        os.truncate(path, length)
        refusal(path)
    assert time.monotonic() - began < 20


def test_a_flipped_byte_is_no_bug(tmp_path: Path) -> None:
    """Whatever is in the file: it is read, or refused with its name."""
    content, chance = model(), random.Random(1)
    head = len(content) - 4 * (64 * 32 + 128)
    for _ in range(1500):
        forged = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            forged[chance.randrange(4, head)] = chance.choice((0, 1, 9, 127, 128, 255, chance.randrange(256)))
        path = written(tmp_path, bytes(forged))
        try:
            assert read_header(path).parameters > 0
        except KnownError as error:
            assert str(path) in str(error)


HUGE = 2**63 + 5


FORGED = {
    "tensors announced": model(tensor_count=HUGE),
    "pairs announced": model(pair_count=HUGE),
    "both announced": model(tensor_count=2**32, pair_count=2**32),
    "one pair too many": model(pair_count=len(PAIRS) + 1),
    "no tensors": model(tensor_count=0),
    "a long text": model({**PAIRS, "x": struct.pack("<IQ", files.STRING, HUGE)}),
    "a long list": model({**PAIRS, "x": struct.pack("<IIQ", files.ARRAY, files.UINT32, HUGE)}),
    "a long list of texts": model({**PAIRS, "x": struct.pack("<IIQ", files.ARRAY, files.STRING, HUGE)}),
    "a long list of lists": model({**PAIRS, "x": struct.pack("<IIQ", files.ARRAY, files.ARRAY, HUGE)}),
    "a long text in a list": model({**PAIRS, "x": struct.pack("<IIQQ", files.ARRAY, files.STRING, 1, HUGE)}),
    "an unknown type": model({**PAIRS, "x": struct.pack("<I", 99)}),
    "a list of an unknown type": model({**PAIRS, "x": struct.pack("<IIQ", files.ARRAY, 99, 1)}),
    "lists too deep": model({**PAIRS, "x": nested(4)}),
    "lists far too deep": model({**PAIRS, "x": nested(100_000)}),
    "a key twice": model({**PAIRS, "llama.context_widths": number(7)}).replace(
        b"context_widths", b"context_length"
    ),
    "more settings than any model has": model({**PAIRS, **{f"{each}": number(1) for each in range(100_000)}}),
    "a long key": b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, HUGE) + bytes(99),
    "a tensor too large": model(tensors=[("t", (HUGE,), files.F32)], bare=True),
    "a tensor of an unknown type too large": model(
        tensors=[("t", (2**62, 2**62, 2**62, 2**62), 99)], bare=True
    ),
    "an empty tensor": model(tensors=[("t", (0,), files.F32)]),
    "a tensor of five dimensions": model(tensors=[("t", (1,) * 5, files.F32)]),
    "an architecture that is a number": model({**PAIRS, "general.architecture": number(3)}),
    "an architecture that is a path": model({**PAIRS, "general.architecture": string("../../etc")}),
    "an alignment too large": model({**PAIRS, "general.alignment": number(2**32 - 1)}),
    "too many blocks": model({**PAIRS, "llama.block_count": number(2**31)}),
    "heads that are a text": model({**PAIRS, "llama.attention.head_count": string("many")}),
    "a width that is a list": model({**PAIRS, "llama.embedding_length": numbers(1, 2)}),
    "a context that is a fraction": model({**PAIRS, "llama.context_length": struct.pack("<Id", 12, 1e300)}),
}


@pytest.mark.parametrize("forged", FORGED)
def test_forged_counts_and_lengths_are_refused_at_once(tmp_path: Path, forged: str) -> None:
    path = written(tmp_path, FORGED[forged])
    began = time.monotonic()
    assert "is damaged" in refusal(path)
    assert time.monotonic() - began < 1


def test_lists_within_lists_are_read_as_deep_as_any_file_has_them(tmp_path: Path) -> None:
    assert read_header(written(tmp_path, model({**PAIRS, "x": nested(3)}))).architecture == "llama"


def test_a_file_of_nothing_but_small_things_is_refused_before_long(tmp_path: Path) -> None:
    """Each fits into the file; together they would take minutes."""
    many = 3_000_000
    lists = struct.pack("<IIQ", files.ARRAY, files.ARRAY, many) + struct.pack("<IQ", files.UINT32, 0) * many
    path = written(tmp_path, model({**PAIRS, "x": lists}))
    began = time.monotonic()
    refusal(path)
    assert time.monotonic() - began < 3


def test_a_large_vocabulary_is_read_over_quickly(tmp_path: Path) -> None:
    pairs = {**PAIRS, "tokenizer.ggml.merges": files.strings(*["ab cd"] * 500_000)}
    path = written(tmp_path, model(pairs))
    began = time.monotonic()
    assert read_header(path).context == 2048
    assert time.monotonic() - began < 5


def test_a_name_cannot_move_the_cursor(tmp_path: Path) -> None:
    pairs = {**PAIRS, "general.name": string("\x1b[2J  Nice\n\u202e model" + "x" * 999)}
    name = read_header(written(tmp_path, model(pairs))).name
    assert name.startswith("[2J  Nice model")
    assert name.isprintable()
    assert len(name) == 200


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ({**PAIRS, "general.type": string("adapter")}, "not a model that writes"),
        ({**PAIRS, "general.architecture": string("clip")}, "not a model that writes"),
        ({**PAIRS, "split.count": number(3)}, "llama-gguf-split --merge"),
    ],
)
def test_what_is_no_whole_model_is_refused_by_what_it_is(
    tmp_path: Path, pairs: Mapping[str, bytes], said: str
) -> None:
    assert said in refusal(written(tmp_path, model(pairs)))


def test_what_is_no_model_file_is_named(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "gone.gguf")
    assert "not a GGUF model file" in refusal(written(tmp_path, b"Dear Anna, thank you"))
    assert "not a GGUF model file" in refusal(written(tmp_path, b""))
    assert "GGUF version 1;" in refusal(written(tmp_path, model(version=1)))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "is not a file" in refusal(tmp_path / "pipe")
