"""kill -9 of Postgres and of an ingress replica while events come in: what is counted is what was acknowledged."""

import asyncio
import itertools

import aiohttp
import pytest

from tests.serve.conftest import KEY, Cluster, wait_until

EVENTS, BATCH, WRITERS = 200_000, 1_000, 4
BATCHES = EVENTS // BATCH
# Batches that must have been acknowledged before each of the two is killed.
KILLS = {BATCHES // 5: r"postgres -D", BATCHES // 2: "ServeReplica:murmuration:ingress"}


def batch(number: int) -> list[dict[str, str]]:
    """Impressions of units of their own, every tenth followed by an engagement of the unit before it."""
    events = []
    for index in range(number * BATCH, (number + 1) * BATCH):
        unit = index - (index % 10 == 9)
        kind = "engagement" if index % 10 == 9 else "impression"
        variant = ("control", "b")[unit % 2]
        events.append({"event_id": f"event-{index}", "unit": f"unit-{unit}", "variant": variant, "type": kind})
    return events


@pytest.mark.timeout(300)
async def test_after_both_are_killed_the_counts_are_those_of_the_acknowledged_events(cluster: Cluster):
    headers = {"x-api-key": KEY}
    acknowledged: set[int] = set()
    reached = {after: asyncio.Event() for after in KILLS}
    failed: list[int | str] = []
    numbers = itertools.count()
    two = {"name": "crash", "variants": [{"name": "control"}, {"name": "b"}]}

    async with aiohttp.ClientSession(cluster.url, headers=headers, timeout=aiohttp.ClientTimeout(30)) as session:
        experiment = (await (await session.post("/ab-test/create", json=two)).json())["id"]

        async def tell(number: int) -> bool:
            try:
                async with session.post(f"/ab-test/{experiment}/events", json={"events": batch(number)}) as answer:
                    if answer.status != 200:
                        failed.append(answer.status)
                        return False
                    content = await answer.json()
            except (aiohttp.ClientError, TimeoutError) as error:
                failed.append(type(error).__name__)
                return False
            assert content["accepted"] + content["duplicates"] == BATCH
            assert content["rejected"] == []
            return True

        async def writer() -> None:
            while (number := next(numbers)) < BATCHES:
                # As a client would: the same batch again until it is acknowledged.
                while not await tell(number):  # noqa: ASYNC110  # nothing here knows when the server is back
                    await asyncio.sleep(0.1)
                acknowledged.add(number)
                if len(acknowledged) in reached:
                    reached[len(acknowledged)].set()

        async def kill() -> None:
            for after, pattern in KILLS.items():
                await reached[after].wait()
                await asyncio.to_thread(cluster.kill, pattern)

        await asyncio.gather(*(writer() for _ in range(WRITERS)), kill())
        found = await (await session.get(f"/ab-test/{experiment}/results")).json()

    assert failed, "nothing was in flight when Postgres and the replica were killed"
    rows = await cluster.sql("SELECT event_id FROM experiment_events WHERE experiment_id = $1::uuid", experiment)
    assert len(rows) == EVENTS
    assert {row["event_id"] for row in rows} == {one["event_id"] for number in acknowledged for one in batch(number)}
    per_variant = {variant["name"]: (variant["impressions"], variant["engagements"]) for variant in found["variants"]}
    assert per_variant == {"control": (EVENTS // 2, EVENTS // 10), "b": (EVENTS // 10 * 4, 0)}
    wait_until(lambda: bool(cluster.processes("ServeReplica:murmuration:ingress")), 30, "the replica is back")
