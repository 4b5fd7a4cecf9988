"""What the tests of downloads have in common: the file, and a look at what is left of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from app.modelstore.partial import Part
from app.modelstore.registry import Registered, Registry, models_folder
from app.places import Places
from tests.app.modelstore.files import F32, PAIRS, model

Get = Callable[..., Registered]

CONTENT = model(
    PAIRS, [("token_embd.weight", (512, 128), F32), ("blk.0.w", (64,), F32), ("blk.1.w", (64,), F32)]
)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
HALF = SIZE // 2


def nothing_left(places: Places) -> None:
    """Neither a file nor a part of one, and nothing entered."""
    assert [each.name for each in models_folder(places).iterdir() if each.suffix != ".lock"] == []
    assert Registry(places).models() == ()


def part_of(places: Places) -> Part:
    return Part(models_folder(places) / "tiny.gguf")
