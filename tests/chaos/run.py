"""python -m tests.chaos.run [--only NAME ...] [--rate 25]: faults on a real cluster under steady load.

Prints a table, and without --only writes it to docs/chaos.md and tests/benchmarks/results/chaos.json. Ends with 1 where
an acknowledged write was lost, a client hung, or something did not come back.
"""

import argparse
import asyncio
import json
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from tqdm import tqdm

from tests.chaos.deployment import cached, changed
from tests.chaos.faults import SCENES, Fault, Scene, end_nodes, faked_clock, may_fake_clock, may_mount, small_disk
from tests.chaos.steady import PATIENCE_S, Load, Outcome, steady
from tests.serve.conftest import ROOT, Cluster, start, wait_until_ready

BEFORE_S, AFTER_S, GIVE_UP_S = 4.0, 5.0, 150.0
DISK = "600m"
RESULTS = ROOT / "tests" / "benchmarks" / "results" / "chaos.json"
PAGE = ROOT / "docs" / "chaos.md"
MARK = "<!-- what `make chaos` saw -->"


@dataclass(frozen=True)
class Row:
    """What one fault cost; seconds from the moment of the fault.

    `when` has the first and last second in which a request of each outcome was due; `requests`, `errors`, `p99_ms` are
    of what was due from then until all was whole again, of 10 s at least.
    """

    fault: str
    requests: int
    errors: dict[str, int]
    when: dict[str, tuple[float, float]]
    first_whole_s: float | None
    whole_again_s: float | None
    back_s: float | None
    # Of the processes that were watched, how many fewer ran at the end.
    missing: int
    lost: int
    degraded: tuple[str, ...]
    degraded_answers: int
    p99_ms: float
    slowest_s: float


async def undergo(cluster: Cluster, fault: Fault, rate: float) -> Row:
    """Do it to the cluster under load, and wait until every answer is whole again for a while."""
    async with steady(cluster, rate) as load:
        await asyncio.sleep(BEFORE_S)
        wholes = sum(one.whole for one in load.outcomes)
        if wholes < 0.8 * BEFORE_S * rate / 2:
            raise RuntimeError(f"{wholes} whole answers before {fault.name}: {load.outcomes[-3:]}")
        before = _pids(cluster, fault)
        began = time.monotonic()
        await fault.begin(cluster)
        await asyncio.sleep(fault.held_s)
        if fault.end is not None:
            await fault.end(cluster)
        mended, back_s, now = time.monotonic(), None, before
        while time.monotonic() < mended + GIVE_UP_S:
            now = await asyncio.to_thread(_pids, cluster, fault)
            if back_s is None and now - before and len(now) >= len(before):
                back_s = time.monotonic() - began
            if _settled(load, mended) and (back_s is not None or now == before):
                break
            await asyncio.sleep(0.5)
    lost, missing = len(await load.lost(cluster)), len(before) - len(now)
    row = _row(fault, load.since(began), began, back_s, lost, settled=_settled(load, mended))
    return replace(row, missing=max(missing, 0))


def _pids(cluster: Cluster, fault: Fault) -> set[int]:
    return {process.pid for process in cluster.processes(fault.watched)} if fault.watched else set()


def _settled(load: Load, mended: float) -> bool:
    """Whether all that was due in the last seconds, but for what is still in flight, is whole."""
    now = time.monotonic()
    recent = [one for one in load.outcomes if max(now - AFTER_S, mended) <= one.due]
    expected = load.rate * (AFTER_S - 1)
    return now > mended + AFTER_S and len(recent) >= expected and all(one.whole for one in recent)


def _row(fault: Fault, outcomes: list[Outcome], began: float, back_s: float | None, lost: int, *, settled: bool) -> Row:
    wholes = [one.ended for one in outcomes if one.whole]
    flawed = [one.due for one in outcomes if not one.whole]
    whole_again = max((one - began for one in flawed), default=0.0) if settled else None
    until = began + max(whole_again or 0.0, 10.0)
    during = [one for one in outcomes if one.due <= until] if settled else outcomes
    errors = Counter(str(one.status) for one in during if not one.answered)
    degraded = Counter(name for one in during for name in one.degraded)
    latencies = [1000 * (one.ended - one.due) for one in during if one.answered]
    return Row(
        fault=fault.name,
        requests=len(during),
        errors=dict(errors),
        when=_when(during, began),
        first_whole_s=round(min(wholes) - began, 2) if wholes else None,
        whole_again_s=None if whole_again is None else round(whole_again, 2),
        back_s=None if back_s is None else round(back_s, 1),
        missing=0,
        lost=lost,
        degraded=tuple(sorted(degraded)),
        degraded_answers=sum(bool(one.degraded) for one in during if one.answered),
        p99_ms=round(float(np.percentile(latencies, 99)), 0) if latencies else 0.0,
        slowest_s=round(max(one.ended - one.due for one in during), 1),
    )


