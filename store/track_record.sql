-- name: list_predictions
-- What was predicted for the texts of the newest $4 queries from $2 on and before $3: the query's own and its
-- candidates'. Of a thread the first post is what was scored.
WITH asked AS MATERIALIZED (
    SELECT
        created_at, query_text, model_versions ->> 'viral_predictor' AS version, analysis_result -> 'prediction' AS own,
        CASE WHEN jsonb_typeof(analysis_result -> 'templates') = 'array' THEN analysis_result -> 'templates' END AS candidates
    FROM analyzed_queries
    WHERE account_id = $1 AND created_at >= $2 AND created_at < $3 AND viral_score IS NOT NULL
    ORDER BY created_at DESC
    LIMIT $4
), said AS (
    SELECT created_at, version, query_text AS text, own AS prediction FROM asked
    UNION ALL
    SELECT created_at, version, coalesce(candidate #>> '{parts,0}', candidate ->> 'text'), candidate
    FROM asked CROSS JOIN LATERAL jsonb_array_elements(candidates) AS candidate
)
SELECT
    created_at AS at, version, text,
    (prediction ->> 'viral_score')::float8 AS viral_score,
    (prediction ->> 'p_beats_median')::float8 AS p_beats_median,
    (prediction #>> '{interval,0}')::float8 AS low,
    (prediction #>> '{interval,1}')::float8 AS high,
    coalesce(prediction #>> '{uncalibrated,viral_score}', prediction ->> 'viral_score')::float8 AS model_score,
    coalesce(prediction #>> '{uncalibrated,p_beats_median}', prediction ->> 'p_beats_median')::float8 AS model_chance
FROM said
WHERE text IS NOT NULL AND prediction ->> 'viral_score' IS NOT NULL AND prediction ->> 'p_beats_median' IS NOT NULL;

-- name: last_import
-- The newest import of an account: while it stays the same, hardly any outcome changes.
SELECT id FROM imports WHERE account_id = $1 ORDER BY id DESC LIMIT 1;
