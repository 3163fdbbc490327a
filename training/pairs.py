"""Pairs of texts of which one did better: tweets for one link, headlines of one article, posts of one author."""

from __future__ import annotations

import html
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import norm

from pipelines.viral_predictor.features import Floats
from training.archives import Rows, split
from training.archives import read as read_archive
from training.viral_evaluation import SETS, draw_pairs

# The authors of the Upworthy archive announced a fault in the randomisation of these weeks (year and week).
FAULTY_WEEKS = range(201325, 201403)
# z of A/A pairs has this standard deviation instead of 1 (measured on packages with one headline).
OVERDISPERSION = 1.36
CLEAR_Z = 2.67


@dataclass(frozen=True)
class Pairs:
    """`a_better`, `weight` in (0, 1], `group` (what must not be split between folds) and `clear`, all (pairs,).

    `clear` marks pairs whose outcome is hardly chance; `source` names the data set.
    """

    source: str
    texts: list[tuple[str, str]]
    a_better: NDArray[np.bool_]
    weight: Floats
    group: NDArray[np.str_]
    clear: NDArray[np.bool_]

    def where(self, rows: Rows) -> Pairs:
        """Return some of the pairs."""
        texts = [self.texts[row] for row in rows]
        return Pairs(self.source, texts, self.a_better[rows], self.weight[rows], self.group[rows], self.clear[rows])


def same_link(data: Path) -> Pairs:
    """Read the pairs of Tan, Lee and Pang (2014): one author, one link, which tweet was retweeted more."""
    rows = [row for part in ("train", "val") for row in pq.read_table(data / f"tan2014_{part}.parquet").to_pylist()]
    texts = [(html.unescape(row["first_tweet"]), html.unescape(row["second_tweet"])) for row in rows]
    first = np.array([row["label"] == "first" for row in rows])
    # The same tweet may stand in several pairs; authors are not named.
    every = np.ones(len(rows), bool)
    return Pairs("tan2014", texts, first, np.ones(len(rows)), np.array([min(pair) for pair in texts]), every)


def headlines(data: Path) -> Pairs:
    """Read pairs of headlines of one Upworthy test that differ in nothing else; packages of one headline are added up.

    A pair weighs |2 Phi(z / 1.36) - 1|: how far from even the odds are that its winner is the better one.
    """
    packages: dict[tuple[str, str, str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in pq.read_table(data / "upworthy.parquet").to_pylist():
        if int(row["test_week"]) in FAULTY_WEEKS or not row["headline"]:
            continue
        beside = (row["clickability_test_id"], row["eyecatcher_id"] or "", row["lede"] or "", row["excerpt"] or "")
        shown, clicked = packages[beside].get(row["headline"], (0, 0))
        packages[beside][row["headline"]] = (shown + int(row["impressions"]), clicked + int(row["clicks"]))
    texts, z, group = [], [], []
    for (test, *_), found in packages.items():
        for (a, (shown_a, clicked_a)), (b, (shown_b, clicked_b)) in combinations(found.items(), 2):
            pooled = (clicked_a + clicked_b) / max(shown_a + shown_b, 1)
            variance = pooled * (1 - pooled) * (1 / max(shown_a, 1) + 1 / max(shown_b, 1))
            if variance > 0 and clicked_a / shown_a != clicked_b / shown_b:
                texts.append((html.unescape(a), html.unescape(b)))
                z.append((clicked_a / shown_a - clicked_b / shown_b) / variance**0.5)
                group.append(test)
    scores = np.array(z)
    weight = np.abs(2 * norm.cdf(scores / OVERDISPERSION) - 1)
    return Pairs("upworthy", texts, scores > 0, weight, np.array(group), np.abs(scores) > CLEAR_Z)


def own_posts(data: Path, part: str, number: int, rng: np.random.Generator) -> list[Pairs]:
    """Draw pairs of posts of one author from `part` (time or authors) of each set; see viral_evaluation.draw_pairs."""
    found = []
    for name in SETS:
        archive = read_archive(data / f"{name}.parquet")
        pairs = draw_pairs(archive, split(archive)[part], number, rng)
        pairs = np.where(rng.random((len(pairs), 1)) < 0.5, pairs[:, ::-1], pairs)
        texts = [(archive.texts[a], archive.texts[b]) for a, b in pairs.tolist()]
        better = archive.engagement[pairs[:, 0]] > archive.engagement[pairs[:, 1]]
        every = np.ones(len(pairs), bool)
        found.append(Pairs(name, texts, better, np.ones(len(pairs)), archive.author[pairs[:, 0]], every))
    return found
