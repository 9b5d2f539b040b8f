-- What a journal asks of Postgres. Each statement has a name. `now` is given by tests alone; else it
-- is NULL, and the database's clock counts.

-- name: settings
SELECT set_config('lock_timeout', %(patience)s, false),
    set_config('idle_in_transaction_session_timeout', '0', false),
    -- What is told as stored has to be on the disk; stricter settings stay as they are.
    CASE WHEN current_setting('synchronous_commit') = 'off'
        THEN set_config('synchronous_commit', 'on', false) END,
    set_config('client_encoding', 'UTF8', false);

-- name: settings_writer
-- A plan that was made for small tables is kept while they grow: it has to be the right one for
-- large tables from the first.
SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('jit', 'off', false);

-- name: place
SELECT pg_postmaster_start_time(), current_database(), to_regclass('saga_runs')::oid;

-- name: carried_out
-- Everything that a group has brought, all in one: each append by itself is carried out whole or
-- not at all. Appends of one run stand in statements of their own, one after the other.
WITH moment AS (SELECT coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8) AS now),
brought AS (
    SELECT * FROM unnest(
        %(run_id)s::text[], %(expected)s::int[], %(fence)s::int[], %(after)s::int[], %(status)s::text[],
        %(unresolved)s::text[], %(waiting)s::text[], %(owner)s::text[], %(due)s::float8[], %(mark)s::bigint[],
        %(born)s::bool[], %(saga)s::text[], %(fingerprint)s::text[], %(digest)s::text[]
    ) WITH ORDINALITY AS a (
        run_id, expected, fence, after, status, unresolved, waiting, owner, due, mark,
        born, saga, fingerprint, digest, place
    )
),
moved AS (
    UPDATE saga_runs r
    SET position = b.after, status = b.status, updated = m.now, unresolved = b.unresolved,
        waiting = b.waiting, owner = b.owner, mark = b.mark,
        fingerprint = coalesce(nullif(b.fingerprint, ''), r.fingerprint),
        input = CASE WHEN b.after > 0 THEN NULL ELSE r.input END,
        -- A word that came while its owner had it, and was given up unheard, makes it due.
        due = CASE WHEN b.owner = '' THEN CASE WHEN r.owner = '' THEN b.due ELSE coalesce(r.spoken, b.due) END
            WHEN b.owner = r.owner THEN r.due ELSE m.now END
    FROM brought b, moment m
    WHERE r.run_id = b.run_id AND r.position = b.expected AND r.fence = b.fence AND NOT b.born
    RETURNING r.number, b.place, b.mark
),
made AS (
    INSERT INTO saga_runs
        (run_id, saga, fingerprint, digest, status, started, updated, unresolved, waiting, position, fence, owner, due, mark)
    SELECT b.run_id, b.saga, b.fingerprint, b.digest, b.status, m.now, m.now, b.unresolved, b.waiting, b.after, 1,
        b.owner, CASE WHEN b.owner = '' THEN b.due ELSE m.now END, b.mark
    FROM brought b, moment m WHERE b.born ORDER BY b.place
    ON CONFLICT (run_id) DO NOTHING
    RETURNING number, run_id
),
done AS (
    SELECT number, place, mark FROM moved
    UNION ALL
    SELECT made.number, b.place, b.mark FROM made JOIN brought b ON b.run_id = made.run_id
),
written AS (
    INSERT INTO saga_entries (run, position, event, at, data, mark)
    SELECT d.number, e.position, e.event, e.at, e.data, d.mark
    FROM unnest(%(of)s::int[], %(position)s::int[], %(event)s::text[], %(at)s::float8[], %(data)s::text[])
        AS e (place, position, event, at, data)
    JOIN done d ON d.place = e.place
),
answered AS (
    UPDATE saga_words w SET answer = g.answer
    FROM unnest(%(answers_of)s::int[], %(word)s::bigint[], %(answer)s::text[]) AS g (place, number, answer)
    JOIN done d ON d.place = g.place
    WHERE w.number = g.number AND w.answer IS NULL
)
SELECT place FROM done;

-- name: standing
SELECT r.run_id, r.position, r.fence, r.status, r.mark
FROM saga_runs r WHERE r.run_id = ANY(%(run_ids)s::text[]);

-- name: marked
SELECT e.mark FROM saga_runs r JOIN saga_entries e ON e.run = r.number
WHERE r.run_id = %(run_id)s AND e.position = %(position)s;

-- name: entered
INSERT INTO saga_runs
    (run_id, saga, fingerprint, digest, input, status, started, updated, position, fence, owner, due, mark)
SELECT %(run_id)s, %(saga)s, %(fingerprint)s, %(digest)s, %(input)s, 'new', m.now, m.now, 0, 1, '', m.now, %(mark)s
FROM (SELECT coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8) AS now) m
ON CONFLICT (run_id) DO NOTHING
RETURNING number;

-- name: any_due
-- An owner without a lease is gone. There are few owners: each is looked up in the index once.
WITH RECURSIVE moment AS (SELECT coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8) AS now),
owners AS (
    SELECT min(owner) AS owner FROM saga_runs WHERE due IS NOT NULL AND owner > ''
    UNION ALL
    SELECT (SELECT min(r.owner) FROM saga_runs r WHERE r.due IS NOT NULL AND r.owner > o.owner)
    FROM owners o WHERE o.owner IS NOT NULL
)
SELECT EXISTS (SELECT 1 FROM saga_runs WHERE owner = '' AND due <= (SELECT now FROM moment))
    OR EXISTS (
        SELECT 1 FROM owners o WHERE o.owner IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM saga_owners w WHERE w.owner = o.owner AND w.until >= (SELECT now FROM moment))
    );

