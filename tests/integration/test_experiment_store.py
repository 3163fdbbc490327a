"""Experiments on a real Postgres: their life, events that come late, twice and at once, and their conclusions."""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from pipelines.experiments.records import PostCounts, Variant
from pipelines.records import Template
from store.errors import RowRefused
from store.experiments import Counts, StoredExperiment, ToldEvent
from store.postgres import Store
from store.templates import Reading

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
FRAME = Template("launch", "announcement", "en", "awareness", "bold", "announce", "It is here: {topic}.")
TWO = (Variant(name="control", content=None, weight=0.5, template_id=None),
       Variant(name="b", content="Our shoes are here.", weight=0.5, template_id=None))  # fmt: skip


async def created(store: Store, *, start: bool = True, variants: Sequence[Variant] = TWO) -> StoredExperiment:
    return await store.experiments.create("default", uuid.uuid4(), "hooks", b'{"alpha": 0.05}', variants, start=start)


def event(event_id: str, unit: str, variant: int = 0, *, engaged: bool = False, hours: float = 0) -> ToldEvent:
    return ToldEvent(event_id, variant, engaged, unit, START + timedelta(hours=hours), mismatch=False)


async def tally(store: Store, experiment: StoredExperiment) -> dict[int, tuple[int, int]]:
    """Variant -> (units exposed, units engaged)."""
    exposed: Counter[int] = Counter()
    engaged: Counter[int] = Counter()
    for count in (await store.experiments.counts(experiment.id)).days:
        exposed[count.variant] += count.exposed
        engaged[count.variant] += count.engaged
    return {variant: (exposed[variant], engaged[variant]) for variant in sorted(exposed)}


async def test_another_accounts_experiment_is_unknown_and_takes_nothing(store: Store) -> None:
    experiment = await created(store)

    assert await store.experiments.find("acme", experiment.id) is None
    assert await store.experiments.stop("acme", experiment.id, None) is None
    assert await store.experiments.save_events("acme", experiment.id, [event("1", "u")]) is None
    assert await tally(store, experiment) == {}


async def test_a_template_of_another_account_refuses_the_experiment_and_leaves_nothing_behind(store: Store) -> None:
    theirs = await store.templates.create("acme", FRAME)
    stolen = Variant(name="b", content=None, weight=0.5, template_id=theirs.id)

    with pytest.raises(RowRefused):
        await created(store, variants=(TWO[0], stolen))

    assert (await store.counts())["experiments"] == 0
    assert await store.experiments.page("default", None, None, 10) == ()


async def test_a_change_at_an_old_version_changes_nothing(store: Store) -> None:
    draft = await created(store, start=False)
    running = await store.experiments.start("default", draft.id, draft.version)

    assert running is not None
    assert running.state == "running"
    assert await store.experiments.stop("default", draft.id, draft.version) is None
    assert await store.experiments.reweigh("default", draft.id, draft.version, [0.2, 0.8]) is None
    assert await store.experiments.find("default", draft.id) == running


@pytest.mark.parametrize("rivals", [8])
async def test_of_rivals_that_stop_an_experiment_at_one_version_one_wins(store: Store, rivals: int) -> None:
    running = await created(store)

    outcomes = await asyncio.gather(
        *(store.experiments.stop("default", running.id, running.version) for _ in range(rivals))
    )

    assert sum(outcome is not None for outcome in outcomes) == 1


async def test_no_state_is_skipped_and_none_comes_back(store: Store) -> None:
    draft = await created(store, start=False)
    assert await store.experiments.stop("default", draft.id, None) is None
    assert await store.experiments.conclude("default", draft.id, None, lambda *_: (b"{}", ())) is None
    await store.experiments.start("default", draft.id, None)
    assert await store.experiments.start("default", draft.id, None) is None
    await store.experiments.stop("default", draft.id, None)
    concluded = await store.experiments.conclude("default", draft.id, None, lambda *_: (b'{"decision": "win"}', ()))

    assert concluded is not None
    assert (concluded.state, concluded.conclusion, concluded.version) == ("concluded", b'{"decision": "win"}', 4)
    assert await store.experiments.start("default", draft.id, None) is None


