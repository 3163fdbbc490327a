-- What an account plans to post, and when: the product itself posts nothing.

-- candidate_id is the caller's own name of the text; expected the percentile that the heat map told of the hour, NULL
-- where time had no evidence. time_zone is the one that the slot was planned in.
CREATE TABLE plan_slots (
    id UUID PRIMARY KEY,
    account_id TEXT NOT NULL DEFAULT 'default' CHECK (char_length(account_id) BETWEEN 1 AND 128),
    candidate_id TEXT CHECK (char_length(candidate_id) BETWEEN 1 AND 128),
    text TEXT NOT NULL CHECK (char_length(text) BETWEEN 1 AND 4000),
    at TIMESTAMPTZ NOT NULL,
    time_zone TEXT NOT NULL CHECK (char_length(time_zone) BETWEEN 1 AND 64),
    expected DOUBLE PRECISION CHECK (expected BETWEEN 0 AND 1),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (account_id, at)
);
CREATE TRIGGER touch BEFORE UPDATE ON plan_slots FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
