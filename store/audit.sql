-- name: say_who
-- Name the request, and who acts where it is not the account itself, to the audit of this transaction.
SELECT set_config('murmuration.request_id', coalesce($1, ''), true), set_config('murmuration.actor', coalesce($2, ''), true);

-- name: silence_audit
-- An account that is deleted whole leaves no row for each thing that it had.
SELECT set_config('murmuration.audit', 'off', true);

-- name: record_account_deletion
-- All that is left of an account: that the one of this name was deleted, and when.
INSERT INTO audit_log (account_id, actor, action, kind, object_id, request_id) VALUES (NULL, $1, 'deleted', 'account', $1, $2);

-- name: lock_weights
-- One replica at a time says which weights are served.
SELECT pg_advisory_xact_lock(4211785532106391707);

-- name: record_weights
-- What is served from now on, unless that is what was said last; what is not told stays as it was.
WITH last AS (
    SELECT coalesce((
        SELECT detail FROM audit_log WHERE account_id IS NULL AND kind = 'weights' ORDER BY id DESC LIMIT 1
    ), '{}') AS detail
)
INSERT INTO audit_log (account_id, actor, action, kind, detail)
SELECT NULL, 'installation', 'changed', 'weights', detail || $1::jsonb FROM last
WHERE detail || $1::jsonb <> detail
RETURNING id;

-- name: list_audit
-- What an account did and what all are told, the newest first; $2 is the last id of the page before.
SELECT id, at, actor, action, kind, object_id, name, detail::text, request_id FROM (
    (
        SELECT * FROM audit_log
        WHERE
            account_id = $1 AND ($2::bigint IS NULL OR id < $2)
            AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR kind = $4)
        ORDER BY id DESC
        LIMIT $5
    )
    UNION ALL
    (
        SELECT * FROM audit_log
        WHERE
            account_id IS NULL AND (kind = 'weights' OR object_id = $1) AND ($2::bigint IS NULL OR id < $2)
            AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR kind = $4)
        ORDER BY id DESC
        LIMIT $5
    )
) AS told
ORDER BY id DESC
LIMIT $5;
