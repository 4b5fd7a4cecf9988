"""Plain text files."""

from __future__ import annotations

from pathlib import Path

from app.history.readers.decoding import decode
from app.history.readers.wrapping import unwrapped
from app.history.records import NewDocument
from app.history.textwork import tidy


def parse(path: Path, data: bytes) -> list[NewDocument]:
    """One document: the text of the file."""
    return [NewDocument(path.stem, None, "note", unwrapped(tidy(decode(data))))]
