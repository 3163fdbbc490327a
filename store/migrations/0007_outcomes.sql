-- What an account's posts achieved: the files that told it, the posts, every count that X tells of them, and what the
-- account wants. Everything is added beside what the running release uses.

-- What brought rows in: an imported file, or a run of the collector, which has no file; with the counts
-- of its report.
CREATE TABLE imports (
    id UUID PRIMARY KEY,
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    source TEXT NOT NULL CHECK (source IN ('tweet_activity', 'content', 'overview', 'video', 'archive', 'x_api', 'ga4')),
    file_name TEXT CHECK (char_length(file_name) BETWEEN 1 AND 255),
    file_hash BYTEA CHECK (octet_length(file_hash) = 32),
    captured_at TIMESTAMPTZ NOT NULL,
    imported BIGINT NOT NULL CHECK (imported >= 0),
    updated BIGINT NOT NULL CHECK (updated >= 0),
    unchanged BIGINT NOT NULL CHECK (unchanged >= 0),
    rejected BIGINT NOT NULL CHECK (rejected >= 0),
    n_rows BIGINT NOT NULL GENERATED ALWAYS AS (imported + updated + unchanged + rejected) STORED,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_imports_account ON imports (account_id, id DESC);

-- One row a post of the account. text is NULL where the file that brought it was deleted, or none brought one;
-- import_id is what brought the text. X allows posts of 25,000 characters.
CREATE TABLE posts (
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    post_id TEXT NOT NULL CHECK (char_length(post_id) BETWEEN 1 AND 128),
    posted_at TIMESTAMPTZ NOT NULL,
    text TEXT CHECK (char_length(text) <= 25000),
    kind TEXT NOT NULL GENERATED ALWAYS AS (
        CASE WHEN text LIKE '@%' THEN 'reply' WHEN text LIKE 'RT @%' THEN 'repost' ELSE 'post' END
    ) STORED,
    import_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, post_id)
);
CREATE INDEX idx_posts_posted_at ON posts (account_id, posted_at DESC, post_id DESC);
CREATE TRIGGER touch BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- source and import_id are NULL where an experiment told the reading. An archive knows no engagements: NULL is unknown.
-- clicks are those on links; promoted holds the counts of what was paid for, where there are any.
ALTER TABLE performance_metrics
    ALTER COLUMN engagements DROP NOT NULL,
    ADD COLUMN source TEXT,
    ADD COLUMN import_id UUID,
    ADD COLUMN quotes BIGINT CHECK (quotes >= 0),
    ADD COLUMN bookmarks BIGINT CHECK (bookmarks >= 0),
    ADD COLUMN shares BIGINT CHECK (shares >= 0),
    ADD COLUMN follows BIGINT CHECK (follows >= 0),
    ADD COLUMN profile_clicks BIGINT CHECK (profile_clicks >= 0),
    ADD COLUMN hashtag_clicks BIGINT CHECK (hashtag_clicks >= 0),
    ADD COLUMN detail_expands BIGINT CHECK (detail_expands >= 0),
    ADD COLUMN permalink_clicks BIGINT CHECK (permalink_clicks >= 0),
    ADD COLUMN app_opens BIGINT CHECK (app_opens >= 0),
    ADD COLUMN app_installs BIGINT CHECK (app_installs >= 0),
    ADD COLUMN email_posts BIGINT CHECK (email_posts >= 0),
    ADD COLUMN dial_phone BIGINT CHECK (dial_phone >= 0),
    ADD COLUMN media_views BIGINT CHECK (media_views >= 0),
    ADD COLUMN media_engagements BIGINT CHECK (media_engagements >= 0),
    ADD COLUMN promoted JSONB CHECK (jsonb_typeof(promoted) = 'object');

-- What X tells of whole days of the account, by kind of export.
CREATE TABLE account_days (
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    day DATE NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('overview', 'video')),
    counts JSONB NOT NULL CHECK (jsonb_typeof(counts) = 'object'),
    captured_at TIMESTAMPTZ NOT NULL,
    import_id UUID NOT NULL,
    PRIMARY KEY (account_id, day, source)
);

-- What an account wants of every part: how long its posts may be (X's tiers), the IANA time zone that it plans in, and
-- how many days its queries are kept (NULL: for good).
CREATE TABLE account_settings (
    account_id TEXT PRIMARY KEY CHECK (char_length(account_id) BETWEEN 1 AND 128),
    length_limit INTEGER NOT NULL DEFAULT 280 CHECK (length_limit IN (280, 4000)),
    time_zone TEXT NOT NULL DEFAULT 'UTC' CHECK (char_length(time_zone) BETWEEN 1 AND 64),
    query_retention_days INTEGER CHECK (query_retention_days BETWEEN 1 AND 3650),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TRIGGER touch BEFORE UPDATE ON account_settings FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

INSERT INTO row_counts (table_name, shard, n_rows) VALUES ('posts', 0, 0), ('imports', 0, 0);
DO $$
DECLARE
    counted TEXT;
BEGIN
    FOREACH counted IN ARRAY ARRAY['posts', 'imports'] LOOP
        EXECUTE format('CREATE TRIGGER count_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
        EXECUTE format('CREATE TRIGGER count_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
        EXECUTE format('CREATE TRIGGER count_truncated AFTER TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
    END LOOP;
END
$$;
