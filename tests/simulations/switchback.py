"""Switchback experiments of made-up accounts: strong weekday and hour effects, heavy posts, drift."""

from __future__ import annotations

import datetime as dt

import numpy as np

from pipelines.experiments.arms import Arm
from pipelines.experiments.permutation import Post, permutation_test
from pipelines.experiments.significance import score_test
from pipelines.experiments.switchback import schedule
from tests.simulations.figures import Figure, mean

ALPHA = 0.05
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def feed(
    rng: np.random.Generator, n_variants: int, n_blocks: int, lift: float = 0.0, spread: float = 1.0
) -> list[Post]:
    """Return the posts of one experiment; `spread` is the standard deviation of a post's log rate.

    Every variant but the first has its rate raised by `lift`. The account grows, and its rate drifts, over the weeks.
    """
    seed = int(rng.integers(2**31))
    slots = schedule(
        START, n_variants, slot_minutes=120, washout_minutes=60, n_blocks=n_blocks, seed=seed, hours=(8, 22)
    )
    weekday, hour = rng.normal(0, 0.6, 7), rng.normal(0, 0.6, 24)
    drift = rng.normal(0, 1.0)
    posts = []
    for slot in slots:
        age = (slot.start - START) / (slots[-1].end - START)
        common = weekday[slot.start.weekday()] + hour[slot.start.hour] + drift * age
        for _ in range(rng.integers(1, 4)):
            impressions = int(rng.lognormal(6.5 + drift * age, 1.0)) + 1
            log_rate = np.log(0.02) + common + rng.normal(0, spread) + np.log1p(lift) * (slot.variant_index > 0)
            posts.append(
                Post(
                    slot.block,
                    slot.variant_index,
                    impressions,
                    int(rng.binomial(impressions, min(np.exp(log_rate), 1))),
                )
            )
    return posts


def false_positives(rng: np.random.Generator, scale: float) -> list[Figure]:
    """A/A switchbacks: how often the permutation test calls a difference, and what a z-test of impressions does."""
    figures = []
    for n_variants, n_blocks in ((2, 12), (2, 30), (3, 20)):
        called, pairs, naive = [], [], []
        for _ in range(round(10_000 * scale)):
            posts = feed(rng, n_variants, n_blocks)
            found = permutation_test(posts, n_variants, seed=int(rng.integers(2**31)), n_permutations=999)
            called.append(found.p_value <= ALPHA)
            pairs.append(min(one.p_adjusted for one in found.comparisons) <= ALPHA)
            arms = [
                Arm(sum(p.impressions for p in mine), sum(p.engagements for p in mine))
                for mine in ([p for p in posts if p.variant_index == variant] for variant in range(2))
            ]
            naive.append(score_test(*arms) <= ALPHA)
        name = f"A/A switchback, {n_variants} variants, {n_blocks} blocks"
        figures.append(mean(f"{name}: permutation test of posts", np.array(called), 0.04, 0.06))
        if n_variants > 2:
            figures.append(mean(f"{name}: any pair with control, Holm", np.array(pairs), None, 0.055, 0.01))
        figures.append(mean(f"{name}: z-test of impressions", np.array(naive)))
    return figures
