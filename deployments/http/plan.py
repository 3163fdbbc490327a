"""The routes of the plan: which post goes out when, as JSON, as a calendar and as files for the tools that post."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import uuid_utils.compat
from annotated_types import Ge, Le, MaxLen, MinLen
from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from deployments.http.best_times import TimeZone, language_of, store_of, timing_of, zone_of
from deployments.http.bodies import PROBLEMS, JsonBody
from deployments.http.calls import account_of, as_json, describe_parameters, read_parameters, refused, stored
from deployments.http.problems import Problem, unavailable
from pipelines.audience.bulk import LEAD, MAX_ROWS, Slot, Tool, as_calendar, as_csv
from pipelines.audience.plan import (
    NOTES,
    REASONS,
    Never,
    Plan,
    Quiet,
    Reason,
    Window,
    least_distance,
    limits,
    plan,
    shown_twice,
    slots_between,
)
from pipelines.audience.timing import BestTimes
from pipelines.records import STRICT, Language, Moment, Text, clean_up_to
from pipelines.text.tweets import weighted_length
from store.plan import MAX_SLOTS

MAX_POSTS_A_PLAN = 350
MAX_SPAN = timedelta(days=92)
USUAL_SPAN = timedelta(days=7)
# How often a plan is made anew that another call got ahead of.
ATTEMPTS = 3
# Hootsuite takes no other minutes.
WHOLE_MINUTES = 5
Name = Annotated[str, MinLen(1), MaxLen(128), AfterValidator(clean_up_to(128))]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


@dataclass(frozen=True, kw_only=True)
class PostToPlan:
    """A text to post, with the caller's own name of it, on or after `not_before` and before `not_after`."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    text: Text
    id: Name | None = None
    not_before: Moment | None = None
    not_after: Moment | None = None


@dataclass(frozen=True, kw_only=True)
class QuietHours:
    """Local times of every day without posts, HH:MM; over midnight where `to` is earlier than `from`."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    since: Annotated[Clock, Field(alias="from")]
    until: Annotated[Clock, Field(alias="to")]


@dataclass(frozen=True, kw_only=True)
class NeverRule:
    """Local times without posts: all that is named must hold. Weekdays as in ISO 8601, 1 is Monday."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    weekdays: Annotated[tuple[Annotated[int, Ge(1), Le(7)], ...], MaxLen(7)] = ()
    hours: Annotated[tuple[Annotated[int, Ge(0), Le(23)], ...], MaxLen(24)] = ()
    dates: Annotated[tuple[date, ...], MaxLen(366)] = ()


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """Texts to spread over a span, `from` on and before `to`: now and a week later, where they are not told.

    Without `tz` the account's own zone counts.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    posts: Annotated[tuple[PostToPlan, ...], MinLen(1), MaxLen(MAX_POSTS_A_PLAN)]
    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None
    tz: TimeZone | None = None
    spacing_hours: Annotated[float, Ge(0), Le(168)] = limits()["author_diversity"]["spacing_hours"]
    quiet: Annotated[tuple[QuietHours, ...], MaxLen(10)] = ()
    never: Annotated[tuple[NeverRule, ...], MaxLen(50)] = ()


@dataclass(frozen=True, kw_only=True)
class ChangedSlot:
    """Another moment for a slot, in whole five minutes, another text, or both."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    at: Moment | None = None
    text: Text | None = None


@dataclass(frozen=True, kw_only=True)
class SpanParameters:
    """Slots `from` on and before `to`; without `from` those that are still to come."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None


@dataclass(frozen=True, kw_only=True)
class BulkParameters(SpanParameters):
    """The tool that the file is for, and the zone that is set there; without one it is the account's own."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    tool: Tool
    tz: TimeZone | None = None


@dataclass(frozen=True, kw_only=True)
class ShownSlot(Slot):
    """A slot, and what the clocks of its zone show then."""

    local: str


@dataclass(frozen=True, kw_only=True)
class UnplacedPost:
    """A post of the call that got no slot, and why: by the rules there is none, or the others took them."""

    index: int
    id: str | None
    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class SlotList:
    """Slots in order of time."""

    slots: tuple[ShownSlot, ...]


@dataclass(frozen=True, kw_only=True)
class PlanResponse(SlotList):
    """What was planned and stored; `evidence` says whether the heat map was weighed, `note` what that means.

    `limits` are X's, with date and source. Nothing is posted.
    """

    unplaced: tuple[UnplacedPost, ...]
    evidence: bool
    note: str
    limits: dict[str, Any]


