"""What a brief is written with: fresh where the store answers, the last known where it does not, never a wait."""

from __future__ import annotations

import asyncio
from dataclasses import astuple, replace
from datetime import UTC, datetime

import pytest

from deployments import library, snapshots
from deployments.library import Library
from pipelines.generator.templates import NO_TEMPLATES, load_templates, realise
from pipelines.records import Brief, Template
from store.errors import RowRefused, StoreError, StoreUnavailable
from store.templates import Filter, StoredTemplate

pytestmark = pytest.mark.clock

FRAME = Template("launch", "announcement", "en", "awareness", "bold", "announce", "It is here: {topic}.")
OTHER = Template("other", "announcement", "en", "awareness", "bold", "announce", "Here: {topic}.")


def stored(template: Template, **fields: object) -> StoredTemplate:
    names = ("name", "type", "language", "objective", "tone", "intent", "content", "success_lower_bound")
    usual = {
        "id": 1,
        "origin": "own",
        "version": 1,
        "usage_count": 0,
        "success_rate": None,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "archived_at": None,
    }
    return StoredTemplate(**dict(zip(names, astuple(template), strict=True)) | usual | fields)


class Store:
    """A store in memory that can be down, or answer when it is let go."""

    def __init__(self, *rows: StoredTemplate) -> None:
        self.templates = self
        self.rows = rows
        self.archived: tuple[StoredTemplate, ...] = ()
        self.error: StoreError | None = None
        self.loads = 0
        self.seeded: list[str] = []
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def active(self, account: str) -> tuple[StoredTemplate, ...]:
        self.loads += 1
        rows, error = self.rows, self.error
        await self.let_go.wait()
        if error:
            raise error
        return rows

    async def page(self, account: str, wanted: Filter) -> tuple[StoredTemplate, ...]:
        if self.error:
            raise self.error
        return (*self.rows, *(self.archived if wanted.archived else ()))[: wanted.limit]

    async def seed_templates(self, templates: tuple[Template, ...], account: str) -> int:
        if self.error:
            raise self.error
        self.seeded.append(account)
        return len(templates)


@pytest.fixture
def stale_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "FRESH_S", 0.0)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_store_that_hangs_holds_up_the_first_call_for_the_time_limit_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots, "FIRST_LOAD_S", 0.1)
    store = Store(stored(FRAME))
    store.let_go.clear()
    library = Library(store)
    loop = asyncio.get_running_loop()

    started = loop.time()
    assert await library.templates("default") == ()
    first_s = loop.time() - started
    started = loop.time()
    assert await library.templates("default") == ()

    assert 0.09 < first_s < 0.3
    assert loop.time() - started < 0.05
    store.let_go.set()
    await settled()
    assert await library.templates("default") == (FRAME,)
    assert store.loads == 1


@pytest.mark.usefixtures("stale_at_once")
async def test_the_last_known_templates_outlive_the_store_and_new_ones_come_with_its_return() -> None:
    store = Store(stored(FRAME))
    library = Library(store)
    assert await library.templates("default") == (FRAME,)

    store.error = StoreUnavailable("down")
    assert await library.templates("default") == (FRAME,)
    await settled()
    assert await library.templates("default") == (FRAME,)
    await settled()

    store.rows, store.error = (stored(OTHER),), None
    assert await library.templates("default") == (FRAME,)
    await settled()
    assert await library.templates("default") == (OTHER,)


async def test_a_store_that_was_never_there_leaves_the_bundled_templates() -> None:
    store = Store(stored(FRAME))
    store.error = StoreUnavailable("down")

    assert await Library(store).templates("default") == ()


async def test_a_load_that_began_before_a_write_does_not_undo_it() -> None:
    store = Store(stored(FRAME))
    library = Library(store)
    store.let_go.clear()
    early = asyncio.create_task(library.refresh("default"))
    await settled()
    store.rows = (stored(OTHER),)
    late = asyncio.create_task(library.refresh("default"))
    await settled()

    store.let_go.set()
    await asyncio.gather(late, early)

    assert await library.templates("default") == (OTHER,)


async def test_a_fresh_snapshot_is_not_loaded_again_and_calls_at_once_share_a_load() -> None:
    store = Store(stored(FRAME))
    library = Library(store)

    found = await asyncio.gather(*(library.templates("default") for _ in range(10)))
    await library.templates("default")

    assert found == [(FRAME,)] * 10
    assert store.loads == 1


async def test_a_template_that_this_release_cannot_read_costs_itself_alone() -> None:
    unreadable = [
        stored(FRAME, content="It is {gone}."),
        stored(FRAME, content="It is {{here"),
        stored(FRAME, tone="sultry"),
        stored(FRAME, objective=None),
    ]

    assert await Library(Store(*unreadable, stored(OTHER))).templates("default") == (OTHER,)


async def test_bundled_templates_without_an_outcome_are_no_library_of_their_own() -> None:
    bundled = [stored(template, id=n, origin="bundled") for n, template in enumerate(load_templates(), 1)]

    assert await Library(Store(*bundled)).templates("default") == ()
    assert len(await Library(Store(*bundled[1:])).templates("default")) == len(bundled) - 1
    assert len(await Library(Store(*bundled, stored(FRAME))).templates("default")) == len(bundled) + 1


async def test_who_has_archived_every_template_is_not_given_the_bundled_ones() -> None:
    store = Store()
    store.archived = tuple(stored(template, id=n) for n, template in enumerate(load_templates(), 1))
    written_with = await Library(store).templates("default")
    assert written_with == NO_TEMPLATES
    brief = Brief(
        query="Our bakery opens on Monday. Doors open at 7. Come early.",
        language="en",
        keywords=(),
        templates=written_with,
    )
    assert realise(brief) == realise(replace(brief, sober=True)) == []

    assert await Library(Store()).templates("default") == ()
    assert realise(replace(brief, templates=())) != []


async def test_where_no_template_can_be_read_the_bundled_ones_do_not_come_back() -> None:
    assert await Library(Store(stored(FRAME, tone="sultry"))).templates("default") == NO_TEMPLATES


async def test_an_outcome_brings_the_lower_bound_along() -> None:
    first, *rest = load_templates()
    rows = [stored(first, usage_count=4, success_lower_bound=0.3), *(stored(template) for template in rest)]

    found = await Library(Store(*rows)).templates("default")

    assert [template.success_lower_bound for template in found] == [0.3] + [None] * len(rest)


async def test_seeding_waits_for_the_store_and_then_reaches_every_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SEED_PAUSE_S", 0.01)
    store = Store()
    store.error = StoreUnavailable("down")
    seeding = asyncio.create_task(Library(store).seed(["default", "acme"]))
    await asyncio.sleep(0.05)
    assert not seeding.done()

    store.error = None
    await seeding

    assert store.seeded == ["default", "acme"]


async def test_templates_that_the_store_refuses_do_not_keep_seeding_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    store.error = RowRefused("23514", "content_templates_tone_check")

    await Library(store).seed(["default"])

    assert "content_templates_tone_check" in caplog.text
    assert store.seeded == []
