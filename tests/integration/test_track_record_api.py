"""The track record, X's weights and personal calibration behind the gate, on a real Postgres, without a cluster."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import asyncpg
import httpx
import numpy as np
import pytest

from deployments import calibrations, snapshots
from deployments.answers import Answers
from deployments.calibrations import Calibrations
from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.stages import Batch, Handles, Stages
from pipelines.generator.candidates import Engines
from pipelines.outcomes.posts import PostReading
from pipelines.outcomes.x_weights import load_snapshots
from pipelines.records import Draft
from store.cache import Cache
from store.outcomes import Import
from store.postgres import AnalyzedQuery, Store
from supervisor.embedded import EmbeddedPostgres
from tests.benchmarks.local import ingress_config
from tests.fake_models import FakeModels
from tests.integration.conftest import KEYS, Front, caller, fields, hanging

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VERSION = "1"


def wording(number: int) -> str:
    return f"Post {number}: what we baked on day {number}, and why"


def reading(number: int, likes: int, **counts: Any) -> PostReading:
    at = NOW - 400 * DAY + number * DAY
    told = {"likes": likes, "retweets": 0} | counts
    return PostReading(
        post_id=str(10**18 + number), posted_at=at, text=f"{wording(number)} https://t.co/abcdefghij", **told
    )


async def brought_in(
    store: Store, readings: list[PostReading], account: str = "default", source: str = "content"
) -> None:
    told = Import(id=uuid.uuid4(), account_id=account, source=source, captured_at=NOW, file_name="posts.csv")
    await store.outcomes.save(told, readings)


async def asked(
    connection: asyncpg.Connection, number: int, chance: float, account: str = "default", **changed: Any
) -> None:
    """A stored answer of an hour before post `number`, whose one candidate was posted."""
    candidate = {
        "text": wording(number),
        "viral_score": 100 * chance,
        "p_beats_median": chance,
        "interval": [5.0, 95.0],
    }
    prediction = {"viral_score": 40.0, "p_beats_median": 0.4, "interval": [0.0, 90.0]}
    await connection.execute(
        """INSERT INTO analyzed_queries
            (id, account_id, query_text, request, analysis_result, viral_score, model_versions, created_at)
        VALUES (gen_random_uuid(), $1, $2, '{}', $3, 40, $4, $5)""",
        account,
        f"brief of the day {number}",
        json.dumps({"prediction": prediction, "templates": [candidate | changed]}),
        json.dumps({"viral_predictor": VERSION}),
        NOW - 400 * DAY + number * DAY - HOUR,
    )


async def planted(
    store: Store, connection: asyncpg.Connection, n: int, account: str = "default", *, slope: float = 1.0, seed: int = 3
) -> None:
    """n matches after 30 posts: the chance of beating the median is what was said, its logit times `slope`."""
    rng = np.random.default_rng(seed)
    said = 1 / (1 + np.exp(-rng.normal(0, 1.0, n)))
    true = 1 / (1 + np.exp(-slope * np.log(said / (1 - said))))
    # Half of the posts before are below 500 likes, and the matched ones keep it so.
    likes = [*(10 * n for n in range(30, 60)), *np.where(rng.random(n) < true, 900, 100).tolist()]
    readings = [reading(number, int(count)) for number, count in enumerate(likes)]
    await brought_in(store, readings, account)
    for number, chance in enumerate(said, start=30):
        await asked(connection, number, round(float(chance), 3), account)


async def record(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/predict/track-record")
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?snapshot=2020-01-01", "snapshot"),
        ("?snapshot=yesterday", "snapshot"),
        ("?snapshot=", "snapshot"),
        ("?day=2026-10-08", "day"),
    ],
)
async def test_weights_of_a_day_that_none_were_published_on_are_422(
    client: httpx.AsyncClient, query: str, field: str
) -> None:
    response = await client.get(f"/predict/x-weighted{query}")
    assert response.status_code == 422
    assert fields(response) == [field]


async def test_an_account_without_outcomes_is_told_so(client: httpx.AsyncClient) -> None:
    found = await record(client)
    assert (found["supported"], found["n"], found["verdict"], found["matches"]) == (False, 0, None, [])
    weighted = (await client.get("/predict/x-weighted")).json()
    assert (weighted["supported"], weighted["value"], weighted["actions"]) == (False, None, [])
    assert weighted["note"]


@pytest.mark.parametrize("path", ["/predict/track-record", "/predict/x-weighted"])
async def test_without_a_database_it_is_503(database: str, path: str) -> None:
    store = await Store.connect(database, min_size=1, max_size=1, timeout_s=0.5)
    async with hanging(store), caller(_gate(_Only(store)), "default") as client:
        response = await client.get(path)
    await store.close()
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"templates": None},
        {"templates": {}, "prediction": None},
        {"prediction": {"viral_score": None}, "templates": []},
    ],
)
async def test_answers_without_candidates_or_scores_are_passed_over(
    store: Store, connection: asyncpg.Connection, client: httpx.AsyncClient, result: dict[str, Any]
) -> None:
    await planted(store, connection, 3)
    await connection.execute("UPDATE analyzed_queries SET analysis_result = $1", json.dumps(result))
    assert ((await record(client))["n"], (await record(client))["predictions"]) == (0, 0)


async def test_what_was_posted_is_matched_to_what_was_predicted_and_no_other_account_sees_it(
    gate: Gate, store: Store, connection: asyncpg.Connection, client: httpx.AsyncClient
) -> None:
    await planted(store, connection, 60)
    found = await record(client)
    assert (found["supported"], found["n"], found["near"], found["verdict"]) == (True, 60, 0, "predictive")
    assert found["spearman_interval"][0] < found["spearman"] < found["spearman_interval"][1]
    assert found["brier"] < found["brier_of_base_rate"]
    assert sum(one["n"] for one in found["bins"]) == found["coverage_n"] == 60
    newest = found["matches"][0]
    assert newest["predicted_text"] == wording(89)
    assert newest["similarity"] == 1.0
    assert newest["interval"] == [5.0, 95.0]
    async with caller(gate, "acme") as other:
        assert ((await record(other))["n"], (await record(other))["posts"]) == (0, 0)
        await planted(store, connection, 5, "acme")
        assert (await record(other))["n"] == 5
    assert (await record(client))["n"] == 60


@pytest.mark.parametrize("n", [5, 60])
async def test_the_track_record_is_drawn_the_same_at_each_call_in_both_languages(
    store: Store, connection: asyncpg.Connection, client: httpx.AsyncClient, n: int
) -> None:
    await planted(store, connection, n)
    refused = await client.get("/predict/track-record.png?language=fr")
    assert (refused.status_code, fields(refused)) == (422, ["language"])
    drawn = [
        await client.get(f"/predict/track-record.{kind}?language={language}")
        for kind in ("png", "svg")
        for language in ("en", "es", "es")
    ]
    assert [one.headers["content-type"] for one in drawn] == ["image/png"] * 3 + ["image/svg+xml"] * 3
    assert len({one.content for one in drawn}) == 4
    assert drawn[0].content.startswith(b"\x89PNG")
    root = ET.fromstring(drawn[3].content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert b"baked" not in drawn[3].content


async def test_an_edited_candidate_is_shown_as_near_and_a_thread_by_its_first_post(
    store: Store, connection: asyncpg.Connection, client: httpx.AsyncClient
) -> None:
    await brought_in(store, [reading(number, number) for number in range(32)])
    await asked(connection, 30, 0.6, text=wording(30).replace("baked", "made"))
    await asked(connection, 31, 0.6, text="1/2 and more", parts=[wording(31), "2/2 the rest"])
    thread, edited = (await record(client))["matches"]
    assert (thread["predicted_text"], thread["similarity"]) == (wording(31), 1.0)
    assert 0.7 <= edited["similarity"] < 1.0


async def test_replies_and_reposts_are_no_outcomes(
    store: Store, connection: asyncpg.Connection, client: httpx.AsyncClient
) -> None:
    readings = [reading(number, number) for number in range(31)]
    await brought_in(store, [*readings[:-1], replace(readings[-1], text=f"@friend {wording(30)}")])
    await asked(connection, 30, 0.6, text=f"@friend {wording(30)}")
    assert ((await record(client))["n"], (await record(client))["posts"]) == (0, 30)


async def test_rates_of_imported_impressions_are_weighed_under_each_snapshot(
    gate: Gate, store: Store, client: httpx.AsyncClient
) -> None:
    counts = {"impressions": 1000, "retweets": 5, "replies": 4, "follows": 1, "profile_clicks": 9}
    await brought_in(store, [reading(number, 20 + number % 3, **counts) for number in range(30)])
    newest = (await client.get("/predict/x-weighted")).json()
    first = (await client.get("/predict/x-weighted?snapshot=2023-04-05")).json()
    assert newest["value"] == pytest.approx(0.5 * 0.021 + 0.005 + 5 * 0.004 + 4 * 0.001)
    assert first["value"] == pytest.approx(0.5 * 0.021 + 0.005 + 13.5 * 0.004)
    assert first["snapshot"]["commit"] == "b85210863f7a94efded0ef5c5ccf4ff42767876c"
    assert [one["date"] for one in newest["under_snapshots"]] == [str(one.date) for one in load_snapshots()]
    assert newest["snapshot"]["second_hand"] is True
    assert "468 likes" in newest["caveat"]
    assert {"action": "click", "before": 0.4, "after": 0.3, "since": "2026-09-24", "until": "2026-10-08"} in newest[
        "drift"
    ]
    async with caller(gate, "acme") as other:
        assert (await other.get("/predict/x-weighted")).json()["supported"] is False


async def test_readiness_says_how_old_the_weights_are_and_does_not_depend_on_it(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with caller(gate, "default") as client:
        fresh = await client.get("/readyz")
        assert fresh.json()["x_weights"]["synced_at"] == "2026-10-08"
        for days, stale in ((60, False), (61, True)):
            day = load_snapshots()[-1].date + timedelta(days=days)
            monkeypatch.setattr("deployments.http.track_record._today", lambda day=day: day)
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()["x_weights"]["stale"]) == (200, stale)


class _Only:
    """Answers that know the store alone."""

    def __init__(self, store: Store) -> None:
        self.store = store


class _Models:
    """The model deployments as one: every list call is answered at once by FakeModels."""

    def __init__(self) -> None:
        self.fake = FakeModels()

    def options(self, **_: object) -> _Models:
        return self

    def __getattr__(self, method: str) -> Any:
        async def remote(items: list[Any], *_: object) -> Batch[Any]:
            if method == "predict":
                return Batch(VERSION, await self.fake.predict(items))
            if method == "judge":
                return Batch(VERSION, await self.fake.judge(items))
            arguments = (item if isinstance(item, tuple) else (item,) for item in items)
            return Batch(VERSION, [await getattr(self.fake, method)(*one) for one in arguments])

        return type("Method", (), {"remote": staticmethod(remote)})


class _Quiet:
    def batch(self, *_: object) -> None: ...

    def failed(self, *_: object) -> None: ...


def _gate(answers: Any) -> Gate:
    gate = Gate(create_api(Front(answers)), KEYS, lambda *_: None)
    gate.max_requests = 64
    return gate


@asynccontextmanager
async def product(store: Store, cache: Cache, *, language_model: bool = False) -> AsyncIterator[tuple[Gate, Answers]]:
    """The routes with real answers on handwritten models; on a busy machine nothing is late."""
    config = ingress_config().model_copy(update={"deadline_s": 60.0, "store_deadline_s": 30.0})
    models = _Models()
    stages = Stages(Handles(models, models, models, models), config.limits(), _Quiet())
    engines = Engines(language_model=language_model)
    answers = Answers(stages, store, cache, config, engines=engines, on_cache=lambda _: None, on_answer=lambda _: None)
    yield _gate(answers), answers


DRAFT = {"drafts": [{"text": "Some bread of today"}, {"text": "Some bread of today, and more"}]}


async def test_scores_of_an_account_whose_outcomes_ask_for_it_are_corrected_and_no_others_are(
    store: Store, cache: Cache, connection: asyncpg.Connection
) -> None:
    await planted(store, connection, 150, slope=-1.0)
    plain = [FakeModels.score(Draft(**one)) for one in DRAFT["drafts"]]
    async with product(store, cache) as (gate, answers), caller(gate, "acme") as other, caller(gate, "default") as own:
        theirs = (await other.post("/predict", json=DRAFT)).json()["results"]
        assert [one["viral_score"] for one in theirs] == [one.viral_score for one in plain]
        assert {one["uncalibrated"] for one in theirs} == {None}
        await answers.calibrations.refresh("default")
        ours = (await own.post("/predict", json=DRAFT)).json()["results"]
        assert (await record(own))["calibration"]["used"] is True
        for one, before in zip(ours, plain, strict=True):
            assert abs(one["p_beats_median"] - 0.5) < abs(before.p_beats_median - 0.5)
            assert abs(one["viral_score"] - 50) < abs(before.viral_score - 50)
            assert one["base"] + sum(one["contributions"].values()) == pytest.approx(one["viral_score"], abs=1e-6)
            assert one["evidence"] == {"own_posts": 0, "outcomes": 150}
            assert one["uncalibrated"]["viral_score"] == before.viral_score

        answer = (await own.post("/analyze-query", json={"query": "We bake bread.", "n_templates": 2})).json()
    assert (
        answer["viral_score"]
        == answer["prediction"]["viral_score"]
        < answer["prediction"]["uncalibrated"]["viral_score"]
    )
    assert answer["templates"][0]["uncalibrated"]["viral_score"] > answer["templates"][0]["viral_score"]
    said = await store.predictions.said(
        "default", since=datetime.now(UTC) - HOUR, until=datetime.now(UTC) + HOUR, queries=9
    )
    (query,) = [one for one in said if one.text == "We bake bread."]
    assert query.viral_score == answer["viral_score"]
    assert query.model_score == answer["prediction"]["uncalibrated"]["viral_score"]
    assert query.model_chance == answer["prediction"]["uncalibrated"]["p_beats_median"]


async def test_a_calibration_of_another_version_of_the_model_is_left_out(
    store: Store, cache: Cache, connection: asyncpg.Connection
) -> None:
    await planted(store, connection, 150, slope=-1.0)
    await connection.execute("""UPDATE analyzed_queries SET model_versions = '{"viral_predictor": "0"}'""")
    async with product(store, cache) as (gate, answers), caller(gate, "default") as own:
        await answers.calibrations.refresh("default")
        assert await answers.calibrations.of("default") is not None
        (first, _) = (await own.post("/predict", json=DRAFT)).json()["results"]
    assert first["uncalibrated"] is None


async def test_what_the_api_brought_is_in_the_record_and_teaches_nothing(
    store: Store, connection: asyncpg.Connection, client: httpx.AsyncClient
) -> None:
    await planted(store, connection, 150, slope=-1.0)
    assert (await record(client))["calibration"]["used"] is True
    await connection.execute("UPDATE performance_metrics SET source = 'x_api'")
    found = Calibrations(store)
    await found.refresh("default")
    assert await found.of("default") is None
    told = await record(client)
    assert (told["n"], told["calibration"]["n"], told["calibration"]["used"]) == (150, 0, False)


async def test_an_import_is_seen_and_a_store_that_is_down_leaves_the_last_calibration(
    postgres: EmbeddedPostgres, store: Store, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrations, "FRESH_S", 0.0)
    found = Calibrations(store)
    assert await found.of("default") is None
    await planted(store, connection, 150, slope=-1.0)
    await found.refresh("default")
    known = await found.of("default")
    assert known is not None
    postgres.stop()
    await found.refresh("default")
    assert await found.of("default") == known
    assert await Calibrations(store).of("acme") is None
    postgres.start()


@pytest.mark.clock
async def test_a_first_load_that_hangs_costs_no_more_than_its_bound(database: str) -> None:
    store = await Store.connect(database, min_size=1, max_size=1, timeout_s=2.0)
    async with hanging(store):
        started = datetime.now(UTC)
        assert await Calibrations(store).of("default") is None
        # The store would take all of its two seconds.
        assert datetime.now(UTC) - started < timedelta(seconds=snapshots.FIRST_LOAD_S + 1)
    await store.close()


async def test_an_answer_that_was_stored_with_a_row_of_its_own_is_a_prediction(store: Store, answer: Any) -> None:
    row: AnalyzedQuery = answer(
        analysis_result=json.dumps(
            {"prediction": {"viral_score": 61.25, "p_beats_median": 0.6, "interval": [20, 90]}, "templates": []}
        ).encode(),
        model_versions=b'{"viral_predictor": "7"}',
    )
    await store.save_queries([row])
    until = datetime.now(UTC) + HOUR
    (said,) = await store.predictions.said("default", since=until - DAY, until=until, queries=10)
    assert (said.text, said.version, said.viral_score, said.low, said.high) == (row.query_text, "7", 61.25, 20.0, 90.0)
    assert await store.predictions.said("acme", since=until - DAY, until=until, queries=10) == ()
    assert await store.predictions.said("default", since=until, until=until + DAY, queries=10) == ()
