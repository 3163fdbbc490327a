"""What every replica has: its process settled once, one thread for blocking work, and the device that Ray assigned."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

import ray
from ray.serve._private.constants import SERVE_LOGGER_NAME

from deployments.settings import ConfigError, Device

PACKAGES = ("deployments", "pipelines", "store")
GC_THRESHOLDS = (20_000, 20, 50)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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


class Worker:
    """Runs calls one after the other on a thread that stays.

    Serve would run a plain method on a thread too, but on a new one each time: anyio's idle threads end with the task
    of the gRPC call that they were made for. Measured on a call that does nothing: 2.7 ms of CPU so, 2.1 ms here.
    """

    def __init__(self, *, niceness: int = 0) -> None:
        """Start no thread yet; with a `niceness` above 0 (to 19) it leaves the cores to others who want them."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model", initializer=partial(_be_nice, niceness))

    def result(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Return what `function` returns on the thread, and wait for it: for what is loaded before anybody calls."""
        return self._executor.submit(function, *args, **kwargs).result()

    async def run(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Return what `function` returns, or raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))


def _be_nice(niceness: int) -> None:
    """Linux schedules threads; elsewhere a thread cannot be told apart from its process."""
    if niceness and sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(niceness, os.getpriority(os.PRIO_PROCESS, thread)))


def resolve(device: Device) -> str:
    """Return "cpu" or "cuda" for a replica.

    Asks Ray for the accelerator ids assigned to this replica, not torch: a replica without a GPU share on a GPU node
    still sees every GPU of the node.

    Raises:
        ConfigError: "cuda" is configured and Ray assigned no GPU to this replica.
    """
    if device == "cpu":
        return "cpu"
    assigned = bool(ray.get_runtime_context().get_accelerator_ids().get("GPU"))
    if device == "cuda" and not assigned:
        raise ConfigError("device: cuda, but Ray assigned no GPU to this replica: set ray_actor_options.num_gpus")
    return "cuda" if assigned else "cpu"


def cpus() -> int:
    """Return how many whole CPUs Ray assigned to this replica, at least one: threads of a model's computation."""
    context: Any = ray.get_runtime_context()  # untyped
    return max(1, int(context.get_assigned_resources().get("CPU", 1)))
