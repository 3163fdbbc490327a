-- What templates achieved, whose they are, and the statistics that say so.
-- Everything here is added beside what the running release uses.

-- Where templates came from before this migration is known: only seeding wrote them.
-- version moves with the content, not with its figures. withdrawn: archived by a release that no longer ships it.
ALTER TABLE content_templates
    ADD COLUMN success_lower_bound NUMERIC(9, 6) CHECK (success_lower_bound BETWEEN 0 AND 1),
    ADD COLUMN origin TEXT NOT NULL DEFAULT 'bundled' CHECK (origin IN ('bundled', 'own')),
    ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version >= 1),
    ADD COLUMN archived_at TIMESTAMPTZ,
    ADD COLUMN withdrawn BOOLEAN NOT NULL DEFAULT false,
    ADD UNIQUE (account_id, id);

-- A reading cannot point at another account's template.
ALTER TABLE performance_metrics
    DROP CONSTRAINT performance_metrics_template_id_fkey,
    ADD FOREIGN KEY (account_id, template_id) REFERENCES content_templates (account_id, id);

-- Lower end of the 95 % score interval of a share: Wilson 1927, Probable Inference, the Law of Succession, and
-- Statistical Inference, JASA 22(158), 209-212, https://doi.org/10.1080/01621459.1927.10502953, with z = 1.96:
--   (p + z^2 / 2n - z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
-- The upper end is 1 - wilson_lower_bound(trials - successes, trials). NULL without trials.
CREATE FUNCTION wilson_lower_bound(successes NUMERIC, trials NUMERIC) RETURNS DOUBLE PRECISION
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN trials > 0 THEN greatest(0, (p + z * z / (2 * n) - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
        / (1 + z * z / n)) END
    FROM (VALUES (
        1.959963984540054::float8, trials::float8, successes::float8 / nullif(trials, 0)::float8
    )) AS terms (z, n, p)
$$;

-- One row a post: the template that wrote it, by its latest reading that names one, and the engagement rate of its
-- latest reading; a suspect reading is none.
CREATE VIEW post_outcomes AS
SELECT
    account_id,
    post_id,
    (array_agg(template_id ORDER BY captured_at DESC) FILTER (WHERE template_id IS NOT NULL))[1] AS template_id,
    (array_agg(engagement_rate ORDER BY captured_at DESC) FILTER (WHERE NOT suspect))[1] AS engagement_rate
FROM performance_metrics
GROUP BY account_id, post_id;

-- One row a template of an account with outcomes: its posts, those with a known rate, and those of them that beat the
-- median rate of all posts of the account. The posts are gathered once for both.
CREATE FUNCTION template_outcomes(account TEXT)
RETURNS TABLE (template_id BIGINT, posts BIGINT, rated BIGINT, successes BIGINT)
LANGUAGE sql STABLE AS $$
    WITH outcomes AS MATERIALIZED (
        SELECT * FROM post_outcomes WHERE account_id = account
    )
    SELECT
        outcomes.template_id,
        count(*),
        count(engagement_rate),
        count(*) FILTER (WHERE engagement_rate > (
            SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY engagement_rate::float8)::numeric FROM outcomes
        ))
    FROM outcomes
    WHERE outcomes.template_id IS NOT NULL
    GROUP BY outcomes.template_id
$$;
