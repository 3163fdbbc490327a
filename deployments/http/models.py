"""The routes that ask the models: analyze, write, improve, score and compare texts."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.http.bodies import (
    ANALYZE_BODY,
    COMPARE_BODY,
    GENERATE_BODY,
    OPTIMIZE_BODY,
    PREDICT_BODY,
    PROBLEMS,
    QUERY_BODY,
    AnalyzeResponse,
    CompareResponse,
    PredictResponse,
    QueryResponse,
)
from deployments.http.calls import account_of, as_json, charge_generation, front_of
from deployments.http.problems import Problem
from deployments.http.streams import EventStream
from pipelines import optimize
from pipelines.errors import ModelUnavailable
from pipelines.results import Candidate, Generated, Optimized

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
EXAMPLE_EVENTS = 'event: candidate\ndata: {"id": "..."}\nid: 1\n\nevent: done\ndata: {"candidates": []}\nid: 2\n\n'
IDEMPOTENCY_HEADER = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "A repeated call with the same key and body gets the first answer; another body is 422.",
            "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
        }
    ]
}
# One event of the stream.
EVENT = {
    "type": "object",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"enum": ["candidate", "done", "problem"]},
        "id": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
router = APIRouter(responses=PROBLEMS)


@router.post("/analyze-query", response_model=QueryResponse, openapi_extra=QUERY_BODY.openapi | IDEMPOTENCY_HEADER)
async def analyze_query(request: Request) -> Response:
    """Analyze a query, write and score candidates for it, store the answer."""
    query = await QUERY_BODY.read(request)
    answers, idempotency_key = front_of(request).answers, _idempotency_key(request)
    if answers.engine(query) == "lm":
        await charge_generation(request)
    response = await answers.answer(query, account_of(request), idempotency_key)
    return as_json(response)


@router.post("/generate", response_model=Generated, openapi_extra=GENERATE_BODY.openapi)
async def generate(request: Request) -> Response:
    """Write tweets that could be posted as they are; nothing is stored."""
    brief = await GENERATE_BODY.read(request)
    return _answer(request, await front_of(request).answers.generate(brief.as_query(), account_of(request)))


@router.post(
    "/generate/stream",
    response_class=Response,
    responses={200: {"content": {EventStream.media_type: {"schema": EVENT, "example": EXAMPLE_EVENTS}}}},
    openapi_extra=GENERATE_BODY.openapi,
)
async def generate_stream(request: Request) -> Response:
    """The same piece by piece: each `candidate` as it is known, then `done` with the whole; `problem` if it fails."""
    brief = await GENERATE_BODY.read(request)
    answers = front_of(request).answers

    def name_of(piece: Candidate | Generated) -> str:
        if not isinstance(piece, Generated):
            return "candidate"
        answers.on_answer(piece.degraded)
        return "done"

    pieces = await answers.generate_each(brief.as_query(), account_of(request))
    return EventStream(pieces, name_of, request.scope["request_id"])


@router.post("/optimize", response_model=Optimized, openapi_extra=OPTIMIZE_BODY.openapi)
async def optimize_draft(request: Request) -> Response:
    """Make a draft better by edits whose effect was measured; nothing is stored."""
    asked = await OPTIMIZE_BODY.read(request)
    answers = front_of(request).answers
    if answers.engines.language_model:
        await charge_generation(request)
    return _answer(request, await answers.optimize(asked, account_of(request)))


@router.post("/analyze", response_model=AnalyzeResponse, openapi_extra=ANALYZE_BODY.openapi)
async def analyze(request: Request) -> Response:
    """Analyze texts; nothing is stored."""
    body, errors = await ANALYZE_BODY.read_items(request)
    answers = front_of(request).answers
    record = await answers.own_posts.record(account_of(request))
    models, policy = answers.until_deadline(), answers.engines.policy
    analyzed = await asyncio.gather(
        *(optimize.analyze(text, models, policy, record.posts, record.settings.length_limit) for text in body.texts)
    )
    return _answer(
        request,
        AnalyzeResponse(
            results=_in_order([analysis for analysis, _ in analyzed], {error.index for error in errors}),
            errors=tuple(errors),
            model_versions=models.versions(),
            degraded=tuple(dict.fromkeys(name for _, names in analyzed for name in names)),
        ),
    )


@router.post("/predict", response_model=PredictResponse, openapi_extra=PREDICT_BODY.openapi)
async def predict(request: Request) -> Response:
    """Score drafts against their authors' own records; nothing is stored."""
    body, errors = await PREDICT_BODY.read_items(request)
    answers, account = front_of(request).answers, account_of(request)
    drafts = await answers.own_posts.fill(body.drafts, account)
    models = await answers.until_deadline_for(account)
    predictions = [None if isinstance(p, ModelUnavailable) else p for p in await models.predict_each(drafts)]
    return _answer(
        request,
        PredictResponse(
            results=_in_order(predictions, {error.index for error in errors}),
            errors=tuple(errors),
            model_version=models.versions().get("viral_predictor"),
            weights_version=None,
            degraded=("viral_predictor",) if None in predictions else (),
        ),
    )


@router.post("/compare", response_model=CompareResponse, openapi_extra=COMPARE_BODY.openapi)
async def compare(request: Request) -> Response:
    """Say which of two wordings does better, or that only a test can tell; nothing is stored."""
    body, errors = await COMPARE_BODY.read_items(request)
    answers = front_of(request).answers
    compared, degraded = await optimize.compare(body.pairs, answers.until_deadline())
    return _answer(
        request,
        CompareResponse(
            results=_in_order(compared, {error.index for error in errors}),
            errors=tuple(errors),
            model_version=answers.stages.wording_version,
            degraded=degraded,
        ),
    )


def _answer(
    request: Request, answered: Generated | Optimized | AnalyzeResponse | PredictResponse | CompareResponse
) -> Response:
    """The answer, counted by what it lacked."""
    front_of(request).answers.on_answer(answered.degraded)
    return as_json(answered)


def _in_order(results: list[Any], refused: set[int]) -> tuple[Any, ...]:
    """Put the results of the kept items back where they stood, with None at the refused places."""
    kept = iter(results)
    return tuple(None if index in refused else next(kept) for index in range(len(results) + len(refused)))


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Invalid: Idempotency-Key.",
            errors=[{"field": "Idempotency-Key", "message": "1 to 255 visible ASCII characters"}],
        )
    return key
