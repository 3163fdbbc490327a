"""python -m tests.benchmarks.batch_score: posts a second of training.batch_score beside a plain loop, and their memory.

The plain loop reads, predicts in the same batches and writes, in one process; its encoder computes on one thread or on
as many as there are cores. Systems alternate; each run is a process of its own, from its start to the file. Writes one
JSON into results.
"""

import argparse
import datetime as dt
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.encoder import Encoder
from pipelines.records import Draft
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.substance import SubstanceModel
from tests.benchmarks import machine
from tests.exports import FIRST, sentence
from training.batch_score import BATCH

ROOT = Path(__file__).resolve().parents[2]
POSTS, ROUNDS = 500_000, 1
CORES = os.cpu_count() or 1
OURS, LOOP = "training.batch_score", "plain loop, 1 thread"
SYSTEMS = {OURS: 0, LOOP: 1, f"plain loop, {CORES} threads": CORES}


def make_posts(path: Path, n: int) -> None:
    """Write `n` posts of one to three made-up sentences, all distinct."""
    draw = random.Random(0)
    schema = pa.schema([("id", pa.int64()), ("text", pa.string()), ("posted_at", pa.timestamp("us", "UTC"))])
    with pq.ParquetWriter(path, schema) as writer:
        for begin in range(0, n, 50_000):
            numbers = range(begin, min(begin + 50_000, n))
            texts = [f"{'. '.join(sentence(draw) for _ in range(draw.randint(1, 3)))}, {n} of them." for n in numbers]
            moments = [FIRST + dt.timedelta(minutes=number) for number in numbers]
            writer.write_table(pa.table([list(numbers), texts, moments], schema=schema))


def loop(source: Path, out: Path, threads: int) -> None:
    """The plain loop."""
    encoder = Encoder.load(ROOT / "models" / "encoder", threads=threads)
    substance = SubstanceModel.load(ROOT / "models" / "substance", encoder)
    predictor = ViralPredictor.load(ROOT / "models" / "viral_predictor", substance)
    columns = ("viral_score", "p_beats_median", "interval_low", "interval_high")
    schema = pa.schema([*pq.read_schema(source), *((name, pa.float64()) for name in columns)])
    with pq.ParquetWriter(out, schema) as writer:
        for rows in pq.ParquetFile(source).iter_batches(BATCH):
            drafts = [Draft(text=row["text"], posted_at=row["posted_at"]) for row in rows.to_pylist()]
            told = predictor.predict(drafts)
            scores = [
                [one.viral_score for one in told],
                [one.p_beats_median for one in told],
                *([one.interval[side] if one.interval else None for one in told] for side in (0, 1)),
            ]
            writer.write_batch(pa.record_batch([*rows.columns, *(pa.array(s, pa.float64()) for s in scores)], schema))


class Watch(threading.Thread):
    """What a process and its children used together: CPU seconds, and at most so many MiB (proportional set size)."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(process)
        self.peak = 0.0
        self._cpu: dict[int, float] = {}

    @property
    def cpu_s(self) -> float:
        return sum(self._cpu.values())

    def run(self) -> None:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            held = 0
            for one in (self._process, *self._process.children(recursive=True)):
                try:
                    held += one.memory_full_info().pss
                    self._cpu[one.pid] = sum(one.cpu_times()[:2])
                except psutil.Error:
                    continue
            self.peak = max(self.peak, held / 2**20)
            time.sleep(0.5)


def measure(name: str, source: Path, out: Path) -> tuple[float, float, float]:
    """Return seconds, CPU seconds and MiB of one run."""
    module, more = ("training.batch_score", ()) if name == OURS else (__spec__.name, ("--threads", str(SYSTEMS[name])))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    began = time.perf_counter()
    with (out.parent / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(source), str(out), *more],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        watch = Watch(process.pid)
        watch.start()
        if process.wait():
            raise RuntimeError((out.parent / "log").read_text())
    seconds = time.perf_counter() - began
    watch.join()
    return seconds, watch.cpu_s, watch.peak


def equal(a: Path, b: Path) -> bool:
    """Whether both files tell the same scores in every digit."""
    one, other = (pq.read_table(path).drop_columns(["reason"]) if path == a else pq.read_table(path) for path in (a, b))
    return bool(one.replace_schema_metadata().equals(other.replace_schema_metadata()))


def table(result: dict[str, Any]) -> str:
    """The figures as docs/speed.md shows them."""
    lines = ["| system | seconds | CPU seconds | posts/s (range) | peak memory, MiB |", "|---|---|---|---|---|"]
    for name, row in result["systems"].items():
        rates = f"{row['posts_per_s']:,} ({row['slowest']:,} to {row['fastest']:,})"
        lines.append(f"| {name} | {row['seconds']:,} | {row['cpu_s']:,} | {rates} | {row['mib']:,} |")
    ratios = ", ".join(f"{ratio:.2f} to {name}" for name, ratio in result["ratios"].items())
    load = " to ".join(str(one) for one in result["load"])
    return "\n".join(
        [*lines, "", f"{OURS} against: {ratios} (median of the rounds); load of the machine {load} on {CORES} cores"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="*", help="input and output of a plain loop")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--posts", type=int, default=POSTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    told = parser.parse_args()
    if told.paths:
        loop(*told.paths, told.threads)
        return
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SYSTEMS}
    loads = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_posts(folder / "in.parquet", told.posts)
        for _ in range(told.rounds):
            outs = {}
            for number, name in enumerate(SYSTEMS):
                outs[name] = folder / f"out{number}.parquet"
                outs[name].unlink(missing_ok=True)
                runs[name].append(measure(name, folder / "in.parquet", outs[name]))
                loads.append(round(os.getloadavg()[0], 1))
            if not equal(outs[OURS], outs[LOOP]):
                raise RuntimeError("the scores differ from those of the plain loop")
    systems = {}
    for name, of_system in runs.items():
        seconds = [run[0] for run in of_system]
        rates = [round(told.posts / one) for one in seconds]
        systems[name] = {
            "seconds": round(statistics.median(seconds), 1),
            "cpu_s": round(statistics.median(run[1] for run in of_system), 1),
            "posts_per_s": round(statistics.median(rates)),
            "slowest": min(rates),
            "fastest": max(rates),
            "mib": round(max(run[2] for run in of_system)),
        }
    ratios = {
        name: round(
            statistics.median(theirs[0] / ours[0] for ours, theirs in zip(runs[OURS], of_system, strict=True)), 2
        )
        for name, of_system in runs.items()
        if name != OURS
    }
    result = {
        "benchmark": "batch_score",
        **machine.described(),
        "posts": told.posts,
        "rounds": told.rounds,
        "load": [min(loads), max(loads)],
        "systems": systems,
        "ratios": ratios,
    }
    machine.write("batch_score", result)
    print(table(result))


if __name__ == "__main__":
    main()
