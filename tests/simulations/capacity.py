"""What requests cost, and what so many of them need and break: measured costs, assumptions by number, and arithmetic.

tests.simulations.scale prints the tables; nothing here is simulated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests/benchmarks/results"
STEPS = (("query_analyzer",), ("sentiment", "templates"), ("language_model",), ("viral_predictor",), ("store",))
PLAIN = tuple(step for step in STEPS if step != ("language_model",))
MONTH_H = 730.0


@dataclass(frozen=True)
class Assumption:
    """A number that nobody measured here."""

    value: float
    unit: str
    why: str


# By name; numbered in this order, A1 first.
ASSUMED: Mapping[str, Assumption] = {
    "hop_ms": Assumption(
        2.1, "ms of CPU a call", "both sides of one call between replicas; deployments/replica.py measured it"
    ),
    "http_ms": Assumption(
        0.45,
        "ms of CPU",
        "HTTP of one request in the ingress: half of what a constant answer costs at 64, see the check",
    ),
    "client_ms": Assumption(0.45, "ms of CPU", "the other half: the client of the benchmark, on the same cores"),
    "proxy_ms": Assumption(0.05, "ms of CPU", "HAProxy, a request"),
    "wire_ms": Assumption(0.25, "ms", "network between two nodes of a zone, one way and back"),
    "spread": Assumption(0.3, "", "coefficient of variation of a call's time on a machine that is not shared"),
    "lm_share": Assumption(0.05, "of requests", "those that want the language model"),
    "used": Assumption(0.6, "of a core", "what replicas are sized for; the rest is headroom"),
    "cold_s": Assumption(
        20.0, "s", "from wanting a replica to its first answer, on a node that is there and has the image"
    ),
    "vcpu_usd": Assumption(
        0.050, "USD an hour", "a vCPU with 4 GiB, on demand; general-purpose lists stood at .04 to .05 in June 2026"
    ),
    "gpu_usd": Assumption(
        1.006, "USD an hour", "a node with one A10G and 4 vCPUs, on demand (list of June 2026: g5.xlarge)"
    ),
    "disk_usd": Assumption(0.08, "USD a GB and month", "block storage, one copy"),
    "archive_usd": Assumption(0.023, "USD a GB and month", "object storage, for backups and WAL"),
    "egress_usd": Assumption(0.09, "USD a GB", "answers that leave the cloud"),
    "zone_usd": Assumption(0.02, "USD a GB", "between zones, both ways counted"),
    "region_usd": Assumption(0.02, "USD a GB", "WAL to another region"),
    "copies": Assumption(3.0, "", "copies of the database: a primary and two standbys"),
    "keep_days": Assumption(30.0, "days", "that answers are kept: query_retention_days of every account"),
    "readings": Assumption(5.0, "a post", "snapshots_h of serve_config.yaml names five"),
    "memory_gb": Assumption(256.0, "GB", "memory of the largest database server that one wants"),
    "pg_cores": Assumption(32.0, "cores", "of that server"),
    "wal_mb_s": Assumption(250.0, "MB/s", "WAL that a disk takes and a standby follows"),
    "disk_tb": Assumption(16.0, "TB", "the largest volume of one database server"),
    "redis_gb": Assumption(25.0, "GB", "memory of one Redis that one still wants to restart"),
    "nic_gbit_s": Assumption(10.0, "Gbit/s", "network of one node"),
    "lag_s": Assumption(1.0, "s", "how far an asynchronous standby in another region is behind"),
    "archive_s": Assumption(60.0, "s", "between two WAL segments in the archive (archive_timeout)"),
    "restore_mb_s": Assumption(500.0, "MB/s", "a backup that is read back"),
    "rtt_ms": Assumption(30.0, "ms", "round trip to the other region"),
    "promote_s": Assumption(60.0, "s", "to decide that a region is lost and promote a standby"),
    "failover_s": Assumption(120.0, "s", "until clients come to the other region (DNS with a TTL of 60 s)"),
}


def assumed(name: str) -> float:
    """The value of an assumption."""
    return ASSUMED[name].value


def put(name: str) -> str:
    """An assumption as it stands in a sentence."""
    return f"{assumed(name):g} {ASSUMED[name].unit} ({cite(name)})"


def cite(name: str) -> str:
    """The number of an assumption, as pages name it."""
    return f"A{list(ASSUMED).index(name) + 1}"


@dataclass(frozen=True)
class Costs:
    """What was measured: tests/benchmarks/results, and the bounds of serve_config.yaml."""

    unit: dict[str, Any]
    analyze: dict[str, Any]
    generation: dict[str, Any]
    bounds: dict[str, dict[str, int]]

    @classmethod
    def read(cls) -> Costs:
        tree = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
        bounds = tree["applications"][0]["deployments"][0]["user_config"]["stages"]
        names = ("unit_costs", "analyze_query", "generation")
        return cls(*(json.loads((RESULTS / f"{name}.json").read_text()) for name in names), bounds)

    def call_ms(self, stage: str) -> tuple[float, float]:
        """Fixed and per-item milliseconds of a call of a stage."""
        if stage == "language_model":
            # Four callers kept batches of four under way, one caller batches of one; both waited for the same writer.
            alone, four = (self.generation["generate"][calls]["p50_ms"] for calls in ("1", "4"))
            return max(alone - (four - alone) / 3, 0.0), (four - alone) / 3
        found = self.unit["postgres"]["cpu"] if stage == "store" else self.unit["stages"][stage]
        return found["fixed_ms"], found["item_ms"]

    def items(self, stage: str) -> int:
        """Items that a request sends to a stage."""
        return max(1, round(self.unit["stages"].get(stage, {"items": 1})["items"]))

    @property
    def commit_ms(self) -> float:
        """What a statement waits beyond its CPU: the disk, mostly."""
        return max(0.0, float(self.unit["postgres"]["wait_ms"]["1"] - self.unit["postgres"]["cpu"]["call_ms"]["1"]))

    @property
    def graph_ms(self) -> float:
        """CPU of the ingress' loop a request, without HTTP and without calls between processes."""
        return float(self.unit["ingress"]["at_64_ms"])

    def request_ms(self, stage: str, batch: float) -> float:
        """CPU of a stage a request, where calls hold `batch` requests; the replica's side of the call counts."""
        fixed, each = self.call_ms(stage)
        remote = 0.0 if stage == "store" else assumed("hop_ms") / 2
        return (fixed + remote) / batch + each * self.items(stage)

    def ingress_ms(self, batch: float, stages: int = 4) -> float:
        """CPU of the ingress a request: HTTP, the graph, and its side of the calls."""
        return assumed("http_ms") + self.graph_ms + stages * assumed("hop_ms") / 2 / batch


