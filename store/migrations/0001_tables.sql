-- The four tables of the specification and the idempotency keys.
-- Rates are fractions of 1; a NULL count is unknown, never zero.

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Not now(): an update in the transaction that made the row must still move it.
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE TABLE analyzed_queries (
    id UUID PRIMARY KEY,
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    query_text TEXT NOT NULL CHECK (char_length(query_text) BETWEEN 1 AND 4000),
    request JSONB NOT NULL CHECK (jsonb_typeof(request) = 'object'),
    analysis_result JSONB NOT NULL CHECK (jsonb_typeof(analysis_result) = 'object'),
    viral_score NUMERIC(5, 2) CHECK (viral_score BETWEEN 0 AND 100),
    degraded TEXT[] NOT NULL DEFAULT '{}' CHECK (array_position(degraded, NULL) IS NULL),
    model_versions JSONB NOT NULL CHECK (jsonb_typeof(model_versions) = 'object'),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_queries_created_at ON analyzed_queries (account_id, created_at);
CREATE INDEX idx_queries_analysis_gin ON analyzed_queries USING gin (analysis_result jsonb_path_ops);
CREATE TRIGGER touch BEFORE UPDATE ON analyzed_queries FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- objective, tone and intent are NULL where the template fits any.
CREATE TABLE content_templates (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    template_name TEXT NOT NULL CHECK (char_length(template_name) BETWEEN 1 AND 255),
    template_content TEXT NOT NULL CHECK (char_length(template_content) BETWEEN 1 AND 4000),
    template_type TEXT NOT NULL CHECK (char_length(template_type) BETWEEN 1 AND 100),
    language TEXT NOT NULL CHECK (language ~ '^[a-z]{2,3}$'),
    objective TEXT CHECK (char_length(objective) BETWEEN 1 AND 100),
    tone TEXT CHECK (char_length(tone) BETWEEN 1 AND 100),
    intent TEXT CHECK (char_length(intent) BETWEEN 1 AND 100),
    success_rate NUMERIC(9, 6) CHECK (success_rate BETWEEN 0 AND 1),
    usage_count BIGINT NOT NULL DEFAULT 0 CHECK (usage_count >= 0),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (account_id, language, template_name)
);
CREATE INDEX idx_templates_success_rate ON content_templates (account_id, success_rate);
CREATE TRIGGER touch BEFORE UPDATE ON content_templates FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- One reading of a post's counts. Sources report engagements above impressions (late or partial counts): such a reading
-- is kept and marked, and has no rate. template_id is NULL for posts that no template wrote, as in an imported history.
CREATE TABLE performance_metrics (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    post_id TEXT NOT NULL CHECK (char_length(post_id) BETWEEN 1 AND 128),
    template_id BIGINT REFERENCES content_templates (id),
    impressions BIGINT CHECK (impressions >= 0),
    engagements BIGINT NOT NULL CHECK (engagements >= 0),
    clicks BIGINT CHECK (clicks >= 0),
    retweets BIGINT NOT NULL CHECK (retweets >= 0),
    likes BIGINT NOT NULL CHECK (likes >= 0),
    replies BIGINT CHECK (replies >= 0),
    engagement_rate NUMERIC(9, 6) GENERATED ALWAYS AS (
        CASE WHEN impressions > 0 AND engagements <= impressions THEN engagements::numeric / impressions END
    ) STORED,
    suspect BOOLEAN NOT NULL GENERATED ALWAYS AS (coalesce(engagements > impressions, false)) STORED,
    viral_score NUMERIC(5, 2) CHECK (viral_score BETWEEN 0 AND 100),
    captured_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (account_id, post_id, captured_at)
);
CREATE INDEX idx_metrics_template_id ON performance_metrics (template_id);
CREATE INDEX idx_metrics_recorded_at ON performance_metrics (account_id, recorded_at);
CREATE TRIGGER touch BEFORE UPDATE ON performance_metrics FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- The unique constraint is also the specification's index on audience_segment.
CREATE TABLE audience_analysis (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    audience_segment TEXT NOT NULL CHECK (char_length(audience_segment) BETWEEN 1 AND 255),
    demographics JSONB CHECK (jsonb_typeof(demographics) = 'object'),
    interests JSONB CHECK (jsonb_typeof(interests) IN ('object', 'array')),
    behavior_patterns JSONB CHECK (jsonb_typeof(behavior_patterns) = 'object'),
    optimal_timing JSONB CHECK (jsonb_typeof(optimal_timing) = 'object'),
    content_preferences JSONB CHECK (jsonb_typeof(content_preferences) = 'object'),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT idx_audience_segment UNIQUE (account_id, audience_segment)
);
CREATE TRIGGER touch BEFORE UPDATE ON audience_analysis FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TABLE idempotency_keys (
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    key TEXT NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
    route TEXT NOT NULL CHECK (char_length(route) BETWEEN 1 AND 255),
    request_hash BYTEA NOT NULL CHECK (octet_length(request_hash) BETWEEN 16 AND 64),
    response BYTEA NOT NULL,
    status SMALLINT NOT NULL CHECK (status BETWEEN 100 AND 599),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, key)
);
