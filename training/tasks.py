"""The labeled texts that the encoder learns from and is judged on, by task; each part names its source and licence."""

from __future__ import annotations

import csv
import html
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.records import EmotionLabel, SentimentLabel

SENTIMENTS: tuple[str, ...] = get_args(SentimentLabel)
EMOTIONS: tuple[str, ...] = get_args(EmotionLabel)
TWEETEVAL_EMOTIONS = ("anger", "joy", "optimism", "sadness")
# GoEmotions' Ekman grouping counts disgust; here it is anger, as in its own hierarchy (Demszky et al. 2020, figure 2).
EKMAN = ("anger", "anger", "fear", "joy", "neutral", "sadness", "surprise")
# Every how-manieth text of the large training sets is held out, chosen by its own hash.
HELD_OUT = 10


@dataclass(frozen=True)
class Labeled:
    """Texts with (n, classes) targets whose rows sum to 1, and the labels that this source can give."""

    texts: list[str]
    targets: NDArray[np.float32]
    labels: tuple[str, ...]

    def where(self, kept: Iterable[int]) -> Labeled:
        """Return some of the rows."""
        rows = list(kept)
        return Labeled([self.texts[row] for row in rows], self.targets[rows], self.labels)

    @property
    def winners(self) -> NDArray[np.int64]:
        """The class with the most weight, by row."""
        winners: NDArray[np.int64] = self.targets.argmax(axis=1)
        return winners


@dataclass(frozen=True)
class Task:
    """One head: its labels, its training parts with how often each is seen in an epoch, and what chooses and judges."""

    name: str
    labels: tuple[str, ...]
    train: tuple[tuple[Labeled, float], ...]
    validation: Labeled
    test: Labeled
    sources: tuple[str, ...]


def read_tasks(data: Path) -> list[Task]:
    """Read the four tasks of the encoder from the data folder."""
    semeval = _semeval(data / "sentiment" / "semeval_train.parquet")
    held_out = np.array([zlib.crc32(text.encode()) % HELD_OUT == 0 for text in semeval.texts])
    return [
        Task(
            "sentiment",
            SENTIMENTS,
            ((semeval.where(np.flatnonzero(~held_out)), 1.0),),
            tweeteval(data / "sentiment" / "tweeteval_val.parquet", SENTIMENTS, SENTIMENTS),
            semeval.where(np.flatnonzero(held_out)),
            sources=("SemEval 2013-2017 task A (cbaziotis/datastories-semeval2017-task4)",),
        ),
        Task(
            "emotion",
            EMOTIONS,
            (
                (tweeteval(data / "emotion" / "tweeteval_train.parquet", TWEETEVAL_EMOTIONS, EMOTIONS), 3.0),
                (goemotions(data / "goemotions" / "train.tsv"), 0.35),
            ),
            tweeteval(data / "emotion" / "tweeteval_val.parquet", TWEETEVAL_EMOTIONS, EMOTIONS),
            goemotions(data / "goemotions" / "dev.tsv"),
            sources=(
                "TweetEval emotion (cardiffnlp/tweeteval)",
                "GoEmotions, Ekman grouping (monologg/GoEmotions-pytorch, Apache-2.0)",
            ),
        ),
        *(
            Task(
                name,
                (f"not_{name}", name),
                ((tweeteval(data / name / "tweeteval_train.parquet", *[(f"not_{name}", name)] * 2), share),),
                *_halves(tweeteval(data / name / "tweeteval_val.parquet", *[(f"not_{name}", name)] * 2)),
                sources=(f"TweetEval {name} (cardiffnlp/tweeteval)",),
            )
            for name, share in (("irony", 1.5), ("offensive", 0.7))
        ),
    ]


def tweeteval(path: Path, own: Sequence[str], labels: Sequence[str]) -> Labeled:
    """Read a TweetEval file whose label numbers are places in `own`."""
    table = pq.read_table(path)
    places = np.array([labels.index(name) for name in own])
    return Labeled(
        _clean(table["text"].to_pylist()), _one_hot(places[table["label"].to_numpy()], len(labels)), tuple(own)
    )


def goemotions(path: Path) -> Labeled:
    """Read a GoEmotions file; a comment with several emotions gives each its share."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if len(row) == 3]
    targets = np.zeros((len(rows), len(EMOTIONS)), np.float32)
    for target, (_, numbers, _) in zip(targets, rows, strict=True):
        for number in numbers.split(","):
            target[EMOTIONS.index(EKMAN[int(number)])] += 1
    targets /= targets.sum(axis=1, keepdims=True)
    return Labeled(_clean([text for text, _, _ in rows]), targets, tuple(dict.fromkeys(EKMAN)))


def _halves(part: Labeled) -> tuple[Labeled, Labeled]:
    """Split a part that must both choose and judge."""
    return part.where(range(0, len(part.texts), 2)), part.where(range(1, len(part.texts), 2))


def _semeval(path: Path) -> Labeled:
    table = pq.read_table(path)
    numbers = np.array([SENTIMENTS.index(label) for label in table["label"].to_pylist()])
    return Labeled(_clean(table["text"].to_pylist()), _one_hot(numbers, len(SENTIMENTS)), SENTIMENTS)


def _clean(texts: Sequence[Any]) -> list[str]:
    return [html.unescape(text) for text in texts]


def _one_hot(numbers: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    targets: NDArray[np.float32] = np.eye(classes, dtype=np.float32)[numbers]
    return targets
