"""The routes for those who run the product: health, what the database knows, and the API's own description."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from deployments.http.calls import as_json, front_of
from deployments.http.track_record import x_weights_state
from deployments.metrics import cluster_truth
from store.errors import StoreUnavailable

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> Response:
    """Whether this process answers at all."""
    return PlainTextResponse("ok")


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """200 once every model answered a warm-up; 503 names those that have not. Old weights of X's stop nothing."""
    waiting_for = front_of(request).not_ready
    status = HTTPStatus.SERVICE_UNAVAILABLE if waiting_for else HTTPStatus.OK
    body = {"ready": not waiting_for, "waiting_for": waiting_for, "x_weights": x_weights_state()}
    return as_json(body, status)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Cluster-wide truth from the database in Prometheus' text format."""
    store, watcher = front_of(request).answers.store, request.app.state.watcher
    try:
        counts = await store.counts()
    except StoreUnavailable:
        counts = None
    # One that hangs is waited for once: Prometheus gives up after ten seconds.
    vitals = await watcher.read(None if counts is None else store)
    return Response(cluster_truth(counts, vitals), media_type="text/plain; version=0.0.4")


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Every route that users call, and its bodies."""
    return as_json(request.app.state.document)
