"""How a draft will do against its author's own record: expected percentile of engagement, with the reasons.

The score is a sum: a base, the wording, the moment, and what the author's own posts say. It knows texts, moments and
counts of the author's posts; it knows no followers, media, topics of the day or viewers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import PassFailed
from pipelines.records import Draft, History, Post
from pipelines.results import OwnRecord, Prediction, Subscores
from pipelines.viral_predictor.features import DRAFT, TIME, Floats, Wording, draft_wording, grams, time_of
from pipelines.viral_predictor.own_record import (
    AUTHOR,
    FULL_POSTS,
    REWARDED,
    Record,
    author_terms,
    record_of,
    usable_posts,
)
from pipelines.viral_predictor.scope import Scope, scope_of
from pipelines.viral_predictor.substance import SubstanceModel, points_off
from pipelines.weights import read_arrays, read_weights

FORMAT: Final = 2
NOTE: Final = (
    "The text reads as filler, clickbait or a heap of words: `substance` takes points off, by judgement, not "
    "by measured engagement. Say what happened, when or for whom."
)
# Fewer points off need no word.
SAID_FROM: Final = 5.0
METHOD: Final = "exact terms of an additive model, relative to the average training post"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained numbers, in score points.

    words (2**bits,), words_mean (); wording_mean, wording_scale, wording (len(DRAFT),) where `wording` applies to
    (count - mean) / scale; time_mean, time (len(TIME),); author (len(AUTHOR),); base (); importance (gram buckets,),
    the squared inverse document frequency of character 4-grams. calibration is (2, 3, 6): without and with a record;
    logit P(beats median), 10 % and 90 % bound of the outcome in points; each a sum over 1, (score - 50) / 10, and of
    the record recent / 10, spread / 10, posts / 100 and the log odds of its share above its median.
    """

    words: NDArray[np.float32]
    words_mean: Floats
    wording_mean: Floats
    wording_scale: Floats
    wording: Floats
    time_mean: Floats
    time: Floats
    author: Floats
    base: Floats
    importance: Floats
    calibration: Floats

    @property
    def bits(self) -> int:
        """Binary logarithm of the number of word buckets."""
        return len(self.words).bit_length() - 1


