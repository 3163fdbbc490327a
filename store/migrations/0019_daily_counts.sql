-- What each account did, by day (UTC), and the events of each experiment: kept by statement triggers, so that somebody
-- who watches them costs the same at any size. Sharded as row_counts is, for the same reason.

-- candidates and predictions are those that the rows of analyzed_queries hold.
CREATE TABLE daily_counts (
    account_id TEXT NOT NULL,
    day DATE NOT NULL,
    shard SMALLINT NOT NULL,
    queries BIGINT NOT NULL DEFAULT 0,
    candidates BIGINT NOT NULL DEFAULT 0,
    predictions BIGINT NOT NULL DEFAULT 0,
    events BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, day, shard)
) WITH (fillfactor = 50);

CREATE TABLE experiment_event_counts (
    experiment_id UUID NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    variant SMALLINT NOT NULL,
    shard SMALLINT NOT NULL,
    impressions BIGINT NOT NULL,
    engagements BIGINT NOT NULL,
    last_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (experiment_id, variant, shard)
) WITH (fillfactor = 50);

CREATE FUNCTION candidates_of(analysis_result JSONB) RETURNS JSONB LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(analysis_result -> 'templates') = 'array' THEN analysis_result -> 'templates' ELSE '[]' END
$$;

CREATE FUNCTION count_queries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Many accounts in one statement: in one order, so that two of them cannot wait for each other.
    INSERT INTO daily_counts AS counted (account_id, day, shard, queries, candidates, predictions)
    SELECT
        account_id, (created_at AT TIME ZONE 'UTC')::date AS day, pg_backend_pid() % 16, count(*),
        sum(jsonb_array_length(candidates)),
        count(viral_score) + sum(jsonb_array_length(jsonb_path_query_array(candidates, '$[*].viral_score ? (@ != null)')))
    FROM (SELECT account_id, created_at, viral_score, candidates_of(analysis_result) AS candidates FROM changed) AS stored
    GROUP BY account_id, day
    ORDER BY account_id, day
    ON CONFLICT (account_id, day, shard) DO UPDATE SET
        queries = counted.queries + EXCLUDED.queries, candidates = counted.candidates + EXCLUDED.candidates,
        predictions = counted.predictions + EXCLUDED.predictions;
    RETURN NULL;
END
$$;

CREATE FUNCTION uncount_queries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Where a day has no counts, its account was deleted before its queries.
    UPDATE daily_counts AS counted SET
        queries = counted.queries - gone.queries, candidates = counted.candidates - gone.candidates,
        predictions = counted.predictions - gone.predictions
    FROM (
        SELECT
            account_id, (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS queries,
            sum(jsonb_array_length(candidates)) AS candidates,
            count(viral_score)
            + sum(jsonb_array_length(jsonb_path_query_array(candidates, '$[*].viral_score ? (@ != null)'))) AS predictions
        FROM (SELECT account_id, created_at, viral_score, candidates_of(analysis_result) AS candidates FROM changed) AS stored
        GROUP BY account_id, day
    ) AS gone
    WHERE
        counted.account_id = gone.account_id AND counted.day = gone.day AND counted.shard = (
            SELECT min(shard) FROM daily_counts AS one WHERE one.account_id = gone.account_id AND one.day = gone.day
        );
    RETURN NULL;
END
$$;

CREATE FUNCTION count_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO experiment_event_counts AS counted (experiment_id, variant, shard, impressions, engagements, last_at)
    SELECT
        experiment_id, variant, pg_backend_pid() % 16, count(*) FILTER (WHERE NOT engagement),
        count(*) FILTER (WHERE engagement), max(received_at)
    FROM changed
    GROUP BY experiment_id, variant
    ORDER BY experiment_id, variant
    ON CONFLICT (experiment_id, variant, shard) DO UPDATE SET
        impressions = counted.impressions + EXCLUDED.impressions,
        engagements = counted.engagements + EXCLUDED.engagements, last_at = EXCLUDED.last_at;
    INSERT INTO daily_counts AS counted (account_id, day, shard, events)
    SELECT account_id, (received_at AT TIME ZONE 'UTC')::date AS day, pg_backend_pid() % 16, sum(n)
    FROM (SELECT experiment_id, received_at, count(*) AS n FROM changed GROUP BY experiment_id, received_at) AS told
    JOIN experiments ON experiments.id = told.experiment_id
    GROUP BY account_id, day
    ORDER BY account_id, day
    ON CONFLICT (account_id, day, shard) DO UPDATE SET events = counted.events + EXCLUDED.events;
    RETURN NULL;
END
$$;

-- Writers wait until the counts below and the triggers are both in place.
LOCK TABLE experiments, experiment_events, analyzed_queries IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO daily_counts (account_id, day, shard, queries, candidates, predictions)
SELECT
    account_id, (created_at AT TIME ZONE 'UTC')::date AS day, 0, count(*), sum(jsonb_array_length(candidates)),
    count(viral_score) + sum(jsonb_array_length(jsonb_path_query_array(candidates, '$[*].viral_score ? (@ != null)')))
FROM (SELECT account_id, created_at, viral_score, candidates_of(analysis_result) AS candidates FROM analyzed_queries) AS stored
GROUP BY account_id, day;

INSERT INTO daily_counts AS counted (account_id, day, shard, events)
SELECT account_id, (received_at AT TIME ZONE 'UTC')::date AS day, 0, count(*)
FROM experiment_events JOIN experiments ON experiments.id = experiment_id
GROUP BY account_id, day
ON CONFLICT (account_id, day, shard) DO UPDATE SET events = EXCLUDED.events;

-- Events of an experiment that is gone count for nobody.
INSERT INTO experiment_event_counts (experiment_id, variant, shard, impressions, engagements, last_at)
SELECT
    experiment_id, variant, 0, count(*) FILTER (WHERE NOT engagement), count(*) FILTER (WHERE engagement), max(received_at)
FROM experiment_events
WHERE experiment_id IN (SELECT id FROM experiments)
GROUP BY experiment_id, variant;

CREATE TRIGGER count_queries AFTER INSERT ON analyzed_queries REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION count_queries();
CREATE TRIGGER uncount_queries AFTER DELETE ON analyzed_queries REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION uncount_queries();
CREATE TRIGGER count_events AFTER INSERT ON experiment_events REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION count_events();
