"""Switchback experiments of made-up accounts: strong weekday and hour effects, heavy posts, drift."""

from __future__ import annotations

import datetime as dt

import numpy as np

from pipelines.experiments.permutation import Post
from pipelines.experiments.switchback import schedule

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