class ViralPredictor:
    """Scores drafts with fixed weights; equal drafts get equal predictions in every process and batch."""

    def __init__(
        self, weights: Weights, version: str, substance: SubstanceModel | None = None, default_language: str = "en"
    ) -> None:
        self.weights = weights
        self._substance = substance
        self.version = version
        # Of texts that show no language.
        self.default_language = default_language
        # The score rests on none of X's published ranking weights.
        self.weights_version: str | None = None
        # The version of the bundled weights that an account's own posts moved to these, if they did.
        self.retrained_from: str | None = None
        self._base = float(weights.base)
        self._calibration: list[list[list[float]]] = weights.calibration.tolist()
        self._importance = np.append(weights.importance, 0.0)
        self._gram_bits = len(weights.importance).bit_length() - 1
        self._wording_names, self._wording_starts = _groups(DRAFT)
        self._time_names, self._time_starts = _groups(TIME)

    @classmethod
    def load(cls, folder: Path, substance: SubstanceModel | None = None) -> ViralPredictor:
        """Read weights.npz and metadata.json from `folder`; `substance` reads drafts whose substance is not told.

        Raises:
            WeightsRefused: a file is missing or unreadable, or the weights are not those of the metadata.
        """
        metadata, files = read_weights(folder, FORMAT)
        arrays = read_arrays(files["weights.npz"])
        numbers = {name: array.astype(np.float64) for name, array in arrays.items() if name != "words"}
        # Both dictionaries are read now, not at the first request.
        scope_of("Ravens like wooden zapatos.")
        weights = Weights(words=arrays["words"].astype(np.float32), **numbers)
        loaded = cls(weights, str(metadata["version"]), substance)
        loaded.retrained_from = metadata.get("retrained_from")
        return loaded

    def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts in their order; nothing is drawn at random and nothing is read from the clock.

        A post counts as usable if it is older than 24 h at `posted_at`; without `posted_at` all of them are.
        Without usable posts there is no author term, without `posted_at` no term for the time. A text in another
        language than English is scored by record and time alone, from 25 usable posts on.
        """
        read = draft_wording([draft.text for draft in drafts], self.weights.bits)
        words, counts, time = self._terms(read, [draft.posted_at for draft in drafts])
        records, own_posts = self.records(drafts)
        author = self._author_terms(drafts, records, read, words + counts[:, REWARDED].sum(1))
        wording_terms = np.add.reduceat(counts, self._wording_starts, axis=1).tolist()
        time_terms = np.add.reduceat(time, self._time_starts, axis=1).tolist()
        scopes = [scope_of(draft.original or draft.text, draft.language, self.default_language) for draft in drafts]
        substances = self._substances(drafts, scopes)
        predictions = []
        for row, (draft, scope) in enumerate(zip(drafts, scopes, strict=True)):
            by_record = scope.reason == "language" and own_posts[row] >= FULL_POSTS
            if scope.reason and not by_record:
                predictions.append(self._unscored(scope, own_posts[row]))
                continue
            contributions: dict[str, float] = {}
            wording_points, time_points, author_points = None, None, None
            if not by_record:
                contributions["words"] = float(words[row])
                contributions.update(zip(self._wording_names, wording_terms[row], strict=True))
                substance = substances[row]
                lost = points_off(substance) if substance is not None else 0.0
                if lost:
                    contributions["substance"] = -lost
                wording_points = sum(contributions.values())
            if draft.posted_at is not None:
                contributions.update(zip(self._time_names, time_terms[row], strict=True))
                time_points = sum(time_terms[row])
            if (terms := author[row]) is not None:
                own = dict(zip(AUTHOR, terms, strict=True))
                if by_record:  # what pays off for an author was told apart by points of the wording
                    del own["habits"]
                contributions.update(own)
                author_points = sum(own.values())
            subscores = Subscores(wording=wording_points, author=author_points, time=time_points)
            note = scope.note(by_record=True) if by_record else None
            if contributions.get("substance", 0.0) <= -SAID_FROM:
                note = NOTE
            predictions.append(self._prediction(contributions, subscores, records[row], own_posts[row], note))
        return predictions

    def _substances(self, drafts: Sequence[Draft], scopes: Sequence[Scope]) -> list[float | None]:
        """Return the chance that each draft, or its original, says something; None where nobody can tell."""
        found = [draft.substance for draft in drafts]
        unread = [row for row, scope in enumerate(scopes) if scope.reason is None and found[row] is None]
        if self._substance is None or not unread:
            return found
        texts = [drafts[row].original or drafts[row].text for row in unread]
        try:
            read = dict(zip(dict.fromkeys(texts), self._substance.read(list(dict.fromkeys(texts))), strict=True))
        except PassFailed:
            logger.exception("the encoder failed", extra={"action": "substance", "texts": len(texts)})
            return found
        for row, text in zip(unread, texts, strict=True):
            found[row] = read[text]
        return found

    def wording_points(self, texts: Sequence[str]) -> Floats:
        """Return the wording sub-score of each text, (texts,) in score points."""
        words, counts, _ = self._terms(draft_wording(texts, self.weights.bits), [None] * len(texts))
        points: Floats = words + counts.sum(axis=1)
        return points

    def word_points(self, texts: Sequence[str]) -> Floats:
        """Return what the words of each text are worth, (texts,) in score points: the contribution `words`."""
        words, _, _ = self._terms(draft_wording(texts, self.weights.bits), [None] * len(texts))
        return words

    def _prediction(
        self,
        contributions: dict[str, float],
        subscores: Subscores,
        record: Record | None,
        own_posts: int,
        note: str | None,
    ) -> Prediction:
        unclipped = self._base + sum(contributions.values())
        score = min(max(unclipped, 0.0), 100.0)
        if score != unclipped:
            contributions["clipped"] = score - unclipped
        # What says nothing loses points by judgement: the range still reaches to where it would be without.
        reach = max(score, min(score - contributions.get("substance", 0.0), 100.0))
        # Between the two calibrations as far as the record counts.
        share = record.weight if record else 0.0
        chance, low, high = (
            (1.0 - share) * _weighed(without, at, None) + share * _weighed(with_record, at, record)
            for at, without, with_record in zip((score, score, reach), *self._calibration, strict=True)
        )
        return Prediction(
            viral_score=round(score, 1),
            p_beats_median=round(1.0 / (1.0 + math.exp(-chance)), 3),
            interval=(float(math.floor(max(min(low, score), 0.0))), float(math.ceil(min(max(high, score), 100.0)))),
            base=round(self._base, 2),
            contributions={name: round(points, 2) for name, points in contributions.items()},
            subscores=_rounded(subscores),
            evidence=OwnRecord(own_posts),
            method=METHOD,
            note=note,
        )

    def _unscored(self, scope: Scope, own_posts: int) -> Prediction:
        return Prediction(
            viral_score=None,
            p_beats_median=None,
            interval=None,
            base=round(self._base, 2),
            contributions={},
            subscores=Subscores(wording=None, author=None, time=None),
            evidence=OwnRecord(own_posts),
            method=METHOD,
            supported=False,
            note=scope.note(),
        )

    def _terms(self, read: Wording, moments: Sequence[datetime | None]) -> tuple[Floats, Floats, Floats]:
        """Return points of the words (n,), the counts (n, len(DRAFT)) and the time (n, len(TIME), may be NaN)."""
        weights = self.weights
        words = np.bincount(read.rows, read.weights * weights.words[read.buckets], minlength=len(read.counts))
        counts = (read.counts - weights.wording_mean) / weights.wording_scale * weights.wording
        return words - weights.words_mean, counts, (time_of(moments) - weights.time_mean) * weights.time

    def records(self, drafts: Sequence[Draft]) -> tuple[list[Record | None], list[int]]:
        """Return the record behind each draft, None where there is no post, and its usable posts."""
        # Hashing a history costs a tenth of reading it; drafts of one request share theirs or were sent equal ones.
        firsts: dict[History, int] = {}
        places: dict[int, int] = {}
        known: dict[tuple[int, datetime | None], tuple[Record | None, int]] = {}
        found = []
        for row, draft in enumerate(drafts):
            if id(draft.own_posts) not in places:
                places[id(draft.own_posts)] = firsts.setdefault(draft.own_posts, row)
            key = (places[id(draft.own_posts)], draft.posted_at)
            if key not in known:
                posts = usable_posts(draft)
                known[key] = (self._record(posts) if posts else None, len(posts))
            found.append(known[key])
        return [record for record, _ in found], [posts for _, posts in found]

    def _author_terms(
        self, drafts: Sequence[Draft], records: Sequence[Record | None], read: Wording, points: Floats
    ) -> list[list[float] | None]:
        """Return the author terms of each draft, None where there is no record."""
        places = [row for row, record in enumerate(records) if record]
        own = grams([drafts[row].text for row in places], self._gram_bits)
        counts = self._habit_counts(read.counts)
        terms: list[list[float] | None] = [None] * len(drafts)
        for place, row in enumerate(places):
            if record := records[row]:
                buckets = own.buckets[own.starts[place] : own.starts[place + 1]]
                found = author_terms(record, counts[row], float(points[row]), buckets, self._importance)
                terms[row] = (record.weight * found * self.weights.author).tolist()
        return terms

    def _record(self, posts: Sequence[Post]) -> Record:
        texts = [post.text for post in posts]
        read = draft_wording(texts, self.weights.bits)
        words, counts, time = self._terms(read, [post.created_at for post in posts])
        return record_of(
            posts,
            expected=self.weights.base + words + counts.sum(1) + time.sum(1),
            counts=self._habit_counts(read.counts),
            points=words + counts[:, REWARDED].sum(1),
            grams=grams(texts, self._gram_bits),
            importance=self._importance,
        )

    def _habit_counts(self, counts: Floats) -> Floats:
        standardized: Floats = ((counts - self.weights.wording_mean) / self.weights.wording_scale)[:, REWARDED]
        return standardized


def _weighed(weights: Sequence[float], score: float, record: Record | None) -> float:
    """Return one number of the calibration for a score and what is known of the record."""
    known = (1.0, (score - 50.0) / 10.0, *(record.evidence if record else ()))
    return sum([weight * number for weight, number in zip(weights, known, strict=False)])


def _rounded(subscores: Subscores) -> Subscores:
    return Subscores(
        **{name: None if points is None else round(points, 2) for name, points in asdict(subscores).items()}
    )


def _groups(features: dict[str, str]) -> tuple[list[str], list[int]]:
    """Return the contributions that `features` belong to and where each begins."""
    names = [(name.split("_")[0], index) for index, name in enumerate(features)]
    first = {group: next(members)[1] for group, members in groupby(names, key=lambda pair: pair[0])}
    return list(first), list(first.values())
