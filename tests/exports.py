"""Made-up exports of an account's own posts, as GET /metrics/export writes them."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("post_id", pa.string()),
        ("posted_at", pa.timestamp("us", "UTC")),
        ("text", pa.string()),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("captured_at", pa.timestamp("us", "UTC")),
        ("impressions", pa.int64()),
        ("engagements", pa.int64()),
        *((name, pa.int64()) for name in ("likes", "retweets", "replies")),
    ]
)
WHO = ("Our baker", "The museum", "A neighbour", "The library", "My sister", "The garden club", "Our team", "The choir")
DID = ("opened", "repaired", "painted", "sold", "found", "visited", "moved", "built", "cleaned", "measured")
WHAT = ("the old mill", "two bicycles", "a wooden bridge", "the greenhouse", "ten chairs", "the ferry", "a small boat")
WHEN = ("on Monday", "before the rain", "after school", "in two days", "with the children", "near the station")


def sentence(draw: random.Random) -> str:
    """One of 3,360 plain sentences."""
    return " ".join(draw.choice(words) for words in (WHO, DID, WHAT, WHEN))


def posts(n: int, pays: Callable[[str, datetime], float], seed: int = 0) -> list[dict[str, Any]]:
    """`n` posts, one every eight hours or so; `pays` is what text and moment add to the logarithm of the likes."""
    draw = random.Random(seed)
    rows = []
    for number in range(n):
        moment = FIRST + timedelta(hours=8 * number + draw.uniform(0, 8))
        text = sentence(draw) + draw.choice((".", ".", "?"))
        level = 3.5 + pays(text, moment) + draw.gauss(0.0, 0.5)
        rows.append(
            {
                "post_id": str(10**18 + number),
                "posted_at": moment,
                "text": text,
                "kind": "post",
                "source": "content",
                "captured_at": moment + timedelta(days=30),
                "impressions": 1000,
                "engagements": None,
                "likes": int(2.718**level),
                "retweets": draw.randrange(3),
                "replies": 0,
            }
        )
    return rows


def evenings_and_questions(text: str, moment: datetime) -> float:
    """Readers who are there from 18 h UTC on and like to be asked."""
    return 0.9 * (moment.hour >= 18) + 0.6 * text.endswith("?")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write an export with those rows."""
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    return path
