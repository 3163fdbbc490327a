-- The collector of X's API: what it read, what it spent, its rotating token; and the jobs that run once in a cluster.

-- What runs by itself, once for all replicas: who claims a job holds it until leased_until. last_run is its report.
CREATE TABLE upkeep_jobs (
    job TEXT PRIMARY KEY CHECK (job IN ('expire', 'collect')),
    due_at TIMESTAMPTZ NOT NULL,
    leased_until TIMESTAMPTZ,
    failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    last_run JSONB CHECK (jsonb_typeof(last_run) = 'object')
);

-- The account at X that an account's posts are read from: all posts up to known_until are known. X replaces a refresh
-- token with each use and takes the old one no more, so the newest stands here, readable for whoever may read this
-- table. seed_hash is the SHA-256 of the token of the environment that it comes from: another one there starts anew.
CREATE TABLE x_accounts (
    account_id TEXT NOT NULL CHECK (char_length(account_id) BETWEEN 1 AND 128),
    user_id TEXT NOT NULL CHECK (user_id ~ '^[0-9]{1,19}$'),
    known_until TIMESTAMPTZ,
    seed_hash BYTEA CHECK (octet_length(seed_hash) = 32),
    refresh_token TEXT,
    access_token TEXT,
    access_until TIMESTAMPTZ,
    PRIMARY KEY (account_id, user_id)
);

-- What runs did and cost by month (UTC), in millionths of a USD; what is asked for counts before it is answered.
CREATE TABLE x_months (
    account_id TEXT NOT NULL CHECK (char_length(account_id) BETWEEN 1 AND 128),
    month DATE NOT NULL CHECK (extract(DAY FROM month) = 1),
    microusd BIGINT NOT NULL CHECK (microusd >= 0),
    posts_new BIGINT NOT NULL DEFAULT 0 CHECK (posts_new >= 0),
    snapshots BIGINT NOT NULL DEFAULT 0 CHECK (snapshots >= 0),
    late BIGINT NOT NULL DEFAULT 0 CHECK (late >= 0),
    missed BIGINT NOT NULL DEFAULT 0 CHECK (missed >= 0),
    deleted BIGINT NOT NULL DEFAULT 0 CHECK (deleted >= 0),
    PRIMARY KEY (account_id, month)
);

-- The posts that came by the API: when their counts were last read, and when X last returned them.
CREATE TABLE x_posts (
    account_id TEXT NOT NULL CHECK (char_length(account_id) BETWEEN 1 AND 128),
    post_id TEXT NOT NULL CHECK (char_length(post_id) BETWEEN 1 AND 19),
    posted_at TIMESTAMPTZ NOT NULL,
    read_at TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account_id, post_id)
);

-- Whoever deletes a post deletes it here. Not a foreign key: that looks here once for each of a million posts.
CREATE FUNCTION forget_x_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM x_posts USING deleted
    WHERE x_posts.account_id = deleted.account_id AND x_posts.post_id = deleted.post_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER forget_x_posts AFTER DELETE ON posts REFERENCING OLD TABLE AS deleted
FOR EACH STATEMENT EXECUTE FUNCTION forget_x_posts();

-- X's terms forbid to train on what came by its API: only who may do so switches this on.
ALTER TABLE account_settings ADD COLUMN learn_from_api BOOLEAN NOT NULL DEFAULT false;

-- Those that expire are found without reading all of them.
CREATE INDEX idx_idempotency_created_at ON idempotency_keys (account_id, created_at);
