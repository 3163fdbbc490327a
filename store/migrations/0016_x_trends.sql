-- What trends on X at a place (WOEID), as X last told it, and what was in the way when it was last asked. Names are X's
-- words: nothing is inferred from them.
CREATE TABLE x_trends (
    account_id TEXT PRIMARY KEY CHECK (char_length(account_id) BETWEEN 1 AND 128),
    woeid INTEGER NOT NULL CHECK (woeid > 0),
    asked_at TIMESTAMPTZ NOT NULL,
    read_at TIMESTAMPTZ,
    problem TEXT CHECK (problem <> ''),
    trends JSONB NOT NULL CHECK (jsonb_typeof(trends) = 'array')
);
