"""Imported posts are linked to the templates that wrote them, once, and their figures follow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import uuid_utils.compat

from pipelines.outcomes.posts import PostReading
from pipelines.records import Template
from store import authorship
from store.outcomes import Import
from store.postgres import Store
from tests.integration.conftest import Answer

TEXTS = ["Our new running shoes are here & lighter: https://example.com/a", "Nobody has run in shoes like these yet"]


def template(name: str, language: str = "en") -> Template:
    return Template(name, "announcement", language, "awareness", "friendly", "announce", "{topic}")  # type: ignore[arg-type]


async def imported(store: Store, texts: Sequence[str], account: str = "default", hours: int = 1) -> None:
    now = datetime.now(UTC)
    readings = [
        PostReading(
            post_id=str(n), posted_at=now + timedelta(hours=hours), text=text, impressions=100, engagements=9 + n,
            likes=5, retweets=1,
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    told = Import(id=uuid_utils.compat.uuid7(), account_id=account, source="content", captured_at=now)
    await store.outcomes.save(told, readings)


def result(*candidates: tuple[str, str | None], language: str | None = "en") -> bytes:
    listed = [{"text": text, "template": name} for text, name in candidates]
    return json.dumps({"analysis": language and {"language": language}, "templates": listed}).encode()


async def linked(connection: asyncpg.Connection) -> dict[str, str]:
    rows = await connection.fetch(
        """SELECT account_id, post_id, template_name, language FROM performance_metrics AS metrics
        JOIN content_templates AS templates USING (account_id) WHERE templates.id = metrics.template_id"""
    )
    return {f"{row[0]}/{row[1]}": f"{row[2]}/{row[3]}" for row in rows}


async def test_nothing_to_link_is_linked_to_nothing(
    store: Store, connection: asyncpg.Connection, answer: Answer
) -> None:
    assert await store.authorship.link("default") == 0
    await imported(store, TEXTS)
    assert await store.authorship.link("default") == 0
    await store.save_queries([answer(analysis_result=b'{"templates": null}'), answer(analysis_result=b"{}")])
    await store.save_queries([answer(analysis_result=result((TEXTS[0], "unknown"), (TEXTS[1], None)))])

    assert await store.authorship.link("default") == 0
    assert await linked(connection) == {}


async def test_posts_of_another_account_and_those_before_the_candidate_are_not_linked(
    store: Store, connection: asyncpg.Connection, answer: Answer
) -> None:
    for account in ("default", "acme"):
        await store.seed_templates([template("launch")], account)
    await store.save_queries([answer(analysis_result=result((TEXTS[0], "launch")))])
    await imported(store, TEXTS, "acme")
    await imported(store, TEXTS, hours=-2)

    assert (await store.authorship.link("default"), await store.authorship.link("acme")) == (0, 0)
    assert await linked(connection) == {}


async def test_a_name_in_two_languages_means_the_one_of_the_answer_and_none_where_that_is_unknown(
    store: Store, connection: asyncpg.Connection, answer: Answer
) -> None:
    await store.seed_templates([template("launch"), template("launch", "es"), template("sale", "es")])
    await store.save_queries(
        [
            answer(analysis_result=result((TEXTS[0], "launch"), language="es")),
            answer(analysis_result=result((TEXTS[1], "launch"), language=None)),
            answer(analysis_result=result((TEXTS[1] * 2, "sale"), language="en")),
        ]
    )
    await imported(store, [*TEXTS, TEXTS[1] * 2])

    assert await store.authorship.link("default") == 2
    assert await linked(connection) == {"default/0": "launch/es", "default/2": "sale/es"}


@pytest.mark.parametrize("page", [1, 2, 5_000])
async def test_links_are_made_once_in_pages_of_any_size_and_the_figures_follow(
    store: Store, connection: asyncpg.Connection, answer: Answer, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(authorship, "POSTS_A_PAGE", page)
    monkeypatch.setattr(authorship, "ANSWERS_A_PAGE", page)
    await store.seed_templates([template("launch"), template("nobody")])
    answers = [
        answer(analysis_result=result((text, name))) for text, name in zip(TEXTS, ("launch", "nobody"), strict=True)
    ]
    await store.save_queries([*answers, *(answer() for _ in range(3))])
    exported = TEXTS[0].replace("&", "&amp;").replace("https://example.com/a", "https://t.co/x1 https://t.co/y2")
    await imported(store, [exported, *TEXTS[1:], "Something else that nobody here has written"])

    assert [await store.authorship.link("default") for _ in range(2)] == [2, 0]

    assert await linked(connection) == {"default/0": "launch/en", "default/1": "nobody/en"}
    found = {row.name: row.usage_count for row in await store.templates.active("default")}
    assert found == {"launch": 1, "nobody": 1}
    await imported(store, [exported])
    assert await store.authorship.link("default") == 0
