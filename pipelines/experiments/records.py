"""The records of an experiment: what is decided before it starts, and what is told while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import ConfigDict, StringConstraints

from pipelines.records import STRICT, Count, Moment, ShortText, Text

Design = Literal["split", "switchback"]
Channel = Literal["owned", "ads", "organic"]
Method = Literal["sequential", "fixed"]
Allocation = Literal["equal", "bandit"]
Correction = Literal["holm", "benjamini_hochberg"]
State = Literal["draft", "running", "stopped", "concluded"]
EventType = Literal["impression", "engagement"]
Verdict = Literal["win", "lose", "futile", "keep_going", "invalid"]

MIN_VARIANTS, MAX_VARIANTS = 2, 20
MAX_EVENTS, MAX_POSTS = 10_000, 1_000
WEIGHT_TOLERANCE = 1e-6

# Ids are compared byte by byte, so nothing in them is normalized; what no terminal or log should print is refused.
NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f]+$"
EventId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NO_CONTROL)]
Unit = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NO_CONTROL)]
Share = Annotated[float, Gt(0), Lt(1)]


@dataclass(frozen=True, kw_only=True)
class NewVariant:
    """One thing to try; `weight` is its share of the units, `template_id` the template that wrote `content`."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: ShortText
    content: Text | None = None
    weight: Annotated[float, Ge(0), Le(1)] | None = None
    template_id: Annotated[int, Ge(1), Le(2**63 - 1)] | None = None


@dataclass(frozen=True, kw_only=True)
class SlotPlan:
    """The time slots of a switchback: `blocks` of one slot a variant, each `slot_minutes` long.

    Between two slots lie `washout_minutes` in which no post counts. Blocks lie between `from_hour` and `to_hour` of
    `weekdays` (0 is Monday), UTC.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    blocks: Annotated[int, Ge(6), Le(500)] = 20
    slot_minutes: Annotated[int, Ge(10), Le(1440)] = 180
    washout_minutes: Annotated[int, Ge(0), Le(720)] = 30
    from_hour: Annotated[int, Ge(0), Le(23)] = 0
    to_hour: Annotated[int, Ge(1), Le(24)] = 24
    weekdays: Annotated[tuple[Annotated[int, Ge(0), Le(6)], ...], MinLen(1), MaxLen(7)] = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is decided before an experiment starts and never changed after it.

    `mde` is the smallest lift worth finding, relative to the control's rate: .1 is 10 %. `alpha` is the share of tests
    without any difference that may be called one, over all looks and all variants; `power` the share of tests with a
    lift of `mde` that should be called. `method` says when a difference may be called: sequential, the default, at any
    look; fixed once, at the planned size, which needs `baseline_rate`, the control's expected rate. A switchback is
    always fixed, at the end of its schedule, and uses neither `mde` nor `power`. `design_effect` is how many
    times larger the variance of a difference is taken to be than that of independent units: 1 trusts them, 1.85 is
    what identical packages at Upworthy showed (1.36 squared); what the data show counts where it is larger. `metric`
    names what an engagement is. `channel` is owned for a split and organic for a switchback unless told.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    control: ShortText | None = None
    metric: ShortText = "engagement"
    design: Design = "split"
    channel: Channel | None = None
    method: Method | None = None
    allocation: Allocation = "equal"
    correction: Correction = "holm"
    alpha: Annotated[float, Ge(0.0001), Le(0.4)] = 0.05
    power: Annotated[float, Ge(0.5), Le(0.9999)] = 0.8
    mde: Annotated[float, Ge(0.001), Le(10)] = 0.1
    baseline_rate: Share | None = None
    design_effect: Annotated[float, Ge(1), Le(100)] = 1.0
    units_per_day: Annotated[float, Gt(0), Le(1e12)] | None = None
    floor: Annotated[float, Ge(0), Lt(0.5)] = 0.05
    slots: SlotPlan | None = None


@dataclass(frozen=True, kw_only=True)
class NewExperiment(Plan):
    """An experiment to create; it starts at once unless `start` is false. The first variant is control unless named."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: ShortText
    variants: Annotated[tuple[NewVariant, ...], MinLen(MIN_VARIANTS), MaxLen(MAX_VARIANTS)]
    start: bool = True


