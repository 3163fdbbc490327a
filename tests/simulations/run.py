"""python -m tests.simulations.run: what the statistics of experiments keep of what they promise.

Writes results.json and RESULTS.md beside itself; ends with an error where a promise is broken or a figure is not exact
enough to tell.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tests.simulations import bandit, intervals, looks, switchback
from tests.simulations.figures import Figure

SEED = 20_260_101
FOLDER = Path(__file__).parent
EXPERIMENTS: dict[str, Callable[[np.random.Generator, float], list[Figure]]] = {
    "False positives at 20 looks": looks.false_positives,
    "Family-wise error of five variants": looks.families,
    "Coverage of the confidence sequence": looks.sequences,
    "Power of the plans": looks.power,
    "Width of the sequences": looks.widths,
    "Coverage of the intervals": intervals.coverage,
    "Guard against days": intervals.guarded_days,
    "Guard against clusters": intervals.guarded_clusters,
    "Winner's curse": intervals.winners_curse,
    "Bandit": bandit.regret,
    "Switchback": switchback.false_positives,
    "False positives of bandits": bandit.false_positives,
}
HEADER = """# What the simulations found

`make simulate` writes this file. Seeded; each figure stands with its Monte-Carlo standard error, and what was promised.
Coverage, power and errors are shares of runs; widths are exact.
"""


def simulate(name: str, scale: float = 1.0) -> list[Figure]:
    """Return the figures of one of EXPERIMENTS, with `scale` times its runs; the same at each call."""
    return EXPERIMENTS[name](np.random.default_rng([SEED, list(EXPERIMENTS).index(name)]), scale)


def report(found: dict[str, list[Figure]]) -> str:
    """Return the figures as Markdown."""
    lines = [HEADER]
    for name, figures in found.items():
        lines += [f"## {name}", "", "| figure | value | standard error | promised | runs |", "|---|---|---|---|---|"]
        for one in figures:
            limits = [
                f"{word} {limit:g}"
                for word, limit in (("at least", one.low), ("at most", one.high))
                if limit is not None
            ]
            promised = ", ".join(limits)
            error = f"{one.error:.5f}" if one.error else "exact"
            lines.append(f"| {one.name} | {one.value:.4f} | {error} | {promised} | {one.runs:,} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    started, found = time.perf_counter(), {}
    for name in tqdm(EXPERIMENTS, unit="experiment"):
        found[name] = simulate(name)
    rows = {name: [dataclasses.asdict(one) for one in figures] for name, figures in found.items()}
    (FOLDER / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    (FOLDER / "RESULTS.md").write_text(report(found))
    print(report(found), f"{time.perf_counter() - started:.0f} s")
    wrong = [one for figures in found.values() for one in figures if not one.within() or not one.sharp()]
    if wrong:
        sys.exit("\n".join(f"broken or not sharp: {one}" for one in wrong))


if __name__ == "__main__":
    main()
