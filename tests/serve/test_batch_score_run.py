"""Batch scoring as it is run, on a Ray of its own: killed half way, gone on with, equal to a plain loop."""

import os
import random
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.records import Draft
from tests.exports import sentence
from tests.serve.conftest import ROOT, title_of, wait_until
from training.batch_score import BATCH, RESULTS, load

ROWS = 3_000
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def start(source: Path, out: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = (sys.executable, "-m", "training.batch_score", str(source), str(out), "--part-rows", str(BATCH))
    with log.open("wb") as output:
        return subprocess.Popen([*command, "--cpus", "2"], cwd=ROOT, env=environment, stdout=output, stderr=output)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    draw = random.Random(0)
    # Few texts, many posts: a batch reads equal texts once.
    texts = [f"{sentence(draw)}." for _ in range(60)] + ["Buenos días a todos los vecinos de la plaza."]
    rows = [
        {"id": number, "text": draw.choice(texts), "posted_at": FIRST + timedelta(hours=number)}
        for number in range(ROWS)
    ]
    for number in range(0, ROWS, 500):
        rows[number]["text"] = None
    schema = pa.schema([("id", pa.int64()), ("text", pa.string()), ("posted_at", pa.timestamp("us", "UTC"))])
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "in.parquet", row_group_size=700)
    return tmp_path / "in.parquet"


def plain_loop(path: Path) -> list[tuple[float | None, ...]]:
    predictor, _ = load(ROOT / "models", ROOT / "models" / "viral_predictor")
    found: list[tuple[float | None, ...]] = []
    rows = pq.read_table(path).to_pylist()
    for begin in range(0, len(rows), BATCH):
        batch = rows[begin : begin + BATCH]
        told = iter(predictor.predict([Draft(text=r["text"], posted_at=r["posted_at"]) for r in batch if r["text"]]))
        for row in batch:
            one = next(told) if row["text"] else None
            scored = one is not None and one.viral_score is not None
            found.append((one.viral_score, one.p_beats_median, *one.interval) if scored else (None,) * 4)
    return found


def test_a_killed_run_goes_on_where_it_was_and_equals_a_plain_loop(source: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out.parquet", tmp_path / "log"
    parts = tmp_path / "out.parquet.parts"
    process = start(source, out, log)
    titles: dict[psutil.Process, str] = {}

    def half_way() -> bool:
        """Both workers are there, which need not start together, and a part is."""
        nonlocal titles
        assert process.poll() is None, log.read_text()
        titles = {one: title_of(one) for one in psutil.Process(process.pid).children(recursive=True)}
        workers = sum("MapWorker" in title for title in titles.values())
        return workers == 2 and any(parts.glob("part-*.parquet"))

    try:
        wait_until(half_way, 180, "two workers and a first part")
    finally:
        process.kill()
        process.wait()
    # Ray's agents compute nothing, and end a minute after what they report to.
    family = [one for one, title in titles.items() if "Agent" not in title]
    wait_until(lambda: not any(one.is_running() for one in family), 60, "the end of its Ray")
    # A killed Ray leaves its logs, into which its agents may still be writing.
    folder = next(found[0] for title in titles.values() if (found := re.search(r"/tmp/mmb\w+", title)))
    shutil.rmtree(folder, ignore_errors=True)
    assert not out.exists()
    kept = sorted(parts.glob("part-*.parquet"))
    assert 0 < len(kept) < ROWS / BATCH
    # What was kept is not computed again: a mark in it comes out at the end.
    marked = pq.read_table(kept[0])
    place = marked.column_names.index("reason")
    pq.write_table(marked.set_column(place, "reason", pa.array(["kept"] * len(marked))), kept[0])

    process = start(source, out, log)
    assert process.wait(200) == 0, log.read_text()

    rows = pq.read_table(out)
    assert rows["id"].to_pylist() == list(range(ROWS))
    assert rows["reason"].to_pylist().count("kept") == BATCH
    found = list(zip(*(rows[name].to_pylist() for name in RESULTS.names[:4]), strict=True))
    assert found == plain_loop(source)
    unscored = sum(row[0] is None for row in found)
    assert f"{ROWS:,} posts, {unscored:,} without a score" in log.read_text()
    assert not parts.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "log", "out.parquet"]
