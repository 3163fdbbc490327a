"""The record that drafts are scored against when a request brings none: the account's stored posts."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from pydantic import ValidationError

from deployments import own_posts, snapshots
from deployments.http.bodies import PREDICT_BODY
from deployments.http.problems import field_errors
from deployments.own_posts import OwnPosts
from pipelines.outcomes.posts import PostReading, Source
from pipelines.records import Draft, Post
from store.outcomes import Import
from store.postgres import Store

CAPTURED = datetime(2026, 5, 1, tzinfo=UTC)
BROUGHT = Post(text="Brought along.", created_at=CAPTURED, likes=1, retweets=0)


def reading(number: int, **fields: object) -> PostReading:
    usual = {
        "post_id": str(number),
        "posted_at": CAPTURED - timedelta(days=2, hours=number),
        "text": f"Post number {number} of the bakery.",
        "likes": number,
        "retweets": 1,
    }
    return PostReading(**usual | fields)


async def told(store: Store, *readings: PostReading, account: str = "default", source: Source = "content") -> None:
    what = Import(id=uuid.uuid4(), account_id=account, source=source, captured_at=CAPTURED)
    await store.outcomes.save(what, readings)


async def texts(store: Store, account: str = "default") -> list[str]:
    return [post.text for post in (await OwnPosts(store).record(account)).posts]


async def test_a_store_that_is_down_costs_the_record_and_not_the_request(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "FIRST_LOAD_S", 0.1)
    await store.close()

    (filled,) = await OwnPosts(store).fill([Draft(text="New bread.")], "default")

    assert filled.own_posts == ()


async def test_posts_of_which_nothing_can_be_learned_are_left_out(store: Store) -> None:
    await told(
        store,
        reading(1),
        reading(2, text="@ana thank you!"),
        reading(3, text="RT @ana: bread"),
        reading(4, text=None),
        reading(5, text="\u200b"),
        reading(6, likes=None),
        reading(7, retweets=None),
        reading(8, posted_at=CAPTURED - timedelta(hours=23)),
    )

    assert await texts(store) == ["Post number 1 of the bakery."]


async def test_nothing_is_learned_from_what_the_api_of_x_told(store: Store) -> None:
    await told(store, reading(1), source="x_api")

    assert await texts(store) == []


async def test_the_record_of_another_account_is_none_of_ours(store: Store) -> None:
    await told(store, reading(1), account="acme")

    assert await texts(store) == []
    assert len(await texts(store, "acme")) == 1


async def test_the_last_hundred_count_oldest_first_each_with_its_latest_counts(store: Store) -> None:
    await told(store, *map(reading, range(1, 121)))
    later = Import(id=uuid.uuid4(), account_id="default", source="archive", captured_at=CAPTURED + timedelta(days=1))
    await store.outcomes.save(later, [reading(1, likes=500)])

    posts = (await OwnPosts(store).record("default")).posts

    assert len(posts) == 100
    assert [post.created_at for post in posts] == sorted(post.created_at for post in posts)
    assert posts[-1].likes == 500


async def test_a_request_decides_between_its_own_posts_stored_ones_and_none(store: Store) -> None:
    await told(store, reading(1))
    drafts = [Draft(text="a"), Draft(text="b", history="none"), Draft(text="c", history=(BROUGHT,))]

    filled = await OwnPosts(store).fill(drafts, "default")

    assert [[post.text for post in draft.own_posts] for draft in filled] == [
        ["Post number 1 of the bakery."],
        [],
        ["Brought along."],
    ]


async def test_a_new_import_changes_the_record_and_its_version_once_it_is_refreshed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_posts, "FRESH_S", 3600.0)
    records = OwnPosts(store)
    nothing = await records.record("default")
    await told(store, reading(1))

    assert await records.record("default") == nothing
    await records.refresh("default")
    first = await records.record("default")
    await told(store, reading(2))
    await records.refresh("default")

    assert len(first.posts) == 1
    assert len({nothing.version, first.version, (await records.record("default")).version}) == 3


async def test_settings_are_the_account_s_own_and_change_its_record_at_once(client: httpx.AsyncClient) -> None:
    wanted = {"length_limit": 4000, "time_zone": "America/Bogota", "query_retention_days": 30}
    before = (await client.get("/account")).json()

    saved = await client.put("/account", json=wanted)

    assert before == {"length_limit": 280, "time_zone": "UTC", "query_retention_days": None}
    assert saved.json() == (await client.get("/account")).json() == wanted


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"length_limit": 300}, "length_limit"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"query_retention_days": 0}, "query_retention_days"),
        ({"plan": "gold"}, "plan"),
    ],
)
async def test_a_setting_that_nothing_obeys_is_named(
    client: httpx.AsyncClient, wrong: dict[str, object], field: str
) -> None:
    refused = await client.put("/account", json=wrong)

    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_a_bad_post_of_a_brought_history_is_named_by_its_place() -> None:
    bad = {"text": "x", "created_at": "2026-01-01T00:00:00Z", "likes": -1, "retweets": 0}
    drafts = [{"text": "a", "history": [bad]}, {"text": "b", "history": "all"}]

    with pytest.raises(ValidationError) as refused:
        PREDICT_BODY.adapter.validate_json(orjson.dumps({"drafts": drafts}))

    places = [error["field"] for error in field_errors(refused.value)]
    assert "drafts[0].history[0].likes" in places
    assert "drafts[1].history" in places
