"""Readers of file formats: a file goes in, its documents come out.

Each format has a module of its own with one function ``parse(path, data) -> list[NewDocument]``; it is listed
here by the suffix of its files.
"""

from __future__ import annotations

import importlib
import stat
from dataclasses import replace
from pathlib import Path

from app.history.readers.common import ReadError, date_in_name
from app.history.records import NewDocument

__all__ = ["SUFFIXES", "ReadError", "kind_of", "load", "parse", "read"]

# Imported when the first file of the kind is met: the window must not wait for them.
_MODULES = {
    ".txt": "app.history.readers.plain",
    ".md": "app.history.readers.markdown",
    ".docx": "app.history.readers.word",
}
SUFFIXES = tuple(_MODULES)

LARGEST_FILE = 50 * 1024 * 1024


def kind_of(path: Path) -> str | None:
    """What the file is, by its suffix: txt, md or docx; None for what no reader here knows."""
    suffix = path.suffix.lower()
    return suffix[1:] if suffix in _MODULES else None


def load(path: Path) -> bytes:
    """The bytes of the file. Raises ReadError where it cannot or should not be read."""
    try:
        # A pipe or device would be waited for, perhaps forever, by opening it.
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ReadError("is no file: a pipe, a device or something else that cannot be imported")
        if found.st_size > LARGEST_FILE:
            raise ReadError(_too_large())
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise ReadError("is not there (any more)") from error
    except OSError as error:
        raise ReadError(f"cannot be read ({error.strerror or error}); check its permissions") from error
    if len(data) > LARGEST_FILE:  # it grew while it was read
        raise ReadError(_too_large())
    if not data:
        raise ReadError("is empty")
    return data


def parse(path: Path, data: bytes) -> list[NewDocument]:
    """The documents in ``data``, the bytes of the file at ``path``. Raises ReadError with the reason why there
    are none."""
    kind = kind_of(path)
    if kind is None:
        raise ReadError(f"is of a kind Idiolect does not read; it reads {', '.join(SUFFIXES)}")
    documents: list[NewDocument] = importlib.import_module(_MODULES[f".{kind}"]).parse(path, data)
    if not any(document.text.strip() for document in documents):
        raise ReadError("holds no text")
    # Where the file itself does not say when it was written, its name may.
    named = date_in_name(path.stem)
    return [replace(document, written_at=document.written_at or named) for document in documents]


def read(path: Path) -> list[NewDocument]:
    """The documents in the file at ``path``. Raises ReadError with the reason why there are none."""
    return parse(path, load(path))


def _too_large() -> str:
    return f"is larger than {LARGEST_FILE // 2**20} MB; split it, or save only the text of it"
