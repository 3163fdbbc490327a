"""The collector against a small X API on loopback, a real Postgres and a fake clock."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import pytest
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.library import Library
from deployments.settings import CollectorConfig, ConfigError, Settings, XAccess
from deployments.upkeep import Upkeep
from pipelines.outcomes.posts import PostReading
from store.errors import StoreUnavailable
from store.imports import delete_account
from store.outcomes import Import
from store.postgres import Store, load_queries
from supervisor.embedded import EmbeddedPostgres
from tests.integration.conftest import COLLECTOR, KEYS, Answer, Front, caller
from tests.x_server import CLIENT, USER, Scripted, XServer

pytestmark = pytest.mark.clock

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
APP = XAccess(user_id=USER, bearer_token=SecretStr("app-token"))
OWN = XAccess(user_id=USER, refresh_token=SecretStr("refresh-0"), client_id=CLIENT)
SECRETS = ("app-token", "refresh-", "access-", CLIENT)


class Clock:
    """Stands still until it is moved; pauses are noted, and pass."""

    def __init__(self) -> None:
        self.now = START
        self.pauses: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def x(clock: Clock) -> AsyncIterator[XServer]:
    served = XServer(clock)
    async with TestServer(served.api) as server:
        served.base_url = str(server.make_url("")).rstrip("/")  # type: ignore[attr-defined]
        yield served


def upkeep(store: Store, x: XServer, clock: Clock, access: XAccess = OWN, **fields: Any) -> Upkeep:
    """A replica's upkeep, as after a restart."""
    usual = {"base_url": x.base_url, "owned_reads": True, "budget_usd_month": 50.0}  # type: ignore[attr-defined]
    config = CollectorConfig.model_validate(COLLECTOR.model_dump() | usual | fields)
    return Upkeep(store, access, config, clock, clock.sleep)


async def run(store: Store, x: XServer, clock: Clock, *, by: timedelta = HOUR, **fields: Any) -> dict[str, Any]:
    """Move the clock to when the next run is due, at least, and run."""
    clock.now += by
    report = await upkeep(store, x, clock, **fields).collect()
    assert report is not None
    return report


