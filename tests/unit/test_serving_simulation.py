"""The simulator of the serving graph, held to closed forms, and to what the product's own batcher does."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Sequence

import numpy as np
import pytest

from deployments.microbatch import Limits, MicroBatcher
from tests.simulations.serving import (
    Cluster,
    IngressModel,
    Loss,
    Scaling,
    Seen,
    StageModel,
    waiting_mg1,
    waiting_mmc,
)

pytestmark = pytest.mark.clock

STEPS = [["model"]]
# A tandem of nothing and one stage: what an item waits in the ingress is what a queue of the textbooks waits.
NOTHING = IngressModel()


def run(rate: float, *, seconds: float, replicas: int = 1, seed: int = 1, **stage: float) -> Seen:
    model = StageModel("model", replicas, 0.0, 0.01, max_items=1, max_in_flight=replicas, max_waiting=10**9, **stage)  # type: ignore[arg-type]
    return Cluster(NOTHING, [model], STEPS, seed=seed, routing="least").open_loop(rate, seconds)


def waited(seen: Seen) -> float:
    return float(seen.took[len(seen.took) // 10 :].mean()) - 0.01


@pytest.mark.parametrize(
    ("replicas", "busy", "spread", "expected"),
    [
        (1, 0.5, 1.0, waiting_mmc(50, 0.01, 1)),
        (1, 0.8, 1.0, waiting_mmc(80, 0.01, 1)),
        (8, 0.8, 1.0, waiting_mmc(640, 0.01, 8)),
        (1, 0.8, 0.0, waiting_mg1(80, 0.01, 0.0)),
        (1, 0.7, 0.5, waiting_mg1(70, 0.01, 0.5)),
    ],
    ids=["M/M/1 half full", "M/M/1", "M/M/8", "M/D/1", "M/G/1"],
)
def test_what_a_request_waits_is_what_the_closed_form_says(
    replicas: int, busy: float, spread: float, expected: float
) -> None:
    runs = [
        waited(run(busy * replicas / 0.01, seconds=200 / replicas, replicas=replicas, seed=seed, spread=spread))
        for seed in range(10)
    ]
    error = float(np.std(runs, ddof=1)) / math.sqrt(len(runs))
    # Three standard errors of ten runs, by Student's distribution with nine degrees: 98.5 %.
    assert abs(np.mean(runs) - expected) < 3 * error
    assert error < 0.15 * expected


def test_a_closed_form_that_is_wrong_by_a_third_would_be_noticed() -> None:
    runs = [waited(run(80, seconds=200, seed=seed, spread=1.0)) for seed in range(10)]
    error = float(np.std(runs, ddof=1)) / math.sqrt(len(runs))
    assert abs(np.mean(runs) - waiting_mmc(80, 0.01, 1) * 4 / 3) > 3 * error


def test_erlangs_formula_gives_the_textbooks_figures() -> None:
    # 10 erlangs on 12 servers: 0.4493 wait (Erlang C), each for a twelfth of a call's rate less the load.
    assert waiting_mmc(10, 1.0, 12) == pytest.approx(0.4493 / 2, rel=1e-3)
    assert waiting_mmc(0.5, 1.0, 1) == pytest.approx(1.0)
    assert waiting_mg1(0.5, 1.0, 1.0) == pytest.approx(waiting_mmc(0.5, 1.0, 1))


def test_littles_law_holds() -> None:
    seen = run(80, seconds=500, spread=1.0)
    assert seen.busy["model"] == pytest.approx(0.8, abs=0.03)


def simulated_batches(arrivals: Sequence[float], service: tuple[float, float], limits: Limits) -> list[float]:
    model = StageModel(
        "model", limits.max_in_flight, *service, max_items=limits.max_items, max_in_flight=limits.max_in_flight
    )
    cluster = Cluster(NOTHING, [model], STEPS, seed=1, routing="least")
    for at in arrivals:
        cluster._push(at, cluster._enter, None)
    return list(cluster._run(30.0).took)


class Skipping(selectors.DefaultSelector):
    """Where a loop would sleep its clock goes on at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


