"""python -m supervisor.importing FILE ...: sends files to POST /metrics/import, shows how far it is, prints reports.

A folder is all of its .csv and .js files, as X's exports come: one a month.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import httpx2
from tqdm import tqdm
from tqdm.utils import CallbackIOWrapper

URL = "http://127.0.0.1:8000"
# Of what was sent nothing comes back until it is stored.
IMPORT_TIMEOUT_S = 1_800.0
LISTED = 20
SUFFIXES = frozenset({".csv", ".js"})


class Refused(Exception):
    """The file was not imported; the message says why."""


def send(path: Path, url: str, key: str | None, captured_at: str | None) -> dict[str, Any]:
    """Return the report of an import.

    Raises:
        Refused: the file cannot be read, nobody answers, or the server refuses it.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    fields = {"captured_at": captured_at} if captured_at else {}
    timeout = httpx2.Timeout(IMPORT_TIMEOUT_S, connect=10.0)
    try:
        size = path.stat().st_size
        with (
            path.open("rb") as file,
            tqdm(total=size, unit="B", unit_scale=True, unit_divisor=1024, desc=path.name) as bar,
            httpx2.Client(base_url=url, headers=headers, timeout=timeout) as client,
        ):
            answer = client.post("/metrics/import", data=fields, files={"file": (path.name, _shown(file, bar))})
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from error
    except httpx2.HTTPError as error:
        raise Refused(
            f"{url} does not answer ({type(error).__name__}): is the product running? `make serve`; "
            "on another port or host say URL=http://..."
        ) from error
    try:
        told: dict[str, Any] = answer.json()
    except ValueError as error:
        raise Refused(f"{url} answered {answer.status_code}, and not as Murmuration does") from error
    if answer.status_code != httpx2.codes.OK:
        reasons = [f"  {entry['field']}: {entry['message']}" for entry in told.get("errors", [])]
        raise Refused("\n".join([str(told.get("detail", answer.status_code)), *reasons]))
    return told


def describe(report: dict[str, Any]) -> str:
    """Return a report as lines for people."""
    counts = [f"{report[name]:,} {name}" for name in ("imported", "updated", "unchanged")]
    lines = [
        f"{report['source']}: {report['rows']:,} rows: {', '.join(counts)}, {report['rejected_rows']:,} rejected",
        f"counts of {report['captured_at']}; import {report['id']}",
    ]
    listed = report["rejected"][:LISTED]
    lines += [f"  line {entry['line']}: {entry['reason']}" for entry in listed]
    if more := report["rejected_rows"] - len(listed):
        lines.append(f"  and {more:,} more")
    return "\n".join(lines)


def _shown(file: IO[bytes], bar: tqdm[Any]) -> Any:
    """The file, whose reading moves the bar."""
    return CallbackIOWrapper(bar.update, file, "read")


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are meant, those of a folder by name."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES) if path.is_dir() else [path]
        found += inside
    return found


def main() -> None:
    """Import files, each whole or not at all; the exit code is 1 where one was refused."""
    parser = argparse.ArgumentParser(prog="python -m supervisor.importing", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--url", default=URL, help=f"default: {URL}")
    parser.add_argument("--key", help="the API key of the account")
    parser.add_argument("--captured-at", help="when the counts were taken, as 2026-07-01T12:00:00Z")
    told = parser.parse_args()
    reports, refused = [], 0
    paths = files_of(told.files)
    for path in paths:
        try:
            reports.append(send(path, told.url, told.key, told.captured_at))
        except Refused as refusal:
            refused += 1
            sys.stderr.write(f"{refusal}\n")
        else:
            sys.stdout.write(describe(reports[-1]) + "\n")
    if len(paths) != 1:
        stored = sum(report["imported"] + report["updated"] for report in reports)
        sys.stdout.write(f"{len(reports)} of {len(paths)} files, {stored:,} rows new or changed\n")
    if refused or not paths:
        sys.exit(1)


if __name__ == "__main__":
    main()
