"""Word documents."""

from __future__ import annotations

import io
from pathlib import Path

import docx

from app.history.readers.common import ReadError
from app.history.records import NewDocument


def parse(path: Path, data: bytes) -> list[NewDocument]:
    """One document: the paragraphs of the body."""
    try:
        document = docx.Document(io.BytesIO(data))
    except Exception as error:
        raise ReadError("is damaged, or no Word document") from error
    text = "\n\n".join(paragraph.text for paragraph in document.paragraphs)
    return [NewDocument(path.stem, None, "note", text)]
