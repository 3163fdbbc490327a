"""Selection: what may be posted of what was written, and which of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.generator.selection import admissible, distinct, diverse, own_words, worth
from pipelines.policy import Policy
from pipelines.records import Post, Proposal
from pipelines.results import Candidate
from pipelines.text.facts import invents
from pipelines.text.tweets import is_valid, weighted_length

SOURCE = "Our bakery on Main Street opens at 8 on Monday, we sell no coffee, see you: https://bakery.com/menu by @ana"


def proposed(*texts: str) -> list[Proposal]:
    return [Proposal(text, weighted_length(text), "lm") for text in texts]


def kept(*texts: str, policy: Policy | None = None, history: tuple[Post, ...] = ()) -> list[str]:
    found = admissible(proposed(*texts), SOURCE, policy or Policy(), history=history)
    return [proposal.text for proposal, _ in found]


@pytest.mark.parametrize(
    "text",
    [
        "The bakery opens at 9.",
        "The bakery opens on Tuesday.",
        "Fresh bread, 20% off.",
        "Fresh bread: https://bakery.com/other",
        "Fresh bread by @bob",
        "Fresh bread without sugar in the bakery of @bob",
        "x" * 281,
        "   ",
    ],
)
def test_what_is_invented_or_too_long_is_dropped(text: str) -> None:
    assert kept(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "A bakery on Main Street: https://bakery.com/menu",
        "Monday, 8 o'clock. Fresh bread is waiting.",
        "Ask @ana what smells so good on Main Street.",
    ],
)
def test_what_states_only_what_the_author_said_stays(text: str) -> None:
    assert kept(text) == [text]


def test_what_stands_in_the_authors_own_template_is_the_authors_word() -> None:
    text = "Fresh bread, 20% off: https://bakery.com/other"
    proposal = Proposal(text, weighted_length(text), "template", "mine")
    frame = "{Topic}, 20% off: https://bakery.com/other"
    assert admissible([proposal], SOURCE, Policy(), frames={"mine": frame})
    assert not admissible([proposal], SOURCE, Policy(), frames={"another": frame})


def test_a_rule_that_blocks_drops_a_text_and_one_that_warns_is_told_with_it() -> None:
    text = "Like this if you love fresh bread. Retweet if you bake."
    (found,) = admissible(proposed(text), SOURCE, Policy({"engagement_bait": "warn"}))
    assert [finding.rule for finding in found[1]] == ["engagement_bait"]
    assert kept(text, policy=Policy({"engagement_bait": "block"})) == []
    ((_, silent),) = admissible(proposed(text), SOURCE, Policy({"engagement_bait": "off"}))
    assert silent == ()


def test_what_the_author_posted_already_is_not_offered_again() -> None:
    text = "Fresh bread on Main Street. Come in and smell it."
    post = Post(text=text, created_at="2026-11-01T10:00:00Z", likes=1, retweets=0)  # type: ignore[arg-type]
    assert kept(text, history=(post,)) == []


def test_of_two_texts_that_differ_in_one_word_the_first_stays() -> None:
    first = "Fresh bread on Main Street for all of you who get up early"
    assert kept(first, first.replace("early", "late"), "Who bakes at home?") == [first, "Who bakes at home?"]


def candidate(text: str, score: float | None) -> Candidate:
    return Candidate(id=text, text=text, source="template", weighted_length=len(text), viral_score=score)


def test_the_best_come_first_and_a_twin_gives_way_to_another_text() -> None:
    found = diverse(
        [
            candidate("fresh bread for early birds", 70.0),
            candidate("fresh bread for early people", 69.0),
            candidate("who bakes at home", 66.0),
        ],
        2,
    )
    assert [one.text for one in found] == ["fresh bread for early birds", "who bakes at home"]


def test_without_scores_the_order_of_the_writers_holds() -> None:
    found = diverse([candidate("one two", None), candidate("three four", None)], 2)
    assert [one.text for one in found] == ["one two", "three four"]


@given(st.lists(st.text("abcde 123@#.!", max_size=40), max_size=8), st.integers(0, 5))
def test_no_more_are_chosen_than_wanted_and_none_twice(texts: list[str], n: int) -> None:
    found = diverse([candidate(text, float(len(text))) for text in dict.fromkeys(texts)], n)
    assert len(found) == min(n, len(set(texts)))
    assert len({one.text for one in found}) == len(found)
    assert [one.viral_score for one in found] == sorted((one.viral_score or 0 for one in found), reverse=True)


@settings(max_examples=200)
@given(st.text(min_size=1, max_size=200), st.lists(st.text(max_size=320), max_size=5))
def test_whatever_was_written_only_what_is_true_to_the_source_and_valid_stays(source: str, texts: list[str]) -> None:
    found = admissible(proposed(*texts), source, Policy())
    for proposal, _ in found:
        assert is_valid(proposal.text)
        assert not invents(source, proposal.text)
    assert len(distinct(found, lambda item: item[0].text)) == len(found)


def test_the_authors_own_words_at_any_length_stay() -> None:
    assert kept(SOURCE) == [SOURCE]


def test_a_list_is_another_text_than_its_sentence_is() -> None:
    sentence = "Fresh bread on Main Street on Monday for everybody who gets up early"
    lines = "Fresh bread\non Main Street\non Monday\nfor everybody who gets up early"
    assert kept(sentence, lines, sentence + "!") == [sentence, lines]


def test_a_thread_is_as_long_as_its_posts_may_be_and_its_numbers_are_no_facts() -> None:
    parts = tuple(f"{number}/2 Fresh bread on Main Street. " + "Bread. " * 25 for number in (1, 2))
    text = "\n\n".join(parts)
    thread = Proposal(text, weighted_length(text), "edit", parts=parts)
    assert admissible([thread], SOURCE, Policy())
    assert not admissible([Proposal(text, weighted_length(text), "edit")], SOURCE, Policy())


def test_own_words_are_those_of_the_source_in_any_order_and_case() -> None:
    assert own_words("We OPEN at 8.", "At 8 we open, on Monday")
    assert not own_words("We happily open at 8.", "At 8 we open, on Monday")


def test_what_a_stranger_would_rather_post_is_worth_more_than_what_scores_higher() -> None:
    judged = Candidate(id="a", text="a", source="edit", weighted_length=1, viral_score=20.0, p_postable=0.9)
    scored = Candidate(id="b", text="b", source="lm", weighted_length=1, viral_score=90.0, p_postable=0.6)
    assert worth(judged) > worth(scored)
    assert [one.id for one in diverse([scored, judged], 2)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("Lumo is here: a lamp without a cable.", True),
        ("A lamp without a cable: Lumo's orders open on Monday.", True),
        ("Lumina is here: a lamp without a cable.", False),
        ("Lumax is here: Lumo without a cable.", False),
        ("A lamp without a cable is here.", False),
    ],
)
def test_a_writer_renames_nothing(text: str, stays: bool) -> None:
    source = "Lumo is here: a lamp without a cable. Orders open on Monday. #Lumo"
    assert bool(admissible(proposed(text), source, Policy())) is stays


@pytest.mark.parametrize(
    ("source", "text", "stays"),
    [
        (
            "spring sale candles 20% off soy wax refill leeds",
            "Spring sale in Leeds: 20% off soy wax refill candles.",
            True,
        ),
        ("spring sale candles 20% off soy wax refill leeds", "Spring sale: 20% off soy wax refill candles.", False),
        ("These shoes are to run, not to look at.", "These shoes are to run. Not to look at.", False),
        (
            "spring sale candles 20% off soy wax refill leeds",
            "Spring sale candles 20% off soy wax refill Leeds.",
            False,
        ),
        ("The spring sale opens in Leeds today", "The spring sale opens in Leeds today.", True),
        ("20% off soy candles this week", "Only this week: 20% off soy candles.", False),
        ("Only this week: 20% off soy candles", "20% off soy candles, only this week.", True),
        ("Bouquets from £15 (were £22). Ends Sunday.", "£22\nBouquets from £15\nEnds Sunday", False),
        ("Bouquets from £15 (were £22). Ends Sunday.", "Bouquets from £15 (were £22)\nEnds Sunday", True),
    ],
)
def test_a_writer_leaves_out_no_name_presses_nobody_tears_nothing_off_and_makes_no_post_of_a_row(
    source: str, text: str, stays: bool
) -> None:
    assert bool(admissible(proposed(text), source, Policy())) is stays
