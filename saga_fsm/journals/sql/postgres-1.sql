-- Version 1 of the journal: the tables of SQLite, and a `mark` by which a writer whose connection was
-- cut recognises what it has written. An append that changes nothing by which runs are found is
-- written beside the old row (HOT): hence the room that is left in each page.

CREATE TABLE saga_runs (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    saga TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    digest TEXT NOT NULL,
    input TEXT,                          -- until the first entry, of a run that others carry out
    status TEXT NOT NULL,
    started DOUBLE PRECISION NOT NULL,   -- seconds since the epoch, UTC
    updated DOUBLE PRECISION NOT NULL,
    unresolved TEXT NOT NULL DEFAULT '{}',
    waiting TEXT NOT NULL DEFAULT '[]',
    position INTEGER NOT NULL,           -- how many entries there are
    fence INTEGER NOT NULL,              -- how often the run was taken; an append names it
    owner TEXT NOT NULL,                 -- '' when nobody has it
    due DOUBLE PRECISION,                -- when somebody has to take it; NULL when only a word moves it
    spoken DOUBLE PRECISION,             -- when a word came, since the run was taken; NULL when none has
    mark BIGINT NOT NULL                 -- of who wrote last
) WITH (fillfactor = 70);

CREATE INDEX saga_runs_due ON saga_runs (owner, due) WHERE due IS NOT NULL;
CREATE INDEX saga_runs_status ON saga_runs (status, number);
CREATE INDEX saga_runs_saga ON saga_runs (saga, number);
CREATE INDEX saga_runs_waiting ON saga_runs (number) WHERE waiting <> '[]';

CREATE TABLE saga_entries (
    run BIGINT NOT NULL REFERENCES saga_runs (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,           -- from 1
    event TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    data TEXT,
    mark BIGINT NOT NULL,                -- of who wrote it
    PRIMARY KEY (run, position)
);

CREATE TABLE saga_owners (
    owner TEXT PRIMARY KEY,
    until DOUBLE PRECISION NOT NULL
);

CREATE TABLE saga_words (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run BIGINT NOT NULL REFERENCES saga_runs (number) ON DELETE CASCADE,
    word TEXT NOT NULL,
    data TEXT,
    by TEXT NOT NULL,
    note TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    answer TEXT,                         -- NULL until somebody has acted on it
    mark BIGINT NOT NULL UNIQUE
);

CREATE INDEX saga_words_open ON saga_words (run) WHERE answer IS NULL;
CREATE INDEX saga_words_run ON saga_words (run);
