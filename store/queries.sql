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
        captured_at, compared_rate)
    SELECT
        account_id, post_id, template_id, impressions, engagements, clicks, retweets, likes, replies,
        viral_score::numeric, captured_at, compared_rate::numeric
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::float8[], $11::timestamptz[], $12::float8[])
        AS readings (account_id, post_id, template_id, impressions, engagements, clicks, retweets, likes, replies,
        viral_score, captured_at, compared_rate)
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
-- Each post of a template at its latest reading of a span, of those that know impressions and engagements where there is
-- one, by day or week of that reading; the last row sums them up.
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
        ORDER BY post_id, impressions IS NOT NULL AND engagements IS NOT NULL DESC, captured_at DESC
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
        sum(impressions) FILTER (WHERE engagements IS NOT NULL) AS rated_impressions,
        count(*) FILTER (WHERE suspect) AS suspect_readings
    FROM counted
    GROUP BY GROUPING SETS ((start), ())
)
SELECT
    start, posts, posts_with_impressions, impressions::bigint, engagements::bigint,
    rated_engagements::float8 / nullif(rated_impressions, 0)::float8 AS rate,
    wilson_lower_bound(rated_engagements, rated_impressions) AS low,
    1 - wilson_lower_bound(rated_impressions - rated_engagements, rated_impressions) AS high,
    suspect_readings
FROM summed
ORDER BY start NULLS LAST;

-- name: template_change
-- Sums over the posts of a template that went out from $3 on and before $4, and in the equal span before: n posts at
-- their latest reading, impressions x and engagements y. A post that no import knows went out at its first reading.
WITH readings AS (
    SELECT metrics.post_id, metrics.captured_at, metrics.impressions, metrics.engagements, metrics.suspect
    FROM performance_metrics AS metrics
    JOIN post_outcomes AS outcomes USING (account_id, post_id)
    WHERE account_id = $1 AND outcomes.template_id = $2
), went_out AS (
    SELECT readings.post_id, coalesce(min(posts.posted_at), min(readings.captured_at)) AS at
    FROM readings
    LEFT JOIN posts ON posts.account_id = $1 AND posts.post_id = readings.post_id
    GROUP BY readings.post_id
), latest AS (
    SELECT DISTINCT ON (post_id) post_id, impressions::float8 AS x, engagements::float8 AS y
    FROM readings
    WHERE NOT suspect AND impressions IS NOT NULL AND engagements IS NOT NULL
    ORDER BY post_id, captured_at DESC
)
SELECT
    went_out.at >= $3 AS current, count(*) AS n, sum(x) AS x, sum(y) AS y, sum(x * x) AS xx, sum(x * y) AS xy,
    sum(y * y) AS yy
FROM went_out
JOIN latest USING (post_id)
WHERE went_out.at >= $3::timestamptz - ($4::timestamptz - $3::timestamptz) AND went_out.at < $4
GROUP BY current;

-- name: create_experiment
-- A draft, or a running experiment.
INSERT INTO experiments (id, account_id, name, plan, state, started_at)
VALUES ($1, $2, $3, $4::jsonb, CASE WHEN $5 THEN 'running' ELSE 'draft' END, CASE WHEN $5 THEN now() END);

-- name: create_variants
-- The variants of an experiment in their order.
INSERT INTO experiment_variants (experiment_id, account_id, variant, name, content, weight, template_id)
SELECT $1, $2, place - 1, name, content, weight, template_id
FROM unnest($3::text[], $4::text[], $5::float8[], $6::bigint[]) WITH ORDINALITY
    AS variants (name, content, weight, template_id, place);

-- name: find_experiment
-- One experiment of an account with its variants.
SELECT * FROM experiments_with_variants WHERE account_id = $1 AND id = $2;

-- name: list_experiments
-- Experiments of an account, the newest first: ids are UUIDs of version 7.
SELECT * FROM experiments_with_variants
WHERE account_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC
LIMIT $4;

-- name: start_experiment
-- Start a draft; $3 is the version that the caller saw, if any.
WITH started AS (
    UPDATE experiments SET state = 'running', started_at = now(), version = version + 1
    WHERE account_id = $1 AND id = $2 AND version = coalesce($3, version) AND state = 'draft'
    RETURNING *
)
SELECT started.*, variants_of(started.id) AS variants FROM started;

-- name: stop_experiment
-- Stop a running experiment; what its events say still counts when they come in late.
WITH stopped AS (
    UPDATE experiments SET state = 'stopped', stopped_at = now(), version = version + 1
    WHERE account_id = $1 AND id = $2 AND version = coalesce($3, version) AND state = 'running'
    RETURNING *
)
SELECT stopped.*, variants_of(stopped.id) AS variants FROM stopped;

