"""The autoscaling policy on made-up demand, in the contexts and within the delays and bounds of Serve itself."""

import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray import cloudpickle
from ray.serve._private.common import DeploymentID
from ray.serve.autoscaling_policy import _apply_app_level_autoscaling_config
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from deployments import autoscaling
from deployments.autoscaling import Demand, DemandPolicy, demand_of, settled

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"][0]
KWARGS = {
    "drain_s": 10,
    "tokens_per_s": 100,
    "spare": 0.2,
    "followers": {
        "sentiment": {"texts_per_brief": 1, "texts_per_s": 2},
        "viral_predictor": {"texts_per_brief": 6, "texts_per_s": 3},
    },
}
POLICY = DemandPolicy(**KWARGS)
# Bounds are Serve's to keep: none of the figures below reaches them but where that is said.
LIMITS = {"min_replicas": 1, "max_replicas": 10, "target_ongoing_requests": 2}
NOTHING = Demand(0, 0, 0)
MODELS = ("query_analyzer", "sentiment", "generator", "viral_predictor")


def context(
    name: str,
    *,
    now: int = 1,
    calls: float = 0,
    told: Mapping[str, Mapping[Any, float]] | None = None,
    state: dict[str, Any] | None = None,
    **limits: float,
) -> AutoscalingContext:
    config = AutoscalingConfig(**(LIMITS | limits))
    return AutoscalingContext(
        deployment_id=DeploymentID(name, "murmuration"),
        deployment_name=name,
        app_name="murmuration",
        current_num_replicas=now,
        target_num_replicas=now,
        running_replicas=[],
        total_num_requests=calls,
        total_queued_requests=0,
        aggregated_metrics=told,
        raw_metrics=None,
        capacity_adjusted_min_replicas=config.min_replicas,
        capacity_adjusted_max_replicas=config.max_replicas,
        policy_state=state or {},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=None,
        config=config,
    )


def told(*demands: Demand) -> dict[str, dict[str, float]]:
    """What so many ingress replicas told, as Serve hands it over."""
    return {name: {str(i): getattr(one, name) for i, one in enumerate(demands)} for name in Demand._fields}


def decide(*contexts: AutoscalingContext) -> dict[str, int]:
    decided, _ = POLICY({one.deployment_id: one for one in contexts})
    return {deployment.name: count for deployment, count in decided.items()}


def models(demand: Mapping[str, Mapping[Any, float]] | None, **calls: float) -> list[AutoscalingContext]:
    return [context("ingress", told=demand), *(context(name, calls=calls.get(name, 0)) for name in MODELS)]


def test_the_generator_follows_the_tokens_that_wait_with_every_ingress_replica() -> None:
    # 2,500 tokens at 100 a second in 10 s.
    demand = told(Demand(1500, 6, 1), Demand(1000, 4, 1))
    assert decide(*models(demand, generator=2))["generator"] == 3


def test_calls_to_the_language_model_count_for_nothing_and_the_other_calls_of_the_generator_do() -> None:
    eight_short_briefs = told(Demand(500, 8, 8))
    assert decide(*models(eight_short_briefs, generator=8))["generator"] == 1
    assert decide(*models(eight_short_briefs, generator=8 + 5))["generator"] == 3


def test_who_reads_and_scores_is_there_before_what_is_written_arrives() -> None:
    # 10 briefs in 10 s: one text a second to read where a replica reads 2, and 6 to score where one scores 3.
    decided = decide(*models(told(Demand(2000, 10, 1))))
    assert (decided["sentiment"], decided["viral_predictor"]) == (1, 2)


def test_no_more_comes_than_the_most_generators_write() -> None:
    # 100 briefs in 10 s would need 20 generators; 2 of them write one brief a second.
    demand = told(Demand(20_000, 100, 1))
    contexts = [one for one in models(demand) if one.deployment_name != "generator"]
    assert decide(*contexts, context("generator", max_replicas=2))["viral_predictor"] == 2
    assert decide(*contexts, context("generator", max_replicas=10))["viral_predictor"] == 10


def test_calls_of_others_are_heeded_where_nothing_is_written() -> None:
    decided = decide(*models(told(NOTHING), query_analyzer=3, sentiment=5))
    # None are needed for nothing; Serve's lower bound keeps one.
    assert decided == {"query_analyzer": 2, "sentiment": 3, "generator": 0, "viral_predictor": 0}


def test_the_ingress_is_left_alone() -> None:
    assert "ingress" not in decide(*models(told(Demand(5000, 20, 1))))


