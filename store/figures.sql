-- name: live_counts
-- What an account did since a day ($2, UTC) and in all; no row where it did nothing.
SELECT
    sum(queries)::bigint AS queries, sum(candidates)::bigint AS candidates, sum(predictions)::bigint AS predictions,
    sum(events)::bigint AS events,
    coalesce(sum(queries) FILTER (WHERE day >= $2::date), 0)::bigint AS queries_today,
    coalesce(sum(candidates) FILTER (WHERE day >= $2::date), 0)::bigint AS candidates_today,
    coalesce(sum(predictions) FILTER (WHERE day >= $2::date), 0)::bigint AS predictions_today,
    coalesce(sum(events) FILTER (WHERE day >= $2::date), 0)::bigint AS events_today
FROM daily_counts
WHERE account_id = $1
HAVING count(*) > 0;

-- name: live_imports
-- How many imports an account has, and how many of them have an id from $2 on: ids grow with time.
SELECT count(*) AS total, count(*) FILTER (WHERE id >= $2) AS today FROM imports WHERE account_id = $1;

-- name: live_experiments
-- How many experiments of an account are in each state.
SELECT state, count(*) AS n FROM experiments WHERE account_id = $1 GROUP BY state;

-- name: live_running
-- The newest $2 running experiments of an account, with the events that each variant was told.
WITH running AS (
    SELECT id, account_id, name, plan ->> 'design' AS design, started_at FROM experiments
    WHERE account_id = $1 AND state = 'running'
    ORDER BY started_at DESC, id
    LIMIT $2
)
SELECT
    running.id, running.name, running.design, running.started_at,
    (SELECT count(*) FROM experiment_posts WHERE experiment_id = running.id) AS posts,
    (SELECT max(last_at) FROM experiment_event_counts AS told WHERE told.experiment_id = running.id) AS last_event_at,
    (
        SELECT jsonb_agg(
            jsonb_build_object(
                'name', variants.name, 'impressions', coalesce(impressions, 0), 'engagements', coalesce(engagements, 0)
            ) ORDER BY variants.variant
        )
        FROM experiment_variants AS variants
        LEFT JOIN (
            SELECT variant, sum(impressions)::bigint AS impressions, sum(engagements)::bigint AS engagements
            FROM experiment_event_counts
            WHERE experiment_id = running.id
            GROUP BY variant
        ) AS told USING (variant)
        WHERE variants.experiment_id = running.id
    )::text AS variants
FROM running
ORDER BY running.started_at DESC, running.id;
