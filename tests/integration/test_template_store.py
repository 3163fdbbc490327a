"""What the store says of templates and their outcomes, against a count by hand and scipy, on a real Postgres."""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import time
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from scipy.stats import binomtest

from pipelines.records import Template
from store.errors import RowRefused, StoreUnavailable
from store.migrate import MIGRATIONS, migrate
from store.postgres import Store
from store.templates import UNIQUE_NAME, Filter, Reading, StoredTemplate
from tests.integration.conftest import hanging, save_metrics

pytestmark = pytest.mark.clock

START = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
FRAME = Template("launch", "announcement", "en", "awareness", "bold", "announce", "It is here: {topic}.")


def reading(post_id: str, hours: float = 0, **fields: object) -> Reading:
    """A reading with a rate of 5 %, `hours` after START; keyword arguments replace single fields."""
    usual = {"account_id": "default", "impressions": 1000, "engagements": 50, "retweets": 10, "likes": 40}
    moment = {"post_id": post_id, "captured_at": START + timedelta(hours=hours)}
    return Reading(**(usual | moment | fields))


async def learned(store: Store, template: StoredTemplate) -> tuple[int, float | None, float | None]:
    found = await store.templates.find("default", template.id)
    assert found is not None
    return found.usage_count, found.success_rate, found.success_lower_bound


async def n_readings(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("SELECT count(*) FROM performance_metrics")


async def test_a_reading_of_another_accounts_template_refuses_its_batch_and_nothing_is_stored(
    store: Store, connection: asyncpg.Connection
) -> None:
    theirs = await store.templates.create("acme", FRAME)

    with pytest.raises(RowRefused):
        await save_metrics(store, [reading("1"), reading("2", template_id=theirs.id)])

    assert await n_readings(connection) == 0
    assert await save_metrics(store, [reading("1")]) == 1


@pytest.mark.parametrize("poison", [{"likes": -1}, {"viral_score": 101.0}, {"likes": 2**63}, {"account_id": ""}])
async def test_a_poisoned_reading_refuses_its_batch_and_the_store_goes_on(store: Store, poison: dict) -> None:
    with pytest.raises(RowRefused):
        await save_metrics(store, [reading("1"), reading("2", **poison)])

    assert (await store.counts())["performance_metrics"] == 0
    assert await save_metrics(store, [reading("1")]) == 1


async def test_a_postgres_that_hangs_in_a_transaction_costs_one_timeout(database: str) -> None:
    store = await Store.connect(database, min_size=1, max_size=1, timeout_s=1.0)
    async with hanging(store):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await save_metrics(store, [reading("1")])
        assert time.monotonic() - started < 1.9

    assert await save_metrics(store, [reading("2")]) == 1
    await store.close()


async def test_a_caller_that_leaves_halfway_leaves_nothing_halfway(
    database: str, store: Store, connection: asyncpg.Connection
) -> None:
    template = await store.templates.create("default", FRAME)
    single = await Store.connect(database, min_size=1, max_size=1, timeout_s=5.0)
    for turn in range(30):
        saving = asyncio.create_task(save_metrics(single, [reading(str(turn), template_id=template.id)]))
        await asyncio.sleep(turn / 5000)
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)
    await save_metrics(single, [reading("last", template_id=template.id)])
    await single.close()

    assert (await learned(store, template))[0] == await n_readings(connection) >= 1


async def test_no_readings_are_nothing(store: Store) -> None:
    assert await save_metrics(store, []) == 0


async def test_a_template_without_outcomes_has_no_rate(store: Store) -> None:
    template = await store.templates.create("default", FRAME)
    await save_metrics(store, [reading("1")])

    assert await learned(store, template) == (0, None, None)
    performance = await store.templates.performance("default", template.id, None, None, "day")
    assert performance is not None
    assert (performance.usage_count, performance.success_rate, performance.success_interval) == (0, None, None)
    assert (performance.series, performance.totals.posts, performance.totals.rate) == ((), 0, None)


async def test_suspect_and_unknown_impressions_are_outcomes_without_a_rate(store: Store) -> None:
    template = await store.templates.create("default", FRAME)
    await save_metrics(
        store,
        [
            reading("suspect", template_id=template.id, impressions=10),
            reading("unknown", template_id=template.id, impressions=None),
        ],
    )

    assert await learned(store, template) == (2, None, None)
    performance = await store.templates.performance("default", template.id, None, None, "day")
    assert performance is not None
    totals = performance.totals
    assert (totals.posts, totals.posts_with_impressions, totals.suspect_readings) == (1, 0, 1)
    assert (totals.impressions, totals.engagements, totals.rate, totals.interval) == (None, 50, None, None)


