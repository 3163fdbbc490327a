"""X's public rules: what breaks one is named with its place, and ordinary texts are left in peace."""

# ruff: noqa: RUF001  # styled letters are what is read here
from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.generator.templates import realise
from pipelines.policy import PATH, Policy, lint, load_rules
from pipelines.records import Brief, Language, Objective, Post, Severity
from pipelines.text.tweets import Entity

CASES: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "policy_cases.json").read_text(encoding="utf-8")
)
SPANISH_LETTERS = "áéíóúñü¿¡"


def posts(*texts: str) -> list[Post]:
    return [Post(text=text, created_at=datetime(2026, 1, 1, tzinfo=UTC), likes=1, retweets=0) for text in texts]


def broken(text: str, *history: str, language: str | None = None) -> dict[str, str]:
    return {
        found.rule: text[found.start : found.end] for found in lint(text, history=posts(*history), language=language)
    }


@pytest.mark.parametrize("actions", [{"shouting": "warn"}, {"giveaway": "forbid"}, {"giveaway": None}, {"": "off"}])
def test_an_unknown_rule_or_action_is_refused_with_the_known_ones(actions: Any) -> None:
    with pytest.raises(ValueError, match=r"known are (duplicate_post, mass_mentions|warn, block, off)"):
        Policy(actions)


@pytest.mark.parametrize("case", CASES["violations"], ids=lambda case: case["text"][:40])
def test_a_broken_rule_is_named_with_the_part_that_breaks_it(case: dict[str, Any]) -> None:
    assert broken(case["text"], *case.get("history", ())) == case["broken"]


@pytest.mark.parametrize("case", CASES["clean"], ids=lambda case: case["text"][:40])
def test_an_ordinary_text_breaks_no_rule(case: dict[str, Any]) -> None:
    assert broken(case["text"], *case.get("history", ())) == {}


@pytest.mark.parametrize("style", [0x1D5EE - ord("a"), 0x1D41A - ord("a"), 0xFF41 - ord("a"), 0x24D0 - ord("a")])
@pytest.mark.parametrize("text", ["rt to win a phone", "follow me and like to win", "#followback #teamfollowback"])
def test_a_rule_is_broken_in_styled_letters_as_in_plain_ones(text: str, style: int) -> None:
    styled = "".join(chr(ord(sign) + style) if sign.isalpha() else sign for sign in text)
    assert [(found.rule, found.start, found.end) for found in lint(styled)] == [
        (found.rule, found.start, found.end) for found in lint(text)
    ]


def test_a_post_is_repeated_whatever_its_letters_are_drawn_like() -> None:
    assert "duplicate_post" in broken("𝗧𝗵𝗲 𝘀𝗵𝗼𝗽 𝗼𝗽𝗲𝗻𝘀 𝗮𝘁 𝗻𝗶𝗻𝗲.", "The shop opens at nine.")
    assert broken("𝗥𝗧 𝘁𝗼 𝘄𝗶𝗻 a phone") == broken("RT to win a phone") | {"giveaway": "𝗥𝗧 𝘁𝗼 𝘄𝗶𝗻"}


def test_there_are_forty_cases_of_each_kind_and_each_rule_is_among_them() -> None:
    texts = [case["text"] for kind in CASES.values() for case in kind]
    assert len(set(texts)) == len(texts)
    assert min(len(kind) for kind in CASES.values()) >= 40
    assert {rule for case in CASES["violations"] for rule in case["broken"]} == load_rules().keys()


@pytest.mark.parametrize("rule", ["engagement_bait", "undisclosed_promotion", "giveaway", "sensitive_attributes"])
def test_what_is_worded_is_found_in_both_languages(rule: str) -> None:
    tongues = {
        any(letter in SPANISH_LETTERS for letter in found.message)
        for case in CASES["violations"]
        for found in lint(case["text"])
        if found.rule == rule
    }
    assert tongues == {True, False}


@pytest.mark.parametrize("rule", load_rules())
def test_every_rule_has_a_message_in_both_languages_and_a_public_source(rule: str) -> None:
    known = load_rules()[rule]
    assert set(known.message) == {"en", "es"}
    assert all(message.endswith(".") and len(message) < 160 for message in known.message.values())
    assert known.source.startswith(("https://help.x.com/en/", "https://docs.x.com/"))
    assert known.severity in get_args(Severity)


def test_no_part_of_the_patterns_is_idle() -> None:
    content = PATH.read_text(encoding="utf-8")
    assert all(part == "opening" or f"<{part}>" in content for part in json.loads(content)["parts"])