@pytest.mark.parametrize(
    "change",
    ["state = 'concluded'", "state = 'draft'", "started_at = NULL", "stopped_at = now()", "conclusion = '{}'",
     "state = 'paused'", "version = 0", "plan = '[]'"],
)  # fmt: skip
async def test_no_writer_can_leave_an_experiment_in_two_states(
    store: Store, connection: asyncpg.Connection, change: str
) -> None:
    await created(store)

    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(f"UPDATE experiments SET {change}")


async def test_a_draft_and_a_concluded_experiment_take_no_events_and_a_stopped_one_takes_late_ones(
    store: Store,
) -> None:
    experiment = await created(store, start=False)
    assert await store.experiments.save_events("default", experiment.id, [event("1", "u")]) is None
    await store.experiments.start("default", experiment.id, None)
    await store.experiments.stop("default", experiment.id, None)
    assert await store.experiments.save_events("default", experiment.id, [event("1", "u")]) == 1
    await store.experiments.conclude("default", experiment.id, None, lambda *_: (b"{}", ()))
    assert await store.experiments.save_events("default", experiment.id, [event("2", "v")]) is None

    assert await tally(store, experiment) == {0: (1, 0)}


async def test_an_event_counts_once_however_often_it_is_told(store: Store) -> None:
    experiment = await created(store)
    twice = [event("1", "u"), event("1", "u"), event("2", "u", engaged=True), event("1", "someone else")]

    assert await store.experiments.save_events("default", experiment.id, twice) == 2
    assert await store.experiments.save_events("default", experiment.id, twice) == 0
    assert await tally(store, experiment) == {0: (1, 1)}


async def test_an_engagement_counts_once_the_unit_was_exposed_whichever_comes_first(store: Store) -> None:
    experiment = await created(store)
    await store.experiments.save_events("default", experiment.id, [event("1", "u", engaged=True, hours=1)])
    before = await store.experiments.counts(experiment.id)
    await store.experiments.save_events("default", experiment.id, [event("2", "u", hours=0)])
    after = await store.experiments.counts(experiment.id)

    assert (before.days, before.unexposed) == ((), 1)
    assert await tally(store, experiment) == {0: (1, 1)}
    assert after.unexposed == 0


@pytest.mark.parametrize(
    ("seen", "engaged", "counts"),
    [
        ([0], [-1 / 3600], 0),
        ([0], [-30 * 24], 0),
        ([5, 3], [1, 2], 0),
        ([0], [0], 1),
        ([0], [-1, 1], 1),
        ([0], [1, -1], 1),
        ([0], [-2, 1, -1], 1),
        ([5, 0], [3], 1),
        ([0], [365 * 24], 1),
    ],
)
async def test_an_engagement_counts_where_one_of_the_unit_is_not_before_its_first_impression(
    store: Store, seen: list[float], engaged: list[float], counts: int
) -> None:
    """Whatever comes in first, and in one batch or each event alone."""
    told = [event(f"seen {hours}", "u", hours=hours) for hours in seen]
    told += [event(f"engaged {hours}", "u", engaged=True, hours=hours) for hours in engaged]
    for order in (told, told[::-1]):
        alone, together = await created(store), await created(store)
        for one in order:
            await store.experiments.save_events("default", alone.id, [one])
        await store.experiments.save_events("default", together.id, order)

        assert await tally(store, alone) == await tally(store, together) == {0: (1, counts)}
        (day,) = (await store.experiments.counts(alone.id)).days
        assert (day.engaged_early, (await store.experiments.counts(alone.id, 0)).days) == (1 - counts, ())


async def test_of_the_first_units_an_engagement_counts_by_its_time_too(store: Store) -> None:
    experiment = await created(store)
    events = [event("1", "u", hours=1), event("2", "u", engaged=True), event("3", "v", hours=2), event("4", "w", 1)]
    await store.experiments.save_events("default", experiment.id, events)

    (w, u) = sorted((await store.experiments.counts(experiment.id, 2)).days, key=lambda day: -day.variant)
    assert [(day.exposed, day.engaged, day.engaged_early) for day in (w, u)] == [(1, 0, 0), (1, 0, 1)]


