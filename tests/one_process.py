"""The product in one process, without Ray: the same ingress, batchers and models, for a quick look at pages.

    python -m tests.one_process --port 8010 --data /tmp/studio

starts Postgres and Redis of its own in the folder of --data and serves until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn

import deployments.sentiment
import deployments.viral_predictor
from deployments import audience, live, snapshots
from deployments.generator import TweetGenerator
from deployments.http.gate import Gate
from deployments.http.ingress import Ingress
from deployments.imports import Imports, import_in_thread
from deployments.query_analyzer import QueryAnalyzer
from deployments.sentiment import SentimentEnsemble
from deployments.settings import OWN_WRITER, ROOT, Args, Settings, read_serve_config
from deployments.stages import Handles
from deployments.viral_predictor import ViralPredictor
from pipelines.generator.candidates import Engines
from store.migrate import prepare
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis


class Near:
    """What a DeploymentHandle is to the ingress, around a replica in this process."""

    def __init__(self, replica: Any, *, stream: bool = False) -> None:
        self._replica = replica
        self._stream = stream

    def options(self, *, stream: bool = False, **_: str) -> Near:
        """There is nothing to pickle."""
        return Near(self._replica, stream=stream)

    def __getattr__(self, method: str) -> SimpleNamespace:
        call = getattr(self._replica, method)
        return SimpleNamespace(remote=(lambda *items: NearPieces(call(*items))) if self._stream else call)


class NearPieces:
    """What a DeploymentResponseGenerator is to the ingress, around an async generator in this process."""

    def __init__(self, pieces: AsyncGenerator[Any, None]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._pieces

    def cancel(self) -> None:
        """Nothing is left to do: a generator is cancelled with whoever awaits its next piece."""


class NearIngress(Ingress):
    """Imports and refreshes of the audience run on threads here, not in Ray's tasks."""

    def __init__(self, handles: Handles, database_url: str, redis_url: str, keys: dict[str, str], args: Args) -> None:
        settings = Settings(database_url=database_url, redis_url=redis_url, murmuration_api_keys=keys)
        engines = Engines(language_model=args.language_model is not None)
        super().__init__(
            handles,
            lambda: settings,
            engines,
            loopback=True,
            encoder=args.encoder,
            viral_predictor=args.viral_predictor,
        )
        self.imports = Imports(database_url, import_in_thread)

        async def read(posts: Any, until: Any) -> Any:
            return await asyncio.to_thread(audience.compute, posts, until, args.encoder)

        self.read_audience = read


def _models(args: Args, configs: dict[str, Any]) -> Handles:
    deployments.sentiment.cpus = deployments.viral_predictor.cpus = lambda: 1
    replicas: dict[str, Any] = {
        "query_analyzer": QueryAnalyzer(args.spacy_models),
        "sentiment": SentimentEnsemble(
            args.encoder,
            args.sensitivity,
            args.substance,
            transformer=None,
            languages=args.sentiment_languages,
            device="cpu",
        ),
        "generator": TweetGenerator(
            args.language_model and OWN_WRITER, args.judge, args.verifier, device="cpu", writer_threads=1
        ),
        "viral_predictor": ViralPredictor(args.viral_predictor, args.encoder, args.substance, args.wording),
    }
    for name, replica in replicas.items():
        replica.reconfigure(configs[name])
    return Handles(**{name: Near(replica) for name, replica in replicas.items()})


@asynccontextmanager
async def product(
    database_url: str,
    redis_url: str,
    keys: dict[str, str],
    *,
    writer: bool = True,
    deadlines: tuple[float, float] | None = None,
) -> AsyncIterator[Gate]:
    """The whole product behind its gate, warm, on a migrated database; without a `writer` no language model writes.

    With `deadlines`, of an answer and of the store, whatever else waits for the store waits as long as it does.
    """
    application = read_serve_config(ROOT / "serve_config.yaml").applications[0]
    configs = {each.name: each.user_config for each in application.deployments}
    if deadlines is not None:
        answer_s, store_s = deadlines
        configs["ingress"] |= {"deadline_s": answer_s, "store_deadline_s": store_s}
        snapshots.FIRST_LOAD_S = live.FIRST_S = store_s
    args = Args.model_validate(application.args | ({} if writer else {"language_model": None}))
    ingress = NearIngress(_models(args, configs), database_url, redis_url, keys, args)
    ingress.__serve_build_asgi_app__()
    await ingress.reconfigure(configs["ingress"])
    while ingress.not_ready:  # noqa: ASYNC110  # the ingress tells nobody
        await asyncio.sleep(0.1)
    try:
        yield ingress._gate
    finally:
        await ingress.close()


async def _serve(
    port: int,
    database_url: str,
    redis_url: str,
    keys: dict[str, str],
    *,
    writer: bool,
    deadlines: tuple[float, float] | None,
) -> None:
    await prepare(database_url)
    async with product(database_url, redis_url, keys, writer=writer, deadlines=deadlines) as gate:
        await uvicorn.Server(uvicorn.Config(gate, port=port, lifespan="off", log_level="warning")).serve()


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--key", help="the API key of the account default; without it nobody needs one")
    parser.add_argument("--accounts", nargs="*", default=[], metavar="NAME=KEY", help="further accounts and their keys")
    parser.add_argument("--no-writer", action="store_true", help="without the language model")
    parser.add_argument(
        "--deadlines", nargs=2, type=float, metavar=("ANSWER", "STORE"), help="seconds, not those of serve_config.yaml"
    )
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    postgres, redis = EmbeddedPostgres(arguments.data), EmbeddedRedis(arguments.data)
    try:
        postgres.start()
        redis.start()
        keys = {"default": arguments.key} if arguments.key else {}
        keys |= dict(account.split("=", 1) for account in arguments.accounts)
        deadlines = arguments.deadlines and tuple(arguments.deadlines)
        writer = not arguments.no_writer
        asyncio.run(_serve(arguments.port, postgres.url, redis.url, keys, writer=writer, deadlines=deadlines))
    finally:
        redis.stop()
        postgres.stop()


if __name__ == "__main__":
    main()
