"""Characters, length and entities as X sees them."""

from __future__ import annotations

import time
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.tweets import clean_text, entities, fitting_length, is_valid, shown_text, weighted_length

CONFORMANCE = Path(__file__).parents[3] / "shared" / "data" / "conformance"
SECTIONS = {
    "urls": "URL",
    "urls_with_directional_markers": "URL",
    "hashtags": "HASHTAG",
    "hashtags_from_astral": "HASHTAG",
    "cashtags": "CASHTAG",
    "mentions": "MENTION",
}


def conformance_cases(file: str, section: str) -> list[dict[str, Any]]:
    path = CONFORMANCE / file
    if not path.exists():
        pytest.skip(f"twitter-text conformance cases are not at {path}")
    cases: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["tests"][section]
    return cases


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b\u200b", "\u2060 \u00ad"])
def test_a_blank_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        clean_text(text)
    assert not is_valid(text)


@pytest.mark.parametrize("text", ["bell \a", "null \0", "lone \ud800"])
def test_a_control_character_or_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        clean_text(text)


@pytest.mark.parametrize("character", ["\ufffe", "\ufeff", "\uffff"])
def test_a_forbidden_character_makes_a_text_invalid(character: str) -> None:
    assert not is_valid("a" + character)


def test_a_text_is_valid_up_to_280_and_not_beyond() -> None:
    assert is_valid("a" * 280)
    assert not is_valid("a" * 281)
    assert not is_valid("語" * 141)


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n", "\x85", "\u2028", "\u2029"])
def test_line_ends_and_composition_are_normalized(end: str) -> None:
    assert clean_text(f" cafe\u0301{end}{end}now{end}") == "café\n\nnow"
    assert shown_text(f"{end}a{end}b\a") == "a\nb"
    assert weighted_length("cafe\u0301") == 4


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("https://example.com/" + "a" * 280, 23),
        ("read https://example.com/a_(b)?c=d now", 5 + 23 + 4),
        ("example.com", 23),
        ("example.notatld", 15),
        ("niño.jp", 23),
        ("It is here.Really", 17),
        ("ana.gov@example.com", 19),
        ("http://" + "a" * 64 + ".com", 75),
        ("👨‍👩‍👧‍👦", 2),
        ("👍🏿", 2),
        ("👩🏽‍❤️‍💋‍👨🏿", 2),
        ("❤️", 2),
        ("❤\ufe0e", 4),
        ("1️⃣", 2),
        ("🇪🇸", 2),
        ("🫩🫆🪾", 6),
        ("©", 1),
        ("©️", 2),
        ("1 # *", 5),
        ("“quoted” \u2013 yes…", 16),
        ("日本語", 6),
    ],
)
def test_length_is_counted_as_x_counts_it(text: str, length: int) -> None:
    assert weighted_length(text) == length


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("Visit example.com.", "example.com"),
        ("Hi https://acme.org. Bye", "https://acme.org"),
        ("(see acme.net.)", "acme.net"),
        ("He said “see acme.net.”", "acme.net"),
        ("acme.co.uk...", "acme.co.uk"),
        ("acme.co.uk\u2026", "acme.co.uk"),
        ("http://www.acme.io.\n", "http://www.acme.io"),
        ("https://münster.de. Servus", "https://münster.de"),
        ("Besuch bücher.example.de.", "bücher.example.de"),
        ("https://例え.jp. また", "https://例え.jp"),
        ("https://почта.рф.", "https://почта.рф"),
        ("http://xn--mnster-3ya.de.", "http://xn--mnster-3ya.de"),
        ("acme.com..bye", "acme.com"),
        ("acme.org?x=1", "acme.org"),
        ("acme.com:80.", "acme.com"),
        ("acme.com:80/a. Bye", "acme.com:80/a"),
    ],
)
def test_a_full_stop_behind_a_host_ends_the_sentence_and_not_the_link(text: str, link: str) -> None:
    assert [entity.text for entity in entities(text)] == [link]
    assert weighted_length(text) == weighted_length(text.replace(link, "")) + 23


