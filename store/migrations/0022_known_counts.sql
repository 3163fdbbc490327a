-- What is known of a post, whichever of its readings told it: an archive tells likes and no impressions, so a later
-- reading of it must not hide what an export told before. Added beside what the running release uses; its view keeps
-- its columns.

-- As before, but the rate is that of the latest reading that has one: a suspect reading has none, nor has one without
-- impressions. What it is compared with is what that same reading names.
CREATE OR REPLACE VIEW post_outcomes AS
SELECT
    account_id,
    post_id,
    (array_agg(template_id ORDER BY captured_at DESC) FILTER (WHERE template_id IS NOT NULL))[1] AS template_id,
    (array_agg(engagement_rate ORDER BY captured_at DESC) FILTER (WHERE engagement_rate IS NOT NULL))[1] AS engagement_rate,
    (array_agg(compared_rate ORDER BY captured_at DESC) FILTER (WHERE engagement_rate IS NOT NULL))[1] AS compared_rate
FROM performance_metrics
GROUP BY account_id, post_id;

-- A post with the moment and source of its latest reading, and each count by the latest reading that knows it; no row
-- without a reading. engagements are X's own sum alone: an experiment calls likes plus retweets so. With told_by_files
-- readings by X's API are left out.
-- together: where there are several readings, all counts of one of them in the order of the columns, for rates: of the
-- latest that knows impressions and X's engagements, else impressions. A later count over earlier impressions is none.
CREATE FUNCTION known_counts(account TEXT, post TEXT, told_by_files BOOLEAN)
RETURNS TABLE (
    source TEXT, captured_at TIMESTAMPTZ, template_id BIGINT, impressions BIGINT, engagements BIGINT, clicks BIGINT,
    retweets BIGINT, likes BIGINT, replies BIGINT, quotes BIGINT, bookmarks BIGINT, shares BIGINT, follows BIGINT,
    profile_clicks BIGINT, hashtag_clicks BIGINT, detail_expands BIGINT, permalink_clicks BIGINT, app_opens BIGINT,
    app_installs BIGINT, email_posts BIGINT, dial_phone BIGINT, media_views BIGINT, media_engagements BIGINT,
    together BIGINT[]
)
-- One statement and stable: it is planned within the statement that asks.
LANGUAGE sql STABLE AS $$
    SELECT
        (array_agg(told.source ORDER BY told.captured_at DESC))[1],
        max(told.captured_at),
        (array_agg(told.template_id ORDER BY told.captured_at DESC) FILTER (WHERE told.template_id IS NOT NULL))[1],
        (array_agg(told.impressions ORDER BY told.captured_at DESC) FILTER (WHERE told.impressions IS NOT NULL))[1],
        (
            array_agg(told.engagements ORDER BY told.captured_at DESC)
            FILTER (WHERE told.engagements IS NOT NULL AND told.source IS NOT NULL)
        )[1],
        (array_agg(told.clicks ORDER BY told.captured_at DESC) FILTER (WHERE told.clicks IS NOT NULL))[1],
        (array_agg(told.retweets ORDER BY told.captured_at DESC) FILTER (WHERE told.retweets IS NOT NULL))[1],
        (array_agg(told.likes ORDER BY told.captured_at DESC) FILTER (WHERE told.likes IS NOT NULL))[1],
        (array_agg(told.replies ORDER BY told.captured_at DESC) FILTER (WHERE told.replies IS NOT NULL))[1],
        (array_agg(told.quotes ORDER BY told.captured_at DESC) FILTER (WHERE told.quotes IS NOT NULL))[1],
        (array_agg(told.bookmarks ORDER BY told.captured_at DESC) FILTER (WHERE told.bookmarks IS NOT NULL))[1],
        (array_agg(told.shares ORDER BY told.captured_at DESC) FILTER (WHERE told.shares IS NOT NULL))[1],
        (array_agg(told.follows ORDER BY told.captured_at DESC) FILTER (WHERE told.follows IS NOT NULL))[1],
        (array_agg(told.profile_clicks ORDER BY told.captured_at DESC) FILTER (WHERE told.profile_clicks IS NOT NULL))[1],
        (array_agg(told.hashtag_clicks ORDER BY told.captured_at DESC) FILTER (WHERE told.hashtag_clicks IS NOT NULL))[1],
        (array_agg(told.detail_expands ORDER BY told.captured_at DESC) FILTER (WHERE told.detail_expands IS NOT NULL))[1],
        (
            array_agg(told.permalink_clicks ORDER BY told.captured_at DESC)
            FILTER (WHERE told.permalink_clicks IS NOT NULL)
        )[1],
        (array_agg(told.app_opens ORDER BY told.captured_at DESC) FILTER (WHERE told.app_opens IS NOT NULL))[1],
        (array_agg(told.app_installs ORDER BY told.captured_at DESC) FILTER (WHERE told.app_installs IS NOT NULL))[1],
        (array_agg(told.email_posts ORDER BY told.captured_at DESC) FILTER (WHERE told.email_posts IS NOT NULL))[1],
        (array_agg(told.dial_phone ORDER BY told.captured_at DESC) FILTER (WHERE told.dial_phone IS NOT NULL))[1],
        (array_agg(told.media_views ORDER BY told.captured_at DESC) FILTER (WHERE told.media_views IS NOT NULL))[1],
        (
            array_agg(told.media_engagements ORDER BY told.captured_at DESC)
            FILTER (WHERE told.media_engagements IS NOT NULL)
        )[1],
        CASE WHEN count(*) > 1 THEN (
            SELECT ARRAY[
                one.impressions, CASE WHEN one.source IS NOT NULL THEN one.engagements END, one.clicks, one.retweets,
                one.likes, one.replies, one.quotes, one.bookmarks, one.shares, one.follows, one.profile_clicks,
                one.hashtag_clicks, one.detail_expands, one.permalink_clicks, one.app_opens, one.app_installs,
                one.email_posts, one.dial_phone, one.media_views, one.media_engagements
            ]
            FROM performance_metrics AS one
            WHERE one.account_id = account AND one.post_id = post
                AND (NOT told_by_files OR one.source IS DISTINCT FROM 'x_api')
            ORDER BY
                one.impressions IS NOT NULL DESC, one.engagements IS NOT NULL AND one.source IS NOT NULL DESC,
                one.captured_at DESC
            LIMIT 1
        ) END
    FROM performance_metrics AS told
    WHERE told.account_id = account AND told.post_id = post
        AND (NOT told_by_files OR told.source IS DISTINCT FROM 'x_api')
    HAVING count(*) > 0
$$;
