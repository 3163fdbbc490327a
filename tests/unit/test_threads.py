"""A long text becomes even, whole parts; a thread is read as one."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.editing.threads import is_thread, join_thread, read_thread, split_thread
from pipelines.text.tweets import entities, is_valid, weighted_length

SENTENCE = "We meet at No. 12 on Oct. 9 in Leeds, at 9 a.m. on Sept. 12 with free coffee. "
PIECES = st.lists(
    st.sampled_from(
        [
            "We met on Oct. 9.", "It costs 45 euros,", "more than ever!", "Read https://example.org/a?b=1", "@anna_b",
            "#tag", "👩‍🍳🎉", "“as it is said here”", "{event}", "Why?",
            "no", "\n", "\n\n", "x" * 60, "一二三四五六七八九十", "1/2",
            "(3/4)",
        ]
    ),
    min_size=1,
    max_size=90,
).map(" ".join)  # fmt: skip


def dense(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1/3 We went out. 2/3 We came home. 3/3 The end.", ["We went out.", "We came home.", "The end."]),
        ("1/5 a b\n2/5 c d\n3/5 e f", ["a b", "c d", "e f"]),
        ("1/ one\n\n2/ two\n\n3/ three", ["one", "two", "three"]),
        ("Hello all (1/2)\n\nand more (2/2)", ["Hello all", "and more"]),
        ("(1/2) Hello all\n(2/2) and more", ["Hello all", "and more"]),
        ("🧵 What we learned\n1. one\n2. two", ["🧵 What we learned", "one", "two"]),
        ("My thread:\n\n1/2 open 24/7\n\n2/2 two", ["My thread:\n\nopen 24/7", "two"]),
    ],
)
def test_a_thread_is_read_as_its_parts(text: str, parts: list[str]) -> None:
    assert is_thread(text)
    assert read_thread(text) == parts
    assert [part.rsplit("\n\n", 1)[0] for part in split_thread(text, "en")] == parts


@pytest.mark.parametrize(
    "text",
    [
        "Mix 1/2 cup of milk and 2/3 of flour",
        "Closed on 1/5 and 2/5",
        "Open 24/7",
        "1. one\n2. two",
        "It is 1/3 of what we had.",
        "",
        "🧵",
    ],
)
def test_fractions_dates_and_lists_are_no_thread(text: str) -> None:
    assert not is_thread(text)


def test_a_text_that_fits_stays_alone() -> None:
    assert split_thread("We are open.", "en") == ["We are open."]


def test_parts_are_even_and_end_with_sentences() -> None:
    parts = split_thread((SENTENCE * 4).strip(), "en")
    assert [part.rsplit("\n\n", 1)[1] for part in parts] == ["1/2", "2/2"]
    assert {part.rsplit("\n\n", 1)[0] for part in parts} == {(SENTENCE * 2).strip()}


def test_paragraphs_stay_whole_where_they_fit() -> None:
    first, second = "One thing we saw. " * 9, "Another thing we heard. " * 6
    parts = split_thread(f"{first}\n\n{second}", "en")
    assert parts == [f"{first.strip()}\n\n1/2", f"{second.strip()}\n\n2/2"]


def test_a_part_of_a_thread_that_is_too_long_is_cut_and_all_are_numbered_anew() -> None:
    parts = split_thread(f"1/2 {SENTENCE * 4}\n2/2 The end.", "en")
    assert len(parts) == 3
    assert parts[-1] == "The end.\n\n3/3"


def test_what_cannot_be_cut_is_said() -> None:
    with pytest.raises(ValueError, match="cannot be cut"):
        split_thread("@" + "a" * 20 + " is here with all of us today", "en", limit=15)


@settings(max_examples=150, deadline=None)
@given(PIECES | st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=900), st.sampled_from([60, 140, 280]))
def test_the_parts_are_valid_and_give_the_text_back(text: str, limit: int) -> None:
    try:
        parts = split_thread(text, "en", limit)
    except ValueError:
        return
    if len(parts) == 1 or is_thread(text):
        return
    assert all(weighted_length(part) <= limit for part in parts)
    assert all(
        is_valid(part) for part in parts if "\ufeff" not in text and "\ufffe" not in text and "\uffff" not in text
    )
    assert dense(join_thread(parts)) == dense(text)


@settings(max_examples=60, deadline=None)
@given(PIECES)
def test_no_link_handle_tag_or_emoji_is_torn(text: str) -> None:
    parts = split_thread(text, "en")
    if not is_thread(text):
        kept = [entity.text for part in parts for entity in entities(part)]
        assert kept == [entity.text for entity in entities(text.strip())]


@pytest.mark.parametrize("word", ["Oct.", "No.", "a.m.", "Sept.", "9", "12"])
def test_no_part_ends_within_a_date_or_at_an_abbreviation(word: str) -> None:
    for count in range(4, 12):
        for part in split_thread(SENTENCE * count, "en"):
            text = part.rsplit("\n\n", 1)[0]
            assert not text.endswith(f" {word}")


def test_a_text_of_4000_characters_is_cut_at_once() -> None:
    text = "".join(f"{SENTENCE} number {place}. " for place in range(200))[:4000]
    started = time.process_time()
    assert len(split_thread(text, "en")) > 10
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "#" + "a" * 300,
        "Look: #" + "日本" * 140 + " and more",
        "a" + "\u0323" * 900,
        "We shout z" + "\u0336\u0489" * 400 + " today",
        "👩" + "\u200d👩" * 300,
        "🧵 " + "#" + "ñ" * 600 + " https://example.org/" + "a" * 400,
    ],
)
def test_what_is_longer_than_a_post_is_cut_where_it_must_be(text: str) -> None:
    parts = split_thread(text, "en")
    assert len(parts) > 1
    assert all(is_valid(part) for part in parts)
    assert dense(join_thread(parts)) == dense(text)
