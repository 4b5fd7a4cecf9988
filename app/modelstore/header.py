"""What a model file says about itself, read without the library that runs it.

Goes in: the path of a GGUF file. Comes out: a `Header`, or a KnownError naming the file, what is wrong with it and
what to do.

The file may come from anybody. So nothing it announces is believed: a count or a length is held against the bytes
that are there before it is used, every loop is bounded by them, and so is the time it takes: the part before the
weights may be large, but not as large as weights are.
"""

from __future__ import annotations

import re
import stat
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from app.errors import KnownError
from app.modelstore.formats import ARRAY, FILES, SCALARS, STRING, TENSORS

Scalar = str | int | float | bool

# What a conversation needs at least; more context takes more memory.
CONTEXT_TOKENS = 4096

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
# The vocabulary of the largest models takes some 20 MB.
_LARGEST_HEADER = 64 * 2**20
# Settings, tensors and lists within lists; the largest models have some thousand tensors.
_MOST_ENTRIES = 100_000
_LONGEST_KEY, _LONGEST_NAME = 2**16, 2**10
# Texts and lists beyond these lengths are read over: the vocabulary, the chat template.
_LONGEST_TEXT, _LONGEST_LIST = 2**12, 2**12
_DEEPEST_LIST = 4
# The fewest bytes that one takes: a pair's key length, type and value, a tensor's name length to its offset.
_SMALLEST_PAIR, _SMALLEST_TENSOR = 8 + 4 + 1, 8 + 4 + 8 + 4 + 8
_LARGEST_NUMBER = 2**32
# Set beside the number of a kind of file when it was not stated but guessed.
_GUESSED = 1024
# Besides the weights and the context: buffers for one computation, the vocabulary, the program.
_AROUND = 100_000_000
_LENGTH = struct.Struct("<Q")
_MEND = "Get it again, or choose another model."


@dataclass(frozen=True)
class Header:
    """What a model file is.

    ``context``: the tokens it was trained for, None when it does not say. ``parameters``: how many weights it
    has. ``size``: bytes of the file. ``cache_per_token``: bytes that one token of context takes in memory.
    """

    architecture: str
    name: str
    context: int | None
    has_template: bool
    quantisation: str
    parameters: int
    size: int
    cache_per_token: int

    @property
    def memory(self) -> int:
        """How many bytes of memory it needs to write, about."""
        tokens = min(CONTEXT_TOKENS, self.context or CONTEXT_TOKENS)
        return self.size + tokens * self.cache_per_token + _AROUND


class _DamagedError(ValueError):
    """The file cannot be what it says; the message completes "the file is damaged: …"."""


def read_header(path: Path) -> Header:
    """What the file at ``path`` is.

    Raises KnownError when it is missing, unreadable, no GGUF file, damaged, cut off, or no model that writes.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise KnownError(f"{path} is a folder, not a model file. Choose the .gguf file itself.")
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, a device never ends
            raise KnownError(f"{path} is not a file. Choose a file that ends in .gguf.")
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise KnownError(f"{path} is not a GGUF model file. Choose a file that ends in .gguf.")
            return _Parser(path, file, status.st_size).header()
    except FileNotFoundError as error:
        raise KnownError(f"The model file {path} does not exist. Check the path.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise KnownError(f"The model file {path} cannot be read: {reason}. Check its permissions.") from error
    except _DamagedError as error:
        raise KnownError(f"The model file {path} is damaged: {error}. {_MEND}") from error


class _Reader:
    """Goes through the bytes of a file from the front, and never beyond ``end``."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end
        self.place = file.tell()

    @property
    def left(self) -> int:
        return self._end - self.place

    def take(self, count: int) -> bytes:
        self._need(count)
        taken = self._file.read(count)
        if len(taken) < count:  # it became shorter while it was read
            _cut_off()
        self.place += count
        return taken

    def skip(self, count: int) -> None:
        self._need(count)
        self._file.seek(count, 1)
        self.place += count

    def number(self, letter: str) -> int:
        return int(self.scalar(letter))

    def scalar(self, letter: str) -> int | float | bool:
        layout = struct.Struct(f"<{letter}")
        value: int | float | bool = layout.unpack(self.take(layout.size))[0]
        return value

    def text(self, longest: int) -> str:
        length = self.number("Q")
        if length > longest:
            raise _DamagedError(f"a name in it is {length} bytes long")
        return self.take(length).decode("utf-8", "replace")

    def short_text(self) -> str | None:
        """The text that comes next; None, and read over, when it is long."""
        length = self.number("Q")
        if length > _LONGEST_TEXT:
            self.skip(length)
            return None
        return self.take(length).decode("utf-8", "replace")

    def skip_texts(self, count: int) -> None:
        """Read over ``count`` texts: a vocabulary has hundreds of thousands."""
        self._need(count * _LENGTH.size)  # of each its length at least, so that the file bounds the loop
        for _ in range(count):
            raw = self._file.read(_LENGTH.size)
            if len(raw) < _LENGTH.size:
                _cut_off()
            self.place += _LENGTH.size
            self.skip(_LENGTH.unpack(raw)[0])

    def _need(self, count: int) -> None:
        if count > self.left:
            _cut_off()


