"""Word documents.

The text is taken from the document's XML itself: python-docx leaves out what stands in content controls and what
was inserted while changes were tracked.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx

from app.history.readers.common import ReadError, iso_date
from app.history.records import NewDocument
from app.history.textwork import tidy

# A document of so many characters is a library; what is larger once unpacked is made to fill the memory.
_LARGEST_XML = 64 * 1024 * 1024
_LARGEST_UNPACKED = 256 * 1024 * 1024
_MOST_PARTS = 10_000
_PART_IN_ZIP = b"PK\x01\x02"
# What Word's format was before, and what a password makes of the new one.
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

# In a table, only what is long enough to be a text laid out in it, rather than the figures and names of a table.
_FEWEST_WORDS_IN_CELL = 12

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARAGRAPH, _TABLE, _TEXT = f"{_W}p", f"{_W}tbl", f"{_W}t"
_SIGNS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
# Settings, what was deleted or moved away while changes were tracked, and what floats: pictures and text boxes.
_NOT_WRITTEN = frozenset(
    f"{_W}{name}" for name in ("pPr", "rPr", "del", "moveFrom", "drawing", "pict", "object")
)
_ALTERNATIVE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def parse(path: Path, data: bytes) -> list[NewDocument]:
    """One document: the paragraphs of the body, without headers, footers, notes and comments."""
    if data.startswith(_COMPOUND_FILE):
        raise ReadError("has a password or is of an older Word; save it anew as .docx, without a password")
    try:
        _check_sizes(data)
        document = docx.Document(io.BytesIO(data))
        text = "\n\n".join(_paragraphs(document.element.body))
        created = document.core_properties.created
    except ReadError:
        raise
    except Exception as error:  # whatever a file made by strangers brings about in a parser
        raise ReadError("is damaged, or no Word document") from error
    written_at = iso_date(created.date().isoformat()) if created else None
    return [NewDocument(path.stem, written_at, "note", tidy(text))]


def _check_sizes(data: bytes) -> None:
    """Raise ReadError for a file that would not fit into memory once unpacked. It cannot unpack to more than it
    says: the zip reader stops there."""
    if data.count(_PART_IN_ZIP) > _MOST_PARTS:
        raise ReadError("has more parts than any Word document")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
    xml = sum(part.file_size for part in parts if part.filename.lower().endswith((".xml", ".rels")))
    if xml > _LARGEST_XML or sum(part.file_size for part in parts) > _LARGEST_UNPACKED:
        raise ReadError("is far larger than it seems once it is unpacked; save only the text of it")


def _paragraphs(element: Any, in_table: bool = False) -> Iterator[str]:
    for child in element:
        if child.tag == _PARAGRAPH:
            text = "".join(_pieces(child)).strip()
            if text and not (in_table and len(text.split()) < _FEWEST_WORDS_IN_CELL):
                yield text
        elif child.tag not in _NOT_WRITTEN:
            yield from _paragraphs(child, in_table or child.tag == _TABLE)


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == _TEXT:
            yield child.text or ""
        elif child.tag in _SIGNS:
            yield _SIGNS[child.tag]
        elif child.tag not in _NOT_WRITTEN and child.tag != _ALTERNATIVE:
            yield from _pieces(child)