@pytest.mark.parametrize("objective", get_args(Objective))
@pytest.mark.parametrize(
    ("language", "topic"), [("en", "Our wooden lamps are here."), ("es", "Ya están aquí nuestras lámparas de madera.")]
)
def test_the_product_writes_nothing_that_its_rules_warn_of(
    language: Language, topic: str, objective: Objective
) -> None:
    link = Entity("https://example.com/lamps", "URL", len(topic) + 1, len(topic) + 26)
    brief = Brief(
        query=f"{topic} {link.text}",
        language=language,
        keywords=(topic,),
        entities=(link,),
        objectives=(objective,),
        n=40,
    )
    texts = [proposal.text for proposal in realise(brief)]
    assert texts
    assert [text for text in texts if lint(text)] == []


def test_the_language_that_is_given_is_the_language_of_the_message() -> None:
    rule = load_rules()["engagement_bait"]
    assert [found.message for found in lint("RT if you agree", language="es")] == [rule.message["es"]]
    assert [found.message for found in lint("RT si te gusta el café", language="en")] == [rule.message["en"]]
    assert [found.message for found in lint("RT si te gusta el café", language="fr")] == [rule.message["en"]]


def test_places_count_code_points_of_the_normalized_text() -> None:
    text = "Cafe\u0301 \U0001f600. RT si te gusta"
    [found] = lint(text)
    assert unicodedata.normalize("NFC", text)[found.start : found.end] == "RT si te"


def test_posts_that_link_to_different_pages_are_different_and_short_links_say_nothing() -> None:
    words = "Our spring catalog is here, have a look: "
    assert not broken(f"{words}https://a.example.com/1", f"{words}https://a.example.com/2")
    assert broken(f"{words}https://a.example.com/1", f"{words}https://t.co/x1").keys() == {"duplicate_post"}


def test_by_default_only_what_x_suspends_for_blocks() -> None:
    policy = Policy()
    blocking = {rule for rule in load_rules() if policy.action(rule) == "block"}
    assert blocking == {"duplicate_post", "engagement_sale", "sensitive_attributes"}
    assert policy.blocks(lint("Buy 10k followers today"))
    assert not policy.blocks(lint("RT if you agree"))
    assert not policy.blocks(())


def test_the_configuration_decides_what_blocks_and_what_is_left_unsaid() -> None:
    found = lint("RT if you agree. Buy 10k followers today")
    assert [violation.rule for violation in found] == ["engagement_bait", "engagement_sale"]
    strict = Policy({"engagement_bait": "block", "engagement_sale": "warn"})
    assert strict.blocks(found)
    assert not strict.blocks(found[1:])
    lenient = Policy({"engagement_sale": "off"})
    assert lenient.heeded(found) == found[:1]
    assert not lenient.blocks(found)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 4000,
        " " * 4000,
        "RT " * 1333,
        "giveaway! " * 400,
        "like and " * 444,
        "follow us " * 400,
        "use my code " * 333,
        "para ganar " * 363,
        "as a " * 800,
        "buy real cheap active " * 180,
        "send 1 btc " * 363,
        "RT for x, " * 400,
        "#a " * 1333,
        "@a " * 1333,
        "1," * 2000,
        "rt" + " " * 3990 + "if",
        "\U0001f525" * 4000,
        "rt a" + "a " * 1990,
        "\u0430.a" * 1333,
        "https://example.com/?tag=" + "-" * 3970,
        "like= " * 660,
        "sorteo" + "." * 3990,
    ],
    ids=lambda text: text[:12],
)
def test_four_thousand_hostile_characters_take_under_fifty_milliseconds(text: str) -> None:
    lint("warm up: RT if you agree")
    times = []
    for attempt in range(10):
        started = process_time()
        lint(text[:3999] + str(attempt), history=posts("The shop opens at nine."))
        times.append(process_time() - started)
    assert min(times) < 0.05


PIECES = st.sampled_from(
    [word for kind in CASES.values() for case in kind for word in case["text"].split()]
    + ["\u200b", "\u202e", "e\u0301", "\n", "\uff20ana", "\U0001f525", "{x}", "<b>"]
)


@given(st.one_of(st.text(max_size=400), st.lists(PIECES, max_size=40).map(" ".join)), st.text(max_size=100))
def test_any_text_gets_valid_places_in_order_and_one_violation_a_rule(text: str, earlier: str) -> None:
    found = lint(text, history=posts(earlier), language="en")
    length = len(unicodedata.normalize("NFC", text))
    assert all(0 <= violation.start < violation.end <= length for violation in found)
    assert [violation.start for violation in found] == sorted(violation.start for violation in found)
    assert len({violation.rule for violation in found}) == len(found)


@given(st.text(min_size=1, max_size=300).filter(str.strip))
def test_any_text_is_a_duplicate_of_itself(text: str) -> None:
    assert "duplicate_post" in broken(text, text)