async def test_the_same_reading_twice_counts_once_and_the_first_stays(
    store: Store, connection: asyncpg.Connection
) -> None:
    template = await store.templates.create("default", FRAME)
    row = reading("1", template_id=template.id)

    assert await save_metrics(store, [row, row]) == 1
    assert await save_metrics(store, [row, replace(row, likes=1)]) == 0

    assert await connection.fetchval("SELECT likes FROM performance_metrics") == 40
    assert (await learned(store, template))[0] == 1


async def test_a_post_counts_by_its_latest_reading_and_keeps_its_template_when_later_ones_do_not_name_it(
    store: Store,
) -> None:
    template = await store.templates.create("default", FRAME)
    others = [reading(f"other {n}") for n in range(3)]
    await save_metrics(store, [*others, reading("1", template_id=template.id, engagements=10)])
    assert await learned(store, template) == (1, 0.0, 0.0)

    await save_metrics(store, [reading("1", hours=2, engagements=90)])
    await save_metrics(store, [reading("1", hours=1, engagements=20)])
    await save_metrics(store, [reading("1", hours=3, engagements=90, impressions=3)])

    usage, rate, bound = await learned(store, template)
    assert (usage, rate) == (1, 1.0)
    assert bound == pytest.approx(1 / (1 + 1.959964**2), abs=1e-5)


async def test_a_later_reading_without_impressions_hides_no_rate(store: Store) -> None:
    template = await store.templates.create("default", FRAME)
    await save_metrics(store, [reading("1", template_id=template.id, engagements=90), reading("other")])
    await save_metrics(store, [reading("1", hours=1, impressions=None)])

    assert (await learned(store, template))[:2] == (1, 1.0)
    found = await store.templates.performance("default", template.id, None, None, "day")
    assert found is not None
    assert (found.totals.posts, found.totals.impressions, found.totals.rate) == (1, 1000, 0.09)


async def test_a_post_of_a_test_is_measured_by_what_its_rate_was_compared_with(store: Store) -> None:
    template = await store.templates.create("default", FRAME)
    others = [reading(f"other {n}", engagements=900) for n in range(3)]
    tested = reading("1", template_id=template.id, engagements=90, compared_rate=0.08)
    await save_metrics(store, [*others, tested, reading("1", hours=1, impressions=None)])

    assert (await learned(store, template))[:2] == (1, 1.0)


async def test_a_post_that_turns_out_to_be_another_templates_is_taken_from_the_first(store: Store) -> None:
    first = await store.templates.create("default", FRAME)
    second = await store.templates.create("default", replace(FRAME, name="second"))
    await save_metrics(store, [reading("1", template_id=first.id)])

    await save_metrics(store, [reading("1", hours=1, template_id=second.id)])

    assert (await learned(store, first), (await learned(store, second))[0]) == ((0, None, None), 1)


async def test_learning_does_not_move_the_version_and_another_account_does_not_move_the_median(store: Store) -> None:
    template = await store.templates.create("default", FRAME)
    await save_metrics(store, [reading("1", template_id=template.id), reading("2", engagements=1)])

    await save_metrics(store, [reading(f"theirs {n}", account_id="acme", engagements=900) for n in range(9)])

    found = await store.templates.find("default", template.id)
    assert found is not None
    assert (found.version, found.success_rate) == (1, 1.0)


