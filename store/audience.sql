-- name: claim_refresh
-- Take the refresh of an account, unless one runs that was begun after $2.
INSERT INTO audience_refreshes AS stored (account_id, refreshing_since) VALUES ($1, now())
ON CONFLICT (account_id) DO UPDATE SET refreshing_since = now()
WHERE stored.refreshing_since IS NULL OR stored.refreshing_since < $2
RETURNING refreshing_since;

-- name: release_refresh
-- Give back a refresh that failed; one that somebody took over since stays theirs.
UPDATE audience_refreshes SET refreshing_since = NULL WHERE account_id = $1 AND refreshing_since = $2;

-- name: finish_refresh
-- What a refresh found, by whoever still holds it.
UPDATE audience_refreshes SET refreshing_since = NULL, result = $3::jsonb, trends = $4::jsonb, computed_at = $5
WHERE account_id = $1 AND refreshing_since = $2
RETURNING account_id;

-- name: forget_segments
-- Segments that are no more; what another part knows of the same name stays.
UPDATE audience_analysis SET
    interests = NULL, behavior_patterns = NULL, content_preferences = NULL, outcome = NULL, n = NULL, share = NULL,
    stability = NULL, computed_at = NULL
WHERE account_id = $1 AND computed_at IS NOT NULL AND audience_segment <> ALL ($2::text[]) AND optimal_timing IS NOT NULL;

-- name: delete_segments
-- Segments that are no more and of which nothing else is known.
DELETE FROM audience_analysis
WHERE account_id = $1 AND computed_at IS NOT NULL AND audience_segment <> ALL ($2::text[]) AND optimal_timing IS NULL;

-- name: save_segments
-- The segments of a refresh, each by its name.
INSERT INTO audience_analysis (
    account_id, audience_segment, n, share, stability, outcome, interests, behavior_patterns, content_preferences,
    computed_at
)
SELECT $1, name, n, share, stability, outcome::jsonb, interests::jsonb, behavior::jsonb, preferences::jsonb, $10
FROM unnest($2::text[], $3::bigint[], $4::float8[], $5::float8[], $6::text[], $7::text[], $8::text[], $9::text[])
    AS segments (name, n, share, stability, outcome, interests, behavior, preferences)
ON CONFLICT (account_id, audience_segment) DO UPDATE SET
    n = EXCLUDED.n, share = EXCLUDED.share, stability = EXCLUDED.stability, outcome = EXCLUDED.outcome,
    interests = EXCLUDED.interests, behavior_patterns = EXCLUDED.behavior_patterns,
    content_preferences = EXCLUDED.content_preferences, computed_at = EXCLUDED.computed_at;

-- name: find_refresh
-- What the last refresh of an account found, and whether one runs that was begun after $2.
SELECT result::text, trends::text, computed_at, coalesce(refreshing_since >= $2, false) AS refreshing
FROM audience_refreshes WHERE account_id = $1;

-- name: list_segments
-- The segments of an account, or the one called $2, the largest first.
SELECT
    audience_segment, n, share, stability, outcome::text, interests::text, behavior_patterns::text,
    content_preferences::text, demographics::text, optimal_timing::text, computed_at
FROM audience_analysis
WHERE account_id = $1 AND computed_at IS NOT NULL AND ($2::text IS NULL OR audience_segment = $2)
ORDER BY n DESC, audience_segment;
