"""make eval: what the shipped viral predictor reaches on posts that fitted nothing, beside the baselines.

python -m training.viral_evaluation --data ../shared/data

Writes the scores of metadata.json and CARD.md beside the weights.
"""

from __future__ import annotations

import argparse
import html
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from pipelines.encoder import Encoder
from pipelines.records import Draft
from pipelines.results import Prediction
from pipelines.viral_predictor.features import Floats
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.substance import SubstanceModel
from training import specification
from training.archives import US_PER_DAY, Archive, Rows, read, split
from training.viral_card import card
from training.viral_figures import Sample, auc, figures

ROOT = Path(__file__).resolve().parents[1]
SETS = ("congress2022", "tweety", "fin2021")
TEST_POSTS, TEST_PAIRS = 4_000, 2_500
FOREST_POSTS = 2_500
SEED = 0
COMMON_SENSE = ROOT / "tests" / "models" / "common_sense.jsonl"
IN_SCOPE = "The shop opens at nine."
MANY = 5


def main() -> None:
    """Measure, print, and write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "viral_predictor")
    arguments = parser.parse_args()
    archives = [read(arguments.data / "engagement" / f"{name}.parquet") for name in SETS]
    path = arguments.model / "metadata.json"
    models = arguments.model.parent
    encoder = Encoder.load(models / "encoder", threads=2)
    predictor = ViralPredictor.load(arguments.model, SubstanceModel.load(models / "substance", encoder))
    metadata = json.loads(path.read_text())
    metadata["common_sense"] = common_sense(predictor)
    metadata["abstained"] = abstained(predictor, arguments.data)
    path.write_text(json.dumps(metadata, indent=1) + "\n")
    evaluate(arguments.model, archives)


def common_sense(predictor: ViralPredictor) -> dict[str, list[int]]:
    """Return by kind how many English pairs, of which anybody knows the better text, are scored so, and of how many.

    The better text must be scored, the worse one lower or not at all.
    """
    found: dict[str, list[int]] = {}
    for line in COMMON_SENSE.read_text(encoding="utf-8").splitlines():
        pair = json.loads(line)
        if pair["language"] != "en":
            continue
        better, worse = (
            one.viral_score for one in predictor.predict([Draft(text=pair["better"]), Draft(text=pair["worse"])])
        )
        right = better is not None and (worse is None or worse < better)
        for name in (pair["kind"], "all"):
            counts = found.setdefault(name, [0, 0])
            counts[0] += right
            counts[1] += 1
    return found


def abstained(predictor: ViralPredictor, data: Path) -> list[int]:
    """Return how many English tweets of five words or more are not scored, and of how many (TweetEval, validation)."""
    table = pq.read_table(data / "sentiment" / "tweeteval_val.parquet", columns=["text"])
    texts = [html.unescape(text) for text in table["text"].to_pylist()]
    long = [text for text in texts if sum(not word.startswith(("@", "#", "http")) for word in text.split()) >= MANY]
    scored = [prediction.supported for prediction in predictor.predict([Draft(text=text) for text in long])]
    return [len(scored) - sum(scored), len(scored)]


def evaluate(folder: Path, archives: Sequence[Archive]) -> None:
    """Measure the weights in `folder` on the test rows of `archives`, print and write what was found."""
    rng = np.random.default_rng(SEED)
    predictor = ViralPredictor.load(folder)
    roles = [split(archive) for archive in archives]
    known, outcome = _forest_posts(archives, [role["train"] for role in roles], rng)
    forest = specification.forest(known, outcome)
    scores: dict[str, Any] = {archive.name: {} for archive in archives}
    held = []
    for archive, role in zip(archives, roles, strict=True):
        for part in ("time", "authors"):
            pairs = draw_pairs(archive, role[part], TEST_PAIRS, rng)
            posts = np.unique(rng.permutation(role[part])[:TEST_POSTS])
            features = specification.features(archive.drafts(np.union1d(posts, pairs).tolist()))
            baselines = {"weights": specification.fixed(features), "forest": forest(features)}
            taken = sample(predictor, archive, posts, pairs, baselines)
            scores[archive.name][part] = figures(taken, rng)
            held.append((features, taken.beats, taken.scores["score"], np.full(len(features), part == "authors")))
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["scores"] = scores
    metadata["specification"] = ablation(
        (known, outcome), *(np.concatenate(parts) for parts in zip(*held, strict=True))
    )
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    (folder / "CARD.md").write_text(card(metadata))
    print((folder / "CARD.md").read_text())


def draw_pairs(archive: Archive, rows: Rows, number: int, rng: np.random.Generator) -> Rows:
    """Draw pairs of `rows` (number, 2): one author, within 30 days, (engagement + 1) more than 25 % apart."""
    allowed = np.zeros(len(archive.author), bool)
    allowed[rows] = True
    engagement = archive.engagement
    pairs = np.zeros((0, 2), np.int64)
    while len(pairs) < number:
        a = rng.choice(rows, 4 * number)
        b = a + rng.integers(1, 200, len(a))
        a, b = a[b < len(allowed)], b[b < len(allowed)]
        near = (archive.author[a] == archive.author[b]) & (archive.time_us[b] - archive.time_us[a] <= 30 * US_PER_DAY)
        apart = np.abs(np.log((engagement[a] + 1) / (engagement[b] + 1))) > np.log(1.25)
        pairs = np.concatenate([pairs, np.c_[a, b][allowed[b] & near & apart]])[:number]
    return pairs


def sample(
    predictor: ViralPredictor, archive: Archive, random: Rows, pairs: Rows, baselines: dict[str, Floats]
) -> Sample:
    """Predict the posts `random` and those of `pairs`; `baselines` are scores of the union of both."""
    posts = np.union1d(random, pairs)
    drafts = archive.drafts(posts.tolist())
    predictions = predict(predictor, drafts)
    alone = predict(predictor, [replace(draft, history=()) for draft in drafts])
    engagement = archive.engagement
    return Sample(
        predictions=predictions,
        outcome=100.0 * archive.percentile[posts],
        beats=archive.beats(posts),
        engagement=engagement[posts],
        author=np.unique(archive.author[posts], return_inverse=True)[1],
        random=np.searchsorted(posts, random),
        pairs=np.searchsorted(posts, pairs),
        scores={
            "score": np.array([prediction.viral_score for prediction in predictions]),
            "chance": np.array([prediction.p_beats_median for prediction in predictions]),
            "no_record": np.array([prediction.viral_score for prediction in alone]),
            "text": np.array([prediction.subscores.wording or 0.0 for prediction in predictions]),
            "majority": np.zeros(len(posts)),
            "length": np.array([len(draft.text) for draft in drafts], np.float64),
            "time": np.array([prediction.subscores.time or 0.0 for prediction in predictions]),
            "author": np.array(
                [np.log1p(engagement[archive.first[post] : archive.last[post]]).mean() for post in posts]
            ),
            **baselines,
        },
    )


def predict(predictor: ViralPredictor, drafts: Sequence[Draft]) -> list[Prediction]:
    """Predict with a progress bar; in archives what is no English prose is scored all the same."""
    drafts = [replace(draft, original=IN_SCOPE, language="en") for draft in drafts]
    batches = tqdm(range(0, len(drafts), 64), desc="predict", mininterval=5)
    return [prediction for begin in batches for prediction in predictor.predict(drafts[begin : begin + 64])]


def ablation(
    trained: tuple[Floats, Floats], features: Floats, beats: Rows, score: Floats, unseen: Rows
) -> dict[str, dict[str, float]]:
    """Return for each feature of the specification how often it is known and what it is worth on unseen authors.

    `trained` are features and outcome of the forest; the rest is of the judged posts.
    `alone`, `without` and `all` are the AUC of beating the median of the feature, of the forest without it, and of
    the forest; `weights` that of the fixed weights without it; `added` what it adds to our score in a linear fit on
    the later posts of known authors.
    """
    judged, fitted = np.flatnonzero(unseen), np.flatnonzero(~unseen.astype(bool))
    truth = beats[judged].astype(bool)
    filled = np.where(np.isfinite(features), features, np.nanmean(features, axis=0))
    complete = auc(truth, specification.forest(*trained)(features[judged]))
    rows = {}
    for index, name in enumerate(specification.WEIGHTS):
        kept = np.arange(len(specification.WEIGHTS)) != index
        masked = features[judged].copy()
        masked[:, index] = np.nan
        both = np.column_stack([np.ones(len(score)), score, filled[:, index]])
        solved = np.linalg.lstsq(both[fitted], beats[fitted].astype(np.float64), rcond=None)[0]
        rows[name] = {
            "known": round(float(np.isfinite(features[judged, index]).mean()), 4),
            "alone": round(auc(truth, filled[judged, index]), 4),
            "weights": round(auc(truth, specification.fixed(masked)), 4),
            "without": round(auc(truth, specification.forest(*trained, kept)(features[judged])), 4),
            "all": round(complete, 4),
            "added": round(auc(truth, both[judged] @ solved) - auc(truth, score[judged]), 4),
        }
    return rows


def _forest_posts(archives: Sequence[Archive], rows: Sequence[Rows], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return features and outcome in points of some training posts."""
    features, outcome = [], []
    for archive, chosen in zip(archives, rows, strict=True):
        some = np.sort(rng.permutation(chosen[np.isfinite(archive.percentile[chosen])])[:FOREST_POSTS])
        features.append(specification.features(archive.drafts(some.tolist())))
        outcome.append(100.0 * archive.percentile[some])
    return np.concatenate(features), np.concatenate(outcome)


if __name__ == "__main__":
    main()
