"""Train the model of texts that say nothing and write weights.npz, metadata.json and CARD.md.

python -m training.substance --data ../shared/data --encoder models/encoder --out models/substance

The texts stand beside this file, written for this project by three writers, and are judged on pairs by three others
(tests/models/common_sense.jsonl). Posts of the archives and tweets stand for those that say something: some of them do
not, so they weigh less.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import io
import json
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from pipelines.encoder import Encoder
from pipelines.viral_predictor.substance import FORMAT, MOST_POINTS, SubstanceModel, Weights, points_off

WRITTEN = Path(__file__).with_name("worth_texts.jsonl")
GOOD = "good"
POSTED = "archives and tweets"
# Figures that are not of written texts.
OTHERS = {"penalty", "tweets", POSTED}
POSTS, POST_WEIGHT = 800, 0.4
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)
# Length of a standardized dimension of the embedding.
SCALE = 0.1
FOLDS = 5


def main() -> None:
    """Choose the penalty on folds, fit on all texts, measure on tweets that taught nothing, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    encoder = Encoder.load(arguments.encoder, threads=2)
    written = with_small_letters([json.loads(line) for line in WRITTEN.read_text(encoding="utf-8").splitlines()])
    posts = real_posts(arguments.data, np.random.default_rng(0))
    embedding = encoder.encode([*(row["text"] for row in written), *posts]).embedding.astype(np.float64)
    empty = np.array([row["kind"] != GOOD for row in written] + [False] * len(posts))
    weight = np.r_[np.ones(len(written)), np.full(len(posts), POST_WEIGHT)]
    mean, scale = embedding.mean(axis=0), embedding.std(axis=0) / SCALE
    columns = (embedding - mean) / scale
    groups = np.array([row["of"] for row in written] + list(range(len(written), len(written) + len(posts))))
    guessed = {penalty: folded(columns, empty, weight, groups, penalty) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda one: log_loss(empty, guessed[one], sample_weight=weight))
    model = LogisticRegression(C=1 / penalty, max_iter=2000).fit(columns, empty, sample_weight=weight)
    weights = Weights(model.coef_[0] / scale, mean, model.intercept_[0])
    off = np.array([points_off(1 - chance) for chance in guessed[penalty]])
    tweets = read_texts(arguments.data / "sentiment" / "tweeteval_val.parquet")
    lost = np.array([points_off(one) for one in SubstanceModel(weights, "unfinished", encoder).read(tweets)])
    figures: dict[str, Any] = {
        "penalty": penalty,
        "tweets": {"n": len(tweets), "any": share(lost > 0), "half": share(lost >= MOST_POINTS / 2)},
    }
    kinds = np.array([row["kind"] for row in written] + [POSTED] * len(posts))
    for kind in dict.fromkeys(kinds.tolist()):
        own = off[kinds == kind]
        figures[kind] = {"n": len(own), "any": share(own > 0), "mean": round(float(own.mean()), 1)}
    save(weights, arguments.out, encoder, figures)


def real_posts(data: Path, rng: np.random.Generator) -> list[str]:
    """Return posts of the three archives and of SemEval, as many of each."""
    found: list[str] = []
    for path in (
        *(data / "engagement" / f"{name}.parquet" for name in ("congress2022", "tweety", "fin2021")),
        data / "sentiment" / "semeval_train.parquet",
    ):
        texts = [text for text in read_texts(path) if not text.startswith("RT @")]
        found += [texts[row] for row in rng.choice(len(texts), POSTS, replace=False)]
    return found


def read_texts(path: Path) -> list[str]:
    """Return the texts of a file."""
    return [html.unescape(text) for text in pq.read_table(path, columns=["text"])["text"].to_pylist()]


def with_small_letters(written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the texts and a copy of each in small letters: how a text is typed says nothing of what it says."""
    rows = [{**row, "of": place} for place, row in enumerate(written)]
    copies = ({**row, "text": row["text"].lower().rstrip(".")} for row in rows)
    return [*rows, *(copy for copy in copies if copy["text"] != rows[copy["of"]]["text"])]


def folded(
    columns: NDArray[np.float64],
    empty: NDArray[np.bool_],
    weight: NDArray[np.float64],
    groups: NDArray[np.int64],
    penalty: float,
) -> NDArray[np.float64]:
    """Return the chance of saying nothing of each text from a fit without its fold, which holds its copy too."""
    found: NDArray[np.float64] = cross_val_predict(
        LogisticRegression(C=1 / penalty, max_iter=2000),
        columns,
        empty,
        groups=groups,
        cv=StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0),
        method="predict_proba",
        params={"sample_weight": weight},
    )[:, 1]
    return found


def share(found: NDArray[np.bool_]) -> float:
    """Return the share of true ones."""
    return round(float(found.mean()), 4)


def save(weights: Weights, out: Path, encoder: Encoder, figures: dict[str, Any]) -> None:
    """Write weights.npz, metadata.json and CARD.md, and print the card."""
    buffer = io.BytesIO()
    arrays = {name: np.asarray(array, np.float32) for name, array in asdict(weights).items()}
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own option
    out.mkdir(parents=True, exist_ok=True)
    (out / "weights.npz").write_bytes(buffer.getvalue())
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    created = datetime.now(UTC).date().isoformat()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    metadata = {
        "format": FORMAT,
        "version": f"{created}-{sha256[:8]}",
        "sha256": {"weights.npz": sha256},
        "encoder": encoder.version,
        "created": created,
        "commit": commit.stdout.strip() or None,
        "figures": figures,
    }
    (out / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    tweets = figures["tweets"]
    lines = [
        f"# Substance {metadata['version']}",
        "",
        "Says of an English text how likely it says something, and is not filler, clickbait, a hollow saying, begging,",
        f"mashed or a heap of words: a logistic regression on the embedding of the tweet encoder {encoder.version}.",
        f"The viral predictor takes up to {MOST_POINTS:.0f} points off what says nothing. That is a judgement,",
        "not a measurement of engagement: clickbait may well be clicked.",
        "",
        f"Learned from {sum(of['n'] for kind, of in figures.items() if kind not in OTHERS):,} texts written for this",
        "project (`training/worth_texts.jsonl`); posts of the archives and",
        "tweets (SemEval) stand for those that say something, at less weight. Each text is learned in small letters",
        "too; these copies count among the texts below.",
        "",
        "## Figures",
        "",
        "Of five folds; pairs that three other writers wrote stand in the",
        "[viral predictor's card](../viral_predictor/CARD.md). From which chance on points are taken off was chosen",
        "with those pairs in view, so their share flatters.",
        "",
        "| kind | texts | any points off | points off, mean |",
        "|---|---|---|---|",
        *(
            f"| {kind} | {of['n']:,} | {of['any']:.3f} | {of['mean']:.1f} |"
            for kind, of in figures.items()
            if kind not in OTHERS - {POSTED}
        ),
        "",
        f"Of {tweets['n']:,} other tweets (TweetEval, validation) {tweets['any']:.2%} lose points,",
        f"{tweets['half']:.2%} half of them or more.",
        "",
    ]
    (out / "CARD.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
