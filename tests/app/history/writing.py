"""Writing for tests of the history: prose whose every passage is its own, and files of the formats that are read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import docx
import pytest

from app.history.records import NewDocument
from app.history.store import Store

_WORDS = "harbour ferry evening letter kettle neighbour garden window winter pencil bridge market".split()  # noqa: SIM905


def sentence(mark: str, number: int) -> str:
    """A sentence of ten words that no other has."""
    word, other = _WORDS[number % 12], _WORDS[(number // 12) % 12]
    return f"{mark} saw the {word} and the {other} once more {number}."


def prose(words: int, mark: str = "Anna") -> str:
    """One paragraph of ``words`` words, in sentences of ten."""
    return " ".join(sentence(mark, number) for number in range(words // 10))


def new_document(words: int = 100, mark: str = "Anna", written_at: str | None = None) -> NewDocument:
    return NewDocument(f"letter of {mark}", written_at, "note", prose(words, mark))


def add(store: Store, path: str, *documents: NewDocument, sha256: str = "1") -> int:
    """Take documents in as the file at ``path``; the id of the source."""
    return store.add_source(path, "txt", sha256, documents).id


def word_file(*paragraphs: str) -> bytes:
    """A Word document of these paragraphs."""
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def changed_word_file(
    data: bytes, change: Callable[[str], str], extra: Sequence[tuple[str, bytes]] = ()
) -> bytes:
    """The Word document ``data`` with its main XML changed and more parts beside it."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "word/document.xml":
                part = change(part.decode()).encode()
            new.writestr(name, part)
        for name, part in extra:
            new.writestr(name, part)
    return file.getvalue()


def shared(*parts: str) -> Path:
    """A real file beside the checkout; the test is skipped where it is missing."""
    path = Path(__file__).parents[4].joinpath("shared", "data", *parts)
    if not path.exists():
        pytest.skip(f"there is no {path} here; it lies beside the project's own checkout only")
    return path
