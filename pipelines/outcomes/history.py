"""An account's stored posts as the history that its drafts are scored against; and each as a draft that was scored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from pipelines.outcomes.posts import StoredPost
from pipelines.records import MAX_HISTORY_POSTS, MAX_TEXT_CHARACTERS, Draft, Post
from pipelines.text.tweets import shown_text
from pipelines.viral_predictor.own_record import SETTLED


def history_of(posts: Sequence[StoredPost]) -> tuple[Post, ...]:
    """Return the last 100 usable of posts that come the newest first, oldest first."""
    usable = (post for stored in posts if (post := as_post(stored)))
    return tuple(reversed(list(islice(usable, MAX_HISTORY_POSTS))))


def as_post(stored: StoredPost) -> Post | None:
    """Return a post whose text shows something and whose counts had a day to grow; None for others."""
    if stored.likes is None or stored.retweets is None or stored.captured_at - stored.posted_at < SETTLED:
        return None
    text = shown_text((stored.text or "")[:MAX_TEXT_CHARACTERS])
    if not text:
        return None
    return Post(
        text=text,
        created_at=stored.posted_at,
        likes=stored.likes,
        retweets=stored.retweets,
        replies=stored.replies,
        impressions=stored.impressions,
    )


def as_drafts(posts: Sequence[StoredPost], limit: int) -> list[tuple[StoredPost, Draft]]:
    """Return the newest usable posts, each as the draft that it was: scored against the posts before it alone.

    The counts of those are the latest that are known; at the time some were younger.
    """
    usable = [(stored, post) for stored in posts if (post := as_post(stored))]
    found = []
    for place, (stored, post) in enumerate(usable[:limit]):
        before = tuple(other for _, other in reversed(usable[place + 1 : place + 1 + MAX_HISTORY_POSTS]))
        found.append((stored, Draft(text=post.text, posted_at=post.created_at, history=before)))
    return found
