"""The routes under /ab-test: the life of an experiment, who sees what, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import uuid_utils.compat
from fastapi import APIRouter, Path, Request, Response

from deployments.experiments import (
    check_size,
    conclusion_of,
    days_of,
    describe,
    plan_of,
    read_at,
    read_plan,
    results_of,
    shares_of,
    size_of,
    slots_of,
    variants_of,
)
from deployments.http.bodies import PROBLEMS
from deployments.http.calls import account_of, as_json, describe_parameters, front_of, read_parameters, refused, stored
from deployments.http.experiment_bodies import (
    ASSIGN_PARAMETERS,
    CHANGE_BODY,
    NEW_BODY,
    PAGE_PARAMETERS,
    PLAN,
    Assignment,
    Experiment,
    ExperimentPage,
    ExperimentResults,
    PlannedSize,
)
from deployments.http.problems import Problem
from pipelines.experiments.assignment import assign, bucket
from pipelines.experiments.records import NewExperiment, check
from pipelines.experiments.switchback import slot_at
from store.experiments import Counts, ExperimentTable, StoredExperiment

ExperimentId = Annotated[str, Path(description="The id of an experiment.", json_schema_extra={"format": "uuid"})]
router = APIRouter(responses=PROBLEMS)


@router.post("/ab-test/create", response_model=Experiment, status_code=201, openapi_extra=NEW_BODY.openapi)
async def create_experiment(request: Request) -> Response:
    """Create an experiment and start it, unless `start` is false."""
    new = await _read_new(request)
    created = await stored(
        table_of(request).create(
            account_of(request),
            uuid_utils.compat.uuid7(),
            new.name,
            PLAN.dump_json(plan_of(new)),
            variants_of(new),
            start=new.start,
        ),
        lambda _: refused("variants", "a template_id is none of this account's templates"),
    )
    return as_json(describe(created), HTTPStatus.CREATED, {"Location": f"/ab-test/{created.id}"})


@router.post("/ab-test/size", response_model=PlannedSize, openapi_extra=NEW_BODY.openapi)
async def plan_size(request: Request) -> Response:
    """Say how many units a plan needs and how long that takes, or what is wrong with it; nothing is stored."""
    return as_json(size_of(await _read_new(request), datetime.now(UTC)))


@router.post("/ab-test/{experiment_id}/start", response_model=Experiment, openapi_extra=CHANGE_BODY.openapi)
async def start_experiment(request: Request, experiment_id: ExperimentId) -> Response:
    """Start a draft: its units are assigned and its events count from now on."""
    return await _changed(request, experiment_id, table_of(request).start, "draft")


@router.post("/ab-test/{experiment_id}/stop", response_model=Experiment, openapi_extra=CHANGE_BODY.openapi)
async def stop_experiment(request: Request, experiment_id: ExperimentId) -> Response:
    """Stop a running experiment: nobody is assigned any more, late events still count until it is concluded."""
    return await _changed(request, experiment_id, table_of(request).stop, "running")


@router.post("/ab-test/{experiment_id}/conclude", response_model=Experiment, openapi_extra=CHANGE_BODY.openapi)
async def conclude_experiment(request: Request, experiment_id: ExperimentId) -> Response:
    """Conclude a stopped experiment for good; what it found counts as readings and for the templates it used."""
    now = datetime.now(UTC)

    async def conclude(account: str, number: UUID, version: int | None) -> StoredExperiment | None:
        experiment = await find_experiment(request, experiment_id)
        return await table_of(request).conclude(
            account,
            number,
            version,
            lambda one, counts, posts: conclusion_of(one, counts, posts, now),
            read_at(experiment),
        )

    return await _changed(request, experiment_id, conclude, "stopped")


@router.post("/ab-test/{experiment_id}/reallocate", response_model=Experiment, openapi_extra=CHANGE_BODY.openapi)
async def reallocate(request: Request, experiment_id: ExperimentId) -> Response:
    """Give the variants of a running bandit the shares that its events so far speak for."""
    experiment = await find_experiment(request, experiment_id)
    if read_plan(experiment).allocation != "bandit":
        raise Problem(HTTPStatus.CONFLICT, "Only a bandit moves units; this experiment keeps its weights.")
    shares = shares_of(experiment, await stored(table_of(request).counts(experiment.id)))

    async def reweigh(account: str, number: UUID, version: int | None) -> StoredExperiment | None:
        # Computed from what stood at this version, so it is no good for another one.
        return await table_of(request).reweigh(account, number, version or experiment.version, shares)

    return await _changed(request, experiment_id, reweigh, "running")


@router.get("/ab-test", response_model=ExperimentPage, openapi_extra=describe_parameters(PAGE_PARAMETERS))
async def list_experiments(request: Request) -> Response:
    """List the account's experiments, the newest first."""
    wanted = read_parameters(PAGE_PARAMETERS, request)
    found = await stored(table_of(request).page(account_of(request), wanted.state, wanted.cursor, wanted.limit + 1))
    page = found[: wanted.limit]
    cursor = page[-1].id if len(found) > len(page) else None
    return as_json(ExperimentPage(experiments=tuple(map(describe, page)), next_cursor=cursor))


