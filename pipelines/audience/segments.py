"""Segments of an account's posts by topic and format, and how each was received.

A segment is a set of the account's own posts, found by what they say. Nothing is known about single readers, and
nothing about them is guessed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from pipelines.audience.clusters import Clusters, find_clusters
from pipelines.audience.reception import (
    FORMATS,
    Behavior,
    Bools,
    Floats,
    Format,
    Preference,
    Reception,
    behavior_of,
    outcome_of,
    outcome_percentiles,
    preferences_of,
    spread_within,
)
from pipelines.audience.sensitive import is_sensitive
from pipelines.audience.terms import Terms
from pipelines.outcomes.posts import StoredPost
from pipelines.records import Language
from pipelines.text.tweets import entities, weighted_length
from pipelines.viral_predictor.own_record import SETTLED

MIN_POSTS: Final = 50
MAX_POSTS: Final = 3_000
MAX_INTERESTS, MAX_NAME_TERMS, MAX_NAME_CHARACTERS = 10, 3, 60
# Of routes; no segment may be called so.
RESERVED: Final = frozenset({"best-times", "refresh", "trends", "other"})
ASKING: Final = str.maketrans("", "", "?!\u00bf\u00a1")
MEDIA: Final = ("pic.twitter.com/", "pic.x.com/")
# Beside embedding and words, whose squares sum to 2: a format tells posts apart, but makes no topic of its own.
FORMAT_WEIGHT: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Interest:
    """A word that tells the posts of a segment from the account's others; `weight` in [0, 1], the first has most."""

    keyword: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Posts that belong together; `stability` in [0, 1] is how surely they do so again in other samples.

    `marked_by` are formats that nearly all of its posts have and less than half of all do. `preferences` are formats
    whose interval excludes 0; of the `without_evidence` nothing can be said.
    """

    name: str
    n: int
    share: float
    stability: float
    outcome: Reception
    interests: tuple[Interest, ...]
    marked_by: tuple[Format, ...]
    behavior: tuple[Behavior, ...]
    preferences: tuple[Preference, ...]
    without_evidence: tuple[Preference, ...]


@dataclass(frozen=True, kw_only=True)
class Audience:
    """What was found in `n_posts`; `n_other` of them belong to no stable segment. Not `supported`: `note` says why."""

    supported: bool
    note: str | None
    n_posts: int
    n_other: int
    first_posted_at: datetime | None
    last_posted_at: datetime | None
    segments: tuple[Segment, ...]


def usable_posts(posts: Sequence[StoredPost]) -> list[StoredPost]:
    """Return the latest MAX_POSTS own posts with text whose engagement is known from 24 h on, oldest first."""
    usable = [
        post
        for post in posts
        if post.kind == "post"
        and post.text
        and post.text.strip()
        and post.engagement is not None
        and post.captured_at - post.posted_at >= SETTLED
    ]
    return sorted(usable, key=lambda post: (post.posted_at, post.post_id))[-MAX_POSTS:]


def read_audience(
    posts: Sequence[StoredPost],
    terms: Callable[[Sequence[str]], Terms],
    embed: Callable[[Sequence[str]], Floats],
    *,
    seed: int = 0,
) -> Audience:
    """Find the segments of an account's posts.

    `embed` returns (texts, dimensions) of unit length for texts without links, handles and emoji. The same posts and
    seed give the same answer.
    """
    usable = usable_posts(posts)
    texts = [post.text or "" for post in usable]
    read = terms(texts)
    language = _language(read.languages)
    if len(usable) < MIN_POSTS:
        return _nothing(usable, NOTES["few"][language].format(least=MIN_POSTS, n=len(usable)))
    found = [formats_of(text) for text in texts]
    formats: dict[Format, Bools] = {name: np.array([has[name] for has in found]) for name in FORMATS if name != "long"}
    words = [spoken(text) for text in texts]
    # Without links: who adds one writes no longer for it.
    lengths = np.array([weighted_length(text) for text in words], np.float64)
    known: dict[Format, Bools] = {**formats, "long": lengths > np.median(lengths)}
    blocks = (embed(words), topics_of(read.of_texts), format_block(known))
    clusters = find_clusters(np.hstack([block for block in blocks if block.size]), seed=seed)
    if clusters is None:
        return _nothing(usable, NOTES["unstable"][language])
    achieved = outcome_percentiles([post.engagement or 0 for post in usable])
    segments = _segments(usable, read, known, achieved, clusters)
    return Audience(
        supported=True,
        note=None,
        n_posts=len(usable),
        n_other=int((clusters.labels < 0).sum()),
        first_posted_at=usable[0].posted_at,
        last_posted_at=usable[-1].posted_at,
        segments=segments,
    )


def spoken(text: str) -> str:
    """Return a text without links, handles, emoji, and marks of questions and tags: what says what it is about."""
    parts, position = [], 0
    for mark in entities(text):
        parts += [text[position : mark.start], f" {mark.text[1:]} " if mark.label == "HASHTAG" else " "]
        position = mark.end
    return " ".join("".join([*parts, text[position:]]).translate(ASKING).split()) or text


def formats_of(text: str) -> dict[Format, bool]:
    """Tell which formats a post has; its length is told among others."""
    labels = {mark.label for mark in entities(text)}
    media = any(host in text for host in MEDIA)
    return {
        "link": "URL" in labels and not (media and text.count("http") == 0),
        "question": "?" in text,
        "hashtag": "HASHTAG" in labels,
        "mention": "MENTION" in labels,
        "emoji": "EMOJI" in labels,
        "media": media,
    }


def topics_of(of_texts: Sequence[frozenset[str]]) -> Floats:
    """Return the words of texts in few dimensions, (texts, at most 15): latent semantic analysis of tf-idf.

    Deerwester et al. 1990, Indexing by Latent Semantic Analysis, JASIS 41(6). A word counts from 4 texts and 2 % of
    them on. The length of m known words is m / (m + 2): texts that share but one word are no topic.
    """
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415  # a second to import
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

    counts = Counter(term for terms in of_texts for term in terms)
    vocabulary = sorted(term for term, n in counts.items() if n >= max(4, len(of_texts) // 50))
    if len(vocabulary) < 3:
        return np.zeros((len(of_texts), 0))
    vectors = TfidfVectorizer(analyzer=sorted, vocabulary=vocabulary).fit_transform(of_texts)
    size = min(15, len(vocabulary) - 1)
    reduced = TruncatedSVD(size, random_state=0).fit_transform(vectors)
    lengths = np.linalg.norm(reduced, axis=1, keepdims=True)
    known = np.diff(vectors.indptr)[:, None]
    scaled: Floats = np.where(lengths > 1e-9, reduced / np.maximum(lengths, 1e-9), 0.0) * (known / (known + 2))
    return scaled


def format_block(known: dict[Format, Bools]) -> Floats:
    """Return formats (texts, formats), each with a standard deviation of at most FORMAT_WEIGHT."""
    columns = np.column_stack([known[name] for name in FORMATS]).astype(np.float64)
    block: Floats = (columns - columns.mean(axis=0)) * (2 * FORMAT_WEIGHT)
    return block


def _segments(
    posts: Sequence[StoredPost],
    read: Terms,
    known: dict[Format, Bools],
    achieved: Floats,
    clusters: Clusters,
) -> tuple[Segment, ...]:
    names: set[str] = set(RESERVED)
    within = spread_within(achieved, clusters.labels)
    segments = []
    for place, stability in enumerate(clusters.stability):
        inside = clusters.labels == place
        interests = interests_of(read, inside)
        marks = tuple(name for name in FORMATS if known[name][inside].mean() >= 0.8 and known[name].mean() < 0.5)
        stated, open_ = preferences_of(known, achieved, inside)
        segments.append(
            Segment(
                name=_name([one.keyword for one in interests] or marks, names),
                n=int(inside.sum()),
                share=float(inside.mean()),
                stability=stability,
                outcome=outcome_of(achieved[inside], float(achieved.mean()), within),
                interests=interests,
                marked_by=marks,
                behavior=behavior_of(posts, inside),
                preferences=stated,
                without_evidence=open_,
            )
        )
    return tuple(sorted(segments, key=lambda segment: (-segment.n, segment.name)))


def interests_of(read: Terms, inside: Bools) -> tuple[Interest, ...]:
    """Return the words that tell a segment's texts from the others, heaviest first.

    Class tf-idf (Grootendorst 2022, arXiv:2203.05794, eq 2): the share of a segment's texts with the word, times the
    logarithm of one plus how much more frequent it is there than among all. A word of one text says nothing, and what
    X forbids to infer of readers is left out.
    """
    own = Counter(term for terms, chosen in zip(read.of_texts, inside, strict=True) if chosen for term in terms)
    everywhere = Counter(term for terms in read.of_texts for term in terms)
    n, total = max(int(inside.sum()), 1), len(read.of_texts)
    weights = {
        term: count / n * math.log1p(lift)
        for term, count in own.items()
        if count > 1 and (lift := (count / n) / (everywhere[term] / total)) > 1 and not is_sensitive(read.written[term])
    }
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:MAX_INTERESTS]
    most = ranked[0][1] if ranked else 1.0
    return tuple(Interest(keyword=read.written[term], weight=round(weight / most, 4)) for term, weight in ranked)


def _name(keywords: Sequence[str], taken: set[str]) -> str:
    """Return a name of a segment that can stand in an address, and take it."""
    words = ["".join(sign for sign in keyword if sign.isalnum()) for keyword in keywords[:MAX_NAME_TERMS]]
    name = "-".join(word for word in words if word)[:MAX_NAME_CHARACTERS].strip("-") or "segment"
    # Words that are harmless may name something else side by side.
    name = "segment" if is_sensitive(name) else name
    tried, n = name, 1
    while tried in taken:
        n += 1
        tried = f"{name}-{n}"
    taken.add(tried)
    return tried


def _language(languages: Sequence[str]) -> Language:
    """The language that most posts are in, of those that notes are written in."""
    return "es" if languages.count("es") > languages.count("en") else "en"


def _nothing(posts: Sequence[StoredPost], note: str) -> Audience:
    return Audience(
        supported=False,
        note=note,
        n_posts=len(posts),
        n_other=len(posts),
        first_posted_at=posts[0].posted_at if posts else None,
        last_posted_at=posts[-1].posted_at if posts else None,
        segments=(),
    )


NOTES: Final[dict[str, dict[Language, str]]] = {
    "few": {
        "en": "Segments need {least} posts of your own that were read for a day or longer; there are {n}.",
        "es": "Los segmentos necesitan {least} publicaciones propias con al menos un día de vida; hay {n}.",
    },
    "unstable": {
        "en": "The posts form no groups that would be found again: they are alike, or each is about something else.",
        "es": "Las publicaciones no forman grupos que se repitan: se parecen, o cada una trata de otra cosa.",
    },
}
