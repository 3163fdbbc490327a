"""Which template wrote a post: the one whose candidate has the same text, when it was written before the post."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.outcomes.matching import folded

# Shorter texts are written by many.
LEAST_CHARACTERS = 20
# Exports tell the minute of a post.
PRECISION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Written:
    """A candidate's text, the template that wrote it, and when."""

    text: str
    template_id: int
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """A post of the account's own."""

    post_id: str
    text: str
    posted_at: datetime


def by_text(posts: Iterable[Published]) -> dict[str, list[Published]]:
    """Return posts by folded text; those too short to tell who wrote them are left out."""
    found: dict[str, list[Published]] = {}
    for post in posts:
        if len(key := folded(post.text)) >= LEAST_CHARACTERS:
            found.setdefault(key, []).append(post)
    return found


def authors(posts: Mapping[str, Sequence[Published]], candidates: Iterable[Written]) -> dict[str, Written]:
    """Return post id -> the latest candidate of the same folded text that was written before the post."""
    found: dict[str, Written] = {}
    for candidate in candidates:
        for post in posts.get(folded(candidate.text), ()):
            known = found.get(post.post_id)
            in_time = candidate.written_at < post.posted_at + PRECISION
            if in_time and (known is None or candidate.written_at > known.written_at):
                found[post.post_id] = candidate
    return found
