"""Train the intent model and write weights.npz and metadata.json.

python -m training.intent --data ../shared/data --encoder models/encoder --out models/intent

Public sets name intents of their own; what corresponds to a label of ours is used at a small weight. What they lack
(announcements, stories, help, greetings, Spanish) comes from texts that were written for this project, which stand
beside this file and were written by somebody who saw the labelling guide alone.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import html
import io
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold
from tqdm import tqdm

from pipelines.encoder import Encoder
from pipelines.sentiment.intent import FORMAT, INTENTS, Weights
from pipelines.viral_predictor.features import wording
from training.tasks import CORPORATE, INTENT_TEXTS, TWEET_ACTS, read_corporate, read_kinds

BITS = 13
# What all public texts of a label weigh together, beside the written ones of that label.
PUBLIC_SHARES = (0.1, 0.3, 1.0)
CLINC_TEXTS = 600
TWEET_ACTS_TEXTS = 2500
PENALTIES = (0.1, 0.3, 1.0, 3.0)
FOLDS = 5
# Length of a standardized feature beside the words.
SCALE = 0.1


@dataclass(frozen=True)
class Texts:
    """Texts of one language with an intent each (place in INTENTS), and the weight of each."""

    texts: list[str]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Of n texts: marks (n, len(WORDING)), words (n, 2**BITS), embedding (n, hidden or 0), labels and weights (n,)."""

    marks: NDArray[np.float64]
    words: sp.csr_matrix
    embedding: NDArray[Any]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


def main() -> None:
    """Choose the penalty on the written texts, train, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    encoder = Encoder.load(arguments.encoder, threads=2)
    weights, chosen = {}, {}
    for language in ("en", "es"):
        parts = [read_written(language)]
        n_written = len(parts[0].texts)
        if language == "en":
            parts.append(read_public(arguments.data, n_written / len(INTENTS)))
        rows = describe(encoder if language == "en" else None, parts)
        chosen[language] = choose(rows, n_written)
        share = chosen[language]["public_share"]
        weights[language] = fit(
            _shared(rows, n_written, share), np.arange(len(rows.labels)), chosen[language]["penalty"]
        )
    metadata = save(weights, arguments.out, encoder, chosen)
    metadata["corporate_messaging"] = corporate(encoder, arguments.data)
    (arguments.out / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    print(json.dumps({key: metadata[key] for key in ("version", "chosen", "corporate_messaging")}, indent=1))


def read_written(language: str) -> Texts:
    """Read the texts that were written for this project: those of the guide, and of kinds that are easily misread."""
    with INTENT_TEXTS.open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["language"] == language
        ]
    kinds = [(row["text"], row["intent"]) for row in read_kinds() if row["language"] == language]
    return _texts([*((row["text"], row["label"]) for row in rows), *kinds], 1.0)


def read_public(data: Path, written_of_a_label: float) -> Texts:
    """Read what public sets say of our labels, in English; each label weighs as much as its written texts."""
    found = [(text, CORPORATE[label]) for text, label, _ in read_corporate(data)]
    with (data / "intent" / "tweet_acts.csv").open(encoding="utf-8", newline="") as file:
        acts = [
            (html.unescape(row[0]), TWEET_ACTS[row[1]]) for row in csv.reader(file) if row[1:2] and row[1] in TWEET_ACTS
        ]
    found += acts[:: max(1, len(acts) // TWEET_ACTS_TEXTS)]
    clinc = json.loads((data / "intent" / "clinc150.json").read_text())
    found += [(text, "other") for text, _ in clinc["oos_train"] + clinc["train"][:: len(clinc["train"]) // CLINC_TEXTS]]
    public = _texts(found, 1.0)
    counts = np.bincount(public.labels, minlength=len(INTENTS))
    return replace(public, weights=written_of_a_label / counts[public.labels])


def describe(encoder: Encoder | None, parts: Sequence[Texts]) -> Rows:
    """Read the features of all texts once; without an encoder there is no embedding."""
    texts = [text for part in parts for text in part.texts]
    read = wording(texts, BITS)
    words = sp.csr_matrix((read.weights, (read.rows, read.buckets)), shape=(len(texts), 2**BITS))
    embedding = encoder.encode(texts).embedding if encoder else np.zeros((len(texts), 0))
    labels = np.concatenate([part.labels for part in parts])
    return Rows(read.counts, words, embedding, labels, np.concatenate([part.weights for part in parts]))


def fit(rows: Rows, chosen: NDArray[np.int64], penalty: float) -> Weights:
    """Fit one language on the chosen rows by weighted multinomial logistic regression."""
    marks, words, embedding = rows.marks[chosen], rows.words[chosen], rows.embedding[chosen]
    sample = rows.weights[chosen]
    mean, scale = np.average(marks, axis=0, weights=sample), marks.std(axis=0) + 1e-6
    center = np.average(embedding, axis=0, weights=sample)
    spread = float(embedding.std()) if embedding.shape[1] else 1.0
    # One penalty for all: each group of features is brought to about the length that a row of words has.
    dense = np.hstack([SCALE * (marks - mean) / scale, SCALE * (embedding - center) / spread])
    columns = sp.hstack([words, sp.csr_matrix(dense)], format="csr")
    model = LogisticRegression(C=1 / penalty, max_iter=300, tol=1e-3).fit(columns, rows.labels[chosen], sample)
    coefficients = np.zeros((columns.shape[1], len(INTENTS)))
    coefficients[:, model.classes_] = model.coef_.T
    intercept = np.full(len(INTENTS), -np.inf)
    intercept[model.classes_] = model.intercept_
    n_words, n_marks = words.shape[1], marks.shape[1]
    return Weights(
        words=coefficients[:n_words],
        marks=SCALE * coefficients[n_words : n_words + n_marks],
        marks_mean=mean,
        marks_scale=scale,
        embedding=SCALE * coefficients[n_words + n_marks :] / spread,
        embedding_mean=center,
        intercept=intercept,
    )


def choose(rows: Rows, n_written: int) -> dict[str, float]:
    """Return the penalty and public share with the best macro F1 on folds of the written rows, which stand first."""
    labels, public = rows.labels[:n_written], np.arange(n_written, len(rows.labels))
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(labels, labels))
    scores = {}
    shares = PUBLIC_SHARES if len(public) else (0.0,)
    for penalty, share in tqdm([*product(PENALTIES, shares)], desc="penalty and share"):
        weighted = _shared(rows, n_written, share)
        predicted = np.zeros_like(labels)
        for train, test in folds:
            predicted[test] = predict(fit(weighted, np.concatenate([train, public]), penalty), rows, test)
        scores[penalty, share] = float(f1_score(labels, predicted, average="macro"))
    best = max(scores, key=scores.__getitem__)
    return {"penalty": best[0], "public_share": best[1], "cross_validated_macro_f1": round(scores[best], 4)}


def _shared(rows: Rows, n_written: int, share: float) -> Rows:
    weights = rows.weights.copy()
    weights[n_written:] *= share
    return replace(rows, weights=weights)


def predict(weights: Weights, rows: Rows, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place in INTENTS of each chosen row."""
    logits = (rows.marks[chosen] - weights.marks_mean) / weights.marks_scale @ weights.marks + weights.intercept
    logits += rows.words[chosen] @ weights.words + (rows.embedding[chosen] - weights.embedding_mean) @ weights.embedding
    winners: NDArray[np.int64] = logits.argmax(axis=1)
    return winners


