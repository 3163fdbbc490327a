"""`make deploy` on a cluster of the tests, with serve_config.yaml and a change of it, and with other code."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.serve.conftest import ROOT, Cluster

# Takes the application of serve_config.yaml, and changes it in place.
Change = Callable[[dict[str, Any]], None]
TIMEOUT_S = 540
# What the next release does that the first one does not: it tells and stores which one answered.
MIGRATION = """
ALTER TABLE analyzed_queries ADD COLUMN release TEXT;
CREATE INDEX analyzed_queries_release ON analyzed_queries (release);
"""
EDITS = (
    ("store/queries.sql", "INSERT INTO analyzed_queries\n    (id,", "INSERT INTO analyzed_queries\n    (release, id,"),
    (
        "store/queries.sql",
        "\nSELECT\n    id, account_id, query_text,",
        "\nSELECT\n    'next', id, account_id, query_text,",
    ),
    ("deployments/answers.py", '"persisted": persisted,', '"persisted": persisted, "release": "next",'),
)


def next_code(root: Path) -> None:
    """Put the code of the next release and its migration in the place of the first one's."""
    (root / "store/migrations/9999_release.sql").write_text(MIGRATION)
    for name, before, after in EDITS:
        text = (root / name).read_text()
        if text.count(before) != 1:
            raise ValueError(f"{name} has not exactly one {before!r}")
        (root / name).write_text(text.replace(before, after))


def first_code(root: Path) -> None:
    """Put the first release's code back; migrations go forward only."""
    for name in {name for name, _, _ in EDITS}:
        shutil.copy(ROOT / name, root / name)
    (root / "store/migrations/9999_release.sql").unlink()


def changed(change: Change, path: Path) -> Path:
    """serve_config.yaml with a change, as a file."""
    tree = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    change(tree["applications"][0])
    path.write_text(yaml.safe_dump(tree))
    return path


def deploy(cluster: Cluster, change: Change, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Deploy the changed configuration; returns when it is served, or refused."""
    config = changed(change, cluster.folder / "next.yaml")
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    command = [sys.executable, "-m", "supervisor.deploying", "--config", str(config)]
    return subprocess.run(
        [*command, "--data", str(cluster.folder / "data"), *arguments],
        cwd=cluster.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def named(application: dict[str, Any], deployment: str) -> dict[str, Any]:
    """The part of a deployment."""
    return next(one for one in application["deployments"] if one["name"] == deployment)


def numbers(application: dict[str, Any]) -> None:
    """Other numbers of several deployments, which no replica restarts for."""
    named(application, "ingress")["user_config"]["store_deadline_s"] = 2.5
    named(application, "sentiment")["user_config"]["weights"] = "specification"
    named(application, "generator")["user_config"]["temperature"] = 0.7


def release(application: dict[str, Any]) -> None:
    """A release: every replica is replaced."""
    application["args"]["release"] = "next"


def missing(application: dict[str, Any]) -> None:
    """A release that cannot start: one of its models is not there."""
    application["args"] |= {"release": "broken", "viral_predictor": "models/not_there"}


def cached(application: dict[str, Any]) -> None:
    """Templates are cached too, so that every request asks Redis."""
    named(application, "ingress")["user_config"]["cache_engines"] = ["templates", "lm"]


def first(_application: dict[str, Any]) -> None:
    """What was served first."""
