-- What the guard asks Postgres, 12 or newer. {table} and {name} are put in when the file is read.

-- name: schema
CREATE TABLE IF NOT EXISTS {table} (
    key   text NOT NULL PRIMARY KEY,  -- of the action: run id and path of the step
    state text NOT NULL CHECK (
        state IN ('begun', 'applied', 'rejected', 'undoing', 'compensated', 'fenced')
    ),
    value text,                       -- the result as it was encoded, or the reason as JSON
    at    timestamptz NOT NULL        -- when it came to this state
);
CREATE INDEX IF NOT EXISTS {name}_at ON {table} (at);

-- name: alone
-- Two that create one table at once would meet in the catalogue.
SELECT pg_advisory_xact_lock(hashtext('saga_fsm.guard'));

-- name: claim
INSERT INTO {table} (key, state, value, at)
VALUES (:key, :state, :value, clock_timestamp())
ON CONFLICT (key) DO NOTHING;

-- name: find
SELECT state, value, CAST(EXTRACT(EPOCH FROM clock_timestamp() - at) AS double precision)
FROM {table}
WHERE key = :key
FOR UPDATE;

-- name: record
UPDATE {table}
SET state = :state, value = :value, at = clock_timestamp()
WHERE key = :key AND state = :expected;

-- name: forget
DELETE FROM {table}
WHERE key = :key;

-- name: prune
DELETE FROM {table}
WHERE at < clock_timestamp() - make_interval(secs => :seconds)
    AND state NOT IN ('begun', 'undoing');
