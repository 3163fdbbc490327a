-- name: save_visits
-- Visits that are new or told otherwise than before; what a file repeats stays as it is.
WITH told AS (
    SELECT * FROM unnest($2::text[], $3::date[], $4::date[], $5::bigint[], $6::bigint[], $7::float8[], $8::float8[])
        AS visits (utm_content, first_day, last_day, sessions, engaged_sessions, key_events, revenue)
), saved AS (
    INSERT INTO link_visits AS stored
        (account_id, utm_content, first_day, last_day, sessions, engaged_sessions, key_events, revenue, import_id)
    SELECT $1, utm_content, first_day, last_day, sessions, engaged_sessions, key_events, revenue, $9
    FROM told ORDER BY utm_content, first_day, last_day
    ON CONFLICT (account_id, utm_content, first_day, last_day) DO UPDATE SET
        sessions = EXCLUDED.sessions, engaged_sessions = EXCLUDED.engaged_sessions, key_events = EXCLUDED.key_events,
        revenue = EXCLUDED.revenue, import_id = EXCLUDED.import_id
    WHERE (stored.sessions, stored.engaged_sessions, stored.key_events, stored.revenue)
        IS DISTINCT FROM (EXCLUDED.sessions, EXCLUDED.engaged_sessions, EXCLUDED.key_events, EXCLUDED.revenue)
    RETURNING xmax = 0 AS fresh
)
SELECT count(*) FILTER (WHERE fresh) AS imported, count(*) FILTER (WHERE NOT fresh) AS updated FROM saved;

-- name: list_visits
-- What is known of one content, the latest span first.
SELECT first_day, last_day, sessions, engaged_sessions, key_events, revenue, import_id::text
FROM link_visits WHERE account_id = $1 AND utm_content = $2
ORDER BY last_day DESC, first_day DESC
LIMIT $3;

-- name: find_candidate
-- The candidate that has $2 as its id, from the latest answer that holds it.
SELECT candidate ->> 'text' AS text, candidate ->> 'template' AS template, queries.id::text AS query_id
FROM analyzed_queries AS queries
CROSS JOIN LATERAL jsonb_path_query(queries.analysis_result, 'lax $.templates[*]') AS candidates (candidate)
WHERE
    queries.account_id = $1
    AND queries.analysis_result @> jsonb_build_object('templates', jsonb_build_array(jsonb_build_object('id', $2::text)))
    AND candidate ->> 'id' = $2
ORDER BY queries.id DESC
LIMIT 1;

-- name: find_variant
-- A variant of an experiment of the account.
SELECT content AS text, experiment_id::text, name AS variant
FROM experiment_variants WHERE account_id = $1 AND experiment_id = $2 AND name = $3;
