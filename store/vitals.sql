-- name: count_experiments
-- How many experiments there are in each state.
SELECT state, count(*) AS n FROM experiments GROUP BY state;

-- name: count_split
-- Units that each variant of the running split tests was told with, beside its share; a bandit changes its shares. One
-- pass over the units for all variants.
WITH judged AS MATERIALIZED (
    SELECT id AS experiment_id FROM experiments
    WHERE state = 'running' AND plan ->> 'design' = 'split' AND plan ->> 'allocation' = 'equal'
), counted AS (
    SELECT experiment_id, variant, count(exposed_at) AS units FROM experiment_units
    WHERE experiment_id IN (SELECT experiment_id FROM judged)
    GROUP BY experiment_id, variant
)
SELECT experiment_id, weight, coalesce(units, 0) AS units
FROM judged
JOIN experiment_variants USING (experiment_id)
LEFT JOIN counted USING (experiment_id, variant)
ORDER BY experiment_id, variant;

-- name: list_scored
-- Those of the newest $1 queries of all accounts whose wording was scored; ids are UUIDs of version 7.
WITH newest AS MATERIALIZED (
    SELECT query_text, request, analysis_result FROM analyzed_queries ORDER BY id DESC LIMIT $1
), scored AS (
    SELECT
        query_text AS text, (analysis_result #>> '{prediction,contributions,words}')::float8 AS words,
        (request ->> 'posted_at')::timestamptz AS posted_at
    FROM newest
)
SELECT * FROM scored WHERE words IS NOT NULL;
