-- name: lock_outcomes
-- One writer of outcomes at a time for an account, until its transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended($1, 7304118254906134));

-- name: create_staged
-- Where COPY puts readings before they are told apart; line is their place in the file, captured_at and source are NULL
-- where they are those of the whole file.
CREATE TEMP TABLE staged (
    line BIGINT, post_id TEXT, posted_at TIMESTAMPTZ, text TEXT, promoted JSONB, impressions BIGINT, engagements BIGINT,
    clicks BIGINT, retweets BIGINT, likes BIGINT, replies BIGINT, quotes BIGINT, bookmarks BIGINT, shares BIGINT,
    follows BIGINT, profile_clicks BIGINT, hashtag_clicks BIGINT, detail_expands BIGINT, permalink_clicks BIGINT,
    app_opens BIGINT, app_installs BIGINT, email_posts BIGINT, dial_phone BIGINT, media_views BIGINT,
    media_engagements BIGINT, captured_at TIMESTAMPTZ, source TEXT
) ON COMMIT DROP;

-- name: drop_repeated
-- Of a reading that stands in a file more than once the last line counts; the first $1 lines that do not, with the one
-- that does, and how many they are.
WITH repeated AS (
    SELECT post_id, captured_at, max(line) AS kept FROM staged GROUP BY post_id, captured_at HAVING count(*) > 1
), dropped AS (
    DELETE FROM staged USING repeated
    WHERE
        staged.post_id = repeated.post_id AND staged.line < repeated.kept
        AND staged.captured_at IS NOT DISTINCT FROM repeated.captured_at
    RETURNING staged.line, repeated.kept
)
SELECT line, kept, count(*) OVER () AS n_repeated FROM dropped ORDER BY line LIMIT $1;

-- name: merge_staged
-- Posts that are new or whose text changed, and readings that are new or whose counts changed; $2 is the import, $3 its
-- source, $4 the moment of the readings. In order of their keys: writers that meet at a row never wait in a circle.
WITH texts AS (
    INSERT INTO posts AS stored (account_id, post_id, posted_at, text, import_id)
    SELECT DISTINCT ON (post_id) $1, post_id, posted_at, text, $2 FROM staged ORDER BY post_id, line DESC
    ON CONFLICT (account_id, post_id) DO UPDATE SET text = EXCLUDED.text, import_id = EXCLUDED.import_id
    WHERE EXCLUDED.text <> coalesce(stored.text, '')
    RETURNING post_id
), readings AS (
    INSERT INTO performance_metrics AS stored (
        account_id, post_id, captured_at, source, import_id, promoted, impressions, engagements, clicks, retweets,
        likes, replies, quotes, bookmarks, shares, follows, profile_clicks, hashtag_clicks, detail_expands,
        permalink_clicks, app_opens, app_installs, email_posts, dial_phone, media_views, media_engagements
    )
    SELECT
        $1, post_id, coalesce(captured_at, $4), coalesce(source, $3), $2, promoted, impressions, engagements, clicks, retweets,
        likes, replies, quotes, bookmarks, shares, follows, profile_clicks, hashtag_clicks, detail_expands,
        permalink_clicks, app_opens, app_installs, email_posts, dial_phone, media_views, media_engagements
    FROM staged ORDER BY post_id
    ON CONFLICT (account_id, post_id, captured_at) DO UPDATE SET
        source = EXCLUDED.source, import_id = EXCLUDED.import_id, promoted = EXCLUDED.promoted,
        impressions = EXCLUDED.impressions, engagements = EXCLUDED.engagements, clicks = EXCLUDED.clicks,
        retweets = EXCLUDED.retweets, likes = EXCLUDED.likes, replies = EXCLUDED.replies, quotes = EXCLUDED.quotes,
        bookmarks = EXCLUDED.bookmarks, shares = EXCLUDED.shares, follows = EXCLUDED.follows,
        profile_clicks = EXCLUDED.profile_clicks, hashtag_clicks = EXCLUDED.hashtag_clicks,
        detail_expands = EXCLUDED.detail_expands, permalink_clicks = EXCLUDED.permalink_clicks,
        app_opens = EXCLUDED.app_opens, app_installs = EXCLUDED.app_installs, email_posts = EXCLUDED.email_posts,
        dial_phone = EXCLUDED.dial_phone, media_views = EXCLUDED.media_views,
        media_engagements = EXCLUDED.media_engagements
    WHERE
        (stored.promoted, stored.impressions, stored.engagements, stored.clicks, stored.retweets, stored.likes,
        stored.replies, stored.quotes, stored.bookmarks, stored.shares, stored.follows, stored.profile_clicks,
        stored.hashtag_clicks, stored.detail_expands, stored.permalink_clicks, stored.app_opens, stored.app_installs,
        stored.email_posts, stored.dial_phone, stored.media_views, stored.media_engagements)
        IS DISTINCT FROM
        (EXCLUDED.promoted, EXCLUDED.impressions, EXCLUDED.engagements, EXCLUDED.clicks, EXCLUDED.retweets,
        EXCLUDED.likes, EXCLUDED.replies, EXCLUDED.quotes, EXCLUDED.bookmarks, EXCLUDED.shares, EXCLUDED.follows,
        EXCLUDED.profile_clicks, EXCLUDED.hashtag_clicks, EXCLUDED.detail_expands, EXCLUDED.permalink_clicks,
        EXCLUDED.app_opens, EXCLUDED.app_installs, EXCLUDED.email_posts, EXCLUDED.dial_phone, EXCLUDED.media_views,
        EXCLUDED.media_engagements)
    RETURNING post_id, xmax = 0 AS fresh
)
SELECT
    (SELECT count(*) FROM readings WHERE fresh) AS imported,
    (SELECT count(*) FROM readings WHERE NOT fresh)
    + (SELECT count(*) FROM (SELECT post_id FROM texts EXCEPT SELECT post_id FROM readings) AS changed) AS updated,
    (SELECT count(*) FROM staged) AS staged;

