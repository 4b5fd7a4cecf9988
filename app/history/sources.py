"""Sources, their documents, and the passages that can be learnt from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from app.history.database import Database
from app.history.order import in_order, natural_key
from app.history.passages import cut
from app.history.records import NewDocument, Passage, Source, Totals, TrainingDocument
from app.history.tables import Tables
from app.history.textwork import count_words, sha256_of, storable
from app.history.times import now

# Each passage counts once for a source, however often the file holds it.
_SOURCES = """
SELECT source.*, (SELECT count(*) FROM document WHERE source_id = source.id) AS documents,
    count(held.sha256) AS passages, coalesce(sum(held.words), 0) AS words
FROM source LEFT JOIN (
    SELECT DISTINCT document.source_id, passage.sha256, passage.words
    FROM passage JOIN document ON document.id = passage.document_id
) AS held ON held.source_id = source.id
"""


class Sources:
    """The part of the store that holds what was imported."""

    _database: Database

    def totals(self) -> Totals:
        """How much the history holds."""
        with self._database.read() as db:
            row = db.execute(
                "SELECT (SELECT count(*) FROM source), (SELECT count(*) FROM document), count(*), "
                "coalesce(sum(words), 0) FROM (SELECT DISTINCT sha256, words FROM passage)"
            ).fetchone()
        return Totals(*row)

    def sources(self) -> list[Source]:
        """All sources, in natural order of their paths."""
        with self._database.read() as db:
            rows = list(db.query(f"{_SOURCES} GROUP BY source.id"))
        return sorted((Source(**row) for row in rows), key=lambda source: natural_key(source.path))

    def source_at(self, path: Path | str) -> Source | None:
        """The source imported from ``path``, None where there is none."""
        with self._database.read() as db:
            rows = list(db.query(f"{_SOURCES} WHERE source.path = ? GROUP BY source.id", [stored_path(path)]))
        return Source(**rows[0]) if rows else None

    def fingerprints(self) -> dict[str, str]:
        """The SHA-256 of every source by its path, as `stored_path` writes it."""
        with self._database.read() as db:
            return dict(db.execute("SELECT path, sha256 FROM source").fetchall())

    def add_source(
        self, path: Path | str, kind: str, sha256: str, documents: Sequence[NewDocument]
    ) -> Source:
        """Take a file into the history, in one transaction, and cut its documents into passages.

        A source already there with the same ``sha256`` stays as it is. One with another is replaced: passages
        that are still in the file keep their ids, and so their pairs; the voices learnt from it are marked
        out of date.
        """
        row = {"path": stored_path(path), "kind": kind, "sha256": sha256, "imported_at": now()}
        cuts = [(document, cut(document.text)) for document in documents]
        former = self._former(row["path"])
        if former is None:
            with self._database.write() as db:
                _write_documents(db, _insert(db, "source", row), cuts, {})
        elif former[1] != sha256:
            with self._database.erase() as db:
                _mark_out_of_date(db, former[0])
                db.table("source").update(former[0], row)
                _replace_documents(db, former[0], cuts)
        found = self.source_at(row["path"])
        assert found is not None
        return found

    def _former(self, path: str) -> tuple[int, str] | None:
        """The id and SHA-256 of the source at ``path`` as it is held now."""
        with self._database.read() as db:
            row: tuple[int, str] | None = db.execute(
                "SELECT id, sha256 FROM source WHERE path = ?", [path]
            ).fetchone()
        return row

    def remove_source(self, source_id: int) -> None:
        """Remove a source with its documents, passages and pairs, leaving nothing of their text in the file;
        voices learnt from it become out of date."""
        with self._database.erase() as db:
            _mark_out_of_date(db, source_id)
            db.execute("DELETE FROM source WHERE id = ?", [source_id])

    def training_documents(self, source_ids: Collection[int] | None = None) -> list[TrainingDocument]:
        """What can be learnt from, of these sources or of all, in the order it was written.

        A passage that occurs several times comes once, where it was written first; documents without
        passages are left out.
        """
        wanted = None if source_ids is None else frozenset(source_ids)
        with self._database.read() as db:
            documents = list(
                db.query(
                    "SELECT document.id, source_id, title, written_at, position, path FROM document "
                    "JOIN source ON source.id = source_id"
                )
            )
            passages: dict[int, list[tuple[str, Passage]]] = {}
            for number, document_id, text, words, sha256 in db.execute(
                "SELECT id, document_id, text, words, sha256 FROM passage ORDER BY document_id, position"
            ):
                passages.setdefault(document_id, []).append((sha256, Passage(number, text, words)))
        documents = [row for row in documents if wanted is None or row["source_id"] in wanted]
        documents.sort(key=lambda row: (natural_key(row["path"]), row["position"]))
        seen: set[str] = set()
        found = []
        for row in in_order(documents, lambda row: row["written_at"]):
            own = []
            for sha256, passage in passages.get(row["id"], ()):
                if sha256 not in seen:
                    seen.add(sha256)
                    own.append(passage)
            if own:
                found.append(
                    TrainingDocument(row["id"], row["source_id"], row["title"], row["written_at"], tuple(own))
                )
        return found


def stored_path(path: Path | str) -> str:
    """The path as the database holds it: a name that is no text keeps its bytes, written out."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _insert(db: Tables, table: str, row: dict[str, Any]) -> int:
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    number = db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(row.values())).lastrowid
    assert number is not None
    return number


def _write_documents(
    db: Tables, source_id: int, cuts: Sequence[tuple[NewDocument, list[str]]], kept: dict[str, list[int]]
) -> None:
    """Insert documents and passages; passages whose text is in ``kept`` are moved here with their id."""
    for position, (document, pieces) in enumerate(cuts):
        body = storable(document.text)
        row = {"source_id": source_id, "position": position, "title": storable(document.title)}
        row |= {"written_at": document.written_at, "register": document.register}
        document_id = _insert(db, "document", row | {"body": body, "sha256": sha256_of(body)})
        for number, piece in enumerate(pieces):
            text = storable(piece)
            sha256 = sha256_of(text)
            place = {"document_id": document_id, "position": number}
            if kept.get(sha256):
                db.execute(
                    "UPDATE passage SET document_id = :document_id, position = :position WHERE id = :id",
                    place | {"id": kept[sha256].pop(0)},
                )
            else:
                _insert(db, "passage", place | {"text": text, "words": count_words(text), "sha256": sha256})


def _replace_documents(db: Tables, source_id: int, cuts: Sequence[tuple[NewDocument, list[str]]]) -> None:
    former = [number for (number,) in db.execute("SELECT id FROM document WHERE source_id = ?", [source_id])]
    kept: dict[str, list[int]] = {}
    for sha256, number in db.execute(
        "SELECT passage.sha256, passage.id FROM passage JOIN document ON document.id = document_id "
        "WHERE source_id = ? ORDER BY passage.id",
        [source_id],
    ):
        kept.setdefault(sha256, []).append(number)
    _write_documents(db, source_id, cuts, kept)
    for number in former:
        db.execute("DELETE FROM document WHERE id = ?", [number])


def _mark_out_of_date(db: Tables, source_id: int) -> None:
    db.execute(
        "UPDATE run SET out_of_date = 1 WHERE id IN (SELECT run_id FROM run_source WHERE source_id = ?)",
        [source_id],
    )
