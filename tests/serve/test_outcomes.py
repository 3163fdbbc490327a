"""What an account's own posts achieved, on a real cluster: in by one file, scores that know it, a killed import."""

import asyncio
import csv
import io
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from pipelines.outcomes.posts import SNOWFLAKE_EPOCH_MS
from tests.benchmarks.imports import HEADER, write
from tests.serve.conftest import Cluster, wait_until

REPLICA = "ServeReplica:murmuration:ingress"
DRAFT = {"text": "The market is open on Saturday from nine."}
# Of what the others store too.
OURS = ("posts", "imports")


def made_up(rows: int) -> bytes:
    text = io.StringIO()
    write(text, rows)
    return text.getvalue().encode()


def of_months(rows: int) -> bytes:
    """A post every seven hours; those of the evening do better."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for n in range(rows):
        at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=7 * n)
        likes = 3 + n % 5 + 9 * (17 <= at.hour <= 21)
        number = (int(at.timestamp() * 1000) - SNOWFLAKE_EPOCH_MS) << 22
        day = f"{at:%a, %b} {at.day}, {at.year}"
        writer.writerow([number, day, f"Loaves of day {n} are on the shelf.", "", 500, likes, likes + 4, *[1] * 10])
    return text.getvalue().encode()


def send(client: httpx.Client, content: bytes) -> httpx.Response:
    return client.post("/metrics/import", files={"file": ("account_analytics_content.csv", content)}, timeout=120)


async def stored(cluster: Cluster) -> list[int]:
    return [(await cluster.sql(f"SELECT count(*) FROM {table}"))[0][0] for table in OURS]


async def test_one_file_brings_history_best_times_a_track_record_and_scores_that_know_them(
    cluster: Cluster,
) -> None:
    with cluster.client() as client:
        alone = client.post("/predict", json={"drafts": [DRAFT]}).json()["results"][0]

        report = send(client, of_months(400)).json()

        known, brought, none = client.post(
            "/predict", json={"drafts": [DRAFT, DRAFT | {"history": []}, DRAFT | {"history": "none"}]}
        ).json()["results"]
        picture = client.get("/audience/best-times.png?tz=America/New_York")
        record = client.get("/predict/track-record?basis=backtest").json()
        audience = client.post("/audience/refresh").json()
        gone = client.delete(f"/metrics/imports/{report['id']}").json()
        after = client.post("/predict", json={"drafts": [DRAFT]}).json()["results"][0]

    assert (report["source"], report["imported"], report["rejected"]) == ("content", 400, [])
    assert [one["evidence"]["own_posts"] for one in (alone, known, brought, none, after)] == [0, 100, 0, 0, 0]
    assert picture.content.startswith(b"\x89PNG")
    assert (record["supported"], record["basis"], record["n"] > 100) == (True, "backtest", True)
    assert audience["n_posts"] == 400
    assert gone["deleted"]["posts"] == 400
    assert await stored(cluster) == [0, 0]


async def test_an_ingress_killed_half_way_through_an_import_leaves_nothing_and_the_file_can_be_sent_again(
    cluster: Cluster,
) -> None:
    content = made_up(150_000)

    async def copying(*, expected: bool) -> bool:
        rows = await cluster.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ILIKE 'COPY%staged%'"
        )
        return (rows[0][0] > 0) is expected

    with ThreadPoolExecutor(1) as pool, cluster.client() as client:
        lost = pool.submit(send, client, content)
        await until(lambda: copying(expected=True))
        assert not lost.done(), "the import was over before the kill"
        cluster.kill(REPLICA)
        with pytest.raises(httpx.HTTPError):
            lost.result().raise_for_status()
    await until(lambda: copying(expected=False))
    assert await stored(cluster) == [0, 0]

    with cluster.client() as client:
        wait_until(lambda: _answers(client), 120, "another ingress")
        again = send(client, content).json()
        assert again["imported"] == 150_000
        assert client.delete(f"/metrics/imports/{again['id']}", timeout=60).json()["deleted"]["posts"] == 150_000


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition that asks the database."""
    # The file must be sent, read and copied, and for that another process of Ray starts.
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if await condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("not within two minutes")


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False
