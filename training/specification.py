"""The original specification's viral score, as a baseline: six features, its fixed weights, its random forest.

The specification names the features, not how to compute them; the definitions are ours. Nothing here is served.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from pipelines.records import Draft, Post
from pipelines.viral_predictor.features import Floats
from pipelines.viral_predictor.own_record import percentiles, usable_posts

# original-specification.md, "Algoritmo de Predicción de Viralidad".
WEIGHTS: Final[dict[str, float]] = {
    "sentiment_score": 0.25,
    "hashtag_relevance": 0.15,
    "timing_score": 0.20,
    "audience_engagement": 0.20,
    "content_quality": 0.10,
    "trend_alignment": 0.10,
}
TREES, RANDOM_STATE = 100, 42
LAST_POSTS, NEAR_HOURS, FULL_POST, TREND_DAYS = 10, 2.0, 280, 7
_VADER = SentimentIntensityAnalyzer()


def features(drafts: Sequence[Draft]) -> Floats:
    """Return (drafts, 6) in the order of WEIGHTS, each in [0, 1]; missing is NaN."""
    shown = tqdm(drafts, desc="specification", mininterval=5)
    return np.array([_features(draft) for draft in shown], np.float64).reshape(len(drafts), len(WEIGHTS))


def _features(draft: Draft) -> list[float]:
    posts = usable_posts(draft)
    engagement = np.array([post.engagement for post in posts], np.float64)
    ranks = percentiles(engagement, engagement) if posts else engagement
    return [
        sentiment_score(draft),
        hashtag_relevance(draft, posts),
        timing_score(draft, posts, ranks),
        audience_engagement(posts),
        content_quality(draft),
        trend_alignment(draft, posts),
    ]


def sentiment_score(draft: Draft) -> float:
    """VADER's compound polarity (Hutto, Gilbert 2014, ICWSM), mapped from [-1, 1] to [0, 1]."""
    return (1.0 + float(_VADER.polarity_scores(draft.text)["compound"])) / 2.0


def hashtag_relevance(draft: Draft, posts: Sequence[Post]) -> float:
    """Share of the draft's hashtags that the author has used before, [0, 1]; NaN without hashtags or posts."""
    tags = [word for word in _words(draft.text) if word[0] == "#"]
    used = {word for post in posts for word in _words(post.text) if word[0] == "#"}
    return float(np.mean([tag in used for tag in tags])) if tags and posts else math.nan


def timing_score(draft: Draft, posts: Sequence[Post], ranks: Floats) -> float:
    """Mean percentile of own posts within 2 h of the time of day (UTC), [0, 1]; NaN without a moment or such posts."""
    if draft.posted_at is None:
        return math.nan
    hour = _hour(draft.posted_at.astimezone(UTC).timestamp())
    apart = [abs(_hour(post.created_at.timestamp()) - hour) for post in posts]
    near = [min(hours, 24.0 - hours) <= NEAR_HOURS for hours in apart]
    return float(ranks[near].mean()) if any(near) else math.nan


def audience_engagement(posts: Sequence[Post]) -> float:
    """Mean percentile of the last 10 own posts among all of them, [0, 1]; NaN with no more than those."""
    if len(posts) <= LAST_POSTS:
        return math.nan
    engagement = np.array([post.engagement for post in posts], np.float64)
    return float(percentiles(engagement[-LAST_POSTS:], engagement).mean())


def content_quality(draft: Draft) -> float:
    """Mean of the share of distinct words (as in the specification's complexity) and length / 280, [0, 1]."""
    words = _words(draft.text)
    return (len(set(words)) / max(len(words), 1) + min(len(draft.text) / FULL_POST, 1.0)) / 2.0


def trend_alignment(draft: Draft, posts: Sequence[Post]) -> float:
    """Share of the draft's distinct words that the author's last 7 days use more often than before, [0, 1].

    NaN until history is imported: without a moment, a post of those days, or one of before.
    """
    if draft.posted_at is None:
        return math.nan
    since = draft.posted_at - timedelta(days=TREND_DAYS)
    recent = [set(_words(post.text)) for post in posts if post.created_at > since]
    before = [set(_words(post.text)) for post in posts if post.created_at <= since]
    words = set(_words(draft.text))
    if not (recent and before and words):
        return math.nan
    rising = [np.mean([word in post for post in recent]) > np.mean([word in post for post in before]) for word in words]
    return float(np.mean(rising))


def fixed(known: Floats) -> Floats:
    """Return the weighted mean of the known features (drafts,) in [0, 100] with the specification's weights."""
    weights = np.where(np.isfinite(known), list(WEIGHTS.values()), 0.0)
    return np.asarray(100.0 * (np.nan_to_num(known) * weights).sum(axis=1) / weights.sum(axis=1))


def forest(known: Floats, outcome: Floats, kept: NDArray[np.bool_] | None = None) -> Callable[[Floats], Floats]:
    """Fit the specification's scaler and forest to `outcome` (drafts,) in points; `kept` (6,) leaves features out.

    The trees send NaN down a branch of its own (scikit-learn 1.4): missing stays missing.
    """
    columns = np.ones(len(WEIGHTS), bool) if kept is None else kept
    model = make_pipeline(StandardScaler(), RandomForestRegressor(n_estimators=TREES, random_state=RANDOM_STATE))
    model.fit(known[:, columns], outcome)
    return lambda others: np.asarray(model.predict(others[:, columns]), np.float64)


def _words(text: str) -> list[str]:
    return [word.strip(".,!?:;()\"'") or word for word in text.casefold().split()]


def _hour(timestamp: float) -> float:
    return timestamp / 3600.0 % 24.0
