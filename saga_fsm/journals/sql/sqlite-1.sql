-- Version 1 of the journal. `number` orders runs by their coming: entries of runs that are under way
-- lie together at the end of the tree, however many runs came before.

CREATE TABLE saga_runs (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    saga TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    digest TEXT NOT NULL,
    input TEXT,                          -- until the first entry, of a run that others carry out
    status TEXT NOT NULL,
    started REAL NOT NULL,               -- seconds since the epoch, UTC
    updated REAL NOT NULL,
    unresolved TEXT NOT NULL DEFAULT '{}',
    waiting TEXT NOT NULL DEFAULT '[]',
    position INTEGER NOT NULL,           -- how many entries there are
    fence INTEGER NOT NULL,              -- how often the run was taken; an append names it
    owner TEXT NOT NULL,                 -- '' when nobody has it
    due REAL,                            -- when somebody has to take it; NULL when only a word moves it
    spoken REAL                          -- when a word came, since the run was taken; NULL when none has
);

CREATE INDEX saga_runs_due ON saga_runs (owner, due) WHERE due IS NOT NULL;
CREATE INDEX saga_runs_status ON saga_runs (status, number);
CREATE INDEX saga_runs_saga ON saga_runs (saga, number);
CREATE INDEX saga_runs_waiting ON saga_runs (number) WHERE waiting <> '[]';

CREATE TABLE saga_entries (
    run INTEGER NOT NULL REFERENCES saga_runs (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,           -- from 1
    event TEXT NOT NULL,
    at REAL NOT NULL,
    data TEXT,
    PRIMARY KEY (run, position)
) WITHOUT ROWID;

CREATE TABLE saga_owners (
    owner TEXT PRIMARY KEY,
    until REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE saga_words (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES saga_runs (number) ON DELETE CASCADE,
    word TEXT NOT NULL,
    data TEXT,
    by TEXT NOT NULL,
    note TEXT NOT NULL,
    at REAL NOT NULL,
    answer TEXT                          -- NULL until somebody has acted on it
);

CREATE INDEX saga_words_open ON saga_words (run) WHERE answer IS NULL;
CREATE INDEX saga_words_run ON saga_words (run);
