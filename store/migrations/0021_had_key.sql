-- That there was a key once: its row goes with the account that it was of, and the door stays shut all the same.
CREATE TABLE had_key (
    once BOOLEAN PRIMARY KEY DEFAULT true CHECK (once)
);

CREATE FUNCTION note_first_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO had_key DEFAULT VALUES ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
-- A trigger, so that the release before notes its keys too. It locks api_keys: none is made before the next statement.
CREATE TRIGGER note_first_key AFTER INSERT ON api_keys FOR EACH ROW EXECUTE FUNCTION note_first_key();

INSERT INTO had_key SELECT true WHERE EXISTS (SELECT FROM api_keys);
