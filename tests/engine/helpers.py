"""What the tests of the engine share: tiny models with something changed, what a model makes of tokens, edits."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from engine.adapterfile import LowRankEdit, write_low_rank_edit
from engine.chat import Prompt
from engine.container import Provenance
from engine.messages import ChatTurn, Sampling
from engine.model import Model
from engine.native import Logits
from engine.voicefile import ControlVector, write_control_vector
from tests.tiny_models import END, START

Array = NDArray[np.float32]

LAYERS, HIDDEN, INNER = 4, 64, 128
GREEDY = Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=24, seed=1)
SYSTEM = ChatTurn("system", "You are kind.")
MADE = Provenance(
    voice="mine",
    model_name="Tiny Llama",
    model_sha256="",
    method="refine",
    settings='{"seed": 0}',
    made_at="2024-01-01T00:00:00+00:00",
    pairs=48,
    strength=1.25,
    own=-0.5,
    others=None,
)


def user(text: str) -> ChatTurn:
    return ChatTurn("user", text)


def chatml(*turns: ChatTurn) -> str:
    """What the template of the tiny models makes of ``turns``, a system turn among them."""
    said = "".join(f"{START}{turn.role}\n{turn.content}{END}\n" for turn in turns)
    return f"{said}{START}assistant\n"


def ask(
    model: Model, turns: str | Sequence[ChatTurn] = "Write to my friend.", sampling: Sampling = GREEDY
) -> str:
    """The whole answer of ``model`` to ``turns``, or to the one user turn ``turns``."""
    turns = [SYSTEM, user(turns)] if isinstance(turns, str) else turns
    return "".join(model.answer(prompt_of(model, turns, sampling), sampling))


def prompt_of(model: Model, turns: Sequence[ChatTurn], sampling: Sampling = GREEDY) -> Prompt:
    return model.chat.prompt(turns, model.context_tokens, sampling.max_tokens)


def spelt(model: Model, tokens: Sequence[int]) -> str:
    """``tokens`` as text, control tokens by their names."""
    weights = model.weights
    pieces = [
        weights.name_of(token).encode() if weights.is_special(token) else weights.piece(token)
        for token in tokens
    ]
    return b"".join(pieces).decode()


def expected_after(model: Model, tokens: Sequence[int]) -> Logits:
    """The logits after ``tokens``, computed anew."""
    model.read([0, 0])
    model.read(tokens)
    return model.logits()


def last_hidden(logits: Logits, output: Array) -> NDArray[np.float64]:
    """The output of the last block that ``logits`` were computed from: (hidden,).

    The tiny models make it possible: their output matrix has more rows than columns, so that the
    normalised state can be solved for, and dimension 0 of the state is always 4, which gives its length.
    """
    normalised, *_ = np.linalg.lstsq(output.astype(np.float64), logits.astype(np.float64), rcond=None)
    return np.asarray(normalised * (4.0 / normalised[0]))


def tensor_of(path: Path, name: str) -> Array:
    """The tensor ``name`` of a GGUF file."""
    (tensor,) = [each for each in gguf.GGUFReader(path).tensors if each.name == name]
    return np.array(tensor.data, dtype=np.float32)


def with_tensors_changed(model: Path, to: Path, changes: Mapping[str, Array]) -> Path:
    """A copy of ``model`` at ``to`` with ``changes`` added to its tensors."""
    data = bytearray(model.read_bytes())
    found = 0
    for tensor in gguf.GGUFReader(model).tensors:
        if tensor.name in changes:
            changed = np.ascontiguousarray(tensor.data + changes[tensor.name], dtype="<f4").tobytes()
            data[tensor.data_offset : tensor.data_offset + len(changed)] = changed
            found += 1
    assert found == len(changes)
    to.write_bytes(data)
    return to


def with_key_changed(model: Path, to: Path, key: str, value: bytes) -> Path:
    """A copy of ``model`` at ``to`` whose scalar ``key`` has the bytes ``value``."""
    data = bytearray(model.read_bytes())
    name = struct.pack("<Q", len(key)) + key.encode()
    place = data.index(name) + len(name) + 4
    data[place : place + len(value)] = value
    to.write_bytes(data)
    return to


def random_vector(
    seed: int = 0, size: float = 0.5, *, layers: Sequence[int] = (1, 2, 3), hidden: int = HIDDEN
) -> ControlVector:
    """A control vector for the tiny models that leaves dimension 0 alone."""
    random = np.random.default_rng(seed)
    directions = {layer: random.normal(0, size, hidden).astype(np.float32) for layer in layers}
    for direction in directions.values():
        direction[0] = 0.0
    return ControlVector("llama", directions, MADE)


def random_edit(
    seed: int = 0,
    size: float = 0.2,
    *,
    layers: Sequence[int] = (0, 1, 2, 3),
    rank: int = 4,
    inner: int = INNER,
    hidden: int = HIDDEN,
    architecture: str = "llama",
    provenance: Provenance | None = MADE,
) -> LowRankEdit:
    """An edit for the tiny models that leaves dimension 0 alone."""
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return random.normal(0, size, shape).astype(np.float32)

    made = {layer: (normal(rank, inner), normal(hidden, rank)) for layer in layers}
    for _, b in made.values():
        b[0] = 0.0
    return LowRankEdit(architecture, made, provenance)


def merged(model: Path, to: Path, edit: LowRankEdit, scale: float = 1.0) -> Path:
    """A copy of ``model`` at ``to`` whose matrices are edited."""
    changes = {
        f"blk.{layer}.ffn_down.weight": np.float32(scale) * (b @ a) for layer, (a, b) in edit.layers.items()
    }
    return with_tensors_changed(model, to, changes)


def vector_file(path: Path, vector: ControlVector | None = None) -> str:
    write_control_vector(path, vector or random_vector())
    return str(path)


def edit_file(path: Path, edit: LowRankEdit | None = None) -> str:
    write_low_rank_edit(path, edit or random_edit())
    return str(path)
