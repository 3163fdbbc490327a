"""make soak: twenty minutes at half of what the product can do: memory, queues and answers over time; and idle cost.

Every five seconds the memory and CPU of the processes are noted, summed by what they do, and what waits. The slope of
memory is a least-squares line through what comes after the warm-up, a fifth of the time. Before the load the product
idles for a minute.
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import psutil
import uvloop
from tqdm import tqdm

from tests.benchmarks import machine
from tests.benchmarks.load import Steady
from tests.benchmarks.machine import ROOT
from tests.benchmarks.profile_request import named
from tests.benchmarks.systems import Running, bare_environment, end_on_signal, loaded, product, serving, titled

PICTURE = ROOT / "docs/pictures/soak.svg"
EVERY_S, SETTLE_S, WARM_UP_SHARE = 5.0, 20.0, 0.2
# Percent: what memory may rise by after the warm-up, what is answered whole, what an idle product uses of a core.
MOST_RISE, LEAST_SUCCESS, MOST_IDLE = 1.0, 99.9, 5.0
# A queue grows where its last third is so many times, and so much, above its middle one.
GROWN, FEW = 1.5, 2.0
# What waits: of the samples of /metrics, those whose name is one of these.
QUEUES = ("ray_serve_deployment_queued_queries", "ray_serve_replica_processing_queries", "ray_murmuration_inside")


def states(running: Running) -> dict[str, dict[str, Any]]:
    """Memory (MiB) and CPU seconds, summed over the processes of one name, and which they are."""
    found: dict[str, dict[str, Any]] = {}
    for process in running.processes():
        with suppress(psutil.Error):
            name, held, times = named(titled(process)), process.memory_full_info(), process.cpu_times()
            one = found.setdefault(name, {"pids": [], "rss_mib": 0.0, "pss_mib": 0.0, "cpu_s": 0.0})
            one["pids"].append(process.pid)
            one["rss_mib"] = round(one["rss_mib"] + held.rss / 2**20, 2)
            one["pss_mib"] = round(one["pss_mib"] + held.pss / 2**20, 2)
            one["cpu_s"] += times.user + times.system
    return found


def queues(running: Running) -> dict[str, float]:
    """The sum of each gauge in QUEUES over what Ray's exporters tell it of."""
    found: dict[str, float] = defaultdict(float)
    listed = next((running.folder / "r").glob("**/prom_metrics_service_discovery.json"), None)
    targets = json.loads(listed.read_text()) if listed else []
    for target in {target for group in targets for target in group["targets"]}:
        with suppress(OSError), urllib.request.urlopen(f"http://{target}/metrics", timeout=5) as response:
            for line in response.read().decode().splitlines():
                sample = re.fullmatch(r"(\w+)(\{.*\})? ([-\d.e+]+)( \d+)?", line)
                if sample and sample[1] in QUEUES:
                    found[sample[1]] += float(sample[3])
    return dict(found)


def idle(running: Running, seconds: float) -> dict[str, Any]:
    """What the product uses while nobody asks it anything: % of one core, and memory, by process."""
    before, started = states(running), time.monotonic()
    time.sleep(seconds)
    spent, after = time.monotonic() - started, states(running)
    used = {name: 100 * (one["cpu_s"] - before.get(name, one)["cpu_s"]) / spent for name, one in after.items()}
    return {
        "seconds": round(spent, 1),
        "percent_of_a_core": round(sum(used.values()), 2),
        "processes": {
            name: {
                "processes": len(one["pids"]),
                "percent_of_a_core": round(used[name], 2),
                "pss_mib": one["pss_mib"],
                "rss_mib": one["rss_mib"],
            }
            for name, one in after.items()
        },
    }


