"""The bodies of HTTP calls: what one bad character costs, and what it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import Request

from deployments.http.bodies import ANALYZE_BODY, COMPARE_BODY, OPTIMIZE_BODY, PREDICT_BODY, QUERY_BODY, JsonBody
from deployments.http.experiment_bodies import EVENT_BODY, POST_BODY
from deployments.http.problems import Problem

LONE = "\ud83d"
COUNTS = {"created_at": "2026-11-01T09:00:00Z", "likes": 1, "retweets": 0}


def body(tree: dict[str, Any] | bytes) -> Request:
    """A request with this body; text that is not ASCII is escaped."""
    raw = tree if isinstance(tree, bytes) else json.dumps(tree).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    return Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)


def history(*texts: str) -> dict[str, Any]:
    return {"text": "Our new shoes are here.", "history": [COUNTS | {"text": text} for text in texts]}


async def old_posts(*texts: str) -> list[str]:
    """The texts of a draft's history as they are read."""
    read, errors = await PREDICT_BODY.read_items(body({"drafts": [history(*texts)]}))
    assert errors == []
    return [post.text for post in read.drafts[0].history]


@pytest.mark.parametrize(
    ("reader", "tree", "field"),
    [
        (QUERY_BODY, {"query": f"x {LONE}"}, "query"),
        (OPTIMIZE_BODY, {"draft": f"{LONE} x"}, "draft"),
        (ANALYZE_BODY, {"texts": [f"x {LONE}"]}, "texts[0]"),
        (PREDICT_BODY, {"drafts": [{"text": "a", f"b{LONE}": 1}]}, "drafts[0].b\0"),
        (ANALYZE_BODY, {"texts": ["ok"], LONE: 1}, "\0"),
    ],
)
async def test_a_lone_surrogate_that_no_other_item_stands_beside_is_422_and_its_field_is_named(
    reader: JsonBody[Any], tree: dict[str, Any], field: str
) -> None:
    with pytest.raises(Problem) as refused:
        await reader.read_items(body(tree))
    assert refused.value.status == 422
    assert [error["field"] for error in refused.value.errors] == [field]


@pytest.mark.parametrize("raw", [b'{"texts": ["ok", "\\ud83d"', b'{"texts": ["\\ud83g"]}', b"\xed\xa0\xbd", b"\\ud83d"])
async def test_what_is_no_json_beside_its_surrogates_is_refused(raw: bytes) -> None:
    with pytest.raises(Problem, match="body"):
        await ANALYZE_BODY.read(body(raw))


@pytest.mark.parametrize(
    "bad",
    [
        rb"x \ud83d",
        rb"\uD83D x",
        rb"\ude00",
        rb"\ud83d\u0041",
        rb"\ud83dx",
        rb"\ud83d\ud83d\ude00",
        rb"\ude00\ud83d",
        rb"\\\ud83d",
        b"x \xed\xa0\xbd",
    ],
)
async def test_a_lone_surrogate_costs_its_own_text_and_no_other(bad: bytes) -> None:
    read, errors = await ANALYZE_BODY.read_items(body(b'{"texts": ["ok", "%s", "\\ud83d\\ude00 \\\\ud83d"]}' % bad))
    assert read.texts == ("ok", "😀 \\ud83d")
    assert [(error.index, error.field) for error in errors] == [(1, "texts[1]")]
    assert "a lone surrogate" in errors[0].message


@pytest.mark.parametrize(
    ("reader", "name", "good", "bad"),
    [
        (PREDICT_BODY, "drafts", {"text": "a"}, {"text": LONE}),
        (PREDICT_BODY, "drafts", {"text": "a"}, {"text": "a", "posted_at": LONE}),
        (COMPARE_BODY, "pairs", {"a": "a", "b": "b"}, {"a": "a", "b": LONE}),
        (
            EVENT_BODY,
            "events",
            {"event_id": "1", "unit": "u", "variant": "a", "type": "impression"},
            {"event_id": "2", "unit": LONE, "variant": "a", "type": "impression"},
        ),
        (
            POST_BODY,
            "posts",
            {"post_id": "1", "posted_at": "2026-11-01T09:00:00Z", "likes": 1, "retweets": 0},
            {"post_id": LONE, "posted_at": "2026-11-01T09:00:00Z", "likes": 1, "retweets": 0},
        ),
    ],
)
async def test_in_every_batch_a_lone_surrogate_costs_one_item(
    reader: JsonBody[Any], name: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    read, errors = await reader.read_items(body({name: [good, bad, good]}))
    assert len(getattr(read, name)) == 2
    assert [error.index for error in errors] == [1]


async def test_an_old_post_keeps_its_words_whatever_its_line_ends_and_control_characters() -> None:
    assert await old_posts("a\r\nb", "a\rb", "a\x0bb", "bell\a", f"half {LONE}pair", "esc \x1b[2J", "null \0") == [
        "a\nb",
        "a\nb",
        "ab",
        "bell",
        "half pair",
        "esc [2J",
        "null",
    ]


async def test_an_old_post_of_which_nothing_shows_is_left_out_alone() -> None:
    assert await old_posts("\a\0", "We are hiring.", "", LONE, " \u200b") == ["We are hiring."]


async def test_a_draft_of_two_lines_is_read_and_one_with_another_control_character_is_refused() -> None:
    read, errors = await PREDICT_BODY.read_items(body({"drafts": [{"text": "a\r\nb\rc"}, {"text": "a\x0bb"}]}))
    assert [draft.text for draft in read.drafts] == ["a\nb\nc"]
    assert [error.field for error in errors] == ["drafts[1].text"]


async def test_what_is_too_long_once_it_is_normalized_is_named_and_what_becomes_shorter_is_taken() -> None:
    with pytest.raises(Problem) as refused:
        await QUERY_BODY.read(body({"query": "\u0958" * 2_001}))
    assert refused.value.errors == [
        {"field": "query", "message": "4,002 characters once it is normalized (NFC), and 4,000 is the most"}
    ]
    assert len((await QUERY_BODY.read(body({"query": "\u0958" * 2_000}))).query) == 4_000


@pytest.mark.parametrize("told", [1.0, 0, None])
async def test_nobody_tells_that_a_draft_says_something(told: object) -> None:
    read, errors = await PREDICT_BODY.read_items(body({"drafts": [{"text": "a"}, {"text": "b", "substance": told}]}))
    assert [draft.text for draft in read.drafts] == ["a"]
    assert [(one.index, one.field, one.message) for one in errors] == [(1, "drafts[1].substance", "unknown field")]
    assert "substance" not in str(PREDICT_BODY.adapter.json_schema()["$defs"]["Draft"]["properties"])
