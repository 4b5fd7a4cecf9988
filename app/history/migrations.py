"""The schema of the history, step by step.

Each function takes the database from one schema to the next and is never changed once released: a change
of the schema is a new function at the end. A migration runs in a transaction together with the record of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.history.tables import Migrations, Tables

# Written into the file, so that it is told from the databases of other programs.
APPLICATION_ID = 0x1D101EC7

MIGRATIONS = Migrations("idiolect")


def pending(applied: Sequence[str]) -> list[str]:
    """The names of the migrations still to run on a file that has had ``applied``."""
    return [name for name in names() if name not in applied]


def names() -> list[str]:
    """The names of all migrations, in order."""
    return [migration.name for migration in MIGRATIONS._migrations]


@MIGRATIONS()
def m001_first_schema(db: Tables) -> None:
    """Sources, documents and passages; voices, their runs and pairs; conversations and messages."""
    db.executescript(f"PRAGMA application_id = {APPLICATION_ID};" + _FIRST_SCHEMA)


@MIGRATIONS()
def m002_sampling(db: Tables) -> None:
    """How the tokens of an answer were drawn, as JSON; "" for those written before it was kept."""
    db.executescript("ALTER TABLE message ADD COLUMN sampling TEXT NOT NULL DEFAULT '';")


_FIRST_SCHEMA = """
CREATE TABLE source (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    imported_at TEXT NOT NULL
);
CREATE TABLE document (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id INTEGER NOT NULL REFERENCES source(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    title TEXT NOT NULL,
    written_at TEXT,
    register TEXT NOT NULL,
    body TEXT NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE INDEX document_source ON document(source_id);
CREATE TABLE passage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES document(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    text TEXT NOT NULL,
    words INTEGER NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE INDEX passage_document ON passage(document_id, sha256, words);
CREATE INDEX passage_sha256 ON passage(sha256, words);

CREATE TABLE voice (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    voice_id INTEGER NOT NULL REFERENCES voice(id) ON DELETE CASCADE,
    model_id TEXT NOT NULL,
    settings TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    insight TEXT NOT NULL DEFAULT '',
    files TEXT NOT NULL DEFAULT '{}',
    strength REAL NOT NULL DEFAULT 0,
    likeness TEXT,
    report TEXT NOT NULL DEFAULT '{}',
    seconds REAL NOT NULL DEFAULT 0,
    out_of_date INTEGER NOT NULL DEFAULT 0,
    started_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX run_voice ON run(voice_id, state);
CREATE TABLE run_source (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    source_id INTEGER NOT NULL REFERENCES source(id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, source_id)
) WITHOUT ROWID;
CREATE INDEX run_source_source ON run_source(source_id);
CREATE TABLE pair (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    passage_id INTEGER NOT NULL REFERENCES passage(id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    query TEXT NOT NULL,
    own TEXT NOT NULL,
    plain TEXT NOT NULL,
    made_at TEXT NOT NULL
);
CREATE INDEX pair_run ON pair(run_id, key);
CREATE INDEX pair_passage ON pair(passage_id);

CREATE TABLE conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL REFERENCES conversation(id) ON DELETE CASCADE,
    parent_id INTEGER REFERENCES message(id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    text TEXT NOT NULL,
    model TEXT NOT NULL,
    voice TEXT,
    strength REAL NOT NULL,
    seed INTEGER,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    tokens_per_second REAL NOT NULL DEFAULT 0,
    stopped_because TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX message_conversation ON message(conversation_id);
CREATE INDEX message_parent ON message(parent_id);
"""
