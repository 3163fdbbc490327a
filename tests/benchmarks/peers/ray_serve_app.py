"""The pipelines behind Ray Serve as it comes: its own proxy, a FastAPI ingress, one handle call a model and request.

`main` takes --port N [--batch] [--temp DIR] and is called from elsewhere: replicas import what they run by the name
of this module. With --batch every model gathers calls by @serve.batch. On SIGHUP the application is deployed again as a
new version, as `serve.run` or `serve deploy` do.
"""

import argparse
import asyncio
import os
import signal
import time
from typing import Any

import ray
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import ValidationError
from ray import serve
from ray.serve import Application

from tests.benchmarks.peers import pipeline
from tests.benchmarks.peers.pipeline import QUERY, Models, answer_one, connect

LOADERS = {
    "analyzer": pipeline.load_analyzer,
    "sentiment": pipeline.load_sentiment,
    "generator": pipeline.load_generator,
    "predictor": pipeline.load_predictor,
}
MODEL_OF = {
    "analyze": "analyzer",
    "read": "sentiment",
    "write": "generator",
    "judge": "generator",
    "predict": "predictor",
}
BATCH: dict[str, Any] = {"max_batch_size": 32, "batch_wait_timeout_s": 0.005}
api = FastAPI()


class Model:
    """One model; a call is one request's list of items. Serve runs plain methods in a thread."""

    def __init__(self, name: str, version: int) -> None:
        self.lists = LOADERS[name]()

    def call(self, method: str, items: list[Any]) -> list[Any]:
        return list(self.lists[method](items))


class BatchedModel:
    """The same, with the calls of several requests in one."""

    def __init__(self, name: str, version: int) -> None:
        self.lists = LOADERS[name]()

    async def call(self, method: str, items: list[Any]) -> list[Any]:
        return await self.together((method, items))

    @serve.batch(**BATCH)
    async def together(self, calls: list[tuple[str, list[Any]]]) -> list[list[Any]]:
        answers: dict[str, Any] = {}
        for method in {method for method, _ in calls}:
            items = [item for name, some in calls if name == method for item in some]
            answers[method] = iter(await asyncio.to_thread(self.lists[method], items))
        return [[next(answers[method]) for _ in items] for method, items in calls]


@serve.ingress(api)
class Ingress:
    def __init__(self, version: int, **handles: Any) -> None:
        self.models = Models(lambda name, items: handles[MODEL_OF[name]].call.remote(name, items))
        self.store: Any = None

    @api.post("/analyze-query")
    async def analyze_query(self, request: Request) -> Response:
        if self.store is None:
            self.store = await connect()
        try:
            query = QUERY.validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False)) from error
        return Response(await answer_one(query, self.models, self.store), media_type="application/json")

    @api.get("/readyz")
    async def readyz(self) -> Response:
        return Response()


def application(kind: type, version: int) -> Application:
    """The graph on two CPUs, with as many replicas as the product has; another version restarts all of them."""

    def deployed(name: str) -> Application:
        deployment = serve.deployment(kind).options(
            name=name,
            num_replicas=2 if name == "sentiment" else 1,
            max_ongoing_requests=128,
            ray_actor_options={"num_cpus": 0.2},
        )
        return deployment.bind(name, version)

    ingress = serve.deployment(Ingress).options(
        name="ingress", max_ongoing_requests=512, ray_actor_options={"num_cpus": 0.4}
    )
    return ingress.bind(version, **{name: deployed(name) for name in LOADERS})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", action="store_true")
    parser.add_argument("--temp")
    arguments = parser.parse_args()
    version = 1
    again = False

    def on_hangup(*_: Any) -> None:
        nonlocal again
        again = True

    def on_end(*_: Any) -> None:
        raise SystemExit

    ray.init(
        address="local",
        num_cpus=max(2, os.cpu_count() or 2),
        object_store_memory=2**28,
        _temp_dir=arguments.temp,
        log_to_driver=False,
    )
    signal.signal(signal.SIGHUP, on_hangup)
    signal.signal(signal.SIGTERM, on_end)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": arguments.port})
        kind = BatchedModel if arguments.batch else Model
        serve.run(application(kind, version), name="peer")
        while True:
            time.sleep(0.2)
            if again:
                again, version = False, version + 1
                serve.run(application(kind, version), name="peer")
    finally:
        serve.shutdown()
        ray.shutdown()
