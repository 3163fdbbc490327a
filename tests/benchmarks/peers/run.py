"""make bench-peers: POST /analyze-query on the product and on what else one would serve the same pipelines with.

Every system runs the same pipelines with the same weights, writes the same row into a database of its own, and must
answer a set of queries as one process without a server does, before anything is measured. Systems take turns, round
after round; the clients run beside them on the same cores. A finished cell is kept in the results, and a run that was
interrupted goes on there, as long as the code is the same; --fresh begins anew.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import orjson
from tqdm import tqdm

from tests.benchmarks import machine
from tests.benchmarks.machine import RESULTS, ROOT
from tests.benchmarks.systems import (
    Running,
    System,
    core,
    cores_of_answers,
    difference,
    end_on_signal,
    kill,
    measure,
    own_database,
    product,
    servers,
    serving,
    update,
)

PEERS = ROOT / ".venv-peers"
QUERIES = [
    {"query": text, "objectives": objectives, "engine": "templates"}
    for text, objectives in (
        ("We launch our new running shoes next week. Pre-orders open on Monday!", ["sales"]),
        ("i think remote work is better for most teams, what do you think", ["engagement"]),
        ("Our bakery closes at 5 pm on Friday because of the storm.", ["awareness"]),
        ("Abrimos el sábado a las 9 con pan recién hecho. ¿Quién viene?", ["community"]),
        ("New blog post: how we cut our build from 40 to 4 minutes https://example.com/build", ["clicks"]),
        ("so proud of the whole team today. thank you all", []),
        ("Five people were hurt in the fire on Main Street last night.", ["awareness"]),
        ("coffee", ["sales"]),
        ("Sign up for our free workshop on Postgres indexes, Thursday 6 pm, 30 seats.", ["signups"]),
        ("BUY NOW!!! BEST DEAL EVER!!! #sale #deal #now", ["sales"]),
        ("@ana thanks for the talk, the part about queues was great", ["community"]),
        ("We are hiring two backend engineers in Lisbon, 50-65k, remote is fine.", ["awareness"]),
    )
]


def _fastapi(workers: int, threads: int, **more: str) -> System:
    def command(port: int, _: Path) -> list[str]:
        # Who is not ready within 5 s, which is the default, counts as dead: models take longer to load.
        several = ("--workers", str(workers), "--timeout-worker-healthcheck", "60") if workers > 1 else ()
        app = ("tests.benchmarks.peers.fastapi_app:api", "--port", str(port), *several)
        return [sys.executable, "-m", "uvicorn", *app, "--log-level", "warning", "--no-access-log"]

    # A worker of several is a child that the first process starts again; a single one is its own first process.
    model, how = ("multiprocessing.spawn", "hangup") if workers > 1 else ("", "restart")
    return System(command, model, how, {"THREADS": str(threads), **more})


def _ray(*more: str) -> System:
    def command(port: int, folder: Path) -> list[str]:
        main = "from tests.benchmarks.peers.ray_serve_app import main; main()"
        return [sys.executable, "-c", main, "--port", str(port), "--temp", str(folder / "r"), *more]

    return System(command, "ServeReplica:peer:sentiment", "hangup")


def _litserve(port: int, _: Path) -> list[str]:
    return [str(PEERS / "litserve/bin/python"), "-m", "tests.benchmarks.peers.litserve_app", "--port", str(port)]


def _bentoml(port: int, folder: Path) -> list[str]:
    app = "tests.benchmarks.peers.bentoml_app:AnalyzeQuery"
    command = ["-m", "bentoml", "serve", app, "--host", "127.0.0.1", "--port", str(port), "--working-dir", str(ROOT)]
    return [str(PEERS / "bentoml/bin/python"), *command]


SYSTEMS: dict[str, System] = {
    "ours": product(),
    "FastAPI, 1 worker": _fastapi(1, 2),
    "FastAPI, 2 workers": _fastapi(2, 1),
    "FastAPI + our batcher, 1 worker": _fastapi(1, 2, BATCHER="1"),
    "FastAPI + our batcher, 2 workers": _fastapi(2, 1, BATCHER="1"),
    "LitServe": System(_litserve, r"multiprocessing\.spawn", "restart"),
    "BentoML": System(_bentoml, r"_bentoml_impl\.worker", "restart", listed=True),
    "Ray Serve as it comes": _ray(),
    "Ray Serve, @serve.batch": _ray("--batch"),
}
OURS = "ours"


def reference() -> list[dict[str, Any]]:
    """What one process answers to QUERIES, one after the other and without a server."""
    from tests.benchmarks.peers.pipeline import QUERY, Models, answer_one, load

    class Nowhere:
        async def save_queries(self, rows: Any) -> None: ...

    lists = load()

    async def call(name: str, items: list[Any]) -> Any:
        return lists[name](items)

    async def each() -> list[bytes]:
        read = [QUERY.validate_json(orjson.dumps(query)) for query in QUERIES]
        return [await answer_one(query, Models(call), Nowhere()) for query in read]  # type: ignore[arg-type]

    return [core(body) for body in asyncio.run(each())]


def check(running: Running, expected: list[dict[str, Any]]) -> None:
    """Raise RuntimeError where an answer is another than `expected`."""
    answered = cores_of_answers(running, QUERIES)
    for query, mine, other in zip(QUERIES, answered, expected, strict=True):
        if where := difference(mine, other):
            raise RuntimeError(f"another answer to {query['query']!r}: {where}")


def cell(running: Running, expected: list[dict[str, Any]], seconds: float, *, faults: bool) -> dict[str, Any]:
    """Check that the answers are the same, and measure."""
    check(running, expected)
    found = measure(running, seconds)
    if faults:
        found |= {"update": update(running), "kill": kill(running)}
    return found


def spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 1), "min": min(values), "max": max(values)}


def collected(cells: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians and ranges over the rounds; of updates and kills every one that was made."""
    systems: dict[str, Any] = {}
    for name, rounds in cells.items():
        system: dict[str, Any] = {"rounds": len(rounds)}
        for callers in ("1", "64"):
            keys = ("requests_per_s", "p50_ms", "p95_ms", "p99_ms")
            answering = [one[callers] for one in rounds if "p50_ms" in one[callers]]
            system[callers] = {key: spread([one[key] for one in answering]) for key in keys if answering}
            system[callers]["errors"] = sum(one[callers]["errors"] for one in rounds)
        for key in ("pss_mib", "rss_mib", "processes"):
            system[key] = spread([one["memory"][key] for one in rounds])
        system["cold_start_s"] = spread([one["cold_start_s"] for one in rounds])
        for fault in ("update", "kill"):
            system[fault] = [one[fault] for one in rounds if fault in one]
        systems[name] = system
    return systems


