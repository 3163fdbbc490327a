"""No text begins or ends at an abbreviation; a date, a number and its unit, a placeholder stay whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.editing.shorten import shorten
from pipelines.text.borders import clause_borders, word_borders
from pipelines.text.sentences import capitalized, sentences

WHOLE = [
    "The fair opens on Oct. 9 in Leeds.",
    "Our shop on 5th Ave. opens on Friday.",
    "Lunch is served from 12 p.m. to 2 p.m.",
    "Meet us at booth No. 12 in hall 3 on Nov. 4.",
    "Prices start at approx. 30 euros vs. 45 euros last year.",
    "The hall opens at 9 a.m. on Sept. 12 with free coffee",
    "Join {event} in Bristol on Tuesday.",
    "Use code {FIRSTNAME} at checkout, valid until Friday",
    "Hello {{user. name}} and {what? Yes} here",
    "Dear [FIRST NAME], we have news",
    "We shot it at 5 St. James Sq. in two days.",
    "Ask Capt. Ruiz, Sgt. Low and Gov. Paz about it.",
    "Lots of fruit, e.g. apples, i.e. from the farm, incl. pears.",
    "See vol. 3, chap. 4, pp. 12 to 15.",
    "Open Mon. 9 to 5, Sat. 10 to 2, Sun. 11 to 1.",
    "It weighs max. 5 kg and min. 2 kg.",
    "The talk by J. K. Low at the U.S. Embassy",
    "Nos vemos en la Av. Colón 1200, núm. 3, a las 9 a.m. del lunes.",
    "La Sra. Paz y el Dr. Ruiz, del Dpto. Técnico, están aquí.",
    "Llame al tel. 555 0142 o al art. 12 de la pág. 4.",
    "Cuesta aprox. 30 € por Ud. y por día.",
    "El 3 de ene. de 2027 abre la C/ Mayor, esq. Sol.",
    "EE. UU. y la ONU firman",
    "Wait... what is this",
]


@pytest.mark.parametrize("text", WHOLE)
def test_an_abbreviation_or_a_placeholder_ends_no_sentence(text: str) -> None:
    assert [sentence for sentence, _ in sentences(text)] == [text]


@pytest.mark.parametrize("text", WHOLE)
def test_an_abbreviation_ends_no_sentence_that_is_typed_in_haste(text: str) -> None:
    assert [sentence for sentence, _ in sentences(text.lower(), hasty=True)] == [text.lower()]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("No. We stay.", ["No.", "We stay."]),
        ("Enjoy the sun. We open at nine.", ["Enjoy the sun.", "We open at nine."]),
        ("We sat. Then we ate.", ["We sat.", "Then we ate."]),
        ("That is the max. Nobody gets more.", ["That is the max.", "Nobody gets more."]),
        ("Milk, eggs etc. We bring it.", ["Milk, eggs etc.", "We bring it."]),
        ("A year ago. It was cold.", ["A year ago.", "It was cold."]),
        ("We sell 100g. They cost 9.", ["We sell 100g.", "They cost 9."]),
        ("Your ticket: {{ticket.url}} Doors open.", ["Your ticket: {{ticket.url}} Doors open."]),
    ],
)
def test_a_word_that_is_also_an_abbreviation_ends_a_sentence(text: str, parts: list[str]) -> None:
    assert [sentence for sentence, _ in sentences(text)] == parts


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("The fair opens on Oct. 9 in Leeds", ["Oct. 9"]),
        ("Come on 3 May or May 4 at 9 p.m. sharp", ["3 May", "May 4", "9 p.m. sharp"]),
        ("Booth No. 12 costs € 30 or 45 euros now", ["No. 12", "€ 30", "45 euros"]),
        ("Call 0800 555 0170 today", ["0800 555 0170"]),
        ("It takes 20 minutes and 5 kg of 3 million", ["20 minutes", "5 kg", "3 million"]),
        ('She said "come in now" twice', ['"come in now"']),
        ("Hi {first name} there", ["{first name}"]),
        ("La Sra. Paz vive en la Av. Colón", ["Sra. Paz", "Av. Colón"]),
        ("El 14 de julio a las 9 h", ["14 de", "9 h"]),
    ],
)
def test_what_belongs_together_is_never_parted(text: str, whole: list[str]) -> None:
    for part in whole:
        start = text.index(part)
        assert not [span for span in word_borders(text) if start < span[0] < start + len(part)], part


@given(st.text(max_size=200))
def test_borders_are_white_space_within_the_text(text: str) -> None:
    for start, end in [*word_borders(text), *clause_borders(text)]:
        assert text[start:end].isspace()
        assert 0 < start < end < len(text)


@pytest.mark.parametrize("text", WHOLE)
@pytest.mark.parametrize("target", [10, 25, 40])
def test_no_shorter_text_ends_at_an_abbreviation(text: str, target: int) -> None:
    shorter = shorten(f"We are glad to be back with all of you. {text} Come by and say hello to us.", target)
    assert text.rstrip(".") in shorter or not any(
        shorter.endswith(end) for end in ("Oct.", "Ave.", "No.", "vs.", "Sra.")
    )


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("iOS only for now", "iOS only for now"),
        ("eBay took 13%", "eBay took 13%"),
        ("de Vries spoke first", "de Vries spoke first"),
        ("30 spots", "30 spots"),
        ("(only on Sunday)", "(Only on Sunday)"),
        ("¿quién viene?", "¿Quién viene?"),
    ],
)
def test_a_text_begins_with_a_capital_unless_its_first_word_has_a_case_of_its_own(text: str, begun: str) -> None:
    assert capitalized(text) == begun
