"""Stored posts as the history of a draft, and each as the draft that it was."""

from datetime import UTC, datetime, timedelta

from pipelines.outcomes.history import as_drafts, history_of
from pipelines.outcomes.posts import StoredPost

START = datetime(2026, 1, 1, tzinfo=UTC)
READ = START + timedelta(days=400)


def stored(number: int, **fields: object) -> StoredPost:
    usual = {
        "post_id": str(number),
        "posted_at": START + timedelta(days=number),
        "text": f"post {number}",
        "kind": "post",
        "source": "content",
        "captured_at": READ,
        "likes": number,
        "retweets": 0,
    }
    return StoredPost(**usual | fields)


NEWEST_FIRST = [stored(number) for number in range(150, -1, -1)]


def test_a_post_whose_counts_are_unknown_or_had_no_day_to_grow_teaches_nothing() -> None:
    young = stored(3, captured_at=START + timedelta(days=3, hours=23))

    assert history_of([stored(1, likes=None), stored(2, text=None), young]) == ()


def test_the_history_is_the_last_hundred_oldest_first() -> None:
    assert [post.likes for post in history_of(NEWEST_FIRST)] == list(range(51, 151))


def test_a_backtest_sees_no_post_that_came_later_nor_the_post_itself() -> None:
    drafts = as_drafts(NEWEST_FIRST, 120)

    assert [post.post_id for post, _ in drafts] == [str(number) for number in range(150, 30, -1)]
    for post, draft in drafts:
        before = [other.created_at for other in draft.own_posts]
        assert draft.text == post.text
        assert before == sorted(before)
        assert all(moment < post.posted_at for moment in before)
        assert len(before) == min(int(post.post_id), 100)
