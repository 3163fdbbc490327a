"""Train the viral predictor and write weights.npz, metadata.json and CARD.md.

python -m pipelines.training.viral_predictor --data ../shared/data --out models/viral_predictor

Wording and time are fitted on the earlier posts of most authors. What an author's own record adds, the calibration and
the intervals are fitted on authors that the first fit never saw, so that their residuals are those of a new user.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge
from tqdm import tqdm

from pipelines.features import NEVER_REWARDED, TIME, WORDING, Floats, time_of, wording
from pipelines.records import Draft, Prediction
from pipelines.training.archives import US_PER_DAY, Archive, Rows, read, split
from pipelines.training.viral_figures import Sample, card, figures
from pipelines.viral_predictor import AUTHOR, FORMAT, ViralPredictor, Weights

SETS = ("congress2022", "tweety", "fin2021")
BITS = 18
PENALTY = 15.0
# A post weighs (posts of its set)^-BALANCE: at 0 congress is everything, at 1 the noise of the small sets is too much.
BALANCE = 0.65
CALIBRATION_POSTS = 3_500
TEST_PAIRS = 2_000
CHUNK = 8_192


def main() -> None:
    """Train, write, and measure what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)

    archives = [read(arguments.data / "engagement" / f"{name}.parquet") for name in SETS]
    roles = [split(archive) for archive in archives]
    weights = fit(archives, [role["train"] for role in roles])
    chosen = [np.sort(rng.permutation(role["calibrate"])[:CALIBRATION_POSTS]) for role in roles]
    weights = calibrate(weights, archives, chosen)
    metadata = save(weights, arguments.out, arguments.seed, archives, roles)

    predictor = ViralPredictor.load(arguments.out)
    metadata["scores"] = {
        archive.name: {name: figures(sample(predictor, archive, role[name], rng), rng) for name in ("time", "authors")}
        for archive, role in zip(archives, roles, strict=True)
    }
    (arguments.out / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    (arguments.out / "CARD.md").write_text(card(metadata))
    print((arguments.out / "CARD.md").read_text())


def fit(archives: Sequence[Archive], rows: Sequence[Rows]) -> Weights:
    """Fit wording and time to the percentile by weighted ridge regression; author terms and calibration stay unset.

    Features that must not be rewarded are left out for as long as the fit would reward them (active set).
    """
    texts = [archive.texts[row] for archive, chosen in zip(archives, rows, strict=True) for row in chosen]
    moments = [archive.moment(row) for archive, chosen in zip(archives, rows, strict=True) for row in chosen]
    outcome = 100.0 * np.concatenate(
        [archive.percentile[chosen] for archive, chosen in zip(archives, rows, strict=True)]
    )
    weight = np.concatenate([np.full(len(chosen), float(len(chosen)) ** -BALANCE) for chosen in rows])
    weight /= weight.mean()
    counts, words = design(texts)
    time = time_of(moments)
    wording_mean, time_mean = np.average(counts, axis=0, weights=weight), np.average(time, axis=0, weights=weight)
    wording_scale = np.sqrt(np.average((counts - wording_mean) ** 2, axis=0, weights=weight))
    wording_scale[wording_scale == 0] = 1.0
    base = np.average(outcome, weights=weight)
    dense = np.hstack([(counts - wording_mean) / wording_scale, time - time_mean]).astype(np.float32)
    names = [*WORDING, *TIME]
    kept = list(range(len(names)))
    while True:
        columns = sp.hstack([sp.csr_matrix(dense[:, kept]), words], format="csr")
        ridge = Ridge(PENALTY, fit_intercept=False, solver="sparse_cg", tol=1e-3, max_iter=200)
        solved = ridge.fit(columns, outcome - base, sample_weight=weight).coef_
        rewarded = {index for index, w in zip(kept, solved, strict=False) if names[index] in NEVER_REWARDED and w > 0}
        if not rewarded:
            break
        kept = [index for index in kept if index not in rewarded]
    coefficients = np.zeros(len(names))
    coefficients[kept] = solved[: len(kept)]
    rounded = solved[len(kept) :].astype(np.float16).astype(np.float32)
    return Weights(
        words=rounded,
        words_mean=np.average(words @ rounded, weights=weight),
        wording_mean=wording_mean,
        wording_scale=wording_scale,
        wording=coefficients[: len(WORDING)],
        time_mean=time_mean,
        time=coefficients[len(WORDING) :],
        author=np.ones(len(AUTHOR)),
        base=np.asarray(base),
        calibration=np.tile([1.0, 0.0, -50.0, 50.0], (2, 1)),
    )


def design(texts: Sequence[str]) -> tuple[Floats, sp.csr_matrix]:
    """Return counts (texts, len(WORDING)) and words (texts, 2**BITS)."""
    counts, words = [], []
    for begin in tqdm(range(0, len(texts), CHUNK), desc="wording", mininterval=5):
        chunk = wording(texts[begin : begin + CHUNK], BITS)
        counts.append(chunk.counts)
        entries = chunk.weights.astype(np.float32), (chunk.rows, chunk.buckets)
        words.append(sp.csr_matrix(entries, shape=(len(chunk.counts), 2**BITS)))
    return np.vstack(counts), sp.vstack(words, format="csr")


def calibrate(weights: Weights, archives: Sequence[Archive], rows: Sequence[Rows]) -> Weights:
    """Fit the author terms, then for drafts without and with a record P(beats median) and the 80 % offsets."""
    outcome = 100.0 * np.concatenate(
        [archive.percentile[chosen] for archive, chosen in zip(archives, rows, strict=True)]
    )
    drafts = [
        draft for archive, chosen in zip(archives, rows, strict=True) for draft in archive.drafts(chosen.tolist())
    ]
    predictions = predict(ViralPredictor(weights, "unfinished"), drafts)
    author = np.array([[prediction.contributions[name] for name in AUTHOR] for prediction in predictions])
    alone = np.array([p.base + (p.subscores.wording or 0.0) + (p.subscores.time or 0.0) for p in predictions])
    gain = Ridge(1.0, fit_intercept=False).fit(author, outcome - alone).coef_
    calibration = []
    for score in (np.clip(alone, 0.0, 100.0), np.clip(alone + author @ gain, 0.0, 100.0)):
        logistic = LogisticRegression(C=1e6).fit((score[:, None] - 50.0) / 10.0, outcome > 50.0)
        # Split conformal (Vovk 2005; Lei et al. 2018), one finite-sample quantile a side.
        beyond = np.sort(outcome - score)
        rank = int(np.ceil(0.9 * (len(beyond) + 1))) - 1
        slope, intercept = float(logistic.coef_[0, 0]), float(logistic.intercept_[0])
        calibration.append([slope, intercept, beyond[len(beyond) - 1 - rank], beyond[rank]])
    return replace(weights, author=gain, calibration=np.array(calibration))


def sample(predictor: ViralPredictor, archive: Archive, rows: Rows, rng: np.random.Generator) -> Sample:
    """Predict random pairs of posts: same author, within 30 days, (engagement + 1) differing by more than 25 %."""
    allowed = np.zeros(len(archive.author), bool)
    allowed[rows] = True
    engagement = (archive.likes + archive.retweets).astype(np.float64)
    pairs = np.zeros((0, 2), np.int64)
    while len(pairs) < TEST_PAIRS:
        a = rng.choice(rows, 4 * TEST_PAIRS)
        b = a + rng.integers(1, 200, len(a))
        a, b = a[b < len(allowed)], b[b < len(allowed)]
        near = (archive.author[a] == archive.author[b]) & (archive.time_us[b] - archive.time_us[a] <= 30 * US_PER_DAY)
        apart = np.abs(np.log((engagement[a] + 1) / (engagement[b] + 1))) > np.log(1.25)
        pairs = np.concatenate([pairs, np.c_[a, b][allowed[b] & near & apart]])[:TEST_PAIRS]
    posts, places = np.unique(pairs, return_inverse=True)
    return Sample(
        predictions=predict(predictor, archive.drafts(posts.tolist())),
        percentile=archive.percentile[posts],
        engagement=engagement[posts],
        author=np.unique(archive.author[posts], return_inverse=True)[1],
        length=np.array([len(archive.texts[post]) for post in posts], np.float64),
        pairs=places.reshape(-1, 2),
    )


def predict(predictor: ViralPredictor, drafts: Sequence[Draft]) -> list[Prediction]:
    """Predict with a progress bar."""
    batches = tqdm(range(0, len(drafts), 64), desc="predict", mininterval=5)
    return [prediction for begin in batches for prediction in predictor.predict(drafts[begin : begin + 64])]


def save(
    weights: Weights, out: Path, seed: int, archives: Sequence[Archive], roles: Sequence[dict[str, Rows]]
) -> dict[str, object]:
    """Write weights.npz and a metadata.json that loads; return the metadata."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **(asdict(weights) | {"words": weights.words.astype(np.float16)}))
    packed = buffer.getvalue()
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


if __name__ == "__main__":
    main()