async def test_what_is_dated_before_the_start_or_after_now_is_told_and_so_is_what_was_seen_after_the_stop(
    store: Store,
) -> None:
    experiment = await created(store)
    now = datetime.now(UTC)

    def told(unit: str, seen: timedelta, engaged: timedelta) -> list[ToldEvent]:
        return [
            ToldEvent(f"{unit} {kind}", 0, kind == "engaged", unit, now + shift, mismatch=False)
            for kind, shift in (("seen", seen), ("engaged", engaged))
        ]

    moment, year = timedelta(seconds=30), timedelta(days=365)
    units = {"sound": (moment, 2 * moment), "long ago": (moment, -year), "years ahead": (moment, year)}
    units |= {"seen long ago": (-year, moment)}
    for unit, shifts in units.items():
        await store.experiments.save_events("default", experiment.id, told(unit, *shifts))
    running = (await store.experiments.counts(experiment.id)).days
    await store.experiments.stop("default", experiment.id, None)
    stopped = (await store.experiments.counts(experiment.id)).days

    assert [sum(day.misdated for day in days) for days in (running, stopped)] == [3, 3]
    assert [sum(day.after_stop for day in days) for days in (running, stopped)] == [0, 3]
    assert [sum(day.engaged for day in days) for days in (running, stopped)] == [3, 3]


async def test_units_that_a_release_without_the_last_engagement_wrote_count_by_the_first(
    store: Store, connection: asyncpg.Connection
) -> None:
    experiment = await created(store)
    for unit, hours in (("early", -1), ("in time", 1)):
        await store.experiments.save_events(
            "default", experiment.id, [event(f"{unit}1", unit), event(f"{unit}2", unit, engaged=True, hours=hours)]
        )
    await connection.execute("UPDATE experiment_units SET last_engaged_at = NULL")
    assert await tally(store, experiment) == {0: (2, 1)}

    await store.experiments.save_events("default", experiment.id, [event("3", "in time", engaged=True, hours=-2)])
    assert await tally(store, experiment) == {0: (2, 1)}


async def test_a_unit_belongs_to_the_day_of_its_first_impression_however_late_that_comes_in(store: Store) -> None:
    experiment = await created(store)
    for number, hours in enumerate((40, 15, 60)):
        await store.experiments.save_events("default", experiment.id, [event(str(number), "u", hours=hours)])

    (count,) = (await store.experiments.counts(experiment.id)).days
    assert (count.day, count.exposed) == ((START + timedelta(hours=15)).date(), 1)


@pytest.mark.parametrize(
    "poison",
    [
        event("", "u"),
        event("x" * 129, "u"),
        event("nul\x00", "u"),
        event("1", "surrogate\ud800"),
        event("1", "u", variant=2**20),
    ],
)
async def test_a_value_that_postgres_refuses_refuses_its_batch_and_the_store_goes_on(
    store: Store, poison: ToldEvent
) -> None:
    experiment = await created(store)

    with pytest.raises(RowRefused):
        await store.experiments.save_events("default", experiment.id, [event("0", "v"), poison])

    assert await tally(store, experiment) == {}
    assert await store.experiments.save_events("default", experiment.id, [event("0", "v")]) == 1


async def test_eight_writers_at_once_count_exactly_what_one_would(database: str) -> None:
    """Duplicates within a batch, across batches and across writers, shuffled, with units that meet everywhere."""
    chance = random.Random(7)
    events = [
        event(f"e{number}", f"u{chance.randrange(900)}", chance.randrange(2), engaged=chance.random() < 0.2,
              hours=chance.uniform(0, 72))
        for number in range(4000)
    ]  # fmt: skip
    exposed: dict[tuple[int, str], datetime] = {}
    for e in events:
        if not e.engagement:
            exposed[e.variant, e.unit] = min(e.at, exposed.get((e.variant, e.unit), e.at))
    engaged = {key for e in events if e.engagement and (key := (e.variant, e.unit)) in exposed and e.at >= exposed[key]}
    store = await Store.connect(database, min_size=1, max_size=8, timeout_s=20)
    experiment = await created(store)

    async def write(seed: int) -> int:
        told = random.Random(seed).sample(events, len(events))
        saved = 0
        for first in range(0, len(told), 250):
            batch = told[first : first + 250]
            new = await store.experiments.save_events("default", experiment.id, batch + batch[:10])
            assert new is not None
            saved += new
        return saved

    saved = await asyncio.gather(*(write(seed) for seed in range(8)))

    assert sum(saved) == len(events)
    assert (await store.counts())["experiment_events"] == len(events)
    assert await tally(store, experiment) == {
        variant: (sum(v == variant for v, _ in exposed), sum(v == variant for v, _ in engaged)) for variant in (0, 1)
    }
    await store.close()


