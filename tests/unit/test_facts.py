"""Facts: what an edit must keep and nobody may invent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.facts import facts, invents, keeps_facts


@pytest.mark.parametrize(
    ("original", "edited"),
    [
        ("Only 50 left.", "Only 15 left."),
        ("Only 50 left.", "Only a few left."),
        ("20% off", "20 off"),
        ("It costs $20.", "It costs €20."),
        ("We do not sell data.", "We sell data."),
        ("We don't sell data.", "We do sell data."),
        ("No vendemos datos.", "Vendemos datos."),
        ("Sin azúcar", "Con azúcar"),
        ("Ask @ana about it.", "Ask @anna about it."),
        ("See https://a.example/x", "See https://a.example/y"),
        ("Mail us: hi@shop.example", "Mail us: hi@shops.example"),
        ("Open on Monday", "Open on Tuesday"),
        ("Abrimos el lunes", "Abrimos el martes"),
        ("Three reasons", "Four reasons"),
        ("Open at 10:30", "Open at 10:45"),
        ("Sale", "Sale 2 for 1"),
        ("-30% on all summer dresses", "30% on all summer dresses"),
        ("\u221230 % on all dresses", "30 % on all dresses"),
        ("Now \u201330%", "Now 30%"),
        ("30 % off", "30 off"),
        ("It costs 12 €.", "It costs 12 £."),
        ("Salary €65-80k", "Salary €65"),
        ("Salary €65-80k", "Salary €65-80"),
        ("Del 14 al 19 de julio", "El 14 de julio"),
        ("Doors at 7 pm", "Doors at 7 am"),
        ("Join {event} in Bristol", "Join in Bristol"),
        ("Your ticket: {{ticket.url}}", "Your ticket: {{ticket"),
        ("Use code {FIRSTNAME}", "Use code {LASTNAME}"),
        ("Hi %FNAME%", "Hi"),
        ("Sale", "Sale at http://localhost/sale"),
    ],
)
def test_a_changed_lost_or_added_fact_is_seen(original: str, edited: str) -> None:
    assert not keeps_facts(original, edited)


@pytest.mark.parametrize(
    ("original", "edited"),
    [
        ("Only 50 left. Hurry!", "Hurry! Only 50 left."),
        ("We don\u2019t sell data.", "We don't sell data"),
        ("NOT FOR SALE", "Not for sale"),
        ("dont eat it, we wont open", "Don't eat it, we won't open"),
        ("Open on Monday, at 9.", "At 9, open on Monday"),
        ("Ask @Ana", "Ask @ana!"),
        ("Once you try it", "When you try it"),
        ("#iPhone15 is here", "It is here"),
        ("30% off", "30 % off"),
        ("Doors at 7pm", "Doors at 7 pm"),
        ("Open 8 -17", "Open 8 -17 daily"),
        ("Hi {name}, {{link}}", "{{link}}: hi {name}"),
    ],
)
def test_other_words_for_the_same_facts_keep_them(original: str, edited: str) -> None:
    assert keeps_facts(original, edited)


def test_a_filled_placeholder_is_no_fact_of_the_source() -> None:
    assert invents("Your ticket: {{ticket.url}}", "Your ticket: {{order.url}}") == {"{{order.url}}"}
    assert invents("Save 30 %", "Save -30 %") == {"-30%"}


def test_what_the_source_does_not_hold_is_invented() -> None:
    source = "Our sale ends on Friday: https://shop.example/sale"
    assert invents(source, "Sale! 50% off until Sunday with @ana, see https://evil.example") == {
        "50%",
        "sunday",
        "@ana",
        "https://evil.example",
    }
    assert invents(source, "Friday is the day: https://shop.example/sale https://shop.example/sale") == set()


@given(st.text(max_size=300))
def test_any_text_keeps_its_own_facts_and_invents_none(text: str) -> None:
    assert keeps_facts(text, text)
    assert invents(text, text) == set()
    assert all(count > 0 for count in facts(text).values())


@given(st.integers(0, 10**9), st.text("abcdefgh ,.!?", max_size=60))
def test_a_number_put_anywhere_is_an_invention(number: int, text: str) -> None:
    assert invents(text, f"{text} {number}") == {str(number)}


def test_an_accent_that_is_put_back_is_no_new_fact() -> None:
    assert keeps_facts("el sabado no hay ningun taller, jamas", "El sábado no hay ningún taller, jamás.")
    assert invents("abrimos el sabado", "Abrimos el miércoles.")


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("Pay with card 4111 1111 1111 1111, exp 12/28.", "Pay with card 4111, 1111 1111, exp 12/28."),
        ("Pay with card 4111 1111 1111 1111.", "Pay with card 4111, 1111 1111 1111."),
        ("Our hotline is 0800 111 111 222, it is free.", "Our hotline is 0800 111 111. 222, it is free."),
        ("Donate to 0012 3456 7890 1234 before Friday.", "Donate to 0012 3456 7890. 1234 before Friday."),
        ("Order 4000 1234 5678 9010 is late.", "Order 4000, 1234, 5678, 9010 is late."),
    ],
)
def test_a_long_number_in_groups_is_one_fact_that_no_edit_takes_apart(text: str, edited: str) -> None:
    assert not keeps_facts(text, edited)
    assert invents(text, edited)


def test_short_numbers_beside_each_other_are_facts_of_their_own() -> None:
    assert set(facts("Open 10 to 12 and 14 to 18 on 24 Dec 2026")) == {"10", "12", "14", "18", "24", "2026"}
