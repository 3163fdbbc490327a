"""The routes under /ab-test that take what happened: events of units, and posts of a switchback."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from deployments.experiments import read_plan
from deployments.http.bodies import PROBLEMS, ItemError
from deployments.http.calls import as_json, stored
from deployments.http.experiment_bodies import EVENT_BODY, POST_BODY, Accepted, Rejected
from deployments.http.experiments import ExperimentId, find_experiment, table_of, wrong_state
from deployments.http.problems import Problem
from pipelines.experiments.assignment import assign_all
from pipelines.experiments.records import Design, Event, PostCounts
from pipelines.text.tweets import normalized
from store.experiments import StoredExperiment, ToldEvent

# From so many events on the hashing of their units leaves the loop to others.
EVENTS_INLINE = 500
CLOCK_SKEW = timedelta(minutes=5)
router = APIRouter(responses=PROBLEMS)


@router.post("/ab-test/{experiment_id}/events", response_model=Accepted, openapi_extra=EVENT_BODY.openapi)
async def tell_events(request: Request, experiment_id: ExperimentId) -> Response:
    """Store impressions and engagements; in whatever order and however often they come, each counts once."""
    experiment = await _taking(request, experiment_id, "split")
    body, errors = await EVENT_BODY.read_items(request)
    now = datetime.now(UTC)
    if len(body.events) > EVENTS_INLINE:
        told, unknown = await asyncio.to_thread(_as_told, experiment, body.events, errors, now)
    else:
        told, unknown = _as_told(experiment, body.events, errors, now)
    saved = await stored(table_of(request).save_events(experiment.account_id, experiment.id, told)) if told else 0
    return as_json(_accepted(experiment, saved, len(told), [*_rejected(errors), *unknown]))


@router.post("/ab-test/{experiment_id}/posts", response_model=Accepted, openapi_extra=POST_BODY.openapi)
async def tell_posts(request: Request, experiment_id: ExperimentId) -> Response:
    """Store posts of a switchback; of several counts of one post the newest are kept."""
    experiment = await _taking(request, experiment_id, "switchback")
    body, errors = await POST_BODY.read_items(request)
    now = datetime.now(UTC)
    newest: dict[str, PostCounts] = {}
    kept = _places(len(body.posts), errors)
    future = [
        Rejected(index, "posted_at: lies in the future")
        for index, post in zip(kept, body.posts, strict=True)
        if post.posted_at > now + CLOCK_SKEW
    ]
    known = [post for post in body.posts if post.posted_at <= now + CLOCK_SKEW]
    for post in known:
        dated = replace(post, captured_at=post.captured_at or now)
        earlier = newest.setdefault(post.post_id, dated)
        if (dated.captured_at or now) > (earlier.captured_at or now):
            newest[post.post_id] = dated
    told = tuple(newest.values())
    saved = await stored(table_of(request).save_posts(experiment.account_id, experiment.id, told)) if told else 0
    return as_json(_accepted(experiment, saved, len(known), [*_rejected(errors), *future]))


async def _taking(request: Request, experiment_id: str, design: Design) -> StoredExperiment:
    """Return an experiment that takes what is told of its design, or say what it takes."""
    experiment = await find_experiment(request, experiment_id)
    if read_plan(experiment).design != design:
        elsewhere = {
            "split": "A switchback counts posts: send them to /ab-test/{id}/posts.",
            "switchback": "A split counts units: send events to /ab-test/{id}/events.",
        }
        raise Problem(HTTPStatus.CONFLICT, elsewhere[design])
    if experiment.state not in {"running", "stopped"}:
        raise wrong_state(experiment, "running or stopped")
    return experiment


def _as_told(
    experiment: StoredExperiment, events: tuple[Event, ...], errors: list[ItemError], now: datetime
) -> tuple[list[ToldEvent], list[Rejected]]:
    """The events as they are stored, and those of variants that the experiment does not have."""
    places = {variant.name: place for place, variant in enumerate(experiment.variants)}
    shares = [variant.weight for variant in experiment.variants]
    kept = _places(len(events), errors)
    # Names were normalized when the experiment was created.
    told_with = [places.get(normalized(event.variant)) for event in events]
    assigned = assign_all(str(experiment.id), [event.unit for event in events], shares).tolist()
    told = [
        ToldEvent(event.event_id, place, event.type == "engagement", event.unit, event.at or now, place != expected)
        for event, place, expected in zip(events, told_with, assigned, strict=True)
        if place is not None
    ]
    unknown = [
        Rejected(index, "variant: the experiment has no such variant")
        for index, place in zip(kept, told_with, strict=True)
        if place is None
    ]
    return told, unknown


def _places(n_kept: int, errors: list[ItemError]) -> list[int]:
    """Where the items that were not refused stood in the list that was sent."""
    refused = {error.index for error in errors}
    return [index for index in range(n_kept + len(refused)) if index not in refused]


def _rejected(errors: list[ItemError]) -> list[Rejected]:
    """One entry an item, with the first thing that is wrong with it."""
    first: dict[int, Rejected] = {}
    for error in errors:
        field = error.field.partition("].")[2]
        first.setdefault(error.index, Rejected(error.index, f"{field}: {error.message}" if field else error.message))
    return list(first.values())


def _accepted(experiment: StoredExperiment, saved: int | None, told: int, rejected: list[Rejected]) -> Accepted:
    if saved is None:
        raise wrong_state(experiment, "running or stopped")
    return Accepted(
        accepted=saved,
        duplicates=told - saved,
        rejected=tuple(sorted(rejected, key=lambda one: one.index)),
    )
