-- name: claim_job
-- Hold a job until $3 if it is due at $2 and nobody holds it: what is known of it, or no row.
INSERT INTO upkeep_jobs AS jobs (job, due_at, leased_until) VALUES ($1, $2, $3)
ON CONFLICT (job) DO UPDATE SET leased_until = EXCLUDED.leased_until
WHERE jobs.due_at <= $2 AND (jobs.leased_until IS NULL OR jobs.leased_until <= $2)
RETURNING job, due_at, leased_until, failures, last_run;

-- name: finish_job
-- Let a job go that is held until $2, and say when it is due again; one that somebody else holds by now is left alone.
UPDATE upkeep_jobs SET due_at = $3, failures = $4, last_run = coalesce($5, last_run), leased_until = NULL
WHERE job = $1 AND leased_until = $2;

-- name: find_job
-- When a job is due, and the report of its last run.
SELECT job, due_at, leased_until, failures, last_run FROM upkeep_jobs WHERE job = $1;

-- name: find_x_account
-- How far the posts of an account at X are known, and its tokens.
SELECT known_until, seed_hash, refresh_token, access_token, access_until FROM x_accounts
WHERE account_id = $1 AND user_id = $2;

-- name: save_known_until
-- All posts up to $3 are known.
INSERT INTO x_accounts AS stored (account_id, user_id, known_until) VALUES ($1, $2, $3)
ON CONFLICT (account_id, user_id) DO UPDATE SET known_until = greatest(stored.known_until, EXCLUDED.known_until);

-- name: save_tokens
-- The tokens that X gave last.
INSERT INTO x_accounts (account_id, user_id, seed_hash, refresh_token, access_token, access_until)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account_id, user_id) DO UPDATE SET
    seed_hash = EXCLUDED.seed_hash, refresh_token = EXCLUDED.refresh_token,
    access_token = EXCLUDED.access_token, access_until = EXCLUDED.access_until;

-- name: reserve_spending
-- Count $3 as spent in a month unless that is more than $4 in all: what is spent then, or no row.
INSERT INTO x_months AS stored (account_id, month, microusd) SELECT $1, $2, $3 WHERE $3::bigint <= $4::bigint
ON CONFLICT (account_id, month) DO UPDATE SET microusd = stored.microusd + EXCLUDED.microusd
WHERE stored.microusd + EXCLUDED.microusd <= $4
RETURNING microusd;

-- name: return_spending
-- What was counted and not asked for by X.
UPDATE x_months SET microusd = greatest(0, microusd - $3) WHERE account_id = $1 AND month = $2;

-- name: count_run
-- What a run did, on top of the month's others.
INSERT INTO x_months AS stored (account_id, month, microusd, posts_new, snapshots, late, missed, deleted)
VALUES ($1, $2, 0, $3, $4, $5, $6, $7)
ON CONFLICT (account_id, month) DO UPDATE SET
    posts_new = stored.posts_new + EXCLUDED.posts_new, snapshots = stored.snapshots + EXCLUDED.snapshots,
    late = stored.late + EXCLUDED.late, missed = stored.missed + EXCLUDED.missed,
    deleted = stored.deleted + EXCLUDED.deleted;

-- name: x_month
-- What was done and spent in a month.
SELECT microusd, posts_new, snapshots, late, missed, deleted FROM x_months WHERE account_id = $1 AND month = $2;

-- name: find_x_trends
-- What trends on X, as an account's collector last read it.
SELECT woeid, asked_at, read_at, problem, trends::text FROM x_trends WHERE account_id = $1;

-- name: save_x_trends
-- That, in place of what was there.
INSERT INTO x_trends (account_id, woeid, asked_at, read_at, problem, trends) VALUES ($1, $2, $3, $4, $5, $6::jsonb)
ON CONFLICT (account_id) DO UPDATE SET
    woeid = EXCLUDED.woeid, asked_at = EXCLUDED.asked_at, read_at = EXCLUDED.read_at, problem = EXCLUDED.problem,
    trends = EXCLUDED.trends;