def table(systems: dict[str, Any]) -> list[str]:
    """Markdown: what was measured of each, the fastest first, and how ours compares."""
    head = (
        "system",
        "requests/s at 64 (range)",
        "p50 / p95 / p99 ms",
        "lone p50 / p99 ms",
        "PSS MiB",
        "first answer s",
    )
    lines = [f"| {' | '.join((*head, 'failed in an update', 'killed model process'))} |", "|" + "---|" * 8]
    ordered = sorted(systems, key=lambda name: -systems[name]["64"].get("requests_per_s", {"median": 0})["median"])
    for name in ordered:
        one = systems[name]
        if "p50_ms" not in one["64"]:
            lines.append(f"| {name} | no answers that count |" + " |" * 6)
            continue
        rate, busy, lone = one["64"]["requests_per_s"], one["64"], one["1"]
        times = " / ".join(f"{busy[key]['median']:.0f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
        alone = " / ".join(f"{lone[key]['median']:.1f}" for key in ("p50_ms", "p99_ms"))
        errors = (
            f", {one['64']['errors'] + one['1']['errors']} errors" if one["64"]["errors"] + one["1"]["errors"] else ""
        )
        cells = [
            f"{rate['median']:.0f} ({rate['min']:.0f} to {rate['max']:.0f}){errors}",
            *(times, alone, f"{one['pss_mib']['median']:,.0f}", f"{one['cold_start_s']['median']:.0f}"),
            _updated(one["update"]),
            _killed(one["kill"]),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, "", *ratios(systems)]


def _updated(updates: list[dict[str, Any]]) -> str:
    if not updates:
        return ""
    failed, sent = sum(one["failed"] for one in updates), sum(one["sent"] for one in updates)
    odd = sum(one["degraded"] for one in updates)
    said = f"{failed} of {sent}" + (f", {odd} incomplete" if odd else "")
    return said if all(one["done"] for one in updates) else f"{said}; not done in time"


def _killed(kills: list[dict[str, Any]]) -> str:
    if not kills:
        return ""
    lost = f"{sum(one['failed'] for one in kills)} of {sum(one['sent'] for one in kills)} failed"
    odd = sum(one["degraded"] for one in kills)
    lost += f", {odd} incomplete" if odd else ""
    if not all(one["survived"] for one in kills):
        return f"does not come back; {lost}"
    last = max((one["last_failure_after_s"] or 0.0) for one in kills)
    return f"{lost}, the last after {last:.0f} s" if last else lost


def survivors(systems: dict[str, Any]) -> list[str]:
    """Who answered on after a model process was killed."""
    return [name for name, one in systems.items() if one["kill"] and all(kill["survived"] for kill in one["kill"])]


def ratios(systems: dict[str, Any]) -> list[str]:
    """Ours beside each peer at 64 callers and for a lone one: wins and losses alike."""
    if OURS not in systems or len(systems) < 2:
        return []

    def of(name: str, callers: str, key: str) -> float:
        return float(systems[name][callers].get(key, {"median": float("nan")})["median"])

    rate = ", ".join(
        f"{of(OURS, '64', 'requests_per_s') / of(name, '64', 'requests_per_s'):.2f} of {name}'s"
        for name in systems
        if name != OURS
    )
    lone = ", ".join(
        f"{of(OURS, '1', 'p50_ms') / of(name, '1', 'p50_ms'):.2f} of {name}'s" for name in systems if name != OURS
    )
    lines = [f"Requests/s of ours at 64: {rate}.", "", f"The time of ours for a lone query (p50): {lone}."]
    alive = [name for name in survivors(systems) if name != OURS]
    if alive:
        best = max(alive, key=lambda name: of(name, "64", "requests_per_s"))
        share = of(OURS, "64", "requests_per_s") / of(best, "64", "requests_per_s")
        lines += [
            "",
            f"The fastest peer that survived a killed model process: {best}; ours answers {share:.2f} times as much.",
        ]
    return lines


def main(systems: dict[str, System] = SYSTEMS, benchmark: str = "peers", about: str | None = __doc__) -> None:
    """Measure `systems`, and write results and, where all of them were measured, the table of docs/speed.md."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="at 64; half of it for warm-up and a lone one")
    parser.add_argument("--only", nargs="*", choices=systems, metavar="NAME", help=f"of {'; '.join(systems)}")
    parser.add_argument("--no-faults", action="store_true", help="neither update nor kill")
    parser.add_argument("--check", action="store_true", help="only start each, compare its answers and stop it")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--name", default=benchmark, help="of the file in tests/benchmarks/results")
    arguments = parser.parse_args()
    end_on_signal()
    names = arguments.only or list(systems)
    code = machine.code_measured("tests/benchmarks/peers", "tests/benchmarks/systems.py", "tests/benchmarks/load.py")
    cells = {} if arguments.fresh or arguments.check else _kept(arguments.name, code, arguments.seconds)
    rounds = 1 if arguments.check else arguments.rounds
    wanted = [(n, name) for n in range(rounds) for name in names if len(cells.get(name, [])) <= n]
    failed = []
    for n, name, measured in _each(wanted, systems, rounds):
        try:
            with measured as (running, expected):
                started = time.monotonic()
                if arguments.check:
                    check(running, expected)
                    tqdm.write(f"{name}: {len(expected)} answers are the same; {running.memory_mib()}")
                    continue
                found = cell(running, expected, arguments.seconds, faults=n == 0 and not arguments.no_faults)
        except RuntimeError as error:
            # The others are measured all the same; the next run tries it again.
            failed.append(name)
            tqdm.write(f"FAILED {error}")
            continue
        found["took_s"] = round(time.monotonic() - started, 1)
        cells.setdefault(name, []).append(found)
        tqdm.write(f"{name}: {json.dumps(found)}")
        result = {"benchmark": benchmark, **machine.described(), "code": code, "seconds": arguments.seconds}
        ordered = {name: cells[name] for name in systems if name in cells}
        machine.write(arguments.name, result | {"systems": collected(ordered), "cells": ordered})
    if not arguments.check:
        found_of = collected({name: cells[name] for name in systems if name in cells})
        lines = table(found_of)
        print("\n".join(lines))
        if arguments.name == benchmark and set(found_of) == set(systems):
            machine.put_into_page(benchmark, lines)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def _kept(name: str, code: str, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """The finished cells of an earlier run of the same code."""
    path = RESULTS / f"{name}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    same = kept.get("code") == code and kept.get("seconds") == seconds
    cells: dict[str, list[dict[str, Any]]] = kept["cells"] if same else {}
    return cells


Measured = AbstractContextManager[tuple[Running, list[dict[str, Any]]]]


def _each(
    wanted: list[tuple[int, str]], systems: dict[str, System], rounds: int
) -> Iterator[tuple[int, str, Measured]]:
    """Round, name and a context in which that system runs beside what it must answer, one after the other."""
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            expected = pool.submit(reference).result()
        with servers(folder) as (postgres, environment):
            for number, (n, name) in enumerate(bar := tqdm(wanted, unit="cell")):
                bar.set_description(f"round {n + 1}/{rounds}: {name}")
                database = asyncio.run(own_database(postgres.url, f"peer_{number}"))

                @contextmanager
                def measured(
                    name: str = name, number: int = number, database: str = database
                ) -> Iterator[tuple[Running, list[dict[str, Any]]]]:
                    with serving(name, systems[name], folder / str(number), database, environment) as running:
                        yield running, expected

                yield n, name, measured()


if __name__ == "__main__":
    main()
