"""What experiments need of the store and the statistics: plans, counts as arms, conclusions as readings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import TypeAdapter

from deployments.http.experiment_bodies import PLAN, DayResult, Experiment, PlannedSize, TimeSlot
from pipelines.experiments.analysis import Split, analyze, needed_units
from pipelines.experiments.arms import Arm
from pipelines.experiments.bayes import allocation
from pipelines.experiments.decision import decide
from pipelines.experiments.power import expected_days
from pipelines.experiments.records import NewExperiment, Plan, PostCounts, SlotPlan, Variant, weights
from pipelines.experiments.results import Results
from pipelines.experiments.series import Series, series_of_posts, series_of_split
from pipelines.experiments.switchback import Alternation, Slot, decide_posts, schedule
from store.experiments import Counts, StoredExperiment, UnitsInTime
from store.templates import Reading

RESULTS = TypeAdapter(Results)
SECONDS_A_DAY = 86_400.0
# Before an hour has passed nobody knows how many units come in a day.
MIN_PACE_S = 3_600.0


def plan_of(new: NewExperiment) -> Plan:
    """The plan of a new experiment with what was left open: its control, channel and slots."""
    plan = Plan(**{field.name: getattr(new, field.name) for field in fields(Plan)})
    switchback = new.design == "switchback"
    return replace(
        plan,
        control=new.control or new.variants[0].name,
        channel=new.channel or ("organic" if switchback else "owned"),
        method="fixed" if switchback else new.method or "sequential",
        slots=(new.slots or SlotPlan()) if switchback else None,
    )


def check_size(new: NewExperiment) -> None:
    """Refuse a plan that nobody can carry out.

    Raises:
        ValueError: mde, a colon, and why.
    """
    if new.design == "split" and new.baseline_rate is not None:
        plan, variants = plan_of(new), variants_of(new)
        shares, control = [variant.weight for variant in variants], control_of(plan, variants)
        for method in (plan.method, None):
            try:
                needed_units(replace(plan, method=method), new.baseline_rate, shares, control)
            except ValueError as error:
                raise ValueError(f"mde: {error}; it would take more than 10^12 units") from error


def size_of(new: NewExperiment, now: datetime) -> PlannedSize:
    """What a plan that was checked needs: units at its rate, days at its pace; a switchback the days of its slots."""
    plan, variants = plan_of(new), variants_of(new)
    if plan.slots is not None:
        last = _slots(plan.slots, len(variants), now, seed=0)[-1]
        return PlannedSize(units_needed=None, expected_days=math.ceil((last.end - now) / timedelta(days=1)))
    if plan.baseline_rate is None:
        return PlannedSize(units_needed=None, expected_days=None)
    shares = [variant.weight for variant in variants]
    needed = needed_units(plan, plan.baseline_rate, shares, control_of(plan, variants))
    return PlannedSize(
        units_needed=needed, expected_days=expected_days(needed, plan.units_per_day) if plan.units_per_day else None
    )


def variants_of(new: NewExperiment) -> tuple[Variant, ...]:
    """The variants of a new experiment, each with its share."""
    return tuple(
        Variant(name=variant.name, content=variant.content, weight=weight, template_id=variant.template_id)
        for variant, weight in zip(new.variants, weights(new.variants), strict=True)
    )


def read_plan(experiment: StoredExperiment) -> Plan:
    """The plan as it was stored."""
    return PLAN.validate_json(experiment.plan)


def control_of(plan: Plan, variants: Sequence[Variant]) -> int:
    """The place of the control."""
    return next((place for place, variant in enumerate(variants) if variant.name == plan.control), 0)


def slots_of(experiment: StoredExperiment, plan: Plan) -> tuple[Slot, ...]:
    """The time slots of a switchback that was started, in order of time; none of any other experiment."""
    if plan.slots is None or experiment.started_at is None:
        return ()
    return _slots(
        plan.slots, len(experiment.variants), experiment.started_at.astimezone(UTC), seed=_seed(experiment.id)
    )


def shares_of(experiment: StoredExperiment, counts: Counts) -> tuple[float, ...]:
    """The shares of the next units that the events of a bandit speak for, in the variants' order."""
    plan = read_plan(experiment)
    return allocation(_split(experiment, plan, counts, experiment.created_at).arms, plan.floor)


def describe(experiment: StoredExperiment) -> Experiment:
    """The experiment as the routes show it."""
    plan = read_plan(experiment)
    names = [variant.name for variant in experiment.variants]
    slots = [
        TimeSlot(start=slot.start, end=slot.end, block=slot.block, variant=names[slot.variant_index])
        for slot in slots_of(experiment, plan)
    ]
    shares = [variant.weight for variant in experiment.variants]
    planned = plan.design == "split" and plan.baseline_rate is not None
    return Experiment(
        id=experiment.id,
        name=experiment.name,
        state=experiment.state,
        version=experiment.version,
        plan=plan,
        variants=experiment.variants,
        units_needed=needed_units(plan, plan.baseline_rate or 0.0, shares, control_of(plan, experiment.variants))
        if planned
        else None,
        schedule=tuple(slots) if plan.design == "switchback" else None,
        created_at=experiment.created_at,
        started_at=experiment.started_at,
        stopped_at=experiment.stopped_at,
        concluded_at=experiment.concluded_at,
        conclusion=RESULTS.validate_json(experiment.conclusion) if experiment.conclusion else None,
    )


def results_of(experiment: StoredExperiment, counts: Counts, posts: tuple[PostCounts, ...], now: datetime) -> Results:
    """What the experiment says by what is stored of it."""
    if experiment.conclusion:
        return RESULTS.validate_json(experiment.conclusion)
    plan = read_plan(experiment)
    if plan.design == "split":
        results = decide(plan, analyze(plan, _split(experiment, plan, counts, now)))
    else:
        results = decide_posts(plan, _alternation(experiment, plan, posts, now))
    if experiment.state == "draft":
        return replace(results, decided_by="state", reason="The experiment has not started: POST its /start.")
    return results


def read_at(experiment: StoredExperiment) -> int | None:
    """How many units a fixed split is read at; None where all that came count."""
    plan = read_plan(experiment)
    if plan.design != "split" or plan.method != "fixed" or plan.baseline_rate is None:
        return None
    shares = [variant.weight for variant in experiment.variants]
    return needed_units(plan, plan.baseline_rate, shares, control_of(plan, experiment.variants))


def days_of(experiment: StoredExperiment, counts: Counts) -> tuple[DayResult, ...]:
    """The units of each variant by day, in order of time."""
    days = [
        DayResult(
            day=count.day,
            variant=experiment.variants[count.variant].name,
            impressions=count.exposed,
            engagements=count.engaged,
        )
        for count in counts.days
    ]
    return tuple(sorted(days, key=lambda one: one.day))


def series_of(
    experiment: StoredExperiment, units: Sequence[UnitsInTime], posts: tuple[PostCounts, ...], now: datetime
) -> Series:
    """How the experiment went by what is stored of it: a point for each part of the time in which something came."""
    plan = read_plan(experiment)
    if plan.design == "switchback":
        return series_of_posts(plan, _alternation(experiment, plan, posts, now))
    split = _split(experiment, plan, Counts(), now)
    days = sorted({told.day for told in units})
    place_of = {day: place for place, day in enumerate(days)}
    exposed = np.zeros((len(split.names), len(days)))
    engaged = np.zeros_like(exposed)
    came: dict[datetime, list[tuple[NDArray[np.float64], UnitsInTime]]] = {}
    for told in units:
        came.setdefault(told.exposed_by, []).append((exposed, told))
        if told.engaged_by is not None:
            came.setdefault(told.engaged_by, []).append((engaged, told))
    looks = [(experiment.started_at or experiment.created_at, split)]
    for at in sorted(came):
        for counted, told in came[at]:
            counted[told.variant, place_of[told.day]] += told.units
        # Days on which nobody was exposed yet are no cells.
        known = exposed.any(axis=0)
        cells = tuple(
            tuple(map(Arm, row_exposed[known].tolist(), row_engaged[known].tolist()))
            for row_exposed, row_engaged in zip(exposed, engaged, strict=True)
        )
        looks.append((at, replace(split, cells=cells)))
    return series_of_split(plan, looks)


def conclusion_of(
    experiment: StoredExperiment, counts: Counts, posts: tuple[PostCounts, ...], now: datetime
) -> tuple[bytes, list[Reading]]:
    """The results as JSON, and what they say of each variant, or of each post of a switchback, as readings."""
    results = results_of(experiment, counts, posts, now)
    plan = read_plan(experiment)
    if plan.design == "split":
        readings = [
            Reading(
                account_id=experiment.account_id,
                post_id=f"ab-test/{experiment.id}/{place}",
                template_id=variant.template_id,
                impressions=result.impressions,
                engagements=result.engagements,
                retweets=None,
                likes=None,
                captured_at=now,
                compared_rate=rate,
            )
            for place, (variant, result) in enumerate(zip(experiment.variants, results.variants, strict=True))
            if result.impressions and (rate := _rate_of_others(results, place)) is not None
        ]
    else:
        readings = [
            Reading(
                account_id=experiment.account_id,
                post_id=post.post_id,
                template_id=experiment.variants[slot.variant_index].template_id,
                impressions=post.impressions,
                engagements=post.likes + post.retweets,
                retweets=post.retweets,
                likes=post.likes,
                captured_at=post.captured_at or now,
                compared_rate=rate,
            )
            for post, slot in _alternation(experiment, plan, posts, now).placed()
            # Likes and retweets alone count here: they would always lose to the median of X's own wider engagements.
            if (rate := _rate_of_others(results, slot.variant_index)) is not None
        ]
    return orjson.dumps(results), readings


def _rate_of_others(results: Results, place: int) -> float | None:
    others = [variant for other, variant in enumerate(results.variants) if other != place]
    impressions = sum(variant.impressions for variant in others)
    # Counts of posts are as they were told, also above the impressions.
    return min(sum(variant.engagements for variant in others) / impressions, 1.0) if impressions else None


def _split(experiment: StoredExperiment, plan: Plan, counts: Counts, now: datetime) -> Split:
    days = sorted({count.day for count in counts.days})
    cells = {(count.variant, count.day): Arm(count.exposed, count.engaged) for count in counts.days}
    units = sum(count.exposed for count in counts.days)
    ran = ((experiment.stopped_at or now) - experiment.started_at).total_seconds() if experiment.started_at else 0.0
    return Split(
        names=tuple(variant.name for variant in experiment.variants),
        control=control_of(plan, experiment.variants),
        weights=tuple(variant.weight for variant in experiment.variants),
        cells=tuple(
            tuple(cells.get((place, day), Arm(0, 0)) for day in days) for place in range(len(experiment.variants))
        ),
        # Ads are split by whoever shows them, and a bandit's units may have been assigned by earlier weights.
        mismatched=sum(count.mismatched for count in counts.days)
        if plan.channel == "owned" and plan.allocation == "equal"
        else None,
        crossed=counts.crossed,
        misdated=sum(count.misdated for count in counts.days),
        engaged_early=sum(count.engaged_early for count in counts.days),
        after_stop=sum(count.after_stop for count in counts.days),
        unexposed=counts.unexposed,
        beyond=counts.beyond,
        ended=experiment.state in {"stopped", "concluded"},
        units_per_day=units * SECONDS_A_DAY / ran if ran >= MIN_PACE_S and units else None,
    )


def _alternation(experiment: StoredExperiment, plan: Plan, posts: tuple[PostCounts, ...], now: datetime) -> Alternation:
    slots = slots_of(experiment, plan)
    return Alternation(
        names=tuple(variant.name for variant in experiment.variants),
        control=control_of(plan, experiment.variants),
        slots=slots,
        posts=posts,
        seed=_seed(experiment.id),
        over=bool(slots) and now - slots[-1].end >= timedelta(0),
        ended=experiment.state in {"stopped", "concluded"},
    )


def _slots(plan: SlotPlan, n_variants: int, start: datetime, *, seed: int) -> tuple[Slot, ...]:
    return schedule(
        start,
        n_variants,
        slot_minutes=plan.slot_minutes,
        washout_minutes=plan.washout_minutes,
        n_blocks=plan.blocks,
        seed=seed,
        weekdays=plan.weekdays,
        hours=(plan.from_hour, plan.to_hour),
    )


def _seed(experiment_id: UUID) -> int:
    return experiment_id.int % 2**63
