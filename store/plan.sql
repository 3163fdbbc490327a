-- name: lock_plan
-- One writer of an account's plan at a time, until its transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended($1, 2862933555777941757));

-- name: list_slots
-- Slots on or after $2 and before $3, in order; NULL is no bound.
SELECT id, candidate_id, text, at, time_zone, expected, created_at, updated_at FROM plan_slots
WHERE account_id = $1 AND ($2::timestamptz IS NULL OR at >= $2) AND ($3::timestamptz IS NULL OR at < $3)
ORDER BY at LIMIT $4;

-- name: moments_planned
-- When posts are planned already, on or after $2 and before $3.
SELECT at FROM plan_slots WHERE account_id = $1 AND at >= $2 AND at < $3 ORDER BY at;

-- name: count_slots
-- How many posts are planned on or after $2.
SELECT count(*) FROM plan_slots WHERE account_id = $1 AND at >= $2;

-- name: save_slots
-- Slots as they were planned.
INSERT INTO plan_slots (account_id, id, candidate_id, text, at, time_zone, expected)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::float8[])
RETURNING id, candidate_id, text, at, time_zone, expected, created_at, updated_at;

-- name: find_slot
-- One slot.
SELECT id, candidate_id, text, at, time_zone, expected, created_at, updated_at FROM plan_slots
WHERE account_id = $1 AND id = $2;

-- name: crowded
-- Whether another slot than $2 lies closer to $3 than $4.
SELECT EXISTS (
    SELECT FROM plan_slots WHERE account_id = $1 AND id <> $2 AND at > $3::timestamptz - $4::interval AND at < $3::timestamptz + $4::interval
);

-- name: change_slot
-- Another moment for a slot, of which the heat map told nothing, or another text; NULL leaves it.
UPDATE plan_slots SET
    at = coalesce($3, at), text = coalesce($4, text), expected = CASE WHEN $3 IS NULL OR $3 = at THEN expected END
WHERE account_id = $1 AND id = $2
RETURNING id, candidate_id, text, at, time_zone, expected, created_at, updated_at;

-- name: delete_slot
-- A slot leaves the plan for good.
DELETE FROM plan_slots WHERE account_id = $1 AND id = $2 RETURNING id;

-- name: state_of_outcomes
-- What changes whenever posts or readings do: the newest import, and how many posts and readings there are at all.
SELECT
    (SELECT id FROM imports WHERE account_id = $1 ORDER BY id DESC LIMIT 1) AS newest,
    (SELECT sum(n_rows)::bigint FROM row_counts WHERE table_name = 'posts') AS posts,
    (SELECT sum(n_rows)::bigint FROM row_counts WHERE table_name = 'performance_metrics') AS readings;
