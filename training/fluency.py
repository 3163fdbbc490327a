"""Chooses measure and floor of the fluency critic on validation texts, judges it on test texts, and writes its card.

python -m training.fluency --data ../shared/data --model models/generator

What training.generator trained lies in the folder; metadata.json is made here, so that it loads.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from pipelines.generator.fluency import FORMAT, FluencyCritic
from training.corpus import CONGRESS, Part, Text, read_corpus
from training.corruptions import JUDGED, KINDS, corrupt

PAIRS, HARD_PAIRS, TIMED_TEXTS = 2_000, 400, 512
# Of what people post: below it a candidate does not read like a post. Low, because rare words are unlikely too, and the
# author's own are: the likelihood tells a text from its corruption, not one text from another.
FLOOR_PERCENTILE = 1.0
FILES = ("config.json", "model.safetensors", "tokenizer.json", "unigrams.npz")
GRAMMAR = Path(__file__).resolve().parents[1] / "tests/models/grammar_pairs.json"
LICENCES = {
    "upworthy": "Upworthy Research Archive (CC BY 4.0)",
    "tan2014": "Tan, Lee and Pang 2014 (ChicagoHAI/HypoGeniC-datasets, MIT)",
    "goemotions": "GoEmotions (Apache-2.0)",
    "tweet_acts": "Tweet-Act-classification (BSD-2)",
    "ratio538": "fivethirtyeight/data (CC BY 4.0)",
    "congress2022": "statements of US legislators (none stated), under half of the tokens",
}


@dataclass(frozen=True)
class Row:
    """How often the original of a kind of pairs scored above its corruption, by each measure; in [0, 1]."""

    kind: str
    pairs: int
    mean: float
    slor: float


def make_pairs(texts: Sequence[Text], part: Part, kinds: Sequence[str], count: int) -> list[tuple[str, str, str]]:
    """Return `count` (kind, original, corruption), as many of each kind, every text at most once."""
    chance = random.Random(part)
    mine = [item.text for item in texts if item.part == part]
    chance.shuffle(mine)
    pairs: list[tuple[str, str, str]] = []
    left = iter(mine)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        for text in left:
            if broken := corrupt(text, kind, chance):
                pairs.append((kind, text, broken))
                break
    return pairs


def judge(critic: FluencyCritic, pairs: Sequence[tuple[str, str, str]]) -> list[Row]:
    """Return a row for each kind and one for all."""
    originals = np.array(critic.likelihoods([original for _, original, _ in pairs]))
    broken = np.array(critic.likelihoods([text for *_, text in pairs]))
    kinds = np.array([kind for kind, *_ in pairs])
    right_mean = originals[:, 0] > broken[:, 0]
    right_slor = originals[:, 0] - originals[:, 1] > broken[:, 0] - broken[:, 1]
    rows = [(kind, kinds == kind) for kind in dict.fromkeys(kinds.tolist())]
    return [
        Row(kind, int(mine.sum()), round(float(right_mean[mine].mean()), 4), round(float(right_slor[mine].mean()), 4))
        for kind, mine in [*rows, ("all", np.ones(len(kinds), dtype=bool))]
    ]


def write_metadata(folder: Path, **more: Any) -> None:
    """Write a metadata.json that vouches for the files."""
    sha256 = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    created = datetime.now(UTC).date().isoformat()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    metadata = {
        "format": FORMAT,
        "version": f"{created}-{sha256['model.safetensors'][:8]}",
        "languages": ["en"],
        "sha256": sha256,
        "created": created,
        "commit": commit.stdout.strip() or None,
        "libraries": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")},
        "data": LICENCES,
        **json.loads((folder / "training.json").read_text()),
        **more,
    }
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")


def evaluate(folder: Path, texts: Sequence[Text]) -> dict[str, Any]:
    """Choose on validation texts, judge on test texts, and leave a metadata.json that holds both."""
    write_metadata(folder, measure="mean", fluency_floor=0.0)
    critic = FluencyCritic(folder)
    chosen = judge(critic, make_pairs(texts, "validation", JUDGED, PAIRS // 2))
    measure = "slor" if chosen[-1].slor > chosen[-1].mean else "mean"
    write_metadata(folder, measure=measure, fluency_floor=0.0)
    critic = FluencyCritic(folder)
    posts = [item.text for item in texts if item.part == "validation" and item.source != CONGRESS]
    floor = float(np.percentile(critic.score(posts), FLOOR_PERCENTILE))
    test = [item for item in texts if item.part == "test"]
    grammar = [("handwritten", *pair) for pair in json.loads(GRAMMAR.read_text(encoding="utf-8"))]
    rows = [
        *judge(critic, make_pairs(texts, "test", JUDGED, PAIRS)),
        judge(critic, make_pairs(texts, "test", [kind for kind in KINDS if kind not in JUDGED], HARD_PAIRS))[0],
        judge(critic, grammar)[0],
    ]
    nats = {
        source: round(-float(np.mean([mean for mean, _ in critic.likelihoods(mine)])), 3)
        for source in LICENCES
        if (mine := [item.text for item in test if item.source == source][:500])
    }
    torch.set_num_threads(1)
    timed = [item.text for item in test][:TIMED_TEXTS]
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        critic.score(timed)
        rates.append(len(timed) / (time.perf_counter() - started))
    figures = {
        "measure": measure,
        "fluency_floor": round(floor, 4),
        "chosen_on": [asdict(row) for row in chosen],
        "judged_on": [asdict(row) for row in rows],
        "nats_per_token": nats,
        "texts_per_s": {"threads": 1, "rates": [round(rate, 1) for rate in rates]},
    }
    write_metadata(folder, **figures)
    return figures


def card(folder: Path) -> str:
    """Return the model card: what was measured by evaluate, and what readers found, from reading.json."""
    metadata = json.loads((folder / "metadata.json").read_text())
    measure = metadata["measure"]
    config = json.loads((folder / "config.json").read_text())
    rows = [
        f"| {row['kind']} | {row['pairs']:,} | {row['mean']:.3f} | {row['slor']:.3f} |" for row in metadata["judged_on"]
    ]
    nats = ", ".join(f"{source} {value:.2f}" for source, value in metadata["nats_per_token"].items())
    rates = metadata["texts_per_s"]["rates"]
    return "\n".join(
        [
            f"# Fluency critic {metadata['version']}",
            "",
            f"A GPT-2: {config['n_layer']} layers, {config['n_embd']} wide, {config['vocab_size']} tokens of its own.",
            "English. It says how likely a text is, so that a broken sentence ranks below a whole one; it knows",
            "nothing of sense or truth. `training.generator` made it, `training.fluency` judged it.",
            "",
            "| learned from | licence |",
            "|---|---|",
            *(f"| {name} ({metadata['texts'].get(name, 0):,} texts) | {text} |" for name, text in LICENCES.items()),
            "",
            f"Links and handles are masked. {metadata['tokens']:,} tokens were read in training, repeats included.",
            "",
            "How often the original scores above its corruption (`training/corruptions.py`), on texts of",
            f"groups that trained and chose nothing; the measure in use is `{measure}` (chosen on other texts), a coin",
            "has .5. The critic was trained on corruptions of the same kinds, made of other texts; `missing_any` drops",
            "any word, which often leaves a good sentence; `handwritten` are pairs that no generator made.",
            "",
            "| kind | pairs | mean log-likelihood | SLOR |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Nats per token on test texts: {nats}. Texts/s on one thread: {min(rates):.0f} to {max(rates):.0f}.",
            f"Floor: {metadata['fluency_floor']:.2f} nats, percentile {FLOOR_PERCENTILE:g} of what people post.",
            "",
            *_read_by_people(folder / "reading.json"),
        ]
    )


def _read_by_people(path: Path) -> list[str]:
    """Return what readers found who had written nothing of it: counts and every failure, from reading.json."""
    if not path.exists():
        return []
    reading = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "## Read by strangers",
        "",
        reading["method"],
        "",
        "| what | read | postable as it is | share |",
        "|---|---|---|---|",
    ]
    for part in reading["parts"]:
        share = part["postable"] / part["read"]
        lines.append(f"| {part['what']} | {part['read']} | {part['postable']} | {share:.0%} |")
    for part in reading["parts"]:
        lines += ["", f"What was not postable of {part['what']}:", ""]
        lines += [f"- {escaped(failure)}" for failure in part["failures"]]
    return [*lines, "", *reading["remarks"], ""]


def escaped(text: str) -> str:
    """Return a text as Markdown that shows it and runs nothing."""
    return re.sub(r"([\\`*_<>\[\]#|])", r"\\\1", text).replace("\n", "<br>")


def count_unigrams(folder: Path, texts: Sequence[Text], tokenizer: Tokenizer) -> None:
    """Write unigrams.npz: add-one smoothed log-probabilities of single tokens in the training part."""
    counts = np.ones(tokenizer.get_vocab_size())
    for encoding in tokenizer.encode_batch([item.text for item in texts if item.part == "train"]):
        np.add.at(counts, encoding.ids[1:], 1)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, log_p=np.log(counts / counts.sum()).astype(np.float32))
    (folder / "unigrams.npz").write_bytes(buffer.getvalue())


def main() -> None:
    """Evaluate and write the card; --card writes the card alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path, default=Path("models/generator"))
    parser.add_argument("--card", action="store_true")
    options = parser.parse_args()
    if not options.card:
        texts = read_corpus(options.data, congress=True)
        # Anew each time: those of an earlier training have other tokens.
        tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
        count_unigrams(options.model, [item for item in texts if item.source != CONGRESS], tokenizer)
        print(json.dumps(evaluate(options.model, texts), indent=1))
    (options.model / "CARD.md").write_text(card(options.model), encoding="utf-8")


if __name__ == "__main__":
    main()
