"""The product with a clock at every step of a request; tests.benchmarks.profile_request reads what it writes.

`build` binds the same deployments as deployments.app, in subclasses that note time.monotonic, which all processes of a
machine share. Each process appends lines of JSON to a file of its own in PROFILE_DIR.
"""

import atexit
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from ray.serve import Application

import deployments.app
import deployments.generator
import deployments.http.ingress
import deployments.query_analyzer
import deployments.sentiment
import deployments.viral_predictor
from deployments.microbatch import MicroBatcher
from deployments.replica import Worker
from deployments.settings import Args
from store.table import CURRENT_REQUEST

now = time.monotonic
_noted: list[tuple[Any, ...]] = []


def note(*what: Any) -> None:
    if not _noted and not hasattr(note, "writer"):
        note.writer = threading.Thread(target=_write_on, daemon=True)  # type: ignore[attr-defined]
        note.writer.start()  # type: ignore[attr-defined]
        atexit.register(_write)
    _noted.append(what)


def _write() -> None:
    global _noted
    taken, _noted = _noted, []
    if taken:
        with (Path(os.environ["PROFILE_DIR"]) / f"{os.getpid()}.jsonl").open("ab") as file:
            file.write(b"".join(orjson.dumps(one) + b"\n" for one in taken))


def _write_on() -> None:
    while True:
        time.sleep(1)
        _write()


class TimedWorker(Worker):
    """Notes when a call was handed to the thread, ran there from and to, and was back on the loop."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage

    async def run(self, function: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        times = [now()]

        def timed() -> Any:
            times.append(now())
            try:
                return function(*args, **kwargs)
            finally:
                times.append(now())

        try:
            return await super().run(timed)
        finally:
            note("replica", self._stage, len(args[0]), *times, now())


class QueryAnalyzer(deployments.query_analyzer.QueryAnalyzer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._worker = TimedWorker("query_analyzer")


class SentimentEnsemble(deployments.sentiment.SentimentEnsemble):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._worker = TimedWorker("sentiment")


class TweetGenerator(deployments.generator.TweetGenerator):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._templates = TimedWorker("generator")


class ViralPredictor(deployments.viral_predictor.ViralPredictor):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._worker = TimedWorker("viral_predictor")


def _clock(batcher: MicroBatcher[Any, Any]) -> None:
    """Note when a request asked a stage and had its answer, and when each list call went and came."""
    submit, call = batcher.submit_many, batcher._call

    async def submit_many(items: Any, deadline: float) -> Any:
        asked = now()
        try:
            return await submit(items, deadline)
        finally:
            note("asked", CURRENT_REQUEST.get(None), batcher.name, len(items), asked, now())

    async def timed_call(items: Any, budget_s: float) -> Any:
        sent = now()
        try:
            return await call(items, budget_s)
        finally:
            note("call", batcher.name, len(items), sent, now())

    batcher.submit_many, batcher._call = submit_many, timed_call  # type: ignore[method-assign]


class Ingress(deployments.http.ingress.Ingress):
    def __serve_build_asgi_app__(self) -> Any:
        app = super().__serve_build_asgi_app__()

        async def timed(scope: Any, receive: Any, send: Any) -> None:
            if scope.get("path") != "/analyze-query":
                await app(scope, receive, send)
                return
            entered, read, answered = now(), 0.0, 0.0

            async def receiving() -> Any:
                nonlocal read
                message = await receive()
                read = read or now()
                return message

            async def sending(message: Any) -> None:
                nonlocal answered
                answered = answered or now()
                await send(message)

            await app(scope, receiving, sending)
            headers = dict(scope["headers"])
            note("request", headers.get(b"x-request-id", b"").decode(), entered, read, answered, now())

        return timed

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        first = self._warming is None
        await super().reconfigure(user_config)
        if first:
            for batcher in (*self.answers.stages._batchers.values(), self.answers._writes):
                _clock(batcher)


TIMED: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (QueryAnalyzer, SentimentEnsemble, TweetGenerator, ViralPredictor, Ingress)
}


def build(args: Args) -> Application:
    """As deployments.app.build."""
    for name, kind in TIMED.items():
        setattr(deployments.app, name, kind)
    return deployments.app.build(args)
