"""Plain text files."""

from __future__ import annotations

from pathlib import Path

from app.history.readers.common import ReadError
from app.history.records import NewDocument


def parse(path: Path, data: bytes) -> list[NewDocument]:
    """One document: the text of the file."""
    try:
        return [NewDocument(path.stem, None, "note", data.decode())]
    except UnicodeDecodeError as error:
        raise ReadError("is no text") from error
