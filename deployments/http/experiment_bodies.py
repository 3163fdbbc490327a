"""What /ab-test takes and gives beyond the records of pipelines.experiments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import ConfigDict, TypeAdapter

from deployments.http.best_times import TimeZone
from deployments.http.bodies import JsonBody
from pipelines.experiments.records import (
    MAX_EVENTS,
    MAX_POSTS,
    Design,
    Event,
    NewExperiment,
    Plan,
    PostCounts,
    State,
    Unit,
    Variant,
)
from pipelines.experiments.results import Results
from pipelines.experiments.series import Series
from pipelines.records import STRICT, Language, Moment


@dataclass(frozen=True, kw_only=True)
class Change:
    """Which `version` of the experiment is to be changed: another one by now is 409. Without, whichever it is."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    version: Annotated[int, Ge(1), Le(2**31 - 1)] | None = None


@dataclass(frozen=True, kw_only=True)
class EventBatch:
    """Events of one experiment; each is taken or refused by itself."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    events: Annotated[tuple[Event, ...], MaxLen(MAX_EVENTS)]


@dataclass(frozen=True, kw_only=True)
class PostBatch:
    """Posts of a switchback with their counts; each is taken or refused by itself."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    posts: Annotated[tuple[PostCounts, ...], MinLen(1), MaxLen(MAX_POSTS)]


@dataclass(frozen=True, kw_only=True)
class AssignParameters:
    """The unit of a split, or the moment of a switchback: now where none is given."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    unit: Unit | None = None
    at: Moment | None = None


@dataclass(frozen=True, kw_only=True)
class PageParameters:
    """Which experiments to list, the newest first; `cursor` is the `next_cursor` of the page before."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    state: State | None = None
    limit: Annotated[int, Ge(1), Le(200)] = 50
    cursor: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class TimeSlot:
    """A time in which posts are of one variant; `block` holds one slot of each variant."""

    start: datetime
    end: datetime
    block: int
    variant: str


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment; `units_needed` in all variants together is None where no rate is planned with.

    `schedule` are the slots of a switchback, from its start on; `conclusion` what was found, once it is concluded.
    """

    id: UUID
    name: str
    state: State
    version: int
    plan: Plan
    variants: tuple[Variant, ...]
    units_needed: int | None
    schedule: tuple[TimeSlot, ...] | None
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    concluded_at: datetime | None
    conclusion: Results | None


@dataclass(frozen=True, kw_only=True)
class ExperimentPage:
    """Experiments, the newest first; `next_cursor` is null on the last page."""

    experiments: tuple[Experiment, ...]
    next_cursor: UUID | None


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The variant that a unit sees, by its `bucket` in [0, 1); of a switchback the one whose slot it is, `until`."""

    variant: str
    content: str | None
    bucket: float | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why one event or post was not taken."""

    index: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """How many of a batch were new, how many were there already, and which were refused; all new ones are committed."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, kw_only=True)
class DayResult:
    """Units of a variant that were first exposed on a day (UTC), and how many of them engaged, then or later."""

    day: date
    variant: str
    impressions: int
    engagements: int


@dataclass(frozen=True, kw_only=True)
class ExperimentResults(Results):
    """What an experiment says, and which one it is; `days` of a split in order of time."""

    id: UUID
    name: str
    state: State
    version: int
    design: Design
    days: tuple[DayResult, ...]


@dataclass(frozen=True, kw_only=True)
class ExperimentSeries(Series):
    """How an experiment went, and which one it is."""

    id: UUID
    name: str
    state: State
    version: int


@dataclass(frozen=True, kw_only=True)
class PlannedSize:
    """How many units a plan needs in all variants together, and how many days that takes; None where no rate is told.

    A switchback has no units: of it `units_needed` is None and `expected_days` those of its schedule.
    """

    units_needed: int | None
    expected_days: int | None


@dataclass(frozen=True, kw_only=True)
class PictureParameters:
    """The language of the words in a picture, without one as Accept-Language has it, and the IANA time zone."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    language: Language | None = None
    tz: TimeZone | None = None


EXAMPLE_EXPERIMENT = {
    "name": "question or statement",
    "variants": [
        {"name": "statement", "content": "Our new running shoes are here."},
        {"name": "question", "content": "Ready for your next run? Our new shoes are here."},
    ],
    "channel": "ads",
    "mde": 0.2,
    "baseline_rate": 0.03,
}
EXAMPLE_EVENTS = {
    "events": [
        {"event_id": "1", "unit": "user-1", "variant": "statement", "type": "impression"},
        {"event_id": "2", "unit": "user-1", "variant": "statement", "type": "engagement"},
    ]
}
EXAMPLE_POSTS = {
    "posts": [
        {"post_id": "17", "posted_at": "2026-11-23T17:05:00Z", "impressions": 1200, "likes": 30, "retweets": 4},
    ]
}
NEW_BODY = JsonBody(NewExperiment, EXAMPLE_EXPERIMENT)
CHANGE_BODY = JsonBody(Change, {}, required=False)
EVENT_BODY = JsonBody(EventBatch, EXAMPLE_EVENTS, items="events", may_be_empty=True)
POST_BODY = JsonBody(PostBatch, EXAMPLE_POSTS, items="posts")
EXPERIMENT_BODIES = (NEW_BODY, CHANGE_BODY, EVENT_BODY, POST_BODY)
ASSIGN_PARAMETERS = TypeAdapter(AssignParameters)
PAGE_PARAMETERS = TypeAdapter(PageParameters)
PICTURE_PARAMETERS = TypeAdapter(PictureParameters)
PLAN = TypeAdapter(Plan)
