-- name: first_query_at
-- When the account asked for the first time.
SELECT min(created_at) FROM analyzed_queries WHERE account_id = $1;

-- name: posts_without_template
-- Own posts from $2 on of which no reading names a template, after the post ($3, $4), oldest first.
SELECT post_id, text, posted_at FROM posts
WHERE
    account_id = $1 AND posted_at >= $2 AND (posted_at, post_id) > ($3::timestamptz, $4::text)
    AND kind = 'post' AND text IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM performance_metrics AS metrics
        WHERE metrics.account_id = $1 AND metrics.post_id = posts.post_id AND metrics.template_id IS NOT NULL
    )
ORDER BY posted_at, post_id
LIMIT $5;

-- name: candidates_of_templates
-- The candidates of the $4 answers behind ($2, $3) that a template of the account wrote; one row with a NULL text for an
-- answer without any. Of a name in both languages the template in the language of the answer is meant.
WITH answers AS (
    SELECT id, created_at, analysis_result FROM analyzed_queries
    WHERE account_id = $1 AND (created_at, id) > ($2::timestamptz, $3::uuid)
    ORDER BY created_at, id
    LIMIT $4
)
SELECT answers.id, answers.created_at, candidate ->> 'text' AS text, template.id AS template_id
FROM answers
LEFT JOIN LATERAL jsonb_path_query(analysis_result, 'lax $.templates[*] ? (@.template != null)') AS candidates (candidate)
    ON true
LEFT JOIN LATERAL (
    SELECT min(named.id) AS id
    FROM content_templates AS named
    WHERE
        named.account_id = $1 AND named.template_name = candidate ->> 'template'
        AND (
            named.language = analysis_result #>> '{analysis,language}'
            OR NOT EXISTS (
                SELECT FROM content_templates AS other
                WHERE
                    other.account_id = $1 AND other.template_name = named.template_name
                    AND other.language = analysis_result #>> '{analysis,language}'
            )
        )
    HAVING count(*) = 1
) AS template ON true
ORDER BY answers.created_at, answers.id;

-- name: name_templates
-- Write down which template wrote posts, where no reading of theirs names one.
WITH named AS (
    UPDATE performance_metrics AS metrics SET template_id = authors.template_id
    FROM unnest($2::text[], $3::bigint[]) AS authors (post_id, template_id)
    WHERE metrics.account_id = $1 AND metrics.post_id = authors.post_id AND metrics.template_id IS NULL
        AND NOT EXISTS (
            SELECT FROM performance_metrics AS other
            WHERE other.account_id = $1 AND other.post_id = authors.post_id AND other.template_id IS NOT NULL
        )
    RETURNING metrics.post_id
)
SELECT count(DISTINCT post_id) FROM named;
