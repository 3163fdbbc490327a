"""python -m tests.benchmarks.imports [--rows N]: a content export of N made-up rows into an embedded Postgres.

Seconds from the first byte read to the commit, rows a second, and the most memory that the importing process had.
Writes results/imports.json.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import json
import resource
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import asyncpg

from pipelines.outcomes.posts import SNOWFLAKE_EPOCH_MS
from store.imports import Report, Upload, import_file
from store.migrate import migrate
from store.postgres import load_queries
from supervisor.embedded import EmbeddedPostgres
from tests.benchmarks import machine

FIRST = datetime(2020, 1, 1, 8, tzinfo=UTC)
HEADER = (
    *("Post id", "Date", "Post text", "Post Link", "Impressions", "Likes", "Engagements", "Bookmarks", "Shares"),
    *("New follows", "Replies", "Reposts", "Profile visits", "Detail Expands", "URL Clicks", "Hashtag Clicks"),
    "Permalink Clicks",
)
WORDS = ("the", "tide", "turns", "at", "noon", "and", "every", "boat", "goes", "out", "to", "meet", "seals", "beyond")


def made_up(rows: int) -> Iterator[list[object]]:
    """Rows of a content export, one post every three minutes; a seventh of them with a thousands comma."""
    for n in range(rows):
        at = FIRST + timedelta(minutes=3 * n)
        post_id = (int(at.timestamp() * 1000) - SNOWFLAKE_EPOCH_MS) << 22 | n % 4096
        text = " ".join(WORDS[(n + step * (n % 11 + 1)) % len(WORDS)] for step in range(18)) + f" https://t.co/{n:010x}"
        counts = [n % 97, n % 131, n % 7, n % 5, n % 3, n % 11, n % 13, n % 17, n % 19, n % 23, n % 2, n % 29]
        yield [post_id, f"{at:%a, %b} {at.day}, {at.year}", text, "", f"{n % 7000:,}", *counts]


def write(file: IO[str], rows: int) -> None:
    """Write a content export."""
    writer = csv.writer(file)
    writer.writerow(HEADER)
    writer.writerows(made_up(rows))


def upload(path: Path) -> Upload:
    """A file as the route hands it on."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return Upload(
        id=uuid.uuid4(),
        account_id="default",
        path=str(path),
        file_name=path.name,
        file_hash=digest,
        captured_at=None,
        sent_at=datetime.now(UTC),
    )


async def measure(url: str, path: Path) -> tuple[Report, float, float]:
    """Return the report of an import, its seconds, and the seconds of CPU of this process, without Postgres'."""
    told = upload(path)
    started, worked = time.perf_counter(), time.process_time()
    report = await import_file(url, load_queries(), told)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - worked
    connection = await asyncpg.connect(url)
    stored = await connection.fetchval("SELECT count(*) FROM performance_metrics")
    await connection.close()
    assert stored == report.imported, (stored, report)
    return report, seconds, cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.imports", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    # Not below a home folder: the user that Postgres runs as could not pass through it.
    with tempfile.TemporaryDirectory(prefix="murmuration-imports-", dir="/var/tmp") as made:
        folder = Path(made)
        folder.chmod(0o711)
        server = EmbeddedPostgres(folder)
        server.start()
        try:
            asyncio.run(migrate(server.url))
            path = folder / "content.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                write(file, rows)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            report, seconds, cpu_s = asyncio.run(measure(server.url, path))
            figures = {
                "benchmark": "imports",
                **machine.described(),
                "rows": report.imported,
                "file_mib": round(path.stat().st_size / 2**20, 1),
                "seconds": round(seconds, 1),
                "cpu_s": round(cpu_s, 1),
                "rows_per_s": round(report.imported / seconds),
                "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
                "peak_rss_before_mib": round(before / 1024, 1),
            }
        finally:
            server.stop()
    print(json.dumps(figures, indent=2))
    if rows >= 1_000_000:
        machine.write("imports", figures)


if __name__ == "__main__":
    main()
