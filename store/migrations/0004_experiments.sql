-- Experiments, what was told about their units and posts, and what they taught.

CREATE TABLE experiments (
    id UUID PRIMARY KEY,
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    state TEXT NOT NULL CHECK (state IN ('draft', 'running', 'stopped', 'concluded')),
    -- Grows with every change of state or weights: who changes an experiment names the version that they saw.
    version INTEGER NOT NULL DEFAULT 1 CHECK (version >= 1),
    -- Design, channel, metric, alpha, power, effect ...: what is decided before the start and never changed after it.
    plan JSONB NOT NULL CHECK (jsonb_typeof(plan) = 'object'),
    -- What was found, as it stood when the experiment was concluded.
    conclusion JSONB CHECK (jsonb_typeof(conclusion) = 'object'),
    started_at TIMESTAMPTZ,
    stopped_at TIMESTAMPTZ CHECK (stopped_at >= started_at),
    concluded_at TIMESTAMPTZ CHECK (concluded_at >= stopped_at),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (account_id, id),
    CHECK ((started_at IS NULL) = (state = 'draft')),
    CHECK ((stopped_at IS NOT NULL) = (state IN ('stopped', 'concluded'))),
    CHECK ((concluded_at IS NOT NULL) = (state = 'concluded')),
    CHECK ((conclusion IS NOT NULL) = (state = 'concluded'))
);
CREATE INDEX idx_experiments_running ON experiments (id) WHERE state = 'running';
CREATE TRIGGER touch BEFORE UPDATE ON experiments FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- The variants in the order in which they were named; plan says which is the control.
CREATE TABLE experiment_variants (
    experiment_id UUID NOT NULL,
    account_id TEXT NOT NULL,
    variant SMALLINT NOT NULL CHECK (variant BETWEEN 0 AND 19),
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 120),
    content TEXT CHECK (char_length(content) BETWEEN 1 AND 4000),
    weight DOUBLE PRECISION NOT NULL CHECK (weight BETWEEN 0 AND 1),
    template_id BIGINT,
    PRIMARY KEY (experiment_id, variant),
    UNIQUE (experiment_id, name),
    FOREIGN KEY (account_id, experiment_id) REFERENCES experiments (account_id, id),
    -- A variant cannot have been written by another account's template.
    FOREIGN KEY (account_id, template_id) REFERENCES content_templates (account_id, id)
);
CREATE INDEX idx_variants_template_id ON experiment_variants (account_id, template_id);

-- The variants of an experiment as JSON, in their order.
CREATE FUNCTION variants_of(experiment UUID) RETURNS JSONB LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(
        jsonb_build_object('name', name, 'content', content, 'weight', weight, 'template_id', template_id)
        ORDER BY variant
    )
    FROM experiment_variants WHERE experiment_id = experiment
$$;
CREATE VIEW experiments_with_variants AS SELECT *, variants_of(id) AS variants FROM experiments;

-- Every event that was acknowledged, once. No foreign key: it would look the experiment up again for every row, and
-- the one statement that writes here holds a lock on the experiment.
CREATE TABLE experiment_events (
    experiment_id UUID NOT NULL,
    event_id TEXT NOT NULL CHECK (char_length(event_id) BETWEEN 1 AND 128),
    variant SMALLINT NOT NULL,
    engagement BOOLEAN NOT NULL,
    unit TEXT NOT NULL CHECK (char_length(unit) BETWEEN 1 AND 256),
    at TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (experiment_id, event_id)
);

-- What the events say of a unit, whatever order they came in: a NULL moment is no such event yet.
-- mismatch: told with another variant than the assignment gave it.
CREATE TABLE experiment_units (
    experiment_id UUID NOT NULL,
    variant SMALLINT NOT NULL,
    unit TEXT NOT NULL,
    exposed_at TIMESTAMPTZ,
    engaged_at TIMESTAMPTZ,
    mismatch BOOLEAN NOT NULL,
    PRIMARY KEY (experiment_id, variant, unit)
) WITH (fillfactor = 80);
CREATE INDEX idx_units_unit ON experiment_units (experiment_id, unit);

-- The posts of a switchback, each with its newest counts.
CREATE TABLE experiment_posts (
    experiment_id UUID NOT NULL REFERENCES experiments (id),
    post_id TEXT NOT NULL CHECK (char_length(post_id) BETWEEN 1 AND 128),
    posted_at TIMESTAMPTZ NOT NULL,
    impressions BIGINT CHECK (impressions >= 0),
    likes BIGINT NOT NULL CHECK (likes >= 0),
    retweets BIGINT NOT NULL CHECK (retweets >= 0),
    captured_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (experiment_id, post_id)
);

-- What a split test says of a variant is how many units engaged, not how: NULL is unknown here too.
-- compared_rate: the rate of the other variants of the test, which is what this one is measured against.
ALTER TABLE performance_metrics
    ALTER COLUMN retweets DROP NOT NULL,
    ALTER COLUMN likes DROP NOT NULL,
    ADD COLUMN compared_rate NUMERIC(9, 6) CHECK (compared_rate BETWEEN 0 AND 1);

CREATE OR REPLACE VIEW post_outcomes AS
SELECT
    account_id,
    post_id,
    (array_agg(template_id ORDER BY captured_at DESC) FILTER (WHERE template_id IS NOT NULL))[1] AS template_id,
    (array_agg(engagement_rate ORDER BY captured_at DESC) FILTER (WHERE NOT suspect))[1] AS engagement_rate,
    (array_agg(compared_rate ORDER BY captured_at DESC))[1] AS compared_rate
FROM performance_metrics
GROUP BY account_id, post_id;

-- As before, but a variant of a test is a success where it beat the others of its test; the median is that of posts.
CREATE OR REPLACE FUNCTION template_outcomes(account TEXT)
RETURNS TABLE (template_id BIGINT, posts BIGINT, rated BIGINT, successes BIGINT)
LANGUAGE sql STABLE AS $$
    WITH outcomes AS MATERIALIZED (
        SELECT * FROM post_outcomes WHERE account_id = account
    ), median AS MATERIALIZED (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY engagement_rate::float8)::numeric AS rate
        FROM outcomes WHERE compared_rate IS NULL
    )
    SELECT
        outcomes.template_id,
        count(*),
        count(engagement_rate),
        count(*) FILTER (WHERE engagement_rate > coalesce(outcomes.compared_rate, median.rate))
    FROM outcomes, median
    WHERE outcomes.template_id IS NOT NULL
    GROUP BY outcomes.template_id
$$;

INSERT INTO row_counts (table_name, shard, n_rows) VALUES ('experiments', 0, 0), ('experiment_events', 0, 0);
DO $$
DECLARE
    counted TEXT;
BEGIN
    FOREACH counted IN ARRAY ARRAY['experiments', 'experiment_events'] LOOP
        EXECUTE format('CREATE TRIGGER count_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
        EXECUTE format('CREATE TRIGGER count_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
        EXECUTE format('CREATE TRIGGER count_truncated AFTER TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
    END LOOP;
END
$$;
