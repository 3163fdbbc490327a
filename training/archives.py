"""Archives of posts with engagement, and what each author's record was when a post went out."""

from __future__ import annotations

import hashlib
import html
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from pipelines.records import Draft, Post
from pipelines.viral_predictor.features import Floats
from pipelines.viral_predictor.own_record import FULL_POSTS, MAX_POSTS, SETTLED

US_PER_DAY = 86_400_000_000
FOLDS = 5
NEIGHBOURS, FEWEST_NEIGHBOURS = 50, 10

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Archive:
    """One data set, sorted by author and time; all arrays are (posts,).

    `percentile` in [0, 1] is the mid-rank of the engagement among the author's last 100 posts older than 24 h, which
    are rows `first` to `last` (exclusive); NaN with fewer than 25 of them.
    """

    name: str
    sha256: str
    author: NDArray[np.str_]
    time_us: Rows
    texts: list[str]
    likes: Rows
    retweets: Rows
    first: Rows
    last: Rows
    percentile: Floats

    def drafts(self, rows: Sequence[int]) -> list[Draft]:
        """Return posts as they were before they were posted, each with the record that its author had then."""
        known: dict[int, Post] = {}

        def post(row: int) -> Post:
            if row not in known:
                known[row] = Post(
                    text=self.texts[row],
                    created_at=self.moment(row),
                    likes=int(self.likes[row]),
                    retweets=int(self.retweets[row]),
                )
            return known[row]

        return [
            Draft(
                text=self.texts[row],
                posted_at=self.moment(row),
                history=tuple(post(before) for before in range(self.first[row], self.last[row])),
            )
            for row in rows
        ]

    @property
    def engagement(self) -> Floats:
        """Return likes plus retweets (posts,)."""
        return (self.likes + self.retweets).astype(np.float64)

    def beats(self, rows: Rows) -> NDArray[np.bool_]:
        """Return whether each post did strictly better than the median of the record it is ranked in, (rows,)."""
        engagement = self.engagement
        medians = [np.median(engagement[self.first[row] : self.last[row]]) for row in rows]
        return np.asarray(engagement[rows] > np.array(medians))

    def moment(self, row: int) -> datetime:
        """Return when a post was posted."""
        return datetime.fromtimestamp(int(self.time_us[row]) / 1e6, UTC)


def read(path: Path) -> Archive:
    """Read one engagement file; retweets of others and broken counts are left out, HTML entities decoded."""
    table = pq.read_table(path, columns=["author", "created_at", "text", "likes", "retweets"])
    table = table.sort_by([("author", "ascending"), ("created_at", "ascending")])
    genuine = pc.and_(pc.greater_equal(table["likes"], 0), pc.greater_equal(table["retweets"], 0))
    table = table.filter(pc.and_(genuine, pc.invert(pc.starts_with(table["text"], "RT @"))))
    time_us = table["created_at"].cast("int64").to_numpy()
    likes, retweets = table["likes"].to_numpy(), table["retweets"].to_numpy()
    author = table["author"].to_numpy().astype(np.str_)
    first, last, percentile = records(author, time_us, (likes + retweets).astype(np.float64))
    return Archive(
        name=path.stem,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        author=author,
        time_us=time_us,
        texts=[html.unescape(text) for text in table["text"].to_pylist()],
        likes=likes,
        retweets=retweets,
        first=first,
        last=last,
        percentile=percentile,
    )


def records(author: NDArray[np.str_], time_us: Rows, engagement: Floats) -> tuple[Rows, Rows, Floats]:
    """Return first, last and percentile as Archive keeps them, for posts sorted by author and time."""
    first, last = np.zeros(len(author), np.int64), np.zeros(len(author), np.int64)
    percentile = np.full(len(author), np.nan)
    begins = np.flatnonzero(np.r_[True, author[1:] != author[:-1]])
    for begin, end in zip(begins, np.r_[begins[1:], len(author)], strict=True):
        times = time_us[begin:end]
        last[begin:end] = begin + np.searchsorted(times, times - SETTLED.days * US_PER_DAY, side="right")
        first[begin:end] = np.maximum(begin, last[begin:end] - MAX_POSTS)
    for row in tqdm(np.flatnonzero(last - first >= FULL_POSTS), desc="percentiles", mininterval=5):
        own = engagement[first[row] : last[row]]
        less, equal = np.count_nonzero(own < engagement[row]), np.count_nonzero(own == engagement[row])
        percentile[row] = (less + 0.5 * equal) / len(own)
    return first, last, percentile


def neighbours(archive: Archive, rows: Rows) -> Floats:
    """Return the mid-rank percentile of each post of `rows` among its author's 50 before and 50 after it in `rows`.

    (posts,) in [0, 1], NaN outside of `rows` and with fewer than 10 neighbours. Unlike `percentile` it does not drift
    with the author's following, so two posts of one month compare by it: what a fit of the wording should see.
    """
    engagement, authors = archive.engagement[rows], archive.author[rows]
    below, among = np.zeros(len(rows)), np.zeros(len(rows))
    for distance in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
        better = 0.5 + 0.5 * np.sign(engagement[distance:] - engagement[:-distance])
        same = authors[distance:] == authors[:-distance]
        below[distance:] += same * better
        below[:-distance] += same * (1.0 - better)
        among[distance:] += same
        among[:-distance] += same
    found = np.full(len(archive.author), np.nan)
    enough = among >= FEWEST_NEIGHBOURS
    found[rows[enough]] = below[enough] / among[enough]
    return found


def split(archive: Archive) -> dict[str, Rows]:
    """Return rows by use: 15 % of authors and the last 15 % of time only test; `train` needs no percentile."""
    number = drawn(archive)
    known, late = np.isfinite(archive.percentile), archive.time_us >= np.quantile(archive.time_us, 0.85)
    return {
        "train": np.flatnonzero((number >= 15) & ~late),
        "time": np.flatnonzero(known & (number >= 15) & late),
        "authors": np.flatnonzero(known & (number < 15)),
    }


def drawn(archive: Archive) -> Rows:
    """Return a number in [0, 100) for each post that depends on its author alone; modulo FOLDS it is the fold."""
    draw = {name: zlib.crc32(f"{archive.name}/{name}".encode()) % 100 for name in np.unique(archive.author).tolist()}
    return np.array([draw[name] for name in archive.author.tolist()])
