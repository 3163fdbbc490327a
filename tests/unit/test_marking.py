"""Texts in pieces: spans, links and changes fall where they belong, and no character is lost."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from deployments.studio.drafting import Asked, card_of, cards_of, shown
from deployments.studio.forms import Form
from deployments.studio.marking import changes, linked, pieces

CANDIDATE = {
    "id": "1",
    "text": "New shoes. On Monday.",
    "source": "template",
    "template": "en_lines",
    "parts": None,
    "delta": 1.0,
    "findings": [{"rule": "giveaway", "start": 4, "end": 9, "message": "", "severity": "info", "source": None}],
}


def test_spans_that_overlap_or_leave_the_text_are_cut_where_they_meet() -> None:
    found = pieces("Tag a friend and RT", [(0, 12), (0, 19), (17, 99), (30, 40)])
    assert [(piece.text, piece.inside, piece.ends) for piece in found] == [
        ("Tag a friend", (0, 1), (0,)),
        (" and ", (1,), ()),
        ("RT", (1, 2), (1, 2)),
    ]


def test_a_span_counts_code_points() -> None:
    assert [piece.text for piece in pieces("👩‍🚀🎉 go", [(3, 4)])] == ["👩‍🚀", "🎉", " go"]


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(-5, 50), st.integers(-5, 50)), max_size=5))
def test_the_pieces_of_any_text_join_to_it(text: str, spans: list[tuple[int, int]]) -> None:
    assert "".join(piece.text for piece in pieces(text, spans)) == text


def test_what_changed_is_said_word_by_word_and_a_line_break_is_a_word() -> None:
    assert changes("we launch our shoes. RT to win!!!", "We launch our shoes.\nRT to win!") == (
        ("removed", "we"),
        ("added", "We"),
        ("same", " launch our shoes."),
        ("added", "\n"),
        ("same", "RT to"),
        ("removed", " win!!!"),
        ("added", " win!"),
    )


def test_other_white_space_changes_nothing() -> None:
    assert changes("a  b", "a b") == (("same", "a b"),)
    assert changes("", "a b") == (("added", "a b"),)
    assert changes("a b", "") == (("removed", "a b"),)


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_stayed_and_what_was_added_join_to_the_new_text(before: str, after: str) -> None:
    runs = changes(before, after)
    assert "".join(text for kind, text in runs if kind != "removed") == after
    assert not any(kind == "removed" for kind, _ in changes(after, after))


def test_links_hashtags_and_handles_are_told_from_text_also_across_the_fold() -> None:
    assert linked("see acme.com #go @ana 🎉", 8) == (
        (("see ", False), ("acme", True)),
        ((".com", True), (" ", False), ("#go", True), (" ", False), ("@ana", True), (" 🎉", False)),
    )


def test_only_a_post_beyond_280_is_folded() -> None:
    assert shown("a" * 280, 4000).folded == ()
    assert shown("a" * 281, 4000).folded == (("a", False),)


def test_a_card_says_what_changed_and_which_words_a_rule_touches() -> None:
    card = card_of(CANDIDATE, "New shoes on Monday.", 280)
    assert [kind for kind, _ in card.changed] == ["same", "removed", "added", "same"]
    assert [touched for _, touched in card.findings] == ["shoes"]
    assert card.compare == "/studio/compare?a=New+shoes+on+Monday.&b=New+shoes.+On+Monday."


def test_two_texts_too_long_for_an_address_have_no_link_to_compare() -> None:
    assert card_of(CANDIDATE | {"text": "語" * 1000}, "字" * 1000, 4000).compare is None


def test_the_own_text_is_one_of_the_cards_unless_it_is_none_to_post() -> None:
    def texts(best: str | None) -> list[str]:
        return [card.candidate["source"] for card in cards_of([CANDIDATE], best, "Mine.", None, 280)]

    assert texts("yours") == ["own", "template"]
    assert texts("candidate") == ["template", "own"]
    assert texts(None) == ["template"]
    assert cards_of(None, None, "Mine.", None, 280) == ()


def test_a_candidate_that_is_the_own_text_stands_there_once() -> None:
    (card,) = cards_of([CANDIDATE], "candidate", CANDIDATE["text"], None, 280)
    assert card.own
    assert card.changed == ()


def test_a_form_is_read_as_it_was_filled_in_and_written_again_the_same() -> None:
    form = {"draft": [" Cafe\u0301\r\n"], "n": ["x"], "objectives": ["sales", "clicks"], "language": [""]}
    asked = Asked.of(Form(form))
    assert (asked.draft, asked.n) == (unicodedata.normalize("NFC", "Café"), -1)
    assert "language" not in asked.body()
    again: dict[str, list[str]] = {}
    for name, value in asked.fields():
        again.setdefault(name, []).append(value)
    assert Asked.of(Form(again)) == asked
