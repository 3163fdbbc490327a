"""What every replica's process is told once: where our log lines go, and how often to look for garbage."""

from __future__ import annotations

import gc
import logging

from ray.serve._private.constants import SERVE_LOGGER_NAME

PACKAGES = ("deployments", "pipelines", "store")
GC_THRESHOLDS = (20_000, 20, 50)


def settle() -> None:
    """Let our loggers write through the handlers that Serve gave this replica, and calm the garbage collector.

    Our lines join Serve's JSON files with deployment, replica and whatever `extra` carries. Thousands of small objects
    live for one batch; the default thresholds walk them a hundred times a second (11 % of the ingress' time).
    """
    serve = logging.getLogger(SERVE_LOGGER_NAME)
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.parent = serve
        logger.setLevel(logging.INFO)
    gc.set_threshold(*GC_THRESHOLDS)
