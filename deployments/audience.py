"""What a refresh of an audience computes, and where: in a Ray task, as seconds of work have no place in the ingress."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import ray
from numpy.typing import NDArray

from pipelines.audience.segments import Audience, read_audience
from pipelines.audience.terms import read_terms
from pipelines.audience.trends import Trends, read_trends
from pipelines.encoder import Encoder
from pipelines.outcomes.posts import StoredPost

TIMEOUT_S = 75.0
Reader = Callable[[Sequence[StoredPost], datetime], Awaitable[tuple[Audience, Trends]]]


def compute(posts: Sequence[StoredPost], until: datetime, encoder: Path | None) -> tuple[Audience, Trends]:
    """Read segments and trends; without an encoder words and formats alone tell posts apart."""
    return read_audience(posts, read_terms, partial(_embed, encoder)), read_trends(posts, read_terms, until=until)


def in_task(encoder: Path | None) -> Reader:
    """Compute in a task that takes no CPU from the replicas' count; Ray ends its idle process by itself."""
    task = ray.remote(num_cpus=0, max_retries=1)(compute)

    async def read(posts: Sequence[StoredPost], until: datetime) -> tuple[Audience, Trends]:
        reference = task.remote(list(posts), until, encoder)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found: tuple[Audience, Trends] = await reference
        except BaseException:
            ray.cancel(reference)
            raise
        return found

    return read


def _embed(encoder: Path | None, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return embeddings of unit length, (texts, dimensions)."""
    if encoder is None:
        return np.zeros((len(texts), 0))
    raw = _loaded(encoder).encode(texts).embedding.astype(np.float64)
    unit: NDArray[np.float64] = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
    return unit


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> Encoder:
    return Encoder.load(folder)