def _cut_off() -> NoReturn:
    raise _DamagedError("it is cut off, or announces more than it holds")


class _Parser:
    """Reads one file, behind its magic."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self._path, self._size = path, size
        self._reader = _Reader(file, min(size, _LARGEST_HEADER))
        self._values: dict[str, Scalar | list[int] | None] = {}
        self._nested = 0

    def header(self) -> Header:
        """Read all that lies before the weights."""
        version = self._reader.number("I")
        if version not in _VERSIONS:
            raise KnownError(
                f"The model file {self._path} is of GGUF version {version}; Idiolect reads {_VERSIONS[0]} and "
                f"{_VERSIONS[1]}. Get a newer copy of the model."
            )
        tensors, pairs = self._reader.number("Q"), self._reader.number("Q")
        too_many = max(tensors, pairs) > _MOST_ENTRIES
        if too_many or tensors * _SMALLEST_TENSOR + pairs * _SMALLEST_PAIR > self._reader.left:
            raise _DamagedError(
                f"it announces {tensors} tensors and {pairs} settings, which do not fit into it"
            )
        for _ in range(pairs):
            key = self._reader.text(_LONGEST_KEY)
            if key in self._values:
                raise _DamagedError("it says something twice")
            self._values[key] = self._value(self._reader.number("I"))
        architecture = self._architecture()
        parameters, most_used = self._weights(tensors)
        name = self._values.get("general.name")
        kind = self._number("general.file_type")
        return Header(
            architecture=architecture,
            name=_printable(name) if isinstance(name, str) else "",
            context=self._number(f"{architecture}.context_length") or None,
            has_template="tokenizer.chat_template" in self._values,
            quantisation=FILES.get(kind & ~_GUESSED, most_used) if kind is not None else most_used,
            parameters=parameters,
            size=self._size,
            cache_per_token=self._cache_per_token(architecture, tensors),
        )

    def _value(self, kind: int, depth: int = 0) -> Scalar | list[int] | None:
        """The value of type ``kind`` that comes next; None for what is read over."""
        if kind in SCALARS:
            return self._reader.scalar(SCALARS[kind])
        if kind == STRING:
            return self._reader.short_text()
        if kind != ARRAY or depth == _DEEPEST_LIST:
            raise _DamagedError("a setting in it is of an unknown type, or nested too deeply")
        kind, count = self._reader.number("I"), self._reader.number("Q")
        if kind in SCALARS:
            return self._list(SCALARS[kind], count)
        if kind == STRING:
            self._reader.skip_texts(count)
            return None
        self._nested += count
        if self._nested > _MOST_ENTRIES:
            raise _DamagedError("it holds too many lists within lists")
        for _ in range(count):
            self._value(kind, depth + 1)
        return None

    def _list(self, letter: str, count: int) -> list[int] | None:
        width = struct.calcsize(f"<{letter}")
        if count > _LONGEST_LIST or letter in "fd":
            self._reader.skip(count * width)
            return None
        return [
            int(number) for number in struct.unpack(f"<{count}{letter}", self._reader.take(count * width))
        ]

    def _architecture(self) -> str:
        architecture = self._values.get("general.architecture")
        kind = self._values.get("general.type", "model")
        if kind != "model" or architecture == "clip":
            raise KnownError(
                f"{self._path} is a GGUF file, but not a model that writes. Choose the file of the model itself."
            )
        if not isinstance(architecture, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", architecture):
            raise _DamagedError("it does not say which architecture it has")
        if (self._number("split.count") or 1) > 1:
            raise KnownError(
                f"{self._path} is one part of a model that lies in several files. Join them into one with "
                "llama-gguf-split --merge, or choose a model in one file."
            )
        return architecture

    def _weights(self, count: int) -> tuple[int, str]:
        """How many weights the ``count`` tensors have, and the type most of these are of. All lie in the file."""
        if count == 0:
            raise _DamagedError("it holds no weights")
        parameters, furthest, together = 0, 0, 0
        types: Counter[str] = Counter()
        for _ in range(count):
            self._reader.text(_LONGEST_NAME)
            dimensions = self._reader.number("I")
            if not 1 <= dimensions <= 4:
                raise _DamagedError(f"a tensor in it has {dimensions} dimensions")
            weights = 1
            for _ in range(dimensions):
                weights *= self._reader.number("Q")
            kind, offset = self._reader.number("I"), self._reader.number("Q")
            # Of a type this program does not know yet, the least that so many weights can take.
            name, block, width = TENSORS.get(kind, ("unknown", 8, 1))
            length = -(-weights // block) * width
            if length == 0:
                raise _DamagedError("a tensor in it is empty")
            parameters, together = parameters + weights, together + length
            furthest = max(furthest, offset + length)
            types[name] += weights
        alignment = self._number("general.alignment") or 32
        begin = -(-self._reader.place // alignment) * alignment
        if max(furthest, together) > self._size - begin:
            raise _DamagedError(
                f"it is cut off: of its weights, {max(0, self._size - begin):,} bytes are there"
            )
        return parameters, types.most_common(1)[0][0]

    def _cache_per_token(self, architecture: str, tensors: int) -> int:
        """What the keys and values of one token take in 16 bits; 0 when the file does not say enough."""
        blocks = self._number(f"{architecture}.block_count") or 0
        if blocks > tensors:
            raise _DamagedError(f"it announces {blocks} blocks in {tensors} tensors")
        heads = self._numbers(f"{architecture}.attention.head_count")
        shared = self._numbers(f"{architecture}.attention.head_count_kv") or heads
        if not blocks or not heads or not shared:
            return 0
        width = (self._number(f"{architecture}.embedding_length") or 0) // max(1, *heads)
        key = self._number(f"{architecture}.attention.key_length") or width
        value = self._number(f"{architecture}.attention.value_length") or width
        # One number for all blocks, or one for each.
        return 2 * (key + value) * (sum(shared) if len(shared) > 1 else blocks * shared[0])

    def _numbers(self, key: str) -> list[int]:
        """The numbers under ``key``: one, a list, or none."""
        value = self._values.get(key)
        numbers = [] if value is None else value if isinstance(value, list) else [value]
        for number in numbers:
            if not isinstance(number, int) or not 0 <= number <= _LARGEST_NUMBER:
                raise _DamagedError(f"{_printable(key)} is not a number that can be")
        return [int(number) for number in numbers]

    def _number(self, key: str) -> int | None:
        numbers = self._numbers(key)
        if len(numbers) > 1:
            raise _DamagedError(f"{_printable(key)} is a list")
        return numbers[0] if numbers else None


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:200].strip()
