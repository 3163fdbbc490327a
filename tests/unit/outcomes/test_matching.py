"""Which post came of which prediction: by text and time, each once; and how it did among the account's own posts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.outcomes.matching import FEWEST_POSTS, StoredPrediction, folded, matched
from pipelines.outcomes.posts import StoredPost

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TEXT = (
    "We open the new bakery on Friday at nine, with free rolls for the first fifty guests: https://bakery.example/open"
)
EDITED = "We open our new bakery on Friday at nine, with free rolls for the first fifty guests!"


def post(text: str | None = TEXT, at: datetime = NOON, **fields: Any) -> StoredPost:
    usual = {"post_id": f"{at.timestamp()}", "kind": "post", "source": "content", "likes": 7, "retweets": 1}
    return StoredPost(**usual | {"posted_at": at, "text": text, "captured_at": at + 7 * DAY} | fields)


def said(text: str = TEXT, at: datetime = NOON - HOUR, score: float = 60.0, **fields: Any) -> StoredPrediction:
    usual = {
        "version": "1",
        "p_beats_median": 0.6,
        "low": 20.0,
        "high": 90.0,
        "model_score": score,
        "model_chance": 0.6,
    }
    return StoredPrediction(**usual | {"text": text, "at": at, "viral_score": score} | fields)


def before(n: int = 20, likes: int = 5) -> list[StoredPost]:
    """Earlier posts with 1 to n likes, or each with as many; two days between the last and NOON."""
    return [
        post(f"{number}", NOON - (number + 2) * DAY, likes=likes or number, retweets=0) for number in range(1, n + 1)
    ]


@pytest.mark.parametrize(
    "later",
    [
        post("Another matter altogether, with not one word of what was asked about"),
        post(None),
        post("https://t.co/abcdefghij"),
        post(at=NOON - 2 * HOUR),
        post(at=NOON + 31 * DAY),
        post(likes=None),
        post(captured_at=NOON + 23 * HOUR),
        post("bakery on Friday"),
    ],
)
def test_what_has_another_text_another_time_or_no_settled_outcome_matches_nothing(later: StoredPost) -> None:
    assert matched([*before(), later], [said()]) == []


def test_a_post_with_too_few_before_it_has_no_outcome() -> None:
    assert matched([*before(FEWEST_POSTS - 1), post()], [said()]) == []
    assert len(matched([*before(FEWEST_POSTS), post()], [said()])) == 1


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace("https://bakery.example/open", "https://t.co/abcdefghij https://t.co/picture"),
        f"  {TEXT.upper().replace(' ', chr(10), 3)} ",
    ],
)
def test_links_case_and_white_space_do_not_hide_a_text(text: str) -> None:
    (match,) = matched([*before(), post(text)], [said()])
    assert match.similarity == 1.0


def test_escaped_signs_composed_letters_and_styled_ones_are_the_letters_that_they_show() -> None:
    assert folded("Caf\u00e9 &amp; pan &gt; t\u00e9") == folded("Cafe\u0301 & pan > t\u00e9")
    assert folded("It\u2019s \U0001d41b\U0001d428\U0001d425\U0001d41d") == folded("it's bold")


def test_an_edited_text_matches_with_its_similarity_and_never_as_the_same() -> None:
    (match,) = matched([*before(), post(EDITED)], [said()])
    assert 0.7 <= match.similarity < 1.0
    (shuffled,) = matched([*before(), post(" ".join(reversed(TEXT.split())))], [said()])
    assert shuffled.similarity == 0.999


def test_the_same_text_goes_before_an_edited_one_and_each_text_counts_once() -> None:
    edited, same, again = post(EDITED), post(at=NOON + HOUR), post(at=NOON + DAY)
    found = matched([*before(), again, same, edited], [said()])
    assert [(match.post, match.similarity) for match in found] == [(same, 1.0)]


def test_the_last_prediction_before_the_post_counts() -> None:
    predictions = [said(at=NOON + HOUR, score=3.0), said(at=NOON - HOUR, score=2.0), said(at=NOON - DAY, score=1.0)]
    (match,) = matched([*before(), post()], predictions)
    assert match.prediction.viral_score == 2.0


def test_a_repeated_post_is_no_edited_version_of_another_prediction() -> None:
    found = matched([*before(), post(), post(at=NOON + HOUR)], [said(), said(EDITED)])
    assert [(match.post.posted_at, match.prediction.text) for match in found] == [(NOON, TEXT)]


def test_of_two_similar_texts_the_more_similar_one_is_taken() -> None:
    farther = EDITED.replace("fifty", "ten").replace("nine", "eight")
    (match,) = matched([*before(), post(EDITED.replace("!", " today!"))], [said(farther), said(EDITED)])
    assert match.prediction.text == EDITED


@pytest.mark.parametrize(
    ("likes", "outcome", "beats"), [(0, 0.0, False), (10, 47.5, False), (11, 52.5, True), (99, 100.0, True)]
)
def test_an_outcome_is_the_percentile_among_the_posts_before_it(likes: int, outcome: float, beats: bool) -> None:
    later = [post(f"later {number}", NOON + number * DAY, likes=10**6) for number in range(1, 30)]
    (match,) = matched([*later, *before(likes=0), post(likes=likes, retweets=0)], [said()])
    assert (match.outcome, match.beats) == (outcome, beats)


def test_posts_of_the_last_day_and_all_but_the_last_hundred_are_not_measured_against() -> None:
    old = [post(f"old {number}", NOON - (200 + number) * DAY, likes=10**6) for number in range(50)]
    fresh = [post(f"fresh {number}", NOON - number * HOUR, likes=10**6) for number in range(1, 20)]
    (match,) = matched([*old, *before(100), *fresh, post(likes=6, retweets=0)], [said()])
    assert match.outcome == 100.0