def corporate(encoder: Encoder, data: Path) -> dict[str, float]:
    """Return macro F1 of the three categories with one company after the other held out, from the same features.

    The penalty of each company is chosen on the others, so that nothing of it is known beforehand.
    """
    found = read_corporate(data)
    companies = np.array([company for _, _, company in found])
    rows = describe(encoder, [_texts([(text, CORPORATE[category]) for text, category, _ in found], 1.0)])
    counts = np.bincount(rows.labels, minlength=len(INTENTS))
    rows = replace(rows, weights=len(rows.labels) / (len(CORPORATE) * counts[rows.labels]))
    predicted = {penalty: np.zeros_like(rows.labels) for penalty in PENALTIES}
    for penalty in tqdm(PENALTIES, desc="companies"):
        for train, test in LeaveOneGroupOut().split(rows.labels, rows.labels, companies):
            predicted[penalty][test] = predict(fit(rows, train, penalty), rows, test)
    chosen = np.zeros_like(rows.labels)
    for company in np.unique(companies):
        others, own = companies != company, companies == company
        best = max(PENALTIES, key=lambda p: f1_score(rows.labels[others], predicted[p][others], average="macro"))
        chosen[own] = predicted[best][own]
    return {"macro_f1": round(float(f1_score(rows.labels, chosen, average="macro")), 4), "texts": len(found)}


def save(weights: dict[str, Weights], out: Path, encoder: Encoder, chosen: dict[str, Any]) -> dict[str, Any]:
    """Write weights.npz; return the metadata."""
    arrays = {
        f"{language}_{name}": np.asarray(array, np.float16 if name == "words" else np.float32)
        for language, of in weights.items()
        for name, array in asdict(of).items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own option
    packed = buffer.getvalue()
    sha256 = hashlib.sha256(packed).hexdigest()
    created = datetime.now(UTC).date().isoformat()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    out.mkdir(parents=True, exist_ok=True)
    (out / "weights.npz").write_bytes(packed)
    metadata = {
        "format": FORMAT,
        "version": f"{created}-{sha256[:8]}",
        "sha256": {"weights.npz": sha256},
        "encoder": encoder.version,
        "created": created,
        "commit": commit.stdout.strip() or None,
        "chosen": chosen,
    }
    (out / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    return metadata


def _texts(rows: Sequence[tuple[str, str]], weight: float) -> Texts:
    labels = np.array([INTENTS.index(label) for _, label in rows])
    return Texts([text for text, _ in rows], labels, np.full(len(rows), weight))


if __name__ == "__main__":
    main()
