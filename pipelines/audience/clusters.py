"""Clusters that are found again: k-means in few dimensions, kept where resampling and a null of no clusters agree."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
DIMENSIONS: Final = 10
MOST_CLUSTERS: Final = 8
# "A valid, stable cluster should yield a mean Jaccard similarity value of 0.75 or more": Hennig, R package fpc,
# clusterboot; Hennig 2007, Cluster-wise assessment of cluster stability, CSDA 52(1), 258-271.
STABLE: Final = 0.75
RESAMPLES, FINAL_RESAMPLES = 10, 30
# Clouds: normal ones with the variances of the data, where there is nothing to be found. So many standard deviations
# below them is no chance; the stability of fewer is measured, as it costs more.
CLOUDS, NULLS, SURE = 10, 3, 3.0
# Stability is measured on so many: more cost time and say the same.
MAX_ROWS: Final = 800
LEAST_SIZE: Final = 10
NOTHING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Clusters:
    """labels (rows,): the place of a stable cluster, or -1; `stability` of each in [0, 1], mean Jaccard index."""

    labels: Labels
    stability: tuple[float, ...]


def find_clusters(rows: Floats, *, seed: int = 0) -> Clusters | None:
    """Return the stable clusters of rows (n, dimensions), or None where there are none.

    Of 2 to 8 clusters those numbers count whose sum of squares is surely below that of clouds without clusters
    (SigClust: Liu, Hayes, Nobel, Marron 2008, JASA 103(483)). Of them the most stable is chosen, corrected for the
    stability of a cloud as the Rand index is for chance: halves of a long cloud are found again too. A cluster is kept
    from STABLE on and above what any cluster of a cloud had.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415  # a second to import
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    # Many threads that wait for each other in each of a thousand small fits.
    with threadpool_limits(1), warnings.catch_warnings():
        # Of fewer distinct rows than clusters some clusters are empty, and nothing is stable.
        warnings.simplefilter("ignore", ConvergenceWarning)
        space = _reduced(rows)
        if space.shape[1] == 0:
            return None
        sample = space if len(space) <= MAX_ROWS else space[rng.choice(len(space), MAX_ROWS, replace=False)]
        clouds = [rng.normal(size=sample.shape) * sample.std(axis=0) for _ in range(CLOUDS)]
        best: tuple[float, int, float] | None = None
        for k in range(2, min(MOST_CLUSTERS, len(sample) // LEAST_SIZE) + 1):
            squares = np.log([_fit(cloud, k, rng)[1] for cloud in clouds])
            if math.log(max(_fit(sample, k, rng)[1], NOTHING)) > squares.mean() - SURE * squares.std(ddof=1):
                continue
            labels, jaccard = _stability(sample, k, rng, RESAMPLES)
            null = [_stability(cloud, k, rng, RESAMPLES) for cloud in clouds[:NULLS]]
            chance = float(np.mean([of_cloud[of_row].mean() for of_row, of_cloud in null]))
            corrected = (float(jaccard[labels].mean()) - chance) / max(1.0 - chance, 1e-9)
            if corrected > 0 and (best is None or corrected > best[0]):
                best = (corrected, k, max(float(of_cloud.max()) for _, of_cloud in null))
        return None if best is None else _stable_of(space, best[1], best[2], rng)


def _stable_of(space: Floats, k: int, chance: float, rng: np.random.Generator) -> Clusters | None:
    """Return those of k clusters that are large and stable enough, the largest first."""
    labels, jaccard = _stability(space, k, rng, FINAL_RESAMPLES)
    sizes = np.bincount(labels, minlength=k)
    order = np.argsort(-sizes, kind="stable")
    kept = [place for place in order if jaccard[place] >= max(STABLE, chance) and sizes[place] >= LEAST_SIZE]
    if not kept:
        return None
    place_of = np.full(k, -1, np.int64)
    place_of[kept] = np.arange(len(kept))
    return Clusters(place_of[labels], tuple(float(jaccard[place]) for place in kept))


def _reduced(rows: Floats) -> Floats:
    """Return the rows in at most DIMENSIONS principal components; those without variance are left out."""
    from sklearn.decomposition import PCA  # noqa: PLC0415  # a second to import

    if not rows.size or rows.std(axis=0).max() < 1e-9:
        return np.zeros((len(rows), 0))
    size = min(DIMENSIONS, *rows.shape)
    reduced = PCA(size, random_state=0).fit_transform(rows - rows.mean(axis=0))
    kept: Floats = reduced[:, reduced.std(axis=0) > 1e-9]
    return kept


def _stability(space: Floats, k: int, rng: np.random.Generator, resamples: int) -> tuple[Labels, Floats]:
    """Return the labels of k-means and for each cluster the mean over resamples of its best Jaccard index there."""
    labels, _ = _fit(space, k, rng)
    found = np.zeros(k)
    for _ in range(resamples):
        rows = np.unique(rng.integers(0, len(space), len(space)))
        again, _ = _fit(space[rows], k, rng)
        shared = np.zeros((k, k))
        np.add.at(shared, (labels[rows], again), 1)
        either = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
        found += (shared / np.maximum(either, 1)).max(axis=1)
    return labels, found / resamples


def _fit(space: Floats, k: int, rng: np.random.Generator) -> tuple[Labels, float]:
    """Return the labels of k-means and its sum of squares."""
    from sklearn.cluster import KMeans  # noqa: PLC0415

    fitted = KMeans(k, n_init=3, random_state=int(rng.integers(2**31))).fit(space)
    return fitted.labels_.astype(np.int64), float(fitted.inertia_)