async def test_eight_writers_at_once_leave_what_a_count_by_hand_and_scipy_find(database: str) -> None:
    store = await Store.connect(database, min_size=8, max_size=8, timeout_s=60.0)
    templates = [await store.templates.create("default", replace(FRAME, name=f"frame {n}")) for n in range(3)]
    chance = random.Random(4)
    rows = [
        reading(
            str(post),
            hours=later,
            template_id=chance.choice([None, *(template.id for template in templates)]) if later == 0 else None,
            impressions=chance.choice([None, None, None, 10, *[1000] * 4]),
            engagements=chance.randrange(200),
        )
        for post in range(120)
        for later in range(3)
    ]
    chance.shuffle(rows)
    # Every reading comes twice, by another writer the second time.
    batches = [rows[start::40] for start in range(40)] + [rows[start::32] for start in range(32)]
    waiting = iter(batches)

    async def write() -> int:
        return sum([await save_metrics(store, batch) for batch in waiting])

    assert sum(await asyncio.gather(*(write() for _ in range(8)))) == len(rows)

    rates, wrote = by_hand(rows)
    median = statistics.median(rates.values())
    for template in templates:
        posts = [post for post, template_id in wrote.items() if template_id == template.id]
        rated = [rates[post] for post in posts if post in rates]
        interval = binomtest(sum(rate > median for rate in rated), len(rated)).proportion_ci(method="wilson")
        usage, rate, bound = await learned(store, template)
        assert usage == len(posts) > len(rated)
        assert rate == pytest.approx(sum(rate > median for rate in rated) / len(rated), abs=1e-6)
        assert bound == pytest.approx(interval.low, abs=1e-6)
        performance = await store.templates.performance("default", template.id, None, None, "week")
        assert performance is not None
        assert performance.success_interval == pytest.approx((interval.low, interval.high), abs=1e-9)
    await store.close()


def by_hand(rows: list[Reading]) -> tuple[dict[str, float], dict[str, int | None]]:
    """The latest rate of each post that has one, and the template that wrote it."""
    posts = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.captured_at):
        posts[row.post_id].append(row)
    rates, wrote = {}, {}
    for post, readings in posts.items():
        usable = [row for row in readings if row.impressions and row.engagements <= row.impressions]
        if usable:
            rates[post] = round(usable[-1].engagements / usable[-1].impressions, 6)
        wrote[post] = next((row.template_id for row in reversed(readings) if row.template_id), None)
    return rates, wrote


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (0, 10), (10, 10), (15, 148), (3, 10**9), (7, 9)])
async def test_the_lower_bound_is_scipys(connection: asyncpg.Connection, successes: int, trials: int) -> None:
    bound = await connection.fetchval("SELECT wilson_lower_bound($1, $2)", successes, trials)

    assert bound == pytest.approx(binomtest(successes, trials).proportion_ci(method="wilson").low, rel=1e-6, abs=1e-12)


