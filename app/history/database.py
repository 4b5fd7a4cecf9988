"""Opening the SQLite file of the history, safely, and the one connection everything goes through.

A new file is made beside its place and moved there complete. An existing one is looked at without changing
it first; it is migrated only after a check and a copy. Errors of SQLite that a person can act on come out as
KnownError.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from app.errors import KnownError
from app.history.migrations import APPLICATION_ID, MIGRATIONS, names, pending
from app.history.tables import Tables

_BUSY_SECONDS = 10.0
# How long emptying the log waits for another program that is reading: it is seen to again when the file is closed.
_READER_MILLISECONDS = 500


class Database:
    """The connection, for any thread, one at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._db = Tables(connection, execute_plugins=False)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Database:
        """Open the history at ``path``; for writing, create or migrate it where needed.

        Only the program that holds the data folder may open for writing. Raises KnownError for a file that is
        damaged, no history, of a newer version, or, when only reading, of an older one.
        """
        with _told(path):
            if not read_only and _is_missing(path):
                _create(path)
            applied = _look_at(path)
            if read_only:
                if pending(applied):
                    raise KnownError(
                        f"The history {path} was made by an earlier version of Idiolect. "
                        "Open it once with this one (idiolect), then try again."
                    )
                return cls(path, _connect(path, "ro"))
            _close_to_others(path)
            opened = cls(path, _connect(path, "rw"))
            try:
                if pending(applied):
                    _migrate(path, opened._db, applied)
                opened._db.enable_wal()
                opened._db.execute("PRAGMA synchronous = FULL")
            except BaseException:
                opened.close()
                raise
            return opened

    @contextlib.contextmanager
    def read(self) -> Iterator[Tables]:
        """The connection, to read from until the end of the block."""
        with self._lock, _told(self.path):
            yield self._db

    @contextlib.contextmanager
    def write(self) -> Iterator[Tables]:
        """The connection in a transaction: on disk when the block ends, undone when it raises."""
        with self._lock, _told(self.path), self._db.atomic():
            yield self._db

    @contextlib.contextmanager
    def erase(self) -> Iterator[Tables]:
        """The connection in a transaction that takes something out: when the block ends, none of it is left in
        the file, nor in its log, unless another program is reading there; then it is when the file is closed."""
        with self._lock:
            with self.write() as db:
                yield db
            with _told(self.path):
                db.execute(f"PRAGMA busy_timeout = {_READER_MILLISECONDS}")
                try:
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                finally:
                    db.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")

    def close(self) -> None:
        """Close the file. What was written is in it already."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten: a person who takes their writing out wants it gone from the disk.
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _is_missing(path: Path) -> bool:
    """Whether there is no history yet. Raises KnownError when one was there and only a part of it is left."""
    if path.exists() and path.stat().st_size:
        return False
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise KnownError(
            f"The history {path} is gone, but its log {log} is still there and may hold your latest messages. "
            "Put the file back beside it, or move the log away to begin anew."
        )
    return True


def _create(path: Path) -> None:
    """A complete, empty history at ``path``, made beside it and moved there."""
    beside = path.with_name(f".{path.name}.new")
    for left in (beside, Path(f"{beside}-journal")):
        left.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    db = Tables(_connect(beside, "rw"), execute_plugins=False)
    try:
        MIGRATIONS.apply(db)
    finally:
        db.close()
    beside.replace(path)


def _look_at(path: Path) -> list[str]:
    """The migrations the file has had; it is not changed. Raises KnownError for what is no history of ours
    and for one of a newer version."""
    if not path.exists():
        raise KnownError(f"There is no history at {path}.")
    db = Tables(_connect(path, "ro"), execute_plugins=False)
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise KnownError(
                f"The file {path} is a database, but not a history of Idiolect. Move it away, "
                "or keep the data elsewhere with --data-dir DIR."
            )
        applied = [migration.name for migration in MIGRATIONS.applied(db)]
    finally:
        db.close()
    if set(applied) - set(names()):
        raise KnownError(
            f"The history {path} was written by a newer version of Idiolect. It was not changed; "
            "install that version to open it."
        )
    return applied


def _migrate(path: Path, db: Tables, applied: list[str]) -> None:
    """Bring the file up to date, after a check, and with a copy of it as it was beside it."""
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise KnownError(_damaged(path, verdict))
    _copy(db, path.with_name(f"{path.stem}-before-{pending(applied)[0]}{path.suffix}"))
    MIGRATIONS.apply(db)


def _copy(db: Tables, target: Path) -> None:
    """Copy the open database to ``target``, beside it first."""
    beside = target.with_name(f".{target.name}.part")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    copy = sqlite3.connect(beside)
    try:
        db.conn.backup(copy)
    finally:
        copy.close()
    beside.replace(target)


def _close_to_others(path: Path) -> None:
    with contextlib.suppress(OSError):  # a file system without permissions
        path.chmod(0o600)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of SQLite that a person can act on, as KnownError; the others are bugs and go on."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise KnownError(_damaged(path, str(error))) from error
            case sqlite3.SQLITE_FULL:
                raise KnownError(
                    f"The disk is full: {path} cannot grow. What was saved before is safe. "
                    "Make room, then try again."
                ) from error
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                raise KnownError(
                    f"Another program keeps the history {path} locked. Close it, then try again."
                ) from error
            case (
                sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_PERM
            ):
                raise KnownError(
                    f"The history {path} cannot be used ({error}). Check the permissions of the file and its "
                    "folder, and the disk."
                ) from error
            case _:
                raise
    except OSError as error:
        raise KnownError(f"The history {path} cannot be used: {error.strerror or error}.") from error


def _damaged(path: Path, reason: str) -> str:
    copies = sorted(path.parent.glob(f"{path.stem}-before-*{path.suffix}"))
    remedy = f"put the copy {copies[-1].name} in its place" if copies else "import your writing anew"
    return (
        f"The history {path} is damaged ({reason}). Nothing was changed. Move it and, if there is one, "
        f"{path.name}-wal to another folder to keep them, then {remedy}, or put back a backup of your own."
    )
