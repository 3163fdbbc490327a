"""A migration runs while the release before it serves: what that release reads and writes must go on working."""

from pathlib import Path

import asyncpg
import pytest

from store.migrate import MIGRATIONS, migrate

FILES = sorted(MIGRATIONS.glob("*.sql"))
# Complaints that were looked at, and are none.
LOOKED_AT = {
    # The rule holds the primary key, and nothing wrote performance_metrics before.
    "0003_template_library",
    # Nothing wrote audience_analysis before.
    "0010_audience",
    # More kinds of import are let in than before.
    "0015_own_exports",
    # More kinds of audit rows are let in than before.
    "0020_api_keys",
}
# Column -> type, whether a row may leave it out. Views are read as tables are.
COLUMNS = """
SELECT table_name || '.' || column_name AS name, udt_name AS type,
       is_nullable = 'YES' OR column_default IS NOT NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS' AS optional
FROM information_schema.columns WHERE table_schema = 'public'
"""
# What may refuse a row, constraints and unique indexes, and the columns that it looks at.
RULES = """
WITH rules AS (
    SELECT conrelid AS relation, pg_get_constraintdef(oid) AS rule, conkey AS columns
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype <> 'n'
    UNION ALL
    SELECT indrelid, pg_get_indexdef(indexrelid), string_to_array(indkey::text, ' ')::smallint[]
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE indisunique AND relnamespace = 'public'::regnamespace
)
SELECT relation::regclass || ': ' || rule AS rule,
       ARRAY(SELECT relation::regclass || '.' || attname FROM pg_attribute
             WHERE attrelid = relation AND attnum = ANY (columns)) AS columns
FROM rules
"""
Schema = tuple[dict[str, tuple[str, bool]], dict[str, list[str]]]


async def schema(connection: asyncpg.Connection) -> Schema:
    columns = {row["name"]: (row["type"], row["optional"]) for row in await connection.fetch(COLUMNS)}
    return columns, {row["rule"]: row["columns"] for row in await connection.fetch(RULES)}


def broken(before: Schema, after: Schema) -> list[str]:
    """What a release that knows the schema `before` cannot do any more in `after`."""
    (old, old_rules), (new, new_rules) = before, after
    tables = {name.partition(".")[0] for name in old}
    gone = [f"{name} is gone" for name in old.keys() - new.keys()]
    kept = old.keys() & new.keys()
    retyped = [f"{name} was {old[name][0]} and is {new[name][0]}" for name in kept if old[name][0] != new[name][0]]
    stricter = [f"{name} may no longer be left out" for name in kept if old[name][1] and not new[name][1]]
    wanted = [
        f"{name} is new and may not be left out"
        for name in new.keys() - old.keys()
        if name.partition(".")[0] in tables and not new[name][1]
    ]
    # One that looks at new columns alone refuses nothing of a release that leaves these at their defaults.
    added = new_rules.keys() - old_rules.keys()
    rules = [f"a rule is new: {rule}" for rule in added if old.keys() & set(new_rules[rule])]
    return sorted([*gone, *retyped, *stricter, *wanted, *rules])


async def steps(url: str, folder: Path, sql: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Apply the migrations one by one; returns what each breaks."""
    connection = await asyncpg.connect(url)
    found = {}
    try:
        for name, text in sql:
            before = await schema(connection)
            (folder / f"{name}.sql").write_text(text)
            assert await migrate(url, folder) == [name]
            found[name] = broken(before, await schema(connection))
    finally:
        await connection.close()
    return found


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("ALTER TABLE posts DROP COLUMN note", "posts.note is gone"),
        ("ALTER TABLE posts RENAME COLUMN note TO remark", "posts.note is gone"),
        ("ALTER TABLE posts ALTER COLUMN n TYPE BIGINT", "posts.n was int4 and is int8"),
        ("ALTER TABLE posts ALTER COLUMN note SET NOT NULL", "posts.note may no longer be left out"),
        ("ALTER TABLE posts ADD COLUMN more TEXT NOT NULL", "posts.more is new and may not be left out"),
        ("ALTER TABLE posts ADD CHECK (n > 0)", "a rule is new: posts: CHECK ((n > 0))"),
        ("CREATE UNIQUE INDEX ON posts (note)", "a rule is new: posts: CREATE UNIQUE INDEX"),
        ("DROP TABLE posts", "posts.n is gone"),
    ],
)
async def test_what_breaks_the_release_before_is_told(
    empty_database: str, tmp_path: Path, sql: str, complaint: str
) -> None:
    first = "CREATE TABLE posts (n INTEGER NOT NULL, note TEXT);"
    found = await steps(empty_database, tmp_path, [("0001_first", first), ("0002_next", f"{sql};")])
    assert any(told.startswith(complaint) for told in found["0002_next"]), found


async def test_what_the_release_before_does_not_notice_is_no_complaint(empty_database: str, tmp_path: Path) -> None:
    first = "CREATE TABLE posts (n INTEGER NOT NULL, note TEXT);"
    more = """
    ALTER TABLE posts ADD COLUMN more TEXT, ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX ON posts (note);
    CREATE TABLE likes (n INTEGER PRIMARY KEY, CHECK (n > 0));
    """
    found = await steps(empty_database, tmp_path, [("0001_first", first), ("0002_next", more)])
    assert found["0002_next"] == []


async def test_no_migration_breaks_the_release_before_it(empty_database: str, tmp_path: Path) -> None:
    found = await steps(empty_database, tmp_path, [(path.stem, path.read_text()) for path in FILES])
    assert {name: told for name, told in found.items() if told and name not in LOOKED_AT} == {}
