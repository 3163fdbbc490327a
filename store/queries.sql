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

-- name: seed_templates
-- Bring the bundled templates up to date; what was learned about them stays.
WITH seeded AS (
    INSERT INTO content_templates AS stored
        (template_name, template_type, language, objective, tone, intent, template_content, account_id)
    SELECT *, $8
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    ON CONFLICT (account_id, language, template_name) DO UPDATE SET
        template_content = EXCLUDED.template_content, template_type = EXCLUDED.template_type,
        objective = EXCLUDED.objective, tone = EXCLUDED.tone, intent = EXCLUDED.intent
    WHERE
        (stored.template_content, stored.template_type, stored.objective, stored.tone, stored.intent)
        IS DISTINCT FROM
        (EXCLUDED.template_content, EXCLUDED.template_type, EXCLUDED.objective, EXCLUDED.tone, EXCLUDED.intent)
    RETURNING id
)
SELECT count(*) FROM seeded;

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
