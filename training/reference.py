"""Write reference.json: how each input of the score is spread over the posts that the viral predictor was fitted for.

python -m training.reference --data ../shared/data --model models/viral_predictor

The posts are those of authors whom the fit never saw, each set weighing what it weighed there: of posts that it saw,
words are worth more than of any others. Only edges and shares of bins are written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from pipelines.viral_predictor.drift import INPUTS, NAME, Scored, fit, values
from pipelines.viral_predictor.predictor import ViralPredictor
from training.archives import Archive, Rows, read, split
from training.viral_evaluation import SETS
from training.viral_predictor import BALANCE

POSTS = 20_000
CHUNK = 4_096


def main() -> None:
    """Fit the bins and write them beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    predictor = ViralPredictor.load(arguments.model)
    rng = np.random.default_rng(arguments.seed)
    posts: list[Scored] = []
    weights = []
    for name in SETS:
        archive = read(arguments.data / "engagement" / f"{name}.parquet")
        roles = split(archive)
        rows = rng.permutation(roles["authors"])[:POSTS]
        posts += scored(predictor, archive, rows)
        weights += [len(roles["train"]) ** (1.0 - BALANCE) / len(rows)] * len(rows)
    columns, weight = values(posts), np.array(weights)
    fitted = {name: fit(columns[name], weight) for name in INPUTS}
    inputs = {
        name: {"edges": [round(edge, 3) for edge in bins.edges], "shares": [round(share, 5) for share in bins.shares]}
        for name, bins in fitted.items()
        if bins
    }
    content = {"version": predictor.version, "posts": len(posts), "seed": arguments.seed, "inputs": inputs}
    (arguments.model / NAME).write_text(json.dumps(content) + "\n")
    print(f"{NAME}: {len(inputs)} inputs of {len(posts):,} posts")


def scored(predictor: ViralPredictor, archive: Archive, rows: Rows) -> list[Scored]:
    """Return posts as they would be scored without their authors' records."""
    found = []
    for begin in range(0, len(rows), CHUNK):
        chosen = rows[begin : begin + CHUNK].tolist()
        texts = [archive.texts[row] for row in chosen]
        points = predictor.word_points(texts).tolist()
        moments = [archive.moment(row) for row in chosen]
        found += [Scored(*one) for one in zip(texts, points, moments, strict=True)]
    return found


if __name__ == "__main__":
    main()
