"""make scale: what thousands of requests a second need, cost and break, from what was measured and what is assumed.

Reads tests/benchmarks/results, simulates the serving graph (tests.simulations.serving), and writes SCALE.md and
SCALE.png beside itself. Ends with an error where a claim of docs/scale.md does not hold in the simulation.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.simulations.capacity import (
    PLAIN,
    STEPS,
    Claim,
    Costs,
    Section,
    Size,
    assumed,
    assumptions,
    breaks,
    grown,
    measured,
    money,
    per_core,
    regions,
    size,
    table,
)
from tests.simulations.serving import Cluster, IngressModel, Loss, Routing, Scaling, Seen, StageModel

FOLDER = Path(__file__).parent
SEED = 20_261_130
# What deployments/stages.py gives a stage of the time that is left; the writer's requests have more of it.
DEADLINES_S = {
    "query_analyzer": 2.0,
    "sentiment": 2.5,
    "templates": 2.5,
    "language_model": 24.0,
    "viral_predictor": 5.0,
    "store": 3.0,
}


def cluster(
    costs: Costs,
    replicas: Size,
    *,
    seed: int = SEED,
    coalesce: bool = True,
    in_flight: float = 2.0,
    cores: int | None = None,
    routing: Routing = "two",
    scaling: Sequence[Scaling] = (),
    losses: Sequence[Loss] = (),
    lm_share: float = 0.0,
    max_requests: float = 512,
) -> Cluster:
    """The graph with so many replicas; `in_flight` calls a replica of a stage may be out, over all ingresses."""
    stages = []
    for name, count in replicas.stages.items():
        fixed, each = costs.call_ms(name)
        bound = costs.bounds[name]
        most = max(1, math.ceil(in_flight * count / replicas.ingress))
        stages.append(
            StageModel(
                name,
                count,
                fixed / 1000,
                each / 1000,
                costs.items(name),
                max_items=bound["max_items"] if coalesce else costs.items(name),
                max_in_flight=(1 if name == "store" else most) if coalesce else 64,
                max_waiting=bound["max_waiting"],
                deadline_s=DEADLINES_S[name],
                delay_s=costs.commit_ms / 1000 if name == "store" and cores is None else 0.0,
                spread=assumed("spread"),
                share=lm_share if name == "language_model" else 1.0,
                # The pool of asyncpg: what it costs the ingress is in graph_ms.
                remote=name != "store",
            )
        )
    half = assumed("hop_ms") / 2000
    ingress = IngressModel(
        replicas.ingress,
        in_s=(assumed("http_ms") + costs.graph_ms / 2) / 1000,
        out_s=costs.graph_ms / 2000,
        call_s=half / 2,
        remote_s=half,
        wire_s=assumed("wire_ms") / 1000 if cores is None else 0.0,
        max_requests=max_requests,
    )
    return Cluster(
        ingress,
        stages,
        STEPS if lm_share else PLAIN,
        seed=seed,
        routing=routing,
        cores=cores,
        client_s=(assumed("client_ms") + assumed("proxy_ms")) / 1000 if cores else 0.0,
        scaling=scaling,
        losses=losses,
    )


def ms(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{1000 * seconds:,.0f}"


def percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.2f} %"


# What was measured, beside the simulation -----------------------------------------------------------------------------


def check(costs: Costs, scale: float = 1.0) -> Section:
    """The benchmark's two cores, with its clients on them, beside what it measured."""
    replicas = Size(1, {"query_analyzer": 1, "sentiment": 2, "templates": 1, "viral_predictor": 1, "store": 2})
    rows, ratios = [], []
    for clients in (1, 16, 64):
        seen = cluster(costs, replicas, cores=2, in_flight=1.0).closed_loop(clients, 60 * scale)
        measured = costs.analyze["systems"]["ours"][str(clients)]
        rate, was = len(seen.took) / seen.seconds, measured["requests_per_s"]["median"]
        p50, p99 = measured["p50_ms"]["median"], measured["p99_ms"]["median"]
        rows.append(
            (
                clients,
                was,
                f"{rate:.1f}",
                f"{rate / was:.2f}",
                p50,
                ms(seen.percentile(0.5, 2)),
                p99,
                ms(seen.percentile(0.99, 2)),
                f"{seen.batch['sentiment']:.1f}",
            )
        )
        ratios.append(rate / was)
    head = (
        "callers | requests/s measured | simulated | ratio | p50 measured, ms | simulated | "
        "p99 measured, ms | simulated | texts a call of sentiment"
    )
    return table(head, rows), [
        Claim(
            "on two cores the simulation answers within a factor of 2 of what was measured",
            all(0.5 < one < 2 for one in ratios),
        )
    ]