@dataclass(frozen=True)
class Size:
    """Replicas of each part."""

    ingress: int
    stages: Mapping[str, int]

    def total(self) -> int:
        """All replicas of Serve: Postgres is none."""
        return self.ingress + sum(count for name, count in self.stages.items() if name != "store")


def size(costs: Costs, rate: float, *, used: float, batch: float = 2.0, lm_share: float = 0.0) -> Size:
    """Replicas for `rate` requests/s at `used` of a core each, where calls carry `batch` requests."""
    stages = {}
    for name in (stage for step in STEPS for stage in step):
        share = lm_share if name == "language_model" else 1.0
        # Rows of different ingresses never share a statement, and a lone brief seldom waits for company.
        together = 1.0 if name in {"store", "language_model"} else batch
        if share:
            stages[name] = max(2, math.ceil(rate * share * costs.request_ms(name, together) / 1000 / used))
    return Size(max(2, math.ceil(rate * costs.ingress_ms(batch) / 1000 / used)), stages)


@dataclass(frozen=True)
class Claim:
    """Something that docs/scale.md says, and whether the simulation bears it out."""

    text: str
    holds: bool


Section = tuple[list[str], list[Claim]]


def table(head: str, rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table; `head` has its columns between bars."""
    return [
        f"| {head} |",
        "|" + "---|" * (head.count("|") + 1),
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
        "",
    ]


def measured(costs: Costs) -> list[str]:
    """The table of when the costs were measured."""
    rows = [
        (part, when["date"], when["commit"], f"{when['load'][0]} to {when['load'][1]}")
        for part, when in costs.unit["when"].items()
    ]
    return table(f"costs, on {costs.unit['machine']} | measured | commit | load of the machine", rows)


def assumptions() -> list[str]:
    """The table of what nobody measured."""
    return table(
        "no. | value | what",
        [(cite(name), f"{one.value:g} {one.unit}".strip(), one.why) for name, one in ASSUMED.items()],
    )


def row_bytes(costs: Costs, name: str) -> float:
    found = costs.unit["tables"][name]
    return float(found["heap"] + found["indexes"] + found["apart"])


def wal_bytes(costs: Costs) -> float:
    """WAL of an answer, eight rows a statement."""
    return float(costs.unit["postgres"]["wal_bytes"]["8"])


def store_ms(costs: Costs, batch: float = 8) -> float:
    return costs.request_ms("store", batch)


def per_core(costs: Costs) -> Section:
    """CPU of a request by part, and what a core answers: the sum of the parts beside the whole that was measured."""
    parts = {
        "HTTP and the graph in the ingress": assumed("http_ms") + costs.graph_ms,
        **{name: costs.call_ms(name)[1] * costs.items(name) for step in PLAIN for name in step if name != "store"},
        "Postgres (a row of eight)": store_ms(costs),
        "HAProxy": assumed("proxy_ms"),
    }
    rows: list[tuple[object, ...]] = [(name, f"{value:.2f}") for name, value in parts.items()]
    fixed = {name: costs.call_ms(name)[0] for step in PLAIN for name in step if name != "store"}
    calls = sum(fixed.values()) + 4 * assumed("hop_ms")
    rows += [(f"four calls, {batch} requests in each", f"{calls / batch:.2f}") for batch in (1, 4, 16)]
    total = {batch: sum(parts.values()) + calls / batch for batch in (1, 4, 16)}
    ours = costs.analyze["systems"]["ours"]["64"]["requests_per_s"]["median"] / 2
    alone, item = costs.call_ms("language_model")
    lines = table("part of a request | ms of CPU", rows)
    found = [(f"sum of the parts, {batch} requests a call", f"{1000 / value:.0f}") for batch, value in total.items()]
    found += [
        ("measured, 64 callers on the same two cores", f"{ours:.0f}"),
        ("`/generate` with our writer, by its thread", f"{1000 / (alone + item):.2f}"),
        ("on a GPU", "not measured"),
    ]
    lines += table("requests/s a core | figure", found)
    gpu = assumed("gpu_usd") / assumed("vcpu_usd")
    texts, briefs = gpu * 1000 / costs.call_ms("sentiment")[1], gpu * 1000 / item
    lines += [
        f"A GPU node ({cite('gpu_usd')}) costs as much as {gpu:.0f} vCPUs ({cite('vcpu_usd')}).",
        f"For the encoder it pays from {texts:,.0f} texts/s on, for the writer from {briefs:.0f} briefs/s.",
        "Whether it reaches that was not measured.",
        "",
    ]
    return lines, [
        Claim(
            "what was measured lies within a factor of 2 of the sum of the parts at 16 requests a call",
            0.5 < ours / (1000 / total[16]) < 2,
        )
    ]


def million_usd(costs: Costs, *, lm: bool = False, batch: float = 2.0) -> dict[str, float]:
    """USD for a million requests, by part."""
    cpu = (
        costs.ingress_ms(batch)
        + sum(costs.request_ms(name, batch) for step in PLAIN for name in step if name != "store")
        + assumed("proxy_ms")
    )
    core_usd = assumed("vcpu_usd") / 3.6e6 / assumed("used") * 1e6
    row = row_bytes(costs, "analyzed_queries") * 1e6 / 1e9
    found = {
        "models and ingress": cpu * core_usd,
        "Postgres": store_ms(costs) * core_usd * assumed("copies"),
        "storage, as long as they are kept": row * assumed("keep_days") / 30 * assumed("disk_usd") * assumed("copies"),
        "WAL archive, a month": wal_bytes(costs) / 1e3 * assumed("archive_usd"),
        "between zones": (wal_bytes(costs) * 2 + 4 * costs.unit["ingress"]["answer_bytes"]) / 1e3 * assumed("zone_usd"),
        "egress": costs.unit["ingress"]["answer_bytes"] / 1e3 * assumed("egress_usd"),
    }
    if lm:
        found["the writer"] = sum(costs.call_ms("language_model")) * core_usd
    return found


def money(costs: Costs, scale: float = 1.0) -> Section:
    """A million requests, in USD."""
    plain, written = million_usd(costs), million_usd(costs, lm=True)
    rows = [(name, f"{plain.get(name, 0):.2f}", f"{value:.2f}") for name, value in written.items()]
    rows.append(("all", f"{sum(plain.values()):.2f}", f"{sum(written.values()):.2f}"))
    return table("USD a million | `/analyze-query`, templates | with the language model", rows), []


def grown(costs: Costs, scale: float = 1.0) -> Section:
    """Bytes a row, WAL, and what 10^9 posts and a day at 10^4 requests/s come to."""
    unit = costs.unit
    rows = [
        (
            f"`{name}`",
            f"{found['rows']:,}",
            found["heap"],
            found["indexes"],
            found["apart"],
            f"{(found['heap'] + found['indexes'] + found['apart']):,}",
        )
        for name, found in unit["tables"].items()
    ]
    lines = table("table | rows | heap, bytes a row | indexes | TOAST and maps | all", rows)
    lines += table(
        "rows a statement | WAL, bytes a row | CPU of Postgres, ms a statement | the caller waits, ms",
        [
            (rows_, found, unit["postgres"]["cpu"]["call_ms"][rows_], unit["postgres"]["wait_ms"][rows_])
            for rows_, found in unit["postgres"]["wal_bytes"].items()
        ],
    )
    posts = (
        row_bytes(costs, "posts")
        + row_bytes(costs, "x_posts")
        + assumed("readings") * row_bytes(costs, "performance_metrics")
    )
    answers = row_bytes(costs, "analyzed_queries")
    indexes = unit["tables"]["analyzed_queries"]["indexes"]
    readings = (
        assumed("readings") * unit["tables"]["performance_metrics"]["indexes"] + unit["tables"]["posts"]["indexes"]
    )
    lines += table(
        "what | figure",
        [
            (
                f"10^9 posts with {assumed('readings'):.0f} readings each ({cite('readings')}), one copy",
                f"{posts / 1e3:.2f} TB",
            ),
            ("of that indexes of `posts` and `performance_metrics`", f"{readings / 1e3:.2f} TB"),
            ("a day of answers at 10^4 requests/s, one copy", f"{answers * 864e6 / 1e12:.1f} TB"),
            ("a day of WAL at 10^4 requests/s", f"{wal_bytes(costs) * 864e6 / 1e12:.1f} TB"),
            (
                f"answers whose indexes fill {put('memory_gb')}",
                f"{assumed('memory_gb') * 1e9 / indexes / 1e6:,.0f} million",
            ),
            (f"answers that fill {put('disk_tb')}", f"{assumed('disk_tb') * 1e12 / answers / 1e6:,.0f} million"),
            (
                f"posts whose indexes and readings' fill {put('memory_gb')}",
                f"{assumed('memory_gb') * 1e9 / readings / 1e6:,.0f} million",
            ),
        ],
    )
    cache = unit["redis"]
    lines += table(
        "Redis | figure",
        [
            ("an entry, bytes", f"{cache['entry_bytes']:,}"),
            ("a GET, µs of its CPU", cache["get_us"]),
            ("a SET, µs", cache["set_us"]),
            ("entries/s of one thread (a miss: a GET and a SET)", f"{1e6 / (cache['get_us'] + cache['set_us']):,.0f}"),
            (
                f"entries in {put('redis_gb')}",
                f"{assumed('redis_gb') * 1e9 / cache['entry_bytes'] / 1e6:,.1f} million",
            ),
        ],
    )
    return lines, []


def limits(costs: Costs) -> list[tuple[str, float, str]]:
    """(what, requests/s at which it is full, what then), the first to break first; uses, each, one of a thing."""
    lm = assumed("lm_share")
    entry = costs.unit["redis"]
    pool, connections = 4, 97  # store_pool_size; max_connections less what the superuser keeps
    replicas = 1000 / costs.ingress_ms(2.0) * assumed("used")
    answers = row_bytes(costs, "analyzed_queries")
    found = [
        (
            "two cores, everything on them, the clients too",
            costs.analyze["systems"]["ours"]["64"]["requests_per_s"]["median"],
            "Kubernetes with `k8s/overlays/cpu`",
        ),
        ("one ingress replica", replicas, "more of them, fixed in number"),
        (
            "the writer's four replicas of `overlays/cpu`" + f", {lm:.0%} of requests ({cite('lm_share')})",
            4 * 1000 / sum(costs.call_ms("language_model")) * assumed("used") / lm,
            "more replicas; nodes follow",
        ),
        (
            f"connections: {pool} an ingress replica, {connections} in Postgres",
            connections // pool * replicas,
            "pgbouncer, or `max_connections`",
        ),
        (
            f"{put('pg_cores')} of Postgres, {assumed('used'):.0%} busy",
            assumed("pg_cores") * assumed("used") * 1000 / store_ms(costs),
            "accounts over several Postgres",
        ),
        (f"WAL, {put('wal_mb_s')}", assumed("wal_mb_s") * 1e6 / wal_bytes(costs), "the same"),
        (
            f"answers, {put('keep_days')} of them on {put('disk_tb')}",
            assumed("disk_tb") * 1e12 / answers / (assumed("keep_days") * 86_400),
            "`query_retention_days`, partitions that are dropped, the same",
        ),
        (
            f"one Redis' memory, {put('redis_gb')}, an hour of the writer's answers",
            assumed("redis_gb") * 1e9 / entry["entry_bytes"] / 3600 / lm,
            "`maxmemory` evicts; Redis Cluster",
        ),
        ("one Redis' thread", 1e6 / (entry["get_us"] + entry["set_us"]) / lm, "Redis Cluster"),
        (
            f"one node's network, {put('nic_gbit_s')}, answers out",
            assumed("nic_gbit_s") * 1e9 / 8 / costs.unit["ingress"]["answer_bytes"],
            "more nodes take requests",
        ),
    ]
    return sorted(found, key=lambda one: one[1])


def breaks(costs: Costs, scale: float = 1.0) -> Section:
    """What is full at which rate, and the needs of each power of ten."""
    lines = table(
        "full at, requests/s | what | then", [(f"{rate:,.0f}", what, then) for what, rate, then in limits(costs)]
    )
    rows = []
    share = assumed("lm_share")
    for rate in (10, 100, 1_000, 10_000, 100_000):
        replicas = size(costs, rate, used=assumed("used"), batch=1.0 if rate < 100 else 2.0, lm_share=share)
        first = [what for what, full, _ in limits(costs) if full < rate]
        cores = replicas.total() + math.ceil(rate * assumed("proxy_ms") / 1000 / assumed("used"))
        rows.append(
            (
                f"{rate:,}",
                replicas.ingress,
                replicas.stages["language_model"],
                replicas.total(),
                cores,
                math.ceil(rate * store_ms(costs) / 1000 / assumed("used")),
                f"{rate * wal_bytes(costs) / 1e6:,.1f}",
                f"{rate * 86_400 * row_bytes(costs, 'analyzed_queries') / 1e9:,.0f}",
                f"{rate * costs.unit['ingress']['answer_bytes'] * 8 / 1e9:.2f}",
                len(first),
            )
        )
    head = (
        f"requests/s ({share:.0%} want the writer) | ingress | writer | all replicas | cores with HAProxy | "
        "cores of Postgres | WAL, MB/s | rows a day, GB | answers, Gbit/s | limits passed"
    )
    return lines + table(head, rows), []


def regions(costs: Costs, scale: float = 1.0, rate: float = 10_000) -> Section:
    """What a lost region costs at `rate` requests/s, by the way that the database is copied."""
    # Each server restores its own part, all at once.
    day = rate * 86_400 * row_bytes(costs, "analyzed_queries")
    keep = assumed("keep_days") * day / 1e12
    servers = max(
        1,
        math.ceil(keep / assumed("disk_tb")),
        math.ceil(rate * store_ms(costs) / 1000 / assumed("used") / assumed("pg_cores")),
    )
    serving = (
        size(costs, rate, used=assumed("used"), lm_share=assumed("lm_share")).total() * assumed("vcpu_usd") * MONTH_H
    )
    wal_month = rate * 86_400 * 30 * wal_bytes(costs) / 1e9
    database = servers * assumed("pg_cores") * assumed("vcpu_usd") * MONTH_H + keep * 1000 * assumed("disk_usd")
    restore = keep / servers * 1e6 / assumed("restore_mb_s")
    async_rto = assumed("promote_s") + assumed("failover_s")
    cold_start = 600.0
    rows = [
        (
            "backups and WAL in the other region",
            assumed("archive_s"),
            restore + cold_start,
            (keep * 1000 * assumed("archive_usd") + wal_month * assumed("region_usd")),
        ),
        (
            "an asynchronous standby, no models there",
            assumed("lag_s"),
            async_rto + cold_start,
            database + wal_month * assumed("region_usd"),
        ),
        (
            "an asynchronous standby, models there for all",
            assumed("lag_s"),
            async_rto,
            database + wal_month * assumed("region_usd") + serving,
        ),
        (
            "a synchronous standby, models there for all",
            0.0,
            async_rto,
            database + wal_month * assumed("region_usd") + serving,
        ),
    ]
    shown = [
        (
            name,
            f"{rpo:.0f} s",
            f"{rpo * rate:,.0f}",
            f"{rto / 60:,.0f} min",
            f"{rto * rate / 1e6:,.1f}",
            f"{usd:,.0f}",
            "no" if rpo else f"+{assumed('rtt_ms'):.0f} ms",
        )
        for name, rpo, rto, usd in rows
    ]
    head = "copy | RPO | answers lost | RTO | million requests unanswered | USD a month | each commit waits"
    about = (
        f"{rate:,.0f} requests/s, {keep:,.0f} TB kept on {servers} servers of Postgres, beside what one region costs."
    )
    return [about, "", *table(head, shown)], []
