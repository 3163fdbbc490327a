"""The routes of the best times and the plan behind the gate, on a real Postgres, without a cluster."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import icalendar
import jsonschema
import numpy as np
from defusedxml import ElementTree

from deployments.http.best_times import prefer
from deployments.http.gate import Gate
from deployments.http.plan import EXAMPLE_PLAN
from pipelines.outcomes.posts import PostReading
from store.outcomes import Import
from store.postgres import Store, load_queries
from supervisor.embedded import EmbeddedPostgres
from tests.integration.conftest import caller, fields
from tests.simulations.timing import peak

POISON = "=cmd|'/C calc'!A0, \"quoted\"\n<script>alert(1)</script> '; DROP TABLE plan_slots; --"
DAY = timedelta(days=1)


def tomorrow(days: int = 1) -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + days * DAY


def body(*texts: str, days: int = 7, **more: object) -> dict[str, Any]:
    return {
        "posts": [{"text": text} for text in texts],
        "tz": "Europe/Madrid",
        "from": tomorrow().isoformat(),
        "to": tomorrow(1 + days).isoformat(),
    } | more


def next_hour_that_comes_twice() -> datetime:
    """A moment in it: on the last Sunday of October the clocks of Madrid go back at 01:00 UTC."""
    soon = datetime.now(UTC) + DAY
    ends = (datetime(soon.year + n, 10, 31, 1, 30, tzinfo=UTC) for n in (0, 1))
    return next(at for end in ends if (at := end - (end.isoweekday() % 7) * DAY) > soon)


async def planned(client: httpx.AsyncClient, *texts: str, **more: Any) -> dict[str, Any]:
    response = await client.post("/plan", json=body(*texts, **more))
    assert response.status_code == 201, response.text
    return response.json()


async def bring_in(store: Store, posts: int, *, account: str = "default", size: float = 1.5, seed: int = 0) -> None:
    """Store made-up posts of half a year, with a peak of 17 to 20 h UTC on working days."""
    rng = np.random.default_rng(seed)
    days, hours = rng.integers(0, 182, posts), np.clip(rng.normal(14, 4, posts), 0, 23).astype(int)
    likes = np.exp(rng.normal(size=posts) + 4 + peak(size)[days % 7 * 24 + hours]).astype(int)
    start = datetime(2026, 1, 5, tzinfo=UTC)
    readings = [
        PostReading(
            post_id=f"{seed}-{row}",
            posted_at=start + timedelta(days=int(days[row]), hours=int(hours[row])),
            text=f"post {row}",
            likes=int(likes[row]),
            retweets=0,
        )
        for row in range(posts)
    ]
    told = Import(id=uuid4(), account_id=account, source="archive", captured_at=datetime(2026, 9, 1, tzinfo=UTC))
    await store.outcomes.save(told, readings)


BAD_PARAMETERS = (
    ("/audience/best-times?tz=Mars/Olympus", "tz"),
    ("/audience/best-times?tz=", "tz"),
    ("/audience/best-times?tz=../../etc/passwd", "tz"),
    (f"/audience/best-times?tz={'A' * 100}", "tz"),
    ("/audience/best-times?zone=UTC", "zone"),
    ("/audience/best-times.png?tz=Mars", "tz"),
    ("/audience/best-times.svg?tz=<script>", "tz"),
    ("/plan?from=tomorrow", "from"),
    ("/plan?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
    ("/plan.ics?tz=UTC", "tz"),
    ("/plan.csv", "tool"),
    ("/plan.csv?tool=excel", "tool"),
    ("/plan.csv?tool=buffer&tz=Mars", "tz"),
)


async def test_a_parameter_that_cannot_be_read_is_named(client: httpx.AsyncClient) -> None:
    for path, field in BAD_PARAMETERS:
        response = await client.get(path)

        assert (path, response.status_code, fields(response)) == (path, 422, [field])


BAD_PLANS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"posts": []}, "posts"),
    ({"posts": [{"text": ""}]}, "posts[0].text"),
    ({"posts": [{"text": "x" * 281}]}, "posts[0].text"),
    ({"posts": [{"text": "x"}] * 351}, "posts"),
    ({"posts": [{"text": "x", "id": ""}]}, "posts[0].id"),
    ({"posts": [{"text": "x", "when": "now"}]}, "posts[0].when"),
    (
        {"posts": [{"text": "x", "not_before": "2030-01-02T00:00:00Z", "not_after": "2030-01-01T00:00:00Z"}]},
        "posts[0].not_after",
    ),
    ({"tz": "Mars/Olympus"}, "tz"),
    ({"from": "2026-01-01T00:00:00"}, "from"),
    ({"to": "2026-01-01T00:00:00Z"}, "to"),
    ({"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}, "to"),
    ({"to": "2090-01-01T00:00:00Z"}, "to"),
    ({"spacing_hours": -1}, "spacing_hours"),
    ({"spacing_hours": "4"}, "spacing_hours"),
    ({"quiet": [{"from": "25:00", "to": "07:00"}]}, "quiet[0].from"),
    ({"quiet": [{"from": "07:00", "to": "07:00"}]}, "quiet[0].to"),
    ({"quiet": [{"from": "07:00:30", "to": "08:00"}]}, "quiet[0].from"),
    ({"never": [{}]}, "never[0]"),
    ({"never": [{"weekdays": [0]}]}, "never[0].weekdays[0]"),
    ({"never": [{"hours": [24]}]}, "never[0].hours[0]"),
    ({"never": [{"dates": ["2026-02-30"]}]}, "never[0].dates[0]"),
)


async def test_a_plan_that_cannot_be_made_is_named_by_field_and_nothing_is_stored(
    client: httpx.AsyncClient,
) -> None:
    for wrong, field in BAD_PLANS:
        response = await client.post("/plan", json=body("hello") | wrong)

        assert (wrong, response.status_code, fields(response)) == (wrong, 422, [field])
    assert (await client.get("/plan")).json() == {"slots": []}


async def test_a_slot_of_another_account_is_as_unknown_as_one_that_never_was(
    gate: Gate, client: httpx.AsyncClient
) -> None:
    async with caller(gate, "acme") as other:
        theirs = (await planned(other, "theirs"))["slots"][0]
        for unknown in (theirs["id"], str(uuid4()), "1", "x" * 5000):
            moved = await client.put(f"/plan/{unknown}", json={"at": tomorrow(9).isoformat()})
            gone = await client.delete(f"/plan/{unknown}")
            assert (moved.status_code, gone.status_code) == (404, 404)
            assert moved.json()["detail"] == gone.json()["detail"] == "There is no such slot."
        assert [slot["id"] for slot in (await other.get("/plan")).json()["slots"]] == [theirs["id"]]
    assert (await client.get("/plan")).json() == {"slots": []}
    assert b"theirs" not in (await client.get("/plan.ics")).content
    assert b"theirs" not in (await client.get("/plan.csv?tool=buffer")).content


async def test_a_database_that_is_down_is_said(postgres: EmbeddedPostgres, client: httpx.AsyncClient) -> None:
    postgres.stop()

    for call in (
        client.get("/audience/best-times?tz=UTC"),
        client.get("/audience/best-times.png"),
        client.post("/plan", json=body("hello")),
        client.get("/plan"),
        client.get("/plan.ics"),
        client.get("/plan.csv?tool=buffer"),
        client.delete(f"/plan/{uuid4()}"),
    ):
        response = await call
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_an_account_with_too_few_posts_gets_no_map_and_an_even_plan(
    client: httpx.AsyncClient, store: Store
) -> None:
    await bring_in(store, 24)

    found = (await client.get("/audience/best-times?tz=Europe/Madrid")).json()
    made = await planned(client, "a", "b", "c")

    assert (found["supported"], found["posts"], found["cells"], found["best"]) == (False, 24, [], [])
    assert found["note"].startswith("Too few posts")
    assert (made["evidence"], len(made["slots"]), made["unplaced"]) == (False, 3, [])
    assert "spread evenly" in made["note"]
    assert "posts nothing" in made["note"]
    picture = await client.get("/audience/best-times.svg")
    assert b"Too few posts" in picture.content


async def test_another_accounts_posts_are_none_of_mine(gate: Gate, client: httpx.AsyncClient, store: Store) -> None:
    await bring_in(store, 100, account="acme")

    assert (await client.get("/audience/best-times")).json()["posts"] == 0
    async with caller(gate, "acme") as other:
        assert (await other.get("/audience/best-times")).json()["posts"] == 100


async def test_the_map_follows_its_posts_and_is_kept_until_they_change(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    await bring_in(store, 300)
    first = (await client.get("/audience/best-times?tz=UTC")).json()
    assert (first["supported"], first["evidence"], first["posts"], len(first["cells"])) == (True, True, 300, 168)
    assert {cell["hour"] for cell in first["best"]} <= {17, 18, 19}

    # What nobody told the product of is not seen: the map comes from memory.
    await connection.execute("UPDATE performance_metrics SET likes = 0, retweets = 0")
    assert (await client.get("/audience/best-times?tz=UTC")).json() == first

    await bring_in(store, 50, seed=1)
    assert (await client.get("/audience/best-times?tz=UTC")).json()["posts"] == 350
    await connection.execute("DELETE FROM performance_metrics WHERE post_id LIKE '1-%'")
    await connection.execute("DELETE FROM posts WHERE post_id LIKE '1-%'")
    assert (await client.get("/audience/best-times?tz=UTC")).json()["posts"] == 300


async def test_the_zone_of_the_account_counts_where_none_is_asked_for(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    assert (await client.get("/audience/best-times")).json()["time_zone"] == "UTC"
    await connection.execute("INSERT INTO account_settings (account_id, time_zone) VALUES ('default', 'Asia/Kolkata')")

    assert (await client.get("/audience/best-times")).json()["time_zone"] == "Asia/Kolkata"
    made = await client.post("/plan", json={key: value for key, value in body("hi").items() if key != "tz"})
    assert made.json()["slots"][0]["local"].endswith("+05:30")


ACCEPTED = (
    ("", "application/json"),
    ("*/*", "application/json"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "application/json"),
    ("image/png", "image/png"),
    ("image/*", "image/png"),
    ("image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8", "image/png"),
    ("image/svg+xml", "image/svg+xml"),
    ("image/png;q=0.5, image/svg+xml;q=0.9", "image/svg+xml"),
    ("application/json;q=0.1, image/png;q=0", "application/json"),
    ("image/png;q=nan;q=x,;;,,q", "application/json"),
)


async def test_the_picture_comes_where_it_is_preferred(client: httpx.AsyncClient) -> None:
    for accept, media_type in ACCEPTED:
        response = await client.get("/audience/best-times", headers={"accept": accept})

        told = response.headers["content-type"].partition(";")[0]
        assert (accept, response.status_code, told) == (accept, 200, media_type)
        assert response.headers["vary"] == "Accept, Accept-Language"


async def test_pictures_are_real_and_speak_the_language_that_is_preferred(
    client: httpx.AsyncClient, store: Store
) -> None:
    await bring_in(store, 100, size=0.0)
    spanish = {"accept-language": "es-ES,es;q=0.9,en;q=0.8"}

    svg = await client.get("/audience/best-times.svg?tz=America/New_York", headers=spanish)
    png = await client.get("/audience/best-times.png?tz=America/New_York")

    titles = [element.text for element in ElementTree.fromstring(svg.content).iter() if element.tag.endswith("}title")]
    assert "Nada indica que la hora importe" in titles
    assert png.content.startswith(b"\x89PNG")
    note = (await client.get("/audience/best-times", headers=spanish)).json()["note"]
    assert note.startswith("Nada indica")
    assert prefer("fr, de;q=0.5", ("en", "es")) == "en"
    assert prefer("en;q=0.1, es-MX", ("en", "es")) == "es"


async def test_many_callers_at_once_get_one_map(client: httpx.AsyncClient, store: Store) -> None:
    await bring_in(store, 100)

    answers = await asyncio.gather(
        *(client.get("/audience/best-times?tz=UTC") for _ in range(6)), client.get("/audience/best-times.png?tz=UTC")
    )

    assert [answer.status_code for answer in answers] == [200] * 7
    assert len({answer.content for answer in answers[:6]}) == 1


async def test_a_plan_is_stored_listed_moved_and_deleted(client: httpx.AsyncClient) -> None:
    made = await planned(client, POISON, "second", spacing_hours=6)

    assert made["limits"]["posts"]["originals_per_day"] == 50
    slots = made["slots"]
    assert sorted(slot["text"] for slot in slots) == sorted([POISON, "second"])
    assert (await client.get("/plan")).json() == {"slots": slots}
    assert datetime.fromisoformat(slots[0]["local"]) == datetime.fromisoformat(slots[0]["at"])

    path, at = f"/plan/{slots[0]['id']}", tomorrow(3) + timedelta(hours=5, minutes=5)
    moved = await client.put(path, json={"at": at.isoformat()})
    assert (moved.status_code, datetime.fromisoformat(moved.json()["at"]), moved.json()["expected"]) == (200, at, None)
    for _ in range(2):
        response = await client.delete(path)
    assert response.status_code == 404
    assert [slot["text"] for slot in (await client.get("/plan")).json()["slots"]] == [slots[1]["text"]]


async def test_a_slot_cannot_be_moved_into_the_past_beside_another_or_between_the_minutes(
    client: httpx.AsyncClient,
) -> None:
    slots = (await planned(client, "a", "b"))["slots"]
    path, other = f"/plan/{slots[0]['id']}", datetime.fromisoformat(slots[1]["at"])

    for at in (datetime.now(UTC) - DAY, tomorrow() + timedelta(minutes=3), tomorrow() + timedelta(seconds=1)):
        response = await client.put(path, json={"at": at.isoformat()})
        assert (response.status_code, fields(response)) == (422, ["at"])
    for minutes in (0, 25, -25):
        response = await client.put(path, json={"at": (other + timedelta(minutes=minutes)).isoformat()})
        assert (response.status_code, fields(response)) == (409, ["at"])
    assert (await client.get("/plan")).json()["slots"] == slots


async def test_plans_made_at_once_keep_their_distance(client: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(
        *(client.post("/plan", json=body("x", "y", days=2, spacing_hours=5)) for _ in range(3))
    )

    assert [response.status_code for response in responses if response.status_code != 503] != []
    slots = (await client.get("/plan")).json()["slots"]
    moments = [datetime.fromisoformat(slot["at"]) for slot in slots]
    assert len(slots) == sum(len(one.json()["slots"]) for one in responses if one.status_code == 201)
    assert all((later - earlier) >= timedelta(hours=5) for earlier, later in pairwise(moments))


async def test_what_has_no_slot_is_told_with_its_reason(client: httpx.AsyncClient) -> None:
    late = {"text": "late", "id": "mine", "not_before": tomorrow(30).isoformat()}

    response = await client.post("/plan", json=body() | {"posts": [late]}, headers={"accept-language": "es"})

    (unplaced,) = response.json()["unplaced"]
    assert (unplaced["index"], unplaced["id"], unplaced["reason"]) == (0, "mine", "no_allowed_slot")
    assert unplaced["message"].startswith("las reglas")
    assert response.json()["slots"] == []


async def test_a_span_that_began_is_planned_from_now_on(client: httpx.AsyncClient) -> None:
    started = datetime.now(UTC)

    made = await planned(client, *"abcdef", **{"from": (started - 3 * DAY).isoformat(), "spacing_hours": 1})

    assert len(made["slots"]) == 6
    assert all(datetime.fromisoformat(slot["at"]) >= started for slot in made["slots"])


async def test_the_example_of_the_document_is_a_plan_for_the_next_week(client: httpx.AsyncClient) -> None:
    response = await client.post("/plan", json=EXAMPLE_PLAN)

    slots = response.json()["slots"]
    assert (response.status_code, len(slots)) == (201, 2)
    now = datetime.now(UTC)
    for slot in slots:
        at, local = datetime.fromisoformat(slot["at"]), datetime.fromisoformat(slot["local"])
        assert now < at < now + 7 * DAY
        assert local.isoweekday() <= 5
        assert 8 <= local.hour < 22


async def test_the_length_that_an_account_may_post_counts(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    await connection.execute("INSERT INTO account_settings (account_id, length_limit) VALUES ('default', 4000)")

    made = await planned(client, "x" * 3000)

    assert len(made["slots"][0]["text"]) == 3000


async def test_posts_go_where_the_account_does_well(client: httpx.AsyncClient, store: Store) -> None:
    await bring_in(store, 400)

    made = await planned(client, *"abcde", tz="UTC", spacing_hours=12)

    assert made["evidence"]
    assert all(datetime.fromisoformat(slot["at"]).hour in {17, 18, 19} for slot in made["slots"])
    assert all(slot["expected"] > 0.6 for slot in made["slots"])


async def test_files_carry_the_exact_texts_and_the_times_of_the_zone(client: httpx.AsyncClient) -> None:
    slot = (await planned(client, POISON))["slots"][0]

    buffer = await client.get("/plan.csv?tool=buffer&tz=Asia/Kolkata")
    hootsuite = await client.get("/plan.csv?tool=hootsuite&tz=Europe/Madrid")
    calendar = await client.get("/plan.ics")

    header, row = csv.reader(io.StringIO(buffer.text, newline=""), strict=True)
    assert header == ["Text", "Image URL", "Tags", "Posting Time"]
    assert row[0] == POISON
    assert buffer.headers["content-disposition"] == 'attachment; filename="plan-buffer.csv"'
    (row,) = csv.reader(io.StringIO(hootsuite.text, newline=""), strict=True)
    assert row == [slot["local"][:16].replace("-", "/").replace("T", " "), POISON, ""]
    (event,) = icalendar.Calendar.from_ical(calendar.content).walk("VEVENT")
    assert str(event["description"]) == POISON
    assert event["dtstart"].dt == datetime.fromisoformat(slot["at"])
    assert calendar.headers["content-type"] == "text/calendar; charset=utf-8"
    assert (await client.get("/plan.ics")).content == calendar.content


async def test_a_file_that_is_longer_than_its_tool_takes_is_refused_with_where_to_cut(
    client: httpx.AsyncClient,
) -> None:
    await planned(client, *(f"post {n}" for n in range(101)), days=30, spacing_hours=1)

    refused = await client.get("/plan.csv?tool=buffer")

    assert (refused.status_code, fields(refused)) == (422, ["to"])
    message = refused.json()["errors"][0]["message"]
    cut = message.split("up to ")[1].split(",")[0]
    assert len((await client.get(f"/plan.csv?tool=buffer&to={cut}")).text.splitlines()) == 101
    assert len((await client.get(f"/plan.csv?tool=buffer&from={cut}")).text.splitlines()) == 2
    assert len((await client.get("/plan.csv?tool=hootsuite")).text.splitlines()) == 101


async def test_what_is_due_or_stands_in_an_hour_that_comes_twice_goes_into_no_bulk_file(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    slot = (await planned(client, "x"))["slots"][0]
    await connection.execute("UPDATE plan_slots SET at = now() + interval '5 minutes'")
    assert (await client.get("/plan.csv?tool=hootsuite")).text == ""
    assert len((await client.get("/plan.csv?tool=buffer")).text.splitlines()) == 2
    await connection.execute("UPDATE plan_slots SET at = now() - interval '1 day'")
    past = f"from={(datetime.now(UTC) - 2 * DAY):%Y-%m-%dT%H:%M:%SZ}"
    assert len((await client.get("/plan.csv?tool=buffer")).text.splitlines()) == 1
    assert len((await client.get(f"/plan.csv?tool=buffer&{past}")).text.splitlines()) == 1
    assert [one["id"] for one in (await client.get(f"/plan?{past}")).json()["slots"]] == [slot["id"]]
    await connection.execute("UPDATE plan_slots SET at = $1", next_hour_that_comes_twice())

    response = await client.get("/plan.csv?tool=buffer&tz=Europe/Madrid")

    assert (response.status_code, fields(response)) == (422, ["tz"])


async def test_a_full_plan_takes_no_more(client: httpx.AsyncClient, connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO plan_slots (id, text, at, time_zone) "
        "SELECT gen_random_uuid(), 'x', now() + interval '100 days' + n * interval '1 hour', 'UTC' "
        "FROM generate_series(1, 2000) n"
    )

    response = await client.post("/plan", json=body("one more"))

    assert (response.status_code, fields(response)) == (422, ["posts"])


async def test_what_is_documented_is_what_is_answered(client: httpx.AsyncClient, store: Store) -> None:
    await bring_in(store, 100)
    document = (await client.get("/openapi.json")).json()
    schemas = {"components": document["components"]}
    for path, answer in (
        ("/audience/best-times", (await client.get("/audience/best-times")).json()),
        ("/plan", await planned(client, "x")),
    ):
        operation = document["paths"][path]["get" if path != "/plan" else "post"]
        status = "200" if path != "/plan" else "201"
        schema = operation["responses"][status]["content"]["application/json"]["schema"]
        jsonschema.validate(answer, schema | schemas)


async def test_the_statements_read_no_table_as_a_whole(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO plan_slots (id, account_id, text, at, time_zone) "
        "SELECT gen_random_uuid(), 'account' || n % 20, 'x', now() + n * interval '1 hour', 'UTC' "
        "FROM generate_series(1, 10000) n; ANALYZE plan_slots"
    )
    now, number = datetime.now(UTC), uuid4()
    queries = load_queries()
    for name, arguments in {
        "list_slots": ("account1", now, None, 100),
        "moments_planned": ("account1", now, now + DAY),
        "count_slots": ("account1", now),
        "find_slot": ("account1", number),
        "crowded": ("account1", number, now, DAY),
        "change_slot": ("account1", number, now, None),
        "delete_slot": ("account1", number),
        "account_settings": ("account1",),
    }.items():
        lines = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {queries[name]}", *arguments))
        assert "Seq Scan on plan_slots" not in lines, (name, lines)


async def test_another_text_leaves_moment_and_expectation_and_must_fit(client: httpx.AsyncClient) -> None:
    (slot,) = (await planned(client, "first"))["slots"]
    path = f"/plan/{slot['id']}"
    for wrong, field in (({}, "body"), ({"text": "x" * 281}, "text"), ({"text": ""}, "text")):
        response = await client.put(path, json=wrong)
        assert (response.status_code, fields(response)) == (422, [field])
    changed = (await client.put(path, json={"text": POISON})).json()
    assert changed["text"] == POISON
    assert [changed[name] for name in ("at", "expected", "id")] == [slot[name] for name in ("at", "expected", "id")]
    async with httpx.AsyncClient(transport=client._transport, base_url="http://test") as stranger:
        stranger.headers["x-api-key"] = "a" * 20
        assert (await stranger.put(path, json={"text": "mine now"})).status_code == 404


async def test_the_words_of_a_map_are_in_the_language_that_is_asked_for(client: httpx.AsyncClient) -> None:
    told = {
        language: (await client.get("/audience/best-times", params={"language": language})).json()["note"]
        for language in ("en", "es")
    }
    assert told["en"].startswith("Too few posts")
    assert told["es"].startswith("Muy pocas")
    drawn = [await client.get("/audience/best-times.svg", params={"language": language}) for language in ("en", "es")]
    assert drawn[0].content != drawn[1].content
    assert fields(await client.get("/audience/best-times", params={"language": "fr"})) == ["language"]
