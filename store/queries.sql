-- name: save_queries
-- Store a batch of answers as one statement; a row that is already there stays as it is.
INSERT INTO analyzed_queries
    (id, account_id, query_text, request, analysis_result, viral_score, degraded, model_versions)
SELECT
    id, account_id, query_text, convert_from(request, 'UTF8')::jsonb, convert_from(analysis_result, 'UTF8')::jsonb,
    viral_score::numeric, string_to_array(degraded, ','), convert_from(model_versions, 'UTF8')::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::float8[], $7::text[], $8::bytea[])
    AS answers (id, account_id, query_text, request, analysis_result, viral_score, degraded, model_versions)
ON CONFLICT (id) DO NOTHING;

-- name: claim
-- Store an idempotency key and its answer together, and tell whether this call did; a concurrent claim is waited for.
WITH claimed AS (
    INSERT INTO idempotency_keys (account_id, key, route, request_hash, response, status)
    VALUES ($2, $9, $10, $11, $12, $13)
    ON CONFLICT (account_id, key) DO NOTHING
    RETURNING account_id
), saved AS (
    INSERT INTO analyzed_queries
        (id, account_id, query_text, request, analysis_result, viral_score, degraded, model_versions)
    SELECT
        $1, account_id, $3, convert_from($4::bytea, 'UTF8')::jsonb, convert_from($5::bytea, 'UTF8')::jsonb,
        $6::float8::numeric, string_to_array($7, ','), convert_from($8::bytea, 'UTF8')::jsonb
    FROM claimed
    ON CONFLICT (id) DO NOTHING
)
SELECT EXISTS (SELECT FROM claimed);

-- name: find_claim
-- What was answered under an idempotency key.
SELECT request_hash, response, status FROM idempotency_keys WHERE account_id = $1 AND key = $2;

-- name: lock_templates
-- Writers of many templates of one account come one after the other; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('content_templates:' || $1, 0));

-- name: seed_templates
-- Bring the bundled templates up to date; what an account changed or archived and what was learned stays.
WITH shipped AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
        AS templates (template_name, template_type, language, objective, tone, intent, template_content)
), seeded AS (
    INSERT INTO content_templates AS stored
        (template_name, template_type, language, objective, tone, intent, template_content, account_id)
    SELECT *, $8 FROM shipped
    ON CONFLICT (account_id, language, template_name) DO UPDATE SET
        template_content = EXCLUDED.template_content, template_type = EXCLUDED.template_type,
        objective = EXCLUDED.objective, tone = EXCLUDED.tone, intent = EXCLUDED.intent,
        version = stored.version + 1, archived_at = NULL, withdrawn = false
    WHERE
        stored.origin = 'bundled' AND (stored.withdrawn OR stored.archived_at IS NULL AND
            (stored.template_content, stored.template_type, stored.objective, stored.tone, stored.intent)
            IS DISTINCT FROM
            (EXCLUDED.template_content, EXCLUDED.template_type, EXCLUDED.objective, EXCLUDED.tone, EXCLUDED.intent))
    RETURNING id
), withdrawn AS (
    UPDATE content_templates SET archived_at = now(), withdrawn = true
    WHERE
        account_id = $8 AND origin = 'bundled' AND archived_at IS NULL
        AND NOT EXISTS (
            SELECT FROM shipped
            WHERE shipped.language = content_templates.language
                AND shipped.template_name = content_templates.template_name
        )
    RETURNING id
)
SELECT (SELECT count(*) FROM seeded) + (SELECT count(*) FROM withdrawn);

-- name: list_templates
-- Templates of an account that match, in the order in which they were made.
SELECT * FROM content_templates
WHERE
    account_id = $1 AND id > $2
    AND ($3::text IS NULL OR language = $3) AND ($4::text IS NULL OR objective = $4)
    AND ($5::text IS NULL OR tone = $5) AND ($6::text IS NULL OR intent = $6) AND ($7::text IS NULL OR origin = $7)
    AND ($8 OR archived_at IS NULL)
ORDER BY id
LIMIT $9;

-- name: find_template
-- One template of an account, archived or not.
SELECT * FROM content_templates WHERE account_id = $1 AND id = $2;

-- name: active_templates
-- All that an account may write with.
SELECT * FROM content_templates WHERE account_id = $1 AND archived_at IS NULL ORDER BY id;

-- name: create_template
-- Store a template of the account's own.
INSERT INTO content_templates
    (account_id, template_name, template_type, language, objective, tone, intent, template_content, origin)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'own')
RETURNING *;

-- name: replace_template
-- Replace a template unless it was archived or changed since the version that the caller saw; it is the account's then.
UPDATE content_templates SET
    template_name = $3, template_type = $4, language = $5, objective = $6, tone = $7, intent = $8,
    template_content = $9, origin = 'own', version = version + 1
WHERE account_id = $1 AND id = $2 AND version = $10 AND archived_at IS NULL
RETURNING *;

