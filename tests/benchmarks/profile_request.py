"""make profile: where each millisecond of POST /analyze-query goes, for a lone caller and for 64.

Starts the product with a clock at every step (tests.benchmarks.profiled), sends requests, and prints for each step the
mean milliseconds that a request spent there; then the CPU of every process, by /proc, and of the ingress and a model,
by py-spy, which samples the running code. Beside it: what the same pipelines cost in one process, without HTTP.
"""

import argparse
import asyncio
import bisect
import json
import pickle
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import uvloop

from tests.benchmarks import machine
from tests.benchmarks.systems import Running, bodies, end_on_signal, own_database, product, servers, serving, titled

STEPS = ("query_analyzer", "sentiment", "generator", "viral_predictor", "store")
# What a line of py-spy's stacks belongs to: the innermost frame that matches first.
KINDS = (
    ("waiting", r"^(select|epoll_wait|poll|wait|_worker|run_forever) .*(selectors|threading|concurrent|uvloop)"),
    ("pipelines", r"onnxruntime|pipelines/|sklearn|spacy|numpy|tokenizers|vaderSentiment|textblob|pycld2|emoji/|regex"),
    ("pickling", r"pickle|serialization\.py"),
    ("gRPC", r"grpc"),
    ("Ray Serve", r"ray/serve|ray/_private|_raylet|ray/util"),
    ("metrics and logs", r"ray/util/metrics|logging/__init__|metrics\.py"),
    ("HTTP server", r"uvicorn|httptools|h11"),
    ("FastAPI", r"fastapi|starlette"),
    ("validation", r"pydantic|http/bodies\.py"),
    ("JSON", r"orjson|json/"),
    ("Postgres", r"asyncpg|store/"),
    ("ours", r"deployments/"),
    ("asyncio", r"asyncio|uvloop|concurrent/futures"),
)


async def ask(running: Running, concurrency: int, seconds: float) -> dict[str, tuple[float, float]]:
    """Callers of so many; the request ids with when each was sent and answered (time.monotonic)."""
    seen: dict[str, tuple[float, float]] = {}
    made = bodies()
    until = time.monotonic() + seconds

    async def caller(session: aiohttp.ClientSession, number: int) -> None:
        turn = 0
        while (sent := time.monotonic()) < until:
            turn += 1
            name = f"c{concurrency}-{number}-{turn}"
            headers = {"content-type": "application/json", "x-request-id": name}
            async with session.post(f"{running.url}/analyze-query", data=next(made), headers=headers) as response:
                await response.read()
                if response.status == 200:
                    seen[name] = (sent, time.monotonic())

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        await asyncio.gather(*(caller(session, number) for number in range(concurrency)))
    return seen


def notes(folder: Path) -> dict[str, list[list[Any]]]:
    """What the processes wrote, by kind."""
    found: dict[str, list[list[Any]]] = defaultdict(list)
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            kind, *rest = json.loads(line)
            found[kind].append(rest)
    return found


