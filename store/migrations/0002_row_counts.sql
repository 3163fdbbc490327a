-- Exact row counts that cost the same at any size: statement triggers keep them, count(*) would read every row.
-- Sixteen shards a table, so that writers on different connections seldom wait for each other's commit.

CREATE TABLE row_counts (
    table_name TEXT NOT NULL,
    shard SMALLINT NOT NULL,
    n_rows BIGINT NOT NULL,
    PRIMARY KEY (table_name, shard)
) WITH (fillfactor = 50);

CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change BIGINT;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE row_counts SET n_rows = 0 WHERE table_name = TG_TABLE_NAME;
        RETURN NULL;
    END IF;
    SELECT count(*) INTO change FROM changed;
    IF change > 0 THEN
        INSERT INTO row_counts AS counted (table_name, shard, n_rows)
        VALUES (TG_TABLE_NAME, pg_backend_pid() % 16, CASE TG_OP WHEN 'INSERT' THEN change ELSE -change END)
        ON CONFLICT (table_name, shard) DO UPDATE SET n_rows = counted.n_rows + EXCLUDED.n_rows;
    END IF;
    RETURN NULL;
END
$$;

-- Writers wait until the counts below and the triggers are both in place.
LOCK TABLE analyzed_queries, content_templates, performance_metrics, audience_analysis, idempotency_keys
    IN SHARE ROW EXCLUSIVE MODE;

DO $$
DECLARE
    counted TEXT;
BEGIN
    FOREACH counted IN ARRAY ARRAY[
        'analyzed_queries', 'content_templates', 'performance_metrics', 'audience_analysis', 'idempotency_keys'
    ] LOOP
        EXECUTE format('INSERT INTO row_counts SELECT %L, 0, count(*) FROM %I', counted, counted);
        EXECUTE format('CREATE TRIGGER count_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
        EXECUTE format('CREATE TRIGGER count_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
        EXECUTE format('CREATE TRIGGER count_truncated AFTER TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION count_rows()', counted);
    END LOOP;
END
$$;