async def everything(connection: asyncpg.Connection) -> str:
    """Every row of every table as text."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [await connection.fetch(f'SELECT * FROM "{table["tablename"]}"') for table in tables]
    return json.dumps([[list(map(str, row.values())) for row in table] for table in rows])


async def readings(connection: asyncpg.Connection, post_id: str) -> list[asyncpg.Record]:
    return await connection.fetch("SELECT * FROM performance_metrics WHERE post_id = $1 ORDER BY captured_at", post_id)


async def test_without_a_token_nothing_is_asked_and_no_job_is_made(store: Store, x: XServer, clock: Clock) -> None:
    assert await Upkeep(store, None, COLLECTOR, clock).collect() is None
    assert await store.collector.find("collect") is None
    assert x.calls == []


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"x_bearer_token": "t"}, "X_USER_ID"),
        ({"x_bearer_token": "t", "x_user_id": "@someone"}, "X_USER_ID"),
        ({"x_refresh_token": "t", "x_user_id": "1"}, "X_CLIENT_ID"),
    ],
)
def test_a_token_without_what_belongs_to_it_is_named(variables: dict[str, str], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Settings(**variables).x_access()


def test_empty_variables_are_none_and_the_token_of_the_user_goes_before_that_of_the_app() -> None:
    assert Settings(x_bearer_token="", x_refresh_token="", x_user_id="").x_access() is None
    both = Settings(x_bearer_token="hidden-1", x_refresh_token="hidden-2", x_user_id="1", x_client_id="c").x_access()
    assert both is not None
    assert both.bearer_token is None
    assert "hidden" not in repr(both)


@pytest.mark.parametrize(
    "fields",
    [
        {"nope": 1},
        {"snapshots_h": [6, 1]},
        {"snapshots_h": []},
        {"budget_usd_month": -1},
        {"first_days": 91},
        {"snapshots_h": [24 * 90]},
        {"base_url": "http://api.x.example"},
        {"base_url": "https://user:secret@api.x.com"},
        {"base_url": "https://api.x.com/2"},
        {"base_url": "ftp://127.0.0.1"},
        {"trends_woeid": 0},
        {"trends_woeid": 2**31},
        {"trends_woeid": "Madrid"},
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        CollectorConfig.model_validate(COLLECTOR.model_dump() | fields)


async def test_the_first_run_reads_every_page_with_private_counts_where_x_has_them(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    x.page_limit = 2
    ids = [x.post(START - timedelta(days=number, minutes=5), f"post {number}") for number in range(30)]
    older = x.post(START - timedelta(days=29, hours=23, minutes=50), "no private counts any more")
    x.post(START - timedelta(days=31), "before the first day")

    report = await run(store, x, clock, by=timedelta())

    assert (report["problem"], report["posts_new"], report["rejected"]) == (None, 31, {})
    stored = await store.outcomes.posts("default", limit=100)
    assert {post.post_id for post in stored} == {*ids, older}
    by_id = {post.post_id: post for post in stored}
    newest = by_id[ids[0]]
    assert (newest.text, newest.source, newest.captured_at) == ("post 0", "x_api", START)
    assert (newest.impressions, newest.engagements, newest.clicks, newest.profile_clicks) == (5, 1, 3, 2)
    assert (newest.likes, newest.retweets, newest.quotes, newest.bookmarks) == (0, 1, 1, 1)
    assert (by_id[older].impressions is not None, by_id[older].engagements) == (True, None)
    assert sum("pagination_token" in query for _, query in x.calls) >= 4
    assert all(query["exclude"] == "retweets" for path, query in x.calls if path.endswith(f"{USER}/tweets"))
    sources = await connection.fetch("SELECT source, sum(n_rows) AS n FROM imports GROUP BY source")
    assert [tuple(row) for row in sources] == [("x_api", 31)]


async def test_with_a_token_of_an_app_public_counts_alone_are_asked_for(store: Store, x: XServer, clock: Clock) -> None:
    x.post(START - HOUR)
    report = await run(store, x, clock, access=APP)
    assert report["posts_new"] == 1
    (post,) = await store.outcomes.posts("default", limit=10)
    assert (post.impressions, post.engagements, post.clicks) == (120, None, None)
    assert not any("non_public" in query.get("tweet.fields", "") for _, query in x.calls)


async def test_a_post_is_read_at_each_age_and_no_other_time_through_restarts(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    post_id = x.post(START)
    reports = []
    for age_h in (0.25, 1, 2, 6, 7, 24, 46, 68, 90, 112, 134, 156, 168, 169, 250, 400, 600, 696, 720, 800):
        clock.now = START + timedelta(hours=age_h)
        reports.append(await upkeep(store, x, clock).collect())

    ages = [(row["captured_at"] - START) / HOUR for row in await readings(connection, post_id)]
    assert ages == [0.25, 1, 6, 24, 168, 696]
    assert [row["impressions"] for row in await readings(connection, post_id)] == [15, 60, 360, 1440, 10080, 41760]
    assert [report["snapshots"] for report in reports if report and report["snapshots"]] == [1] * 5
    assert sum(report["late"] + report["missed"] for report in reports if report) == 0
    assert all(row["engagements"] is not None for row in await readings(connection, post_id))


async def test_what_was_missed_is_read_late_once_and_said(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    post_id = x.post(START)
    await run(store, x, clock)
    late = await run(store, x, clock, by=31 * HOUR)
    again = await run(store, x, clock)

    assert (late["snapshots"], late["late"], late["missed"]) == (1, 1, 1)
    assert (again["snapshots"], again["late"], again["missed"]) == (0, 0, 0)
    ages = [(row["captured_at"] - START) / HOUR for row in await readings(connection, post_id)]
    assert ages == [1, 32]
    month = (await asked(store, upkeep(store, x, clock), "default"))["this_month"]
    assert (month["snapshots"], month["late"], month["missed"]) == (2, 1, 1)


async def test_a_rate_limit_ends_the_run_until_the_moment_that_x_named(store: Store, x: XServer, clock: Clock) -> None:
    x.post(START - HOUR)
    reset = START + timedelta(minutes=11)
    x.script.append(Scripted(429, b"{}", {"x-rate-limit-reset": str(int(reset.timestamp()))}, path="/2/users"))

    refused = await run(store, x, clock, by=timedelta())
    assert (refused["problem"], refused["spent_usd"], clock.pauses) == ("rate_limited", 0.0, [])
    asked = len(x.calls)
    clock.now = reset - timedelta(seconds=1)
    assert await upkeep(store, x, clock).collect() is None
    assert len(x.calls) == asked
    clock.now = reset
    taken = await upkeep(store, x, clock).collect()
    assert taken is not None
    assert (taken["problem"], taken["posts_new"]) == (None, 1)


async def test_a_reset_that_cannot_be_meant_is_a_wait_of_a_day_at_most(store: Store, x: XServer, clock: Clock) -> None:
    for told in ("", "soon", "-5", "9" * 400, "99999999999"):
        x.script.append(Scripted(429, b"<html>", {"x-rate-limit-reset": told}, path="/2/users"))
        assert (await run(store, x, clock, by=DAY))["problem"] == "rate_limited"
        job = await store.collector.find("collect")
        assert job is not None
        assert timedelta(0) < job.due_at - clock.now <= DAY


async def test_an_error_of_the_server_is_tried_again_after_growing_pauses(
    store: Store, x: XServer, clock: Clock
) -> None:
    x.post(START - HOUR)
    x.script += [Scripted(503, b"<html>busy</html>", path="/2/users"), Scripted(500, path="/2/users")]
    x.script.append(Scripted(200, b"{truncated", path="/2/users"))

    report = await run(store, x, clock)

    assert (report["problem"], report["posts_new"]) == (None, 1)
    assert [low <= pause <= 2 * low for pause, low in zip(clock.pauses, (0.5, 1.0, 2.0), strict=True)] == [True] * 3


async def test_a_server_that_stays_away_is_left_alone_for_longer_each_time(
    store: Store, x: XServer, clock: Clock
) -> None:
    waits = []
    for _ in range(8):
        x.script += [Scripted(503, b"", path="/2/users")] * 4
        report = await run(store, x, clock, by=2 * HOUR)
        assert (report["problem"], report["spent_usd"]) == ("unavailable", 0.0)
        job = await store.collector.find("collect")
        assert job is not None
        waits.append((job.due_at - clock.now).total_seconds())
    assert [30 * 2**place <= wait <= 60 * 2**place for place, wait in enumerate(waits[:6])] == [True] * 6
    assert max(waits) <= 3600
    assert (await run(store, x, clock, by=2 * HOUR))["problem"] is None
    job = await store.collector.find("collect")
    assert job is not None
    assert job.failures == 0


async def test_an_answer_that_does_not_come_is_not_asked_for_again_and_counts_as_paid(
    store: Store, x: XServer, clock: Clock
) -> None:
    x.post(START - HOUR)
    x.script.append(Scripted(after_s=5.0, path="/2/users"))
    report = await run(store, x, clock, timeout_s=0.2)
    assert (report["problem"], report["spent_usd"]) == ("no_answer", 0.1)
    assert sum(path.startswith("/2/users") for path, _ in x.calls) == 1
    assert (await store.collector.month("default", START.date().replace(day=1))).microusd == 100_000


async def test_a_token_that_x_refuses_is_refreshed_once_and_the_new_one_outlives_a_restart(
    store: Store, x: XServer, clock: Clock
) -> None:
    await run(store, x, clock)
    x.access_tokens.clear()  # revoked before its time
    report = await run(store, x, clock)
    assert (report["problem"], x.refreshes) == (None, 2)
    await run(store, x, clock)
    assert x.refreshes == 2
    # Two hours later the access token is over, and X takes nothing but the newest refresh token.
    await run(store, x, clock, by=3 * HOUR)
    assert (x.refreshes, x.refresh_tokens) == (3, {"refresh-3"})


async def test_a_new_token_that_the_database_does_not_take_at_first_is_there_for_the_next_run(
    store: Store, database: str, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    x.post(START - HOUR)
    held = connection.transaction()
    await held.start()
    await connection.execute("LOCK TABLE x_accounts IN EXCLUSIVE MODE")  # may be read

    async def sleep(seconds: float) -> None:
        clock.pauses.append(seconds)
        if len(clock.pauses) == 2:
            await held.rollback()

    impatient = await Store.connect(database, min_size=0, max_size=2, timeout_s=0.5)
    keeping = upkeep(impatient, x, clock)
    keeping.sleep = sleep
    report = await keeping.collect()
    await impatient.close()
    assert report is not None
    assert (report["problem"], report["posts_new"], x.refreshes, len(clock.pauses)) == (None, 1, 1, 2)

    # The access token is over: only the refresh token that X gave then opens the door.
    again = await run(store, x, clock, by=3 * HOUR)
    assert (again["problem"], x.refreshes) == (None, 2)


@pytest.mark.parametrize("while_x_answers", [True, False])
async def test_a_run_that_is_cancelled_keeps_the_token_that_x_gives_meanwhile(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock, while_x_answers: bool
) -> None:
    held = connection.transaction()
    await held.start()
    await connection.execute("LOCK TABLE x_accounts IN EXCLUSIVE MODE")
    x.script.append(Scripted(after_s=0.5 if while_x_answers else 0.0, path="/2/oauth2/token"))
    running = asyncio.create_task(upkeep(store, x, clock).collect())
    async with asyncio.timeout(10):
        await x.called.wait()
    await asyncio.sleep(0.2)

    running.cancel()
    await asyncio.sleep(0.1)
    await held.rollback()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert x.refreshes == 1

    again = await run(store, x, clock, by=3 * HOUR)
    assert (again["problem"], x.refreshes) == (None, 2)


async def test_a_cancelled_run_that_gets_no_token_says_so(
    store: Store, x: XServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    x.script.append(Scripted(503, after_s=0.2, path="/2/oauth2/token"))
    running = asyncio.create_task(upkeep(store, x, clock).collect())
    async with asyncio.timeout(10):
        await x.called.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [message for message in caplog.messages if "token" in message] == ["no new token of X is kept: unavailable"]


async def test_a_token_that_stays_refused_is_a_problem_that_is_said(store: Store, x: XServer, clock: Clock) -> None:
    await run(store, x, clock)
    x.script.append(Scripted(401, b'{"title": "Unauthorized"}', path="/2/users"))
    x.script.append(Scripted(401, b'{"title": "Unauthorized"}', path="/2/users"))
    report = await run(store, x, clock)
    assert (report["problem"], x.refreshes) == ("token_refused", 2)

    x.refresh_tokens = {"refresh-of-another-consent"}
    x.access_tokens.clear()
    assert (await run(store, x, clock, by=DAY))["problem"] == "token_refused"
    consented = XAccess(user_id=USER, refresh_token=SecretStr("refresh-of-another-consent"), client_id=CLIENT)
    assert (await run(store, x, clock, by=DAY, access=consented))["problem"] is None


async def test_what_x_refuses_is_named_and_not_charged(store: Store, x: XServer, clock: Clock) -> None:
    for status, problem in ((402, "no_credits"), (403, "forbidden"), (404, "refused"), (302, "refused")):
        x.script.append(Scripted(status, b'{"title": "no"}', {"Location": "/2/elsewhere"}, path="/2/users"))
        report = await run(store, x, clock, access=APP)
        assert (report["problem"], report["spent_usd"]) == (problem, 0.0)
        assert await upkeep(store, x, clock, APP).collect() is None


async def test_no_token_and_no_text_stands_in_a_log_or_an_answer(
    store: Store, x: XServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    x.post(START - HOUR, "what nobody else may read")
    x.post(START - HOUR, "neither \x00 this")
    x.script += [Scripted(401, b"{}", path="/2/users"), Scripted(503, b"", path="/2/users")]
    report = await run(store, x, clock)
    answered = await asked(store, upkeep(store, x, clock), "default")
    said = json.dumps([report, answered]) + "\n".join(str(record.__dict__) for record in caplog.records)
    assert [secret for secret in (*SECRETS, "nobody else", "neither") if secret in said] == []


async def test_a_post_that_x_no_longer_has_is_gone_from_every_table_within_a_day(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    kept, deleted = x.post(START - 40 * DAY + DAY * 11), x.post(START - 2 * DAY, "regretted words")
    await run(store, x, clock, by=timedelta())
    # A file told of it too.
    told = Import(id=await uuid(connection), account_id="default", source="archive", captured_at=START - DAY)
    await store.outcomes.save(told, [PostReading(post_id=deleted, posted_at=START - 2 * DAY, text="regretted words")])
    before = await everything(connection)
    assert deleted in before
    assert "regretted" in before

    del x.posts[int(deleted)]
    removed_at = clock.now
    reports = []
    while clock.now - removed_at < DAY - HOUR:
        reports.append(await run(store, x, clock))
    assert sum(report["deleted"] for report in reports) == 1
    after = await everything(connection)
    assert deleted not in after
    assert "regretted" not in after
    assert [post.post_id for post in await store.outcomes.posts("default", limit=10)] == [kept]


async def test_what_x_merely_does_not_show_stays(store: Store, x: XServer, clock: Clock) -> None:
    hidden = x.post(START - DAY)
    await run(store, x, clock)
    x.hidden.add(int(hidden))
    reports = [await run(store, x, clock, by=12 * HOUR) for _ in range(4)]
    assert [report["deleted"] for report in reports] == [0] * 4
    assert len(await store.outcomes.posts("default", limit=10)) == 1
    state = await asked(store, upkeep(store, x, clock), "default")
    assert state["unseen_posts"] == 1


async def test_what_the_account_deleted_here_does_not_come_back(store: Store, x: XServer, clock: Clock) -> None:
    unwanted, other = x.post(START - 3 * HOUR), x.post(START - 4 * HOUR)
    await run(store, x, clock)
    await store.collector.forget("default", [unwanted])
    for _ in range(4):
        await run(store, x, clock, by=12 * HOUR)
    assert [post.post_id for post in await store.outcomes.posts("default", limit=10)] == [other]


async def test_the_budget_is_never_exceeded_and_the_next_month_goes_on(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    for number in range(60):
        x.post(START - timedelta(hours=number + 1))
    limits = {"access": APP, "budget_usd_month": 0.123, "owned_reads": False}
    first = await run(store, x, clock, by=timedelta(), **limits)
    assert first["problem"] == "budget_spent"
    for _ in range(10):
        assert (await run(store, x, clock, by=2 * HOUR, **limits))["problem"] == "budget_spent"
    charged = 5000 * sum(x.returned.values())
    assert charged <= 123_000
    assert (await store.collector.month("default", START.date().replace(day=1))).microusd == charged == 120_000
    november = await everything(connection)
    assert november.count("x_api") > 0

    clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    await upkeep(store, x, clock, **limits).collect()
    assert 0 < (await store.collector.month("default", clock.now.date())).microusd <= 123_000


async def test_what_is_counted_is_what_x_returned_at_the_price_of_each_way(
    store: Store, x: XServer, clock: Clock
) -> None:
    for number in range(25):
        x.post(START - timedelta(hours=5 * number + 1))
    for hours in (0, 1, 5, 12, 20, 24):
        x.post(clock.now - timedelta(minutes=10))
        assert (await run(store, x, clock, by=timedelta(hours=hours)))["problem"] is None
    spent = (await store.collector.month("default", START.date().replace(day=1))).microusd
    assert spent == 1000 * x.returned["timeline"] + 5000 * x.returned["lookup"]
    assert x.returned["timeline"] > 25


async def test_a_first_run_that_breaks_off_goes_on_where_it_was(store: Store, x: XServer, clock: Clock) -> None:
    for number in range(29):
        x.post(START - timedelta(days=number, hours=1))
    for _ in range(4):
        x.script += [Scripted(path="/2/users"), Scripted(429, path="/2/users")]
        assert (await run(store, x, clock))["problem"] == "rate_limited"
    last = await run(store, x, clock)
    assert last["problem"] is None
    assert len(await store.outcomes.posts("default", limit=50)) == 29
    assert x.returned == {"timeline": 29, "lookup": 0}


async def test_look_ups_ask_for_a_hundred_ids_at_most(store: Store, x: XServer, clock: Clock) -> None:
    for number in range(230):
        x.post(START - timedelta(minutes=10 * number + 25 * 60))
    await run(store, x, clock, by=timedelta(), access=APP)
    x.calls.clear()
    seen = await run(store, x, clock, by=23 * HOUR, access=APP)
    asked = [query["ids"].count(",") + 1 for path, query in x.calls if path == "/2/tweets"]
    assert (asked, seen["posts_returned"], seen["problem"]) == ([100, 100, 30], 230, None)
    assert (await run(store, x, clock, access=APP))["posts_returned"] == 0


async def test_what_was_paid_for_waits_for_an_import_that_holds_the_outcomes(
    store: Store, database: str, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    x.post(START - HOUR)
    held = connection.transaction()
    await held.start()
    await connection.execute(store._queries["lock_outcomes"], "default")

    async def sleep(seconds: float) -> None:
        clock.pauses.append(seconds)
        await held.rollback()

    impatient = await Store.connect(database, min_size=0, max_size=2, timeout_s=0.5)
    keeping = upkeep(impatient, x, clock, APP)
    keeping.sleep = sleep
    report = await keeping.collect()
    await impatient.close()
    assert report is not None
    assert (report["problem"], report["posts_new"], len(clock.pauses)) == (None, 1, 1)
    assert x.returned == {"timeline": 1, "lookup": 0}


async def test_two_replicas_run_a_job_once(store: Store, x: XServer, clock: Clock) -> None:
    x.post(START - HOUR)
    reports = await asyncio.gather(*(upkeep(store, x, clock).collect() for _ in range(5)))
    assert sum(report is not None for report in reports) == 1
    assert x.returned == {"timeline": 1, "lookup": 0}


async def test_a_run_that_the_database_ended_is_taken_up_when_its_lease_is_over(
    store: Store, postgres: EmbeddedPostgres, x: XServer, clock: Clock
) -> None:
    x.post(START - HOUR)
    x.script.append(Scripted(after_s=0.5, path="/2/users"))
    running = asyncio.create_task(upkeep(store, x, clock, APP).collect())
    async with asyncio.timeout(10):
        await x.called.wait()
    postgres.stop()
    with pytest.raises(StoreUnavailable):
        await running
    postgres.start()
    assert await upkeep(store, x, clock, APP).collect() is None
    report = await run(store, x, clock, access=APP)
    assert (report["problem"], report["posts_new"]) == (None, 1)


async def test_hostile_posts_cost_their_own_rows_and_not_the_run(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    good = x.post(START - HOUR, "'); DROP TABLE posts; -- <script>{{7*7}}</script> \u202e 🚀" * 20)
    bad = [
        {"text": "zero \x00 byte"},
        {"text": "half \udc80 of a pair"},
        {"text": "x" * 30_000},
        {"public_metrics": {"like_count": -3}},
        {"public_metrics": None},
        {"created_at": "0001-01-01T00:00:00Z"},
        {"id": None},
    ]
    for number, fields in enumerate(bad):
        x.post(START - timedelta(hours=2 + number), **{"text": "fine"} | fields)
    whole = x.post(START - DAY, id=12_345_678_901_234, created_at="2010-06-01T00:00:00Z")

    report = await run(store, x, clock)

    assert report["problem"] is None
    assert sum(report["rejected"].values()) == len(bad)
    stored = {post.post_id: post.text for post in await store.outcomes.posts("default", limit=20)}
    assert stored.keys() == {good}
    assert whole not in stored
    # They are not paid for again by each run.
    again = await run(store, x, clock)
    assert again["posts_returned"] == again["snapshots"]
    assert await connection.fetchval("SELECT count(*) FROM x_posts") == 1


async def test_a_post_that_turned_hostile_is_not_asked_for_at_every_run(store: Store, x: XServer, clock: Clock) -> None:
    post_id = x.post(START)
    await run(store, x, clock)
    x.posts[int(post_id)]["row"]["text"] = "\x00"
    reports = [await run(store, x, clock, by=6 * HOUR), *[await run(store, x, clock) for _ in range(3)]]
    assert [report["posts_returned"] for report in reports] == [1, 0, 0, 0]


async def test_what_came_by_the_api_is_learned_from_only_where_that_was_switched_on(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    alone, both = x.post(START - 2 * HOUR), x.post(START - 3 * HOUR)
    told = Import(id=await uuid(connection), account_id="default", source="content", captured_at=START - HOUR)
    reading = PostReading(post_id=both, posted_at=START - 3 * HOUR, text="we open on Monday", likes=1, retweets=0)
    await store.outcomes.save(told, [reading])
    await run(store, x, clock)

    def shown(posts: Any) -> dict[str, str]:
        return {post.post_id: post.source for post in posts}

    assert shown(await store.outcomes.posts("default", limit=9)) == {alone: "x_api", both: "x_api"}
    assert shown(await store.outcomes.posts("default", limit=9, learnable_only=True)) == {both: "content"}
    # The limit counts what may be learned from.
    assert shown(await store.outcomes.posts("default", limit=1, learnable_only=True)) == {both: "content"}
    await store.collector.learn_from_api("default", True)
    assert shown(await store.outcomes.posts("default", limit=9, learnable_only=True)) == {alone: "x_api", both: "x_api"}
    await store.collector.learn_from_api("default", False)
    assert shown(await store.outcomes.posts("default", limit=9, learnable_only=True)) == {both: "content"}


async def test_what_came_by_the_api_is_kept_so_long_and_what_files_told_stays(
    store: Store, connection: asyncpg.Connection, x: XServer, clock: Clock
) -> None:
    alone, both = x.post(START - 2 * HOUR), x.post(START - 3 * HOUR)
    told = Import(id=await uuid(connection), account_id="default", source="content", captured_at=START)
    await store.outcomes.save(told, [PostReading(post_id=both, posted_at=START - 3 * HOUR, text="ours", likes=1)])
    await run(store, x, clock, keep_days=30)
    late = await run(store, x, clock, by=30 * DAY, keep_days=30)

    assert late["forgotten"] == 2
    assert [(post.post_id, post.source) for post in await store.outcomes.posts("default", limit=9)] == [
        (both, "content")
    ]
    assert alone not in await everything(connection)
    assert await connection.fetchval("SELECT count(*) FROM x_posts") == 0
    returned = x.returned.copy()
    await run(store, x, clock, by=DAY, keep_days=30)
    assert x.returned == returned


async def test_queries_and_their_answers_expire_after_the_days_that_the_account_set(
    store: Store, connection: asyncpg.Connection, clock: Clock, answer: Answer
) -> None:
    for account, days in (("default", 7), ("acme", None)):
        await connection.execute(
            "INSERT INTO account_settings (account_id, query_retention_days) VALUES ($1, $2)", account, days
        )
    for account in ("default", "acme", "without settings"):
        for number in range(3):
            row = answer(account_id=account, query_text=f"secret plan {number}")
            assert await store.claim(row, f"key {number}", "/analyze-query", b"h" * 32, b"{}", 200) is None
    for table in ("analyzed_queries", "idempotency_keys"):
        await connection.execute(f"UPDATE {table} SET created_at = $1", START)
    keeping = Upkeep(store, None, COLLECTOR, clock)

    async def left() -> list[int]:
        return [
            await connection.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = 'default'")
            for table in ("analyzed_queries", "idempotency_keys")
        ]

    clock.now = START + 7 * DAY
    assert (await keeping.expire() or {})["queries"] == 0
    assert await keeping.expire() is None  # not before an hour has passed
    assert await left() == [3, 3]
    clock.now += HOUR
    report = await keeping.expire()
    assert report is not None
    assert (report["queries"], report["idempotency_keys"]) == (3, 3)
    assert await left() == [0, 0]
    assert (await store.counts())["analyzed_queries"] == 6


async def test_more_than_one_statement_deletes_expire_at_once(
    store: Store, connection: asyncpg.Connection, clock: Clock
) -> None:
    await connection.execute(
        "INSERT INTO account_settings (account_id, query_retention_days) VALUES ('default', 1);"
        "INSERT INTO analyzed_queries (id, query_text, request, analysis_result, model_versions, created_at)"
        " SELECT gen_random_uuid(), 'x', '{}', '{}', '{}', '2026-01-01' FROM generate_series(1, 2500)"
    )
    report = await Upkeep(store, None, COLLECTOR, clock).expire()
    assert report is not None
    assert report["queries"] == 2500


async def test_the_loop_outlives_a_database_that_is_away(
    store: Store, postgres: EmbeddedPostgres, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.upkeep.LOOK_S", 0.02)
    keeping = asyncio.create_task(Upkeep(store, None, COLLECTOR, clock).run_forever())
    postgres.stop()
    await asyncio.sleep(0.2)
    postgres.start()
    for _ in range(200):
        if (job := await store.collector.find("expire")) and job.last_run:
            break
        await asyncio.sleep(0.02)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert job is not None
    assert job.last_run is not None


async def asked(store: Store, keeping: Upkeep, account: str, path: str = "/collector", **body: Any) -> dict[str, Any]:
    """What a route, as a rule /collector, answers an account."""
    front = Front(SimpleNamespace(library=Library(store), store=store), upkeep=keeping)
    gate = Gate(create_api(front), KEYS, lambda *_: None)
    gate.max_requests = 4
    async with caller(gate, account) as client:
        response = await (client.put(path, json=body) if body else client.get(path))
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_state_says_what_was_done_what_is_due_and_what_it_costs(
    store: Store, x: XServer, clock: Clock
) -> None:
    for number in range(10):
        x.post(START - timedelta(hours=number + 2))
    keeping = upkeep(store, x, clock)
    before = await asked(store, keeping, "default")
    assert (before["state"], before["last_run"], before["posts"]) == ("on", None, 0)
    assert before["costs"]["spent_usd"] == 0

    report = await run(store, x, clock, by=timedelta())
    clock.now += timedelta(hours=4)
    state = await asked(store, keeping, "default")
    assert state["last_run"] == report
    assert (state["access"], state["posts"], state["unseen_posts"]) == ("private", 10, 0)
    assert (state["snapshots_due"], state["learn_from_api"]) == (4, False)
    assert state["next_run_at"] == "2026-11-02T09:15:00+00:00"
    counts = {name: state["last_run"][name] for name in ("posts_new", "snapshots", "late", "missed", "deleted")}
    assert state["this_month"] == {"month": "2026-11"} | counts
    costs = state["costs"]
    assert (costs["spent_usd"], costs["budget_usd"]) == (0.01, 50.0)
    assert 0 < costs["next_run_usd"] <= 4 * 0.005
    assert costs["month_usd"] == pytest.approx(10 * 0.026 + 10 * 0.001 * 30 * 24 / 22, abs=1e-6)
    assert (costs["post_usd"], costs["lookup_usd"], costs["prices_as_of"]) == (0.001, 0.005, "2026-04-20")

    other = await asked(store, keeping, "acme")
    assert (other["state"], other["costs"], other["last_run"], other["posts"]) == ("off", None, None, 0)
    assert "another account" in other["reason"]
    off = await asked(store, Upkeep(store, None, COLLECTOR, clock), "default")
    assert off["state"] == "off"
    assert "X_REFRESH_TOKEN" in off["reason"]


async def test_an_account_says_for_itself_whether_it_learns_from_the_api(
    store: Store, x: XServer, clock: Clock, client: httpx.AsyncClient
) -> None:
    keeping = upkeep(store, x, clock)
    assert (await asked(store, keeping, "acme", learn_from_api=True))["learn_from_api"] is True
    assert (await asked(store, keeping, "acme"))["learn_from_api"] is True
    assert (await asked(store, keeping, "default"))["learn_from_api"] is False
    for body in ({}, {"learn_from_api": "yes"}, {"learn_from_api": True, "token": "x"}):
        refused = await client.put("/collector", json=body)
        assert refused.status_code == 422


async def trends_of_x(store: Store, keeping: Upkeep, account: str = "default") -> dict[str, Any]:
    x: dict[str, Any] = (await asked(store, keeping, account, "/audience/trends"))["x"]
    return x


def trend_calls(x: XServer) -> list[tuple[str, str]]:
    return [(path, query["max_trends"]) for path, query in x.calls if "/trends/" in path]


async def test_trends_of_x_that_are_switched_off_are_not_asked_for_and_why_there_are_none_is_said(
    store: Store, x: XServer, clock: Clock
) -> None:
    await run(store, x, clock, access=APP)
    off = await trends_of_x(store, upkeep(store, x, clock, APP))
    assert off.pop("note").endswith("trends_woeid of the collector is null.")
    assert off == {"supported": False, "woeid": None, "read_at": None, "trends": []}
    without_token = await trends_of_x(store, Upkeep(store, None, COLLECTOR, clock))
    assert "X_BEARER_TOKEN" in without_token["note"]
    on = upkeep(store, x, clock, APP, trends_woeid=1)
    assert "not asked" in (await trends_of_x(store, on))["note"]
    assert "another account" in (await trends_of_x(store, on, "acme"))["note"]
    assert trend_calls(x) == []


@pytest.mark.parametrize(("status", "problem"), [(403, "forbidden"), (429, "rate_limited")])
async def test_x_that_refuses_its_trends_is_named_asked_again_a_day_later_and_stops_no_post(
    store: Store, x: XServer, clock: Clock, status: int, problem: str
) -> None:
    x.post(START)
    x.script.append(Scripted(status, b'{"title": "no"}', path="/2/trends"))
    refused = await run(store, x, clock, access=APP, trends_woeid=1)
    assert (refused["problem"], refused["posts_new"], refused["spent_usd"]) == (problem, 1, 0.005)
    told = await trends_of_x(store, upkeep(store, x, clock, APP, trends_woeid=1))
    assert (told["supported"], told["trends"], problem in told["note"]) == (False, [], True)

    # The posts keep their pace.
    later = await run(store, x, clock, access=APP, trends_woeid=1, by=timedelta(minutes=15))
    assert (later["problem"], len(trend_calls(x))) == (None, 1)
    again = await run(store, x, clock, access=APP, trends_woeid=1, by=DAY)
    assert (again["problem"], len(trend_calls(x))) == (None, 2)
    assert (await trends_of_x(store, upkeep(store, x, clock, APP, trends_woeid=1)))["supported"] is True


async def test_a_budget_that_holds_no_trend_buys_none_and_one_that_holds_three_buys_three(
    store: Store, x: XServer, clock: Clock
) -> None:
    poor = await run(store, x, clock, trends_woeid=1, budget_usd_month=0.009)
    assert (poor["problem"], poor["spent_usd"], trend_calls(x)) == ("budget_spent", 0.0, [])
    fields = {"trends_woeid": 1, "budget_usd_month": 0.035}
    report = await run(store, x, clock, by=DAY, **fields)
    assert (report["problem"], report["spent_usd"], trend_calls(x)[0][1]) == (None, 0.03, "3")
    assert len((await trends_of_x(store, upkeep(store, x, clock, **fields)))["trends"]) == 3


async def test_hostile_trends_are_told_as_harmless_text_and_what_is_no_trend_is_left_out(
    store: Store, x: XServer, clock: Clock
) -> None:
    x.trends = [
        {"trend_name": "<script>alert(1)</script>\x00\x1b[31m\u202e\ud800", "tweet_count": True},
        {"trend_name": "a" * 5000, "tweet_count": -1},
        {"trend_name": "Diabetes'); DROP TABLE posts; --", "tweet_count": 7},
        {"trend_name": " \r\n\x07 ", "tweet_count": 1},
        {"trend_name": 5},
        *("no object", None),
    ]
    report = await run(store, x, clock, trends_woeid=1)
    told = await trends_of_x(store, upkeep(store, x, clock, trends_woeid=1))
    assert report["problem"] is None
    assert told["trends"] == [
        {"name": "<script>alert(1)</script>[31m", "posts": None},
        {"name": "a" * 120, "posts": None},
        {"name": "Diabetes'); DROP TABLE posts; --", "posts": 7},
    ]
    for body in (b"[]", b'{"data": {}}', b'{"errors": []}'):
        x.script.append(Scripted(200, body, path="/2/trends"))
        assert (await run(store, x, clock, by=DAY, trends_woeid=1))["problem"] == "unavailable"


async def test_trends_of_x_are_read_once_a_day_replaced_told_for_two_days_and_deleted_with_the_account(
    store: Store, connection: asyncpg.Connection, database: str, x: XServer, clock: Clock
) -> None:
    first = await run(store, x, clock, trends_woeid=766273)
    read_at = clock.now
    for _ in range(20):
        await run(store, x, clock, trends_woeid=766273)
    assert trend_calls(x) == [("/2/trends/by/woeid/766273", "10")]
    assert first["spent_usd"] == 0.1
    keeping = upkeep(store, x, clock, trends_woeid=766273)
    told = await trends_of_x(store, keeping)
    assert (told["supported"], told["woeid"], told["note"]) == (True, 766273, None)
    assert datetime.fromisoformat(told["read_at"]) == read_at
    assert told["trends"][0] == {"name": "#made_up_0", "posts": 1000}
    assert (await trends_of_x(store, keeping, "acme"))["trends"] == []
    assert (await asked(store, keeping, "default"))["costs"]["month_usd"] == 3.0

    clock.now = read_at + 2 * DAY + timedelta(seconds=1)
    old = await trends_of_x(store, keeping)
    assert (old["supported"], old["trends"], "older than two days" in old["note"]) == (False, [], True)
    # Another place is another question.
    await run(store, x, clock, trends_woeid=1)
    await run(store, x, clock, trends_woeid=2)
    assert len(trend_calls(x)) == 3
    assert [row["woeid"] for row in await connection.fetch("SELECT woeid FROM x_trends")] == [2]
    deleted = await delete_account(database, load_queries(), "default")
    assert deleted["x_trends"] == 1
    assert await connection.fetchval("SELECT count(*) FROM x_trends") == 0


async def uuid(connection: asyncpg.Connection) -> Any:
    return await connection.fetchval("SELECT gen_random_uuid()")
