"""Adapter files with something in them that does not belong there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest

from engine.adapterfile import read_low_rank_edit
from engine.voicefile import VoiceFileError, read_control_vector
from tests.engine.helpers import Array

Write = Callable[[gguf.GGUFWriter], None]
A, B = np.ones((2, 128), dtype=np.float32), np.ones((64, 2), dtype=np.float32)
ADAPTER = {"blk.1.ffn_down.weight.lora_a": A, "blk.1.ffn_down.weight.lora_b": B}


def refusal(path: Path) -> str:
    """What is said to a file that neither reader lets through; that of its own kind comes first."""
    said = []
    for read in (read_low_rank_edit, read_control_vector):
        with pytest.raises(VoiceFileError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        said.append(str(caught.value))
    return said[0]


def forged_adapter(
    path: Path,
    tensors: Mapping[str, Array] = ADAPTER,
    *,
    architecture: str = "llama",
    kind: Write = lambda writer: writer.add_type("adapter"),
    lora: Write = lambda writer: writer.add_string("adapter.type", "lora"),
    alpha: Write = lambda writer: writer.add_float32("adapter.lora.alpha", 2.0),
    more: Write = lambda writer: None,
) -> Path:
    """An adapter as this program writes it, or with something else in place."""
    writer = gguf.GGUFWriter(path, architecture)
    for write in (kind, lora, alpha, more):
        write(writer)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