async def under_load(running: Running, rate: float, seconds: float) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A steady load; a sample of everything every EVERY_S, and how the answers were."""
    samples = []
    async with Steady(f"{running.url}/analyze-query", running.bodies(), rate, running.key) as steady:
        started = time.monotonic()
        with tqdm(total=round(seconds), unit="s", desc=f"{rate:.0f} requests/s") as bar:
            while (now := time.monotonic() - started) < seconds:
                await asyncio.sleep(min(EVERY_S, seconds - now))
                at = time.monotonic() - started
                held, waiting = await asyncio.gather(
                    asyncio.to_thread(states, running), asyncio.to_thread(queues, running)
                )
                samples.append({"at_s": round(at, 1), "in_flight": steady.in_flight, "queues": waiting, "held": held})
                bar.update(round(at) - bar.n)
    p50, p99 = np.percentile(steady.latencies_ms, [50, 99]) if steady.latencies_ms else (float("nan"),) * 2
    good = steady.sent - len(steady.failed) - len(steady.degraded)
    return samples, {
        "sent": steady.sent,
        "failed": len(steady.failed),
        "degraded": len(steady.degraded),
        "why": dict(steady.why),
        "success_percent": round(100 * good / steady.sent, 3),
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
    }


def slope(times: list[float], values: list[float]) -> dict[str, float]:
    """The least-squares line after the warm-up: % of its start in the run that is left and in an hour."""
    from_s = WARM_UP_SHARE * times[-1]
    points = [(at, value) for at, value in zip(times, values, strict=True) if at >= from_s]
    if len(points) < 3:
        return {}
    at, held = np.array(points).T
    rise, start = np.polyfit(at - at[0], held, 1)
    whole = 100 * rise * (at[-1] - at[0]) / max(start, 1e-9)
    return {"percent_in_the_run": round(whole, 2), "percent_an_hour": round(100 * rise * 3600 / max(start, 1e-9), 2)}


def summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every process first, last and slope of its memory; of every queue its mean in the first and last third."""
    times = [one["at_s"] for one in samples]
    processes: dict[str, Any] = {}
    for name in {name for sample in samples for name in sample["held"]}:
        its = [(s["at_s"], s["held"][name]) for s in samples if name in s["held"]]
        at, rss = [moment for moment, _ in its], [one["rss_mib"] for _, one in its]
        cpu_s = its[-1][1]["cpu_s"] - its[0][1]["cpu_s"]
        processes[name] = {
            "processes": len(its[-1][1]["pids"]),
            "others_than_at_first": len(set(its[-1][1]["pids"]) - set(its[0][1]["pids"])),
            "first_mib": rss[0],
            "last_mib": rss[-1],
            "pss_mib": its[-1][1]["pss_mib"],
            "percent_of_a_core": round(max(100 * cpu_s / max(at[-1] - at[0], 1e-9), 0.0), 1),
            **slope(at, rss),
        }
    whole = [sum(one["rss_mib"] for one in sample["held"].values()) for sample in samples]
    third = max(1, len(samples) // 3)

    def both_ends(values: list[float]) -> dict[str, float]:
        ends = (values[third : 2 * third] or values, values[-third:])
        middle, last = (round(float(np.mean(end)), 2) for end in ends)
        return {"middle_third": middle, "last_third": last, "most": round(max(values), 2)}

    waits = {"in flight at the clients": [float(sample["in_flight"]) for sample in samples]}
    for name in QUEUES:
        if any(name in sample["queues"] for sample in samples):
            waits[name] = [sample["queues"].get(name, 0.0) for sample in samples]
    return {
        "memory_of_all": {"first_mib": whole[0], "last_mib": whole[-1], **slope(times, whole)},
        "processes": dict(sorted(processes.items(), key=lambda item: -item[1]["last_mib"])),
        "queues": {name: both_ends(values) for name, values in waits.items()},
    }


def table(result: dict[str, Any]) -> list[str]:
    """Markdown of a soak."""
    answers, rest, found = result["answers"], result["idle"], result["memory"]
    lines = [
        "| process | how many | RSS idle, MiB | first | last | PSS last | slope, % | % of a core idle | busy |",
        "|" + "---|" * 9,
    ]
    for name, one in found["processes"].items():
        quiet = rest["processes"].get(name, {})
        memory = (quiet.get("rss_mib", ""), one["first_mib"], one["last_mib"], one["pss_mib"])
        rise, number = one.get("percent_in_the_run", ""), one["processes"]
        idling = quiet.get("percent_of_a_core", "")
        lines.append(f"| {name} | {number} | {_row(memory)} | {rise} | {idling} | {one['percent_of_a_core']} |")
    whole = found["memory_of_all"]
    resting = sum(one["rss_mib"] for one in rest["processes"].values())
    pss = sum(one["pss_mib"] for one in found["processes"].values())
    memory = (resting, whole["first_mib"], whole["last_mib"], pss)
    number = sum(one["processes"] for one in found["processes"].values())
    lines.append(
        f"| all | {number} | {_row(memory)} | {whole.get('percent_in_the_run', '')} | {rest['percent_of_a_core']} | |"
    )
    lines += ["", f"{answers['sent']:,} requests at {result['rate_per_s']} a second in {result['minutes']:g} minutes:"]
    lines[-1] += f" {answers['success_percent']} % answered whole ({answers['failed']} failed, {answers['degraded']}"
    lines[-1] += f" incomplete), p50 {answers['p50_ms']} ms, p99 {answers['p99_ms']} ms; the most it answered before"
    lines[-1] += (
        f" was {result['most_per_s']} requests/s. Waiting, mean of the middle and the last third, and the most:"
    )
    lines[-1] += " " + "; ".join(
        f"{name} {one['middle_third']}, {one['last_third']}, {one['most']}" for name, one in found["queues"].items()
    )
    lines[-1] += "."
    return lines


def broken(result: dict[str, Any]) -> list[str]:
    """The promises of a soak that a result breaks, in words."""
    answers, held, queues = result["answers"], result["memory"]["memory_of_all"], result["memory"]["queues"]
    rise, idle_percent = held.get("percent_in_the_run", 0.0), result["idle"]["percent_of_a_core"]
    grown = [
        name
        for name, one in queues.items()
        if one["last_third"] > GROWN * one["middle_third"] and one["last_third"] > one["middle_third"] + FEW
    ]
    found = {
        f"memory rose by {rise} % after the warm-up, {MOST_RISE} allowed": rise > MOST_RISE,
        f"{answers['success_percent']} % answered whole, {LEAST_SUCCESS} promised": answers["success_percent"]
        < LEAST_SUCCESS,
        f"{idle_percent} % of a core while idle, {MOST_IDLE} promised": idle_percent > MOST_IDLE,
        f"growing: {', '.join(grown)}": bool(grown),
    }
    return [words for words, holds in found.items() if holds]


def _row(numbers: tuple[float | str, ...]) -> str:
    return " | ".join(f"{number:,.0f}" if isinstance(number, float) else number for number in numbers)


def draw(samples: list[dict[str, Any]], path: Path) -> None:
    """Memory of every process and what was in flight, over time, as SVG."""
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "soak", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    figure, (memory, flight) = plt.subplots(
        2, 1, figsize=(9, 6), height_ratios=(3, 1), sharex=True, layout="constrained"
    )
    names = sorted(samples[-1]["held"], key=lambda name: -samples[-1]["held"][name]["rss_mib"])
    for name in names[:12]:
        its = [(s["at_s"] / 60, s["held"][name]["rss_mib"]) for s in samples if name in s["held"]]
        memory.plot(*zip(*its, strict=True), label=name)
    memory.set_ylabel("resident memory, MiB")
    memory.set_ylim(bottom=0)
    memory.legend(fontsize=7, ncols=2)
    flight.plot([s["at_s"] / 60 for s in samples], [s["in_flight"] for s in samples])
    flight.set_ylabel("in flight")
    flight.set_xlabel("minutes")
    flight.set_ylim(bottom=0)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, help="requests/s; else half of what it answers to 64 callers in 30 s")
    parser.add_argument("--idle-seconds", type=float, default=60)
    arguments = parser.parse_args()
    end_on_signal()
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        # No addresses: the supervisor starts Postgres and Redis, which are then among the processes.
        with serving("ours", product(), folder / "o", None, bare_environment()) as running:
            time.sleep(SETTLE_S)
            resting = idle(running, arguments.idle_seconds)
            measured_s = min(30.0, 20 * arguments.minutes)
            most = uvloop.run(loaded(running, 64, measured_s))
            rate = arguments.rate or most["requests_per_s"] / 2
            samples, answers = uvloop.run(under_load(running, rate, 60 * arguments.minutes))
    result = {
        "benchmark": "soak",
        **machine.described(),
        "minutes": arguments.minutes,
        "most_per_s": most["requests_per_s"],
        "rate_per_s": round(rate, 1),
        "answers": answers,
        "idle": resting,
        "memory": summary(samples),
    }
    short = arguments.minutes < 20
    path = machine.write("soak_short" if short else "soak", result)
    lines = table(result)
    print("\n".join(lines))
    print(json.dumps(answers), path)
    if not short:
        draw(samples, PICTURE)
        machine.put_into_page("soak", lines)
        if promises := broken(result):
            sys.exit(f"not held: {'; '.join(promises)}")


if __name__ == "__main__":
    main()
