"""The packages of requirements.lock against the advisories that PyPI knows of them.

    python -m tests.audit.advisories [--strict]

A known vulnerability fails. Where advisories cannot be asked it says so, loudly, and only `--strict` fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
AUDIT_S = 20
# Findings that were read and do not reach us: id -> why.
ACCEPTED: dict[str, str] = {}


def main() -> int:
    """Return 1 for a vulnerability, and with --strict where a package was not checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strict", action="store_true", help="fail where advisories cannot be asked")
    strict = parser.parse_args().strict
    found = audit(600 if strict else AUDIT_S)
    if found is None:
        print("!!! advisories were NOT checked: nobody who knows them answers from here !!!")
        return int(strict)
    bad, unchecked = read(found)
    for line in bad:
        print(line)
    if unchecked:
        print(f"!!! advisories of {len(unchecked)} packages were NOT checked: {', '.join(unchecked)[:200]} !!!")
    print(f"advisories: {len(bad)} in {len(found) - len(unchecked)} packages")
    return int(bool(bad) or (strict and bool(unchecked)))


def audit(seconds: float) -> list[dict[str, Any]] | None:
    """Return what pip-audit says of each package; None where it could not ask or took longer than `seconds`."""
    command = ["pip_audit", "--requirement", str(ROOT / "requirements.lock"), "--no-deps", "--disable-pip"]
    try:
        done = subprocess.run(  # pip-audit of this environment
            [sys.executable, "-m", *command, "--progress-spinner", "off", "--format", "json", "--timeout", "5"],
            capture_output=True,
            check=False,
            timeout=seconds,
        )
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return packages


def read(packages: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return a line for each vulnerability that is not accepted, and the packages that nobody knew.

    That a package is not known is how pip-audit tells that PyPI did not answer, and it exits with 0 then.
    """
    bad = [
        f"{package['name']} {package['version']}: {one['id']}, mended in {one['fix_versions'] or 'no version yet'}"
        for package in packages
        for one in package.get("vulns", ())
        if not ACCEPTED.keys() & {one["id"], *one.get("aliases", ())}
    ]
    return bad, [package["name"] for package in packages if "skip_reason" in package]


if __name__ == "__main__":
    sys.exit(main())