async def real_batches(arrivals: Sequence[float], service: tuple[float, float], limits: Limits) -> list[float]:
    loop = asyncio.get_running_loop()

    async def call(items: list[int], _: float) -> list[int]:
        await asyncio.sleep(service[0] + service[1] * len(items))
        return items

    batcher: MicroBatcher[int, int] = MicroBatcher("model", call, limits)

    async def one(number: int, at: float) -> float:
        await asyncio.sleep(at)
        began = loop.time()
        await batcher.submit(number, began + 60)
        return loop.time() - began

    return list(await asyncio.gather(*(one(number, at) for number, at in enumerate(arrivals))))


@pytest.mark.parametrize("limits", [Limits(64, 1, 999), Limits(4, 1, 999), Limits(4, 3, 999)], ids=str)
def test_it_coalesces_as_the_products_own_batcher_does(limits: Limits) -> None:
    arrivals = np.cumsum(np.random.default_rng(1).exponential(0.02, 300)).tolist()
    service = (0.03, 0.011)
    selector = Skipping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    real = loop.run_until_complete(real_batches(arrivals, service, limits))
    loop.close()
    assert simulated_batches(arrivals, service, limits) == pytest.approx(real, abs=1e-6)


def test_what_no_queue_takes_is_degraded_and_what_no_ingress_takes_is_refused() -> None:
    model = StageModel("model", 1, 1.0, 0.0, max_items=1, max_waiting=2, deadline_s=2.5)
    seen = Cluster(IngressModel(max_requests=3), [model], STEPS, seed=1).open_loop(20, 5.0)
    assert seen.share([2]) > 0
    assert seen.share([1]) > 0
    assert seen.took[seen.outcome < 2].max() <= 2.5 + 1e-9
    assert not np.isnan(seen.took).any()


def test_a_killed_replica_costs_no_answer_and_a_silent_one_only_time() -> None:
    stage = StageModel("model", 3, 0.005, 0.001, max_in_flight=3, deadline_s=5.0)
    for notice in (0.0, 1.0):
        loss = Loss(share=1 / 3, at=2.0, back=6.0, notice_s=notice, ingress=False)
        seen = Cluster(NOTHING, [stage], STEPS, seed=1, losses=[loss]).open_loop(100, 10.0)
        assert seen.share([0]) == 1.0
        assert (seen.took.max() > 0.5) == (notice > 0)
    silent = Loss(share=1 / 3, at=2.0, notice_s=8.0, ingress=False)
    seen = Cluster(NOTHING, [stage], STEPS, seed=1, losses=[silent]).open_loop(100, 10.0)
    assert 0 < seen.share([1]) < 1


def test_an_ingress_that_dies_fails_what_it_holds_and_nothing_after_it_was_noticed() -> None:
    stage = StageModel("model", 2, 0.05, 0.0, max_items=1, max_in_flight=2, deadline_s=5.0)
    loss = Loss(share=0.5, at=2.0, notice_s=0.5)
    seen = Cluster(IngressModel(replicas=2), [stage], STEPS, seed=1, losses=[loss]).open_loop(10, 10.0)
    assert seen.share([3], 1.5, 2.5) > 0
    assert seen.share([3], 2.51) == 0


def test_replicas_grow_with_the_load_after_the_delay_and_the_start() -> None:
    stage = StageModel("model", 1, 0.1, 0.0, max_items=1, max_in_flight=64)
    scale = Scaling("model", target=1.0, most=4, look_back_s=5, upscale_delay_s=3, cold_s=10)
    seen = Cluster(NOTHING, [stage], STEPS, seed=1, scaling=[scale]).open_loop(25, 60.0)
    first = next(at for at, count in seen.replicas if count > 1)
    assert 13 <= first <= 16
    assert seen.replicas[-1][1] == 4


def test_shared_cores_bound_what_processes_answer_together() -> None:
    stage = StageModel("model", 4, 0.01, 0.0, max_items=1, max_in_flight=4)
    shared = Cluster(NOTHING, [stage], STEPS, seed=1, cores=2).closed_loop(8, 20.0)
    own = Cluster(NOTHING, [stage], STEPS, seed=1).closed_loop(8, 20.0)
    assert len(shared.took) / 20 == pytest.approx(200, rel=0.02)
    assert len(own.took) / 20 > 1.5 * len(shared.took) / 20
