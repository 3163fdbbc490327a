"""Prints as JSON what a pipeline costs on one thread, in a process of its own.

python -m training.cost sentiment|query_analyzer|both MODELS
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

BATCH = 64
ROUNDS = 12
LONE = 60


def main() -> None:
    """Measure one pipeline in this process."""
    read = _pipeline(sys.argv[1], Path(sys.argv[2]))
    read(_texts(0))
    started = time.process_time()
    for turn in range(ROUNDS):
        read(_texts(1 + turn))
    batched_s = time.process_time() - started
    started = time.process_time()
    for text in _texts(1 + ROUNDS)[:LONE]:
        read([text])
    lone_s = time.process_time() - started
    result = {
        "texts_per_s": ROUNDS * BATCH / batched_s,
        "lone_ms": 1000 * lone_s / LONE,
        "memory_mb": psutil.Process().memory_info().rss / 2**20,
    }
    sys.stdout.write(json.dumps(result))


def _pipeline(name: str, models: Path) -> Callable[[list[str]], object]:
    steps: list[Callable[[list[str]], object]] = []
    if name in {"query_analyzer", "both"}:
        from pipelines.query_analyzer.analyzer import QueryAnalyzer  # noqa: PLC0415  # only what is measured is loaded

        analyzer = QueryAnalyzer()
        steps.append(lambda texts: analyzer.analyze(texts, [None] * len(texts)))
    if name in {"sentiment", "both"}:
        from pipelines.encoder import Encoder  # noqa: PLC0415
        from pipelines.sentiment.ensemble import SentimentEnsemble  # noqa: PLC0415

        ensemble = SentimentEnsemble(Encoder.load(models / "encoder"))
        steps.append(lambda texts: ensemble.read(texts, ["en"] * len(texts)))
    return lambda texts: [step(texts) for step in steps]


def _texts(turn: int) -> list[str]:
    return [
        f"We launch our new eco-friendly running shoes number {turn * BATCH + n} next week. Pre-orders open on Monday!"
        for n in range(BATCH)
    ]


if __name__ == "__main__":
    main()
