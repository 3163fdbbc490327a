"""The stored posts as a list and in figures: the routes behind the gate on a real Postgres."""

from __future__ import annotations

import httpx
import pytest

from deployments.http.gate import Gate
from tests.integration.conftest import caller, fields
from tests.integration.test_import_api import content, imported, send

CONTENT = "account_analytics_content_2026-07-01_2026-07-31.csv"


async def bring_in(client: httpx.AsyncClient, n: int) -> None:
    """Store n posts of one day, of which each third has as many likes as the one before."""
    rows = [f'{n_},2026-07-14,"post {n_}",,1000,{n_ // 3},0' + ",0" * 10 for n_ in range(1, n + 1)]
    assert (await send(client, content(*rows))).status_code == 200


async def every_page(client: httpx.AsyncClient, **asked: str | int) -> list[dict[str, object]]:
    posts: list[dict[str, object]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await client.get("/metrics/posts", params=asked | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        posts += answer.json()["posts"]
        cursor = answer.json()["next_cursor"]
    return posts


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"sort": "likes"}, "sort"),
        ({"kind": "quote"}, "kind"),
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": ".9999999999999999999.1"}, "cursor"),
        ({"cursor": "5.1.1"}, "cursor"),
        ({"cursor": ".1.1", "sort": "engagement"}, "cursor"),
        ({"page": 2}, "page"),
    ],
)
async def test_a_parameter_that_cannot_be_is_named(
    client: httpx.AsyncClient, asked: dict[str, str | int], field: str
) -> None:
    answer = await client.get("/metrics/posts", params=asked)
    assert (answer.status_code, fields(answer)) == (422, [field])


async def test_an_account_sees_nothing_of_another(client: httpx.AsyncClient, gate: Gate) -> None:
    await bring_in(client, 3)
    async with caller(gate, "acme") as other:
        assert (await other.get("/metrics/posts")).json() == {"posts": [], "next_cursor": None}
        assert (await other.get("/metrics/summary")).json()["posts"] == 0


@pytest.mark.parametrize("sort", ["time", "engagement"])
async def test_pages_hold_each_post_once_though_moments_and_counts_are_equal(
    client: httpx.AsyncClient, sort: str
) -> None:
    await bring_in(client, 20)
    posts = await every_page(client, sort=sort, limit=3)
    whole = (await client.get("/metrics/posts", params={"sort": sort, "limit": 200})).json()["posts"]
    assert posts == whole
    assert len({post["post_id"] for post in posts}) == 20
    if sort == "engagement":
        assert [post["engagement"] for post in posts] == sorted([n // 3 for n in range(1, 21)], reverse=True)


async def test_a_post_without_counts_is_listed_by_time_and_not_among_the_best(client: httpx.AsyncClient) -> None:
    await imported(client, CONTENT)
    await send(client, content('7,2026-07-14,"unknown",,-,-,-,-,-,-,-,-,-,-,-,-,-'))
    unknown = {post["post_id"]: post for post in await every_page(client)}["7"]
    assert (unknown["engagement"], unknown["likes"], unknown["impressions"]) == (None, None, None)
    assert "7" not in {post["post_id"] for post in await every_page(client, sort="engagement")}


async def test_replies_are_a_kind_of_their_own(client: httpx.AsyncClient) -> None:
    await imported(client, CONTENT)
    replies = await every_page(client, kind="reply")
    assert replies
    assert all(str(post["text"]).startswith("@") for post in replies)


async def test_the_summary_counts_own_posts_alone(client: httpx.AsyncClient) -> None:
    await bring_in(client, 20)
    await send(client, content('99,2026-07-15,"@friend hello",,10,9' + ",0" * 11))
    found = (await client.get("/metrics/summary", params={"tz": "Europe/Madrid"})).json()
    assert (found["posts"], found["n_known"], found["time_zone"]) == (20, 20, "Europe/Madrid")
    assert found["median_interval"][0] <= found["median_engagement"] <= found["median_interval"][1]
    assert found["days"] == [{"day": "2026-07-14", "posts": 20, "engagement": 63, "impressions": 20_000}]
    assert (await client.get("/metrics/summary", params={"tz": "Mars"})).status_code == 422
