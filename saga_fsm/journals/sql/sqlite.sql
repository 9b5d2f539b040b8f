-- What a journal asks of SQLite. Each statement has a name.

-- name: born
INSERT INTO saga_runs
    (run_id, saga, fingerprint, digest, input, status, started, updated, unresolved, waiting, position, fence, owner, due)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
ON CONFLICT (run_id) DO NOTHING
RETURNING number;

-- name: moved
-- A word that came while its owner had it, and was given up unheard, makes it due.
UPDATE saga_runs
SET position = ?1, status = ?2, updated = ?3, unresolved = ?4, waiting = ?5, owner = ?6,
    input = CASE WHEN ?1 > 0 THEN NULL ELSE input END,
    fingerprint = coalesce(nullif(?11, ''), fingerprint),
    due = CASE WHEN ?6 = '' THEN CASE WHEN owner = '' THEN ?7 ELSE coalesce(spoken, ?7) END
        WHEN ?6 = owner THEN due ELSE ?3 END
WHERE run_id = ?8 AND position = ?9 AND fence = ?10
RETURNING number;

-- name: entry
INSERT INTO saga_entries (run, position, event, at, data) VALUES (?, ?, ?, ?, ?);

-- name: answered
UPDATE saga_words SET answer = ? WHERE number = ? AND answer IS NULL;

-- name: standing
SELECT position, fence, status FROM saga_runs WHERE run_id = ?;

-- name: read
SELECT e.event, e.at, e.data
FROM saga_runs r JOIN saga_entries e ON e.run = r.number
WHERE r.run_id = ? ORDER BY e.position;

-- name: any_due
-- An owner without a lease is gone. There are few owners: each is looked up in the index once.
WITH RECURSIVE owners (owner) AS (
    SELECT min(owner) FROM saga_runs WHERE due IS NOT NULL AND owner > ''
    UNION ALL
    SELECT (SELECT min(r.owner) FROM saga_runs r WHERE r.due IS NOT NULL AND r.owner > o.owner)
    FROM owners o WHERE o.owner IS NOT NULL
)
SELECT EXISTS (SELECT 1 FROM saga_runs WHERE owner = '' AND due <= :now)
    OR EXISTS (
        SELECT 1 FROM owners o WHERE o.owner IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM saga_owners w WHERE w.owner = o.owner AND w.until >= :now)
    );

-- name: due
WITH RECURSIVE owners (owner) AS (
    SELECT min(owner) FROM saga_runs WHERE due IS NOT NULL AND owner > ''
    UNION ALL
    SELECT (SELECT min(r.owner) FROM saga_runs r WHERE r.due IS NOT NULL AND r.owner > o.owner)
    FROM owners o WHERE o.owner IS NOT NULL
)
SELECT run_id, saga, fingerprint, status, started, updated, unresolved, waiting, position, owner, fence, input,
    owner = '' AND due IS spoken
FROM saga_runs
WHERE due IS NOT NULL
  AND ((owner = '' AND due <= :now)
       OR owner IN (
           SELECT o.owner FROM owners o WHERE o.owner IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM saga_owners w WHERE w.owner = o.owner AND w.until >= :now)
       ))
  AND EXISTS (
      SELECT 1 FROM json_each(:machines) m
      WHERE m.value ->> 0 = saga AND m.value ->> 1 = fingerprint
  )
ORDER BY due, number
LIMIT :limit;

-- name: taken
UPDATE saga_runs SET owner = ?, fence = fence + 1, due = ?, spoken = NULL WHERE run_id = ?;

-- name: beat
INSERT INTO saga_owners (owner, until) VALUES (?, ?)
ON CONFLICT (owner) DO UPDATE SET until = excluded.until;

-- name: released
UPDATE saga_runs SET owner = '', due = ?, spoken = NULL WHERE owner = ? AND due IS NOT NULL;

-- name: gone
DELETE FROM saga_owners WHERE owner = ?;

-- name: bury
DELETE FROM saga_owners WHERE until < ?;

-- name: find
SELECT run_id, saga, fingerprint, status, started, updated, unresolved, waiting, position, owner, digest
FROM saga_runs WHERE run_id = ?;

-- name: listed
SELECT run_id, saga, fingerprint, status, started, updated, unresolved, waiting, position, owner
FROM saga_runs;

-- name: post
INSERT INTO saga_words (run, word, data, by, note, at)
SELECT number, ?, ?, ?, ?, ? FROM saga_runs WHERE run_id = ?
RETURNING number;

-- name: wake
-- Whoever waits longest is taken first: a word does not put a run behind others.
UPDATE saga_runs
SET due = CASE WHEN owner = '' THEN min(coalesce(due, :now), :now) ELSE due END,
    spoken = CASE WHEN owner = '' AND due = spoken THEN spoken ELSE :now END
WHERE run_id = :run_id;

-- name: posted
SELECT w.number, r.run_id, w.word, w.data, w.by, w.note, w.at
FROM saga_words w JOIN saga_runs r ON r.number = w.run
WHERE w.answer IS NULL AND r.owner = ?
ORDER BY w.number;

-- name: answer
SELECT answer FROM saga_words WHERE number = ?;

-- name: words
SELECT w.number, r.run_id, w.word, w.data, w.by, w.note, w.at, w.answer
FROM saga_words w JOIN saga_runs r ON r.number = w.run
WHERE r.run_id = ?
ORDER BY w.number;

-- name: prune
DELETE FROM saga_runs WHERE number IN (
    SELECT number FROM saga_runs
    WHERE status IN ('completed', 'compensated') AND due IS NULL AND updated < ? AND (saga = ? OR ? IS NULL)
    LIMIT 1000
);

-- name: forget
DELETE FROM saga_runs WHERE run_id = ? AND status IN ('completed', 'compensated');