# Queues ---------------------------------------------------------------------------------------------------------------


def loaded(costs: Costs, replicas: Size, rate: float, seconds: float, **options: Any) -> Seen:
    return cluster(costs, replicas, **options).open_loop(rate, seconds)


def fullest(seen: Seen) -> tuple[str, float]:
    """The part that is busiest, and how busy."""
    return max(((name, share) for name, share in seen.busy.items()), key=lambda one: one[1])


def utilisation(costs: Costs, scale: float = 1.0) -> Section:
    """Latency against how busy the replicas are, with and without coalescing: one cluster, more and more load."""
    replicas = size(costs, 1000, used=assumed("used"))
    rows, p99, answered = [], {}, {}
    for coalesce in (True, False):
        for rate in (500, 800, 1000, 1200, 1400, 1600):
            seen = loaded(costs, replicas, rate, 20 * scale, coalesce=coalesce)
            part, busy = fullest(seen)
            since = 4 * scale
            p99[coalesce, rate] = seen.percentile(0.99, since)
            answered[coalesce, rate] = seen.share([0], since)
            rows.append(
                (
                    "yes" if coalesce else "no",
                    rate,
                    f"{part} {busy:.0%}",
                    f"{seen.batch['sentiment']:.1f}",
                    f"{seen.batch['store']:.1f}",
                    ms(seen.percentile(0.5, since)),
                    ms(p99[coalesce, rate]),
                    percent(1 - answered[coalesce, rate]),
                )
            )
    lines = [
        f"{replicas.total()} replicas: {replicas.ingress} of the ingress, "
        + ", ".join(f"{count} {name}" for name, count in replicas.stages.items())
        + " (cores of Postgres).",
        "",
    ]
    head = (
        "coalesced | requests/s | busiest part | texts a call of sentiment | rows a statement | "
        "p50, ms | p99, ms | not whole"
    )
    return lines + table(head, rows), [
        Claim(
            "coalescing answers in time a load under which calls one by one do not",
            p99[True, 1400] < p99[False, 1400] / 2,
        ),
        Claim("batches grow with the load, which nobody configured", rows[0][3] <= rows[4][3]),
    ]


def routes(costs: Costs, scale: float = 1.0) -> Section:
    """How the router picks a replica: one stage alone, an ingress that costs nothing, 50 replicas."""
    fixed, each = costs.call_ms("sentiment")
    stage = StageModel(
        "sentiment", 50, fixed / 1000, each / 1000, max_items=1, max_in_flight=10_000, max_waiting=10**9, spread=1.0
    )
    taken = stage.fixed_s + stage.item_s
    rows, p99 = [], {}
    for busy in (0.5, 0.7, 0.85, 0.95):
        found: list[object] = [f"{busy:.0%}"]
        for routing in ("random", "two", "least"):
            seen = Cluster(IngressModel(), [stage], [["sentiment"]], seed=SEED, routing=routing).open_loop(
                busy * 50 / taken, 15 * scale
            )  # type: ignore[arg-type]
            p99[routing, busy] = seen.percentile(0.99, 3 * scale) / taken
            found.append(f"{p99[routing, busy]:.1f}")
        rows.append(found)
    return table("busy | random | the better of two | the best of all", rows), [
        Claim(
            "the better of two halves the p99 of a random choice at 85 %", p99["two", 0.85] < p99["random", 0.85] / 2
        ),
        Claim(
            "the best of all gains less over two than two over one",
            p99["two", 0.85] - p99["least", 0.85] < p99["random", 0.85] - p99["two", 0.85],
        ),
    ]


def losses(costs: Costs, scale: float = 1.0) -> Section:
    """A node, a zone, a region is gone for good after a quarter of the run, whole replicas at a time."""
    rows, degraded = [], {}
    places = (("a node of 12", 1 / 12, 10.0), ("a zone of 3", 1 / 3, 10.0), ("a region of 2", 1 / 2, 30.0))
    seconds, at = 60 * scale, 15 * scale
    for used in (0.4, 0.6, 0.8):
        replicas = size(costs, 1000, used=used)
        for place, share, notice in places:
            loss = Loss(share, at=at, notice_s=notice * scale)
            seen = loaded(costs, replicas, 1000, seconds, losses=[loss])
            after = at + notice * scale + 5 * scale
            degraded[used, place] = 1 - seen.share([0], after)
            rows.append(
                (
                    f"{used:.0%}",
                    place,
                    ms(seen.percentile(0.99, 2 * scale, at - 5 * scale)),
                    percent(seen.share([3], at, after)),
                    percent(seen.share([1], at, after)),
                    ms(seen.percentile(0.99, after)),
                    percent(degraded[used, place]),
                )
            )
    head = (
        "sized for | lost | p99 before, ms | failed until noticed | degraded until noticed | "
        "p99 afterwards, ms | not whole afterwards"
    )
    return table(head, rows), [
        Claim("at 60 % a lost zone of three is carried by the others", degraded[0.6, "a zone of 3"] < 0.001),
        Claim("at 80 % a lost region of two is not", degraded[0.8, "a region of 2"] > 0.01),
        Claim("at 40 % it is", degraded[0.4, "a region of 2"] < 0.001),
    ]


