"""make autoscale: the product on nodes that come and go, while load rises and falls.

Starts a cluster of fake nodes, whose raylets and autoscaler are real, and the whole product on it. A generator asks for
a GPU; at the start there is room for one replica of each deployment. Readers send queries that want templates, writers
wait for the language model beside them, then nearly all leave. Each second it notes callers, replicas, nodes, answers
and failures. Writes tests/benchmarks/results/autoscaling.json and docs/autoscaling.svg; fails where a request failed,
a node of the wrong type started, or something that was started for the load stays.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import uvloop
import yaml
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from supervisor.cluster import APPLICATION, haproxy_environment
from supervisor.main import FLAGS
from supervisor.ports import claim_ingress_ports, free_port
from supervisor.render import merge
from tests.benchmarks import generation, machine
from tests.benchmarks.machine import ROOT
from tests.benchmarks.systems import bodies, own_database, servers
from tests.fake_nodes import Nodes, NodeType, fake_nodes

PICTURE = ROOT / "docs" / "autoscaling.svg"
# What fits: the head holds the fewest of all but the generator, a CPU node two more. A GPU node has no CPU to give, so
# that it holds one generator and nothing else.
HEAD_CPUS = 3
TYPES = {"cpu": NodeType(2, at_most=2), "gpu": NodeType(0, gpus=1, at_least=1, at_most=3)}
IDLE_S = 10.0
START_S, SETTLE_S, SAMPLE_S = 180, 150, 1.0
PAUSE_S = 1.0


@dataclass(frozen=True)
class Phase:
    """So many seconds with so many who ask one after the other: for templates, and for the language model."""

    name: str
    seconds: float
    readers: int
    writers: int


PHASES = (
    Phase("quiet", 20, 1, 0),
    Phase("reading", 50, 6, 0),
    Phase("writing", 90, 6, 16),
    Phase("quiet again", 0, 1, 0),
)
# In place of serve_config.yaml's: delays and windows that fit a run of minutes, so little patience that sixteen writers
# are a crowd, and a predictor as slow as a large model, so that it is seen to follow the generator.
FAST = {"upscale_delay_s": 3, "downscale_delay_s": 20, "look_back_period_s": 8, "metrics_interval_s": 2}
DRAIN_S, SCORES_PER_S = 4, 8


def patch(port: int) -> dict[str, Any]:
    """What differs from serve_config.yaml."""

    def deployment(name: str, cpus: float, gpus: float = 0, **scaling: float) -> dict[str, Any]:
        actor = {"num_cpus": cpus, "num_gpus": gpus}
        return {"name": name, "ray_actor_options": actor, "autoscaling_config": FAST | scaling}

    ingress = deployment("ingress", 0.5)
    ingress["user_config"] = {
        "stages": {"language_model": {"max_in_flight": 3, "max_items": 4}},
        "log_share": 0.0,
    }
    return {
        # The only ingress is on the head; HAProxies of several nodes of one machine would want the same ports.
        "proxy_location": "HeadOnly",
        "http_options": {"port": port},
        "applications": [
            {
                "name": APPLICATION,
                # A GPU is faked: nothing may compute on it.
                "args": {"device": "cpu"},
                "autoscaling_policy": {
                    "policy_kwargs": {
                        "drain_s": DRAIN_S,
                        "followers": {"viral_predictor": {"texts_per_s": SCORES_PER_S}},
                    }
                },
                "deployments": [
                    ingress,
                    deployment("query_analyzer", 0.5, max_replicas=1),
                    # In flight there are two calls at most: one on average is more than one replica should have.
                    deployment("sentiment", 1, min_replicas=1, max_replicas=2, target_ongoing_requests=0.5),
                    deployment("generator", 0, 1, max_replicas=3),
                    deployment("viral_predictor", 1),
                ],
            }
        ],
    }


@dataclass
class Answers:
    """What came back: latencies in milliseconds by who asked, and what was not as it should be."""

    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {"readers": [], "writers": []})
    failures: list[str] = field(default_factory=list)
    degraded: int = 0


@dataclass
class Second:
    """What was seen in one second; replicas that run and that are wanted by deployment, nodes by type.

    `strays` are replicas on a GPU node that asked for no GPU.
    """

    at_s: float
    phase: str
    callers: dict[str, int]
    replicas: dict[str, int]
    wanted: dict[str, int]
    nodes: dict[str, int]
    strays: int
    answers: Answers


@dataclass
class Load:
    """Callers that each have one request in flight, as many of each kind as `callers` says at the moment."""

    url: str
    callers: dict[str, int] = field(default_factory=lambda: {"readers": 0, "writers": 0})
    answers: Answers = field(default_factory=Answers)
    over: bool = False

    async def run(self) -> None:
        """Ask until it is `over` and everybody has an answer."""
        ways = {"readers": ("/analyze-query", bodies()), "writers": ("/generate", english())}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(self.url, connector=connector, trust_env=False) as session:
            await asyncio.gather(
                *(
                    self._caller(session, kind, place, path, asked)
                    for kind, (path, asked) in ways.items()
                    for place in range(max(getattr(phase, kind) for phase in PHASES))
                )
            )

    async def _caller(
        self, session: aiohttp.ClientSession, kind: str, place: int, path: str, asked: Iterator[bytes]
    ) -> None:
        while not self.over:
            if place >= self.callers[kind]:
                await asyncio.sleep(0.1)
                continue
            started = time.perf_counter()
            try:
                await self._ask(session, path, next(asked))
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self.answers.failures.append(f"{kind}: {error!r}")
            self.answers.latencies_ms[kind].append((time.perf_counter() - started) * 1000)
            if self.callers[kind] == 1:
                await asyncio.sleep(PAUSE_S)

    async def _ask(self, session: aiohttp.ClientSession, path: str, body: bytes) -> None:
        headers, timeout = {"content-type": "application/json"}, aiohttp.ClientTimeout(60)
        async with session.post(path, data=body, headers=headers, timeout=timeout) as response:
            told = await response.read()
        if response.status != 200:
            raise ValueError(f"{response.status} {told[:200]!r}")
        self.answers.degraded += bool(orjson.loads(told)["degraded"])

    def take(self) -> Answers:
        """Return what came since the last time."""
        taken, self.answers = self.answers, Answers()
        return taken


def english() -> Iterator[bytes]:
    """Briefs in the language that our own writer writes."""
    return (body for body in generation.briefs(engine="lm") if orjson.loads(body)["language"] == "en")


def look(nodes: Nodes) -> tuple[dict[str, int], dict[str, int], dict[str, int], int]:
    """Running and wanted replicas by deployment, nodes by type, and strays."""
    where = nodes.alive()
    running, wanted, strays = {}, {}, 0
    for name, deployment in nodes.application(APPLICATION)["deployments"].items():
        up = [one for one in deployment["replicas"] if one["state"] == "RUNNING"]
        running[name], wanted[name] = len(up), deployment["target_num_replicas"]
        strays += sum(name != "generator" and where.get(one["node_id"]) == "gpu" for one in up)
    counted = Counter(where.values())
    return running, wanted, {name: counted[name] for name in TYPES}, strays


async def watch(nodes: Nodes, load: Load, seconds: list[Second], phase: list[Phase]) -> None:
    """Note every second, until cancelled."""
    started = time.perf_counter()
    for number in itertools.count():
        await asyncio.sleep(max(started + number * SAMPLE_S - time.perf_counter(), 0.0))
        running, wanted, counted, strays = await asyncio.to_thread(look, nodes)
        at_s = round(time.perf_counter() - started, 1)
        seconds.append(Second(at_s, phase[0].name, dict(load.callers), running, wanted, counted, strays, load.take()))


async def story(url: str, nodes: Nodes) -> list[Second]:
    """Play the phases; the last one ends when everything is as small as at the start."""
    load, seconds, phase = Load(url), list[Second](), [PHASES[0]]
    asking = asyncio.create_task(load.run())
    watching = asyncio.create_task(watch(nodes, load, seconds, phase))
    for one in PHASES:
        phase[0], load.callers = one, {"readers": one.readers, "writers": one.writers}
        tell(f"{one.name}: {one.readers} ask for templates, {one.writers} for the language model")
        await asyncio.wait([watching], timeout=one.seconds)
    for _ in range(SETTLE_S):
        if watching.done() or is_small(seconds[-1]):
            break
        await asyncio.sleep(1)
    load.over = True
    await asking
    await asyncio.wait([watching], timeout=2 * SAMPLE_S)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    if not watching.cancelled():
        watching.result()
    return seconds


def is_small(second: Second) -> bool:
    """Whether there is one replica of each deployment, and no node but those that are always there."""
    least = {name: one.at_least for name, one in TYPES.items()}
    return {*second.replicas.values(), *second.wanted.values()} == {1} and second.nodes == least


def faults(seconds: list[Second]) -> list[str]:
    """What was not as it should be."""
    failures = Counter(failure for one in seconds for failure in one.answers.failures)
    reading, writing = ([one for one in seconds if one.phase == name] for name in ("reading", "writing"))
    last = writing[-1]
    claims = {
        "no request failed": not failures,
        "a replica that found no room got a CPU node": any(one.nodes["cpu"] for one in reading),
        "who asked for no GPU started no GPU node": all(one.nodes["gpu"] == 1 for one in reading),
        "and was on none": not any(one.strays for one in seconds),
        "each generator got a GPU node": last.nodes["gpu"] == last.replicas["generator"] > 1,
        "the predictor followed the generator": last.replicas["viral_predictor"] == 2,
        "all that came went": is_small(seconds[-1]),
    }
    said = [f"{count} x {failure}" for failure, count in failures.most_common(3)]
    return [*(f"not so: {claim}" for claim, held in claims.items() if not held), *said]


def percentiles(part: list[Second], kind: str) -> dict[str, int]:
    """Answers, and milliseconds that half, 95 and 99 of a hundred of them took at most."""
    values = [value for one in part for value in one.answers.latencies_ms[kind]]
    found = [round(float(value)) for value in np.percentile(values, [50, 95, 99])] if values else []
    return {"answers": len(values)} | dict(zip(("p50_ms", "p95_ms", "p99_ms"), found, strict=False))


def rows(seconds: list[Second]) -> list[dict[str, Any]]:
    """Each phase: who asked, how long they waited, and what there was at its end."""
    told = []
    for phase in PHASES:
        part = [one for one in seconds if one.phase == phase.name]
        told.append(
            {
                "phase": phase.name,
                "seconds": round(part[-1].at_s - part[0].at_s),
                "callers": {"readers": phase.readers, "writers": phase.writers},
                "answers": {kind: percentiles(part, kind) for kind in ("readers", "writers")},
                "failed": sum(len(one.answers.failures) for one in part),
                "degraded": sum(one.answers.degraded for one in part),
                "replicas": part[-1].replicas,
                "nodes": part[-1].nodes,
            }
        )
    return told


def table(result: dict[str, Any]) -> str:
    """The figures as docs/scaling.md shows them."""
    lines = [
        "| phase | s | readers | p50, p95, p99 | writers | p50, p95, p99 | failed | degraded | replicas | nodes |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["phases"]:
        cells = [row["phase"], row["seconds"]]
        for kind, callers in row["callers"].items():
            told = row["answers"][kind]
            cells += [callers, f"{told['p50_ms']}, {told['p95_ms']}, {told['p99_ms']}" if told["answers"] else "-"]
        replicas = row["replicas"]
        cells += [row["failed"], row["degraded"]]
        cells += [f"{replicas['sentiment']}, {replicas['generator']}, {replicas['viral_predictor']}"]
        cells += [f"{row['nodes']['cpu']}, {row['nodes']['gpu']}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    answers = sum(told["answers"] for row in result["phases"] for told in row["answers"].values())
    lines += ["", f"{answers:,} requests, {sum(row['failed'] for row in result['phases'])} failed"]
    return "\n".join(lines)


def second_of(one: Second) -> dict[str, Any]:
    """A second as it is written down."""
    answers = {kind: percentiles([one], kind) for kind in one.answers.latencies_ms}
    failed = len(one.answers.failures)
    kept = {name: getattr(one, name) for name in ("at_s", "phase", "callers", "replicas", "wanted", "nodes")}
    return kept | {"answers": answers, "failed": failed, "degraded": one.answers.degraded}


def draw(result: dict[str, Any]) -> None:
    """Load, replicas, nodes and latency over time."""
    seconds = result["by_second"]
    at = [one["at_s"] for one in seconds]
    figure = Figure(figsize=(9.0, 8.0), facecolor="white", layout="constrained")
    FigureCanvasSVG(figure)
    panels = figure.subplots(4, sharex=True)
    lines: list[list[tuple[str, list[float]]]] = [
        [(kind, [one["callers"][kind] for one in seconds]) for kind in ("readers", "writers")],
        [(name, [one["replicas"][name] for one in seconds]) for name in seconds[0]["replicas"]],
        [(f"{name} nodes", [one["nodes"][name] for one in seconds]) for name in TYPES],
        [
            (f"p95 of {kind}", [one["answers"][kind].get("p95_ms", float("nan")) / 1000 for one in seconds])
            for kind in ("readers", "writers")
        ],
    ]
    for panel, title, drawn in zip(panels, ("callers", "replicas", "nodes", "seconds"), lines, strict=True):
        for place, (name, values) in enumerate(drawn):
            if title == "seconds":
                panel.plot(at, values, ".", label=name, markersize=4)
            else:
                # A hair apart, so that equal counts are seen as two lines.
                panel.step(at, [value + 0.04 * place for value in values], where="post", label=name, linewidth=1.5)
        panel.set_ylabel(title)
        if title != "seconds":
            panel.yaxis.set_major_locator(MaxNLocator(integer=True))
        panel.legend(loc="upper left", fontsize=8, frameon=False)
        panel.spines[["top", "right"]].set_visible(False)
    panels[3].set_yscale("log")
    panels[3].set_xlabel("seconds")
    figure.savefig(PICTURE, format="svg", metadata={"Date": None})


def environment_of(folder: Path) -> dict[str, str]:
    """What `make serve` gives its cluster, HAProxy and direct calls included."""
    return (
        dict.fromkeys(FLAGS, "1")
        | {"RAY_SERVE_HAPROXY_NBTHREAD": "1", "RAY_worker_niceness": "0"}
        | {"RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1", "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1"}
        | haproxy_environment(folder)
    )


def wait_until_ready(url: str, nodes: Nodes) -> None:
    """Wait until every model has answered.

    Raises:
        RuntimeError: it failed, or was not ready in time.
    """
    deadline = time.monotonic() + START_S
    told: dict[str, Any] = {}
    while time.monotonic() < deadline and told.get("status") != "DEPLOY_FAILED":
        told = nodes.application(APPLICATION)
        if told.get("status") == "RUNNING":
            try:
                with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                    return
            except OSError:
                pass
        time.sleep(0.5)
    raise RuntimeError(f"not ready: {told.get('status')} {told.get('message')}\n{nodes.log.read_text()[-2000:]}")


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run it all; returns 1 where something was not as it should be, and then writes nothing."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    port = free_port()
    config = merge(yaml.safe_load((ROOT / "serve_config.yaml").read_text()), patch(port))
    with tempfile.TemporaryDirectory(prefix="ma", dir="/tmp", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        ports, _claim = claim_ingress_ports()
        with servers(folder) as (postgres, given):
            database = asyncio.run(own_database(postgres.url, "autoscaling"))
            addresses = {"DATABASE_URL": database, "REDIS_URL": given["REDIS_URL"]}
            tell("starting the nodes ...")
            with fake_nodes(
                folder,
                head_cpus=HEAD_CPUS,
                types=TYPES,
                idle_s=IDLE_S,
                environment=addresses | ports | environment_of(folder),
            ) as nodes:
                tell("starting the product ...")
                nodes.deploy(config)
                url = f"http://127.0.0.1:{port}"
                wait_until_ready(url, nodes)
                seconds = uvloop.run(story(url, nodes))
    result = {
        "benchmark": "autoscaling",
        **machine.described(),
        "phases": rows(seconds),
        "by_second": [second_of(one) for one in seconds],
    }
    print(table(result))
    if found := faults(seconds):
        tell("\n".join(found))
        return 1
    machine.write("autoscaling", result)
    draw(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
