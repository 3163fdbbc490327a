"""Spans of requests and of the calls that carried them, into memory."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_tracer_provider
from starlette.types import Receive, Scope, Send

from deployments.microbatch import Limits, MicroBatcher
from deployments.settings import ConfigError, Settings
from deployments.tracing import Traces
from pipelines.errors import ModelUnavailable

pytestmark = pytest.mark.clock

LIMITS = Limits(max_items=64, max_in_flight=1, max_waiting=1000)
SECRET = "the secret launch on friday"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Product:
    """One route behind the traces, whose answer is an item of a stage."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.traces = Traces(provider)
        self.failure: Exception | None = None
        self.seconds = 0.02
        self.batcher = MicroBatcher("sentiment", self.stage, LIMITS, traces=self.traces)

    async def stage(self, items: list[str], _budget_s: float) -> list[str]:
        await asyncio.sleep(self.seconds)
        if self.failure:
            raise self.failure
        return items

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = type("Route", (), {"path": "/analyze/{id}"})
        scope["request_id"] = "abc"
        try:
            await self.batcher.submit(SECRET, asyncio.get_running_loop().time() + 0.5)
            status = 200
        except ModelUnavailable:
            status = 503
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(self, path: str = "/analyze/7", **headers: str) -> int:
        transport = httpx.ASGITransport(self.traces.around(self.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get(path, headers=headers)).status_code

    def named(self, name: str) -> Sequence[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name == name]


async def test_a_call_that_breaks_says_how_and_not_on_what():
    product = Product()
    product.failure = ValueError(f"cannot read {SECRET}")
    assert await product.ask() == 503
    (call,) = product.named("call sentiment")
    assert call.attributes == {
        "murmuration.stage": "sentiment",
        "murmuration.items": 1,
        "murmuration.outcome": "ValueError",
    }
    assert call.status.status_code == StatusCode.ERROR
    (request,) = product.named("GET /analyze/{id}")
    assert request.status.status_code == StatusCode.ERROR
    assert "secret" not in "".join(span.to_json() for span in product.spans.get_finished_spans())


async def test_a_call_that_is_cut_off_is_late():
    product = Product()
    product.seconds = 5
    assert await product.ask() == 503
    await asyncio.sleep(0.1)  # the call ends with the deadline of its last item, a moment after that item's caller
    (call,) = product.named("call sentiment")
    assert call.attributes["murmuration.outcome"] == "late"


async def test_a_request_that_raises_is_a_span_without_the_error():
    product = Product()

    async def raising(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError(SECRET)

    product.app = raising
    with pytest.raises(RuntimeError):
        await product.ask()
    (span,) = product.spans.get_finished_spans()
    assert (span.name, span.attributes["http.response.status_code"], span.events) == ("GET", 500, ())


async def test_a_request_continues_the_trace_of_its_caller():
    product = Product()
    assert await product.ask(traceparent=PARENT, tracestate="vendor=1") == 200
    (request,) = product.named("GET /analyze/{id}")
    assert f"{request.context.trace_id:032x}" == PARENT.split("-")[1]
    assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
    assert request.context.trace_state["vendor"] == "1"
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": "/analyze/{id}",
        "http.response.status_code": 200,
        "murmuration.request_id": "abc",
    }


async def test_a_broken_traceparent_starts_a_trace_of_its_own():
    product = Product()
    await product.ask(traceparent="00-nonsense")
    assert product.named("GET /analyze/{id}")[0].parent is None


async def test_a_call_for_one_request_stands_below_it():
    product = Product()
    await product.ask()
    (request,), (call,) = product.named("GET /analyze/{id}"), product.named("call sentiment")
    assert call.parent.span_id == request.context.span_id
    assert [link.context.span_id for link in call.links] == [request.context.span_id]


async def test_a_call_links_to_every_request_whose_items_it_carries_and_to_each_once():
    product = Product()

    async def two(scope: Scope, receive: Receive, send: Send) -> None:
        await product.batcher.submit_many(["a", "b"], asyncio.get_running_loop().time() + 5)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    product.app = two
    await asyncio.gather(*(product.ask() for _ in range(5)))
    requests, calls = product.named("GET"), product.named("call sentiment")
    together = max(calls, key=lambda call: call.attributes["murmuration.items"])
    assert together.parent is None
    assert together.attributes["murmuration.items"] == 2 * len(together.links)
    linked = [link.context.span_id for call in calls for link in call.links]
    assert sorted(linked) == sorted(request.context.span_id for request in requests)


async def test_what_works_for_no_request_is_a_call_without_links():
    product = Product()
    await product.batcher.submit("warm-up", asyncio.get_running_loop().time() + 5)
    (call,) = product.spans.get_finished_spans()
    assert (call.parent, call.links) == (None, ())


async def test_probes_leave_no_spans():
    product = Product()
    for path in ("/healthz", "/readyz", "/metrics"):
        await product.ask(path)
    assert [span.name for span in product.spans.get_finished_spans()] == ["call sentiment"] * 3


async def test_the_providers_that_others_share_are_left_alone():
    before = get_tracer_provider()
    traces = Traces.sent_to("http://127.0.0.1:9", "1.0")
    assert get_tracer_provider() is before
    await traces.close()


@pytest.mark.parametrize(
    "address", ["collector:4318", "http://me:key@collector:4318", "http://c:4318?key=1", "http://"]
)
def test_an_address_that_is_none_or_holds_a_key_is_refused(address: str):
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_ENDPOINT") as error:
        Settings(otel_exporter_otlp_endpoint=address).traces_endpoint()
    assert "key@" not in str(error.value)


def test_without_an_address_nothing_is_traced():
    assert Settings(otel_exporter_otlp_endpoint="").traces_endpoint() is None
    assert Settings(otel_exporter_otlp_endpoint="http://c:4318/").traces_endpoint() == "http://c:4318/"
