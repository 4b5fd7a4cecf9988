"""Files that travel with the program: prompts, sample writing, reference voices, the model catalogue."""

from __future__ import annotations

from importlib import resources as _resources
from importlib.resources.abc import Traversable


def resource(*parts: str) -> Traversable:
    """The bundled file or folder at ``parts``, in a checkout, a wheel or a frozen binary alike."""
    return _resources.files(__name__).joinpath(*parts)


def read_text(*parts: str) -> str:
    """The text of the bundled file at ``parts``, without surrounding blank lines."""
    return resource(*parts).read_text(encoding="utf-8").strip()
