-- What guard and outbox ask SQLite, 3.24 or newer. {table} and {name} are put in when the file is read.

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

-- Messages: the outbox's own table. Times are seconds since 1970.

-- name: outbox
CREATE TABLE IF NOT EXISTS {table} (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of emission
    id       TEXT NOT NULL UNIQUE,               -- of the step's key: the same at each attempt
    topic    TEXT NOT NULL,
    stream   TEXT NOT NULL,                      -- messages of one stream go out in order
    payload  TEXT NOT NULL,
    headers  TEXT NOT NULL,                      -- a JSON object of texts
    emitted  REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due      REAL NOT NULL,                      -- not before
    owner    TEXT NOT NULL DEFAULT '',           -- the relay that has it, until its lease ends
    lease    REAL NOT NULL DEFAULT 0,
    state    TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'parked', 'sent', 'discarded')),
    error    TEXT NOT NULL DEFAULT '',           -- why the last attempt failed
    settled  REAL
);
CREATE INDEX IF NOT EXISTS {table}_open ON {name} (number) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS {table}_stream ON {name} (stream, number)
    WHERE state IN ('open', 'parked');
CREATE INDEX IF NOT EXISTS {table}_settled ON {name} (settled) WHERE settled IS NOT NULL;

-- name: emit
INSERT INTO {table} (id, topic, stream, payload, headers, emitted, due)
SELECT :id, :topic, :stream, :payload, :headers, now.at, now.at
FROM (SELECT (julianday('now') - 2440587.5) * 86400.0 AS at) AS now
WHERE true
ON CONFLICT (id) DO NOTHING;

-- name: emitted
SELECT payload FROM {table} WHERE id = :id;

-- name: lease
UPDATE {table}
SET owner = :owner, lease = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE number IN (
    SELECT one.number
    FROM {table} AS one
    WHERE one.state = 'open' AND NOT EXISTS (
        SELECT 1
        FROM {table} AS before
        WHERE before.stream = one.stream AND before.number <= one.number
            AND (before.state = 'parked' OR before.state = 'open' AND (
                before.due > (julianday('now') - 2440587.5) * 86400.0
                OR before.lease > (julianday('now') - 2440587.5) * 86400.0
            ))
    )
    ORDER BY one.number
    LIMIT :most
);

-- name: renew
UPDATE {table}
SET lease = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE owner = :owner AND state = 'open' AND lease > (julianday('now') - 2440587.5) * 86400.0;

-- name: leased
SELECT number, id, topic, stream, payload, headers, emitted, attempts
FROM {table}
WHERE owner = :owner AND state = 'open'
ORDER BY number;

-- name: sent
UPDATE {table}
SET state = 'sent', owner = '', lease = 0, attempts = attempts + 1, error = '',
    settled = (julianday('now') - 2440587.5) * 86400.0
WHERE number = :number AND state = 'open' AND owner = :owner;

-- name: failed
UPDATE {table}
SET owner = '', lease = 0, attempts = attempts + 1, error = :error, state = :state,
    due = (julianday('now') - 2440587.5) * 86400.0 + :wait
WHERE number = :number AND state = 'open' AND owner = :owner;

-- name: give_back
UPDATE {table} SET owner = '', lease = 0 WHERE owner = :owner AND state = 'open';

-- name: waiting
SELECT count(*) FROM {table} WHERE state = 'open';

-- name: next
SELECT min(max(one.due, one.lease)) - (julianday('now') - 2440587.5) * 86400.0
FROM {table} AS one
WHERE one.state = 'open' AND NOT EXISTS (
    SELECT 1
    FROM {table} AS before
    WHERE before.stream = one.stream AND before.number < one.number
        AND before.state IN ('open', 'parked')
);

-- name: parked
SELECT number, id, topic, stream, payload, headers, emitted, attempts, error
FROM {table}
WHERE state = 'parked'
ORDER BY number;

-- name: reopen
UPDATE {table}
SET state = 'open', attempts = 0, due = (julianday('now') - 2440587.5) * 86400.0
WHERE id = :id AND state = 'parked';

-- name: discard
UPDATE {table}
SET state = 'discarded', settled = (julianday('now') - 2440587.5) * 86400.0
WHERE id = :id AND state = 'parked';

-- name: sweep
DELETE FROM {table} WHERE settled < (julianday('now') - 2440587.5) * 86400.0 - :seconds;
