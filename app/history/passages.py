"""From a document to passages: 70–200 words of prose each."""

from __future__ import annotations


def cut(text: str) -> list[str]:
    """The passages of ``text``."""
    return [text.strip()] if len(text.split()) >= 25 else []
