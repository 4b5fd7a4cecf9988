"""What the two kinds of voice file have in common: a small GGUF file of float32 tensors that says what it was made for.

Goes in: tensors by name and a few keys, or a path. Comes out: a file that is complete or not there at all, or the
`Contents` of one.

The reader is this module's own and trusts nothing: every length is held against the bytes that are there before it is
used, since the file may come from anybody and llama.cpp reads it next. (The reader of the ``gguf`` package follows
the counts of a forged header for as long as they say.)

Beside llama.cpp's own keys a voice file says what it was made for and how (`Provenance`, as JSON under
``idiolect.provenance``); other programs ignore it.
"""

from __future__ import annotations

import json
import math
import os
import stat
import tempfile
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.gguf_scan import FLOAT32, MAGIC, STRING, UINT32, VERSIONS, Field, Keys, Reader

Vector = NDArray[np.float32]

_PROVENANCE_KEY = "idiolect.provenance"
_FLOAT32_TENSOR = 0
_ALIGNMENT = 32
# Forged counts of keys and tensors end here; a voice has some ten keys and at most two tensors a block.
_MOST_ENTRIES = 10_000
_LONGEST_NAME = 65_535  # GGUF's limit for keys
_LARGEST_COUNT = 2**53  # whole numbers up to it are floats exactly


class VoiceFileError(EngineError):
    """The file is not a voice file, or not one for this model; the message names the file and the reason."""


@dataclass(frozen=True)
class Provenance:
    """What a voice file was made for and how.

    ``model_sha256`` is the hash of the weights file; ``strength`` the recommended strength; ``own`` and
    ``others`` the measured likeness (change of nats per token on held-out text).
    """

    voice: str
    model_name: str
    model_sha256: str
    method: str
    settings: str
    made_at: str
    pairs: int
    strength: float
    own: float | None
    others: float | None


@dataclass(frozen=True)
class Contents:
    """What is in a voice file: ``texts`` and ``numbers`` (float32) by key, ``tensors`` in numpy's order of axes.

    Keys of other types are read over.
    """

    texts: Mapping[str, str]
    numbers: Mapping[str, float]
    tensors: Mapping[str, Vector]
    provenance: Provenance | None


