"""How far what is scored has moved from what the score was fitted on: the population stability index of each input.

It says nothing of whether scores are right: that is the track record's to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import WeightsRefused
from pipelines.viral_predictor.features import DRAFT, Floats, draft_wording

NAME: Final = "reference.json"
# Counts that others are functions of.
LEFT_OUT: Final = frozenset({"length_squared", "hashtags_log"})
WORDING: Final = tuple(name for name in DRAFT if name not in LEFT_OUT)
# Besides the counts of the wording: points that the words of a text were worth, and the UTC hour of posting.
INPUTS: Final = (*WORDING, "words", "hour")
# Without any drift the index of n posts in k bins is about chi-squared with k - 1 degrees of freedom over n (Yurdakul
# 2018, Statistical properties of population stability index, theorem 3.1): of 250 in ten bins, 99 in 100 are below .09.
FEWEST_POSTS: Final = 250
# The customary reading: Siddiqi (2006), Credit Risk Scorecards, chapter 9.
SLIGHT: Final = 0.10
LARGE: Final = 0.25


@dataclass(frozen=True)
class Bins:
    """One input of the posts that the score was fitted on.

    Bin i holds values in (edges[i - 1], edges[i]], the outer ones are open; `shares` (edges + 1,) sum to 1, none is 0.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """A text that was scored by its wording; `words` are the points that its words were worth."""

    text: str
    words: float | None
    posted_at: datetime | None


Reference = Mapping[str, Bins]


def load_reference(folder: Path) -> Reference | None:
    """Read reference.json of a model's folder; None where it has none, as own weights do.

    Raises:
        WeightsRefused: the file cannot be read, or an input of it is unknown.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        inputs = json.loads(path.read_bytes())["inputs"]
        reference = {name: Bins(tuple(bins["edges"]), tuple(bins["shares"])) for name, bins in inputs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsRefused(f"{path}: {error}") from error
    if unknown := sorted(reference.keys() - set(INPUTS)):
        raise WeightsRefused(f"{path}: {unknown[0]} is no input of the score")
    return reference


def drift(reference: Reference, posts: Sequence[Scored]) -> dict[str, float]:
    """Return the index of each input that at least 250 posts tell, [0, inf)."""
    columns = values(posts)
    return {
        name: psi(bins, told)
        for name, bins in reference.items()
        if len(told := columns[name][np.isfinite(columns[name])]) >= FEWEST_POSTS
    }


def values(posts: Sequence[Scored]) -> dict[str, Floats]:
    """Return each input of the posts (posts,), NaN where it is unknown."""
    counts = draft_wording([post.text for post in posts], bits=8).counts
    columns = dict(zip(DRAFT, counts.T, strict=True))
    hours = [np.nan if post.posted_at is None else post.posted_at.timestamp() // 3_600 % 24 for post in posts]
    words = [np.nan if post.words is None else post.words for post in posts]
    return {name: columns[name] for name in WORDING} | {"words": np.array(words), "hour": np.array(hours)}


def psi(bins: Bins, told: Floats) -> float:
    """Return sum of (actual - expected) ln(actual / expected) over the bins: 0 is no drift.

    Siddiqi (2006), chapter 9; Kullback and Leibler's (1951) divergence J, Ann. Math. Stat. 22, 79-86, equation 2.6. A
    bin gets half a post more than it holds, so that an empty one counts, and not without bound. `told` is (posts,).
    """
    counts = np.bincount(np.searchsorted(bins.edges, told, side="left"), minlength=len(bins.shares)) + 0.5
    actual, expected = counts / counts.sum(), np.array(bins.shares)
    return float(((actual - expected) * np.log(actual / expected)).sum())


def fit(told: Floats, weight: Floats, most: int = 10, least: float = 0.01) -> Bins | None:
    """Return up to `most` bins of about equal weight, none below the share `least`; None where there would be one.

    Both arguments are (posts,). An input that is mostly 0 gets a bin for 0.
    """
    order = np.argsort(told, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    places: NDArray[np.int64] = np.searchsorted(reached, np.arange(1, most) / most)
    known = np.unique(told)
    lower = np.searchsorted(known, np.unique(told[order][places]))
    lower = lower[lower < len(known) - 1]
    # Between two values, so that no rounding moves one across.
    edges = (known[lower] + known[lower + 1]) / 2
    while len(edges):
        found = np.bincount(np.searchsorted(edges, told, side="left"), weight, len(edges) + 1) / weight.sum()
        if found.min() >= least:
            return Bins(tuple(edges.tolist()), tuple(found.tolist()))
        edges = np.delete(edges, min(int(found.argmin()), len(edges) - 1))
    return None
