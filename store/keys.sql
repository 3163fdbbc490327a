-- name: any_key
-- Whether there ever was a key of any account, deleted ones too.
SELECT EXISTS (SELECT FROM had_key);

-- name: any_live_key
SELECT EXISTS (SELECT FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()));

-- name: live_keys
-- Every key that counts now; how long it still does by the clock of the database, which all replicas share.
SELECT
    id, account_id, scope, hash, extract(EPOCH FROM expires_at - now())::float8 AS seconds_left,
    coalesce(last_used_on = current_date, false) AS used_today
FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());

-- name: live_sessions
SELECT token_hash, key_id, extract(EPOCH FROM expires_at - now())::float8 AS seconds_left
FROM key_sessions
WHERE expires_at > now();

-- name: create_key
-- No row where the account has $7 live ones already.
INSERT INTO api_keys (id, account_id, name, hash, scope, created_by, expires_at)
SELECT $1, $2, $3, $4, $5, $6, now() + make_interval(days => $8::int)
WHERE (
    SELECT count(*) FROM api_keys
    WHERE account_id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
) < $7
RETURNING id, account_id, name, scope, created_at, created_by, last_used_on, expires_at, revoked_at;

-- name: list_keys
-- Of one account, or of all where $1 is null; the newest first.
SELECT id, account_id, name, scope, created_at, created_by, last_used_on, expires_at, revoked_at
FROM api_keys
WHERE $1::text IS NULL OR account_id = $1
ORDER BY created_at DESC, id
LIMIT $2;

-- name: revoke_key
-- With the sessions that were opened with it; no row where there is no such live key, of this account unless $2 is null.
WITH gone AS (DELETE FROM key_sessions USING api_keys WHERE key_id = id AND id = $1 AND ($2::text IS NULL OR account_id = $2))
UPDATE api_keys SET revoked_at = now()
WHERE id = $1 AND ($2::text IS NULL OR account_id = $2) AND revoked_at IS NULL
RETURNING id, account_id, name, scope, created_at, created_by, last_used_on, expires_at, revoked_at;

-- name: note_use
UPDATE api_keys SET last_used_on = current_date WHERE id = ANY($1::text[]) AND last_used_on IS DISTINCT FROM current_date;

-- name: open_session
-- The newest $4 of a key are kept, none that ran out is.
WITH gone AS (
    DELETE FROM key_sessions
    WHERE expires_at < now() OR token_hash IN (
        SELECT token_hash FROM key_sessions WHERE key_id = $2 ORDER BY created_at DESC, token_hash OFFSET $4 - 1
    )
)
INSERT INTO key_sessions (token_hash, key_id, expires_at)
SELECT $1, id, now() + make_interval(secs => $3)
FROM api_keys
WHERE id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
RETURNING key_id;

-- name: close_session
DELETE FROM key_sessions WHERE token_hash = $1;
