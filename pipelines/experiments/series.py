"""How an experiment went: what `analysis` says of the counts at each point of its time, and the blocks of a switchback.

It does not know where the counts come from, nor how they are drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scipy.stats import norm

from pipelines.experiments.analysis import Pair, Split, needed_units, overdispersion, relative_lift, tests_of, tuned_to
from pipelines.experiments.arms import Arm, wilson
from pipelines.experiments.dispersion import effective
from pipelines.experiments.permutation import Post, outcomes_by_slot
from pipelines.experiments.records import Allocation, Design, Plan
from pipelines.experiments.results import Interval
from pipelines.experiments.sequential import adaptive_look, boundary
from pipelines.experiments.significance import needs_exact, pooled_z, srm
from pipelines.experiments.switchback import Alternation


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One variant at a point: its counts, and of all but the control how it compares, as in Results.

    `statistic` is the z that the test decides by, variant minus control and guarded; its size must reach `boundary`,
    which allows for all variants, for the variant to be called. Before a fixed test has its size there is no boundary;
    both are None where the counts are too small for a z.
    """

    impressions: int
    engagements: int
    rate: float | None
    interval: Interval | None
    relative: float | None = None
    relative_interval: Interval | None = None
    always_valid_interval: Interval | None = None
    adjusted_p_value: float | None = None
    adjusted_always_valid_p: float | None = None
    statistic: float | None = None
    boundary: float | None = None


@dataclass(frozen=True, kw_only=True)
class Point:
    """All that was known `at` a moment: `units` of all variants together, each variant by name, and the split's p."""

    at: datetime
    units: int
    srm_p: float | None
    variants: dict[str, Standing]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One slot of a switchback with its posts; `rate` is the geometric mean of theirs, None without impressions."""

    block: int
    start: datetime
    variant: str
    posts: int
    rate: float | None


@dataclass(frozen=True, kw_only=True)
class Series:
    """How an experiment went: `points` of a split, `blocks` of a switchback, each in order of time.

    `needed` is the size at which a fixed split is read, None of any other.
    """

    design: Design
    allocation: Allocation
    control: str
    alpha: float
    needed: int | None = None
    names: tuple[str, ...]
    points: tuple[Point, ...] = ()
    blocks: tuple[Block, ...] = ()


def series_of_split(plan: Plan, looks: Sequence[tuple[datetime, Split]]) -> Series:
    """Return how a split went from what was known at each look; the last is what /results says.

    Raises:
        ValueError: no look.
    """
    if not looks:
        raise ValueError("a series needs a look, if only an empty one")
    _, last = looks[-1]
    fixed = plan.method == "fixed" and plan.baseline_rate is not None
    needed = needed_units(plan, plan.baseline_rate or 0.0, last.weights, last.control) if fixed else None
    tuned = tuned_to(plan, last)
    return Series(
        design=plan.design,
        allocation=plan.allocation,
        control=last.names[last.control],
        alpha=plan.alpha,
        needed=needed,
        names=last.names,
        points=tuple(_point(plan, at, split, tuned, needed) for at, split in looks if any(arm.n for arm in split.arms)),
    )


def series_of_posts(plan: Plan, found: Alternation) -> Series:
    """Return the slots of a switchback that have posts, block by block, with what the permutation test compares."""
    posts = [
        Post(slot.block, slot.variant_index, post.impressions or 0, post.likes + post.retweets)
        for post, slot in found.placed()
    ]
    outcomes, counted = outcomes_by_slot(posts), Counter((post.block, post.variant_index) for post in posts)
    blocks: list[Block] = []
    for slot in found.slots:
        place = slot.block, slot.variant_index
        if counted[place]:
            logs = outcomes.get(place)
            blocks.append(
                Block(
                    block=slot.block,
                    start=slot.start,
                    variant=found.names[slot.variant_index],
                    posts=counted[place],
                    rate=math.exp(math.fsum(logs) / len(logs)) if logs else None,
                )
            )
    return Series(
        design=plan.design,
        allocation=plan.allocation,
        control=found.names[found.control],
        alpha=plan.alpha,
        names=found.names,
        blocks=tuple(blocks),
    )


def _point(plan: Plan, at: datetime, split: Split, tuned: Sequence[float], needed: int | None) -> Point:
    arms, control = split.arms, split.arms[split.control]
    pairs = [(control, arms[place]) for place in split.others]
    used = overdispersion(plan, split).used
    guarded = [(effective(a, used), effective(b, used)) for a, b in pairs]
    tests = tests_of(plan, pairs, guarded, tuned)
    units = round(sum(arm.n for arm in arms))
    fixed = plan.method == "fixed"
    by = [test.guarded_p_value if fixed else test.guarded_always_valid_p for test in tests]
    levels = _levels(plan, [1.0 if p is None else p for p in by])
    readable = not fixed or (needed is not None and units >= needed)
    standings = {split.control: _standing(control, plan.alpha)}
    for place, pair, shares, tune, test, level in zip(split.others, pairs, guarded, tuned, tests, levels, strict=True):
        lift = relative_lift(plan, pair, shares, tune, len(pairs))
        statistic, limit = _look(plan, shares, tune, level) or (None, None)
        standings[place] = replace(
            _standing(arms[place], plan.alpha),
            relative=lift.relative,
            relative_interval=lift.relative_interval,
            always_valid_interval=lift.always_valid_interval,
            adjusted_p_value=test.adjusted_p_value,
            adjusted_always_valid_p=test.adjusted_always_valid_p,
            statistic=statistic,
            boundary=limit if readable else None,
        )
    return Point(
        at=at,
        units=units,
        srm_p=None if plan.allocation == "bandit" else srm([arm.n for arm in arms], split.weights),
        variants={name: standings[place] for place, name in enumerate(split.names)},
    )


def _standing(arm: Arm, alpha: float) -> Standing:
    return Standing(
        impressions=round(arm.n),
        engagements=round(arm.total),
        rate=arm.mean if arm.n else None,
        interval=wilson(arm, alpha) if arm.n else None,
    )


def _look(plan: Plan, pair: Pair, tuned: float, level: float) -> tuple[float, float] | None:
    """Return the statistic of a guarded pair and what it must reach; None where no z is to be trusted."""
    if plan.allocation == "bandit":
        return adaptive_look(*pair, plan.alpha, tuned, level)
    if needs_exact(pair):
        return None
    z = pooled_z(*pair)
    if plan.method == "fixed":
        return z, float(norm.isf(level / 2))
    return z, boundary(pair[0].n + pair[1].n, plan.alpha, tuned, level)


def _levels(plan: Plan, p_values: Sequence[float]) -> list[float]:
    """Return what each p-value must not exceed for its adjusted one to be at most alpha.

    Of k tests of which m are called that is alpha over k - m for the others and over k - m + 1 for the called ones
    after Holm, and (m + 1) / k and m / k of alpha after Benjamini and Hochberg.
    """
    ordered, k = sorted(p_values), len(p_values)
    if plan.correction == "holm":
        called = next((rank for rank, p in enumerate(ordered) if p * (k - rank) > plan.alpha), k)
        within, beyond = plan.alpha / (k - called + 1), plan.alpha / max(k - called, 1)
    else:
        called = max((rank + 1 for rank, p in enumerate(ordered) if p * k <= plan.alpha * (rank + 1)), default=0)
        within, beyond = plan.alpha * called / k, plan.alpha * min(called + 1, k) / k
    reached = ordered[called - 1] if called else -1.0
    return [within if p <= reached else beyond for p in p_values]