-- name: claimed
WITH RECURSIVE moment AS (SELECT coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8) AS now),
owners AS (
    SELECT min(owner) AS owner FROM saga_runs WHERE due IS NOT NULL AND owner > ''
    UNION ALL
    SELECT (SELECT min(r.owner) FROM saga_runs r WHERE r.due IS NOT NULL AND r.owner > o.owner)
    FROM owners o WHERE o.owner IS NOT NULL
),
gone AS (
    SELECT o.owner FROM owners o WHERE o.owner IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM saga_owners w WHERE w.owner = o.owner AND w.until >= (SELECT now FROM moment))
),
found AS (
    SELECT number, due, owner = '' AND due IS NOT DISTINCT FROM spoken AS by_word FROM saga_runs
    WHERE due IS NOT NULL
      AND ((owner = '' AND due <= (SELECT now FROM moment)) OR owner IN (SELECT owner FROM gone))
      AND (saga, fingerprint) IN (SELECT * FROM unnest(%(sagas)s::text[], %(fingerprints)s::text[]))
    ORDER BY due, number
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE saga_runs r
SET owner = %(owner)s, fence = r.fence + 1, due = (SELECT now FROM moment), spoken = NULL, mark = %(mark)s
FROM found f
WHERE r.number = f.number
RETURNING r.run_id, r.saga, r.fingerprint, r.status, r.started, r.updated, r.unresolved, r.waiting, r.position,
    r.owner, r.fence, r.input, f.due, r.number, f.by_word;

-- name: still_claimed
SELECT run_id FROM saga_runs WHERE run_id = ANY(%(run_ids)s::text[]) AND mark = %(mark)s AND owner = %(owner)s
FOR UPDATE;

-- name: bury
DELETE FROM saga_owners WHERE until < coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8);

-- name: beat
INSERT INTO saga_owners (owner, until)
VALUES (%(owner)s, coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8) + %(lease)s)
ON CONFLICT (owner) DO UPDATE SET until = excluded.until;

-- name: retired
WITH gone AS (DELETE FROM saga_owners WHERE owner = %(owner)s)
UPDATE saga_runs
SET owner = '', spoken = NULL, due = coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8)
WHERE owner = %(owner)s AND due IS NOT NULL;

-- name: read
SELECT r.run_id, e.event, e.at, e.data
FROM saga_runs r JOIN saga_entries e ON e.run = r.number
WHERE r.run_id = ANY(%(run_ids)s::text[]) ORDER BY e.run, e.position;

-- name: find
SELECT run_id, saga, fingerprint, status, started, updated, unresolved, waiting, position, owner, digest
FROM saga_runs WHERE run_id = %(run_id)s;

-- name: listed
SELECT run_id, saga, fingerprint, status, started, updated, unresolved, waiting, position, owner
FROM saga_runs;

-- name: posted_one
WITH moment AS (SELECT coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8) AS now),
woken AS (
    -- One moment for both, also after waiting for who takes the run or gives it up.
    UPDATE saga_runs r SET (due, spoken) = (
        SELECT CASE WHEN r.owner = '' THEN least(r.due, m.now) ELSE r.due END,
            CASE WHEN r.owner = '' AND r.due = r.spoken THEN r.spoken ELSE m.now END
        FROM (SELECT coalesce(%(now)s::float8, extract(epoch FROM clock_timestamp())::float8) AS now OFFSET 0) m
    )
    WHERE run_id = %(run_id)s
)
INSERT INTO saga_words (run, word, data, by, note, at, mark)
SELECT number, %(word)s, %(data)s, %(by)s, %(note)s, (SELECT now FROM moment), %(mark)s
FROM saga_runs WHERE run_id = %(run_id)s
ON CONFLICT (mark) DO NOTHING
RETURNING number;

-- name: posted_before
SELECT number FROM saga_words WHERE mark = %(mark)s;

-- name: posted
SELECT w.number, r.run_id, w.word, w.data, w.by, w.note, w.at
FROM saga_words w JOIN saga_runs r ON r.number = w.run
WHERE w.answer IS NULL AND r.owner = %(owner)s
ORDER BY w.number;

-- name: answer
SELECT answer FROM saga_words WHERE number = %(number)s;

-- name: words
SELECT w.number, r.run_id, w.word, w.data, w.by, w.note, w.at, w.answer
FROM saga_words w JOIN saga_runs r ON r.number = w.run
WHERE r.run_id = %(run_id)s
ORDER BY w.number;

-- name: prune
DELETE FROM saga_runs WHERE number IN (
    SELECT number FROM saga_runs
    WHERE status IN ('completed', 'compensated') AND due IS NULL AND updated < %(before)s
      AND (saga = %(saga)s::text OR %(saga)s::text IS NULL)
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
);

-- name: forget
DELETE FROM saga_runs WHERE run_id = %(run_id)s AND status IN ('completed', 'compensated');
