"""make growth: throughput and latency of the product against callers, text, history, batch size and replicas.

One cluster for all of it: batch sizes and replicas change by configuration while it serves. Writes results, a table
into docs/speed.md and a picture beside it.
"""

import argparse
import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import orjson
import uvloop
from tqdm import tqdm

from tests.benchmarks import machine
from tests.benchmarks.ablation import sentiment_replicas
from tests.benchmarks.machine import ROOT
from tests.benchmarks.systems import Running, alone, bodies, deployment, end_on_signal, loaded, put_config

PICTURE = ROOT / "docs/pictures/growth.svg"
SENTENCES = (
    "We launch our new eco-friendly running shoes number {} next week.",
    "They are made of recycled nylon and weigh 210 grams.",
    "Our designers in Porto worked on them for two years.",
    "The first 500 pairs come with a free sock.",
    "Come to our shop on Saturday and try them on.",
)
AXES = {
    "callers": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    "characters of the text": (90, 280, 1000, 2000, 3900),
    "posts of history": (0, 5, 20, 50, 100),
    "items of a call, at most": (1, 2, 4, 8, 16, 32, 64),
    "sentiment replicas": (1, 2),
}
CALLERS = 64
CROWDED_S = 20.0


def of_length(characters: int) -> Iterator[bytes]:
    """Distinct queries of about so many characters."""
    text, turn = SENTENCES[0], 1
    while len(text) + len(SENTENCES[turn % len(SENTENCES)]) + 30 < characters:
        text += " " + SENTENCES[turn % len(SENTENCES)].replace("{}", "7")
        turn += 1
    return bodies(text)


def with_history(posts: int) -> Iterator[bytes]:
    """Queries of authors with so many posts."""
    begun = dt.datetime(2026, 1, 1, 9, tzinfo=dt.UTC)
    for number, body in enumerate(bodies()):
        history = [
            {
                "text": f"Post {place} of author {number}: the shop opens at nine.",
                "created_at": (begun + dt.timedelta(days=place)).isoformat(),
                "likes": (place * 7 + number) % 50,
                "retweets": place % 5,
            }
            for place in range(posts)
        ]
        yield orjson.dumps(orjson.loads(body) | {"history": history})


def batched(items: int) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        for stage in deployment(tree, "ingress")["user_config"]["stages"].values():
            stage["max_items"] = items

    return change


def measured(running: Running, axis: str, value: int, seconds: float) -> dict[str, Any]:
    callers, made = CALLERS, None
    if axis == "callers":
        callers = value
    elif axis == "characters of the text":
        made = of_length(value)
    elif axis == "posts of history":
        made = with_history(value)
    elif axis == "items of a call, at most":
        put_config(running, batched(value))
        time.sleep(3)
    else:
        put_config(running, sentiment_replicas(value))
        until = time.monotonic() + 60
        while len(running.models()) != value and time.monotonic() < until:
            time.sleep(0.5)
        if len(running.models()) != value:
            raise RuntimeError(f"{len(running.models())} replicas of sentiment, not {value}")
        time.sleep(2)

    # Where more is asked than can be answered, the product takes some seconds to learn how much it may let in.
    crowded = callers > 2 * CALLERS or (axis == "characters of the text" and value > 280)

    async def both() -> dict[str, Any]:
        await loaded(running, callers, CROWDED_S if crowded else seconds / 4, made)
        return await loaded(running, callers, seconds, made)

    return uvloop.run(both())


def table(axes: dict[str, dict[str, Any]]) -> list[str]:
    lines = ["| | | requests/s | p50 ms | p95 ms | p99 ms | errors | told to come back |", "|" + "---|" * 8]
    for axis, points in axes.items():
        for value, one in points.items():
            times = " | ".join(str(one.get(key, "")) for key in ("p50_ms", "p95_ms", "p99_ms"))
            lines.append(
                f"| {axis} | {value} | {one['requests_per_s']} | {times} | {one['errors']} | {one['refused']} |"
            )
    return lines


def draw(axes: dict[str, dict[str, Any]], path: Path) -> None:
    """Requests/s and p50, p99 against each axis, as SVG."""
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "growth", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(axes), figsize=(3.2 * len(axes), 3), layout="constrained")
    for panel, (axis, points) in zip(panels, axes.items(), strict=True):
        values = [int(value) for value in points]
        panel.plot(values, [one["requests_per_s"] for one in points.values()], "o-", color="tab:blue")
        panel.set_xlabel(axis)
        panel.set_ylim(bottom=0)
        panel.set_ylabel("requests/s", color="tab:blue")
        if axis in ("callers", "items of a call, at most"):
            panel.set_xscale("log", base=2)
        times = panel.twinx()
        for key, style in (("p50_ms", "-"), ("p99_ms", "--")):
            times.plot(values, [one.get(key) for one in points.values()], style, color="tab:red")
        times.set_ylim(bottom=0)
        times.set_ylabel("p50 and p99 (dashed), ms", color="tab:red")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each point")
    parser.add_argument("--only", nargs="*", choices=AXES, metavar="AXIS", help=f"of {'; '.join(AXES)}")
    arguments = parser.parse_args()
    end_on_signal()
    axes: dict[str, dict[str, Any]] = {}
    points = [(axis, value) for axis in arguments.only or AXES for value in AXES[axis]]
    with alone() as running:
        for axis, value in (bar := tqdm(points, unit="point")):
            bar.set_description(f"{axis}: {value}")
            if axis == "sentiment replicas" and value == AXES[axis][0]:
                put_config(running, lambda _: None)
            axes.setdefault(axis, {})[str(value)] = measured(running, axis, value, arguments.seconds)
    whole = set(axes) == set(AXES)
    machine.write("growth" if whole else "growth_part", {"benchmark": "growth", **machine.described(), "axes": axes})
    print("\n".join(table(axes)))
    if whole:
        draw(axes, PICTURE)
        machine.put_into_page("growth", table(axes))


if __name__ == "__main__":
    main()
