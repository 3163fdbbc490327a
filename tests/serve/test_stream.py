"""POST /generate/stream on a real cluster: pieces before the whole, the whole as at once, and a client that leaves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.serve.conftest import Cluster

DRAFTS = (
    "our new running shoes are here. they weigh 190 grams and cost 80 euros",
    "new menu from monday: three soups, two pies and a vegan curry for 9 euros",
    "abrimos nuestra panadería en el centro el lunes. pan recien hecho desde las 7",
)


def events(response: httpx.Response) -> Iterator[tuple[float, int, str, Any]]:
    """Moment in seconds, id, name and content of each event, as they come."""
    event: dict[str, str] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield time.monotonic(), int(event["id"]), event["event"], json.loads(event["data"])
            event = {}


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_polish_comes_at_once_and_the_whole_is_what_comes_at_once_elsewhere(cluster: Cluster, draft: str) -> None:
    body = {"query": draft, "n": 5, "seed": 7}
    with cluster.client() as client:
        whole = client.post("/generate", json=body).json()
        started = time.monotonic()
        with client.stream("POST", "/generate/stream", json=body) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            *candidates, (ended, _, name, done) = events(response)
    assert name == "done"
    assert done == whole
    assert done["degraded"] == []
    assert [(number, kind) for _, number, kind, _ in candidates] == [
        (n, "candidate") for n in range(1, len(candidates) + 1)
    ]
    assert all(one in [content for *_, content in candidates] for one in done["candidates"])
    first = candidates[0]
    assert first[3]["source"] == "edit"
    print(f"first candidate {first[0] - started:.3f} s, done {ended - started:.3f} s")
    if draft.isascii():
        # The model writes English: it takes steps that the polish does not wait for.
        assert first[0] - started < (ended - started) / 2


def test_a_client_that_leaves_frees_the_writer_for_the_next(cluster: Cluster) -> None:
    long, short = ({"query": DRAFTS[0], "n": n, "engine": "lm"} for n in (20, 1))
    with cluster.client() as client:
        started = time.monotonic()
        client.post("/generate", json=long)
        whole = time.monotonic() - started
        alone, behind = [], []
        for took, leaving in ((alone, 0), (behind, 3)):
            for seed in range(leaving):
                with (
                    pytest.raises(httpx.ReadTimeout),
                    client.stream("POST", "/generate/stream", json=long | {"seed": seed}, timeout=0.5) as response,
                ):
                    list(events(response))
            started = time.monotonic()
            with client.stream("POST", "/generate/stream", json=short) as response:
                *_, (ended, _, name, done) = events(response)
            assert (name, done["degraded"]) == ("done", [])
            took.append(ended - started)
    print(f"a long one {whole:.2f} s; a short one alone {alone[0]:.2f} s, behind three who left {behind[0]:.2f} s")
    assert behind[0] < alone[0] + whole


@pytest.mark.both_modes
def test_a_client_that_leaves_takes_no_batch_of_others_along(cluster: Cluster) -> None:
    ended = threading.Event()

    def analyze() -> list[list[str]]:
        found = []
        with cluster.client() as client:
            while not ended.is_set():
                found.append(client.post("/analyze", json={"texts": [DRAFTS[0]]}).json()["degraded"])
        return found

    with ThreadPoolExecutor(4) as pool, cluster.client() as client:
        others = [pool.submit(analyze) for _ in range(4)]
        try:
            for seed in range(6):
                body = {"query": DRAFTS[0], "n": 20, "seed": seed}
                with (
                    pytest.raises(httpx.ReadTimeout),
                    client.stream("POST", "/generate/stream", json=body, timeout=0.7) as response,
                ):
                    list(events(response))
        finally:
            # The pool waits for them.
            ended.set()
        answers = [degraded for other in others for degraded in other.result()]
    print(f"{len(answers)} answers beside six who left")
    assert [degraded for degraded in answers if degraded] == []


def test_what_cannot_be_read_is_refused_before_the_stream_begins(cluster: Cluster) -> None:
    with cluster.client() as client:
        response = client.post("/generate/stream", json={"query": "shoes", "n": 0})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
