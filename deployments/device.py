"""Which device a replica computes on, from what Ray assigned to it."""

from __future__ import annotations

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