def headroom(costs: Costs, scale: float = 1.0) -> Section:
    """How full replicas may be for a p99, found by sizing the same load ever tighter."""
    rows, best = [], {}
    for used in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4):
        replicas = size(costs, 1000, used=used)
        seen = loaded(costs, replicas, 1000, 20 * scale)
        best[used] = seen.percentile(0.99, 4 * scale)
        rows.append(
            (
                f"{used:.0%}",
                replicas.total(),
                replicas.ingress,
                f"{fullest(seen)[0]} {fullest(seen)[1]:.0%}",
                ms(seen.percentile(0.5, 4 * scale)),
                ms(best[used]),
            )
        )
    return table("sized for | replicas | of the ingress | busiest part | p50, ms | p99, ms", rows), [
        Claim("p99 falls with headroom", best[0.5] < best[0.9])
    ]


def steps(costs: Costs, scale: float = 1.0) -> Section:
    """The load doubles at once; the autoscaler of Serve follows, with and without room, for three starting times."""
    rows, hurt = [], {}
    at, seconds = 30 * scale, 120 * scale
    for used in (0.4, 0.6):
        replicas = size(costs, 500, used=used)
        for cold in (5.0, assumed("cold_s"), 120.0):
            scaling = [
                Scaling(
                    name,
                    target=1.0,
                    most=4 * count,
                    look_back_s=30 * scale,
                    upscale_delay_s=10 * scale,
                    every_s=max(scale, 0.05),
                    cold_s=cold * scale,
                )
                for name, count in replicas.stages.items()
                if name != "store"
            ]
            # The ingress is fixed: it is sized for the peak, as docs/operations.md says.
            peak = dataclasses.replace(replicas, ingress=2 * replicas.ingress)
            run = cluster(costs, peak, scaling=scaling)
            seen = run.open_loop(lambda now: 500.0 if now < at else 1000.0, seconds, most=1000.0)
            hurt[used, cold] = 1 - seen.share([0], at)
            slow = [
                second
                for second in range(int(at / scale), int(seconds / scale))
                if seen.percentile(0.99, second * scale, (second + 1) * scale) > 0.25
            ]
            rows.append(
                (
                    f"{used:.0%}",
                    f"{cold:.0f}",
                    ms(seen.percentile(0.99, 4 * scale, at)),
                    ms(seen.percentile(0.99, at)),
                    percent(hurt[used, cold]),
                    f"{len(slow)}",
                    ms(seen.percentile(0.99, seconds - 20 * scale)),
                )
            )
    head = (
        "sized for | s to start | p99 before, ms | p99 from the step on, ms | not whole | "
        "seconds with p99 above 250 ms | p99 at the end, ms"
    )
    return table(head, rows), [
        Claim(
            "headroom of 60 % takes a doubled load without one degraded answer, however slowly replicas start",
            hurt[0.4, 120.0] < 0.001,
        )
    ]


def thousand(costs: Costs, scale: float = 1.0, rate: float = 10_000) -> Section:
    """A thousand replicas: 10^4 requests/s of which some want the language model."""
    share = assumed("lm_share")
    replicas = size(costs, rate, used=assumed("used"), batch=1.0, lm_share=share)
    rows, whole, p99 = [], {}, {}
    for in_flight in (2.0, 0.25):
        started = time.process_time()
        seen = loaded(
            costs, replicas, rate, 60 * scale if in_flight == 2.0 else 30 * scale, lm_share=share, in_flight=in_flight
        )
        since = 5 * scale
        part, busy = fullest(seen)
        whole[in_flight], p99[in_flight] = seen.share([0], since), seen.percentile(0.99, since)
        rows.append(
            (
                f"{in_flight:g}",
                replicas.total(),
                len(seen.took),
                f"{seen.seconds:.0f}",
                f"{part} {busy:.0%}",
                f"{seen.batch['sentiment']:.2f}",
                f"{seen.batch['store']:.1f}",
                ms(seen.percentile(0.5, since)),
                ms(seen.percentile(0.94, since)),
                ms(p99[in_flight]),
                percent(1 - whole[in_flight]),
                f"{time.process_time() - started:.0f}",
            )
        )
    lines = [
        "Replicas: "
        + ", ".join(f"{name} {count}" for name, count in (("ingress", replicas.ingress), *replicas.stages.items()))
        + " (store: cores of Postgres).",
        "",
    ]
    head = (
        "calls out a replica | replicas | requests | simulated s | busiest part | texts a call of sentiment | "
        "rows a statement | p50, ms | p94, ms | p99, ms | not whole | CPU s of the simulation"
    )
    return lines + table(head, rows), [
        Claim("an ingress with too few calls out keeps the writer's requests waiting", p99[0.25] > 1.1 * p99[2.0]),
        Claim("at 10^4 requests/s the sized cluster answers every request whole", whole[2.0] > 0.999),
    ]


