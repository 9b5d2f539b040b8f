-- What the guard asks SQLite, 3.24 or newer. {table} and {name} are put in when the file is read.

-- name: schema
CREATE TABLE IF NOT EXISTS {table} (
    key   TEXT NOT NULL PRIMARY KEY,  -- of the action: run id and path of the step
    state TEXT NOT NULL CHECK (
        state IN ('begun', 'applied', 'rejected', 'undoing', 'compensated', 'fenced')
    ),
    value TEXT,                       -- the result as it was encoded, or the reason as JSON
    at    REAL NOT NULL               -- when it came to this state: UTC, seconds since 1970
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {table}_at ON {name} (at);

-- name: claim
INSERT INTO {table} (key, state, value, at)
VALUES (:key, :state, :value, (julianday('now') - 2440587.5) * 86400.0)
ON CONFLICT (key) DO NOTHING;

-- name: find
SELECT state, value, (julianday('now') - 2440587.5) * 86400.0 - at
FROM {table}
WHERE key = :key;

-- name: record
UPDATE {table}
SET state = :state, value = :value, at = (julianday('now') - 2440587.5) * 86400.0
WHERE key = :key AND state = :expected;

-- name: forget
DELETE FROM {table}
WHERE key = :key;

-- name: prune
DELETE FROM {table}
WHERE at < (julianday('now') - 2440587.5) * 86400.0 - :seconds
    AND state NOT IN ('begun', 'undoing');
