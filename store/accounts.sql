-- name: account_settings
-- What an account wants of every part; no row where it never said.
SELECT length_limit, time_zone, query_retention_days FROM account_settings WHERE account_id = $1;

-- name: save_account_settings
-- What an account wants from now on.
INSERT INTO account_settings (account_id, length_limit, time_zone, query_retention_days) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) DO UPDATE SET
    length_limit = EXCLUDED.length_limit, time_zone = EXCLUDED.time_zone,
    query_retention_days = EXCLUDED.query_retention_days;
