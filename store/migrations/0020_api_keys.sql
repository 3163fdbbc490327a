-- Keys of accounts with what each may do, and the sessions of browsers that signed in with one. Neither a key nor a
-- session is stored, only its SHA-256: both are 256 random bits, which no slow hash would make harder to guess.

-- What was revoked or ran out is kept: where there ever was a key, nobody is let in without one.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY CHECK (id ~ '^[0-9a-f]{12}$'),
    account_id TEXT NOT NULL CHECK (char_length(account_id) BETWEEN 1 AND 128),
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 120),
    hash BYTEA NOT NULL CHECK (octet_length(hash) = 32),
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by TEXT NOT NULL CHECK (char_length(created_by) BETWEEN 1 AND 128),
    -- A day is enough to find keys that nobody uses, and costs a key one write a day.
    last_used_on DATE,
    expires_at TIMESTAMPTZ CHECK (expires_at > created_at),
    revoked_at TIMESTAMPTZ
);
CREATE INDEX idx_api_keys_account ON api_keys (account_id, created_at);

CREATE TABLE key_sessions (
    token_hash BYTEA PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX idx_key_sessions_key ON key_sessions (key_id, created_at);

ALTER TABLE audit_log DROP CONSTRAINT audit_log_action_check, DROP CONSTRAINT audit_log_kind_check;
ALTER TABLE audit_log ADD CONSTRAINT audit_log_action_check CHECK (action IN (
    'created', 'started', 'stopped', 'concluded', 'reallocated', 'imported', 'changed', 'archived', 'moved', 'deleted',
    'revoked'
)), ADD CONSTRAINT audit_log_kind_check CHECK (kind IN (
    'experiment', 'import', 'post', 'template', 'slot', 'settings', 'account', 'weights', 'key'
));

CREATE FUNCTION audit_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit(
        NEW.account_id, CASE TG_OP WHEN 'INSERT' THEN 'created' ELSE 'revoked' END, 'key', NEW.id, NEW.name,
        jsonb_build_object('scope', NEW.scope)
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT ON api_keys FOR EACH ROW EXECUTE FUNCTION audit_key();
CREATE TRIGGER audit_revoked AFTER UPDATE OF revoked_at ON api_keys FOR EACH ROW
WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION audit_key();
