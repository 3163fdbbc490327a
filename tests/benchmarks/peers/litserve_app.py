"""The pipelines behind LitServe, as its pages on batching, workers and queues have it: one API, batches, two workers.

python -m tests.benchmarks.peers.litserve_app --port N, with the interpreter of .venv-peers/litserve.
A lone request waits batch_timeout for company; 5 ms is little beside the 25 to 100 of LitServe's own examples.
restart_workers is what its documentation names against a worker that dies; without it the server shuts down.
"""

import argparse
import asyncio
from typing import Any

import litserve
from fastapi import HTTPException, Response
from pydantic import ValidationError

from pipelines.records import Query
from tests.benchmarks.peers.pipeline import QUERY, answer_all, connect, load

MAX_BATCH, BATCH_TIMEOUT_S, WORKERS, API_SERVERS = 32, 0.005, 2, 1


class AnalyzeQuery(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.lists = load()
        self.runner = asyncio.Runner()
        self.store = self.runner.run(connect())

    def decode_request(self, request: dict[str, Any]) -> Query:
        try:
            return QUERY.validate_python(request, strict=False)
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False)) from error

    def batch(self, inputs: list[Query]) -> list[Query]:
        return inputs

    def predict(self, queries: list[Query]) -> list[bytes]:
        return self.runner.run(answer_all(queries, self.lists, self.store))

    def unbatch(self, answers: list[bytes]) -> list[bytes]:
        return answers

    def encode_response(self, answer: bytes) -> Response:
        return Response(answer, media_type="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    api = AnalyzeQuery(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT_S, api_path="/analyze-query")
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=WORKERS,
        healthcheck_path="/readyz",
        fast_queue=True,
        restart_workers=True,
    )
    server.run(
        host="127.0.0.1", port=port, num_api_servers=API_SERVERS, log_level="warning", generate_client_file=False
    )


if __name__ == "__main__":
    main()