-- name: collected_posts
-- The posts of an account that came by the API.
SELECT post_id, posted_at, read_at, seen_at FROM x_posts WHERE account_id = $1;

-- name: mark_read
-- Posts whose counts were read at $3; only those that are stored, for somebody may have deleted them since.
INSERT INTO x_posts (account_id, post_id, posted_at, read_at, seen_at)
SELECT account_id, post_id, posted_at, $3, $3 FROM posts WHERE account_id = $1 AND post_id = ANY ($2::text[])
ON CONFLICT (account_id, post_id) DO UPDATE SET read_at = EXCLUDED.read_at, seen_at = EXCLUDED.seen_at;

-- name: mark_seen
-- Posts that X returned at $3.
UPDATE x_posts SET seen_at = $3 WHERE account_id = $1 AND post_id = ANY ($2::text[]);

-- name: forget_posts
-- Delete posts with all that is known of them; how many there were.
WITH readings AS (
    DELETE FROM performance_metrics WHERE account_id = $1 AND post_id = ANY ($2::text[])
), deleted AS (
    DELETE FROM posts WHERE account_id = $1 AND post_id = ANY ($2::text[]) RETURNING post_id
)
SELECT count(*) FROM deleted;

-- name: forget_kept
-- Delete what came by the API alone of posts from before $2, up to $3 of them; how many that were.
WITH old AS (
    SELECT post_id FROM x_posts WHERE account_id = $1 AND posted_at < $2 ORDER BY posted_at LIMIT $3
), readings AS (
    DELETE FROM performance_metrics USING old
    WHERE account_id = $1 AND performance_metrics.post_id = old.post_id AND source = 'x_api'
), alone AS (
    DELETE FROM posts USING old
    WHERE posts.account_id = $1 AND posts.post_id = old.post_id AND NOT EXISTS (
        SELECT FROM performance_metrics AS other
        WHERE other.account_id = $1 AND other.post_id = old.post_id AND other.source IS DISTINCT FROM 'x_api'
    )
), forgotten AS (
    DELETE FROM x_posts USING old WHERE x_posts.account_id = $1 AND x_posts.post_id = old.post_id RETURNING 1
)
SELECT count(*) FROM forgotten;

-- name: expire_queries
-- Delete up to $2 queries that are older at $1 than their account keeps them; how many. By their places: a join may read
-- the whole table.
WITH deleted AS (
    DELETE FROM analyzed_queries WHERE ctid = ANY (ARRAY(
        SELECT old.place FROM account_settings AS settings
        CROSS JOIN LATERAL (
            SELECT ctid AS place FROM analyzed_queries AS kept
            WHERE kept.account_id = settings.account_id
                AND kept.created_at < $1::timestamptz - make_interval(days => settings.query_retention_days)
            LIMIT $2
        ) AS old
        WHERE settings.query_retention_days IS NOT NULL
        LIMIT $2
    ))
    RETURNING 1
)
SELECT count(*) FROM deleted;

-- name: expire_keys
-- Delete up to $2 idempotency keys, whose answers hold the query, as expire_queries does; how many.
WITH deleted AS (
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT old.place FROM account_settings AS settings
        CROSS JOIN LATERAL (
            SELECT ctid AS place FROM idempotency_keys AS kept
            WHERE kept.account_id = settings.account_id
                AND kept.created_at < $1::timestamptz - make_interval(days => settings.query_retention_days)
            LIMIT $2
        ) AS old
        WHERE settings.query_retention_days IS NOT NULL
        LIMIT $2
    ))
    RETURNING 1
)
SELECT count(*) FROM deleted;

-- name: learns_from_api
-- Whether an account learns from what came by the API.
SELECT coalesce((SELECT learn_from_api FROM account_settings WHERE account_id = $1), false);

-- name: learn_from_api
-- Switch that on or off.
INSERT INTO account_settings (account_id, learn_from_api) VALUES ($1, $2)
ON CONFLICT (account_id) DO UPDATE SET learn_from_api = EXCLUDED.learn_from_api;
