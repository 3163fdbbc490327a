"""Reads queries.sql: statements by name, with asyncpg's own $1 parameters.

Not aiosql: its asyncpg adapter cannot pass a timeout and leaves every call untyped.
"""

from __future__ import annotations

import re
from pathlib import Path

QUERIES = Path(__file__).with_name("queries.sql")


def load_queries() -> dict[str, str]:
    """Return name -> statement of queries.sql, in which `-- name: x` opens each statement."""
    _, *parts = re.split(r"^-- name: (\w+)\n", QUERIES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}
