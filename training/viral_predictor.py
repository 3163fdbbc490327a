"""Train the viral predictor and write weights.npz, metadata.json and CARD.md.

python -m training.viral_predictor --data ../shared/data --out models/viral_predictor

Five fits leave out a fifth of the authors each. What an author's own record adds, the calibration and the intervals
are fitted on the left-out authors of all five, so that their residuals are those of a new user. The shipped words are
fitted on all of them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from tqdm import tqdm

from pipelines.viral_predictor.features import DRAFT, NEVER_REWARDED, TIME, Floats, draft_wording, grams, time_of
from pipelines.viral_predictor.own_record import AUTHOR
from pipelines.viral_predictor.predictor import FORMAT, ViralPredictor, Weights
from training.archives import FOLDS, Archive, Rows, drawn, neighbours, read, split
from training.viral_calibration import Crossed, author_gain, calibrate
from training.viral_evaluation import SETS, draw_pairs, evaluate, predict

BITS = 18
GRAM_BITS = 16
PENALTY = 8.0
# A post weighs (posts of its set)^-BALANCE: at 0 congress is everything, at 1 the noise of the small sets is too much.
BALANCE = 0.65
# Random posts, and as many again that stand in pairs: those of busy days, more extreme than the rest.
CALIBRATION_POSTS, CALIBRATION_PAIRS = 8_000, 4_000
CHUNK = 8_192


@dataclass(frozen=True)
class Table:
    """Posts to fit on: dense (posts, len(DRAFT) + len(TIME)), words (posts, 2**BITS), outcome in points, weight."""

    dense: Floats
    words: sp.csr_matrix
    outcome: Floats
    weight: Floats
    fold: Rows
    importance: Floats

    def without(self, fold: int) -> Table:
        """Return the table without the authors of `fold`."""
        kept = np.flatnonzero(self.fold != fold)
        parts = (self.dense[kept], self.words[kept], self.outcome[kept], self.weight[kept], self.fold[kept])
        return Table(*parts, self.importance)


def main() -> None:
    """Train, write, and measure what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    archives = [read(arguments.data / "engagement" / f"{name}.parquet") for name in SETS]
    roles = [split(archive) for archive in archives]
    weights = train(archives, [role["train"] for role in roles], np.random.default_rng(arguments.seed))
    save(weights, arguments.out, arguments.seed, archives, roles)

    evaluate(arguments.out, archives)