EXAMPLE_PLAN = {
    "posts": [
        {"text": "Our new running shoes are here.", "id": "launch"},
        {"text": "Pre-orders close soon."},
    ],
    "tz": "Europe/Madrid",
    "spacing_hours": 6,
    "quiet": [{"from": "22:00", "to": "08:00"}],
    "never": [{"weekdays": [6, 7]}, {"dates": ["2026-12-25"]}],
}
PLAN_BODY = JsonBody(PlanRequest, EXAMPLE_PLAN)
CHANGE_BODY = JsonBody(ChangedSlot, {"at": "2026-12-09T17:30:00Z"})
BODIES = (PLAN_BODY, CHANGE_BODY)
SPAN_PARAMETERS, BULK_PARAMETERS = TypeAdapter(SpanParameters), TypeAdapter(BulkParameters)
SlotId = Annotated[str, Path(description="The id of a slot.", json_schema_extra={"format": "uuid"})]
router = APIRouter(responses=PROBLEMS)


@router.post("/plan", response_model=PlanResponse, status_code=201, openapi_extra=PLAN_BODY.openapi)
async def create_plan(request: Request) -> Response:
    """Find a slot for each text and store it; nothing is posted."""
    asked = await PLAN_BODY.read(request)
    account, store, now = account_of(request), store_of(request), datetime.now(UTC)
    settings = await stored(store.accounts.settings(account))
    start = max(asked.since or now, now)
    end = asked.until or (asked.since or now) + USUAL_SPAN
    _check(asked, settings.length_limit, start, end, now)
    zone = await zone_of(request, asked.tz)
    best = await stored(timing_of(request).best_times(store, account, zone))
    distance = least_distance(timedelta(hours=asked.spacing_hours))
    span = (start - distance, end + distance)
    slots_within = await asyncio.to_thread(_allowed, asked, start, end, zone)
    for _ in range(ATTEMPTS):
        taken = await stored(store.plan.taken(account, *span))
        made = await asyncio.to_thread(_plan, asked, slots_within, taken, best)
        rows = [
            (uuid_utils.compat.uuid7(), asked.posts[one.index].id, asked.posts[one.index].text, one.at, one.expected)
            for one in made.slots
        ]
        slots = await stored(store.plan.save(account, rows, zone.key, now, span, taken))
        if slots == "full":
            raise refused("posts", f"more than {MAX_SLOTS} posts would be planned: delete some of them")
        if slots != "changed":
            return as_json(_planned(asked, made, slots, best, language_of(request)), HTTPStatus.CREATED)
    raise unavailable("The plan changes too fast.")


@router.get("/plan", response_model=SlotList, openapi_extra=describe_parameters(SPAN_PARAMETERS))
async def list_plan(request: Request) -> Response:
    """List what is planned."""
    return as_json(SlotList(slots=_shown(await _slots(request, read_parameters(SPAN_PARAMETERS, request)))))


@router.get("/plan.ics", response_class=Response, openapi_extra=describe_parameters(SPAN_PARAMETERS))
async def plan_as_calendar(request: Request) -> Response:
    """The plan as a calendar, one event a post."""
    slots = await _slots(request, read_parameters(SPAN_PARAMETERS, request))
    written = await asyncio.to_thread(as_calendar, slots)
    return Response(written, headers=_file("plan.ics"), media_type="text/calendar")


@router.get("/plan.csv", response_class=Response, openapi_extra=describe_parameters(BULK_PARAMETERS))
async def plan_as_csv(request: Request) -> Response:
    """The plan as a bulk file of Buffer or Hootsuite, texts as they are."""
    asked = read_parameters(BULK_PARAMETERS, request)
    zone = await zone_of(request, asked.tz)
    slots = await _slots(request, asked, LEAD[asked.tool])
    rows = MAX_ROWS[asked.tool]
    if len(slots) > rows:
        cut = slots[rows].at.isoformat().replace("+00:00", "Z")
        raise refused("to", f"{asked.tool} takes {rows} rows and there are {len(slots)}: ask up to {cut}, then from it")
    if twice := [slot for slot in slots if shown_twice(slot.at.astimezone(zone))]:
        moment = twice[0].at.isoformat().replace("+00:00", "Z")
        raise refused("tz", f"clocks there show the time of the slot at {moment} twice that day: move it")
    written = await asyncio.to_thread(as_csv, slots, asked.tool, zone)
    return Response(written, headers=_file(f"plan-{asked.tool}.csv"), media_type="text/csv")


