"""Where the product of a folder answers while it runs: the cluster writes it down for what looks from outside."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from deployments.settings import ConfigError

NAME = "running.json"
MODULE = "supervisor.cluster"


@dataclass(frozen=True)
class Product:
    """A running product: where it answers, the folder of its own Ray session, and where Ray's dashboard answers."""

    url: str
    session: Path
    dashboard: str


def announce(path: Path, url: str, session: str, dashboard: str) -> None:
    """Write down that this process serves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"url": url, "session": session, "dashboard": dashboard, "pid": os.getpid()}
    path.write_text(json.dumps(told))


def has_served(path: Path, pid: int) -> bool:
    """Whether the process wrote down that it serves, and did not take it back."""
    try:
        return bool(json.loads(path.read_bytes())["pid"] == pid)
    except (OSError, ValueError):
        return False


def find(folder: Path) -> Product:
    """Return the product that `make serve` runs with this folder.

    Raises:
        ConfigError: none does.
    """
    try:
        told = json.loads((folder / NAME).read_bytes())
        # A killed one leaves its file behind, and its number may be another's by now.
        if MODULE in psutil.Process(told["pid"]).cmdline():
            return Product(told["url"], Path(told["session"]), told["dashboard"])
    except (OSError, psutil.Error):
        pass
    raise ConfigError(f"no product runs with {folder}: start `make serve`, and wait until it says that it is ready")
