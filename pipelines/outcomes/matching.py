"""Which post came of which prediction, by text and time, and how the post did among the account's own.

It sees what was stored: the texts of queries and their candidates, posts and counts. Who posted what he was offered
under another wording, or a month later, is not found.
"""

from __future__ import annotations

import html
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

import numpy as np
import regex
from scipy.sparse import csr_matrix

from pipelines.outcomes.posts import StoredPost
from pipelines.text.letters import plain_letters
from pipelines.viral_predictor.own_record import MAX_POSTS, SETTLED, percentiles

# A post may come so long after what was predicted for it.
WINDOW: Final = timedelta(days=30)
# Old exports tell the minute of a post, rounded down.
SLACK: Final = timedelta(minutes=1)
# Below this a percentile says more of the few posts than of this one.
FEWEST_POSTS: Final = 10
# Of the words of two texts together, the share that both have (Jaccard): three words changed in twenty.
SIMILAR: Final = 0.7
FEWEST_WORDS: Final = 4
# Of the same words in another order, or with other marks.
BELOW_ONE: Final = 0.999
# Texts that are weighed for a post, and posts that are compared at once.
NEAREST, BLOCK = 5, 100
WORD: Final = regex.compile(r"[\p{L}\p{N}#@$][\p{L}\p{M}\p{N}_'\u2019]*+")
LINK: Final = regex.compile(r"[\p{L}\p{N}]\.\p{L}|://")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrediction:
    """What was said of a text at a moment, by a version of the model: score and range in [0, 100], chance in [0, 1].

    `model_score` and `model_chance` are the model's own where the account's calibration changed them, else the same.
    """

    text: str
    at: datetime
    version: str | None
    viral_score: float
    p_beats_median: float
    low: float | None
    high: float | None
    model_score: float
    model_chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A post and the prediction that it came of; `similarity` is 1 where the texts are the same but for links and case.

    `outcome` in [0, 100] is the percentile of its engagement among the account's last posts, `beats` whether it is
    above their median.
    """

    post: StoredPost
    prediction: StoredPrediction
    similarity: float
    outcome: float
    beats: bool


def matched(posts: Iterable[StoredPost], predictions: Iterable[StoredPrediction]) -> list[Match]:
    """Return the posts with an outcome that came of a prediction, the oldest first.

    Each post and each text counts once: the post that came first after it, the last prediction before that. The same
    texts go first, then the most similar ones.
    """
    posts = sorted(posts, key=lambda post: post.posted_at)
    outcomes = _outcomes(posts)
    left = [(post, folded(post.text)) for post in posts if post.post_id in outcomes and post.text]
    texts: defaultdict[str, list[StoredPrediction]] = defaultdict(list)
    for prediction in sorted(predictions, key=lambda prediction: prediction.at):
        if text := folded(prediction.text):
            texts[text].append(prediction)
    found: dict[str, tuple[StoredPost, StoredPrediction, float]] = {}
    for post, text in left:
        last = _last_before(texts.get(text, ()), post.posted_at)
        if last and text not in found:
            found[text] = post, last, 1.0
    taken = {post.post_id for post, *_ in found.values()}
    # What was posted twice is no edited version of something else.
    other = [(post, text) for post, text in left if post.post_id not in taken and text not in found]
    unused = {text: said for text, said in texts.items() if text not in found}
    for similarity, post, text in sorted(_similar(other, unused), key=lambda near: (-near[0], near[1].posted_at)):
        last = _last_before(unused[text], post.posted_at)
        if last and post.post_id not in taken and text not in found:
            found[text] = post, last, similarity
            taken.add(post.post_id)
    matches = [
        Match(
            post=post,
            prediction=prediction,
            similarity=round(similarity, 3),
            outcome=outcomes[post.post_id][0],
            beats=outcomes[post.post_id][1],
        )
        for post, prediction, similarity in found.values()
    ]
    return sorted(matches, key=lambda match: (match.post.posted_at, match.post.post_id))


def folded(text: str) -> str:
    """Return a text as it is compared: X escapes `&`, shortens links and adds those of pictures."""
    plain = plain_letters(unicodedata.normalize("NFC", html.unescape(text))).casefold().replace("\u2019", "'")
    return " ".join(chunk for chunk in plain.split() if not LINK.search(chunk))


def _last_before(said: Sequence[StoredPrediction], posted_at: datetime) -> StoredPrediction | None:
    place = bisect_right(said, posted_at + SLACK, key=lambda prediction: prediction.at)
    last = said[place - 1] if place else None
    return last if last and last.at >= posted_at - WINDOW else None


def _similar(
    posts: Sequence[tuple[StoredPost, str]], texts: dict[str, list[StoredPrediction]]
) -> Iterable[tuple[float, StoredPost, str]]:
    """Yield (similarity, post, text) of the texts nearest to each post, of those that are similar and in time."""
    keys = list(texts)
    if not posts or not keys:
        return
    vocabulary: dict[str, int] = {}
    own, said = _words([text for _, text in posts], vocabulary), _words(keys, vocabulary)
    first = np.array([texts[key][0].at.timestamp() for key in keys])
    last = np.array([texts[key][-1].at.timestamp() for key in keys])
    width = len(vocabulary)
    lengths, across = np.array([len(row) for row in said]), _matrix(said, width).T.tocsr()
    for start in range(0, len(posts), BLOCK):
        rows = own[start : start + BLOCK]
        shared = (_matrix(rows, width) @ across).tocsr()
        for row, words in enumerate(rows):
            post, _ = posts[start + row]
            place = slice(shared.indptr[row], shared.indptr[row + 1])
            columns, common = shared.indices[place], shared.data[place]
            likeness = common / (len(words) + lengths[columns] - common)
            posted = post.posted_at.timestamp()
            timely = (first[columns] <= posted + SLACK.total_seconds()) & (
                last[columns] >= posted - WINDOW.total_seconds()
            )
            near = np.flatnonzero(timely & (likeness >= SIMILAR))
            for index in near[np.lexsort((-last[columns[near]], -likeness[near]))][:NEAREST]:
                yield min(float(likeness[index]), BELOW_ONE), post, keys[columns[index]]


def _words(texts: Sequence[str], vocabulary: dict[str, int]) -> list[list[int]]:
    """Return the distinct words of each text as numbers of `vocabulary`, which grows; none of one of a few words."""
    found = [{vocabulary.setdefault(word, len(vocabulary)) for word in WORD.findall(text)} for text in texts]
    return [list(words) if len(words) >= FEWEST_WORDS else [] for words in found]


def _matrix(rows: Sequence[Sequence[int]], width: int) -> csr_matrix:
    """Return which row has which word, (rows, width) of 0 and 1."""
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter(chain.from_iterable(rows), np.int32, count=int(starts[-1]))
    return csr_matrix((np.ones(len(columns), np.float32), columns, starts), shape=(len(rows), width))


def _outcomes(posts: Sequence[StoredPost]) -> dict[str, tuple[float, bool]]:
    """Return percentile in points and whether it beats the median, of posts in order of time that can be told.

    A post is measured as it was scored: against the last 100 older than a day, by readings a day old at least.
    """
    settled = [
        (post, post.engagement)
        for post in posts
        if post.engagement is not None and post.captured_at - post.posted_at >= SETTLED
    ]
    moments = [post.posted_at for post, _ in settled]
    counts = np.array([count for _, count in settled], np.float64)
    outcomes = {}
    for post, count in settled:
        end = bisect_right(moments, post.posted_at - SETTLED)
        before = counts[max(0, end - MAX_POSTS) : end]
        if len(before) >= FEWEST_POSTS:
            percentile = 100.0 * float(percentiles(np.array([count], np.float64), before)[0])
            outcomes[post.post_id] = round(percentile, 2), bool(count > np.median(before))
    return outcomes
