"""What a replica computes on, from what Ray assigned to it."""

from __future__ import annotations

from typing import Any

import ray

from deployments.settings import ConfigError, Device


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
