"""python -m tests.simulations.upworthy --data ../shared/data: the engine on the archive of 3,000 real headline tests.

Upworthy Research Archive (CC BY 4.0; Matias, Munger, Le Quere, Ebersole 2021, Scientific Data 8, 195), less the weeks
whose randomisation its authors doubt. Writes upworthy.json and UPWORTHY.md beside itself.

A test has a clear winner where its first place leads every other package at p < .05 by the archive's own column. The
control is drawn, as the archive has none. An A/A pair are two packages of one test that readers could not tell apart:
same headline and same picture.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from pipelines.experiments.analysis import Split, analyze
from pipelines.experiments.arms import Arm
from pipelines.experiments.decision import decide
from pipelines.experiments.dispersion import effective
from pipelines.experiments.records import Plan
from pipelines.experiments.sequential import always_valid_score_test
from pipelines.experiments.significance import holm, needs_exact, pooled_z, score_test

FOLDER = Path(__file__).parent
SEED = 20_260_102
FIRST_DOUBTED, LAST_DOUBTED = 201_325, 201_402
CLEAR = 5.0  # in per cent, the archive's column
ALPHA = 0.05
LOOKS = 20
# The standard deviation of z between identical packages, squared; of independent units it is 1.
UPWORTHY_DESIGN_EFFECT = 1.36**2
PLANS = {
    "at any look": Plan(),
    "at any look, Upworthy's design effect": Plan(design_effect=UPWORTHY_DESIGN_EFFECT),
    # The archive's tests ended where they ended, so that end is taken for the planned one.
    "once, at the end": Plan(method="fixed", baseline_rate=0.0128),
    "once, at the end, Upworthy's design effect": Plan(
        method="fixed", baseline_rate=0.0128, design_effect=UPWORTHY_DESIGN_EFFECT
    ),
}


@dataclass(frozen=True)
class Package:
    """One headline with its picture in one test."""

    wording: tuple[str | None, ...]
    arm: Arm
    significance: float
    first_place: bool


def read(data: Path) -> dict[str, list[Package]]:
    """Return the packages of each test."""
    table = pq.read_table(data / "wording/upworthy.parquet")
    week = table["test_week"]
    kept = pc.or_(pc.less(week, FIRST_DOUBTED), pc.greater(week, LAST_DOUBTED))
    tests: dict[str, list[Package]] = {}
    for row in table.filter(kept).to_pylist():
        package = Package(
            (row["headline"], row["eyecatcher_id"]),
            Arm(row["impressions"], row["clicks"]),
            row["significance"],
            row["first_place"],
        )
        tests.setdefault(row["clickability_test_id"], []).append(package)
    return {name: packages for name, packages in tests.items() if len(packages) > 1}


def clear_winner(packages: Sequence[Package]) -> int | None:
    """Return the place of the archive's clear winner."""
    leaders = [place for place, package in enumerate(packages) if package.first_place]
    if len(leaders) != 1:
        return None
    others = [package.significance for place, package in enumerate(packages) if place != leaders[0]]
    best = max(package.arm.mean for package in packages)
    return leaders[0] if max(others) < CLEAR and packages[leaders[0]].arm.mean == best else None


def outcome(packages: Sequence[Package], control: int, winner: int, plan: Plan) -> str:
    """Return what the engine says of a test with a clear winner."""
    names = tuple(str(place) for place in range(len(packages)))
    split = Split(
        names=names,
        control=control,
        weights=(1 / len(names),) * len(names),
        cells=tuple((package.arm,) for package in packages),
    )
    figures = analyze(plan, split)
    if figures.size and plan.method == "fixed":
        figures = replace(figures, size=replace(figures.size, needed=figures.size.units))
    found = decide(plan, figures)
    if found.decision == "invalid":
        return "invalid"
    if found.winner is None:
        return "undecided"
    return "right" if found.winner == names[winner] else "wrong"


def first_call(packages: Sequence[Package], control: int, rng: np.random.Generator) -> float | None:
    """Return the share of the impressions after which a variant was first called at one of LOOKS looks.

    Clicks fall anywhere among the impressions of their package: the archive keeps totals only.
    """
    seen = [np.array([round(package.arm.n * look / LOOKS) for look in range(1, LOOKS + 1)]) for package in packages]
    clicks = [
        np.cumsum([0, *_thinned(package.arm, np.diff(units, prepend=0), rng)])[1:]
        for package, units in zip(packages, seen, strict=True)
    ]
    for look in range(LOOKS):
        arms = [Arm(int(n[look]), int(k[look])) for n, k in zip(seen, clicks, strict=True)]
        p_values = [
            always_valid_score_test(arms[control], arm, ALPHA) for place, arm in enumerate(arms) if place != control
        ]
        if min(holm(p_values)) <= ALPHA:
            return (look + 1) / LOOKS
    return None


