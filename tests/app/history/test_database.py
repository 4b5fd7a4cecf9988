from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import KnownError
from app.history.database import Database
from app.history.migrations import APPLICATION_ID, MIGRATIONS, names
from app.history.store import Store
from app.history.tables import Tables
from app.places import Places, hold
from tests.app.history.writing import add, new_document, prose

FIRST_SCHEMA = Path(__file__).with_name("first_schema.sql").read_text()


def old_history(path: Path) -> Path:
    """A history as the first version left it."""
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_SCHEMA)
    connection.close()
    return path


def value(path: Path, query: str) -> object:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


@pytest.fixture
def next_version() -> Iterator[list[str]]:
    """A version of the program with one more migration; what goes into the list is run by it."""
    statements = ["ALTER TABLE conversation ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0"]

    def m999_next(db: Tables) -> None:
        for statement in statements:
            db.execute(statement)

    MIGRATIONS()(m999_next)
    try:
        yield statements
    finally:
        # sqlite-utils has no way to take one back.
        MIGRATIONS._migrations.pop()


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("*-before-*"))


# Opening


def test_a_new_history_is_made_whole_and_can_be_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with Store.open(path) as store:
        conversation = store.new_conversation("Kettles")
    with Store.open(path) as store:
        assert store.conversations() == [conversation]
    assert [file.name for file in tmp_path.iterdir()] == ["h.db"], "nothing else is left"
    assert value(path, "PRAGMA application_id") == APPLICATION_ID


def test_an_empty_file_and_what_a_killed_start_left_are_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    path.touch()
    (tmp_path / ".h.db.new").write_bytes(b"half a database")
    (tmp_path / ".h.db.new-journal").write_bytes(b"half a journal")
    with Store.open(path) as store:
        assert store.conversations() == []


def test_it_is_written_ahead_and_each_write_waits_for_the_disk(tmp_path: Path) -> None:
    with Database.open(tmp_path / "h.db") as database, database.read() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
        assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert db.execute("PRAGMA secure_delete").fetchone() == (1,)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions otherwise")
