"""python -m tests.chaos.upgrade [--requests 3000]: new configurations and releases under load, none of it lost.

What `make deploy` does, four times on one cluster: numbers of `user_config`, a release with other code and a migration
that it needs (every replica is replaced), a release whose models are not there, and the first one's code again on the
newer schema. Prints a table and writes it to docs/chaos.md and tests/benchmarks/results/upgrade.json; ends with 1 where
a request failed or a step did not end as it should.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tests.chaos.deployment import (
    Change,
    deploy,
    first,
    first_code,
    missing,
    next_code,
    numbers,
    release,
)
from tests.chaos.run import PAGE, RESULTS, about, write_table
from tests.chaos.steady import Outcome, steady
from tests.serve.conftest import Cluster, copy_product, start, wait_until_ready

MARK = "<!-- what `make upgrade` saw -->"


@dataclass(frozen=True)
class Step:
    """One deployment under load; `failed` counts requests without a 200, `code` is what `make deploy` ended with."""

    name: str
    seconds: float
    code: int
    requests: int
    failed: int
    degraded: tuple[str, ...]
    p99_ms: float
    lost: int
    next_code: int
    last: str


def _as_it_is(_root: Path) -> None: ...


# The change of the configuration, that of the code, what `make deploy` ends with, whose code answers last.
STEPS: dict[str, tuple[Change, Callable[[Path], None], int, str]] = {
    "numbers of `user_config`": (numbers, _as_it_is, 0, "first"),
    "a release: other code, and a migration that it needs": (release, next_code, 0, "next"),
    "a release without one of its models": (missing, _as_it_is, 1, "next"),
    "back to the first release's code": (first, first_code, 0, "first"),
}


async def step(cluster: Cluster, name: str, rate: float, requests: int) -> tuple[Step, str]:
    """Deploy under load, which goes on until `requests` were sent; returns what happened and what was said."""
    change, code, _, _ = STEPS[name]
    async with steady(cluster, rate) as load:
        await asyncio.sleep(2)
        began = time.monotonic()
        code(cluster.root)
        done = await asyncio.to_thread(deploy, cluster, change)
        seconds = time.monotonic() - began
        await asyncio.sleep(max(3.0, (requests - len(load.outcomes)) / rate))
    if done.returncode and "serves on" not in done.stderr:
        raise RuntimeError(done.stderr)
    lost = len(await load.lost(cluster))
    return _step(name, seconds, done.returncode, load.since(0), lost), done.stderr


def _step(name: str, seconds: float, code: int, outcomes: list[Outcome], lost: int) -> Step:
    return Step(
        name=name,
        seconds=round(seconds, 1),
        code=code,
        requests=len(outcomes),
        failed=sum(not one.answered for one in outcomes),
        degraded=tuple(sorted({part for one in outcomes for part in one.degraded})),
        p99_ms=round(float(np.percentile([1000 * (one.ended - one.due) for one in outcomes], 99)), 0),
        lost=lost,
        next_code=sum(one.release == "next" for one in outcomes),
        last=outcomes[-1].release or "first",
    )


async def run(rate: float, requests: int) -> list[Step]:
    """All steps on a cluster of its own."""
    folder = Path(tempfile.mkdtemp(prefix="mm", dir="/tmp"))
    found = []
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = start(folder, optimized=True, root=copy_product(folder / "product"))
        stack.callback(cluster.stop)
        await asyncio.to_thread(wait_until_ready, cluster)
        for name in (bar := tqdm(STEPS, unit="deployment")):
            bar.set_description(name)
            one, said = await step(cluster, name, rate, requests // len(STEPS) + 1)
            tqdm.write(f"{one}\n{said}")
            found.append(one)
    return found


def table(steps: list[Step]) -> str:
    """The steps in Markdown."""
    columns = (
        "deployed",
        "takes (s)",
        "ends with",
        "requests",
        "by the next code",
        "failed",
        "`degraded`",
        "p99 (ms)",
        "lost",
    )
    lines = ["| " + " | ".join(columns) + " |", "|---|--:|--:|--:|--:|--:|---|--:|--:|"]
    for one in steps:
        names = ", ".join(f"`{name}`" for name in one.degraded) or "-"
        lines.append(
            f"| {one.name} | {one.seconds} | {one.code} | {one.requests} | {one.next_code} | {one.failed} | {names} | "
            f"{one.p99_ms:.0f} | {one.lost} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run, print, write."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="of all steps together")
    parser.add_argument("--rate", type=float, default=25.0, help="requests a second")
    arguments = parser.parse_args()
    steps = asyncio.run(run(arguments.rate, arguments.requests))
    print(table(steps))
    said = about(arguments.rate)
    RESULTS.with_name("upgrade.json").write_text(
        json.dumps({**said, "rows": [asdict(one) for one in steps]}, indent=1) + "\n"
    )
    write_table(PAGE, MARK, said, table(steps))
    ended = all(
        (one.code, one.last) == (code, last) for one, (_, _, code, last) in zip(steps, STEPS.values(), strict=True)
    )
    return int(not ended or any(one.failed or one.lost for one in steps))


if __name__ == "__main__":
    sys.exit(main())
