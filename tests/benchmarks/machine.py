"""What a result says of where it was measured, and where results stand."""

import datetime as dt
import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
SERVED = ("deployments", "pipelines", "store", "supervisor", "models", "serve_config.yaml", "requirements.lock")


def described() -> dict[str, Any]:
    """Date, machine and commit of a result that is measured now."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30),
            "python": platform.python_version(),
        },
        "commit": _git("rev-parse", "--short", "HEAD"),
    }


def code_measured(*more: str) -> str:
    """A hash of the files that are measured, as they lie here."""
    names = _git("ls-files", "--cached", "--others", "--exclude-standard", "--", *SERVED, *more).splitlines()
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(name.encode())
        if (ROOT / name).exists():
            digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()[:12]


def write(name: str, result: dict[str, Any]) -> Path:
    """Write a result as JSON; returns where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.with_suffix(".new").write_text(json.dumps(result, indent=1) + "\n")
    path.with_suffix(".new").replace(path)
    return path


def put_into_page(marker: str, lines: list[str]) -> None:
    """Replace what stands in docs/speed.md between the comments `MARKER` and `/MARKER`.

    Raises:
        ValueError: the page has no such comments.
    """
    page = ROOT / "docs/speed.md"
    before, start, rest = page.read_text().partition(f"<!-- {marker} -->\n")
    _, end, after = rest.partition(f"<!-- /{marker} -->\n")
    if not start or not end:
        raise ValueError(f"docs/speed.md has no <!-- {marker} --> ... <!-- /{marker} -->")
    page.write_text("".join((before, start, *(f"{line}\n" for line in lines), end, after)))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.machine()
