"""The people whose writing is learnt from: a folder of files each, read as the importer reads them.

Goes in: a folder with one folder a person. Comes out: `Author`s, their documents in the order they were written,
the most recent last, and shared out by `calibrate.select.split`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from app.errors import KnownError
from app.history import readers
from app.history.order import in_order, natural_key
from app.history.passages import cut
from app.history.records import NewDocument
from calibrate.messages import JobDocument, JobPassage
from calibrate.queries import Queries
from calibrate.select import Split, evenly, split
from calibrate.text import Rarity


@dataclass(frozen=True)
class Author:
    """One person: ``name`` is that of the folder; ``documents`` as a `calibrate.messages.Job` takes them."""

    name: str
    documents: tuple[JobDocument, ...]

    @cached_property
    def parts(self) -> Split:
        """Train, validation and held-out passages. Only measuring may look at ``held_out``."""
        return split(self.documents)

    def queries(self, seed: int) -> Queries:
        """Fabricates this person's queries as a run does: nothing held out says which words are rare."""
        return Queries(Rarity(each.text for each in (*self.parts.train, *self.parts.validation)), seed)


def read_authors(folder: Path) -> list[Author]:
    """The people in ``folder``, by name. Raises KnownError for fewer than two, or one with nothing to hold out."""
    if not folder.is_dir():
        raise KnownError(
            f"There is no folder {folder}. Give one that holds a folder of texts for each person."
        )
    found = [read_author(each) for each in sorted(folder.iterdir()) if _is_seen(each) and each.is_dir()]
    authors = [author for author in found if author.documents]
    if len(authors) < 2:
        raise KnownError(
            f"{folder} holds {len(authors)} folders with texts; two people or more are needed, since likeness "
            "to one is held against the text of others."
        )
    for author in authors:
        if not (author.parts.train and author.parts.held_out):
            raise KnownError(
                f"{folder / author.name} holds too little text to keep some of it for measuring."
            )
    return authors


def read_author(folder: Path) -> Author:
    """The person whose texts are in ``folder``. Raises KnownError for a file that cannot be read.

    A passage that occurs several times comes once, where it was written first.
    """
    files = [
        path for path in folder.rglob("*") if _is_seen(path) and readers.kind_of(path) and path.is_file()
    ]
    files.sort(key=lambda path: natural_key(str(path.relative_to(folder))))
    written = [document for path in files for document in _read(path)]
    seen: set[str] = set()
    documents: list[JobDocument] = []
    for document in in_order(written, lambda each: each.written_at):
        texts = [text for text in cut(document.text) if text not in seen]
        passages = tuple(JobPassage(len(seen) + number, text) for number, text in enumerate(texts))
        seen.update(texts)
        if passages:
            documents.append(JobDocument(len(documents), document.title, document.written_at, passages))
    return Author(folder.name, tuple(documents))


def history_of(author: Author, count: int) -> tuple[JobDocument, ...]:
    """A history of ``count`` passages, evenly out of the training share, still in their documents."""
    kept = {each.id for each in evenly(author.parts.train, count)}
    shortened = (
        replace(document, passages=tuple(each for each in document.passages if each.id in kept))
        for document in author.documents
    )
    return tuple(document for document in shortened if document.passages)


def chosen_authors(authors: Sequence[Author], names: Sequence[str]) -> list[Author]:
    """The ``authors`` called ``names``, all where there are none. Raises KnownError for a name nobody has."""
    known = {author.name: author for author in authors}
    if unknown := [name for name in names if name not in known]:
        raise KnownError(f"There is no author {unknown[0]!r}; there are {', '.join(known)}.")
    return [known[name] for name in names] if names else list(authors)


def _read(path: Path) -> list[NewDocument]:
    try:
        return readers.read(path)
    except readers.ReadError as error:
        raise KnownError(f"{path} {error}. Mend it, or take it out.") from error


def _is_seen(path: Path) -> bool:
    return not path.name.startswith((".", "~$"))
