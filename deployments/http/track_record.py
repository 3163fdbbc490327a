"""The routes that say what an account's scores were worth, and what X's weights make of its readers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Literal

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, TypeAdapter

from deployments.calibrations import MAX_POSTS, read_record
from deployments.drawing import DRAWING
from deployments.http.best_times import language_of
from deployments.http.bodies import PROBLEMS
from deployments.http.calls import account_of, as_json, describe_parameters, front_of, read_parameters, refused, stored
from deployments.http.problems import unavailable
from pipelines.errors import ModelUnavailable
from pipelines.outcomes.history import as_drafts
from pipelines.outcomes.matching import StoredPrediction
from pipelines.outcomes.track_record import Basis, TrackRecord, track_record
from pipelines.outcomes.x_weights import XWeighted, is_stale, load_snapshots, x_weighted
from pipelines.records import MAX_HISTORY_POSTS, Language
from pipelines.results import Prediction


@dataclass(frozen=True, kw_only=True)
class XWeightedParameters:
    """The day of the weights; the newest ones without it."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    snapshot: date | None = None


@dataclass(frozen=True, kw_only=True)
class RecordParameters:
    """Whose predictions are judged: those stored with queries, or made now for each post from those before it."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    basis: Basis = "stored"


@dataclass(frozen=True, kw_only=True)
class PictureParameters(RecordParameters):
    """The same, and the language of the words in a picture; without one as Accept-Language has it."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    language: Language | None = None


PARAMETERS = TypeAdapter(XWeightedParameters)
RECORD_PARAMETERS = TypeAdapter(RecordParameters)
PICTURE_PARAMETERS = TypeAdapter(PictureParameters)
# About two seconds of the predictor.
MAX_BACKTEST = 200
router = APIRouter(responses=PROBLEMS)


@router.get("/predict/track-record", response_model=TrackRecord, openapi_extra=describe_parameters(RECORD_PARAMETERS))
async def get_track_record(request: Request) -> Response:
    """Say how well the account's stored predictions, or those of a backtest, told what its posts did."""
    return as_json(await _record(request, read_parameters(RECORD_PARAMETERS, request).basis))


@router.get("/predict/track-record.png", include_in_schema=False)
async def get_track_record_png(request: Request) -> Response:
    """Draw the chances that were said against what came, in pixels."""
    return await _picture(request, "png", "image/png")


@router.get("/predict/track-record.svg", include_in_schema=False)
async def get_track_record_svg(request: Request) -> Response:
    """Draw the chances that were said against what came, in lines."""
    return await _picture(request, "svg", "image/svg+xml")


@router.get("/predict/x-weighted", response_model=XWeighted, openapi_extra=describe_parameters(PARAMETERS))
async def get_x_weighted(request: Request) -> Response:
    """Weigh the account's rates of engagement as X's published weights do."""
    wanted = read_parameters(PARAMETERS, request).snapshot
    snapshots = {snapshot.date: snapshot for snapshot in load_snapshots()}
    if wanted is not None and wanted not in snapshots:
        raise refused("snapshot", f"must be one of {', '.join(map(str, snapshots))}")
    store = front_of(request).answers.store
    posts = await stored(store.outcomes.posts(account_of(request), limit=MAX_POSTS, kinds=("post",)))
    snapshot = snapshots[wanted or max(snapshots)]
    return as_json(await asyncio.to_thread(x_weighted, posts, snapshot, _today()))


async def _record(request: Request, basis: Basis) -> TrackRecord:
    if basis == "backtest":
        return await _backtest(request)
    store, account = front_of(request).answers.store, account_of(request)
    posts, predictions = await stored(read_record(store, account))
    may_teach = await stored(store.outcomes.posts(account, limit=MAX_POSTS, kinds=("post",), learnable_only=True))
    return await asyncio.to_thread(track_record, posts, predictions, may_teach)


async def _backtest(request: Request) -> TrackRecord:
    """Score each of the newest posts from its text, its moment and the posts before it, and judge that."""
    answers, account = front_of(request).answers, account_of(request)
    posts = await stored(answers.store.outcomes.posts(account, limit=MAX_BACKTEST + MAX_HISTORY_POSTS, kinds=("post",)))
    drafts = await asyncio.to_thread(as_drafts, posts, MAX_BACKTEST)
    models = answers.until_deadline()
    predictions = await models.predict_each([draft for _, draft in drafts])
    if any(isinstance(prediction, ModelUnavailable) for prediction in predictions):
        raise unavailable("The viral predictor does not answer.")
    version = models.versions().get("viral_predictor")
    said = [
        StoredPrediction(
            text=draft.text,
            at=post.posted_at,
            version=version,
            viral_score=prediction.viral_score,
            p_beats_median=prediction.p_beats_median,
            low=prediction.interval[0],
            high=prediction.interval[1],
            model_score=prediction.viral_score,
            model_chance=prediction.p_beats_median,
        )
        for (post, draft), prediction in zip(drafts, predictions, strict=True)
        if isinstance(prediction, Prediction)
        and prediction.viral_score is not None
        and prediction.p_beats_median is not None
        and prediction.interval is not None
    ]
    return await asyncio.to_thread(track_record, posts, said, (), "backtest")


async def _picture(request: Request, kind: Literal["png", "svg"], media_type: str) -> Response:
    language = read_parameters(PICTURE_PARAMETERS, request).language or language_of(request)
    found = await _record(request, read_parameters(PICTURE_PARAMETERS, request).basis)
    return Response(await asyncio.to_thread(_drawn, found, kind, language), media_type=media_type)


def _drawn(found: TrackRecord, kind: Literal["png", "svg"], language: Language) -> bytes:
    from pipelines.outcomes.picture import draw  # noqa: PLC0415  # half a second and 30 MB that most replicas never need

    with DRAWING:
        return draw(found, kind, language)


def x_weights_state() -> dict[str, Any]:
    """What /readyz says of the weights: the day of the newest ones, and whether they are too old to rely on."""
    return {"synced_at": load_snapshots()[-1].date, "stale": is_stale(_today())}


def _today() -> date:
    return datetime.now(UTC).date()
