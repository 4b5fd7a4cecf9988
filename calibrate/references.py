"""Bundled texts of other people, against which likeness is held.

Comes out: passages of the invented writers under resources/reference-voices, a paragraph or a few each.
"""

from __future__ import annotations

from importlib.resources.abc import Traversable

from resources import resource

_FEWEST_WORDS = 70


def reference_passages() -> dict[str, list[str]]:
    """Passages of at least 70 words by writer, in a fixed order."""
    writers: dict[str, list[str]] = {}
    for folder in _sorted(resource("reference-voices")):
        if folder.is_dir():
            texts = [
                file.read_text(encoding="utf-8") for file in _sorted(folder) if file.name.endswith(".txt")
            ]
            writers[folder.name] = [passage for text in texts for passage in _passages(text)]
    return writers


def _passages(text: str) -> list[str]:
    passages: list[str] = []
    gathered: list[str] = []
    for paragraph in text.split("\n\n"):
        gathered.append(" ".join(paragraph.split()))
        if sum(len(part.split()) for part in gathered) >= _FEWEST_WORDS:
            passages.append("\n\n".join(gathered))
            gathered = []
    return passages


def _sorted(folder: Traversable) -> list[Traversable]:
    return sorted(folder.iterdir(), key=lambda entry: entry.name)
