"""Spans on their way: to a collector that reads OTLP over HTTP, and to one that is not there."""

import asyncio
import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.types import Receive, Scope, Send

from deployments.microbatch import Limits, MicroBatcher
from deployments.tracing import Traces

pytestmark = pytest.mark.clock


class Collector(ThreadingHTTPServer):
    """Keeps what it is sent, and the headers that it came with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.requests: list[ExportTraceServiceRequest] = []
        self.tokens: list[str | None] = []

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.server.tokens.append(self.headers["x-token"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


async def ask(traces: Traces, texts: list[str]) -> None:
    async def stage(items: list[str], _budget_s: float) -> list[str]:
        await asyncio.sleep(0.05)
        return items

    batcher = MicroBatcher("sentiment", stage, Limits(max_items=64, max_in_flight=1, max_waiting=64), traces=traces)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await batcher.submit(scope["path"], asyncio.get_running_loop().time() + 5)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(traces.around(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await asyncio.gather(*(client.get(f"/{text}") for text in texts))


async def test_a_collector_that_is_away_costs_no_request_and_holds_up_no_end():
    traces = Traces.sent_to("http://127.0.0.1:9", "1.0")
    started = time.monotonic()
    await ask(traces, ["a", "b"])
    assert time.monotonic() - started < 1
    # More than one batch of spans, each with pauses between its attempts.
    for _ in range(20):
        await ask(traces, [f"q{number}" for number in range(60)])
    closing = time.monotonic()
    await traces.close()
    assert time.monotonic() - closing < 5


async def test_a_collector_gets_requests_and_the_calls_that_link_to_them(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=t0ken")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    traces = Traces.sent_to(f"http://127.0.0.1:{collector.server_port}/", "1.2.3")
    await ask(traces, ["secret-a", "secret-b", "secret-c", "secret-d"])
    await traces.close()
    requests = {span.span_id: span for span in collector.spans() if span.kind == Span.SPAN_KIND_SERVER}
    calls = [span for span in collector.spans() if span.kind == Span.SPAN_KIND_CLIENT]
    assert len(requests) == 4
    assert {link.span_id for call in calls for link in call.links} == requests.keys()
    assert {link.trace_id for call in calls for link in call.links} == {span.trace_id for span in requests.values()}
    told = {attribute.key for call in calls for attribute in call.attributes}
    assert told == {"murmuration.stage", "murmuration.items", "murmuration.outcome"}
    (resource,) = {str(request.resource_spans[0].resource) for request in collector.requests}
    assert all(word in resource for word in ("service.name", "murmuration", "1.2.3", "deployment.environment"))
    assert set(collector.tokens) == {"t0ken"}
    assert "secret" not in str(collector.requests)