def train(archives: Sequence[Archive], rows: Sequence[Rows], rng: np.random.Generator) -> Weights:
    """Fit everything on `rows` of each archive."""
    local = [neighbours(archive, chosen) for archive, chosen in zip(archives, rows, strict=True)]
    whole = table(archives, local)
    weights = fit(whole)
    crossed = []
    for fold in range(FOLDS):
        predictor = ViralPredictor(fit(whole.without(fold), never=weights.wording == 0.0), "unfinished")
        for archive, chosen in zip(archives, rows, strict=True):
            own = chosen[(drawn(archive)[chosen] % FOLDS == fold) & np.isfinite(archive.percentile[chosen])]
            if len(own):
                some = rng.permutation(own)[: CALIBRATION_POSTS // FOLDS]
                crossed.append(
                    cross(predictor, archive, some, draw_pairs(archive, own, CALIBRATION_PAIRS // FOLDS, rng))
                )
    together = Crossed(*(np.concatenate(parts) for parts in zip(*(vars(one).values() for one in crossed), strict=True)))
    gain = author_gain(together.apart)
    return replace(weights, author=gain, calibration=calibrate(together, gain))


def cross(predictor: ViralPredictor, archive: Archive, rows: Rows, pairs: Rows) -> Crossed:
    """Predict `rows` and the posts of `pairs` (pairs, 2), of authors that `predictor` never saw."""
    posts, places = np.unique(np.r_[rows, pairs.ravel()], return_inverse=True)
    drafts = archive.drafts(posts.tolist())
    predictions = predict(predictor, drafts)
    records, _ = predictor.records(drafts)
    alone = np.array([p.base + (p.subscores.wording or 0.0) + (p.subscores.time or 0.0) for p in predictions])
    author = np.array([[prediction.contributions[name] for name in AUTHOR] for prediction in predictions])
    a, b = places[len(rows) :].reshape(-1, 2).T
    engagement = archive.engagement[posts]
    apart = np.column_stack([alone, author])[np.where(engagement[a] > engagement[b], [a, b], [b, a])]
    return Crossed(
        alone=alone,
        author=author,
        evidence=np.array([record.evidence for record in records if record]),
        outcome=100.0 * archive.percentile[posts],
        beats=archive.beats(posts),
        apart=apart[0] - apart[1],
    )


def table(archives: Sequence[Archive], local: Sequence[Floats]) -> Table:
    """Return the posts with a known outcome."""
    rows = [np.flatnonzero(np.isfinite(around)) for around in local]
    texts = [archive.texts[row] for archive, chosen in zip(archives, rows, strict=True) for row in chosen]
    moments = [archive.moment(int(row)) for archive, chosen in zip(archives, rows, strict=True) for row in chosen]
    weight = np.concatenate([np.full(len(chosen), float(len(chosen)) ** -BALANCE) for chosen in rows])
    counts, words = design(texts)
    return Table(
        dense=np.hstack([counts, time_of(moments)]),
        words=words,
        outcome=100.0 * np.concatenate([around[chosen] for around, chosen in zip(local, rows, strict=True)]),
        weight=weight / weight.mean(),
        fold=np.concatenate([drawn(archive)[chosen] % FOLDS for archive, chosen in zip(archives, rows, strict=True)]),
        importance=importance(texts, weight),
    )


def fit(posts: Table, never: NDArray[np.bool_] | None = None) -> Weights:
    """Fit wording and time by weighted ridge regression; author terms and calibration stay unset.

    Features that must not be rewarded are left out for as long as the fit would reward them (active set); those of
    DRAFT in `never` (len(DRAFT),) from the beginning.
    """
    mean = np.average(posts.dense, axis=0, weights=posts.weight)
    scale = np.sqrt(np.average((posts.dense - mean) ** 2, axis=0, weights=posts.weight))
    scale[scale == 0] = 1.0
    scale[len(DRAFT) :] = 1.0
    base = np.average(posts.outcome, weights=posts.weight)
    dense = ((posts.dense - mean) / scale).astype(np.float32)
    names = [*DRAFT, *TIME]
    kept = [index for index in range(len(names)) if never is None or index >= len(DRAFT) or not never[index]]
    while True:
        columns = sp.hstack([sp.csr_matrix(dense[:, kept]), posts.words], format="csr")
        ridge = Ridge(PENALTY, fit_intercept=False, solver="sparse_cg", tol=1e-3, max_iter=200)
        solved = ridge.fit(columns, posts.outcome - base, sample_weight=posts.weight).coef_
        rewarded = {index for index, w in zip(kept, solved, strict=False) if names[index] in NEVER_REWARDED and w > 0}
        if not rewarded:
            break
        kept = [index for index in kept if index not in rewarded]
    coefficients = np.zeros(len(names))
    coefficients[kept] = solved[: len(kept)]
    rounded = solved[len(kept) :].astype(np.float16).astype(np.float32)
    return Weights(
        words=rounded,
        words_mean=np.average(posts.words @ rounded, weights=posts.weight),
        wording_mean=mean[: len(DRAFT)],
        wording_scale=scale[: len(DRAFT)],
        wording=coefficients[: len(DRAFT)],
        time_mean=mean[len(DRAFT) :],
        time=coefficients[len(DRAFT) :],
        author=np.ones(len(AUTHOR)),
        base=np.asarray(base),
        importance=posts.importance,
        calibration=np.zeros((2, 3, 6)),
    )


def design(texts: Sequence[str]) -> tuple[Floats, sp.csr_matrix]:
    """Return counts (texts, len(DRAFT)) and words (texts, 2**BITS)."""
    counts, words = [], []
    for begin in tqdm(range(0, len(texts), CHUNK), desc="wording", mininterval=5):
        chunk = draft_wording(texts[begin : begin + CHUNK], BITS)
        counts.append(chunk.counts)
        entries = chunk.weights.astype(np.float32), (chunk.rows, chunk.buckets)
        words.append(sp.csr_matrix(entries, shape=(len(chunk.counts), 2**BITS)))
    return np.vstack(counts), sp.vstack(words, format="csr")


def importance(texts: Sequence[str], weight: Floats) -> Floats:
    """Return the squared inverse document frequency of character 4-grams (2**GRAM_BITS,), texts counted by weight."""
    step = max(len(texts) // 60_000, 1)
    some, counted = texts[::step], weight[::step]
    found = grams(some, GRAM_BITS)
    rows = np.repeat(np.arange(len(some)), np.diff(found.starts))
    buckets = np.zeros(2**GRAM_BITS + 1)
    for begin in range(0, len(rows), 2**22):
        pairs = np.unique(rows[begin : begin + 2**22] << 17 | found.buckets[begin : begin + 2**22])
        buckets += np.bincount(pairs & (2**17 - 1), counted[pairs >> 17], 2**GRAM_BITS + 1)
    frequency = np.minimum(buckets[:-1] / counted.sum(), 1.0)
    squared: Floats = np.log((1.0 + 1.0 / len(some)) / (frequency + 1.0 / len(some))) ** 2
    return squared.astype(np.float16).astype(np.float64)


def save(
    weights: Weights, out: Path, seed: int, archives: Sequence[Archive], roles: Sequence[dict[str, Rows]]
) -> dict[str, object]:
    """Write weights.npz and a metadata.json that loads; return the metadata."""
    packed = pack(weights)
    sha256 = hashlib.sha256(packed).hexdigest()
    created = datetime.now(UTC).date().isoformat()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    metadata: dict[str, object] = {
        "format": FORMAT,
        "version": f"{created}-{sha256[:8]}",
        "sha256": {"weights.npz": sha256},
        "created": created,
        "commit": commit.stdout.strip() or None,
        "seed": seed,
        "bits": BITS,
        "penalty": PENALTY,
        "balance": BALANCE,
        "calibration_posts": CALIBRATION_POSTS,
        "calibration_pairs": CALIBRATION_PAIRS,
        "folds": FOLDS,
        "libraries": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "scikit-learn", "pyarrow")},
        },
        "data": {
            archive.name: {"sha256": archive.sha256, "posts": len(archive.texts)}
            | {name: len(rows) for name, rows in role.items()}
            for archive, role in zip(archives, roles, strict=True)
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "weights.npz").write_bytes(packed)
    (out / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    return metadata


def pack(weights: Weights) -> bytes:
    """Return weights.npz, equal bytes for equal weights."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        **(asdict(weights) | {name: getattr(weights, name).astype(np.float16) for name in ("words", "importance")}),
    )
    return buffer.getvalue()


if __name__ == "__main__":
    main()
