"""What the window remembers from one start to the next: one small JSON file in the configuration folder."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.files import write_whole

FILE_NAME = "window.json"


@dataclass(frozen=True)
class WindowState:
    """``geometry`` is what Qt gives for it, in base 64; ``voice`` None is the plain model.

    ``others``: keys of the file this version does not know; they are kept.
    """

    geometry: str = ""
    conversation_id: int | None = None
    voice: str | None = None
    strength: float = 1.0
    others: dict[str, Any] = field(default_factory=dict)


def load(config: Path) -> WindowState:
    """The state saved in the folder ``config``. What is missing or makes no sense has its default."""
    try:
        saved = json.loads((config / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return WindowState()
    if not isinstance(saved, dict):
        return WindowState()
    known: dict[str, Any] = {}
    kinds: dict[str, Any] = {
        "geometry": str,
        "conversation_id": (int, type(None)),
        "voice": (str, type(None)),
        "strength": (int, float),
    }
    for name, kind in kinds.items():
        if name in saved and isinstance(saved[name], kind) and not isinstance(saved[name], bool):
            known[name] = saved[name]
    if not 0.0 <= known.get("strength", 1.0) <= 2.0:
        del known["strength"]
    return WindowState(**known, others={key: saved[key] for key in saved if key not in kinds})


def save(config: Path, state: WindowState) -> None:
    """Write ``state`` beside the old file and move it into place. Raises OSError."""
    fields = dataclasses.asdict(state)
    text = json.dumps(fields.pop("others") | fields, ensure_ascii=False, indent=2) + "\n"
    write_whole(config / FILE_NAME, text)