def took(  # noqa: C901, PLR0915  # one step after the other, as a request takes them
    seen: dict[str, tuple[float, float]], found: dict[str, list[list[Any]]]
) -> dict[str, float]:
    """Mean milliseconds of a request in each step, and the mean batch of each stage."""
    requests = {one[0]: one[1:] for one in found["request"] if one[0] in seen}
    asked: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for name, stage, _, start, end in found["asked"]:
        if name in requests:
            asked[name][stage] = (start, end)
    calls: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for stage, items, start, end in found["call"]:
        calls[stage].append((end, start, items))
    ran: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for stage, items, *times in found["replica"]:
        ran[stage].append((*times, items))
    for lists in (*calls.values(), *ran.values()):
        lists.sort()  # type: ignore[attr-defined]
    ends = {stage: [end for end, _, _ in some] for stage, some in calls.items()}
    handed = {stage: [one[0] for one in some] for stage, some in ran.items()}
    spent: dict[str, list[float]] = defaultdict(list)
    for name, (entered, read, answered, _left) in requests.items():
        sent, got = seen[name]
        stages = asked[name]
        if len(stages) < len(STEPS):
            continue
        spent["in all, as the caller sees it"].append(got - sent)
        spent["HTTP: caller, HAProxy, parsing, the way back"].append((entered - sent) + (got - answered))
        first = stages["query_analyzer"][0]
        spent["reading and validating the body"].append(first - entered)
        spent["  of which waiting for the body"].append(max(read - entered, 0.0))
        # sentiment and generator run side by side: the later one is what a request waits for.
        together = max(stages["sentiment"][1], stages["generator"][1])
        later = "sentiment" if stages["sentiment"][1] >= stages["generator"][1] else "generator"
        begun = min(stages["sentiment"][0], stages["generator"][0])
        spent["our code between analyzer and the two side by side"].append(begun - stages["query_analyzer"][1])
        spent["our code: candidates before the predictor"].append(stages["viral_predictor"][0] - together)
        spent["our code: ranking, advice, JSON before the insert"].append(
            stages["store"][0] - stages["viral_predictor"][1]
        )
        spent["answer after the insert"].append(answered - stages["store"][1])
        for stage in STEPS:
            start, end = stages[stage]
            on_the_way = stage in ("query_analyzer", later, "viral_predictor", "store")
            label = f"{stage}, {'waited for' if on_the_way else 'beside'}"
            place = bisect.bisect_right(ends[stage], end) - 1
            if place < 0:
                continue
            came, went, items = calls[stage][place]
            spent[f"{label}: in all"].append(end - start)
            spent[f"{label}: waiting for the batch before"].append(max(went - start, 0.0))
            spent[f"{label}: resuming"].append(max(end - came, 0.0))
            spent[f"{stage}: items of a call"].append(items / 1000)
            if stage == "store":
                spent[f"{label}: insert"].append(came - went)
                continue
            at = bisect.bisect_left(handed[stage], went)
            inside = [one for one in ran[stage][at : at + 4] if one[3] <= came and one[4] == items]
            if not inside:
                continue
            on_loop, begun_thread, ended_thread, back, _ = inside[0]
            spent[f"{label}: model"].append(ended_thread - begun_thread)
            spent[f"{label}: thread, there and back"].append((begun_thread - on_loop) + (back - ended_thread))
            spent[f"{label}: hop there (routing, pickling, gRPC)"].append(on_loop - went)
            spent[f"{label}: hop back"].append(came - back)
    total = len(spent["in all, as the caller sees it"])
    # A step that only some requests waited for counts as zero for the others: steps sum to the whole.
    return {
        name: round(1000 * sum(values) / (len(values) if "items" in name else total), 2)
        for name, values in spent.items()
    }


def cpu(running: Running) -> dict[int, tuple[str, float]]:
    found = {}
    for process in running.processes():
        with suppress(psutil.Error):
            times = process.cpu_times()
            found[process.pid] = (named(titled(process)), times.user + times.system)
    return found


def named(title: str) -> str:
    """A short name of a process of the product."""
    if replica := re.search(r"ServeReplica:\w+:(\w+)|SERVE_REPLICA::\w+#(\w+)", title):
        return f"replica {replica[1] or replica[2]}"
    for pattern, name in (
        ("haproxy", "HAProxy"),
        ("HAProxyManager|ProxyActor", "Serve's proxy actor"),
        ("ServeController", "Serve's controller"),
        ("gcs_server", "GCS"),
        ("raylet/raylet", "raylet"),
        ("dashboard/agent|DashboardAgent", "dashboard agent"),
        ("runtime_env|RuntimeEnvAgent", "runtime env agent"),
        ("resource_tracker", "resource tracker"),
        ("dashboard", "dashboard"),
        ("monitor.py", "autoscaler's monitor"),
        ("log_monitor", "log monitor"),
        ("supervisor", "supervisor"),
        ("postgres", "Postgres"),
        ("redis", "Redis"),
        ("ray::IDLE", "idle worker"),
    ):
        if re.search(pattern, title):
            return name
    return title[:40] or "?"


