"""Files as people have them, and files made to do harm: taken in with sensible text, or named and left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.history import readers
from app.history.importer import import_paths
from app.history.passages import cut
from app.history.store import Store
from app.history.textwork import count_words
from tests.app.history.writing import shared


def text_of(name: str) -> str:
    (document,) = readers.read(shared("imports", name))
    return document.text


@pytest.mark.parametrize(
    "name", ["enc-cp1252-essay.txt", "enc-utf16-bom-crlf-essay.txt", "enc-utf16le-nobom-essay.txt"]
)
def test_an_essay_is_the_same_essay_in_every_encoding(name: str) -> None:
    text = text_of(name)
    assert text.startswith("This old pageant included a series of figures from the eighteenth century")
    assert text.endswith("dress up as Dr. Johnson.")
    assert "“" in text
    assert "\ufffd" not in text
    assert len(text.split("\n\n")) > 3
    passages = cut(text)
    assert all(70 <= count_words(passage) <= 200 for passage in passages)
    assert sum(map(count_words, passages)) > 1300


def test_a_file_of_two_encodings_is_read_in_both() -> None:
    text = text_of("enc-mixed-utf8-latin1.txt")
    assert "In the café a naïve piñata said “so”." in text
    assert text.endswith("Then a Latin-1 line: café, naïve, piñata.")


def test_a_note_of_a_note_program_is_its_words_only() -> None:
    (note,) = readers.read(shared("imports", "obsidian-evergreen-note.md"))
    assert note.written_at == "2023-09-14"
    assert note.text.startswith("Using evergreen notes in Obsidian has been")
    assert not any(sign in note.text for sign in ("[[", "]]", "categories", "---"))
    (passage,) = cut(note.text)
    assert "> " not in passage, "a quotation is not learnt from"
    assert passage.endswith("all in your head at the same time.")


def test_a_meeting_in_one_line_is_too_little_to_learn_from_but_is_read() -> None:
    text = text_of("obsidian-meeting.md")
    assert text == "- Discussed the book Out of Control on the topic of Emergence"
    assert cut(text) == []


def test_word_documents_are_read_without_headers_and_pictures() -> None:
    text = text_of("docx-headers-footers.docx")
    assert text.startswith("This is a fairly simple word document, over two pages, with headers and footers.")
    assert "Molière" in text
    assert "This is page two. Les Précieuses ridicules. The end." in text
    essay = text_of("docx-plain-essay.docx")
    assert essay.startswith("I love word documents. They are lovely.")
    assert len(cut(essay)) >= 2


def test_a_folder_of_all_kinds_goes_in_as_far_as_it_can(store: Store) -> None:
    result = import_paths(store, [shared("imports")])
    assert result.added >= 10
    assert {skipped.path.name: skipped.reason for skipped in result.skipped} == {
        "docx-tables.docx": "holds no text"
    }


def test_files_made_to_do_harm_are_named_or_read_safely(store: Store) -> None:
    folder = shared("hostile")
    result = import_paths(store, [path for path in sorted(folder.iterdir()) if path.suffix != ".md"])
    reasons = {skipped.path.name: skipped.reason for skipped in result.skipped}
    for name in ("docx-fuzz-poi-1.docx", "docx-fuzz-poi-2.docx", "docx-truncated-poi.docx"):
        assert reasons[name] == "is damaged, or no Word document"
    assert "does not read" in reasons["xlsx-xmlbomb-poi.xlsx"]
    (source,) = store.sources()
    assert Path(source.path).name == "docx-external-entity-poi.docx"
    (document,) = readers.read(folder / "docx-external-entity-poi.docx")
    assert document.text == 'Here should not be the POI web site: "'
    assert result.added + len(reasons) == len(list(folder.iterdir())) - 1


def test_the_same_files_under_names_that_lie_do_no_harm(store: Store, writing: Path) -> None:
    for path in shared("hostile").iterdir():
        for suffix in (".txt", ".md", ".docx"):
            (writing / f"{path.name}{suffix}").write_bytes(path.read_bytes())
    result = import_paths(store, [writing])
    assert result.added + len(result.skipped) == len(list(writing.iterdir()))