-- name: any_template_outcome
-- Whether any post of the account was written by a template.
SELECT EXISTS (SELECT FROM performance_metrics WHERE account_id = $1 AND template_id IS NOT NULL);

-- name: record_import
-- What brought rows in, and its report.
INSERT INTO imports (id, account_id, source, file_name, file_hash, captured_at, imported, updated, unchanged, rejected)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: told_at_that_moment
-- Whether another file of the same kind has told readings of that moment, as another export of the same range does.
SELECT EXISTS (
    SELECT FROM imports WHERE account_id = $1 AND source = $2 AND captured_at = $3 AND file_hash <> $4
);

-- name: capture_of_file
-- When the same bytes were captured, as it was told the first time.
SELECT captured_at FROM imports WHERE account_id = $1 AND file_hash = $2 ORDER BY id LIMIT 1;

-- name: list_posts_of_account
-- Posts with what is known of each, the newest first; $2 and $3 bound when they were posted, NULL is no bound.
-- The posts are chosen first: fresh from a large import the planner would read all of them. With $6 only what may be
-- learned from: nothing that came by X's API alone, unless the account has switched that on.
WITH settings AS MATERIALIZED (
    SELECT $6::boolean AND NOT EXISTS (
        SELECT FROM account_settings WHERE account_id = $1 AND learn_from_api
    ) AS told_by_files
), chosen AS MATERIALIZED (
    SELECT post_id, posted_at, text, kind FROM posts
    WHERE
        account_id = $1 AND ($2::timestamptz IS NULL OR posted_at >= $2) AND ($3::timestamptz IS NULL OR posted_at < $3)
        AND ($5::text[] IS NULL OR kind = ANY ($5))
        AND (NOT (SELECT told_by_files FROM settings) OR EXISTS (
            SELECT FROM performance_metrics AS told
            WHERE told.account_id = $1 AND told.post_id = posts.post_id AND told.source <> 'x_api'
        ))
    ORDER BY posted_at DESC, post_id DESC
    LIMIT $4
)
SELECT
    posts.post_id, posts.posted_at, posts.text, posts.kind, known.source, known.captured_at, known.template_id,
    known.impressions, known.engagements, known.clicks, known.retweets, known.likes, known.replies, known.quotes,
    known.bookmarks, known.shares, known.follows, known.profile_clicks, known.hashtag_clicks, known.detail_expands,
    known.permalink_clicks, known.app_opens, known.app_installs, known.email_posts, known.dial_phone,
    known.media_views, known.media_engagements, known.together
FROM chosen AS posts
CROSS JOIN settings
CROSS JOIN LATERAL known_counts($1, posts.post_id, settings.told_by_files) AS known
ORDER BY posts.posted_at DESC, posts.post_id DESC;

-- name: page_posts
-- A page of posts with what is known of each: the newest first, or with $2 of the $7 newest those with most likes and
-- retweets, as far as both are known. $4, $5 and $6 are engagement, moment and id of the last one of the page before.
WITH newest AS MATERIALIZED (
    SELECT post_id, posted_at, text, kind FROM posts
    WHERE
        account_id = $1 AND ($3::text[] IS NULL OR kind = ANY ($3))
        AND ($2::boolean OR $5::timestamptz IS NULL OR (posted_at, post_id) < ($5, $6::text))
    ORDER BY posted_at DESC, post_id DESC
    LIMIT $7
)
SELECT
    newest.post_id, newest.posted_at, newest.text, newest.kind, known.source, known.captured_at, known.template_id,
    known.likes + known.retweets AS engagement, known.impressions, known.engagements, known.clicks, known.retweets,
    known.likes, known.replies, known.quotes, known.bookmarks, known.shares, known.follows, known.profile_clicks
FROM newest
CROSS JOIN LATERAL known_counts($1, newest.post_id, false) AS known
WHERE
    NOT $2 OR known.likes + known.retweets IS NOT NULL
    AND ($4::bigint IS NULL OR (known.likes + known.retweets, newest.posted_at, newest.post_id) < ($4, $5, $6))
ORDER BY CASE WHEN $2 THEN known.likes + known.retweets END DESC, newest.posted_at DESC, newest.post_id DESC
LIMIT $8;
