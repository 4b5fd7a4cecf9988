"""The store: everything of the person's in one SQLite file, through one object.

`Store` is put together from its parts by subject: `app.history.sources`, `app.history.voices` and
`app.history.conversations`.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from app.history.conversations import Conversations
from app.history.database import Database
from app.history.sources import Sources
from app.history.voices import Voices


class Store(Sources, Voices, Conversations):
    """An open history. Every method may be called from any thread; what it writes is on disk when it returns.

    Methods raise KnownError when the disk is full, the file is damaged, or its folder cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Store:
        """Open the history at ``path``, creating or migrating it where needed.

        Only the program that holds the data folder (`app.places.hold`) may open for writing; with
        ``read_only`` any other may read beside it. Raises KnownError for a file that is damaged, no history,
        of a newer version, or, when only reading, missing or of an older one.
        """
        return cls(Database.open(path, read_only=read_only))

    def recover(self) -> int:
        """Settle what a killed program left behind: answers and runs under way are marked as interrupted, with
        all that had come of them. How many answers there were."""
        with self._database.write() as db:
            self._settle_runs(db)
            return self._settle_answers(db)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