@pytest.mark.parametrize(
    "demand",
    [None, {}, {"queued_tokens": {"1": 9e9}}],
    ids=["none told", "nothing told", "an older release tells less"],
)
def test_without_news_of_the_queue_everything_is_as_serve_does_it(demand: Any) -> None:
    decided = decide(*models(demand, generator=5, sentiment=3))
    assert (decided["generator"], decided["sentiment"]) == (3, 2)
    assert decide(context("generator", calls=5)) == {"generator": 3}, "nor without an ingress that is asked"


def test_a_replica_that_told_nothing_yet_is_added_up_as_nothing() -> None:
    demand = {**told(Demand(500, 2, 1)), "another": {"9": 1.0}}
    assert demand_of(demand) == Demand(500, 2, 1)


@pytest.mark.parametrize(
    ("need", "now", "expected"),
    [
        *((0.0, 1, 0), (0.0, 5, 0), (1.0, 1, 1), (1.01, 1, 2), (7.2, 1, 8)),
        # Three would do for 2.5, four for 3; two for 1.6: a fifth of those that stay must be idle.
        *((2.5, 4, 4), (2.4, 4, 3), (3.0, 4, 4), (1.61, 3, 3), (1.6, 3, 2), (4.0, 4, 4)),
    ],
)
def test_a_replica_leaves_only_where_the_rest_keep_some_room(need: float, now: int, expected: int) -> None:
    assert settled(need, now, spare=0.2) == expected


def test_demand_that_sways_around_a_bound_does_not_sway_the_replicas() -> None:
    now, seen = 1, []
    for second in range(60):
        now = max(1, settled(2.0 + (0.3 if second % 2 else -0.3), now, spare=0.2))
        seen.append(now)
    assert set(seen[2:]) == {3}


def test_serve_keeps_delays_and_bounds_around_what_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped, clock, state = _apply_app_level_autoscaling_config(POLICY), [0.0], {}
    monkeypatch.setattr("ray.serve.autoscaling_policy.time.time", lambda: clock[0])
    generator = DeploymentID("generator", "murmuration")
    now, seen = 1, {}
    for second in range(100):
        clock[0] = float(second)
        demand = told(Demand(2500, 10, 1) if second < 40 else NOTHING)
        contexts = [
            context("ingress", told=demand),
            context("generator", now=now, state=state.get(generator), upscale_delay_s=10, downscale_delay_s=30),
        ]
        decided, state = wrapped({one.deployment_id: one for one in contexts})
        now = max(1, decided[generator])
        seen[second] = now
    assert [seen[second] for second in (0, 9, 10, 39, 69, 70, 99)] == [1, 1, 3, 3, 3, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"drain_s": 0},
        {"tokens_per_s": -1},
        {"spare": 1},
        {"followers": {"x": {"texts_per_brief": 1, "texts_per_s": 0}}},
    ],
)
def test_numbers_that_divide_by_nothing_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        DemandPolicy(**(KWARGS | change))


def test_the_policy_works_where_none_of_our_code_is(tmp_path: Path) -> None:
    """As Serve hands it to its controller: by value, to a process that cannot import this project."""
    cloudpickle.register_pickle_by_value(autoscaling)
    try:
        (tmp_path / "policy").write_bytes(cloudpickle.dumps(DemandPolicy))
    finally:
        cloudpickle.unregister_pickle_by_value(autoscaling)
    (tmp_path / "kwargs").write_bytes(pickle.dumps(KWARGS))
    script = (
        "import pickle\n"
        "policy = pickle.load(open('policy', 'rb'))(**pickle.load(open('kwargs', 'rb')))\n"
        "print(policy({}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, env={}
    )
    assert done.stdout == "({}, {})\n", done.stderr


def test_the_default_configuration_grows_only_once_a_second_generator_shortens_the_wait() -> None:
    """On two cores the first generator has one of them: a second is for those who would wait longer than drain_s."""
    policy = DemandPolicy(**APPLICATION["autoscaling_policy"]["policy_kwargs"])
    writing = APPLICATION["deployments"][0]["user_config"]["writing"]
    brief = writing["texts_per_brief"] * writing["tokens_per_text"]
    assert policy.writers(Demand(14 * brief, 14, 1)) < 1 < policy.writers(Demand(15 * brief, 15, 1))


def test_the_configured_rates_are_those_that_were_measured() -> None:
    measured = json.loads((ROOT / "tests/benchmarks/results/rates.json").read_text())
    kwargs = APPLICATION["autoscaling_policy"]["policy_kwargs"]
    writing = APPLICATION["deployments"][0]["user_config"]["writing"]
    told = {"tokens_per_s": kwargs["tokens_per_s"]} | writing
    assert told == pytest.approx(measured["generator"], rel=0.25)
    for name, follower in kwargs["followers"].items():
        assert follower["texts_per_s"] == pytest.approx(measured[name]["texts_per_s"], rel=0.25)
