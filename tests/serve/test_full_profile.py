"""The same graph with a language model and a transformer in their slots: tiny checkpoints, real architectures."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import yaml

from tests.chaos.deployment import named
from tests.checkpoints import save_classifier, save_model
from tests.serve.conftest import KEY, ROOT, Cluster, start, wait_until_ready

PATH = "/analyze-query"
# What the tiny model learned to write, as somebody types it.
LESSON = "good coffee every week, it comes to your door"
KEYWORDS = "coffee, week, door"


@pytest.fixture(scope="module")
def full(short_folder: Path) -> Iterator[Cluster]:
    folder = short_folder / "full"
    folder.mkdir()
    tree = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    application = tree["applications"][0]
    # What is not there in time is not in the cache: a busy machine takes more than 50 ms.
    named(application, "ingress")["user_config"]["cache_timeout_s"] = 1.0
    application["args"] |= {
        "language_model": save_model(
            folder / "gpt2", chat=False, steps=60, prompt=f"Topic: {LESSON}\nKeywords: {KEYWORDS}\nTweet in English:"
        ),
        "sentiment_transformer": save_classifier(folder / "roberta"),
    }
    config = folder / "serve_config.yaml"
    config.write_text(yaml.safe_dump(tree))
    cluster = start(folder, "--config", str(config), optimized=True)
    wait_until_ready(cluster)
    yield cluster
    cluster.stop()


def sentence() -> str:
    """A query that nobody has sent before, in words: of letters by chance nothing is written and nothing scored."""
    return f"We open our coffee shop number {secrets.randbelow(100_000)} on Monday"


def test_the_language_model_writes_and_the_transformer_reads(full: Cluster):
    with full.client() as client:
        answer = client.post(PATH, json={"query": LESSON, "engine": "lm"}).json()
    assert answer["degraded"] == []
    assert answer["persisted"] is True
    assert {candidate["source"] for candidate in answer["templates"]} == {"lm"}
    assert all(candidate["weighted_length"] <= 280 for candidate in answer["templates"])
    assert set(answer["analysis"]["sentiment"]["components"]) == {"transformer", "vader", "textblob"}
    assert "gpt2" in answer["model_versions"]["generator"]


async def test_an_equal_query_is_answered_from_the_cache_as_a_row_of_its_own(full: Cluster):
    body = {"query": sentence(), "language": "en", "engine": "lm", "n_templates": 8}
    with full.client() as client:
        first, second = (client.post(PATH, json=body).json() for _ in range(2))
    assert first["timings_ms"]["generator.lm"] > 0
    assert second["timings_ms"] == {}, "no stage was asked again"
    assert first["id"] != second["id"]
    own = {"id", "timings_ms"}
    assert {k: v for k, v in first.items() if k not in own} == {k: v for k, v in second.items() if k not in own}
    rows = await full.sql("SELECT id FROM analyzed_queries WHERE query_text = $1", body["query"])
    assert {str(row["id"]) for row in rows} == {first["id"], second["id"]}


async def test_requests_for_templates_do_not_wait_for_the_language_model(full: Cluster):
    numbers = itertools.count()
    writing: list[float] = []
    plain: list[float] = []

    async def post(session: aiohttp.ClientSession, engine: str, n: int, seconds: list[float]) -> None:
        body = {"query": f"coffee number {next(numbers)}", "engine": engine, "n_templates": n}
        started = time.perf_counter()
        async with session.post(f"{full.url}{PATH}", json=body, headers={"x-api-key": KEY}) as response:
            assert (await response.json())["degraded"] == []
        seconds.append(time.perf_counter() - started)

    async def keep_writing(session: aiohttp.ClientSession, going: asyncio.Event) -> None:
        while not going.is_set():
            await post(session, "lm", 20, writing)

    async with aiohttp.ClientSession() as session:
        done = asyncio.Event()
        writers = [asyncio.create_task(keep_writing(session, done)) for _ in range(16)]
        await asyncio.sleep(1.0)
        for _ in range(60):
            await post(session, "templates", 5, plain)
        done.set()
        await asyncio.gather(*writers)
    assert np.percentile(plain, 99) < np.median(writing)


def test_a_killed_generator_takes_both_of_its_stages_and_no_request(full: Cluster):
    full.kill("ServeReplica:murmuration:generator")
    with full.client() as client:
        # The other stages have their share of it while another generator starts on the same cores.
        body = {"query": sentence(), "language": "en", "engine": "auto", "latency_budget_ms": 10_000}
        answer = client.post(PATH, json=body).json()
    assert set(answer["degraded"]) <= {"generator", "generator.lm"}
    assert answer["viral_score"] is not None
