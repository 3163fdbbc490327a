-- Who changed what, and when. Triggers write it, in the transaction that made the change: no code can forget it, and what
-- is rolled back leaves no row. Rows are of experiments, files, templates, slots and settings, never of events: those who
-- write many rows of their own pay nothing. No row holds the text of a post, nor which post was deleted.

-- actor is who did it, the account itself unless somebody else is named in murmuration.actor. account_id is NULL where
-- all accounts are told: the weights of the models, and an account that was deleted, which object_id names.
CREATE TABLE audit_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id TEXT CHECK (char_length(account_id) BETWEEN 1 AND 128),
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    actor TEXT NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 128),
    action TEXT NOT NULL CHECK (action IN (
        'created', 'started', 'stopped', 'concluded', 'reallocated', 'imported', 'changed', 'archived', 'moved', 'deleted'
    )),
    kind TEXT NOT NULL CHECK (kind IN (
        'experiment', 'import', 'post', 'template', 'slot', 'settings', 'account', 'weights'
    )),
    object_id TEXT CHECK (char_length(object_id) BETWEEN 1 AND 128),
    name TEXT CHECK (char_length(name) BETWEEN 1 AND 255),
    detail JSONB NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object'),
    request_id TEXT CHECK (char_length(request_id) BETWEEN 1 AND 128)
);
CREATE INDEX idx_audit_account ON audit_log (account_id, id DESC);

-- One row, by whoever and for whichever request the transaction says; none while an account is deleted whole.
CREATE FUNCTION audit(
    account TEXT, action TEXT, kind TEXT, object_id TEXT, name TEXT, detail JSONB, actor TEXT DEFAULT NULL
) RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO audit_log (account_id, actor, action, kind, object_id, name, detail, request_id)
    SELECT
        account, coalesce(actor, nullif(current_setting('murmuration.actor', true), ''), account), action, kind,
        object_id, name, detail, nullif(current_setting('murmuration.request_id', true), '')
    WHERE current_setting('murmuration.audit', true) IS DISTINCT FROM 'off'
$$;

CREATE FUNCTION audit_experiment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM audit(NEW.account_id, 'created', 'experiment', NEW.id::text, NEW.name, '{}');
        IF NEW.state = 'running' THEN
            PERFORM audit(NEW.account_id, 'started', 'experiment', NEW.id::text, NEW.name, '{}');
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM audit(OLD.account_id, 'deleted', 'experiment', OLD.id::text, OLD.name, '{}');
    ELSE
        PERFORM audit(
            NEW.account_id,
            CASE WHEN NEW.state = OLD.state THEN 'reallocated' WHEN NEW.state = 'running' THEN 'started' ELSE NEW.state END,
            'experiment', NEW.id::text, NEW.name, jsonb_build_object('version', NEW.version)
        );
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR DELETE ON experiments FOR EACH ROW EXECUTE FUNCTION audit_experiment();
CREATE TRIGGER audit_change AFTER UPDATE OF state, version ON experiments FOR EACH ROW
WHEN (OLD.state <> NEW.state OR OLD.version <> NEW.version) EXECUTE FUNCTION audit_experiment();

-- One row a file, however many rows it has. What X's API told was brought by the collector.
CREATE FUNCTION audit_import() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM audit(
            NEW.account_id, 'imported', 'import', NEW.id::text, NEW.file_name,
            jsonb_build_object(
                'source', NEW.source, 'imported', NEW.imported, 'updated', NEW.updated, 'unchanged', NEW.unchanged,
                'rejected', NEW.rejected
            ),
            CASE NEW.source WHEN 'x_api' THEN 'collector' END
        );
    ELSE
        PERFORM audit(
            OLD.account_id, 'deleted', 'import', OLD.id::text, OLD.file_name,
            jsonb_build_object('source', OLD.source, 'rows', OLD.n_rows)
        );
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR DELETE ON imports FOR EACH ROW EXECUTE FUNCTION audit_import();

-- How many posts a statement deleted, not which: what was deleted is gone here too.
CREATE FUNCTION audit_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit(account_id, 'deleted', 'post', NULL, NULL, jsonb_build_object('posts', count(*)))
    FROM deleted GROUP BY account_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER DELETE ON posts REFERENCING OLD TABLE AS deleted
FOR EACH STATEMENT EXECUTE FUNCTION audit_posts();

-- What an account did to its templates; what a release brings, changes or withdraws is none of it, and neither are the
-- figures that outcomes move.
CREATE FUNCTION audit_template() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit(
        NEW.account_id,
        CASE WHEN TG_OP = 'INSERT' THEN 'created' WHEN NEW.archived_at IS NOT NULL THEN 'archived' ELSE 'changed' END,
        'template', NEW.id::text, NEW.template_name,
        jsonb_build_object('language', NEW.language, 'version', NEW.version)
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT ON content_templates FOR EACH ROW
WHEN (NEW.origin = 'own') EXECUTE FUNCTION audit_template();
CREATE TRIGGER audit_change AFTER UPDATE OF version, archived_at ON content_templates FOR EACH ROW
WHEN (
    NEW.origin = 'own' AND NEW.version <> OLD.version
    OR NEW.archived_at IS NOT NULL AND NOT NEW.withdrawn AND (OLD.archived_at IS NULL OR OLD.withdrawn)
) EXECUTE FUNCTION audit_template();

-- Slots of one call are one row.
CREATE FUNCTION audit_slots() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit(
        account_id, CASE TG_OP WHEN 'INSERT' THEN 'created' ELSE 'deleted' END, 'slot',
        CASE count(*) WHEN 1 THEN min(id::text) END, NULL,
        jsonb_build_object('slots', count(*), 'first', min(at), 'last', max(at))
    )
    FROM changed GROUP BY account_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_created AFTER INSERT ON plan_slots REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION audit_slots();
CREATE TRIGGER audit_deleted AFTER DELETE ON plan_slots REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION audit_slots();

CREATE FUNCTION audit_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit(
        NEW.account_id, 'moved', 'slot', NEW.id::text, NULL, jsonb_build_object('before', OLD.at, 'after', NEW.at)
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_move AFTER UPDATE OF at ON plan_slots FOR EACH ROW
WHEN (OLD.at <> NEW.at) EXECUTE FUNCTION audit_move();

-- Each setting that changed, before and after; of the first ones what they are.
CREATE FUNCTION audit_settings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before JSONB := '{}';
    changes JSONB;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := to_jsonb(OLD);
    END IF;
    SELECT coalesce(jsonb_object_agg(key, jsonb_build_object('before', before -> key, 'after', value)), '{}')
    INTO changes
    FROM jsonb_each(to_jsonb(NEW))
    WHERE key NOT IN ('account_id', 'updated_at') AND before -> key IS DISTINCT FROM value;
    IF changes <> '{}' THEN
        PERFORM audit(NEW.account_id, 'changed', 'settings', NULL, NULL, changes);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON account_settings FOR EACH ROW EXECUTE FUNCTION audit_settings();
