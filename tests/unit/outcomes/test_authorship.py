"""Which template wrote a post: by its text alone, and never one that was written later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.outcomes.authorship import Published, Written, authors, by_text
from pipelines.outcomes.matching import folded

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TEXT = "Our new running shoes are here. Lighter than an apple & faster: https://example.com/shoes"


def author_of(text: str, *candidates: Written) -> int | None:
    found = authors(by_text([Published("1", text, NOON)]), candidates)
    return found["1"].template_id if found else None


def written(text: str = TEXT, template_id: int = 7, before: timedelta = timedelta(hours=1)) -> Written:
    return Written(text, template_id, NOON - before)


@pytest.mark.parametrize(
    "text",
    [
        TEXT + " now",
        TEXT.replace("apple", "pear"),
        TEXT.replace(".", ","),
        "",
        "https://t.co/abc",
    ],
)
def test_another_text_has_another_author(text: str) -> None:
    assert author_of(text, written()) is None


@pytest.mark.parametrize("text", ["Good morning!", "https://t.co/abc https://t.co/abcd", "gm ☀️"])
def test_what_anybody_writes_has_no_author(text: str) -> None:
    assert author_of(text, written(text)) is None


def test_what_was_written_after_the_post_did_not_write_it() -> None:
    assert author_of(TEXT, written(before=timedelta(minutes=-2))) is None


def test_exports_tell_the_minute_alone() -> None:
    assert author_of(TEXT, written(before=timedelta(seconds=-50))) == 7


def test_of_several_that_wrote_it_the_latest_before_the_post_counts() -> None:
    candidates = [written(template_id=n, before=timedelta(hours=n)) for n in (3, 1, 2, -1)]

    assert author_of(TEXT, *candidates) == 1


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "Our new running shoes are here. Lighter than an apple &amp; faster: https://t.co/a1b2c3 https://t.co/photo",
        "OUR NEW running shoes are here.\nLighter than an apple & faster: ",
    ],
)
def test_what_x_and_its_exports_change_is_the_same_text(text: str) -> None:
    assert author_of(text, written()) == 7
    assert folded(text) == folded(TEXT)
