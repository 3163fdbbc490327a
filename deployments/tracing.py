"""OpenTelemetry spans where tracing is switched on: one for each request, one for each call of a stage.

A call carries items of many requests: it links to each of them. Spans hold names, numbers and outcomes: no texts, keys
or accounts. The providers that other libraries share, Ray's among them, are left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

SERVICE = "murmuration"
# Asked by machines every few seconds.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
PARENT = ("traceparent", "tracestate")
FLUSH_S = 2.0


class Traces:
    """Makes the spans of one replica.

    Args:
        provider: of our own, with the processors that take the spans.
        exporter: what sends them, where that may take its time.
    """

    def __init__(self, provider: TracerProvider, exporter: SpanExporter | None = None) -> None:
        self._provider = provider
        self._exporter = exporter
        self._tracer = provider.get_tracer(SERVICE)
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def sent_to(cls, endpoint: str, release: str) -> Traces:
        """Send spans to a collector by OTLP over HTTP, in batches and from a thread.

        Headers, timeouts, sampling and the service's name are taken from OpenTelemetry's own variables.
        """
        # 20 MB that most replicas never need.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before ours.
        ours = Resource({"service.name": SERVICE, "service.version": release})
        provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider, exporter)

    async def close(self) -> None:
        """Send what is left, for FLUSH_S at most: a collector that is away must not hold up a replica that ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await asyncio.to_thread(self._provider.force_flush)
        if self._exporter is not None:
            # Ends its pauses between attempts, which the provider would sit out: 28 s with a full queue.
            await asyncio.to_thread(self._exporter.shutdown)
        await asyncio.to_thread(self._provider.shutdown)

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return `app` with a span for each HTTP request, which continues the caller's trace (W3C traceparent)."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] in PROBES:
                await app(scope, receive, send)
                return
            status = HTTPStatus.INTERNAL_SERVER_ERROR

            async def noting_status(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            headers, method = Headers(scope=scope), scope["method"]
            with self._tracer.start_as_current_span(
                method,
                self._propagator.extract({name: headers[name] for name in PARENT if name in headers}, Context()),
                SpanKind.SERVER,
                {"http.request.method": method},
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                try:
                    await app(scope, receive, noting_status)
                finally:
                    span.set_attribute("http.response.status_code", int(status))
                    if request_id := scope.get("request_id"):
                        span.set_attribute("murmuration.request_id", request_id)
                    if route := getattr(scope.get("route"), "path", None):
                        span.update_name(f"{method} {route}")
                        span.set_attribute("http.route", route)
                    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.set_status(StatusCode.ERROR)

        return traced

    @staticmethod
    def origin() -> SpanContext:
        """The request that the running task works for; an invalid one where it works for none."""
        return get_current_span().get_span_context()

    @contextmanager
    def call(self, stage: str, items: int, origins: Sequence[SpanContext]) -> Iterator[None]:
        """Span of one call of a stage: below its request where it carries items of one, else a trace of its own.

        `outcome` is ok, late where the time was up, else the kind of the error; its message may quote a text.
        """
        requests = list({origin.span_id: origin for origin in origins if origin.is_valid}.values())
        parent = set_span_in_context(NonRecordingSpan(requests[0]), Context()) if len(requests) == 1 else Context()
        with self._tracer.start_as_current_span(
            f"call {stage}",
            parent,
            SpanKind.CLIENT,
            {"murmuration.stage": stage, "murmuration.items": items},
            [Link(request) for request in requests],
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            outcome = "ok"
            try:
                yield
            except asyncio.CancelledError:
                outcome = "late"
                raise
            except Exception as error:
                outcome = type(error).__name__
                raise
            finally:
                span.set_attribute("murmuration.outcome", outcome)
                if outcome != "ok":
                    span.set_status(StatusCode.ERROR)