SECTIONS: Mapping[str, Callable[..., Section]] = {
    "The simulation beside the product": check,
    "How busy, how late": utilisation,
    "Which replica": routes,
    "Headroom for a p99": headroom,
    "A node, a zone, a region": losses,
    "A step of load": steps,
    "A thousand replicas": thousand,
    "A request in CPU": per_core,
    "A million requests": money,
    "Rows, bytes, entries": grown,
    "What breaks first": breaks,
    "A region, lost": regions,
}
UNSCALED = {"A request in CPU"}


def run(name: str, costs: Costs, scale: float = 1.0) -> Section:
    """One of SECTIONS, its simulated times multiplied by `scale`."""
    return SECTIONS[name](costs) if name in UNSCALED else SECTIONS[name](costs, scale)


def picture(costs: Costs, path: Path) -> None:
    """p99 against load, coalesced and not, and latency second by second through a lost zone."""
    from matplotlib.figure import Figure

    replicas = size(costs, 1000, used=assumed("used"))
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    rates = list(range(300, 1701, 200))
    for coalesce, color, name in ((True, "#1d6fb8", "coalesced"), (False, "#c0392b", "a call a request")):
        p99 = [1000 * loaded(costs, replicas, rate, 10, coalesce=coalesce).percentile(0.99, 2) for rate in rates]
        left.plot(rates, p99, marker="o", color=color, label=name)
    left.set(
        xlabel="requests/s",
        ylabel="p99, ms",
        yscale="log",
        title=f"{replicas.total()} replicas, sized for 1,000 requests/s",
    )
    left.legend()
    for used, color in ((0.4, "#2e7d32"), (0.6, "#1d6fb8"), (0.8, "#c0392b")):
        seen = loaded(costs, size(costs, 1000, used=used), 1000, 45, losses=[Loss(1 / 3, at=10, back=35, notice_s=5)])
        seconds = range(1, 45)
        right.plot(
            seconds,
            [1000 * seen.percentile(0.99, second, second + 1) for second in seconds],
            color=color,
            label=f"sized for {used:.0%}",
        )
    right.axvspan(10, 35, color="#888888", alpha=0.15)
    right.set(
        xlabel="s; a third of the replicas is gone from 10 to 35, noticed after 5",
        ylabel="p99, ms",
        yscale="log",
        title="a zone of three, lost",
    )
    right.legend()
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the simulated times; below 1 nothing is written")
    arguments = parser.parse_args()
    costs, started = Costs.read(), time.perf_counter()
    lines = [
        "# Scale, in figures",
        "",
        "`make scale` writes this file from measured costs (tests/benchmarks/results), assumptions by number, and a",
        "seeded simulation.",
        "",
        *measured(costs),
    ]
    claims: list[Claim] = []
    with ProcessPoolExecutor() as pool:
        # The longest first; they are told in their order.
        order = sorted(SECTIONS, key=lambda name: name != "A thousand replicas")
        running = {name: pool.submit(run, name, costs, arguments.scale) for name in order}
        for name in SECTIONS:
            told, held = running[name].result()
            print(f"{time.perf_counter() - started:.0f} s: {name}", file=sys.stderr, flush=True)
            about = (SECTIONS[name].__doc__ or "").splitlines()[0]
            lines += [f"## {name}", "", about, "", *told]
            claims += held
    lines += [
        "## Claims",
        "",
        *table("the simulation bears it out | claim", [("yes" if one.holds else "NO", one.text) for one in claims]),
    ]
    lines += ["## Assumptions", "", *assumptions()]
    text = "\n".join(lines)
    print(text)
    if arguments.scale >= 1:
        (FOLDER / "SCALE.md").write_text(text.rstrip() + "\n")
        picture(costs, FOLDER / "SCALE.png")
    if broken := [one.text for one in claims if not one.holds]:
        sys.exit("\n".join(f"not borne out: {one}" for one in broken))


if __name__ == "__main__":
    main()
