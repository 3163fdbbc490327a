"""Frames filled for a brief: distinct, valid, deterministic, and holding nothing that the brief does not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.records import Brief, Entity, Language, Objective, Tone
from pipelines.templates import load_templates, parse_templates, realise, variants
from pipelines.tweets import is_valid

LINK = Entity("https://example.com/offer", "URL", 0, 25)
BRIEF = Brief(query="AI tools for small businesses", language="en", keywords=("AI tools", "small businesses"), n=20)
SPANISH = Brief(query="suscripción de café", language="es", keywords=("suscripción de café",), n=20)
ROW: dict[str, Any] = {
    "name": "one", "type": "question", "language": "en",
    "objective": "engagement", "tone": "friendly", "intent": "ask", "content": "{Topic}: {yes|no}?",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": "{Topic"}, "not closed"),
        ({"content": "Topic}"}, "outside of braces"),
        ({"content": "a | b"}, "outside of braces"),
        ({"content": "{price} for {topic}"}, "price"),
        ({"objective": "fame"}, "objective 'fame'"),
        ({"tone": "loud"}, "tone 'loud'"),
        ({"language": "fr"}, "language 'fr'"),
        ({"intent": "none"}, "intent 'none'"),
    ],
)
def test_a_malformed_frame_is_refused_by_name(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"template one: .*{message}"):
        parse_templates([ROW | change])


def test_two_frames_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        parse_templates([ROW, ROW])


@pytest.mark.parametrize(
    "brief",
    [
        Brief(query="😀", language="en", keywords=(), entities=(Entity("😀", "EMOJI", 0, 1),)),
        Brief(query="https://example.com/offer", language="en", keywords=(), entities=(LINK,)),
        Brief(query="x" * 4000, language="en", keywords=("x" * 4000,)),
        replace(BRIEF, n=0),
    ],
)
def test_where_the_brief_fills_no_frame_nothing_is_written(brief: Brief) -> None:
    assert realise(brief) == []


def test_a_frame_whose_slots_cannot_be_filled_is_not_used() -> None:
    without = {proposal.template for proposal in realise(BRIEF)}
    linked = realise(replace(BRIEF, entities=(LINK,), objectives=("clicks",)))
    assert without == {"en_headline", "en_open_question", "en_nudge", "en_roll_call"}
    assert {proposal.template for proposal in linked} == without | {"en_link", "en_sign_up"}


def test_every_language_has_six_frames_for_as_many_objectives() -> None:
    for language in ("en", "es"):
        mine = [template for template in load_templates() if template.language == language]
        assert len(mine) == 6
        assert len({template.objective for template in mine}) == 6


def test_alternatives_and_optional_parts_are_expanded() -> None:
    by_slots = dict(variants("{a|b{1|2}} {topic}{? {url}}"))
    assert by_slots[frozenset({"topic"})] == ("a {topic}", "b1 {topic}", "b2 {topic}")
    assert by_slots[frozenset({"topic", "url"})] == ("a {topic} {url}", "b1 {topic} {url}", "b2 {topic} {url}")


@pytest.mark.parametrize("brief", [BRIEF, SPANISH, replace(BRIEF, entities=(LINK,))])
def test_as_many_distinct_valid_tweets_come_as_were_asked_for(brief: Brief) -> None:
    texts = [proposal.text for proposal in realise(brief)]
    assert len(set(texts)) == 20
    assert all(map(is_valid, texts))
    assert len(realise(replace(brief, n=3))) == 3


def test_the_first_candidates_come_from_different_frames() -> None:
    assert len({proposal.template for proposal in realise(replace(BRIEF, n=4))}) == 4


def test_one_seed_gives_one_answer_and_another_seed_another() -> None:
    assert realise(BRIEF) == realise(BRIEF)
    assert realise(replace(BRIEF, n=5)) != realise(replace(BRIEF, n=5, seed=1))


@pytest.mark.parametrize(
    ("objective", "tone", "first"),
    [
        ("community", "neutral", "en_roll_call"),
        ("engagement", "bold", "en_open_question"),
        ("clicks", "neutral", "en_link"),
        ("signups", "formal", "en_sign_up"),
    ],
)
def test_the_frame_that_fits_comes_first_whatever_the_seed(objective: Objective, tone: Tone, first: str) -> None:
    for seed in range(20):
        brief = replace(BRIEF, objectives=(objective,), tone=tone, entities=(LINK,), seed=seed)
        assert realise(brief)[0].template == first


def test_without_an_objective_the_tone_decides() -> None:
    assert realise(replace(BRIEF, tone="witty"))[0].template == "en_roll_call"


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize(
    "keyword", ["{topic}", "{a|b}", "a } b { c", "one\ntwo", "%s {0} {0.__class__}", "a|b", "\\1", "{url}"]
)
def test_the_authors_braces_pipes_and_line_breaks_are_only_text(keyword: str, language: Language) -> None:
    brief = Brief(query=f"x {keyword} y z", language=language, keywords=(keyword,), n=20)
    texts = [proposal.text for proposal in realise(brief)]
    assert texts
    assert all(map(is_valid, texts))
    inner = " ".join(keyword.split()).strip(" {}|_\\").lower()
    assert all(inner in text.lower() or "#" in text for text in texts)


def test_a_long_topic_is_cut_at_a_word() -> None:
    brief = Brief(query="?", language="en", keywords=("remarkably " * 30,), n=20)
    for proposal in realise(brief):
        assert is_valid(proposal.text)
        assert not re.search(r"remarkabl\b|remarkab\b|(?i:remarkably)[a-z]", proposal.text)


def test_a_sentence_is_kept_whole_and_its_keyword_is_the_topic() -> None:
    query = "we just shipped dark mode on Android!"
    texts = [proposal.text for proposal in realise(replace(BRIEF, query=query, keywords=("dark mode", "Android")))]
    assert any("We just shipped dark mode on Android!" in text for text in texts)
    assert any(text.startswith("Dark mode: ") for text in texts)


def test_a_topic_keeps_its_own_capitals() -> None:
    texts = [proposal.text for proposal in realise(replace(BRIEF, query="iPhone cases", keywords=("iPhone cases",)))]
    assert any(text.startswith("iPhone cases: ") for text in texts)
    assert not any("IPhone cases:" in text for text in texts)


def test_the_authors_own_hashtag_is_preferred() -> None:
    tagged = replace(BRIEF, entities=(Entity("#SmallBiz", "HASHTAG", 0, 9),), objectives=("community",))
    assert realise(tagged)[0].text.startswith("#SmallBiz ")


@pytest.mark.parametrize("brief", [BRIEF, SPANISH])
def test_no_number_link_or_handle_is_invented(brief: Brief) -> None:
    for proposal in realise(brief):
        assert not re.search(r"\d|https?:|@|%", proposal.text)
        assert set(re.findall(r"#\w+", proposal.text)) <= {"#AITools", "#SuscripciónDeCafé"}


@pytest.mark.parametrize("brief", [BRIEF, SPANISH, replace(BRIEF, entities=(LINK,))])
def test_punctuation_and_spaces_are_clean(brief: Brief) -> None:
    for proposal in realise(brief):
        assert proposal.text == proposal.text.strip()
        assert not re.search(r"  | [,.;:!?]|[,.;:]{2}|\.\?|[{}|]", proposal.text)


@given(
    query=st.text(min_size=1, max_size=300),
    keywords=st.lists(st.text(max_size=120), max_size=4),
    language=st.sampled_from(["en", "es"]),
)
def test_whatever_the_author_writes_every_tweet_is_valid(query: str, keywords: list[str], language: Language) -> None:
    brief = Brief(query=query, language=language, keywords=tuple(keywords), n=8)
    proposals = realise(brief)
    assert all(is_valid(proposal.text) for proposal in proposals)
    assert len({proposal.text for proposal in proposals}) == len(proposals)
