-- A history as the first released schema made it, with something of each kind in it. Never changed: what is
-- on people's disks is not changed either.
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE TABLE conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
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
CREATE TABLE passage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES document(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    text TEXT NOT NULL,
    words INTEGER NOT NULL,
    sha256 TEXT NOT NULL
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
CREATE TABLE run_source (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    source_id INTEGER NOT NULL REFERENCES source(id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, source_id)
) WITHOUT ROWID;
CREATE TABLE source (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    imported_at TEXT NOT NULL
);
CREATE TABLE voice (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX document_source ON document(source_id);
CREATE INDEX passage_document ON passage(document_id, sha256, words);
CREATE INDEX passage_sha256 ON passage(sha256, words);
CREATE INDEX run_voice ON run(voice_id, state);
CREATE INDEX run_source_source ON run_source(source_id);
CREATE INDEX pair_run ON pair(run_id, key);
CREATE INDEX pair_passage ON pair(passage_id);
CREATE INDEX message_conversation ON message(conversation_id);
CREATE INDEX message_parent ON message(parent_id);
PRAGMA application_id = 487595719;
INSERT INTO "_sqlite_migrations" VALUES (1, 'idiolect', 'm001_first_schema', '2026-01-02 10:00:00.000000+00:00');
INSERT INTO source VALUES (1, '/home/anna/letters.txt', 'txt', 'aa', '2026-01-02T10:00:00.000000+00:00');
INSERT INTO document VALUES (1, 1, 0, 'letters', '2020-05-01', 'note', 'The ferry was late again.', 'bb');
INSERT INTO passage VALUES (1, 1, 0, 'The ferry was late again.', 5, 'cc');
INSERT INTO voice VALUES (1, 'mine', '2026-01-02T10:01:00.000000+00:00');
INSERT INTO run VALUES (1, 1, 'smollm2', '{"budget": "fast"}', 'finished', '', 'Short sentences.',
    '{"control_vector": "run-1/control-vector.gguf"}', 1.0,
    '{"own": -0.4, "own_low": -0.5, "own_high": -0.3, "others": -0.1, "words_heldout": 900, "passages_heldout": 7}',
    '{}', 12.5, 0, '2026-01-02T10:01:00.000000+00:00', '2026-01-02T10:02:00.000000+00:00');
INSERT INTO run_source VALUES (1, 1);
INSERT INTO pair VALUES (1, 1, 1, 'k1', 'history', 'topic', 'Write about the ferry.', 'The ferry was late again.',
    'The ferry did not arrive on time.', '2026-01-02T10:01:30.000000+00:00');
INSERT INTO conversation VALUES (1, 'Cancel dinner', '2026-01-02T10:03:00.000000+00:00',
    '2026-01-02T10:03:05.000000+00:00');
INSERT INTO message VALUES (1, 1, NULL, 'user', 'Cancel dinner', '', NULL, 0.0, NULL, 0, 0, 0.0, 'end',
    '2026-01-02T10:03:00.000000+00:00');
INSERT INTO message VALUES (2, 1, 1, 'assistant', 'I am sor', 'smollm2', 'mine', 1.0, 7, 0, 0, 0.0, '',
    '2026-01-02T10:03:05.000000+00:00');
