"""A look at a model file before native code sees it: is it there, readable, a GGUF, and large enough to be whole.

Goes in: a path. Comes out: nothing, or an EngineError naming the file, what is wrong with it and what to do.
"""

from __future__ import annotations

import struct
from pathlib import Path

from engine.errors import EngineError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of key-value pairs
# The fewest bytes one takes: a tensor's name length, dimensions, type and offset; a pair's key length, type, value.
_SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8
_SMALLEST_PAIR = 8 + 1 + 4 + 1
_MEND = "Get it again, or choose another model."


def check_model_file(path: Path) -> None:
    """Raise EngineError when ``path`` cannot be the file of a model."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise EngineError(f"{path} is a folder, not a model file. Choose the .gguf file itself.")
        with path.open("rb") as file:
            start = file.read(_HEADER.size)
    except FileNotFoundError as error:
        raise EngineError(
            f"The model file {path} is not there. Choose another model, or put it back."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineError(
            f"The model file {path} cannot be read: {reason}. Check its permissions."
        ) from error
    if start[:4] != _MAGIC:
        raise EngineError(f"{path} is not a GGUF model file. {_MEND}")
    if len(start) < _HEADER.size:
        raise EngineError(f"The model file {path} is cut off after {size} bytes. {_MEND}")
    _, version, tensors, pairs = _HEADER.unpack(start)
    if version not in _VERSIONS:
        raise EngineError(
            f"The model file {path} is of GGUF version {version}; this program reads {_VERSIONS[0]} and "
            f"{_VERSIONS[1]}. Get a newer copy of the model."
        )
    if tensors == 0:
        raise EngineError(f"The model file {path} holds no weights. {_MEND}")
    if _HEADER.size + tensors * _SMALLEST_TENSOR + pairs * _SMALLEST_PAIR > size:
        raise EngineError(
            f"The model file {path} is damaged: it announces {tensors} tensors and {pairs} settings, which do "
            f"not fit into its {size} bytes. {_MEND}"
        )
