"""python -m tests.benchmarks.rates: the numbers that the autoscaling policy needs of this machine.

What one replica of each does in a second of CPU, which others on the machine change little: tokens of our own writer,
samples of a brief and tokens of a sample, texts of sentiment and predictor. Prints them as docs/scaling.md explains
them; writes tests/benchmarks/results/rates.json.
"""

import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from deployments.settings import PREPARED_WRITER
from pipelines.encoder import Encoder
from pipelines.generator.completion import Completion
from pipelines.generator.generator import Generator
from pipelines.generator.judge import Judge
from pipelines.generator.second_opinion import load_second_opinions
from pipelines.generator.writer import OwnWriter
from pipelines.records import Brief, Draft
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.sensitivity import SensitivityModel
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.substance import SubstanceModel
from tests.benchmarks import machine
from tests.benchmarks.machine import ROOT

MODELS = ROOT / "models"
QUERIES = [one for one in json.loads((ROOT / "tests/models/queries.json").read_text()) if one["language"] == "en"]
# As the batchers send them: what a stage holds when calls are in flight all the time.
BRIEFS, CALLS, TEXTS, ROUNDS = 8, 4, 16, 20


class Counting:
    """Our own writer, and what it wrote."""

    samples, rounds = OwnWriter.samples, OwnWriter.rounds

    def __init__(self) -> None:
        self._writer = OwnWriter.load(PREPARED_WRITER, 1)
        self.version = self._writer.version
        self.texts = self.tokens = 0

    def complete(self, briefs: Sequence[Brief], **how: Any) -> list[list[Completion]]:
        written = self._writer.complete(briefs, **how)
        tokenizer = self._writer._decoder.tokenizer
        for completion in itertools.chain(*written):
            self.texts += 1
            # Its end mark is a token as well.
            self.tokens += len(tokenizer.encode(completion.text).ids) + 1
        return written


def writing() -> dict[str, float]:
    """What the language model's stage does in batches of BRIEFS, each for five candidates."""
    writer = Counting()
    generator = Generator(Judge.load(MODELS / "judge"), writer, load_second_opinions(MODELS / "verifier"))
    briefs = [
        Brief(
            query=one["query"], language="en", keywords=(), objectives=tuple(one["objectives"]), tone=one["tone"], n=5
        )
        for one in QUERIES[: BRIEFS * (CALLS + 1)]
    ]
    generator.generate(briefs[:1], max_seconds=60)
    writer.texts = writer.tokens = 0
    started = time.process_time()
    for start in range(BRIEFS, BRIEFS * (CALLS + 1), BRIEFS):
        generator.generate(briefs[start : start + BRIEFS], max_seconds=60)
    seconds = time.process_time() - started
    return {
        "tokens_per_s": round(writer.tokens / seconds),
        "texts_per_brief": round(writer.texts / (BRIEFS * CALLS), 1),
        "tokens_per_text": round(writer.tokens / writer.texts, 1),
    }


def texts_per_s(do: Callable[[list[str]], object]) -> int:
    """How many distinct texts a second `do` does in lists of TEXTS."""
    texts = [f"{QUERIES[i % len(QUERIES)]['query']} {i}" for i in range(TEXTS * (ROUNDS + 1))]
    do(texts[:TEXTS])
    started = time.process_time()
    for start in range(TEXTS, len(texts), TEXTS):
        do(texts[start : start + TEXTS])
    return round(TEXTS * ROUNDS / (time.process_time() - started))


def main() -> None:
    encoder = Encoder.load(MODELS / "encoder", threads=1)
    substance = SubstanceModel.load(MODELS / "substance", encoder)
    predictor = ViralPredictor.load(MODELS / "viral_predictor", substance)
    sensitivity = SensitivityModel.load(MODELS / "sensitivity", encoder=encoder.version)
    ensemble = SentimentEnsemble(encoder, sensitivity, substance, transformer=None)
    result = {
        "benchmark": "rates",
        **machine.described(),
        "load": round(os.getloadavg()[0], 1),
        "generator": writing(),
        "sentiment": {"texts_per_s": texts_per_s(lambda texts: ensemble.read(texts, ["en"] * len(texts)))},
        "viral_predictor": {
            "texts_per_s": texts_per_s(
                lambda texts: predictor.predict([Draft(text=text, language="en", original=text) for text in texts])
            )
        },
    }
    machine.write("rates", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
