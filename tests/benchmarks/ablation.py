"""make ablation: the product without each thing that is meant to make it fast, in turns; as make bench-peers measures.

The optimized mode and HAProxy go together in the product, which refuses one without the other; what the mode switches
is switched back one by one.
"""

from typing import Any

from tests.benchmarks.peers.run import main
from tests.benchmarks.systems import System, deployment, product


def stages(**limits: int) -> Any:
    """Other bounds for every stage; replicas take as many calls as come then."""

    def change(tree: dict[str, Any]) -> None:
        for stage in deployment(tree, "ingress")["user_config"]["stages"].values():
            stage.update(limits)
        for each in tree["applications"][0]["deployments"]:
            each.update(max_ongoing_requests=1024, max_queued_requests=-1)

    return change


def sentiment_replicas(number: int) -> Any:
    def change(tree: dict[str, Any]) -> None:
        deployment(tree, "sentiment")["autoscaling_config"] |= {"min_replicas": number, "max_replicas": number}

    return change


def sentiment_batch(items: int, in_flight: int) -> Any:
    def change(tree: dict[str, Any]) -> None:
        deployment(tree, "ingress")["user_config"]["stages"]["sentiment"] |= {
            "max_items": items,
            "max_in_flight": in_flight,
        }

    return change


def everything_logged(tree: dict[str, Any]) -> None:
    tree["logging_config"] |= {"log_level": "INFO", "enable_access_log": True}
    deployment(tree, "ingress")["user_config"]["log_share"] = 1.0


SYSTEMS: dict[str, System] = {
    "ours": product(),
    "neither flag: Serve's own mode and proxy": product(optimized=False),
    "models' code on a thread of its own": product(RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD="1"),
    "router on a loop of its own": product(RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP="1"),
    "calls as Ray's tasks, not gRPC": product(RAY_SERVE_USE_GRPC_BY_DEFAULT="0"),
    "no coalescing: one item a call": product(stages(max_items=1, max_in_flight=64)),
    "neither flag, no coalescing": product(stages(max_items=1, max_in_flight=64), optimized=False),
    "one sentiment replica": product(sentiment_replicas(1)),
    "sentiment: one call in flight": product(sentiment_batch(32, 1)),
    "two calls in flight in every stage": product(stages(max_in_flight=2)),
    "every request logged": product(everything_logged),
    "log lines kept back by the thousand": product(RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE="1000"),
}

if __name__ == "__main__":
    main(SYSTEMS, "ablation", __doc__)
