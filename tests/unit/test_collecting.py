"""What the collector asks of X, when and for how much, and what it reads from X's answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.outcomes import collecting
from pipelines.outcomes.collecting import CollectedPost, Prices, id_at, make_plan, read_answer, reading_of
from pipelines.outcomes.posts import moment_of_id
from tests.readme import ROOT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGES = (1, 6, 24, 168, 696)
OWNED, APP = Prices(timeline=1000, lookup=5000), Prices(timeline=5000, lookup=5000)


def post(age_h: float, read_h: float | None = None, seen_h: float = 0.0) -> CollectedPost:
    """A post of that age, read at one age, seen that long ago."""
    posted_at = NOW - timedelta(hours=age_h)
    read_at = posted_at + timedelta(hours=age_h if read_h is None else read_h)
    return CollectedPost(str(id_at(posted_at)), posted_at, read_at, NOW - timedelta(hours=seen_h))


def row(**fields: Any) -> dict[str, Any]:
    told = {
        "id": str(id_at(NOW - timedelta(hours=2))),
        "text": "We open on Monday &amp; you are invited &lt;3",
        "created_at": "2026-11-20T10:00:00.000Z",
        "public_metrics": {"like_count": 7, "retweet_count": 2, "impression_count": 900},
    }
    return {name: value for name, value in (told | fields).items() if value is not ...}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": ...}, "id is no id"),
        ({"id": True}, "id is no id"),
        ({"id": "12; DROP TABLE posts"}, "id is no id"),
        ({"id": "9" * 5000}, "id is no id"),
        ({"id": "٣٤"}, "id is no id"),
        ({"text": "zero \x00 byte"}, "text holds what no text can"),
        ({"text": "half \ud83d of a pair"}, "text holds what no text can"),
        ({"text": "x" * 30_000}, "text is longer than a post can be"),
        ({"text": ["a list"]}, "text is no text"),
        ({"public_metrics": ...}, "public_metrics are missing"),
        ({"public_metrics": {"like_count": -1}}, "like_count is no count"),
        ({"public_metrics": {"like_count": "many"}}, "like_count is no count"),
        ({"public_metrics": {"like_count": 2**63}}, "like_count is no count"),
        ({"non_public_metrics": {"engagements": True}}, "engagements is no count"),
        ({"organic_metrics": {"like_count": 1.5}}, "like_count is no count"),
        ({"created_at": "2031-01-01T00:00:00Z"}, "created_at is not when a post can be"),
        ({"created_at": "yesterday", "id": "20"}, "created_at is missing"),
    ],
)
def test_a_post_that_cannot_be_stored_costs_its_own_row_and_is_not_repeated_in_the_reason(
    fields: dict[str, Any], reason: str
) -> None:
    good = row(id=str(id_at(NOW - timedelta(hours=3))))
    answer = json.loads(json.dumps({"data": [row(**fields), good], "meta": {"result_count": 2}}))
    page = read_answer(answer, (), NOW)
    assert page.rejected == (reason,)
    assert [reading.post_id for reading in page.readings] == [good["id"]]
    assert page.returned == 2


@pytest.mark.parametrize(
    "answer", [None, [], "text", {"data": {}}, {"errors": 3}, {"meta": []}, {"meta": {"next_token": 7}}]
)
def test_an_answer_of_another_shape_is_refused_whole(answer: object) -> None:
    with pytest.raises(ValueError, match=r"object|shape|token"):
        read_answer(answer, (), NOW)


def test_an_id_may_be_a_number_and_the_time_may_be_missing() -> None:
    reading = reading_of(row(id=int(row()["id"]), created_at=...), NOW)
    assert reading.posted_at == moment_of_id(row()["id"])
    assert (reading.likes, reading.replies, reading.engagements) == (7, None, None)
    assert reading.text == "We open on Monday & you are invited <3"


def test_a_long_post_is_told_by_its_note_and_paid_counts_are_what_is_not_organic() -> None:
    told = row(
        note_tweet={"text": "x" * 3000},
        non_public_metrics={"url_link_clicks": 4, "user_profile_clicks": 0, "engagements": 12},
        organic_metrics={"impression_count": 600, "like_count": 7},
    )
    reading = reading_of(told, NOW)
    assert reading.text == "x" * 3000
    assert (reading.clicks, reading.profile_clicks, reading.engagements) == (4, 0, 12)
    assert (reading.impressions, reading.promoted) == (900, {"impressions": 300})


def test_gone_is_only_what_was_asked_for_and_not_found() -> None:
    def error(post_id: str, kind: str) -> dict[str, str]:
        return {"resource_id": post_id, "type": f"https://api.twitter.com/2/problems/{kind}"}

    errors = [
        error("1", "resource-not-found"),
        error("2", "not-authorized-for-resource"),
        error("3", "resource-not-found"),
        {"value": "4", "type": "https://api.x.com/2/problems/resource-not-found"},
        {},
        "no object",
    ]
    answer = {"data": [row(id="5")], "errors": [*errors, error("5", "resource-not-found")]}
    page = read_answer(answer, ["1", "2", "4", "5"], NOW)
    assert page.gone == ("1", "4")


def test_a_snapshot_is_due_once_at_each_age_and_missed_ones_are_named_not_repeated() -> None:
    cases = [
        (post(0.5, 0.0), None),
        (post(1.0, 0.1), (1, ())),
        (post(5.9, 1.1), None),
        (post(30.0, 2.0), (24, (6,))),
        (post(29 * 24, 0.0), (696, (1, 6, 24, 168))),
        (post(60 * 24, 696.0), None),
    ]
    for one, expected in cases:
        due = collecting.due_snapshots([one], AGES, NOW)
        assert [(snapshot.age_h, snapshot.missed) for snapshot in due] == ([expected] if expected else [])


def test_a_reading_is_late_when_its_age_is_another() -> None:
    (snapshot,) = collecting.due_snapshots([post(1.0, 0.0)], AGES, NOW)
    assert not collecting.is_late(snapshot, NOW + timedelta(minutes=20))
    assert collecting.is_late(snapshot, NOW + timedelta(minutes=21))
    (week,) = collecting.due_snapshots([post(170.0, 24.0)], AGES, NOW)
    assert not collecting.is_late(week, NOW)


def test_the_next_reading_is_that_of_the_youngest_age_to_come() -> None:
    assert collecting.next_due([], AGES) is None
    assert collecting.next_due([post(800, 700)], AGES) is None
    assert collecting.next_due([post(2, 1.5), post(800, 700)], AGES) == NOW + timedelta(hours=4)


def test_the_prices_are_those_of_the_dated_list() -> None:
    listed = collecting.price_list()
    usd = {name: microusd / 1_000_000 for name, microusd in listed["microusd"].items()}
    assert usd == {
        "post_read": 0.005,
        "owned_read": 0.001,
        "post_create": 0.015,
        "post_create_with_url": 0.200,
        "counts_recent": 0.005,
        "counts_all": 0.010,
        "trend_read": 0.010,
    }
    assert datetime.fromisoformat(listed["as_of"]) < NOW.replace(tzinfo=None)
    assert listed["source"].startswith("https://docs.x.com/")
    assert collecting.prices(owned=True) == OWNED
    assert collecting.prices(owned=False) == APP


def test_the_plan_takes_the_timeline_where_that_is_cheaper_and_look_ups_where_it_is_not() -> None:
    posts = [post(100 - hour, None) for hour in range(100)]
    newest = max(int(one.post_id) for one in posts)
    none = make_plan(posts, (), newest, OWNED, NOW)
    assert (none.since, none.wanted, none.cost) == (newest, (), 0)

    due = [post(1.0, 0.0), post(50.0, 0.0)]
    known = [one for one in posts if one.post_id not in {two.post_id for two in due}] + due
    snapshots = collecting.due_snapshots(due, AGES, NOW)
    owned = make_plan(known, snapshots, newest, OWNED, NOW)
    # The last one on the timeline, the one that 49 others stand before by its id.
    assert (owned.since, owned.cost) == (int(due[0].post_id) - 1, 6000)
    app = make_plan(known, snapshots, newest, APP, NOW)
    assert (app.since, app.cost) == (newest, 10_000)


def test_the_sight_of_all_posts_is_cheapest_on_the_timeline_of_the_owner() -> None:
    posts = [post(100 - hour, None, seen_h=22) for hour in range(100)]
    newest = max(int(one.post_id) for one in posts)
    plan = make_plan(posts, (), newest, OWNED, NOW)
    assert len(plan.wanted) == 100
    assert (plan.since, plan.cost) == (min(int(one.post_id) for one in posts) - 1, 100 * 1000)
    assert make_plan(posts, (), newest, APP, NOW).cost == 100 * 5000


def test_a_plan_is_never_dearer_than_look_ups_alone() -> None:
    for step in (1, 3, 7):
        posts = [post(hour, hour - 0.5 if hour % step else 0.0) for hour in range(1, 200)]
        due = collecting.due_snapshots(posts, AGES, NOW)
        plan = make_plan(posts, due, max(int(one.post_id) for one in posts), OWNED, NOW)
        assert plan.cost <= len(due) * OWNED.lookup


def test_the_timeline_is_read_from_the_oldest_span_on_and_a_span_has_one_kind_of_counts() -> None:
    since, border = id_at(NOW - timedelta(days=33)), id_at(NOW - collecting.PRIVATE_FOR)
    spans = collecting.timeline_spans(since, NOW, private=True)
    assert [span.since for span in spans] == [since, *[span.last for span in spans[:-1]]]
    assert (spans[-1].last, len(spans)) == (None, 8)
    for span in spans:
        assert span.private == (span.since >= border)
        end = span.last or id_at(NOW)
        assert end - span.since <= id_at(collecting.FIRST_SNOWFLAKE_AT + collecting.SPAN)
        assert span.private or end <= border
    assert not any(span.private for span in collecting.timeline_spans(since, NOW, private=False))
    late = id_at(NOW - timedelta(minutes=1))
    assert collecting.timeline_spans(late, NOW, private=True) == [collecting.Span(late, None, True)]


def test_the_estimate_of_a_month_holds_discovery_five_snapshots_and_the_daily_sight_of_all() -> None:
    posts = [post(24.0 * day + 1) for day in range(60)]
    days = timedelta(days=30) / collecting.SEEN_EVERY
    assert collecting.estimate_month(posts, AGES, APP, NOW) == 30 * 6 * 5000 + int(days * 60 * 5000)
    assert collecting.estimate_month(posts, AGES, OWNED, NOW) == 30 * 26_000 + int(days * 60 * 1000)
    assert collecting.estimate_month((), AGES, APP, NOW) == 0


def test_the_costs_that_the_documentation_names_are_those_of_the_estimate() -> None:
    posts = [post(36.0 * number + 12) for number in range(60)]
    usd = [collecting.estimate_month(posts, AGES, price, NOW) / 1_000_000 for price in (OWNED, APP)]
    page = " ".join((ROOT / "docs/outcomes.md").read_text(encoding="utf-8").split())
    named = f"USD {usd[0]:.2f} a month at most with `owned_reads`, {usd[1]:.2f} without"
    assert named in page


def test_ids_and_moments_turn_into_each_other() -> None:
    assert moment_of_id(str(id_at(NOW))) == NOW
    assert moment_of_id(str(collecting.last_id_of(NOW))) == NOW
    assert collecting.last_id_of(NOW) + 1 == id_at(NOW + timedelta(milliseconds=1))
    assert id_at(datetime(2006, 3, 21, tzinfo=UTC)) == 0