def _when(outcomes: list[Outcome], began: float) -> dict[str, tuple[float, float]]:
    found: dict[str, list[float]] = {}
    for one in outcomes:
        kind = "whole" if one.whole else "incomplete" if one.answered else str(one.status)
        found.setdefault(kind, []).append(round(one.due - began, 1))
    return {kind: (min(moments), max(moments)) for kind, moments in found.items()}


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    columns = (
        "fault",
        "requests",
        "errors",
        "incomplete",
        "`degraded`",
        "whole again (s)",
        "back (s)",
        "p99 (ms)",
        "lost",
    )
    lines = ["| " + " | ".join(columns) + " |", "|---|--:|---|--:|---|--:|--:|--:|--:|"]
    for row in rows:
        failed = sum(row.errors.values())
        kinds = ", ".join(f"{name}: {count}" for name, count in sorted(row.errors.items()))
        share = f"{100 * failed / row.requests:.1f} %" + (f" ({kinds})" if kinds else "")
        parts = f"{100 * row.degraded_answers / row.requests:.1f} %"
        names = ", ".join(f"`{name}`" for name in row.degraded) or "-"
        again = "never" if row.whole_again_s is None else f"{row.whole_again_s:.1f}"
        back = "-" if row.back_s is None else f"{row.back_s:.1f}"
        lines.append(
            f"| {row.fault} | {row.requests} | {share} | {parts} | {names} | {again} | {back} | {row.p99_ms:.0f} | "
            f"{row.lost} |"
        )
    return "\n".join(lines)


def faulty(row: Row) -> bool:
    """Whether the product broke a promise: a lost write, a client that hung, an end without a way back."""
    return row.lost > 0 or row.missing > 0 or row.whole_again_s is None or row.slowest_s >= PATIENCE_S


async def run(scenes: list[Scene], rate: float, rows: list[Row], logs: Path | None = None) -> None:
    """Do the faults of the scenes to a cluster, and to one whose clock is faked where a scene wants it.

    A row a fault is added to `rows`, which keep what was seen where a later scene cannot be set up.
    """
    with tqdm(total=sum(len(scene.faults) for scene in scenes), unit="fault") as bar:
        for clock in (False, True):
            if wanted := [scene for scene in scenes if scene.clock == clock]:
                await _on_one_cluster(wanted, rate, bar, rows, clock=clock, logs=logs)


async def _on_one_cluster(
    scenes: list[Scene], rate: float, bar: "tqdm[Any]", rows: list[Row], *, clock: bool, logs: Path | None
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mm", dir="/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if may_mount():
            stack.enter_context(small_disk(folder / "data", DISK))
        with faked_clock(folder) if clock else nullcontext():
            config = changed(cached, folder / "serve_config.yaml")
            # Alone the product's Ray listens on 127.0.0.1, where no other node reaches it.
            others = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
            cluster = start(folder, "--config", str(config), optimized=True, environment=others)
        if logs is not None:
            stack.callback(_keep_logs, folder, logs)
        stack.callback(_stop, cluster)
        stack.callback(end_nodes)
        bar.set_description("the cluster starts")
        await asyncio.to_thread(wait_until_ready, cluster)
        for scene in scenes:
            if scene.prepare is not None:
                bar.set_description("another configuration")
                await scene.prepare(cluster)
            for fault in scene.faults:
                bar.set_description(fault.name)
                rows.append(await undergo(cluster, fault, rate))
                bar.update()
                tqdm.write(f"{table([rows[-1]]).splitlines()[-1]}\n{rows[-1].when}")


def _keep_logs(folder: Path, logs: Path) -> None:
    """Copy what the supervisor, Postgres and every session of Ray wrote down."""
    for path in [folder / "log", *folder.glob("data/*.log*"), *folder.glob("r/session_2*/logs/**/*")]:
        if path.is_file() and not path.is_symlink():
            kept = logs / path.relative_to(folder)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, kept)


def _stop(cluster: Cluster) -> None:
    if cluster.process.poll() is None:
        cluster.stop()


def about(rate: float) -> dict[str, object]:
    """When, where and on what."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{psutil.cpu_count()} cores, {model[1] if model else platform.machine()}",
        "commit": commit.stdout.strip(),
        "rate": rate,
    }


def _wanted(fault: Fault, only: list[str]) -> bool:
    return (fault.needs != "mount" or may_mount()) and (not only or any(part in fault.name for part in only))


def write_table(page: Path, mark: str, said: dict[str, object], lines: str) -> None:
    """Put a table below its mark on the page, up to the next heading."""
    before, _, after = page.read_text().partition(mark)
    rest = after[after.index("\n## ") :] if "\n## " in after else ""
    told = "{date}, {machine}, commit {commit}, {rate:g} requests/s:".format(**said)
    page.write_text(f"{before}{mark}\n\n{told}\n\n{lines}\n{rest}")


def main() -> int:
    """Run, print, write."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of faults")
    parser.add_argument("--rate", type=float, default=25.0, help="requests a second")
    parser.add_argument("--logs", type=Path, help="copy the logs of the cluster into this folder")
    arguments = parser.parse_args()
    scenes = [
        replace(scene, faults=faults)
        for scene in SCENES
        if (faults := tuple(fault for fault in scene.faults if _wanted(fault, arguments.only)))
        and (not scene.clock or may_fake_clock())
    ]
    rows: list[Row] = []
    try:
        asyncio.run(run(scenes, arguments.rate, rows, arguments.logs))
    finally:
        print(table(rows))
        if not arguments.only:
            said = about(arguments.rate)
            seen = {row.fault for row in rows}
            missing = [fault.name for scene in SCENES for fault in scene.faults if fault.name not in seen]
            told = {**said, "rows": [asdict(row) for row in rows], "not_seen": missing}
            RESULTS.write_text(json.dumps(told, indent=1) + "\n")
            left = f"\n\nNot seen in that run: {'; '.join(missing)}." if missing else ""
            write_table(PAGE, MARK, said, table(rows) + left)
    return int(any(map(faulty, rows)))


if __name__ == "__main__":
    sys.exit(main())
