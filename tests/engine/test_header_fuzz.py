"""Forged model files by the thousand: each is refused in words or accepted, at once, and then llama.cpp survives it.

With ``FUZZ=20`` in the environment twenty times as many are tried, and others at each run.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.header import check_model_file
from tests.engine.model_files import LoadingProcess, ModelFile, numbers, text, texts, uint32, write_sparse
from tests.tiny_architectures import write_tiny
from tests.tiny_models import write_tiny_llama

_TIMES = int(os.environ.get("FUZZ", "1"))
_LONGEST_SECONDS = 1.0

BytesChange = Callable[[bytearray, ModelFile], None]
PartsChange = Callable[[ModelFile], None]


def fuzz(examples: int) -> settings:
    return settings(
        max_examples=examples * _TIMES,
        derandomize=_TIMES == 1,
        database=None,
        deadline=None,  # the bench looks at the processor's time in the check itself
        suppress_health_check=list(HealthCheck),
    )


class Bench:
    """Sound models to forge, and where what comes of it is tried."""

    def __init__(self, folder: Path) -> None:
        sound = [write_tiny(folder / f"{name}.gguf", name) for name in ("phi 4", "qwen2", "gemma2")]
        sound.append(write_tiny_llama(folder / "tiny.gguf", layers=1, hidden=16))
        self.models = [ModelFile.of(path) for path in sound]
        self.headers = [model.header() for model in self.models]
        self.accepted = self.refused = 0
        self._path = folder / "forged.gguf"
        self._process = LoadingProcess()

    def try_out(self, header: bytes, size: int) -> None:
        """Check the file, and load it when it is accepted. Fails for anything but words, and for a crash."""
        write_sparse(self._path, header, size)
        began = time.process_time()
        try:
            check_model_file(self._path)
        except EngineError as error:
            assert str(self._path) in str(error)
            assert str(error).isprintable()
            accepted = False
        else:
            accepted = True
        assert time.process_time() - began < _LONGEST_SECONDS
        self.accepted += accepted
        self.refused += not accepted
        if accepted:
            self._process.loads(self._path)

    def close(self) -> None:
        self._process.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("forged"))
    yield bench
    bench.close()
    # Forging must neither leave everything whole nor break everything at once.
    assert min(bench.accepted, bench.refused) * 20 > bench.accepted + bench.refused


def flip(place: int, bit: int) -> BytesChange:
    def change(header: bytearray, _: ModelFile) -> None:
        header[place % len(header)] ^= 1 << bit

    return change


def overwrite(which: int, value: int) -> BytesChange:
    """Another number in place of one that is a length, a count, a type, a dimension, an offset or a value."""

    def change(header: bytearray, model: ModelFile) -> None:
        place, width = model.numbers[which % len(model.numbers)]
        header[place : place + width] = (value % 256**width).to_bytes(width, "little")

    return change


def move(place: int, length: int, times: int, to: int, replaced: int) -> BytesChange:
    """A slice copied to elsewhere; with ``times`` 0 and something replaced, one is cut out there."""

    def change(header: bytearray, _: ModelFile) -> None:
        place_, to_ = place % len(header), to % len(header)
        header[to_ : to_ + replaced] = header[place_ : place_ + length] * times

    return change


def cut(place: int) -> BytesChange:
    def change(header: bytearray, _: ModelFile) -> None:
        del header[max(1, place % len(header)) :]

    return change


def value_of(which: int, value: bytes) -> PartsChange:
    return lambda model: model.set(model.pairs[which % len(model.pairs)][0], value)


def setting(name: str, value: bytes) -> PartsChange:
    """A setting of the architecture that the model may not have."""

    return lambda model: model.set(f"{model.architecture}.{name}", value)


def no_setting(which: int) -> PartsChange:
    def change(model: ModelFile) -> None:
        del model.pairs[which % len(model.pairs)]

    return change


def no_tensor(which: int) -> PartsChange:
    def change(model: ModelFile) -> None:
        del model.tensors[which % len(model.tensors)]

    return change


def twice(which: int) -> PartsChange:
    return lambda model: model.tensors.append(model.tensors[which % len(model.tensors)])


def name_of(which: int, other: int) -> PartsChange:
    """One tensor under the name of another, and the other way round."""

    def change(model: ModelFile) -> None:
        one, two = model.tensors[which % len(model.tensors)], model.tensors[other % len(model.tensors)]
        one.name, two.name = two.name, one.name

    return change


def tensor(which: int, what: str, value: object) -> PartsChange:
    return lambda model: setattr(model.tensors[which % len(model.tensors)], what, value)


def alignment(value: int) -> PartsChange:
    def change(model: ModelFile) -> None:
        model.set("general.alignment", uint32(value))
        model.alignment = value

    return change


_BOUNDARIES = [0, 1, 2, 31, 32, 63, 64, 255, 512, 513, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62]
_BOUNDARIES += [2**63 - 1, 2**63, 2**64 - 32, 2**64 - 1]
_NUMBER = st.sampled_from(_BOUNDARIES) | st.integers(0, 45) | st.integers(0, 2**64 - 1)
_UINT32 = _NUMBER.map(lambda number: number % 2**32)
_PLACE = st.integers(0, 2**14)
_BYTES_CHANGES = st.one_of(
    st.builds(flip, _PLACE, st.integers(0, 7)),
    st.builds(overwrite, _PLACE, _NUMBER),
    st.builds(move, _PLACE, st.integers(1, 64), st.integers(0, 2), _PLACE, st.integers(0, 64)),
    st.builds(cut, _PLACE),
)
_VALUES = st.one_of(
    _UINT32.map(uint32),
    st.lists(_UINT32, max_size=5).map(numbers),
    st.sampled_from(
        ["", "a", "none", "llama", "gpt2", "bert", "t5", "rwkv", "yarn", "linear", "longrope"]
    ).map(text),
    st.lists(st.binary(max_size=3), max_size=4).map(texts),
    st.builds(
        lambda kind, raw: struct.pack("<I", kind) + raw,
        st.integers(0, 13),
        st.binary(min_size=8, max_size=16),
    ),
)
_SETTINGS = [
    *[
        "rope.scaling.type",
        "rope.dimension_count",
        "rope.dimension_sections",
        "nextn_predict_layers",
        "vocab_size",
    ],
    *["expert_count", "expert_used_count", "expert_group_count", "expert_group_used_count", "pooling_type"],
    *[
        "attention.sliding_window",
        "attention.sliding_window_pattern",
        "attention.key_length",
        "attention.causal",
    ],
]
_WHICH = st.integers(0, 63)
_SHAPES = st.lists(st.sampled_from([1, 16, 32, 64, 128]) | _NUMBER, max_size=5)
_PARTS_CHANGES = st.one_of(
    st.builds(value_of, _WHICH, _VALUES),
    st.builds(setting, st.sampled_from(_SETTINGS), _VALUES),
    st.builds(no_setting, _WHICH),
    st.builds(no_tensor, _WHICH),
    st.builds(twice, _WHICH),
    st.builds(name_of, _WHICH, _WHICH),
    st.builds(tensor, _WHICH, st.just("name"), st.binary(max_size=70)),
    st.builds(tensor, _WHICH, st.just("shape"), _SHAPES),
    st.builds(tensor, _WHICH, st.just("kind"), st.integers(0, 45)),
    st.builds(tensor, _WHICH, st.just("offset"), _NUMBER),
    st.builds(alignment, st.sampled_from([8, 16, 32, 64, 128, 2**20, 2**21])),
)


@fuzz(6000)
@given(
    which=st.integers(0, 3),
    changes=st.lists(_BYTES_CHANGES, min_size=1, max_size=3),
    missing=st.just(0) | _PLACE,
)
def test_changed_bytes(bench: Bench, which: int, changes: list[BytesChange], missing: int) -> None:
    model, header = bench.models[which], bytearray(bench.headers[which])
    weights = model.size - len(header)
    for change in changes:
        change(header, model)
        if not header:
            return
    bench.try_out(bytes(header), len(header) + max(0, weights - missing))


@fuzz(4000)
@given(which=st.integers(0, 3), changes=st.lists(_PARTS_CHANGES, min_size=1, max_size=2))
def test_changed_parts(bench: Bench, which: int, changes: list[PartsChange]) -> None:
    model = bench.models[which].copy()
    for change in changes:
        change(model)
    bench.try_out(model.header(), model.size)


@fuzz(1000)
@given(counts=st.tuples(st.integers(1, 3), st.integers(0, 3)), noise=st.binary(max_size=300))
def test_noise(bench: Bench, counts: tuple[int, int], noise: bytes) -> None:
    header = b"GGUF" + struct.pack("<IQQ", 3, *counts) + noise
    bench.try_out(header, len(header))
