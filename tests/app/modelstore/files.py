"""Model files by hand, byte by byte, so that any byte of one can be forged."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

UINT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 6, 7, 8, 9, 10
F32, F16 = 0, 1

Tensor = tuple[str, tuple[int, ...], int]

TENSORS: Sequence[Tensor] = (
    ("token_embd.weight", (64, 32), F32),
    ("blk.0.w", (64,), F32),
    ("blk.1.w", (64,), F32),
)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def string(value: str) -> bytes:
    """A text as the value of a key."""
    return struct.pack("<I", STRING) + text(value)


def number(value: int) -> bytes:
    return struct.pack("<II", UINT32, value)


def numbers(*values: int) -> bytes:
    return struct.pack(f"<IIQ{len(values)}I", ARRAY, UINT32, len(values), *values)


def strings(*values: str) -> bytes:
    return struct.pack("<IIQ", ARRAY, STRING, len(values)) + b"".join(map(text, values))


def nested(depth: int) -> bytes:
    """A list in a list in a list …, the innermost one empty."""
    return struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * depth + struct.pack("<IQ", UINT32, 0)


PAIRS: Mapping[str, bytes] = {
    "general.architecture": string("llama"),
    "general.name": string("Tiny"),
    "general.file_type": number(15),
    "llama.context_length": number(2048),
    "llama.block_count": number(2),
    "llama.embedding_length": number(64),
    "llama.attention.head_count": number(8),
    "llama.attention.head_count_kv": number(2),
    "tokenizer.ggml.tokens": strings("a", "b", "c"),
    "tokenizer.chat_template": string("{{ messages }}"),
}


def model(
    pairs: Mapping[str, bytes] = PAIRS,
    tensors: Sequence[Tensor] = TENSORS,
    *,
    version: int = 3,
    tensor_count: int | None = None,
    pair_count: int | None = None,
    bare: bool = False,
) -> bytes:
    """A model file. The counts are those of what is in it, unless others are claimed; ``bare`` has no weights."""
    head = b"GGUF" + struct.pack(
        "<IQQ",
        version,
        len(tensors) if tensor_count is None else tensor_count,
        len(pairs) if pair_count is None else pair_count,
    )
    head += b"".join(text(key) + value for key, value in pairs.items())
    offset = 0
    for name, shape, kind in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        offset += weights(shape) * (4 if kind == F32 else 2)
    head += bytes(-len(head) % 32)
    return head + (b"" if bare else bytes(offset))


def weights(shape: Sequence[int]) -> int:
    product = 1
    for each in shape:
        product *= each
    return product
