-- name: merge_days
-- Days of the account that are new, or whose counts a reading that is no older tells otherwise.
WITH merged AS (
    INSERT INTO account_days AS stored (account_id, day, source, counts, captured_at, import_id)
    SELECT $1, day, $2, counts, $3, $4 FROM unnest($5::date[], $6::jsonb[]) AS told (day, counts) ORDER BY day
    ON CONFLICT (account_id, day, source) DO UPDATE SET
        counts = EXCLUDED.counts, captured_at = EXCLUDED.captured_at, import_id = EXCLUDED.import_id
    WHERE stored.counts <> EXCLUDED.counts AND stored.captured_at <= EXCLUDED.captured_at
    RETURNING xmax = 0 AS fresh
)
SELECT count(*) FILTER (WHERE fresh) AS imported, count(*) FILTER (WHERE NOT fresh) AS updated FROM merged;

-- name: list_imports
-- What brought rows in, the newest first; $2 is the last id of the page before.
SELECT
    id, source, file_name, captured_at, n_rows AS rows, imported, updated, unchanged, rejected AS rejected_rows, created_at
FROM imports
WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC
LIMIT $3;

-- name: export_readings
-- Every post with every reading, and the readings whose post is not known.
SELECT
    post_id, posts.posted_at, posts.kind, posts.text, metrics.captured_at, metrics.source, metrics.template_id,
    metrics.impressions, metrics.engagements, metrics.clicks, metrics.retweets, metrics.likes, metrics.replies,
    metrics.quotes, metrics.bookmarks, metrics.shares, metrics.follows, metrics.profile_clicks, metrics.hashtag_clicks,
    metrics.detail_expands, metrics.permalink_clicks, metrics.app_opens, metrics.app_installs, metrics.email_posts,
    metrics.dial_phone, metrics.media_views, metrics.media_engagements, metrics.promoted::text
FROM (SELECT * FROM posts WHERE account_id = $1) AS posts
FULL JOIN (SELECT * FROM performance_metrics WHERE account_id = $1) AS metrics USING (post_id)
ORDER BY post_id, captured_at;

-- name: export_days
-- What overviews and videos told of whole days.
SELECT day, source, captured_at, counts::text FROM account_days WHERE account_id = $1 ORDER BY day, source;

-- name: find_import
-- Whether an account has an import.
SELECT EXISTS (SELECT FROM imports WHERE account_id = $1 AND id = $2);

-- name: deletions
-- A statement for each table that has all of the columns $1: it deletes the rows where they are $1, $2 ...
SELECT
    columns.table_name,
    format('DELETE FROM %I WHERE ', columns.table_name) || (
        SELECT string_agg(format('%I = $%s', name, place), ' AND ' ORDER BY place)
        FROM unnest($1::text[]) WITH ORDINALITY AS named (name, place)
    ) AS statement
FROM information_schema.columns
JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND column_name = ANY ($1::text[])
GROUP BY columns.table_name
HAVING count(*) = cardinality($1::text[])
ORDER BY columns.table_name;

-- name: delete_posts_without_reading
-- Posts of which nothing that was imported is left; what an experiment told of them is its own.
DELETE FROM posts
WHERE account_id = $1 AND NOT EXISTS (
    SELECT FROM performance_metrics AS metrics
    WHERE metrics.account_id = $1 AND metrics.post_id = posts.post_id AND metrics.import_id IS NOT NULL
);

-- name: forget_texts_of_import
-- Texts that a deleted import brought to posts that others tell too; such a post is then that of its last reading.
UPDATE posts SET text = NULL, import_id = (
    SELECT metrics.import_id FROM performance_metrics AS metrics
    WHERE metrics.account_id = $1 AND metrics.post_id = posts.post_id AND metrics.import_id IS NOT NULL
    ORDER BY metrics.captured_at DESC
    LIMIT 1
)
WHERE account_id = $1 AND import_id = $2;

-- name: delete_import
-- An import itself.
DELETE FROM imports WHERE account_id = $1 AND id = $2;

-- name: delete_post_of_experiments
-- A post in the experiments of an account.
DELETE FROM experiment_posts USING experiments
WHERE experiments.account_id = $1 AND experiment_id = experiments.id AND post_id = $2;

-- name: delete_events_of_account
-- The events of an account's experiments.
DELETE FROM experiment_events USING experiments WHERE account_id = $1 AND experiment_id = experiments.id;

-- name: delete_units_of_account
-- The units of an account's experiments.
DELETE FROM experiment_units USING experiments WHERE account_id = $1 AND experiment_id = experiments.id;

-- name: delete_posts_of_experiments
-- The posts of an account's experiments.
DELETE FROM experiment_posts USING experiments WHERE account_id = $1 AND experiment_id = experiments.id;

-- name: list_days
-- Whole days of an account by kind of export, the newest first; $2 is the first day that is left out. $3 rows, and those
-- that are left of the last day: the page after it begins with another day.
SELECT day, source, counts, captured_at FROM (
    SELECT day, source, counts::text, captured_at FROM account_days
    WHERE account_id = $1 AND ($2::date IS NULL OR day < $2)
    ORDER BY day DESC
    FETCH FIRST ($3) ROWS WITH TIES
) AS found
ORDER BY day DESC, source;
