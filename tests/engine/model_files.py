"""Model files taken apart and put together again with something in them that does not belong there.

The weights themselves are left out: they are zeros, which take no room on the disk.
"""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import gguf

Kind = gguf.GGMLQuantizationType

# Loads the model of every line and says what became of it.
_LOADS = """
import sys
from pathlib import Path
from engine.errors import EngineError
from engine.native import Weights

if sys.platform == "linux":
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
for line in sys.stdin:
    try:
        Weights(Path(line.rstrip())).close()
        print("loaded", flush=True)
    except EngineError:
        print("refused", flush=True)
"""


@dataclass
class Tensor:
    """What the header says of a tensor; ``offset`` None: right behind the one before it."""

    name: bytes
    shape: list[int]
    kind: int
    offset: int | None = None

    @property
    def size(self) -> int:
        """In bytes; of an unknown kind, as if it were float32."""
        known = self.kind in gguf.GGML_QUANT_SIZES
        block, width = gguf.GGML_QUANT_SIZES[Kind(self.kind)] if known else (1, 4)
        return math.prod(self.shape) // int(block) * int(width)


@dataclass
class ModelFile:
    """The parts of a model file: pairs of a key and its value, type and all, and tensors. To be changed at will."""

    pairs: list[tuple[bytes, bytes]]
    tensors: list[Tensor]
    architecture: str
    alignment: int = 32
    version: int = 3
    tensor_count: int | None = None  # what the file announces, where it is not the truth
    pair_count: int | None = None
    numbers: list[tuple[int, int]] = field(
        default_factory=list
    )  # place and width of each in the last `header`

    @classmethod
    def of(cls, path: Path) -> ModelFile:
        """The parts of the sound file ``path``, read by another reader than the one under test."""
        reader = gguf.GGUFReader(path)
        pairs = []
        for name, each in reader.fields.items():
            if not name.startswith("GGUF."):  # the counts, made to look like keys
                raw = b"".join(part.tobytes() for part in each.parts)
                pairs.append((name.encode(), raw[8 + len(name.encode()) :]))
        tensors = [
            Tensor(each.name.encode(), [int(size) for size in each.shape], int(each.tensor_type))
            for each in reader.tensors
        ]
        return cls(pairs, tensors, reader.fields["general.architecture"].contents())

    def copy(self) -> ModelFile:
        """The same, to be changed without a trace in this one."""
        return replace(self, pairs=list(self.pairs), tensors=[replace(each) for each in self.tensors])

    def set(self, key: str | bytes, value: bytes) -> None:
        """Give ``key`` another value, or add it."""
        name = key.encode() if isinstance(key, str) else key
        kept = [each for each in self.pairs if each[0] != name]
        self.pairs = [*kept, (name, value)]

    def get(self, key: str) -> bytes:
        """The value of ``key``, type and all."""
        return dict(self.pairs)[key.encode()]

    def header(self) -> bytes:
        """All that is in front of the weights."""
        self.numbers = []
        made = bytearray(b"GGUF")

        def number(value: int, form: str) -> None:
            self.numbers.append((len(made), struct.calcsize(form)))
            made.extend(struct.pack(form, value))

        def text(value: bytes) -> None:
            number(len(value), "<Q")
            made.extend(value)

        number(self.version, "<I")
        number(len(self.tensors) if self.tensor_count is None else self.tensor_count, "<Q")
        number(len(self.pairs) if self.pair_count is None else self.pair_count, "<Q")
        for key, value in self.pairs:
            text(key)
            at = len(made)
            made += value
            self.numbers += [(at + place, 4) for place in range(0, min(len(value) - 3, 16), 4)]
        place = 0
        for tensor in self.tensors:
            text(tensor.name)
            number(len(tensor.shape), "<I")
            for size in tensor.shape:
                number(size, "<Q")
            number(tensor.kind, "<I")
            number((place if tensor.offset is None else tensor.offset) % 2**64, "<Q")
            place += self._padded(tensor.size)
        return bytes(made.ljust(self._padded(len(made)), b"\0"))

    @property
    def size(self) -> int:
        """Of the whole file, without tensors that no disk has room for."""
        sizes = [self._padded(tensor.size) for tensor in self.tensors]
        return len(self.header()) + sum(size for size in sizes if size < 2**30)

    def write(self, path: Path) -> Path:
        """Write it to ``path``."""
        return write_sparse(path, self.header(), self.size)

    def _padded(self, size: int) -> int:
        return -(-size // self.alignment) * self.alignment


class LoadingProcess:
    """A process that loads models in llama.cpp, one after the other."""

    def __init__(self) -> None:
        self._process = self._started()

    def loads(self, path: Path) -> bool:
        """Whether llama.cpp loads ``path``. Fails the test when that ends the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{path}\n".encode())
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        if not said:
            self.close()
            ended, self._process = self._process.returncode, self._started()
            raise AssertionError(f"llama.cpp ended the process ({ended})")
        return said == b"loaded\n"

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", _LOADS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


def write_sparse(path: Path, header: bytes, size: int) -> Path:
    """Write ``header`` to ``path``, and zeros up to ``size``."""
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return path


def uint32(value: int) -> bytes:
    return struct.pack("<II", 4, value)


def text(value: str) -> bytes:
    return struct.pack("<IQ", 8, len(value.encode())) + value.encode()


def numbers(values: list[int]) -> bytes:
    return struct.pack(f"<IIQ{len(values)}I", 9, 4, len(values), *values)


def texts(values: list[bytes]) -> bytes:
    return struct.pack("<IIQ", 9, 8, len(values)) + b"".join(
        struct.pack("<Q", len(value)) + value for value in values
    )
