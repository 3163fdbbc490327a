"""Tags on links: nothing of what was there is lost, and X counts the same length."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.outcomes.links import tag_links
from pipelines.text.tweets import weighted_length

TAGS = "utm_source=x&utm_medium=social&utm_campaign=launch&utm_content=v1"


def tagged(text: str, **fields: object) -> str:
    return tag_links(text, **({"campaign": "launch", "content": "v1"} | fields)).text


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("https://t.co/abc", "shortened"),
        ("https://bit.ly/abc?x=1", "shortened"),
        ("https://example.com/?utm_source=mail", "has_tags"),
        ("https://example.com/?a=1&UTM_Campaign=x#top", "has_tags"),
        ("https://example.com/?utm%5Fsource=mail", "has_tags"),
    ],
)
def test_a_link_that_tags_would_harm_is_left_alone_and_says_why(link: str, reason: str) -> None:
    result = tag_links(f"Look: {link} !", campaign="launch", content="v1")

    assert result.text == f"Look: {link} !"
    assert [(one.link, one.tagged, one.reason) for one in result.links] == [(link, None, reason)]


@pytest.mark.parametrize("text", ["no link at all", "me@example.com writes", "😀", "1.5 is no link"])
def test_a_text_without_links_stays(text: str) -> None:
    result = tag_links(text, campaign="launch", content="v1")

    assert (result.text, result.links) == (text, ())


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://example.com", f"https://example.com?{TAGS}"),
        ("https://example.com/", f"https://example.com/?{TAGS}"),
        ("https://example.com/a?b=1&c=%20x+y&&d", f"https://example.com/a?b=1&c=%20x+y&&d&{TAGS}"),
        ("https://example.com/a#part", f"https://example.com/a?{TAGS}#part"),
        ("https://example.com/a?b=1#/route", f"https://example.com/a?b=1&{TAGS}#/route"),
        ("example.com/a", f"example.com/a?{TAGS}"),
        ("example.com", f"example.com/?{TAGS}"),
        ("HTTPS://Example.COM/A", f"HTTPS://Example.COM/A?{TAGS}"),
        ("https://münchen.de/straße", f"https://münchen.de/straße?{TAGS}"),
    ],
)
def test_query_and_fragment_stay_as_they_are(link: str, expected: str) -> None:
    assert tagged(f"Look: {link} now") == f"Look: {expected} now"


def test_tags_of_its_own_are_replaced_where_that_is_wanted_and_the_rest_stays() -> None:
    link = "https://example.com/?utm_source=mail&id=7&utm_term=x"

    assert tagged(link, replace=True) == f"https://example.com/?id=7&{TAGS}"


def test_tagging_twice_changes_nothing() -> None:
    once = tagged("https://example.com/a and https://example.com/b")

    assert tagged(once) == once
    assert tagged(once, replace=True) == once


@pytest.mark.parametrize("content", ["a b&c=d#e?f", "ends.", "ends~", "ñandú", "x" * 255, "id:bold", "🚀", "%41"])
def test_any_content_is_escaped_and_the_link_still_counts_as_one(content: str) -> None:
    text = "Two: https://example.com/a?x=1 (and www.example.org). 🚀 #now"

    result = tag_links(text, campaign="launch", content=content)

    assert weighted_length(result.text) == weighted_length(text) == result.weighted_length
    assert [one.reason for one in result.links] == [None, None]
    assert result.text.endswith("). 🚀 #now")
    for one in result.links:
        assert parse_qs(urlsplit(one.tagged or "").query)["utm_content"] == [content]


def test_a_link_that_x_would_read_otherwise_is_left_alone() -> None:
    long = f"https://example.com/{'a' * 4000}"

    result = tag_links(f"{long} https://example.com/b", campaign="c" * 100, content="v1")

    assert [one.reason for one in result.links] == ["would_break", None]
    assert weighted_length(result.text) == 23 + 1 + 23