-- name: archive_template
-- Take a template out of use for good; no release brings it back.
UPDATE content_templates SET archived_at = coalesce(archived_at, now()), withdrawn = false
WHERE account_id = $1 AND id = $2
RETURNING id;

-- name: save_metrics
-- Store readings; one that is there already stays as it is.
WITH saved AS (
    INSERT INTO performance_metrics
        (account_id, post_id, template_id, impressions, engagements, clicks, retweets, likes, replies, viral_score,
        captured_at)
    SELECT
        account_id, post_id, template_id, impressions, engagements, clicks, retweets, likes, replies,
        viral_score::numeric, captured_at
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::float8[], $11::timestamptz[])
        AS readings (account_id, post_id, template_id, impressions, engagements, clicks, retweets, likes, replies,
        viral_score, captured_at)
    ON CONFLICT (account_id, post_id, captured_at) DO NOTHING
    RETURNING id
)
SELECT count(*) FROM saved;

-- name: update_outcomes
-- Write down what each template of an account achieved; a new reading moves the median that all are measured against.
UPDATE content_templates AS stored SET
    usage_count = achieved.usage_count, success_rate = achieved.success_rate,
    success_lower_bound = achieved.success_lower_bound
FROM (
    SELECT
        templates.id, coalesce(outcomes.posts, 0) AS usage_count,
        round(outcomes.successes::numeric / nullif(outcomes.rated, 0), 6) AS success_rate,
        round(wilson_lower_bound(outcomes.successes, outcomes.rated)::numeric, 6) AS success_lower_bound
    FROM content_templates AS templates
    LEFT JOIN template_outcomes($1) AS outcomes ON outcomes.template_id = templates.id
    WHERE templates.account_id = $1
) AS achieved
WHERE
    stored.account_id = $1 AND stored.id = achieved.id
    AND (stored.usage_count, stored.success_rate, stored.success_lower_bound)
        IS DISTINCT FROM (achieved.usage_count, achieved.success_rate, achieved.success_lower_bound);

-- name: template_success
-- How often a template beat the account's median post, with the 95 % interval.
SELECT
    coalesce(outcomes.posts, 0) AS usage_count,
    outcomes.successes::float8 / nullif(outcomes.rated, 0) AS success_rate,
    wilson_lower_bound(outcomes.successes, outcomes.rated) AS low,
    1 - wilson_lower_bound(outcomes.rated - outcomes.successes, outcomes.rated) AS high
FROM content_templates AS templates
LEFT JOIN template_outcomes($1) AS outcomes ON outcomes.template_id = templates.id
WHERE templates.account_id = $1 AND templates.id = $2;

-- name: template_series
-- Each post of a template at its latest reading of a span, by day or week of that reading; the last row sums them up.
WITH readings AS (
    SELECT metrics.*
    FROM performance_metrics AS metrics
    JOIN post_outcomes AS posts USING (account_id, post_id)
    WHERE
        account_id = $1 AND posts.template_id = $2
        AND ($3::timestamptz IS NULL OR captured_at >= $3) AND ($4::timestamptz IS NULL OR captured_at < $4)
), counted AS (
    (
        SELECT DISTINCT ON (post_id) date_trunc($5, captured_at, 'UTC') AS start, impressions, engagements, suspect
        FROM readings WHERE NOT suspect
        ORDER BY post_id, captured_at DESC
    )
    UNION ALL
    SELECT date_trunc($5, captured_at, 'UTC'), NULL, NULL, suspect FROM readings WHERE suspect
), summed AS (
    SELECT
        start,
        count(*) FILTER (WHERE NOT suspect) AS posts,
        count(impressions) AS posts_with_impressions,
        sum(impressions) AS impressions,
        coalesce(sum(engagements), 0) AS engagements,
        sum(engagements) FILTER (WHERE impressions IS NOT NULL) AS rated_engagements,
        count(*) FILTER (WHERE suspect) AS suspect_readings
    FROM counted
    GROUP BY GROUPING SETS ((start), ())
)
SELECT
    start, posts, posts_with_impressions, impressions::bigint, engagements::bigint,
    rated_engagements::float8 / nullif(impressions, 0)::float8 AS rate,
    wilson_lower_bound(rated_engagements, impressions) AS low,
    1 - wilson_lower_bound(impressions - rated_engagements, impressions) AS high,
    suspect_readings
FROM summed
ORDER BY start NULLS LAST;

-- name: counts
-- The number of rows of each table, as its triggers counted them.
SELECT table_name, sum(n_rows)::bigint AS n_rows FROM row_counts GROUP BY table_name;

-- name: ping
-- Anything at all.
SELECT 1;

-- name: lock_migrations
-- One migration run at a time in this database.
SELECT pg_advisory_lock(7304118254906133);

-- name: create_schema_migrations
-- What was applied to this database.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- name: applied_migrations
-- The migrations of this database.
SELECT version, sha256 FROM schema_migrations;

-- name: record_migration
-- Remember that a migration was applied.
INSERT INTO schema_migrations (version, sha256) VALUES ($1, $2);