-- name: reweigh_experiment
-- New shares for the variants of a running experiment, in their order.
WITH changed AS (
    UPDATE experiments SET version = version + 1
    WHERE account_id = $1 AND id = $2 AND version = $3 AND state = 'running'
    RETURNING id
), weighed AS (
    UPDATE experiment_variants AS stored SET weight = shares.weight
    FROM changed, unnest($4::float8[]) WITH ORDINALITY AS shares (weight, place)
    WHERE stored.experiment_id = changed.id AND stored.variant = shares.place - 1
    RETURNING stored.experiment_id
)
SELECT count(*) FROM weighed;

-- name: variant_of_unit
-- The variant that a unit was told with first.
SELECT variant FROM experiment_units
WHERE experiment_id = $1 AND unit = $2
ORDER BY least(exposed_at, engaged_at)
LIMIT 1;

-- name: save_events
-- Store events of an experiment that takes some, and what the new ones say of their units; NULL where it takes none.
-- In order of their keys: writers that meet at the same rows wait for each other, and never in a circle.
WITH taking AS (
    SELECT id FROM experiments
    WHERE id = $1 AND account_id = $2 AND state IN ('running', 'stopped')
    FOR KEY SHARE
), saved AS (
    INSERT INTO experiment_events (experiment_id, event_id, variant, engagement, unit, at)
    SELECT taking.id, event_id, variant, engagement, unit, at
    FROM taking, unnest($3::text[], $4::smallint[], $5::boolean[], $6::text[], $7::timestamptz[], $8::boolean[])
        AS told (event_id, variant, engagement, unit, at, mismatch)
    ORDER BY event_id
    ON CONFLICT (experiment_id, event_id) DO NOTHING
    RETURNING event_id, variant, engagement, unit, at
), mismatched AS (
    SELECT event_id FROM unnest($3::text[], $8::boolean[]) AS told (event_id, mismatch) WHERE mismatch
), summed AS (
    INSERT INTO experiment_units AS units
        (experiment_id, variant, unit, exposed_at, engaged_at, last_engaged_at, mismatch)
    SELECT
        $1, variant, unit, min(at) FILTER (WHERE NOT engagement), min(at) FILTER (WHERE engagement),
        max(at) FILTER (WHERE engagement), bool_or(event_id IN (SELECT event_id FROM mismatched))
    FROM saved
    GROUP BY variant, unit
    ORDER BY variant, unit
    ON CONFLICT (experiment_id, variant, unit) DO UPDATE SET
        exposed_at = least(units.exposed_at, EXCLUDED.exposed_at),
        engaged_at = least(units.engaged_at, EXCLUDED.engaged_at),
        last_engaged_at = greatest(units.engaged_at, units.last_engaged_at, EXCLUDED.last_engaged_at)
    WHERE
        EXCLUDED.exposed_at < coalesce(units.exposed_at, 'infinity')
        OR EXCLUDED.engaged_at < coalesce(units.engaged_at, 'infinity')
        OR EXCLUDED.last_engaged_at > coalesce(units.last_engaged_at, units.engaged_at)
)
SELECT CASE WHEN EXISTS (SELECT FROM taking) THEN (SELECT count(*) FROM saved) END;

-- name: save_posts
-- Store posts of an experiment that takes some, each with its newest counts; NULL where it takes none.
WITH taking AS (
    SELECT id FROM experiments
    WHERE id = $1 AND account_id = $2 AND state IN ('running', 'stopped')
    FOR KEY SHARE
), saved AS (
    INSERT INTO experiment_posts AS stored
        (experiment_id, post_id, posted_at, impressions, likes, retweets, captured_at)
    SELECT taking.id, told.*
    FROM taking, unnest($3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[])
        AS told (post_id, posted_at, impressions, likes, retweets, captured_at)
    ORDER BY post_id
    ON CONFLICT (experiment_id, post_id) DO UPDATE SET
        posted_at = EXCLUDED.posted_at, impressions = EXCLUDED.impressions, likes = EXCLUDED.likes,
        retweets = EXCLUDED.retweets, captured_at = EXCLUDED.captured_at
    WHERE EXCLUDED.captured_at > stored.captured_at
    RETURNING post_id
)
SELECT CASE WHEN EXISTS (SELECT FROM taking) THEN (SELECT count(*) FROM saved) END;

-- name: list_posts
-- The posts of a switchback.
SELECT post_id, posted_at, impressions, likes, retweets, captured_at FROM experiment_posts
WHERE experiment_id = $1
ORDER BY posted_at, post_id;

-- name: count_units
-- Units by variant and the day of their first impression; a NULL day for those that engaged without one. A unit is
-- engaged where one of its engagements, so the last, is not before that impression.
SELECT
    variant, (exposed_at AT TIME ZONE 'UTC')::date AS day, count(exposed_at) AS exposed,
    count(*) FILTER (WHERE last_engaged >= coalesce(exposed_at, '-infinity')) AS engaged,
    count(*) FILTER (WHERE last_engaged < exposed_at) AS engaged_early,
    count(*) FILTER (WHERE mismatch) AS mismatched,
    count(*) FILTER (
        WHERE least(exposed_at, engaged_at) < started_at
        OR greatest(exposed_at, last_engaged) > now() + interval '5 minutes'
    ) AS misdated,
    count(*) FILTER (WHERE exposed_at > stopped_at) AS after_stop
