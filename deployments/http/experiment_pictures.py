"""The routes under /ab-test that show how an experiment went: its series as JSON, and pictures of it."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from deployments.experiment_pictures import Pictures
from deployments.http.best_times import VARY, language_of, zone_of
from deployments.http.bodies import PROBLEMS
from deployments.http.calls import as_json, describe_parameters, read_parameters, refused, stored
from deployments.http.experiment_bodies import PICTURE_PARAMETERS, ExperimentSeries
from deployments.http.experiments import ExperimentId, find_experiment, table_of

if TYPE_CHECKING:
    from pipelines.experiments.picture import Kind, Subject

MEDIA_TYPES: dict[Kind, str] = {"png": "image/png", "svg": "image/svg+xml"}
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
SVG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {}}}}
DESCRIBED = describe_parameters(PICTURE_PARAMETERS)
router = APIRouter(responses=PROBLEMS)


@router.get("/ab-test/{experiment_id}/series", response_model=ExperimentSeries)
async def experiment_series(request: Request, experiment_id: ExperimentId) -> Response:
    """Say how the experiment went: what its results were at up to 40 moments, or block by block of a switchback."""
    experiment = await find_experiment(request, experiment_id)
    found = await stored(pictures_of(request).series(table_of(request), experiment))
    figures = {field.name: getattr(found, field.name) for field in fields(found)}
    return as_json(
        ExperimentSeries(
            id=experiment.id, name=experiment.name, state=experiment.state, version=experiment.version, **figures
        )
    )


@router.get("/ab-test/{experiment_id}/lift.png", response_class=Response, responses=PNG, openapi_extra=DESCRIBED)
async def lift_png(request: Request, experiment_id: ExperimentId) -> Response:
    """The lift of each variant over time with its always-valid interval, or a switchback's blocks, as PNG."""
    return await _picture(request, experiment_id, "lift", "png")


@router.get("/ab-test/{experiment_id}/lift.svg", response_class=Response, responses=SVG, openapi_extra=DESCRIBED)
async def lift_svg(request: Request, experiment_id: ExperimentId) -> Response:
    """The same as SVG."""
    return await _picture(request, experiment_id, "lift", "svg")


@router.get("/ab-test/{experiment_id}/boundaries.png", response_class=Response, responses=PNG, openapi_extra=DESCRIBED)
async def boundaries_png(request: Request, experiment_id: ExperimentId) -> Response:
    """The statistic of each variant by units, and the boundary that it must cross, as PNG; none of a switchback."""
    return await _picture(request, experiment_id, "boundaries", "png")


@router.get("/ab-test/{experiment_id}/boundaries.svg", response_class=Response, responses=SVG, openapi_extra=DESCRIBED)
async def boundaries_svg(request: Request, experiment_id: ExperimentId) -> Response:
    """The same as SVG."""
    return await _picture(request, experiment_id, "boundaries", "svg")


@router.get("/ab-test/{experiment_id}/srm.png", response_class=Response, responses=PNG, openapi_extra=DESCRIBED)
async def srm_png(request: Request, experiment_id: ExperimentId) -> Response:
    """The p-value of the split over time as PNG; none of a bandit or a switchback."""
    return await _picture(request, experiment_id, "srm", "png")


@router.get("/ab-test/{experiment_id}/srm.svg", response_class=Response, responses=SVG, openapi_extra=DESCRIBED)
async def srm_svg(request: Request, experiment_id: ExperimentId) -> Response:
    """The same as SVG."""
    return await _picture(request, experiment_id, "srm", "svg")


def pictures_of(request: Request) -> Pictures:
    """The pictures that this replica keeps."""
    pictures: Pictures = request.app.state.pictures
    return pictures


async def _picture(request: Request, experiment_id: str, subject: Subject, kind: Kind) -> Response:
    wanted = read_parameters(PICTURE_PARAMETERS, request)
    experiment = await find_experiment(request, experiment_id)
    language, zone = wanted.language or language_of(request), await zone_of(request, wanted.tz)
    try:
        drawing = pictures_of(request).picture(
            table_of(request), experiment, subject=subject, kind=kind, language=language, zone=zone
        )
        drawn = await stored(drawing)
    except ValueError as error:
        raise refused("experiment_id", str(error)) from error
    tag = f'"{hashlib.sha256(drawn).hexdigest()[:20]}"'
    headers = VARY | {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(drawn, headers=headers, media_type=MEDIA_TYPES[kind])