@pytest.mark.parametrize("text", ["-niño.mx.", "_münster.de", "a.", "e.g. this.", "почта.рф", "acme.notatld."])
def test_what_only_looks_like_a_host_is_no_link(text: str) -> None:
    assert entities(text) == ()


def test_a_link_at_the_end_of_a_sentence_counts_23_and_can_make_a_text_too_long() -> None:
    assert weighted_length("c" * 256 + " https://acme.dev.") == 281
    assert not is_valid("c" * 256 + " https://acme.dev.")
    assert is_valid("c" * 255 + " https://acme.dev.")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#a1 #1 x#no &#no #y!", ["HASHTAG #a1", "HASHTAG #y"]),
        ("@ana, ana@example.com .@eva", ["MENTION @ana", "MENTION @eva"]),
        ("$TSLA up, $5 down, US$", ["CASHTAG $TSLA"]),
        ("see https://example.com/#tag.", ["URL https://example.com/#tag"]),
        ("go 👩‍🚀 go 🎉🎉", ["EMOJI 👩‍🚀", "EMOJI 🎉", "EMOJI 🎉"]),
        ("¡Mañana! #niño", ["HASHTAG #niño"]),
        ("plain words. Two sentences.", []),
    ],
)
def test_entities_are_what_x_would_link_and_nothing_else(text: str, found: list[str]) -> None:
    assert [f"{entity.label} {entity.text}" for entity in entities(text)] == found


def test_offsets_count_code_points_of_the_normalized_text() -> None:
    text = "cafe\u0301 👨‍👩‍👧‍👦 #día https://example.com"
    normalized = unicodedata.normalize("NFC", text)
    assert [normalized[entity.start : entity.end] for entity in entities(text)] == [
        "👨‍👩‍👧‍👦",
        "#día",
        "https://example.com",
    ]


def test_a_cut_never_splits_an_emoji_or_a_link() -> None:
    assert fitting_length("ab👨‍👩‍👧‍👦c", 3) == 2
    assert fitting_length("ab👨‍👩‍👧‍👦c", 4) == len("ab👨‍👩‍👧‍👦")
    assert fitting_length("see https://example.com/a now", 26) == 4
    assert fitting_length("see https://example.com/a now", 27) == len("see https://example.com/a")
    assert fitting_length("", 5) == 0


@given(st.text(max_size=60))
def test_any_text_is_measured_and_its_fitting_part_fits(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    assert (fitting_length(text) == len(text)) == (weighted_length(text) <= 280)
    spans = [(entity.start, entity.end) for entity in entities(text)]
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert all(entity.text == text[entity.start : entity.end] for entity in entities(text))


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="."), max_size=300))
def test_plain_ascii_counts_one_each(text: str) -> None:
    assert weighted_length(text) == len(text)


@pytest.mark.parametrize(
    "text",
    ["a." * 2000, "語" * 3999 + ".", "http://" + "語." * 1990, "a.com/" + "(a" * 1990, "a-" * 1990 + ".x", "#" * 4000],
)
def test_no_text_of_4000_characters_takes_long(text: str) -> None:
    started = time.process_time()
    weighted_length(text)
    entities(text)
    assert time.process_time() - started < 0.25


def test_lengths_agree_with_twitter_text() -> None:
    cases = conformance_cases("validate.yml", "WeightedTweetsWithDiscountedEmojiCounterTest")
    assert len(cases) == 22
    for case in cases:
        expected = case["expected"]
        assert weighted_length(case["text"]) == expected["weightedLength"], case["description"]
        assert is_valid(case["text"]) == expected["valid"], case["description"]


@pytest.mark.parametrize("section", SECTIONS)
def test_entities_agree_with_twitter_text(section: str) -> None:
    for case in conformance_cases("extract.yml", section):
        label = SECTIONS[section]
        found = [entity.text for entity in entities(case["text"]) if entity.label == label]
        expected = [item["url"] if isinstance(item, dict) else item for item in case["expected"]]
        assert [text if label == "URL" else text[1:] for text in found] == expected, case["description"]