FROM (
    SELECT units.*, started_at, stopped_at, greatest(engaged_at, last_engaged_at) AS last_engaged
    FROM experiment_units AS units
    JOIN experiments ON id = experiment_id
    WHERE experiment_id = $1
) AS all_units
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: count_first_units
-- The same of the first units by their first impression.
SELECT
    variant, (exposed_at AT TIME ZONE 'UTC')::date AS day, count(*) AS exposed,
    count(*) FILTER (WHERE last_engaged >= exposed_at) AS engaged,
    count(*) FILTER (WHERE last_engaged < exposed_at) AS engaged_early,
    count(*) FILTER (WHERE mismatch) AS mismatched,
    count(*) FILTER (
        WHERE least(exposed_at, engaged_at) < started_at
        OR greatest(exposed_at, last_engaged) > now() + interval '5 minutes'
    ) AS misdated,
    count(*) FILTER (WHERE exposed_at > stopped_at) AS after_stop
FROM (
    SELECT units.*, started_at, stopped_at, greatest(engaged_at, last_engaged_at) AS last_engaged
    FROM experiment_units AS units
    JOIN experiments ON id = experiment_id
    WHERE experiment_id = $1 AND exposed_at IS NOT NULL
    ORDER BY exposed_at, unit, variant
    LIMIT $2
) AS first_units
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: span_of_units
-- From when to when the units came, not before the start nor after now, and the last of the first $2 units by their first
-- impression where that is given and so many came.
WITH last AS (
    SELECT exposed_at, unit, variant FROM experiment_units
    WHERE experiment_id = $1 AND exposed_at IS NOT NULL AND $2::bigint IS NOT NULL
    ORDER BY exposed_at, unit, variant
    OFFSET $2 - 1 LIMIT 1
)
SELECT
    greatest(span.since, started_at) AS since, least(coalesce(last.exposed_at, span.until), now()) AS until,
    last.exposed_at AS last_exposed_at, last.unit AS last_unit, last.variant AS last_variant
FROM experiments
CROSS JOIN (
    SELECT min(exposed_at) AS since, max(greatest(exposed_at, engaged_at)) AS until FROM experiment_units
    WHERE experiment_id = $1 AND exposed_at IS NOT NULL
) AS span
LEFT JOIN last ON true
WHERE experiments.id = $1 AND span.since IS NOT NULL;

-- name: count_units_over_time
-- Units by variant, day of their first impression, and the parts of time, which begin at the moments $2, in which they
-- were exposed and engaged; of those up to the unit $4 alone where its impression is given. A unit that engaged before
-- its impression and again after it is engaged from its last engagement on: no other one after it is kept.
SELECT
    variant, (exposed_at AT TIME ZONE 'UTC')::date AS day, width_bucket(exposed_at, $2::timestamptz[]) AS exposed_in,
    width_bucket(
        CASE
            WHEN engaged_at >= exposed_at THEN engaged_at
            WHEN last_engaged_at >= exposed_at THEN last_engaged_at
        END, $2
    ) AS engaged_in,
    count(*) AS units
FROM experiment_units
WHERE
    experiment_id = $1 AND exposed_at IS NOT NULL
    AND ($3::timestamptz IS NULL OR (exposed_at, unit, variant) <= ($3, $4, $5))
GROUP BY 1, 2, 3, 4;

-- name: count_crossed
-- Units that were told with more than one variant.
SELECT count(*) FROM (
    SELECT unit FROM experiment_units WHERE experiment_id = $1 GROUP BY unit HAVING count(*) > 1
) AS crossed;

-- name: lock_stopped
-- A stopped experiment, and no events for it until the transaction ends.
WITH locked AS (
    SELECT * FROM experiments
    WHERE account_id = $1 AND id = $2 AND version = coalesce($3, version) AND state = 'stopped'
    FOR UPDATE
)
SELECT locked.*, variants_of(locked.id) AS variants FROM locked;

-- name: conclude_experiment
-- What was found, for good.
WITH concluded AS (
    UPDATE experiments SET state = 'concluded', concluded_at = now(), conclusion = $3::jsonb, version = version + 1
    WHERE account_id = $1 AND id = $2
    RETURNING *
)
SELECT concluded.*, variants_of(concluded.id) AS variants FROM concluded;

-- name: counts
-- The number of rows of each table, as its triggers counted them, and how many experiments run.
SELECT table_name, sum(n_rows)::bigint AS n_rows FROM row_counts GROUP BY table_name
UNION ALL SELECT 'experiments_running', count(*) FROM experiments WHERE state = 'running';

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
