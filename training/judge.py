"""Train the judge: how likely a stranger would post a text for a brief as it is.

Learns from blind readings of real outputs, from the pairs of briefs and posts, and from posts with one fault that were
written for this project; see training/briefs/GUIDE.md. Writes weights.npz, metadata.json and CARD.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.generator.judge import FEATURES, FORMAT, LIKELY, OTHERS, features
from pipelines.records import Language

ROOT = Path(__file__).resolve().parent
# What a verdict of a reader weighs beside a pair or a negative, which show what is right but not what is written here.
READING_WEIGHT = 100.0
# Lists of the evaluation that a later list has followed; the latest are only for judging.
LEARNED = ("en_first", "en_second", "en_language_model", "es")
FOLDS = 10
CARD = """# The judge

Says how likely a stranger would post a text for a brief as it is: version {version}, two logistic regressions on
{features} counts of brief and text (pipelines/generator/judge.py). Trained by
`python -m training.judge --out models/judge` on blind readings of real outputs (`training/readings/`, every verdict is
kept), on the pairs of briefs and posts, and on posts with one fault (`training/briefs/`, see its GUIDE.md). All of it
was written for this project.

On briefs that were not learned from (ten folds, split by brief):

| texts | n | postable | mean p | AUC | Brier |
|---|---|---|---|---|---|
{rows}

It counts and does not understand: it cannot tell a true text from a false one (that is the verifier's), nor a good joke
from a bad one. Spanish readings are few.
"""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A text for a brief, and whether it is one that a stranger would post."""

    brief: str
    text: str
    language: Language
    postable: bool
    weight: float = 1.0
    source: str = "pair"
    likelihood: float | None = None
    chosen: bool = False


def main() -> None:
    """Train, judge by briefs that were not learned from, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--briefs", type=Path, default=ROOT / "briefs")
    parser.add_argument("--readings", type=Path, default=ROOT / "readings")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    examples = [*pairs(arguments.briefs), *negatives(arguments.briefs), *readings(arguments.readings)]
    seen = np.array([features(one.brief, one.text, one.language, one.likelihood) for one in examples])
    postable = np.array([one.postable for one in examples])
    weights = np.array([one.weight for one in examples])
    sources = np.array([one.source for one in examples])
    likely = np.array([one.likelihood is not None for one in examples])
    chosen = np.array([one.chosen for one in examples])
    groups = np.array([hashlib.blake2b(one.brief.encode(), digest_size=4).hexdigest() for one in examples])
    unseen = np.zeros(len(examples))
    for train, test in GroupKFold(FOLDS).split(seen, groups=groups):
        for kind in (False, True):
            place = test[likely[test] == kind]
            if len(place):
                model = fit(seen, postable, weights, train[likely[train] == kind], likely=kind)
                unseen[place] = model.predict_proba(seen[place])[:, 1]
    read = sources == "reading"
    figures = {
        "readings of the writer's texts": figure(postable[read & likely], unseen[read & likely]),
        "readings of other texts": figure(postable[read & ~likely], unseen[read & ~likely]),
        "the writer's texts that a judge had chosen": figure(
            postable[read & likely & chosen], unseen[read & likely & chosen]
        ),
        "all readings": figure(postable[read], unseen[read]),
        "pairs against negatives": figure(postable[~read], unseen[~read]),
    }
    models = [
        fit(seen, postable, weights, np.flatnonzero(likely == kind), likely=kind)
        for kind in (bool(OTHERS), bool(LIKELY))
    ]
    write(arguments.out, models, figures, examples)
    logger.info("%s", json.dumps(figures, indent=1))


def fit(
    seen: NDArray[np.float64], postable: NDArray[np.bool_], weights: NDArray[np.float64], rows: Any, *, likely: bool
) -> Any:
    """Return a logistic regression of `rows` on standardized features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3 if likely else 0.1, max_iter=5_000))
    return model.fit(seen[rows], postable[rows], logisticregression__sample_weight=weights[rows])


def pairs(folder: Path) -> Iterator[Example]:
    """Yield every post of the pairs."""
    for path in sorted(folder.glob("[a-z][a-z]_*.jsonl")):
        language: Language = "es" if path.name.startswith("es") else "en"
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for post in row["posts"]:
                yield Example(row["brief"], post, language, postable=True)


def negatives(folder: Path) -> Iterator[Example]:
    """Yield every post with a fault."""
    for line in (folder / "negatives.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield Example(row["brief"], row["post"], row["language"], postable=False, weight=2.0, source="negative")


def readings(folder: Path) -> Iterator[Example]:
    """Yield every text that was read blind; of two readers who differ, each counts.

    Those that were chosen by an earlier judge (`evaluation/`) teach most: the best of many samples is judged too well.
    """
    chosen = (folder / "evaluation" / f"{name}.jsonl" for name in LEARNED)
    for path in sorted([*folder.glob("*.jsonl"), *chosen]):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for verdict in row["verdicts"]:
                weight = READING_WEIGHT / len(row["verdicts"])
                yield Example(
                    row["brief"], row["text"], row["language"], verdict, weight, "reading", row.get("likelihood"),
                    path.parent != folder,
                )  # fmt: skip


def figure(postable: NDArray[np.bool_], unseen: NDArray[np.float64]) -> dict[str, float]:
    """Return AUC (0.5 is chance, 1 is best), Brier score (0 is best) and both means, of briefs not learned from."""
    return {
        "n": len(postable),
        "share_postable": round(float(postable.mean()), 3),
        "mean_p": round(float(unseen.mean()), 3),
        "brier": round(float(brier_score_loss(postable, unseen)), 4),
        "auc": round(float(roc_auc_score(postable, unseen)), 4),
    }


def write(out: Path, models: list[Any], figures: dict[str, Any], examples: list[Example]) -> None:
    """Write weights.npz, metadata.json and CARD.md."""
    out.mkdir(parents=True, exist_ok=True)
    scalers, regressions = [model[0] for model in models], [model[1] for model in models]
    np.savez(
        out / "weights.npz",
        mean=np.array([one.mean_ for one in scalers]),
        scale=np.array([one.scale_ for one in scalers]),
        coefficients=np.array([one.coef_[0] for one in regressions]),
        intercepts=np.array([one.intercept_[0] for one in regressions]),
    )
    packed = (out / "weights.npz").read_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    told = "\n".join(f"{one.brief}\t{one.text}\t{one.postable}" for one in examples)
    metadata = {
        "format": FORMAT,
        "version": digest[:12],
        "sha256": {"weights.npz": digest},
        "data_sha256": hashlib.sha256(told.encode()).hexdigest(),
        "figures": figures,
        "coefficients": {
            name: [round(float(one.coef_[0][place]), 3) for one in regressions] for place, name in enumerate(FEATURES)
        },
    }
    (out / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    rows = [
        f"| {name} | {row['n']} | {row['share_postable']:.3f} | {row['mean_p']:.3f} | {row['auc']:.3f} "
        f"| {row['brier']:.3f} |"
        for name, row in figures.items()
    ]
    (out / "CARD.md").write_text(CARD.format(version=digest[:12], rows="\n".join(rows), features=len(FEATURES)))


if __name__ == "__main__":
    main()