def sampled(process: psutil.Process, seconds: float) -> dict[str, float]:
    """Share of the samples of one process' running threads by kind of code, in % of one core."""
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        subprocess.run(
            [
                *(str(machine.ROOT / ".venv/bin/py-spy"), "record", "--pid", str(process.pid), "--format", "raw"),
                *(
                    "--duration",
                    str(int(seconds)),
                    "--rate",
                    "250",
                    "--nolineno",
                    "--full-filenames",
                    "--output",
                    file.name,
                ),
            ],
            check=True,
            capture_output=True,
        )
        kinds: Counter[str] = Counter()
        for line in Path(file.name).read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            kinds[_kind(stack.split(";"))] += int(count)
    return {kind: round(100 * count / (250 * seconds), 1) for kind, count in kinds.most_common()}


def _kind(frames: list[str]) -> str:
    for frame in reversed(frames):
        for kind, pattern in KINDS:
            if re.search(pattern, frame):
                return kind
    return "other"


def pickled() -> dict[str, float]:
    """Microseconds to pickle and read again what travels for a lone query: each stage's argument and result."""
    from tests.benchmarks.peers.pipeline import QUERY, Models, answer_one, load

    lists, travelled = load(), {}

    async def call(name: str, items: list[Any]) -> Any:
        found = list(lists[name](items))
        travelled[name] = (items, found)
        return found

    class Nowhere:
        async def save_queries(self, rows: Any) -> None: ...

    query = QUERY.validate_json(next(bodies()))
    asyncio.run(answer_one(query, Models(call), Nowhere()))  # type: ignore[arg-type]
    times = {}
    for name, both in travelled.items():
        started = time.perf_counter()
        for _ in range(200):
            for one in both:
                pickle.loads(pickle.dumps(one, protocol=5))
        times[name] = round(1e6 * (time.perf_counter() - started) / 200)
    return times


