"""A look at a model file before native code sees it: is it there, readable, whole, and sound as far as can be said.

Goes in: a path. Comes out: nothing, or an EngineError naming the file, what is wrong with it and what to do.

Readers of GGUF files have been led astray by forged ones: llama.cpp's by sizes whose sum or product overflows, so that
less memory is reserved than is written (CVE-2025-53630, CVE-2026-27940), Ollama's by weights said to lie where the
file has ended (CVE-2026-7482). And where a number makes no sense to it, llama.cpp aborts the whole process. So all of
the file but the weights is gone through here first. Refused is what cannot be in a sound file, what llama.cpp would not
survive, and what it would understand otherwise than this check does.
"""

from __future__ import annotations

import math
import mmap
import stat
import struct
from pathlib import Path

from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Kind

from engine.errors import EngineError
from engine.gguf_scan import MAGIC, UINT32, VERSIONS, Bytes, Field, Keys, Reader
from engine.model_keys import check_settings

_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of key-value pairs
# The fewest bytes one takes: a tensor's name length, dimensions, type and offset; a pair's key length, type, value.
_SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8
_SMALLEST_PAIR = 8 + 1 + 4 + 1
# Far more than any model has; to go through so many takes a second.
_MOST_TENSORS, _MOST_PAIRS = 100_000, 10_000
_LONGEST_KEY, _LONGEST_NAME = 65_535, 63  # what GGUF allows, and what fits into llama.cpp's GGML_MAX_NAME
_MOST_DIMENSIONS = 4
_LARGEST_INT64 = 2**63 - 1
# At a smaller alignment weights may not lie at multiples of 32 in memory, where llama.cpp aborts.
_ALIGNMENT, _LARGEST_ALIGNMENT = 32, 2**20
# Formats of something else than weights. llama.cpp loads weights in them, and crashes when it computes with them; it
# does, too, where weights of one dimension are anything but F32.
NOT_WEIGHTS = {Kind.I8, Kind.I16, Kind.I32, Kind.I64, Kind.F64, Kind.Q8_1, Kind.Q8_K}

_MEND = "Get it again, or choose another model."


def check_model_file(path: Path) -> None:
    """Raise EngineError when ``path`` cannot be the file of a model, or not of one that is safe to load."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise EngineError(f"{path} is a folder, not a model file. Choose the .gguf file itself.")
        if not stat.S_ISREG(mode):  # a pipe would be waited for, a device never ends
            raise EngineError(f"{path} is not a file. Choose another model.")
        with path.open("rb") as file:
            _check_start(path, file.read(_HEADER.size))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _check(path, data)
    except FileNotFoundError as error:
        raise EngineError(
            f"The model file {path} is not there. Choose another model, or put it back."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineError(
            f"The model file {path} cannot be read: {reason}. Check its permissions."
        ) from error
    except ValueError as error:
        raise EngineError(f"The model file {path} is damaged: {error}. {_MEND}") from error


def _check_start(path: Path, start: bytes) -> None:
    if start[:4] != MAGIC:
        raise EngineError(f"{path} is not a GGUF model file. {_MEND}")
    if len(start) < _HEADER.size:
        raise EngineError(f"The model file {path} is cut off after {len(start)} bytes. {_MEND}")
    _, version, tensors, _ = _HEADER.unpack(start)
    if version not in VERSIONS:
        raise EngineError(
            f"The model file {path} is of GGUF version {version}; this program reads {VERSIONS[0]} and "
            f"{VERSIONS[1]}. Get a newer copy of the model."
        )
    if tensors == 0:
        raise EngineError(f"The model file {path} holds no weights. {_MEND}")


def _check(path: Path, data: Bytes) -> None:
    """Go through all of the front of ``data``. ValueError where it is damaged."""
    _, _, tensors, pairs = _HEADER.unpack_from(data)
    if _HEADER.size + tensors * _SMALLEST_TENSOR + pairs * _SMALLEST_PAIR > len(data):
        raise ValueError(
            f"it announces {tensors} tensors and {pairs} settings, which do not fit into its {len(data)} bytes"
        )
    if tensors > _MOST_TENSORS or pairs > _MOST_PAIRS:
        raise ValueError(f"it announces {tensors} tensors and {pairs} settings, more than any model has")
    reader = Reader(data, _HEADER.size)
    fields: dict[str, Field] = {}
    for _ in range(pairs):
        key = reader.name(_LONGEST_KEY)
        if key in fields:
            raise ValueError(f"the setting {key} is in it twice")
        fields[key] = reader.value()
    keys = Keys(data, fields)
    _check_tensors(path, reader, tensors, _alignment(keys), len(data))
    check_settings(path, keys)


def _alignment(keys: Keys) -> int:
    key = "general.alignment"
    alignment = keys.number(key, _ALIGNMENT)
    if not (_ALIGNMENT <= alignment <= _LARGEST_ALIGNMENT and alignment.bit_count() == 1):
        raise ValueError(f"{key} is {alignment}")
    return alignment


def _check_tensors(path: Path, reader: Reader, count: int, alignment: int, file_size: int) -> None:
    """Each tensor is of a known type and a possible shape, follows the one before it, and lies in the file.

    With that they lie over each other nowhere, and together are no larger than the file: sums of their sizes,
    which llama.cpp reserves memory by, cannot overflow.
    """
    names: set[str] = set()
    place = end = 0
    for _ in range(count):
        name = reader.name(_LONGEST_NAME)
        if name in names:
            raise ValueError(f"the tensor {name} is in it twice")
        names.add(name)
        size = _tensor_size(path, name, reader)
        if reader.count() != place:
            raise ValueError(f"the tensor {name} does not follow the one before it")
        end = place + size
        place = _padded(end, alignment)
    if (end := _padded(reader.place, alignment) + end) > file_size:
        raise ValueError(f"it is cut off after {file_size} of {end} bytes")


def _tensor_size(path: Path, name: str, reader: Reader) -> int:
    """How many bytes the tensor takes whose shape and type come next."""
    dimensions = reader.count(UINT32)
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise ValueError(f"the tensor {name} has {dimensions} dimensions")
    shape = [reader.count() for _ in range(dimensions)]
    # Python's numbers do not overflow; those that llama.cpp multiplies do, and a wrapped product looks small.
    if 0 in shape or math.prod(shape) > _LARGEST_INT64:
        raise ValueError(f"the tensor {name} has the shape {shape}")
    kind = reader.count(UINT32)
    if kind not in GGML_QUANT_SIZES:
        raise EngineError(
            f"The model file {path} is newer than this program: {name} is in a format it does not know ({kind}). "
            "Choose another model, or get a newer version of this program."
        )
    kind = Kind(kind)
    if kind in NOT_WEIGHTS or (dimensions == 1 and kind != Kind.F32):
        raise ValueError(f"the tensor {name} is in the format {kind.name}")
    block, bytes_per_block = GGML_QUANT_SIZES[kind]
    if shape[0] % block:
        raise ValueError(f"the tensor {name} has rows of {shape[0]}, which is no multiple of {block}")
    return math.prod(shape) // block * bytes_per_block


def _padded(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment
