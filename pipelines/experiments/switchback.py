"""Experiments with organic posts: an account cannot split its audience, so variants take turns in time.

A block is one run of adjacent equal slots of one day and hour band, one slot for each variant in random order, so that
weekday, hour and drift move all variants of a block alike. What is compared are posts, never impressions: those of one
post share its fate. Bojinov, Simchi-Levi, Zhao 2023 (Management Science 69); the test is in `permutation.py`.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipelines.experiments.decision import called, overall
from pipelines.experiments.permutation import Post, SwitchbackResult, permutation_test
from pipelines.experiments.records import Plan, PostCounts, Verdict
from pipelines.experiments.results import Lift, Results, Tests, VariantResult

EVERY_DAY: Final = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Slot:
    """The half-open time [start, end) in UTC in which posts are of one variant."""

    start: dt.datetime
    end: dt.datetime
    block: int
    variant_index: int


def schedule(
    start: dt.datetime,
    n_variants: int,
    *,
    slot_minutes: int,
    washout_minutes: int,
    n_blocks: int,
    seed: int,
    weekdays: Collection[int] = EVERY_DAY,
    hours: tuple[int, int] = (0, 24),
) -> tuple[Slot, ...]:
    """Return the slots of n_blocks blocks from `start` on, in order of time; the same for the same arguments.

    Each slot is followed by a washout, in which no post counts. A block lies within one day, on `weekdays` (0 is
    Monday) and within `hours` (from, to; 0 to 24), as the time zone of `start` has them; days without the
    last hour or with an hour twice included. Each variant has one slot a block.

    Raises:
        ValueError: a start without time zone, fewer than 2 variants, no block or slot, a negative washout or seed,
            weekdays or hours that do not exist, or a block that does not fit into the hours of a day.
    """
    if start.tzinfo is None or start.utcoffset() is None:
        raise ValueError("start needs a time zone")
    if n_variants < 2 or n_blocks < 1 or slot_minutes < 1 or washout_minutes < 0 or seed < 0:
        raise ValueError("at least 2 variants, 1 block, 1 minute a slot, no negative washout and no negative seed")
    if not weekdays or not EVERY_DAY.issuperset(weekdays) or not 0 <= hours[0] < hours[1] <= 24:
        raise ValueError("weekdays are 0 to 6 and hours run from 0 to 24")
    step = dt.timedelta(minutes=slot_minutes + washout_minutes)
    if n_variants * step - dt.timedelta(minutes=washout_minutes) > dt.timedelta(hours=hours[1] - hours[0]):
        raise ValueError("a block does not fit into the hours of a day")
    rng = np.random.default_rng(seed)
    slots: list[Slot] = []
    day, moment = start.date(), start.astimezone(dt.UTC)
    while len(slots) < n_blocks * n_variants:
        opens, closes = (_at(day, hour, start.tzinfo) for hour in hours)
        day += dt.timedelta(days=1)
        if (day - dt.timedelta(days=1)).weekday() not in weekdays:
            continue
        moment = max(moment, opens)
        while moment + n_variants * step - dt.timedelta(minutes=washout_minutes) <= closes:
            block = len(slots) // n_variants
            if block == n_blocks:
                break
            for variant in rng.permutation(n_variants).tolist():
                slots.append(Slot(moment, moment + dt.timedelta(minutes=slot_minutes), block, variant))
                moment += step
    return tuple(slots)


def slot_at(slots: Sequence[Slot], moment: dt.datetime) -> Slot | None:
    """Return the slot of `slots`, in order of time, that holds `moment`; None in a washout or outside all of them.

    Raises:
        ValueError: a moment without time zone.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError("moment needs a time zone")
    index = bisect.bisect_right(slots, moment, key=lambda slot: slot.start) - 1
    return slots[index] if index >= 0 and moment < slots[index].end else None


@dataclass(frozen=True, kw_only=True)
class Alternation:
    """What a switchback is decided from: variants in their order, their slots in order of time, and the posts so far.

    `seed` makes drawn permutations the same at every look; `over` says that no slot is left, `ended` that it was
    stopped.
    """

    names: tuple[str, ...]
    control: int
    slots: tuple[Slot, ...]
    posts: tuple[PostCounts, ...]
    seed: int
    over: bool
    ended: bool = False

    def placed(self) -> list[tuple[PostCounts, Slot]]:
        """The posts that count, with their slots; those of washouts and other times are left out."""
        slots = ((post, slot_at(self.slots, post.posted_at)) for post in self.posts)
        return [(post, slot) for post, slot in slots if slot]


def decide_posts(plan: Plan, found: Alternation) -> Results:
    """Return the figures of a switchback and its decision, which is made once, when its last slot is over."""
    placed = found.placed()
    result = permutation_test(
        [Post(slot.block, slot.variant_index, post.impressions or 0, post.likes + post.retweets)
         for post, slot in placed],
        len(found.names),
        seed=found.seed,
        control=found.control,
        alpha=plan.alpha,
    )  # fmt: skip
    compared = {found.names[one.variant_index]: one for one in result.comparisons}
    results = Results(
        variants=tuple(_variant(name, place, placed) for place, name in enumerate(found.names)),
        control=found.names[found.control],
        p_value=result.p_value,
        always_valid_p=None,
        lift={
            name: Lift(
                relative=one.lift,
                relative_interval=None if one.low is None or one.high is None else (one.low, one.high),
            )
            for name, one in compared.items()
        },
        tests={name: Tests(p_value=one.p_value, adjusted_p_value=one.p_adjusted) for name, one in compared.items()},
        chance_to_beat={},
        chance_to_be_best={},
        expected_loss={},
        srm_p=None,
        overdispersion=None,
        size=None,
        warnings=_warnings(found, placed, result),
        decided_by="schedule",
    )
    return _decided(plan, found, results, result)


def _at(day: dt.date, hour: int, zone: dt.tzinfo) -> dt.datetime:
    midnight = dt.datetime.combine(day + dt.timedelta(days=hour // 24), dt.time(hour % 24), zone)
    return midnight.astimezone(dt.UTC)


def _variant(name: str, place: int, placed: Sequence[tuple[PostCounts, Slot]]) -> VariantResult:
    posts = [post for post, slot in placed if slot.variant_index == place and post.impressions]
    impressions = sum(post.impressions or 0 for post in posts)
    engagements = sum(post.likes + post.retweets for post in posts)
    rate = engagements / impressions if impressions else None
    return VariantResult(
        name=name, impressions=impressions, engagements=engagements, rate=rate, interval=None, posts=len(posts)
    )


def _warnings(
    found: Alternation, placed: Sequence[tuple[PostCounts, Slot]], result: SwitchbackResult
) -> tuple[str, ...]:
    counts = {
        "posts in a washout or outside the schedule, not counted": len(found.posts) - len(placed),
        "posts without impressions, not counted": result.posts_without_impressions,
        "blocks without a post of every variant, not counted": result.incomplete_blocks,
    }
    return tuple(f"{what}: {count:,}" for what, count in counts.items() if count)


def _decided(plan: Plan, found: Alternation, results: Results, result: SwitchbackResult) -> Results:
    blocks = (
        f"{result.blocks} of {len(Counter(slot.block for slot in found.slots))} blocks have a post of every variant"
    )
    if not found.slots:
        return replace(results, reason="The experiment has not started.")
    if not found.over:
        ends = found.slots[-1].end
        if found.ended:
            return replace(results, reason=f"It ended before its last slot was over, so nothing can be read; {blocks}.")
        return replace(
            results,
            reason=f"A switchback is read once, when its last slot is over ({ends:%Y-%m-%d %H:%M} UTC); {blocks}.",
        )
    if result.p_value is None:
        return replace(results, decided_by="posts", reason=f"Nothing can be compared: {blocks}.")
    verdicts: dict[str, Verdict] = {
        name: called(plan, test.adjusted_p_value, results.lift[name].relative) or "futile"
        for name, test in results.tests.items()
    }
    best = max(verdicts, key=lambda name: (verdicts[name] == "win", results.lift[name].relative or 0.0))
    decision = overall(list(verdicts.values()))
    lift, p_value = results.lift[best].relative or 0.0, results.tests[best].adjusted_p_value
    said = f"permutation p {p_value:.3g} over {result.blocks} blocks of posts; alpha {plan.alpha:g}"
    reason = {
        "win": f"{best} beats {results.control} by {lift:.1%} ({said}).",
        "lose": f"Keep {results.control}: {best} does worse by {abs(lift):.1%} ({said}).",
    }.get(decision, f"No variant differs from {results.control} ({said}).")
    return replace(
        results,
        verdicts=verdicts,
        decision=decision,
        winner={"win": best, "lose": results.control}.get(decision),
        decided_by="adjusted_p_value",
        reason=reason,
    )