def _thinned(arm: Arm, units: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
    left, clicks = int(arm.n), int(arm.total)
    for size in units:
        drawn = int(rng.hypergeometric(clicks, left - clicks, size)) if size else 0
        left, clicks = left - int(size), clicks - drawn
        yield drawn


def pairs(packages: Sequence[Package]) -> list[tuple[Arm, Arm]]:
    """Return the A/A pairs of a test."""
    return [
        (one.arm, two.arm)
        for one, two in itertools.combinations(packages, 2)
        if one.wording == two.wording and not needs_exact([one.arm, two.arm])
    ]


def replay(tests: dict[str, list[Package]]) -> dict[str, object]:
    """Return every figure."""
    rng = np.random.default_rng(SEED)
    clear = {name: winner for name, packages in tests.items() if (winner := clear_winner(packages)) is not None}
    called: dict[str, Counter[str]] = {name: Counter() for name in PLANS}
    stopped: list[float] = []
    for name, winner in tqdm(clear.items(), unit="test"):
        packages = tests[name]
        control = int(rng.integers(len(packages)))
        for plan_name, plan in PLANS.items():
            called[plan_name][outcome(packages, control, winner, plan)] += 1
        if (share := first_call(packages, control, rng)) is not None:
            stopped.append(share)
    alike = [pairs(packages) for packages in tests.values()]
    zs = np.array([pooled_z(*pair) for found in alike for pair in found])
    # The prior was read off this archive, so it is judged on halves: estimated on one, tried on the other.
    halves = [[pair for found in alike[half::2] for pair in found] for half in (0, 1)]
    spread = [float(np.std([pooled_z(*pair) for pair in half])) for half in halves]
    crossed = [
        always_valid_score_test(*(effective(arm, max(1.0, sd) ** 2) for arm in pair), ALPHA) <= ALPHA
        for half, sd in zip(halves, reversed(spread), strict=True)
        for pair in half
    ]
    everything = [pair for found in alike for pair in found]
    return {
        "tests": len(tests),
        "clear_winners": len(clear),
        "called": {plan_name: dict(sorted(counts.items())) for plan_name, counts in called.items()},
        "called_within_looks": {
            "tests": len(stopped),
            "median_share_of_impressions": float(np.median(stopped)),
        },
        "aa_pairs": len(zs),
        "aa_sd_of_z": float(np.std(zs)),
        "aa_errors": {
            "naive z test": float(np.mean([score_test(*pair) <= ALPHA for pair in everything])),
            "naive z test, Upworthy's design effect": float(
                np.mean(
                    [score_test(*(effective(a, UPWORTHY_DESIGN_EFFECT) for a in pair)) <= ALPHA for pair in everything]
                )
            ),
            "always-valid": float(np.mean([always_valid_score_test(*pair, ALPHA) <= ALPHA for pair in everything])),
            "always-valid, design effect of the other half": float(np.mean(crossed)),
        },
    }


def report(found: dict[str, object]) -> str:
    """Return the figures as Markdown."""
    lines = [__doc__.partition("\n")[2].strip().replace("\n", " ").replace("  ", "\n\n"), ""]
    lines += [f"{found['tests']:,} tests, {found['clear_winners']:,} with a clear winner.", ""]
    lines += ["| the engine decides | right | wrong | undecided | invalid |", "|---|---|---|---|---|"]
    for plan_name, counts in found["called"].items():
        total = sum(counts.values())
        cells = (f"{counts.get(name, 0) / total:.1%}" for name in ("right", "wrong", "undecided", "invalid"))
        lines.append(f"| {plan_name} | {' | '.join(cells)} |")
    within = found["called_within_looks"]
    lines += [
        "",
        (
            f"Looked at {LOOKS} times without a plan, {within['tests']:,} of them are called, the median one after "
            f"{within['median_share_of_impressions']:.0%} of its impressions."
        ),
        "",
        (
            f"{found['aa_pairs']:,} A/A pairs; the standard deviation of z is {found['aa_sd_of_z']:.2f}, 1 if units "
            "were independent. Called different, at alpha 5 %:"
        ),
        "",
        "| test | A/A pairs called |",
        "|---|---|",
        *(f"| {name} | {share:.1%} |" for name, share in found["aa_errors"].items()),
    ]
    n = found["aa_pairs"]
    lines += ["", f"The standard error of a share of 5 % among {n:,} pairs is {math.sqrt(0.05 * 0.95 / n):.1%}."]
    return "# The engine on real headline tests\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    found = replay(read(parser.parse_args().data))
    (FOLDER / "upworthy.json").write_text(json.dumps(found, indent=1) + "\n")
    (FOLDER / "UPWORTHY.md").write_text(report(found))
    print(report(found))


if __name__ == "__main__":
    main()