@router.get("/ab-test/{experiment_id}", response_model=Experiment)
async def get_experiment(request: Request, experiment_id: ExperimentId) -> Response:
    """Return one experiment."""
    return as_json(describe(await find_experiment(request, experiment_id)))


@router.get(
    "/ab-test/{experiment_id}/assign",
    response_model=Assignment,
    openapi_extra=describe_parameters(ASSIGN_PARAMETERS),
)
async def assign_unit(request: Request, experiment_id: ExperimentId) -> Response:
    """Say which variant a unit sees, always the same one; of a switchback, which variant's time it is."""
    wanted = read_parameters(ASSIGN_PARAMETERS, request)
    experiment = await find_experiment(request, experiment_id)
    if experiment.state != "running":
        raise wrong_state(experiment, "running")
    if read_plan(experiment).design == "switchback":
        return as_json(_slot(experiment, wanted.at or datetime.now(UTC)))
    if wanted.unit is None:
        raise refused("unit", "required")
    return as_json(await _unit(experiment, wanted.unit, table_of(request)))


@router.get("/ab-test/{experiment_id}/results", response_model=ExperimentResults)
async def experiment_results(request: Request, experiment_id: ExperimentId) -> Response:
    """Say what the experiment shows so far, at any time and as often as one likes."""
    experiment = await find_experiment(request, experiment_id)
    split = read_plan(experiment).design == "split"
    counts = await stored(table_of(request).counts(experiment.id, read_at(experiment))) if split else Counts()
    posts = () if split else await stored(table_of(request).posts(experiment.id))
    results = await asyncio.to_thread(results_of, experiment, counts, posts, datetime.now(UTC))
    return as_json(
        ExperimentResults(
            id=experiment.id,
            name=experiment.name,
            state=experiment.state,
            version=experiment.version,
            design="split" if split else "switchback",
            days=days_of(experiment, counts),
            **vars(results),
        )
    )


async def _read_new(request: Request) -> NewExperiment:
    """Return the new experiment of the body; what does not go together is refused."""
    new = await NEW_BODY.read(request)
    try:
        check(new)
        check_size(new)
    except ValueError as error:
        field, _, message = str(error).partition(": ")
        raise refused(field, message) from error
    return new


def table_of(request: Request) -> ExperimentTable:
    """The experiments in the replica's store."""
    return front_of(request).answers.store.experiments


async def find_experiment(request: Request, experiment_id: str) -> StoredExperiment:
    """Return an experiment of the caller's account.

    Raises:
        Problem: 404 for any other.
    """
    found = await stored(table_of(request).find(account_of(request), _number(experiment_id)))
    if found is None:
        raise _unknown()
    return found


def wrong_state(experiment: StoredExperiment, state: str) -> Problem:
    """409 for what cannot be done in the experiment's state."""
    now = "a draft" if experiment.state == "draft" else experiment.state
    return Problem(HTTPStatus.CONFLICT, f"The experiment is {now}, and this can be done only while it is {state}.")


async def _unit(experiment: StoredExperiment, unit: str, table: ExperimentTable) -> Assignment:
    seed, shares = str(experiment.id), [variant.weight for variant in experiment.variants]
    # A bandit's shares move, so who was there before them keeps what they saw.
    met = await stored(table.variant_of(experiment.id, unit)) if read_plan(experiment).allocation == "bandit" else None
    variant = experiment.variants[assign(seed, unit, shares) if met is None else met]
    return Assignment(variant=variant.name, content=variant.content, bucket=bucket(seed, unit))


def _slot(experiment: StoredExperiment, moment: datetime) -> Assignment:
    slots = slots_of(experiment, read_plan(experiment))
    slot = slot_at(slots, moment)
    if slot is None:
        later = next((slot for slot in slots if slot.start > moment), None)
        then = f"the next slot starts at {later.start.isoformat()}" if later else "no slot is left"
        raise Problem(HTTPStatus.CONFLICT, f"No variant's time: {then}.")
    variant = experiment.variants[slot.variant_index]
    return Assignment(variant=variant.name, content=variant.content, until=slot.end)


async def _changed(
    request: Request,
    experiment_id: str,
    change: Callable[[str, UUID, int | None], Awaitable[StoredExperiment | None]],
    state: str,
) -> Response:
    """Make a change of an experiment that must be in `state`, or say why not."""
    number = _number(experiment_id)
    # A call without a body, of whatever type, asks for no version.
    version = (await CHANGE_BODY.read(request)).version if await request.body() else None
    changed = await stored(change(account_of(request), number, version))
    if changed is None:
        current = await find_experiment(request, experiment_id)
        raise wrong_state(current, state) if current.state != state else _outdated(current)
    return as_json(describe(changed))


def _number(experiment_id: str) -> UUID:
    try:
        return UUID(experiment_id)
    except ValueError as error:
        raise _unknown() from error


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "There is no such experiment.")


def _outdated(current: StoredExperiment) -> Problem:
    now = [{"field": "version", "message": f"the experiment is at version {current.version}"}]
    return Problem(HTTPStatus.CONFLICT, "The experiment was changed in between.", errors=now)
