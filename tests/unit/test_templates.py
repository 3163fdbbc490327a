"""Frames filled for a brief: fitting, distinct, valid, deterministic, and holding nothing that the brief does not."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.generator.frames import count, parse, slot_names, write
from pipelines.generator.phrases import longest_copied_run
from pipelines.generator.templates import load_templates, parse_templates, realise
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Brief, Intent, Language, Objective, Template, Tone
from pipelines.text.facts import facts, invents
from pipelines.text.tweets import Entity, entities, is_valid

LINK = Entity("https://example.com/offer", "URL", 0, 25)
LINKED = "AI tools for small businesses https://example.com/offer"
BRIEF = Brief(query="AI tools for small businesses", language="en", keywords=("AI tools", "small businesses"), n=20)
ROW: dict[str, Any] = {
    "name": "one", "type": "question", "language": "en",
    "objective": "engagement", "tone": "friendly", "intent": "ask", "content": "{Topic}: {yes|no}?",
}  # fmt: skip
QUERIES = (
    "We launch our new eco-friendly running shoes next week. Pre-orders open on Monday!",
    "how to choose a mattress",
    "Get 20% off all candles this weekend with code GLOW20 https://example.com/candles",
    "We're hiring baristas in Portland",
    "Our annual charity run is back! Registration closes on Friday.",
    "iPhone cases",
    "Is remote work killing company culture?",
    "I just published my first novel. It took me 6 years.",
    "Our CEO Jane Doe will speak at WebSummit on Tuesday.",
    "5 tips for better sleep #health",
)


def template(**change: Any) -> Template:
    return Template(**(ROW | change))


def bundled(language: Language = "en") -> list[Template]:
    return [one for one in load_templates() if one.language == language]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": "{Topic"}, "not closed"),
        ({"content": "Topic}"}, "outside of braces"),
        ({"content": "a | b"}, "outside of braces"),
        ({"content": "{cuando} {topic}"}, "slot 'cuando' is unknown; en has"),
        ({"content": "{nonsense} for {topic}"}, "slot 'nonsense' is unknown"),
        ({"content": "{a|b}" * 13}, "more than 4096 variants"),
        ({"content": "{" * 30 + "a|b" + "}" * 30}, "nest deeper"),
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
    start = time.monotonic()
    with pytest.raises(ValueError, match="variants"):
        parse_templates([ROW | {"content": "{a|b|c|d|e|f|g|h}" * 200}])
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    "brief",
    [
        Brief(query="😀", language="en", keywords=(), entities=(Entity("😀", "EMOJI", 0, 1),)),
        Brief(query="https://example.com/offer", language="en", keywords=(), entities=(LINK,)),
        Brief(query="x" * 4000, language="en", keywords=("x" * 4000,)),
        replace(BRIEF, n=0),
        replace(BRIEF, templates=(template(content="{hecho}", language="es"),)),
        replace(BRIEF, templates=(template(content="{discount} on {topic}"),)),
        replace(BRIEF, templates=(template(content="{topic} " * 20),)),
    ],
)
def test_where_the_brief_fills_no_frame_nothing_is_written(brief: Brief) -> None:
    assert realise(brief) == []


def test_a_frame_that_repeats_the_query_is_not_used() -> None:
    query = "AI tools save time and money every day"
    brief = Brief(query=query, language="en", keywords=("AI tools",))
    assert realise(replace(brief, templates=(template(content="{topic} save time and money every day"),))) == []
    assert realise(replace(brief, templates=(template(content="{topic} save money"),)))


def test_alternatives_and_optional_parts_are_counted_and_written() -> None:
    parts = parse("{a|b{1|2}} {topic}{?, {c|d}}")
    assert count(parts) == 6
    assert {write(parts, {"topic": "x"}, index) for index in range(6)} == {
        f"{head} x, {tail}" for head in ("a", "b1", "b2") for tail in "cd"
    }


def test_an_optional_part_stays_where_its_slots_are_there() -> None:
    own = (template(content="{Topic}, please!{? {url}}"),)
    (plain,) = realise(replace(BRIEF, templates=own))
    (linked,) = realise(replace(BRIEF, templates=own, query=LINKED, entities=(LINK,)))
    assert plain.text == "AI tools for small businesses, please!"
    assert linked.text == "AI tools for small businesses, please! https://example.com/offer"


def test_the_accounts_own_library_is_used_instead_of_the_bundled_one() -> None:
    own = (template(content="{Topic} since 1999: {a|b}"), template(name="es", language="es"))
    assert {proposal.text for proposal in realise(replace(BRIEF, templates=own))} == {
        "AI tools for small businesses since 1999: a",
        "AI tools for small businesses since 1999: b",
    }


def test_the_first_objective_comes_before_the_second_and_both_before_the_tone() -> None:
    frames = (
        template(name="tone", content="{Topic}: tone", objective="sales", intent="help", tone="bold"),
        template(name="other", content="{Topic}: other", objective="sales", intent="ask", tone="witty"),
        template(name="second", content="{Topic}: second", objective="clicks", intent="help", tone="witty"),
        template(name="first", content="{Topic}: first", objective="signups", intent="help", tone="witty"),
    )
    for seed in range(10):
        brief = replace(BRIEF, templates=frames, objectives=("signups", "clicks"), tone="bold", seed=seed, n=4)
        assert [proposal.template for proposal in realise(brief)] == ["first", "second", "tone", "other"]


def test_among_equals_the_proven_frame_comes_first() -> None:
    frames = tuple(
        template(name=name, content=f"{{Topic}}: {name}", success_lower_bound=bound)
        for name, bound in (("new", None), ("good", 0.4), ("poor", 0.1))
    )
    for seed in range(10):
        assert [one.template for one in realise(replace(BRIEF, templates=frames, seed=seed))] == ["good", "poor", "new"]


def test_english_has_sixty_frames_that_cover_every_use() -> None:
    frames = bundled()
    assert len(frames) >= 60
    for kind, values in (("objective", get_args(Objective)), ("tone", get_args(Tone)), ("intent", get_args(Intent))):
        assert all(sum(getattr(one, kind) == value for one in frames) >= 5 for value in values)
    assert all(count(parse(one.content)) >= 1 for one in frames)
    assert sum(count(parse(one.content)) > 1 for one in frames) > 0.8 * len(frames)


@pytest.mark.parametrize(
    "query", ["Perception", "We won best independent cinema.", "which flavor should we bring back?"]
)
def test_there_are_enough_tweets_for_every_objective_and_tone(query: str) -> None:
    brief = Brief(query=query, language="en", keywords=(), n=7)
    for objective, tone in product(get_args(Objective), get_args(Tone)):
        assert len(realise(replace(brief, objectives=(objective,), tone=tone))) == 7


def test_nobody_who_asked_for_another_tone_gets_a_joke_or_an_order_first() -> None:
    tones = {one.name: one.tone for one in bundled()}
    brief = Brief(query="We won best independent cinema in town.", language="en", keywords=(), tone="formal", n=5)
    for seed in range(20):
        names = [one.template or "" for one in realise(replace(brief, seed=seed))]
        assert {tones[name] for name in names} <= {"formal", "neutral"}


def test_a_draft_that_says_it_all_is_not_offered_again() -> None:
    query = "We won best independent cinema."
    brief = Brief(query=query, language="en", keywords=(), templates=(template(content="{fact}"),))
    assert realise(brief) == []


@pytest.mark.parametrize("frame", bundled(), ids=lambda one: one.name)
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
        assert not re.search(r"  | [,.;:!?]|[,.;:]{2}|\.\?|[{}|]|!.*!", written.replace("___", ""))
        assert len(written) < 240


@pytest.fixture(scope="module")
def analyzer() -> QueryAnalyzer:
    return QueryAnalyzer()


def briefs(query: str, analyzer: QueryAnalyzer) -> list[Brief]:
    (analysis,) = analyzer.analyze([query], ["en"])
    keywords = tuple(keyword.text for keyword in analysis.keywords or ())
    plain = Brief(query=query, language="en", keywords=keywords, entities=analysis.entities or (), n=20)
    return [replace(plain, objectives=(one,), seed=seed) for seed, one in enumerate(get_args(Objective))]


def test_what_is_written_is_distinct_valid_and_invents_nothing(analyzer: QueryAnalyzer) -> None:
    for query in QUERIES:
        for brief in briefs(query, analyzer):
            texts = [proposal.text for proposal in realise(brief)]
            assert len(set(texts)) == len(texts) >= 7
            for text in texts:
                assert is_valid(text)
                assert not invents(query, text)
                assert longest_copied_run(text, query, brief.entities) <= 6
                assert not re.search(r"  | [,.;:!?]|[,.;:]{2}|\.\?|[{}|]", text), text
                assert len(re.findall(r"#\w", text)) <= 1


def test_the_first_candidates_come_from_different_frames() -> None:
    assert len({proposal.template for proposal in realise(replace(BRIEF, n=7))}) == 7


def test_a_frame_used_again_says_it_in_other_words() -> None:
    own = (template(content="{a|b|c} {topic} {d|e|f}"),)
    texts = [proposal.text for proposal in realise(replace(BRIEF, templates=own, n=9))]
    assert len(set(texts)) == 9
    assert texts[0][0] != texts[1][0]


def test_one_seed_gives_one_answer_and_another_seed_another() -> None:
    assert realise(BRIEF) == realise(BRIEF)
    answers = {tuple(one.text for one in realise(replace(BRIEF, n=5, seed=seed))) for seed in range(10)}
    assert len(answers) > 8


def test_the_message_of_the_query_comes_first(analyzer: QueryAnalyzer) -> None:
    for brief in briefs(QUERIES[0], analyzer):
        assert re.search(r"re-orders open on Monday|We launch our new", realise(brief)[0].text)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize(
    "keyword", ["{topic}", "{a|b}", "a } b { c", "one\ntwo", "%s {0} {0.__class__}", "a|b", "\\1", "{url}"]
)
def test_the_authors_braces_pipes_and_line_breaks_are_only_text(keyword: str, language: Language) -> None:
    brief = Brief(query=f"shoes {keyword} boots", language=language, keywords=(keyword,), n=20)
    own = replace(brief, templates=(template(content="{Topic} {a|b}", language=language),))
    for proposal in (*realise(brief), *realise(own)):
        assert is_valid(proposal.text)
        assert "__class__" not in proposal.text.replace(keyword, "")


def test_a_run_of_copied_words_is_counted_without_entities_and_case() -> None:
    assert longest_copied_run("Our shoes are HERE, run!", "now our shoes are here at last") == 4
    assert longest_copied_run("nothing alike", "our shoes are here") == 0
    name = Entity("Jane Doe", "PERSON", 4, 12)
    assert longest_copied_run("Our Jane Doe speaks", "Our Jane Doe speaks", (name,)) == 2
    assert longest_copied_run("", "", ()) == 0


@given(
    query=st.one_of(
        st.text(min_size=1, max_size=300),
        st.lists(st.sampled_from(" ".join(QUERIES).split()), min_size=1, max_size=25).map(" ".join),
    ),
    keywords=st.lists(st.text(max_size=120), max_size=4),
    objective=st.sampled_from(get_args(Objective)),
    tone=st.sampled_from(get_args(Tone)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_whatever_the_author_writes_every_tweet_is_valid_and_true(
    query: str, keywords: list[str], objective: Objective, tone: Tone, seed: int
) -> None:
    brief = Brief(
        query=query, language="en", keywords=tuple(keywords), entities=entities(query), objectives=(objective,),
        tone=tone, n=8, seed=seed,
    )  # fmt: skip
    proposals = realise(brief)
    assert proposals == realise(brief)
    assert len({proposal.text for proposal in proposals}) == len(proposals)
    for proposal in proposals:
        assert is_valid(proposal.text)
        assert not invents(query, proposal.text)
        assert longest_copied_run(proposal.text, query, brief.entities) <= 6
        assert not re.search(r"[{}|]", proposal.text) or re.search(r"[{}|]", query)
