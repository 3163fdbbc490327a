"""Score many posts with the shipped viral predictor, on every core and node, by Ray Data.

python -m training.batch_score posts.parquet scored.parquet

The input is a Parquet file, or a folder of files with one schema: a column `text` and, if there is one, `posted_at`;
every other column is carried along. Each post is scored alone, without the record of its author. It comes out as it
went in, in the same order, with `viral_score`, `p_beats_median`, `interval_low`, `interval_high`, and `reason` where
there is no score. Parts are kept in OUT.parts until all are there: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data
from pydantic import TypeAdapter, ValidationError
from tqdm import tqdm

from pipelines.encoder import Encoder
from pipelines.errors import WeightsRefused
from pipelines.records import Draft
from pipelines.results import Prediction
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.substance import SubstanceModel
from training.parquet import InputRefused, files_of, is_text, look_at, moment, values

ROOT: Final = Path(__file__).resolve().parents[1]
# A part is what a stopped run loses, once a core. It holds whole batches: a text's score may differ in its last digit
# by what stands beside it, so that equal runs need equal batches.
PART_ROWS: Final = 8_192
BATCH: Final = 256
# What travels between processes is the number of a part; 75 MiB is the least that Ray takes.
OBJECT_STORE_BYTES: Final = 80 * 2**20
READ_BYTES: Final = 2**20
RESULTS: Final = pa.schema(
    [
        ("viral_score", pa.float64()),
        ("p_beats_median", pa.float64()),
        ("interval_low", pa.float64()),
        ("interval_high", pa.float64()),
        ("reason", pa.string()),
    ]
)
_DRAFT: Final = TypeAdapter(Draft)


@dataclass(frozen=True)
class Plan:
    """What a run does: `parts` are (file, first row, rows); `mark` tells it apart from every other run."""

    parts: tuple[tuple[str, int, int], ...]
    schema: pa.Schema
    mark: dict[str, Any]

    @property
    def rows(self) -> int:
        """Posts in all."""
        return sum(rows for _, _, rows in self.parts)


class Scorer:
    """One process of the run: holds the models, scores a part at a time and writes it."""

    def __init__(self, models: str, viral_predictor: str, folder: str) -> None:
        self._predictor, _ = load(Path(models), Path(viral_predictor))
        self._folder = Path(folder)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[int]]:
        """Score the parts of `batch` and return their rows and how many of them have no score."""
        told: dict[str, list[int]] = {"rows": [], "unscored": []}
        for number, path, first, rows in zip(*(batch[name].tolist() for name in _PART), strict=True):
            table = scored(rows_of(Path(path), first, rows), self._predictor)
            write(table, part_path(self._folder, number))
            told["rows"].append(rows)
            told["unscored"].append(table["viral_score"].null_count)
        return told


_PART: Final = ("number", "path", "first", "rows")


def main(argv: Sequence[str] | None = None) -> None:
    """Score, assemble, and say how many posts have no score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, help="a Parquet file or a folder of them")
    parser.add_argument("output", type=Path, help="the Parquet file to write")
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="folder of the encoder and substance")
    parser.add_argument(
        "--viral-predictor", type=Path, help="folder of the weights, MODELS/viral_predictor unless told"
    )
    parser.add_argument(
        "--address",
        default=os.environ.get("RAY_ADDRESS") or "local",
        help="a running Ray cluster, whose nodes see input and output at the same paths; RAY_ADDRESS unless told, "
        "else a cluster of its own on this machine",
    )
    parser.add_argument("--cpus", type=int, help="cores of its own cluster, all of them unless told")
    parser.add_argument("--part-rows", type=int, default=PART_ROWS, help=f"rows of a part, in batches of {BATCH}")
    told = parser.parse_args(argv)
    viral_predictor = (told.viral_predictor or told.models / "viral_predictor").resolve()
    try:
        # Loaded for a moment, so that models that are refused are so before a cluster starts.
        version = load(told.models, viral_predictor)[1]
        made = plan(told.input, told.output, version, max(told.part_rows, 1))
        unscored = score(made, told.output, (told.models.resolve(), viral_predictor), told.address, told.cpus)
    except (InputRefused, WeightsRefused, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on from here") from None
    print(f"{told.output}: {made.rows:,} posts, {unscored:,} without a score (`reason` says why)")


def load(models: Path, viral_predictor: Path) -> tuple[ViralPredictor, str]:
    """Return the predictor and its version as the product serves them.

    It computes on one thread: processes are what share the cores.
    """
    substance = SubstanceModel.load(models / "substance", Encoder.load(models / "encoder", threads=1))
    predictor = ViralPredictor.load(viral_predictor, substance)
    return predictor, f"{predictor.version}+substance-{substance.version}"


def plan(source: Path, out: Path, version: str, part_rows: int) -> Plan:
    """Look at the input without reading its rows.

    Raises:
        InputRefused: there is no input, it is no Parquet, a column is missing or of another type, or `out` is there.
    """
    if out.exists():
        raise InputRefused(f"{out} is there already; delete it to score again")
    if not out.parent.is_dir():
        raise InputRefused(f"{out.parent} is no folder")
    files = files_of(source)
    schema, _ = _looked_at(files[0])
    parts: list[tuple[str, int, int]] = []
    seen = []
    for file in files:
        own, rows = _looked_at(file)
        if not own.equals(schema):
            raise InputRefused(f"{file} has other columns or types than {files[0]}")
        path = str(file.resolve())
        parts += [(path, first, min(part_rows, rows - first)) for first in range(0, rows, part_rows)]
        seen.append([file.name, file.stat().st_size, file.stat().st_mtime_ns])
    mark = {"input": seen, "model_version": version, "part_rows": part_rows, "batch": BATCH}
    metadata = (schema.metadata or {}) | {b"model_version": version.encode()}
    return Plan(tuple(parts), pa.schema([*schema, *RESULTS], metadata), mark)


def _looked_at(path: Path) -> tuple[pa.Schema, int]:
    schema, rows = look_at(path)
    if "text" not in schema.names:
        raise InputRefused(f"{path} has no column `text`; it has {', '.join(schema.names) or 'none'}")
    if taken := [name for name in RESULTS.names if name in schema.names]:
        raise InputRefused(f"{path} has a column `{taken[0]}` already: the result would be told under that name")
    if not is_text(schema.field("text").type):
        raise InputRefused(f"{path}: column `text` is {schema.field('text').type}, not text")
    if "posted_at" in schema.names:
        kind = schema.field("posted_at").type
        if not (pa.types.is_timestamp(kind) or pa.types.is_null(kind) or is_text(kind)):
            raise InputRefused(f"{path}: column `posted_at` is {kind}, neither a timestamp nor text in ISO 8601")
    return schema, rows


def score(made: Plan, out: Path, scorer: tuple[Path, Path], address: str = "local", cpus: int | None = None) -> int:
    """Score the parts that are not there yet, put all of them together as `out`, and return the posts without a score.

    `scorer` are the folders of the models and of the viral predictor.

    Raises:
        InputRefused: the parts that are there are of another run, or rows of the input cannot be read.
    """
    folder = out.with_name(f"{out.name}.parts").resolve()
    _claim(folder, made)
    missing: list[dict[str, Any]] = [
        dict(zip(_PART, (number, *part), strict=True))
        for number, part in enumerate(made.parts)
        if not part_path(folder, number).exists()
    ]
    done = made.rows - sum(part["rows"] for part in missing)
    with tqdm(total=made.rows, unit=" posts", desc="score", initial=done) as bar:
        if missing:
            with cluster(address, cpus):
                for rows in _run(missing, (*map(str, scorer), str(folder))):
                    bar.update(rows)
    unscored = assemble([part_path(folder, number) for number in range(len(made.parts))], made.schema, out)
    shutil.rmtree(folder)
    return unscored


def _run(missing: list[dict[str, Any]], arguments: tuple[str, ...]) -> Iterator[int]:
    """Yield the rows of each part as it is written."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True
    # What goes wrong is raised; Ray Data would tell it three times more, with frames of its own.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    cores = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    workers = min(max(int(cores), 1), len(missing))
    told = ray.data.from_items(missing, override_num_blocks=len(missing)).map_batches(
        Scorer,
        fn_constructor_args=arguments,
        batch_size=1,
        num_cpus=1,
        # One part a process: a second one waiting would leave another core idle at the end.
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
    )
    try:
        for row in told.iter_rows():
            yield int(row["rows"])
    except ray.exceptions.RayError as error:
        raise InputRefused(f"a part failed, the others are kept: {getattr(error, 'cause', error)}") from error


@contextmanager
def cluster(address: str, cpus: int | None) -> Iterator[None]:
    """Join the Ray cluster at `address`, or start one of its own with ports and folder of its own (`local`)."""
    if address != "local":
        ray.init(address=address, logging_level=logging.ERROR)
        try:
            yield
        finally:
            ray.shutdown()
        return
    # Ray's sockets stand below it, whose paths must be short.
    temporary = tempfile.mkdtemp(prefix="mmb", dir="/tmp")  # nosec B108
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            logging_level=logging.ERROR,
            _temp_dir=temporary,
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(temporary, ignore_errors=True)


def _claim(folder: Path, made: Plan) -> None:
    """Make the folder of the parts, or go on with that of the same run."""
    folder.mkdir(exist_ok=True)
    path = folder / "run.json"
    wanted = json.dumps(made.mark, sort_keys=True)
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        temporary.write_text(wanted)
        temporary.replace(path)
    elif path.read_text() != wanted:
        raise InputRefused(f"{folder} holds parts of another input or model; delete it to begin anew")


def part_path(folder: Path, number: int) -> Path:
    """Return where a part is kept."""
    return folder / f"part-{number:06d}.parquet"


def rows_of(path: Path, first: int, rows: int) -> pa.Table:
    """Read `rows` rows from `first` on, batch by batch: a row group may be larger than memory.

    Raises:
        InputRefused: the file is damaged there.
    """
    try:
        with pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False) as file:
            groups: list[int] = []
            begin, start = 0, 0
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                if begin < first + rows and end > first:
                    start = start if groups else begin
                    groups.append(group)
                begin = end
            found, at = [], start
            for batch in file.iter_batches(batch_size=rows, row_groups=groups):
                skipped = max(first - at, 0)
                if skipped < len(batch):
                    found.append(batch.slice(skipped, first + rows - max(at, first)))
                at += len(batch)
                if at >= first + rows:
                    break
            return pa.Table.from_batches(found, file.schema_arrow)
    except (OSError, pa.ArrowException) as error:
        raise InputRefused(f"{path}, rows {first} to {first + rows}: {error}") from error


def scored(table: pa.Table, predictor: ViralPredictor) -> pa.Table:
    """Return `table` with RESULTS; a row that is no draft, or that the predictor cannot read, gets its reason."""
    moments = table["posted_at"] if "posted_at" in table.column_names else pa.nulls(len(table))
    read = [_draft(*row) for row in zip(values(table["text"]), values(moments), strict=True)]
    told: list[tuple[float | str | None, ...]] = []
    for begin in range(0, len(read), BATCH):
        batch = read[begin : begin + BATCH]
        predictions = iter(predict(predictor, [draft for draft in batch if isinstance(draft, Draft)]))
        told += [_told(next(predictions) if isinstance(one, Draft) else one) for one in batch]
    columns = zip(*told, strict=True) if told else ((),) * len(RESULTS)
    for field, column in zip(RESULTS, columns, strict=True):
        table = table.append_column(field, pa.array(column, field.type))
    return table


def predict(predictor: ViralPredictor, drafts: list[Draft]) -> list[Prediction | str]:
    """Return a prediction or a reason for each draft; one that makes the predictor fail fails alone."""
    try:
        return [*predictor.predict(drafts)]
    except Exception as error:  # noqa: BLE001 whatever a text does to the predictor, the other posts are scored
        if len(drafts) == 1:
            return [f"the predictor failed: {type(error).__name__}"]
    middle = len(drafts) // 2
    return predict(predictor, drafts[:middle]) + predict(predictor, drafts[middle:])


def _draft(text: object, posted_at: object) -> Draft | str:
    """Return the draft, or why it is none, by the rules of POST /predict."""
    try:
        return _DRAFT.validate_python({"text": text, "posted_at": moment(posted_at)}, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{first['loc'][0]}: {first['msg']}"


def _told(one: Prediction | str) -> tuple[float | str | None, ...]:
    if isinstance(one, str):
        return None, None, None, None, one
    if one.viral_score is None or one.interval is None:
        return None, None, None, None, one.note
    return one.viral_score, one.p_beats_median, *one.interval, None


def assemble(parts: Sequence[Path], schema: pa.Schema, out: Path) -> int:
    """Write the parts one after the other as `out`, which is whole or not there; return the rows without a score."""
    unscored = 0
    temporary = out.with_name(f"{out.name}.{uuid.uuid4().hex}.tmp")
    try:
        with pq.ParquetWriter(temporary, schema) as writer:
            for part in parts:
                with pq.ParquetFile(part) as file:
                    table = file.read()
                unscored += table["viral_score"].null_count
                writer.write_table(table.cast(schema))
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return unscored


def write(table: pa.Table, path: Path) -> None:
    """Write a part, which is whole or not there: another node may be writing the same one."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    pq.write_table(table, temporary)
    temporary.replace(path)


if __name__ == "__main__":
    main()
