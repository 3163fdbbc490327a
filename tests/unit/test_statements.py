"""What can be posted as it is, and what is only a topic, a row of notes or a request."""

from __future__ import annotations

import pytest

from pipelines.editing.statements import is_statement
from pipelines.records import Language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("our choir director Owen Pryce died last night. rehearsal tomorrow is cancelled", "en"),
        ("Does anyone know a good plumber in Leeds?", "en"),
        ("a strategy with twelve priorities is a list of things nobody dared to say no to", "en"),
        ("no bread tomorow. Ali's mother died and we are all going to the funeral. back thursday", "en"),
        ("stop throwing away shoes. we resole boots from 45 euro", "en"),
        ("Thank you to everyone who came on Saturday.", "en"),
        ("Tax the rich. They can afford it.", "en"),
        ("cerramos por vacaciones del 5 al 25 de agosto, volvemos el 26", "es"),
        ("el crossfit no es para todos y esta bien", "es"),
        ("quien se apunta el lunes?", "es"),
        ("subio la luz, subio el alquiler, el cafe no sube", "es"),
    ],
)
def test_this_says_something(text: str, language: Language) -> None:
    assert is_statement(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("winter tyres", "en"),
        ("hiring your first employee", "en"),
        ("write a tweet about our new shoes", "en"),
        ("can you write a post about recycling?", "en"),
        ("tattoo flash day, fri 13 june, 11am til 8pm, 60 to 120 quid, cash or card", "en"),
        ("lost cat tabby white paw Elm Grove since tues shy dont chase call 555 0133", "en"),
        ("the sentence that got me my first client in Lagos", "en"),
        ("if i could go back to my first day as a paramedic", "en"),
        ("half the recipe is missing from my aunts notebook and", "en"),
        ("🎉🎉 https://example.org", "en"),
        ("escribe un tuit sobre nuestra tienda", "es"),
        ("elegir talla de jeans online", "es"),
        ("clases de guitarra online, 12 usd la hora, primera gratis", "es"),
        ("burnout en maestros", "es"),
    ],
)
def test_this_says_nothing_yet(text: str, language: Language) -> None:
    assert not is_statement(text, language)
