"""python -m tests.simulations.timing: whether the heat map of the week keeps what it promises; writes TIMING.md.

Accounts are made up: outcomes are log-normal, standard deviation 1, on growth of e^2 over the span. Under noise the
hour has no effect, and what real accounts do to a test is in it: threads that share their luck, lucky days, habits that
change while luck comes in waves, a move from mornings to evenings during growth.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from scipy.stats import norm
from tqdm import tqdm

from pipelines.audience.timing import CELLS, HOURS, BestTimes, best_times
from pipelines.outcomes.posts import StoredPost
from tests.simulations.figures import Figure, mean

SEED = 20_261_124
ZONE = ZoneInfo("UTC")
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
FLIPS = 199
PEAK_HOURS = (17, 18, 19)
Floats = np.ndarray


def posts_of(days: Floats, hours: Floats, logs: Floats) -> list[StoredPost]:
    """Posts at days from MONDAY and hours; exp(log) is what they achieved."""
    counts = np.exp(logs + 4).astype(int)
    return [
        StoredPost(
            post_id=f"{row:06}",
            posted_at=MONDAY + timedelta(days=int(day), hours=int(hour), minutes=row % 60),
            text=None,
            kind="post",
            source="tweet_activity",
            captured_at=MONDAY + timedelta(days=10_000),
            likes=int(count),
            retweets=0,
        )
        for row, (day, hour, count) in enumerate(zip(days, hours, counts, strict=True))
    ]


def account(rng: np.random.Generator, habit: str, posts: int, weeks: int, effect: Floats | None = None) -> BestTimes:
    """The heat map of an account with a habit of posting; `effect` (CELLS,) is added to the log outcome."""
    span = weeks * 7
    days = np.sort(rng.integers(0, span, posts))
    hours = np.clip(rng.normal(14, 4, posts), 0, 23).astype(int)
    luck = rng.normal(size=posts)
    if habit == "three fixed hours":
        hours = rng.choice([9, 13, 18], posts)
    elif habit == "threads of four":
        first = np.arange(posts) // 4 * 4
        days, hours = days[first], hours[first]
        luck = (luck + 2 * rng.normal(size=posts)[first]) / np.sqrt(5)
    elif habit == "lucky days":
        luck = (luck + rng.normal(size=span)[days]) / np.sqrt(2)
    elif habit == "fortnights of one hour, waves of luck":
        hours = np.clip(np.array([8, 12, 17, 21])[days // 14 % 4] + rng.integers(-1, 2, posts), 0, 23)
        luck = (luck + _waves(rng, span)[days]) / np.sqrt(2)
    elif habit == "from mornings to evenings":
        hours = np.clip(8 + 12 * days / span + rng.normal(0, 1.5, posts), 0, 23).astype(int)
    cells = days % 7 * HOURS + hours
    logs = luck + 2 * days / span + (0 if effect is None else effect[cells])
    return best_times(posts_of(days, hours, logs), ZONE, flips=FLIPS)


def _waves(rng: np.random.Generator, days: int) -> Floats:
    """Luck that lasts: each day .9 of the day before, variance 1."""
    waves, steps = np.zeros(days), rng.normal(size=days) * np.sqrt(1 - 0.9**2)
    for day in range(1, days):
        waves[day] = 0.9 * waves[day - 1] + steps[day]
    return waves


def peak(size: float) -> Floats:
    """Three hours of each working day that do better by `size` standard deviations."""
    effect = np.zeros((7, HOURS))
    effect[:5, PEAK_HOURS] = size
    return effect.ravel()


def noise(rng: np.random.Generator, scale: float) -> list[Figure]:
    """How often time matters by the product's word where it does not."""
    runs = max(round(100 * scale), 20)
    accounts = (
        ("any hour", 60, 10),
        ("any hour", 300, 26),
        ("any hour", 1000, 52),
        ("three fixed hours", 300, 26),
        ("threads of four", 300, 26),
        ("lucky days", 300, 26),
        ("fortnights of one hour, waves of luck", 300, 26),
        ("fortnights of one hour, waves of luck", 600, 52),
        ("from mornings to evenings", 300, 52),
    )
    return [
        mean(
            f"{habit}, {posts} posts in {weeks} weeks: evidence",
            np.array([account(rng, habit, posts, weeks).evidence for _ in range(runs)]),
            None,
            0.05,
            0.1,
        )
        for habit, posts, weeks in accounts
    ]