def test_only_the_owner_can_read_the_files_and_folders(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        places = Places.under(tmp_path / "data")
        places.make()
        with Store.open(places.database) as store:
            store.new_conversation()
            files = [path for path in places.data.rglob("*") if path.is_file()]
            assert {file.name for file in files} == {"idiolect.db", "idiolect.db-wal", "idiolect.db-shm"}
            assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        places.database.chmod(0o644)
        Store.open(places.database).close()
        assert places.database.stat().st_mode & 0o777 == 0o600, "closed to others again"
    finally:
        os.umask(before)
    for folder in (places.data, *(path for path in places.data.rglob("*") if path.is_dir())):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


def test_a_folder_with_signs_of_urls_in_its_name_holds_a_history(tmp_path: Path) -> None:
    folder = tmp_path / "100% Größe?#1"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this system takes no such name")
    with Store.open(folder / "h.db") as store:
        store.new_conversation()
    assert (folder / "h.db").stat().st_size > 0


# Refusing


def test_a_file_of_another_program_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE message (id INTEGER); PRAGMA user_version = 3;")
    connection.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(KnownError, match="not a history of Idiolect"):
            Store.open(path, read_only=read_only)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["h.db"]


def test_a_file_that_is_no_database_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    path.write_text("Dear Anna, " * 1000)
    with pytest.raises(KnownError, match=r"h\.db is damaged \(file is not a database\)"):
        Store.open(path)
    assert path.read_text().startswith("Dear Anna")


def test_a_newer_history_is_refused_and_not_changed(tmp_path: Path, next_version: list[str]) -> None:
    path = tmp_path / "h.db"
    Store.open(path).close()
    newer = MIGRATIONS._migrations.pop()
    before = path.read_bytes()
    try:
        for read_only in (False, True):
            with pytest.raises(KnownError, match=r"newer version of Idiolect\. It was not changed"):
                Store.open(path, read_only=read_only)
    finally:
        MIGRATIONS._migrations.append(newer)
    assert path.read_bytes() == before


def test_a_missing_history_is_named_when_only_reading(tmp_path: Path) -> None:
    with pytest.raises(KnownError, match=r"no history at .*gone\.db"):
        Store.open(tmp_path / "gone.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_hold_no_history_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    for path in (tmp_path / "folder.db", tmp_path / "none" / "h.db"):
        with pytest.raises(KnownError, match=str(path.name)):
            Store.open(path)


def test_a_history_gone_from_beside_its_log_is_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    (tmp_path / "h.db-wal").write_bytes(b"the latest messages")
    for _ in range(2):
        with pytest.raises(KnownError, match=r"h\.db is gone, but its log .*h\.db-wal is still there"):
            Store.open(path)
        path.touch()
    assert (tmp_path / "h.db-wal").read_bytes() == b"the latest messages"


def test_a_damaged_history_says_what_to_do_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with Store.open(path) as store:
        for number in range(20):
            add(store, f"/a/{number}.txt", new_document(200, f"N{number}"))
    data = bytearray(path.read_bytes())
    data[3 * 4096 :] = b"\xa5" * (len(data) - 3 * 4096)
    path.write_bytes(data)
    remedy = r"h\.db is damaged .*import your writing anew, or put back a backup"
    with pytest.raises(KnownError, match=remedy), Store.open(path) as store:
        store.training_documents()
        store.voices()
    assert path.stat().st_size == len(data)


# Migrating


def test_a_history_of_the_first_schema_opens_with_all_that_is_in_it(tmp_path: Path) -> None:
    with Store.open(old_history(tmp_path / "h.db")) as store:
        (source,) = store.sources()
        assert (source.path, source.documents, source.passages, source.words) == (
            "/home/anna/letters.txt",
            1,
            1,
            5,
        )
        (document,) = store.training_documents()
        assert (document.written_at, document.passages[0].text) == ("2020-05-01", "The ferry was late again.")
        (voice,) = store.voices()
        assert (voice.name, voice.pairs, voice.insight, voice.out_of_date) == (
            "mine",
            1,
            "Short sentences.",
            False,
        )
        assert voice.likeness is not None
        assert (voice.likeness.own, voice.files) == (-0.4, {"control_vector": "run-1/control-vector.gguf"})
        assert [pair.query for pair in store.pairs("mine")] == ["Write about the ferry."]
        assert store.recover() == 1
        assert [(message.role, message.text) for message in store.messages(1)] == [
            ("user", "Cancel dinner"),
            ("assistant", "I am sor"),
        ]
        store.remove_source(source.id)
        assert store.voice("mine").out_of_date


def test_the_first_schema_is_never_changed(tmp_path: Path) -> None:
    """People have files of it. A change is a new migration."""
    fresh = Tables(sqlite3.connect(tmp_path / "fresh.db"), execute_plugins=False)
    MIGRATIONS.apply(fresh, stop_before=names()[1:])
    old = sqlite3.connect(old_history(tmp_path / "old.db"))
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
    assert fresh.execute(query).fetchall() == old.execute(query).fetchall()
    fresh.close()
    old.close()


def test_an_old_history_is_migrated_with_a_copy_of_it_beside_it(
    tmp_path: Path, next_version: list[str]
) -> None:
    path = old_history(tmp_path / "h.db")
    with Store.open(path) as store:
        assert store.voice("mine").pairs == 1
    assert value(path, "SELECT pinned FROM conversation") == 0
    (copy,) = copies(tmp_path)
    assert copy.name == f"h-before-{names()[1]}.db"
    assert value(copy, "SELECT count(*) FROM pair") == 1
    with pytest.raises(sqlite3.OperationalError, match="pinned"):
        value(copy, "SELECT pinned FROM conversation")
    if sys.platform != "win32":
        assert copy.stat().st_mode & 0o777 == 0o600
    written = copy.stat().st_mtime_ns
    Store.open(path).close()
    assert copy.stat().st_mtime_ns == written, "a history up to date is not copied again"


def test_the_copy_holds_what_was_still_in_the_log(tmp_path: Path, next_version: list[str]) -> None:
    path = old_history(tmp_path / "h.db")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE conversation SET title = 'in the log'")
    connection.commit()
    Store.open(path).close()
    connection.close()
    assert value(copies(tmp_path)[0], "SELECT title FROM conversation") == "in the log"


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, next_version: list[str]) -> None:
    path = old_history(tmp_path / "h.db")
    next_version += ["DELETE FROM message", "no SQL at all"]
    with pytest.raises(sqlite3.OperationalError, match="syntax"):
        Store.open(path)
    assert value(path, "SELECT count(*) FROM message") == 2
    with pytest.raises(sqlite3.OperationalError, match="pinned"):
        value(path, "SELECT pinned FROM conversation")
    del next_version[1:]
    Store.open(path).close()
    assert value(path, "SELECT pinned FROM conversation") == 0


def test_a_damaged_history_is_not_migrated(tmp_path: Path, next_version: list[str]) -> None:
    path = old_history(tmp_path / "h.db")
    page = int(str(value(path, "SELECT rootpage FROM sqlite_master WHERE name = 'pair_run'")))
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(data)
    with pytest.raises(KnownError, match=r"h\.db is damaged"):
        Store.open(path)
    assert path.read_bytes() == data
    assert copies(tmp_path) == []


def test_an_old_history_is_not_changed_by_reading(tmp_path: Path, next_version: list[str]) -> None:
    path = old_history(tmp_path / "h.db")
    before = path.read_bytes()
    with pytest.raises(KnownError, match=r"earlier version of Idiolect\. Open it once with this one"):
        Store.open(path, read_only=True)
    assert path.read_bytes() == before
    assert copies(tmp_path) == []


def test_the_remedy_for_damage_names_the_copy_where_there_is_one(
    tmp_path: Path, next_version: list[str]
) -> None:
    path = old_history(tmp_path / "h.db")
    Store.open(path).close()
    path.write_bytes(b"x" * 5000)
    with pytest.raises(KnownError, match=rf"put the copy h-before-{names()[1]}\.db in its place"):
        Store.open(path)


# Two programs


def test_a_second_writer_on_the_same_folder_is_told_to_wait(places: Places) -> None:
    code = (
        "import sys; from pathlib import Path; from app.errors import KnownError; from app.places import Places, hold\n"
        "try:\n"
        "    with hold(Places.under(Path(sys.argv[1]))): print('held')\n"
        "except KnownError as error: sys.exit(f'KnownError: {error}')"
    )
    second = [sys.executable, "-c", code, str(places.data)]
    with hold(places):
        refused = subprocess.run(second, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"KnownError: Idiolect is already open on the data folder {places.data}")
    assert subprocess.run(second, capture_output=True, text=True, check=True).stdout == "held\n"


def test_a_reader_sees_what_the_writer_has_written_and_cannot_write(places: Places) -> None:
    with Store.open(places.database) as writer, Store.open(places.database, read_only=True) as reader:
        writer.new_conversation("Kettles")
        assert [conversation.title for conversation in reader.conversations()] == ["Kettles"]
        with pytest.raises(KnownError, match="cannot be used"):
            reader.new_conversation()


def test_a_file_that_another_program_keeps_locked_is_a_known_error(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.history.database._BUSY_SECONDS", 0.1)
    with Store.open(places.database) as store:
        other = sqlite3.connect(places.database)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(KnownError, match=r"Another program keeps the history .* locked"):
            store.new_conversation()
        other.rollback()
        other.close()
        store.new_conversation()


def test_a_full_disk_is_a_known_error_and_what_was_saved_before_is_safe(places: Places) -> None:
    with Store.open(places.database) as store:
        conversation = store.new_conversation()
        with store._database.read() as db:
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            db.execute(f"PRAGMA max_page_count = {pages}")  # as if the disk ended here
        with pytest.raises(KnownError, match="The disk is full"):
            store.add_message(conversation.id, "user", prose(10_000))
        assert store.messages(conversation.id) == []
        assert [each.id for each in store.conversations()] == [conversation.id]