def write_contents(path: Path, contents: Contents, *, counts: Mapping[str, int], largest: int) -> None:
    """Write ``contents`` (and ``counts``, as uint32) to ``path``, beside it first and then moved into place.

    The text ``general.architecture`` must be there. Raises ValueError for more than ``largest`` bytes, which
    could not be read again, and OSError; the file at ``path`` is then as it was.
    """
    import gguf

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        texts = dict(contents.texts)
        writer = gguf.GGUFWriter(part, texts.pop("general.architecture"))
        for key, text in texts.items():
            writer.add_string(key, text)
        for key, number in contents.numbers.items():
            writer.add_float32(key, number)
        for key, count in counts.items():
            writer.add_uint32(key, count)
        if contents.provenance is not None:
            writer.add_string(_PROVENANCE_KEY, json.dumps(vars(contents.provenance), ensure_ascii=False))
        for key, tensor in contents.tensors.items():
            writer.add_tensor(key, np.ascontiguousarray(tensor, dtype=np.float32))
        try:
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
        if part.stat().st_size > largest:
            raise ValueError(f"a voice file of {part.stat().st_size} bytes; at most {largest} can be read")
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_contents(path: Path, kind: str, expected: Mapping[str, str], *, largest: int) -> Contents:
    """What is in ``path``: ``kind`` (for messages), which has the ``expected`` texts and ``largest`` bytes at most.

    Raises VoiceFileError naming the file and what is wrong with it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, a device never ends
            raise VoiceFileError(f"{path} is not a file; learn the voice again")
        if status.st_size > largest:
            raise VoiceFileError(f"{path} is too large ({status.st_size} bytes) to be a voice file")
        with path.open("rb") as file:
            data = file.read(largest)
    except OSError as error:
        raise VoiceFileError(f"The voice file {path} cannot be read: {error.strerror or error}") from error
    if not data.startswith(MAGIC):
        raise VoiceFileError(f"{path} is not a GGUF file; learn the voice again")
    try:
        parser = _Parser(data)
        texts, numbers = parser.keys()
        if any(texts.get(key) != text for key, text in expected.items()):
            raise VoiceFileError(f"{path} is a GGUF file, but not {kind}")
        return Contents(texts, numbers, parser.tensors(), _provenance(texts.pop(_PROVENANCE_KEY, "")))
    except ValueError as error:
        raise damaged(path, error) from error


def damaged(path: Path, reason: object) -> VoiceFileError:
    """The error for a file that is a voice file but holds what none can hold."""
    return VoiceFileError(f"The voice file {path} is damaged ({reason}); learn the voice again")


class _Parser:
    """Goes through the bytes of a GGUF file from the front: `keys`, then `tensors`. ValueError for what cannot be."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._reader = Reader(data, len(MAGIC))
        self._tensor_count = 0

    def keys(self) -> tuple[dict[str, str], dict[str, float]]:
        """The keys with a text, and those with a float32 number; others are read over."""
        version = self._reader.count(UINT32)
        if version not in VERSIONS:
            raise ValueError(f"it is of GGUF version {version}, not {VERSIONS[0]} or {VERSIONS[1]}")
        self._tensor_count, key_count = self._reader.count(), self._reader.count()
        if max(self._tensor_count, key_count) > _MOST_ENTRIES:
            raise ValueError(f"it announces {self._tensor_count} tensors and {key_count} keys")
        fields: dict[str, Field] = {}
        for _ in range(key_count):
            key = self._once(fields)
            fields[key] = self._reader.value()
        # Allowed by the format, written by nobody; llama.cpp would look for the tensors elsewhere than this reader.
        if "general.alignment" in fields:
            raise ValueError("its tensors are not where they are in a voice file")
        keys = Keys(self._data, fields)
        single = {key: field.kind for key, field in fields.items() if not field.listed}
        texts = {key: keys.text(key).decode() for key, kind in single.items() if kind == STRING}
        return texts, {key: keys.float32(key) for key, kind in single.items() if kind == FLOAT32}

    def tensors(self) -> dict[str, Vector]:
        """The tensors by name, each a copy."""
        announced = self._announced()
        begin = -(-self._reader.place // _ALIGNMENT) * _ALIGNMENT
        room = max(0, len(self._data) - begin)
        sizes = {name: 4 * math.prod(shape) for name, (shape, _) in announced.items()}
        # Together, too: tensors that lie over each other would take more memory than the file.
        if min(sizes.values(), default=1) < 1 or sum(sizes.values()) > room:
            raise ValueError("it is cut off, or a tensor is empty")
        tensors: dict[str, Vector] = {}
        for name, (shape, place) in announced.items():
            if place + sizes[name] > room:
                raise ValueError("it is cut off")
            raw = np.frombuffer(self._data, dtype="<f4", count=math.prod(shape), offset=begin + place)
            tensors[name] = raw.reshape(shape).astype(np.float32)
            if not np.isfinite(tensors[name]).all():
                raise ValueError(f"{name} holds a number that is not finite")
        return tensors

    def _announced(self) -> dict[str, tuple[tuple[int, ...], int]]:
        """Shape (numpy's order) and place behind the header of every tensor."""
        announced: dict[str, tuple[tuple[int, ...], int]] = {}
        for _ in range(self._tensor_count):
            name = self._once(announced)
            dimensions = self._reader.count(UINT32)
            if not 1 <= dimensions <= 4:
                raise ValueError(f"{name} has {dimensions} dimensions")
            shape = tuple(self._reader.count() for _ in range(dimensions))
            kind, place = self._reader.count(UINT32), self._reader.count()
            if kind != _FLOAT32_TENSOR:
                raise ValueError(f"{name} is not of float32 numbers")
            announced[name] = (shape[::-1], place)
        return announced

    def _once(self, seen: Mapping[str, object]) -> str:
        """The next name, which is not among ``seen``."""
        name = self._reader.name(_LONGEST_NAME)
        if name in seen:
            raise ValueError(f"{name} is in it twice")
        return name


def _provenance(text: str) -> Provenance | None:
    """The provenance in ``text``; what a later version of this program added to it is left out."""
    if not text:
        return None
    try:
        fields = json.loads(text)
    except RecursionError as error:
        raise ValueError("what it was made for is nested too deeply") from error
    kinds = typing.get_type_hints(Provenance)
    if not isinstance(fields, dict) or not kinds.keys() <= fields.keys():
        raise ValueError("it does not say what it was made for")
    values = {name: fields[name] for name in kinds}
    for name, value in values.items():
        # JSON knows no difference between 1 and 1.0.
        as_float = type(value) is int and isinstance(0.0, kinds[name]) and abs(value) < _LARGEST_COUNT
        values[name] = float(value) if as_float else value
        if not isinstance(values[name], kinds[name]):
            raise ValueError(f"it was made with {name} = {value!r}"[:200])
    return Provenance(**values)