@dataclass(frozen=True, kw_only=True)
class Event:
    """A unit saw a variant, or engaged with it; `at` is when, and when it came in where nobody says.

    An event id counts once within an experiment, whatever comes with it the second time. A unit is engaged where one of
    its engagements with a variant is not before its first impression of it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    event_id: EventId
    unit: Unit
    variant: str
    type: EventType
    at: Moment | None = None


@dataclass(frozen=True, kw_only=True)
class PostCounts:
    """One post of a switchback with its counts at `captured_at`; engagement = likes + retweets."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    post_id: EventId
    posted_at: Moment
    impressions: Count | None = None
    likes: Count
    retweets: Count
    captured_at: Moment | None = None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant with its share of the units in [0, 1]."""

    name: str
    content: str | None
    weight: float
    template_id: int | None


def weights(variants: tuple[NewVariant, ...]) -> tuple[float, ...]:
    """Return each variant's share of the units: as told, or equal where none is told.

    Raises:
        ValueError: some have one and others do not, or they do not sum to 1.
    """
    told = [variant.weight for variant in variants if variant.weight is not None]
    if not told:
        return (1 / len(variants),) * len(variants)
    if len(told) < len(variants):
        raise ValueError("variants: give every variant a weight, or none")
    if not math.isclose(math.fsum(told), 1, abs_tol=WEIGHT_TOLERANCE):
        raise ValueError(f"variants: the weights sum to {math.fsum(told):g}, not to 1")
    return tuple(told)


def check(experiment: NewExperiment) -> None:
    """Refuse what does not go together.

    Raises:
        ValueError: the field's name, a colon, and what to do about it.
    """
    names = [variant.name for variant in experiment.variants]
    if len(set(names)) < len(names):
        raise ValueError("variants: two have the same name")
    if experiment.control is not None and experiment.control not in names:
        raise ValueError("control: no variant has this name")
    shares = weights(experiment.variants)
    for problem in (_design_problem(experiment), _method_problem(experiment), _weight_problem(experiment, shares)):
        if problem:
            raise ValueError(problem)


def _design_problem(experiment: NewExperiment) -> str | None:
    if experiment.design == "switchback":
        if experiment.method == "sequential":
            return "method: a switchback is read once, when its last slot is over"
        return _slot_problem(experiment.slots or SlotPlan(), len(experiment.variants), experiment.alpha)
    if experiment.slots:
        return "slots: only a switchback has time slots"
    if experiment.channel == "organic":
        return (
            "design: an account cannot show a post to half of its followers, and impressions of one post are no "
            "independent units; use switchback, which alternates the variants over random time slots"
        )
    return None


def _slot_problem(slots: SlotPlan, n_variants: int, alpha: float) -> str | None:
    # Two variants have 2^blocks orders, of which the two extreme ones are the surest; Holm multiplies by the others.
    if (n_variants - 1) * 2.0 ** (1 - slots.blocks) > alpha:
        return f"slots: with {slots.blocks} blocks no order of the posts is rare enough for this alpha; take more"
    minutes = n_variants * (slots.slot_minutes + slots.washout_minutes) - slots.washout_minutes
    if (slots.to_hour - slots.from_hour) * 60 < minutes:
        return f"slots: a block takes {minutes} minutes, which do not fit between from_hour and to_hour"
    return None


def _method_problem(experiment: NewExperiment) -> str | None:
    if experiment.design == "switchback":
        return None
    if experiment.method == "fixed" and experiment.baseline_rate is None:
        return "baseline_rate: a fixed test needs the control's expected rate, which decides how many units it takes"
    if experiment.baseline_rate is not None and experiment.baseline_rate * (1 + experiment.mde) >= 1:
        return "mde: the control's rate with this lift would be 1 or more"
    return None


def _weight_problem(experiment: NewExperiment, shares: tuple[float, ...]) -> str | None:
    weighted = any(variant.weight is not None for variant in experiment.variants)
    if experiment.design == "switchback" and (weighted or experiment.allocation == "bandit"):
        field = "variants" if weighted else "allocation"
        return f"{field}: every block of a switchback holds each variant once; weights and bandits are for a split"
    if experiment.allocation == "bandit" and experiment.method == "fixed":
        return "method: a bandit moves units while it runs, so there is no fixed test of it"
    if experiment.allocation == "bandit" and experiment.floor * len(shares) > 1:
        return "floor: the floors of all variants sum to more than 1"
    if experiment.allocation == "equal" and 0 in shares:
        return "variants: a weight of 0 gives a variant no units"
    return None