def planted(rng: np.random.Generator, scale: float) -> list[Figure]:
    """How often a peak of 17 to 20 h on working days is seen, and whether the best slot lies in it."""
    runs, figures = max(round(50 * scale), 20), []
    for size, posts, weeks, least in (
        (1.5, 300, 26, 0.95),
        (1.0, 300, 26, 0.6),
        (0.5, 300, 26, 0.1),
        (0.5, 1000, 52, 0.4),
    ):
        found = [account(rng, "any hour", posts, weeks, peak(size)) for _ in range(runs)]
        name = f"peak of {size:g} SD, {posts} posts"
        figures.append(mean(f"{name}: evidence", [one.evidence for one in found], least, None, 0.2))
        hits = [one.best[0].hour in PEAK_HOURS and one.best[0].weekday <= 5 for one in found if one.best]
        if posts > 100 and len(hits) > 1:
            figures.append(mean(f"{name}: the best slot lies in it", hits, 0.9, None, 0.2))
    return figures


def coverage(rng: np.random.Generator, scale: float) -> list[Figure]:
    """How often the 80 % interval of a cell that is not greyed holds the percentile that its posts reach."""
    runs, figures = max(round(40 * scale), 20), []
    for name, effect_of in (
        ("no effect", lambda: np.zeros(CELLS)),
        ("a peak of .5 SD", lambda: peak(0.5)),
        ("a peak of 1 SD", lambda: peak(1.0)),
        ("hours, weekdays and cells that differ by .3 SD each", lambda: _drawn(rng)),
    ):
        holding = [held(rng, effect_of) for _ in range(runs)]
        figures.append(mean(f"{name}: coverage", holding, 0.7, None, 0.1))
    return figures


def _drawn(rng: np.random.Generator) -> Floats:
    hours, days = rng.normal(0, 0.3, HOURS), rng.normal(0, 0.3, 7)
    return (hours[None, :] + days[:, None]).ravel() + rng.normal(0, 0.3, CELLS)


def held(rng: np.random.Generator, effect_of: Callable[[], Floats]) -> float:
    """The share of the cells of an account that are not greyed whose interval holds the truth."""
    effect = effect_of()
    found = account(rng, "any hour", 400, 26, effect)
    # Where the account posts: hours about 14, cut off at the ends of the day, alike on all days.
    edges = np.r_[-np.inf, np.arange(1, HOURS), np.inf]
    share = np.tile(np.diff(norm.cdf(edges, 14, 4)), 7) / 7
    truth = norm.cdf((effect[:, None] - effect[None, :]) / np.sqrt(2)) @ share
    inside = [cell.low <= truth[row] <= cell.high for row, cell in enumerate(found.cells) if not cell.greyed]
    return float(np.mean(inside))


EXPERIMENTS: dict[str, Callable[[np.random.Generator, float], list[Figure]]] = {
    "Flat on noise": noise,
    "A planted peak": planted,
    "Coverage of the intervals": coverage,
}


def simulate(name: str, scale: float = 1.0) -> list[Figure]:
    """Return the figures of one of EXPERIMENTS, with `scale` times its runs; the same at each call."""
    return EXPERIMENTS[name](np.random.default_rng([SEED, list(EXPERIMENTS).index(name)]), scale)


def main() -> None:
    started = time.perf_counter()
    lines = [
        "# What the simulations of the best times found",
        "",
        "`python -m tests.simulations.timing` writes this file. Seeded; each figure stands with its Monte-Carlo",
        "standard error, and what was promised. All are shares of runs.",
        "",
    ]
    wrong = []
    for name in tqdm(EXPERIMENTS, unit="experiment"):
        lines += [f"## {name}", "", "| figure | value | standard error | promised | runs |", "|---|---|---|---|---|"]
        for one in simulate(name):
            promised = f"at least {one.low:g}" if one.low is not None else f"at most {one.high:g}"
            lines.append(f"| {one.name} | {one.value:.3f} | {one.error:.3f} | {promised} | {one.runs} |")
            wrong += [] if one.within(2) else [f"broken: {one}"]
        lines.append("")
    Path(__file__).with_name("TIMING.md").write_text("\n".join(lines))
    print("\n".join(lines), f"{time.perf_counter() - started:.0f} s")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