async def test_new_weights_take_the_place_of_the_old_ones_in_their_order(store: Store) -> None:
    experiment = await created(store)

    changed = await store.experiments.reweigh("default", experiment.id, experiment.version, [0.1, 0.9])

    assert changed is not None
    assert [(v.name, v.weight) for v in changed.variants] == [("control", 0.1), ("b", 0.9)]
    assert changed.version == experiment.version + 1


async def test_a_unit_is_known_by_the_variant_that_it_met_first(store: Store) -> None:
    experiment = await created(store)
    await store.experiments.save_events(
        "default", experiment.id, [event("1", "u", 1, hours=5), event("2", "u", 0, hours=2), event("3", "u", 1)]
    )

    assert await store.experiments.variant_of(experiment.id, "u") == 1
    assert await store.experiments.variant_of(experiment.id, "nobody") is None


async def test_a_post_keeps_its_newest_counts_whatever_order_they_come_in(store: Store) -> None:
    experiment = await created(store)

    def read(hours: int, likes: int) -> list[PostCounts]:
        moment = START + timedelta(hours=hours)
        return [PostCounts(post_id="1", posted_at=START, impressions=99, likes=likes, retweets=0, captured_at=moment)]

    assert await store.experiments.save_posts("default", experiment.id, read(5, 50)) == 1
    assert await store.experiments.save_posts("default", experiment.id, read(2, 20)) == 0
    assert await store.experiments.save_posts("default", experiment.id, read(9, 90)) == 1
    assert [post.likes for post in await store.experiments.posts(experiment.id)] == [90]


async def test_a_conclusion_writes_readings_and_template_success_or_nothing(
    store: Store, connection: asyncpg.Connection
) -> None:
    template = await store.templates.create("default", FRAME)
    written = Variant(name="b", content=None, weight=0.5, template_id=template.id)
    experiment = await created(store, variants=(TWO[0], written))
    await store.experiments.stop("default", experiment.id, None)

    def read(variant: int, engagements: int, template_id: int | None) -> Reading:
        return Reading(
            account_id="default", post_id=f"ab-test/{experiment.id}/{variant}", template_id=template_id,
            impressions=100, engagements=engagements, retweets=None, likes=None, captured_at=START,
        )  # fmt: skip

    def refused(*_: object) -> tuple[bytes, list[Reading]]:
        return b"{}", [read(0, 3, None), read(1, -1, template.id)]

    with pytest.raises(RowRefused):
        await store.experiments.conclude("default", experiment.id, None, refused)
    assert await connection.fetchval("SELECT count(*) FROM performance_metrics") == 0
    assert (await store.experiments.find("default", experiment.id)).state == "stopped"

    concluded = await store.experiments.conclude(
        "default", experiment.id, None, lambda *_: (b"{}", [read(0, 3, None), read(1, 9, template.id)])
    )
    learned = await store.templates.find("default", template.id)
    assert concluded is not None
    assert await connection.fetchval("SELECT count(*) FROM performance_metrics") == 2
    assert (learned.usage_count, learned.success_rate) == (1, 1.0)


async def test_a_conclusion_is_about_every_event_that_was_acknowledged(database: str) -> None:
    """Writers race with the conclusion: what it counted is what is stored, and later events are turned away."""
    store = await Store.connect(database, min_size=1, max_size=8, timeout_s=20)
    experiment = await created(store)
    await store.experiments.stop("default", experiment.id, None)
    seen: list[Counts] = []
    writing = [asyncio.Event() for _ in range(6)]

    async def write(writer: int) -> int:
        """Until the conclusion turns it away."""
        saved = 0
        for number in itertools.count():
            unit = f"{writer}-{number}"
            events = [event(f"{unit}-{i}", f"{unit}-{i}") for i in range(20)]
            new = await store.experiments.save_events("default", experiment.id, events)
            if new is None:
                break
            saved += new
            writing[writer].set()
        return saved

    async def conclude() -> None:
        await asyncio.gather(*(started.wait() for started in writing))
        await store.experiments.conclude(
            "default", experiment.id, None, lambda _, counts, __: (seen.append(counts), (b"{}", ()))[1]
        )

    *saved, _ = await asyncio.gather(*(write(writer) for writer in range(6)), conclude())

    assert sum(count.exposed for count in seen[0].days) == sum(saved)
    assert await tally(store, experiment) == {0: (sum(saved), 0)}
    assert all(saved)
    await store.close()
