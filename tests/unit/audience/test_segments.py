"""Segments of made-up posts: planted topics are found again, noise gives none, and little is said of little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deployments.audience import compute
from pipelines.audience.clusters import find_clusters
from pipelines.audience.reception import behavior_of, outcome_percentiles, preferences_of
from pipelines.audience.segments import MIN_POSTS, RESERVED, Audience, interests_of, read_audience, usable_posts
from pipelines.audience.sensitive import is_sensitive
from pipelines.audience.terms import Terms, read_terms
from pipelines.outcomes.posts import StoredPost

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
TOPICS = {
    "coffee": "coffee espresso roast beans barista latte brew grinder crema arabica",
    "running": "marathon runner pace trail sprint miles sneakers jogging finish training",
    "music": "guitar chord melody concert album drummer rhythm vinyl bass studio",
}


def post(n: int, text: str | None, likes: int | None = 5, **fields: object) -> StoredPost:
    at = START + timedelta(hours=7 * n)
    usual: dict[str, object] = {
        "kind": "post",
        "source": "tweet_activity",
        "captured_at": at + timedelta(days=30),
        "retweets": None if likes is None else likes // 3,
        "replies": 1,
        "clicks": 2,
        "impressions": 1_000,
    }
    return StoredPost(post_id=str(n), posted_at=at, text=text, likes=likes, **(usual | fields))


def without_embedding(texts: Sequence[str]) -> np.ndarray:
    """Words alone: what an embedding adds is measured on the real one elsewhere."""
    return np.zeros((len(texts), 0))


def planted(n: int, seed: int = 0) -> tuple[list[StoredPost], list[str]]:
    """Posts of three topics: those on coffee are liked more, most of all with a link."""
    rng = np.random.default_rng(seed)
    posts, topics = [], []
    for place in range(n):
        topic = str(rng.choice(list(TOPICS)))
        words = rng.choice(TOPICS[topic].split(), 4, replace=False)
        link = bool(rng.random() < 0.5)
        text = f"The {words[0]} and {words[1]}, the {words[2]} and {words[3]}" + " https://example.com/a" * link
        rate = 30 + 40 * (topic == "coffee") + 60 * (topic == "coffee" and link)
        posts.append(post(place, text, int(rng.poisson(rate))))
        topics.append(topic)
    return posts, topics


@pytest.fixture(scope="module")
def found() -> Audience:
    return read_audience(planted(150)[0], read_terms, without_embedding)


@pytest.mark.parametrize("n", [0, 1, MIN_POSTS - 1])
def test_too_few_posts_are_said_and_not_divided(n: int) -> None:
    audience = read_audience(planted(n)[0], read_terms, without_embedding)

    assert (audience.supported, audience.segments, audience.n_posts, audience.n_other) == (False, (), n, n)
    assert str(n) in (audience.note or "")


def test_spanish_accounts_are_told_in_spanish() -> None:
    posts = [post(n, "Mañana abrimos la nueva tienda de zapatos en el centro de la ciudad") for n in range(3)]

    assert "publicaciones" in (read_audience(posts, read_terms, without_embedding).note or "")


def test_posts_without_text_or_counts_and_those_that_are_too_young_do_not_count() -> None:
    good = post(1, "hello")
    bad = [
        replace(good, text=None),
        replace(good, text=" \n"),
        replace(good, likes=None),
        replace(good, retweets=None),
        replace(good, kind="reply"),
        replace(good, kind="repost"),
        replace(good, captured_at=good.posted_at + timedelta(hours=23)),
    ]

    assert usable_posts([*bad, good]) == [good]


@pytest.mark.parametrize(
    "text", ["Good morning", "😀", "https://example.com/a", "https://t.co/x 😀", "日本語の投稿です", "?"]
)
def test_posts_that_are_all_alike_form_no_segment(text: str) -> None:
    audience = read_audience([post(n, text) for n in range(60)], read_terms, without_embedding)

    assert (audience.supported, audience.segments, audience.n_other) == (False, (), 60)


@pytest.mark.parametrize("seed", range(2))
def test_noise_gives_no_stable_segment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = [word for topic in TOPICS.values() for word in topic.split()]
    posts = [post(n, f"The {' and '.join(rng.choice(words, 5, replace=False))}") for n in range(120)]

    assert read_audience(posts, read_terms, without_embedding).segments == ()


@pytest.mark.parametrize("shape", ["round", "long", "flat"])
def test_a_cloud_without_clusters_gives_none_whatever_its_shape(shape: str) -> None:
    rng = np.random.default_rng(3)
    scale = {"round": np.ones(8), "long": np.array([9.0, *np.ones(7)]), "flat": np.array([3.0, 3.0, *np.full(6, 0.1)])}

    assert find_clusters(rng.normal(size=(300, 8)) * scale[shape]) is None


def test_points_that_are_all_the_same_form_no_cluster() -> None:
    assert find_clusters(np.ones((60, 5))) is None


def test_planted_topics_are_recovered_each_as_one_segment(found: Audience) -> None:
    posts, topics = planted(150)

    assert found.supported
    assert found.n_other == 0
    assert sorted(segment.n for segment in found.segments) == sorted(topics.count(topic) for topic in TOPICS)
    for segment in found.segments:
        (topic,) = {topic for topic, words in TOPICS.items() if segment.interests[0].keyword in words.split()}
        assert segment.n == topics.count(topic)
        assert segment.share == pytest.approx(segment.n / len(posts))
        assert {interest.keyword for interest in segment.interests} <= set(TOPICS[topic].split())
        assert segment.stability > 0.9


def test_the_encoder_beside_the_words_recovers_them_too() -> None:
    posts, topics = planted(120, seed=3)

    audience, _ = compute(posts, START, Path("models/encoder"))

    assert sorted(segment.n for segment in audience.segments) == sorted(topics.count(topic) for topic in TOPICS)


def test_the_same_posts_give_the_same_segments_in_whatever_order_they_come(found: Audience) -> None:
    assert read_audience(planted(150)[0][::-1], read_terms, without_embedding) == found


def test_what_was_planted_in_the_outcomes_is_told_with_its_interval(found: Audience) -> None:
    coffee, *others = sorted(found.segments, key=lambda segment: -segment.outcome.percentile)

    assert coffee.interests[0].keyword in TOPICS["coffee"].split()
    assert coffee.outcome.account < coffee.outcome.interval[0] < coffee.outcome.percentile < coffee.outcome.raw
    assert [preference.feature for preference in coffee.preferences] == ["link"]
    assert (coffee.preferences[0].interval or (0, 0))[0] > 0
    for segment in others:
        assert segment.outcome.raw < segment.outcome.percentile < segment.outcome.account
        assert segment.preferences == ()
        assert "link" in {preference.feature for preference in segment.without_evidence}


def test_what_posts_do_not_show_is_no_evidence(found: Audience) -> None:
    for segment in found.segments:
        rows = {row.feature: row for row in segment.without_evidence}
        assert rows["hashtag"].difference is None
        assert rows["hashtag"].known
        assert not rows["media"].known


def test_rates_are_per_impression_with_their_interval(found: Audience) -> None:
    for segment in found.segments:
        rows = {row.action: row for row in segment.behavior}
        assert rows["replies"].rate == pytest.approx(0.001)
        assert rows["likes"].interval is not None
        assert rows["likes"].interval[0] < (rows["likes"].rate or 0) < rows["likes"].interval[1]


def test_rates_are_unknown_without_impressions_and_an_action_that_nobody_counted_is_not_told() -> None:
    blind = [replace(one, impressions=None, clicks=None) for one in planted(20)[0]]

    rows = behavior_of(blind, np.ones(20, bool))

    assert [row.action for row in rows] == ["likes", "retweets", "replies"]
    assert {(row.rate, row.interval, row.account_rate) for row in rows} == {(None, None, None)}
    assert (rows[2].n, rows[2].mean) == (20, 1.0)


def test_names_can_stand_in_an_address_and_are_taken_once(found: Audience) -> None:
    names = [segment.name for segment in found.segments]

    assert len(set(names)) == 3
    assert all(name.replace("-", "").isalnum() and len(name) <= 60 for name in names)
    assert not RESERVED & set(names)


def test_no_format_pays_off_in_noise_more_often_than_promised() -> None:
    rng = np.random.default_rng(11)
    stated = 0
    for _ in range(300):
        known = {
            name: rng.random(60) < 0.4 for name in ("link", "question", "hashtag", "mention", "emoji", "media", "long")
        }
        stated += bool(preferences_of(known, rng.uniform(0, 100, 60), np.ones(60, bool))[0])

    assert stated <= 25  # 15 expected at 5 %, standard deviation 3.8


def test_an_account_that_grew_is_measured_against_its_own_time() -> None:
    growing = [10 * n for n in range(400)]

    achieved = outcome_percentiles(growing)

    assert np.abs(achieved[60:-60] - 50).max() < 1


@pytest.mark.parametrize(
    "word",
    [
        "health", "sexual_orientation", "politicalView", "POLITICS", "Religión", "enfermedades", "ethnicity", "race",
        "raza", "sexo", "HIV", "\uff48\uff45\uff41\uff4c\uff54\uff48", "diabetes", "embarazada", "voters",
        "sindicato", "user.religion", "deudas",
        "trade-union", "inmigrantes", "homosexual",
    ],
)  # fmt: skip
def test_what_is_never_inferred_is_known_in_both_languages(word: str) -> None:
    assert is_sensitive(word)


@pytest.mark.parametrize(
    "word",
    ["country", "healthy", "trace", "embrace", "essex", "engagement", "link", "share", "interval", "carrera", ""],
)
def test_words_that_only_look_like_it_are_none(word: str) -> None:
    assert not is_sensitive(word)


def test_what_is_never_inferred_is_no_interest_of_anybody() -> None:
    texts = ["Diabetes and coffee", "Diabetes and espresso", "Coffee with religion and diabetes", "A marathon"] * 3
    inside = np.array([True, True, True, False] * 3)

    keywords = {one.keyword for one in interests_of(read_terms(texts), inside)}

    assert keywords == {"coffee", "espresso"}


def test_a_segment_without_words_is_named_by_its_format() -> None:
    bare = Terms(tuple(frozenset[str]() for _ in range(90)), {}, ("en",) * 90)
    texts = ["So it is" if n % 3 else "Is it? https://example.com/a" for n in range(90)]

    audience = read_audience([post(n, text) for n, text in enumerate(texts)], lambda _: bare, without_embedding)

    assert [(one.name, one.marked_by) for one in audience.segments][1:] == [("link-question", ("link", "question"))]