@router.put("/plan/{slot_id}", response_model=ShownSlot, openapi_extra=CHANGE_BODY.openapi)
async def change_slot(request: Request, slot_id: SlotId) -> Response:
    """Move a slot to another moment, or put another text into it."""
    wanted, account, store = await CHANGE_BODY.read(request), account_of(request), store_of(request)
    if wanted.at is None and wanted.text is None:
        raise refused("body", "names neither at nor text")
    if wanted.at is not None:
        _check_moment(wanted.at)
    if wanted.text is not None:
        _check_length("text", wanted.text, (await stored(store.accounts.settings(account))).length_limit)
    distance = least_distance(timedelta(0))
    changed = await stored(store.plan.change(account, _id(slot_id), wanted.at, wanted.text, distance))
    if changed is None:
        raise _unknown()
    if changed == "crowded":
        minutes = int(distance.total_seconds() // 60)
        near = [{"field": "at", "message": f"another post is planned less than {minutes} minutes from it"}]
        raise Problem(HTTPStatus.CONFLICT, "The moment is taken.", errors=near)
    return as_json(_shown([changed])[0])


@router.delete("/plan/{slot_id}", status_code=204)
async def delete_slot(request: Request, slot_id: SlotId) -> Response:
    """Take a slot out of the plan for good."""
    if not await stored(store_of(request).plan.delete(account_of(request), _id(slot_id))):
        raise _unknown()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _check(asked: PlanRequest, length_limit: int, start: datetime, end: datetime, now: datetime) -> None:
    """Refuse what pydantic could not know, named by field."""
    if asked.since and asked.since >= end:
        raise refused("to", "must be later than from")
    if end <= now:
        raise refused("to", "must lie in the future")
    if end - start > MAX_SPAN:
        raise refused("to", f"must lie within {MAX_SPAN.days} days of from")
    _check_rules(asked)
    for index, post in enumerate(asked.posts):
        if post.not_before and post.not_after and post.not_before >= post.not_after:
            raise refused(f"posts[{index}].not_after", "must be later than not_before")
        _check_length(f"posts[{index}].text", post.text, length_limit)


def _check_length(field: str, text: str, length_limit: int) -> None:
    if (length := weighted_length(text)) > length_limit:
        raise refused(field, f"{length} characters as X counts, and the account may post {length_limit}")


def _check_moment(at: datetime) -> None:
    if at <= datetime.now(UTC):
        raise refused("at", "must lie in the future")
    if at.second or at.microsecond or at.minute % WHOLE_MINUTES:
        raise refused("at", "must be on a whole five minutes")


def _check_rules(asked: PlanRequest) -> None:
    for index, rule in enumerate(asked.never):
        if not (rule.weekdays or rule.hours or rule.dates):
            raise refused(f"never[{index}]", "names neither weekdays, hours nor dates")
    for index, quiet in enumerate(asked.quiet):
        if quiet.since == quiet.until:
            raise refused(f"quiet[{index}].to", "must differ from from")


def _allowed(asked: PlanRequest, start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    quiet = [Quiet(time.fromisoformat(one.since), time.fromisoformat(one.until)) for one in asked.quiet]
    never = [Never(weekdays=set(one.weekdays), hours=set(one.hours), dates=set(one.dates)) for one in asked.never]
    return slots_between(start, end, zone, quiet, never)


def _plan(asked: PlanRequest, slots: Sequence[datetime], taken: Sequence[datetime], best: BestTimes) -> Plan:
    windows = [Window(not_before=post.not_before, not_after=post.not_after) for post in asked.posts]
    return plan(windows, slots, timedelta(hours=asked.spacing_hours), taken, best)


def _planned(
    asked: PlanRequest, made: Plan, slots: Sequence[Slot], best: BestTimes, language: Language
) -> PlanResponse:
    unplaced = tuple(
        UnplacedPost(index=index, id=asked.posts[index].id, reason=reason, message=REASONS[language][reason])
        for index, reason in made.unplaced
    )
    kind = "weighed" if made.evidence else "no_evidence" if best.supported else "too_few"
    return PlanResponse(
        slots=_shown(slots),
        unplaced=unplaced,
        evidence=made.evidence,
        note=NOTES[language][kind],
        limits=limits(),
    )


async def _slots(request: Request, span: SpanParameters, lead: timedelta | None = None) -> tuple[Slot, ...]:
    """The slots of a span; with a `lead` none that are due sooner, whatever is asked for."""
    now = datetime.now(UTC)
    since = now if span.since is None else span.since
    if lead is not None:
        since = max(since, now + lead)
    if span.since and span.until and span.since >= span.until:
        raise refused("to", "must be later than from")
    return await stored(store_of(request).plan.slots(account_of(request), since, span.until))


def _shown(slots: Sequence[Slot]) -> tuple[ShownSlot, ...]:
    return tuple(
        ShownSlot(**asdict(slot), local=slot.at.astimezone(ZoneInfo(slot.time_zone)).isoformat(timespec="minutes"))
        for slot in slots
    )


def _id(slot_id: str) -> UUID:
    try:
        return UUID(slot_id)
    except ValueError as error:
        raise _unknown() from error


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "There is no such slot.")


def _file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