async def test_no_trials_have_no_bound(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SELECT wilson_lower_bound(0, 0)") is None


async def test_a_series_counts_each_post_once_in_the_day_or_week_of_its_latest_reading_of_the_span(
    store: Store,
) -> None:
    template = await store.templates.create("default", FRAME)
    await save_metrics(
        store,
        [
            reading("1", template_id=template.id),
            reading("1", hours=24, engagements=60),
            reading("2", hours=1, template_id=template.id, impressions=None),
            reading("3", hours=7 * 24, template_id=template.id, impressions=3000, engagements=30),
            reading("3", hours=8 * 24, impressions=1),
            reading("not its own", hours=1),
        ],
    )

    async def series(since: datetime | None, until: datetime | None, bucket: str) -> list[tuple]:
        found = await store.templates.performance("default", template.id, since, until, bucket)
        return [
            (row.start.day, row.posts, row.impressions, row.engagements, row.rate, row.suspect_readings)
            for row in found.series
        ]

    assert await series(None, None, "day") == [
        (2, 1, None, 50, None, 0),
        (3, 1, 1000, 60, 0.06, 0),
        (9, 1, 3000, 30, 0.01, 0),
        (10, 0, None, 0, None, 1),
    ]
    assert await series(None, START + timedelta(hours=24), "day") == [(2, 2, 1000, 100, 0.05, 0)]
    assert await series(None, None, "week") == [(2, 2, 1000, 110, 0.06, 0), (9, 1, 3000, 30, 0.01, 1)]
    assert await series(START + timedelta(days=30), None, "week") == []
    whole = await store.templates.performance("default", template.id, None, None, "day")
    interval = binomtest(90, 4000).proportion_ci(method="wilson")
    assert (whole.totals.posts, whole.totals.engagements, whole.totals.rate) == (3, 140, 90 / 4000)
    assert whole.totals.interval == pytest.approx((interval.low, interval.high), abs=1e-9)


async def test_a_name_is_taken_within_its_account_and_language_alone_even_by_an_archived_template(
    store: Store,
) -> None:
    created = await store.templates.create("default", FRAME)
    await store.templates.archive("default", created.id)

    with pytest.raises(RowRefused) as refused:
        await store.templates.create("default", FRAME)

    assert refused.value.constraint == UNIQUE_NAME
    await store.templates.create("acme", FRAME)
    await store.templates.create("default", replace(FRAME, language="es"))


async def test_of_two_replacements_of_one_version_one_wins(store: Store) -> None:
    created = await store.templates.create("default", FRAME)

    outcomes = await asyncio.gather(
        *(store.templates.replace("default", created.id, replace(FRAME, type=name), 1) for name in "abcd")
    )

    (winner,) = [outcome for outcome in outcomes if outcome]
    assert await store.templates.find("default", created.id) == winner
    assert winner.version == 2


async def test_seeding_leaves_what_the_account_changed_or_archived_and_withdraws_what_is_no_longer_shipped(
    store: Store, connection: asyncpg.Connection
) -> None:
    shipped = [replace(FRAME, name=name) for name in ("kept", "changed", "archived", "dropped")]
    assert await store.seed_templates(shipped) == 4
    rows = {row.name: row for row in await store.templates.active("default")}
    own = await store.templates.create("default", replace(FRAME, name="own"))
    await store.templates.replace("default", rows["changed"].id, replace(FRAME, name="changed", content="Mine."), 1)
    await store.templates.archive("default", rows["archived"].id)

    assert await store.seed_templates([replace(frame, content="Shipped.") for frame in shipped[:3]]) == 2

    active = {row.name: (row.content, row.origin) for row in await store.templates.active("default")}
    assert active == {
        "kept": ("Shipped.", "bundled"),
        "changed": ("Mine.", "own"),
        "own": (own.content, "own"),
    }
    assert await store.seed_templates(shipped) == 2
    assert {row.name for row in await store.templates.active("default")} == {"kept", "changed", "own", "dropped"}


async def test_templates_of_the_release_before_are_bundled_ones_and_that_release_can_go_on_seeding(
    empty_database: str, tmp_path: Path
) -> None:
    for version in ("0001_tables", "0002_row_counts"):
        shutil.copy(MIGRATIONS / f"{version}.sql", tmp_path)
    await migrate(empty_database, tmp_path)
    before = """INSERT INTO content_templates AS stored
        (template_name, template_type, language, objective, tone, intent, template_content, account_id)
        VALUES ('launch', 'announcement', 'en', 'awareness', 'bold', 'announce', $1, 'default')
        ON CONFLICT (account_id, language, template_name) DO UPDATE SET template_content = EXCLUDED.template_content"""
    running = await asyncpg.connect(empty_database)
    await running.execute(before, "Old.")

    await migrate(empty_database)

    await running.execute(before, "Still old.")
    store = await Store.connect(empty_database, min_size=0, max_size=1, timeout_s=5.0)
    (kept,) = await store.templates.active("default")
    assert (kept.content, kept.origin, kept.version) == ("Still old.", "bundled", 1)
    assert await store.seed_templates([FRAME]) == 1
    await store.close()
    await running.close()


async def test_replicas_that_seed_at_once_agree(database: str) -> None:
    store = await Store.connect(database, min_size=8, max_size=8, timeout_s=20.0)
    shipped = [replace(FRAME, name=f"frame {n}") for n in range(50)]

    changed = await asyncio.gather(*(store.seed_templates(shipped) for _ in range(8)))

    assert sorted(changed) == [0] * 7 + [50]
    await store.close()


async def test_pages_follow_each_other_without_gaps_and_filters_hold(store: Store) -> None:
    made = [await store.templates.create("default", replace(FRAME, name=f"frame {n}")) for n in range(5)]
    await store.templates.create("acme", FRAME)
    await store.templates.archive("default", made[1].id)
    spanish = await store.templates.create("default", replace(FRAME, language="es", tone="formal"))

    first = await store.templates.page("default", Filter(limit=2, language="en"))
    rest = await store.templates.page("default", Filter(after=first[-1].id, language="en"))

    assert [row.name for row in (*first, *rest)] == ["frame 0", "frame 2", "frame 3", "frame 4"]
    assert await store.templates.page("default", Filter(tone="formal")) == (spanish,)
    assert await store.templates.page("default", Filter(origin="bundled")) == ()
    assert len(await store.templates.page("default", Filter(archived=True))) == 6
