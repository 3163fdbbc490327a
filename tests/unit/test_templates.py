"""Frames filled with the author's own sentences: fitting, distinct, valid, deterministic, and nothing but the brief."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.generator.frames import count, parse, slot_names, write
from pipelines.generator.templates import SLOTS, is_bare, load_templates, parse_templates, realise, slots_of
from pipelines.records import Brief, Language, Objective, Template, Tone
from pipelines.text.facts import facts, invents
from pipelines.text.tweets import Entity, entities, is_valid

QUERY = "Our bakery opens on Monday. Doors open at 7. The first 50 people get a free bun. https://example.org/buns"
BRIEF = Brief(query=QUERY, language="en", keywords=("bakery",), n=20)
ROW: dict[str, Any] = {
    "name": "one", "type": "question", "language": "en",
    "objective": "engagement", "tone": "friendly", "intent": "ask", "content": "{text} {Read|See} {url}",
}  # fmt: skip


def template(**change: Any) -> Template:
    return Template(**(ROW | change))


def bundled(language: Language = "en") -> list[Template]:
    return [one for one in load_templates() if one.language == language]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": "{text"}, "not closed"),
        ({"content": "text}"}, "outside of braces"),
        ({"content": "a | b"}, "outside of braces"),
        ({"content": "{fact} {text}"}, "slot 'fact' is unknown; there are text, first, rest"),
        ({"content": "{a|b}" * 13}, "more than 4096 variants"),
        ({"content": "{" * 30 + "a|b" + "}" * 30}, "nest deeper"),
        ({"content": "evil.{topic}"}, "makes a link or a handle"),
        ({"content": "@{topic} {text}"}, "makes a link or a handle"),
        ({"content": "the same of everything"}, "without a slot"),
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


def test_a_frame_with_endless_variants_is_refused_without_writing_them() -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match="variants"):
        parse_templates([ROW | {"content": "{a|b|c|d|e|f|g|h}" * 200}])
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "brief",
    [
        Brief(query="😀", language="en", keywords=()),
        Brief(query="https://example.com/offer", language="en", keywords=()),
        Brief(query="x" * 4000, language="en", keywords=("x" * 4000,)),
        replace(BRIEF, n=0),
        replace(BRIEF, templates=(template(content="{text}", language="es"),)),
        replace(BRIEF, templates=(template(content="{price} for {text}"),)),
        replace(BRIEF, templates=(template(content="{text} " * 20),)),
        replace(BRIEF, query="Join us on Tuesday.", templates=(template(content="{question}"),)),
        replace(BRIEF, query="winter tyres", templates=(template(content="{text}"),)),
    ],
)
def test_where_the_brief_fills_no_frame_nothing_is_written(brief: Brief) -> None:
    assert realise(brief) == []


def test_sentences_fill_the_slots_of_sentences() -> None:
    slots = slots_of(replace(BRIEF, query="Which bun is best? We bake three kinds. https://example.org/buns #buns"))
    assert slots["question"] == "Which bun is best?"
    assert slots["statement"] == "We bake three kinds."
    assert slots["text"] == "Which bun is best? We bake three kinds."
    assert (slots["url"], slots["hashtag"]) == ("https://example.org/buns", "#buns")
    assert "items" not in slots


def test_a_row_of_facts_becomes_lines_and_its_numbers_stay_whole() -> None:
    slots = slots_of(replace(BRIEF, query="Record fair, Corn Exchange, 45 tables, 1,200 records, entry £1.50"))
    assert slots["head"] == "Record fair"
    assert slots["items"].splitlines() == ["Corn Exchange", "45 tables", "1,200 records", "Entry £1.50"]
    assert "text" not in slots


def test_a_bare_topic_fills_nothing_but_the_topic() -> None:
    assert slots_of(replace(BRIEF, query="winter tyres")).keys() == {"topic"}


@pytest.mark.parametrize(
    ("query", "language", "slot", "written"),
    [
        ("London is the best city for", "en", "unfinished", "London is the best city for"),
        ("london is the best city for", "en", "unfinished", "London is the best city for"),
        ("Emma is the best at", "en", "unfinished", "Emma is the best at"),
        ("The best part of summer is", "en", "unfinished", "the best part of summer is"),
        ("the best part of summer is", "en", "unfinished", "the best part of summer is"),
        ("It's a good day when", "en", "unfinished", "it's a good day when"),
        ("If I could live anywhere I would", "en", "unfinished", "if I could live anywhere I would"),
        ("Will Smith is", "en", "unfinished", "Will Smith is"),
        ("Madrid Marathon", "en", "topic", "Madrid Marathon"),
        ("Madrid marathon", "en", "topic", "Madrid marathon"),
        ("winter tyres", "en", "topic", "winter tyres"),
        ("Granada es la mejor ciudad para", "es", "unfinished", "Granada es la mejor ciudad para"),
        ("lo mejor del verano es", "es", "unfinished", "lo mejor del verano es"),
        ("Maratón de Madrid", "es", "topic", "Maratón de Madrid"),
        ("zapatos de invierno", "es", "topic", "zapatos de invierno"),
    ],
)
def test_no_name_loses_its_capital_within_a_sentence(query: str, language: Language, slot: str, written: str) -> None:
    assert slots_of(Brief(query=query, language=language, keywords=()))[slot] == written


def test_a_name_that_the_analyzer_found_keeps_its_capital() -> None:
    brief = Brief(query="winter is the best at", language="en", keywords=())
    named = replace(brief, entities=(Entity("Winter", "PERSON", 0, 6),))
    assert slots_of(brief)["unfinished"] == "winter is the best at"
    assert slots_of(named)["unfinished"] == "Winter is the best at"


def test_alternatives_and_optional_parts_are_counted_and_written() -> None:
    parts = parse("{a|b{1|2}} {topic}{?, {c|d}}")
    assert count(parts) == 6
    assert {write(parts, {"topic": "x"}, index) for index in range(6)} == {
        f"{head} x, {tail}" for head in ("a", "b1", "b2") for tail in "cd"
    }


def test_an_optional_part_stays_where_its_slots_are_there() -> None:
    own = (template(content="News: {text}{? {url}}"),)
    (linked,) = realise(replace(BRIEF, query="We open on Monday. https://example.org/a", templates=own))
    (plain,) = realise(replace(BRIEF, query="We open on Monday.", templates=own))
    assert linked.text == "News: We open on Monday. https://example.org/a"
    assert plain.text == "News: We open on Monday."


def test_the_accounts_own_library_is_used_instead_of_the_bundled_one() -> None:
    own = (
        template(content="Since 1999: {text} {a|b}"),
        template(name="es", language="es", content="{text} ya"),
    )
    assert {proposal.text for proposal in realise(replace(BRIEF, templates=own))} == {
        f"Since 1999: {BRIEF.query} a",
        f"Since 1999: {BRIEF.query} b",
    }


@pytest.mark.parametrize(
    "content", ["{first}", "News: {first}{? See {url}}", "{price} only", "{{text}|{first}}", "{so {{text}|x}|{text}}"]
)
def test_no_template_drops_a_part_of_the_text(content: str) -> None:
    query = "Boil water notice until Friday noon. Do not give unboiled water to babies. It costs £3."
    assert realise(replace(BRIEF, query=query, templates=(template(content=content),))) == []


def test_sober_news_gets_no_word_of_a_template() -> None:
    own = (template(content="Big news: {text}"),)
    for templates in ((), own):
        proposals = realise(replace(BRIEF, sober=True, templates=templates))
        assert all(set(re.findall(r"\w+", one.text)) <= set(re.findall(r"\w+", QUERY)) for one in proposals)


def test_the_first_objective_comes_before_the_second_and_both_before_the_tone() -> None:
    frames = (
        template(name="tone", content="{text} tone", objective="sales", tone="bold"),
        template(name="other", content="{text} other", objective="sales", tone="witty"),
        template(name="second", content="{text} second", objective="clicks", tone="bold"),
        template(name="first", content="{text} first", objective="signups", tone="bold"),
    )
    for seed in range(10):
        brief = replace(BRIEF, templates=frames, objectives=("signups", "clicks"), tone="bold", seed=seed, n=4)
        assert [proposal.template for proposal in realise(brief)] == ["first", "second", "tone", "other"]


def test_among_equals_the_proven_frame_comes_first() -> None:
    frames = tuple(
        template(name=name, content=f"{name}: {{text}}", success_lower_bound=bound)
        for name, bound in (("new", None), ("good", 0.4), ("poor", 0.1))
    )
    for seed in range(10):
        assert [one.template for one in realise(replace(BRIEF, templates=frames, seed=seed))] == ["good", "poor", "new"]


def test_each_language_has_about_twenty_frames_of_which_some_say_nothing_of_their_own() -> None:
    for language in get_args(Language):
        frames = bundled(language)
        assert 16 <= len(frames) <= 22
        assert 8 <= sum(is_bare(one.content) for one in frames) < 20
        assert {one.objective for one in frames} == set(get_args(Objective))
        assert {name for one in frames for name in slot_names(parse(one.content))} <= SLOTS.keys()


@pytest.mark.parametrize("objective", get_args(Objective))
def test_nobody_who_asked_for_another_tone_gets_a_joke_or_an_order(objective: Objective) -> None:
    tones = {one.name: one.tone for one in bundled()}
    brief = replace(BRIEF, tone="formal", objectives=(objective,))
    assert {tones[one.template or ""] for one in realise(brief)} <= {"formal", "neutral"}


@pytest.mark.parametrize("objective", get_args(Objective))
def test_nothing_sells_that_was_not_asked_to(objective: Objective) -> None:
    objectives = {one.name: one.objective for one in bundled()}
    found = {objectives[one.template or ""] for one in realise(replace(BRIEF, objectives=(objective,)))}
    assert found & {"sales", "signups"} <= {objective}


def test_a_draft_that_says_it_all_is_not_offered_again() -> None:
    brief = replace(BRIEF, query="We won best independent cinema.", templates=(template(content="{text}"),))
    assert realise(brief) == []


@pytest.mark.parametrize("frame", load_templates(), ids=lambda one: one.name)
def test_a_bundled_frame_states_nothing_and_pleads_for_nothing(frame: Template) -> None:
    text = re.sub(r"\{\w+\}", "it", frame.content)
    assert not facts(re.sub(r"[{}|?]", " ", text))
    bait = r"(?i)\b(retweet|RT if|like if|like and|tag a|follow|today|tomorrow|unlock|game.?changer|dive in|on sale)\b"
    assert not re.search(bait, text)
    parts = parse(frame.content)
    names = set(slot_names(parts))
    for index in range(count(parts)):
        written = write(parts, dict.fromkeys(names, "Word"), index)
        assert written == written.strip()
        assert not re.search(r"  | [,.;:!?]|[,.;:]{2}|\.\?|[{}|]|!", written)
        assert len(written) < 120


def test_one_seed_gives_one_answer() -> None:
    assert realise(BRIEF) == realise(BRIEF)
    assert len({one.text for one in realise(BRIEF)}) == len(realise(BRIEF))


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize(
    "word", ["{topic}", "{a|b}", "a } b { c", "one\ntwo", "%s {0} {0.__class__}", "a|b", "\\1", "{url}"]
)
def test_the_authors_braces_pipes_and_line_breaks_are_only_text(word: str, language: Language) -> None:
    brief = Brief(query=f"We sell {word} boots.", language=language, keywords=(word,), n=20)
    own = replace(brief, templates=(template(content="{text} {a|b}", language=language),))
    for proposal in (*realise(brief), *realise(own)):
        assert is_valid(proposal.text)
        assert "__class__" not in proposal.text.replace(word, "")


@given(
    query=st.one_of(
        st.text(min_size=1, max_size=300),
        st.lists(st.sampled_from([*QUERY.split(), ",", "2 for £5", "Why?"]), min_size=1, max_size=25).map(" ".join),
    ),
    objective=st.sampled_from(get_args(Objective)),
    tone=st.sampled_from(get_args(Tone)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_author_writes_every_tweet_is_valid_and_true(
    query: str, objective: Objective, tone: Tone, seed: int
) -> None:
    brief = Brief(
        query=query, language="en", keywords=(), entities=entities(query), objectives=(objective,), tone=tone, n=8,
        seed=seed,
    )  # fmt: skip
    proposals = realise(brief)
    assert proposals == realise(brief)
    assert len({proposal.text for proposal in proposals}) == len(proposals)
    for proposal in proposals:
        assert is_valid(proposal.text)
        assert not invents(query, proposal.text)
        assert not re.search(r"[{}|]", proposal.text) or re.search(r"[{}|]", query)