def one_process(texts: int) -> dict[str, dict[str, float]]:
    """Milliseconds a query of each model's list call in one process: queries alone, and 64 together."""
    from tests.benchmarks.peers.pipeline import ENGINES, QUERY, InStep, Models, answer, load

    lists = load()
    found: dict[str, dict[str, float]] = {}
    for together in (1, 64):
        spent: Counter[str] = Counter()

        def timed(name: str, items: list[Any], spent: Counter[str] = spent) -> Any:
            started = time.perf_counter()
            try:
                return lists[name](items)
            finally:
                spent[name] += time.perf_counter() - started

        clocked = {name: (lambda items, name=name: timed(name, items)) for name in lists}
        made = bodies()

        async def batch(size: int, clocked: Any = clocked, made: Any = made) -> None:
            models = Models(InStep(clocked, None))
            await asyncio.gather(*(answer(QUERY.validate_json(next(made)), models, ENGINES) for _ in range(size)))

        asyncio.run(batch(together))
        spent.clear()
        started = time.perf_counter()
        for _ in range(max(1, texts // together)):
            asyncio.run(batch(together))
        number = max(1, texts // together) * together
        each = {name: round(1000 * seconds / number, 2) for name, seconds in spent.items()}
        whole = 1000 * (time.perf_counter() - started) / number
        each["everything around them"] = round(whole - sum(each.values()), 2)
        found[str(together)] = each | {"in all": round(whole, 2)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 64])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--no-spy", action="store_true", help="without py-spy, which needs the right to trace")
    arguments = parser.parse_args()
    end_on_signal()
    result: dict[str, Any] = {"benchmark": "profile", **machine.described(), "seconds": arguments.seconds}
    say("the pipelines in one process")
    result["one_process_ms"] = one_process(128)
    result["pickling_us"] = pickled()
    say("the product")

    def clocked(tree: dict[str, Any]) -> None:
        tree["applications"][0]["import_path"] = "tests.benchmarks.profiled:build"

    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        with servers(folder) as (postgres, environment):
            database = asyncio.run(own_database(postgres.url, "profile"))
            (folder / "notes").mkdir()
            system = product(clocked, PROFILE_DIR=str(folder / "notes"))
            with serving("ours", system, folder / "o", database, environment) as running:
                uvloop.run(ask(running, 16, arguments.seconds / 2))
                for callers in arguments.concurrency:
                    say(f"{callers} callers")
                    before, started = cpu(running), time.monotonic()
                    seen = uvloop.run(ask(running, callers, arguments.seconds))
                    spent, after = time.monotonic() - started, cpu(running)
                    time.sleep(2)
                    used: Counter[str] = Counter()
                    for pid, (name, seconds) in after.items():
                        used[name] += seconds - before.get(pid, (name, 0.0))[1]
                    result[str(callers)] = {
                        "requests_per_s": round(len(seen) / spent, 1),
                        "p50_ms": round(1000 * statistics.median(got - sent for sent, got in seen.values()), 1),
                        "steps_ms": took(seen, notes(folder / "notes")),
                        "cpu_ms_a_request": {
                            name: round(1000 * seconds / len(seen), 2)
                            for name, seconds in used.most_common()
                            if seconds > 0.005 * spent
                        },
                    }
                if not arguments.no_spy:
                    result["py_spy_percent_of_a_core"] = spied(running, max(arguments.concurrency), 6)
    path = machine.write("profile", result)
    lines = table(result)
    print("\n".join(lines))
    if "1" in result and "64" in result:
        machine.put_into_page("profile", lines)
    print(f"\nwritten: {path}")


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def spied(running: Running, callers: int, seconds: float) -> dict[str, dict[str, float]]:
    """Every replica and HAProxy's neighbours in turn, under load."""

    async def both(process: psutil.Process) -> dict[str, float]:
        load = asyncio.create_task(ask(running, callers, seconds + 1.5))
        await asyncio.sleep(0.5)
        try:
            return await asyncio.to_thread(sampled, process, seconds)
        finally:
            await load

    found: dict[str, dict[str, float]] = {}
    for process in running.processes():
        name = named(titled(process))
        if name.startswith("replica") and name not in found:
            say(f"py-spy: {name}")
            found[name] = uvloop.run(both(process))
    return found


def table(result: dict[str, Any]) -> list[str]:
    lines = []
    callers = [key for key in result if key.isdecimal()]
    names = list(dict.fromkeys(name for key in callers for name in result[key]["steps_ms"]))
    heads = " | ".join(f"{key} caller{'s' if key != '1' else ''}" for key in callers)
    lines += [f"| mean ms of a request | {heads} |", "|---|" + "---|" * len(callers)]
    for name in sorted(names, key=_order):
        cells = " | ".join(str(result[key]["steps_ms"].get(name, "")) for key in callers)
        lines.append(f"| {name} | {cells} |")
    for key in callers:
        lines += [
            "",
            f"{key}: {result[key]['requests_per_s']} requests/s, p50 {result[key]['p50_ms']} ms; CPU ms a request:",
        ]
        lines[-1] += " " + ", ".join(f"{name} {ms}" for name, ms in result[key]["cpu_ms_a_request"].items())
    for together, each in result["one_process_ms"].items():
        what = ", ".join(f"{name} {ms}" for name, ms in each.items())
        lines += ["", f"In one process, {together} together, ms a query: {what}."]
    what = ", ".join(f"{name} {us}" for name, us in result["pickling_us"].items())
    lines += ["", f"Pickling and reading again what a lone query sends and gets, us: {what}."]
    for name, kinds in result.get("py_spy_percent_of_a_core", {}).items():
        what = ", ".join(f"{kind} {percent}" for kind, percent in kinds.items())
        lines += ["", f"py-spy, {name}, at the most callers, % of a core: {what}."]
    return lines


def _order(name: str) -> tuple[int, str]:
    first = ("in all", "HTTP", "reading", "  of which", "query_analyzer", "our code between", "sentiment", "generator")
    last = ("our code: candidates", "viral_predictor", "our code: ranking", "store", "answer after")
    order = [n for n, start in enumerate((*first, *last)) if name.startswith(start)]
    return (order[0] if order else 99, name)


if __name__ == "__main__":
    main()
