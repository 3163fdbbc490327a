"""How many replicas each model wants: the application's autoscaling policy, which Serve's controller asks every 0.1 s.

The generator follows the tokens that wait to be written; sentiment and predictor follow what will be written, before it
arrives; all follow the calls that they are in, as Serve counts them. Bounds and delays are Serve's and stand in
autoscaling_config. Serve pickles this module by value, so that it imports nothing of ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ray.serve._private.common import DeploymentID
    from ray.serve.config import AutoscalingContext

# Holds the queue in front of the generator and tells of it; how many there are is fixed.
INGRESS = "ingress"
GENERATOR = "generator"


class Demand(NamedTuple):
    """What all ingress replicas together wait for: tokens and briefs of the language model, and the calls it is in."""

    queued_tokens: float
    queued_briefs: float
    writing_calls: float


class Follower(NamedTuple):
    """What one brief costs a model that reads or scores, and how many texts a second one of its replicas does."""

    texts_per_brief: float
    texts_per_s: float


class DemandPolicy:
    """Sizes every deployment that has an autoscaling_config, but the ingress."""

    def __init__(
        self, *, drain_s: float, tokens_per_s: float, spare: float, followers: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Take `policy_kwargs` of serve_config.yaml.

        Args:
            drain_s: seconds in which what waits to be written should be, above 0.
            tokens_per_s: what one replica of the generator writes, above 0.
            spare: share of the replicas that stay which must be idle before one leaves, in [0, 1).
            followers: name of a deployment to its `texts_per_brief` (0 or more) and `texts_per_s` (above 0).

        Raises:
            ValueError: a number is out of its range.
            TypeError: a name is missing or unknown.
        """
        self._followers = {name: Follower(**costs) for name, costs in followers.items()}
        rates = [drain_s, tokens_per_s, *(one.texts_per_s for one in self._followers.values())]
        if not all(rate > 0 for rate in rates):
            raise ValueError("drain_s, tokens_per_s and texts_per_s must be above 0")
        if not (0 <= spare < 1 and all(one.texts_per_brief >= 0 for one in self._followers.values())):
            raise ValueError("spare must be in [0, 1), texts_per_brief 0 or more")
        self._drain_s = drain_s
        self._tokens_per_s = tokens_per_s
        self._spare = spare

    def __call__(
        self, contexts: Mapping[DeploymentID, AutoscalingContext]
    ) -> tuple[dict[DeploymentID, int], dict[DeploymentID, dict[str, Any]]]:
        """Return how many replicas each deployment should have, before Serve's delays and bounds; no state."""
        named = {deployment.name: context for deployment, context in contexts.items()}
        demand = demand_of(named[INGRESS].aggregated_metrics if INGRESS in named else None)
        most_writers = named[GENERATOR].capacity_adjusted_max_replicas if GENERATOR in named else 0
        return {
            deployment: settled(self._need(context, demand, most_writers), context.target_num_replicas, self._spare)
            for deployment, context in contexts.items()
            if deployment.name != INGRESS
        }, {}

    def _need(self, context: AutoscalingContext, demand: Demand | None, most_writers: int) -> float:
        calls: float = context.total_num_requests
        config: Any = context.config
        per_replica: float = config.get_target_ongoing_requests()
        if demand is None:
            # No ingress has told yet, or none is asked to: as Serve does without us.
            return calls / per_replica
        if context.deployment_name == GENERATOR:
            # A call to the language model says how many wait, not how much; the others are short and alike.
            return max(self.writers(demand), max(calls - demand.writing_calls, 0.0) / per_replica)
        follower = self._followers.get(context.deployment_name)
        coming = self.texts_per_s(demand, follower, most_writers) / follower.texts_per_s if follower else 0.0
        return max(calls / per_replica, coming)

    def writers(self, demand: Demand) -> float:
        """Return how many replicas of the generator write what waits within `drain_s`."""
        return demand.queued_tokens / (self._tokens_per_s * self._drain_s)

    def texts_per_s(self, demand: Demand, follower: Follower, most_writers: int) -> float:
        """Return how many texts a second come to a follower while at most `most_writers` write what waits."""
        if demand.queued_tokens <= 0:
            return 0.0
        tokens_per_s = self._tokens_per_s * min(self.writers(demand), most_writers)
        return tokens_per_s * demand.queued_briefs / demand.queued_tokens * follower.texts_per_brief


def demand_of(metrics: Mapping[str, Mapping[Any, float]] | None) -> Demand | None:
    """Add up what the ingress replicas told, by metric and replica; None where none has told all of it."""
    if metrics is None or not metrics.keys() >= set(Demand._fields):
        return None
    return Demand(*(sum(metrics[name].values()) for name in Demand._fields))


def settled(need: float, now: int, spare: float) -> int:
    """Return the replicas for a `need`: more at once, fewer only where the rest keep a share of `spare` idle."""
    if need > now:
        return math.ceil(need)
    return min(now, math.ceil(need / (1 - spare)))
