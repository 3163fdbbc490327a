"""What is advised follows the goal, the field and the readers, and names what is missing."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from pipelines.editing.advice import MAX_ADVICE, PATH, advice, edits, load_advice
from pipelines.records import Analysis, Language, Objective, Query, Readability
from pipelines.text.tweets import Entity

QUERIES = [
    "We launch our new eco-friendly running shoes next week",
    "Our bakery opens a second shop in Leeds on Friday",
    "Free webinar on budgeting for freelancers",
    "Anunciamos nuestra nueva línea de ropa reciclada",
    "Save 20% on all plants until Sunday https://example.com/plants",
    "Which feature should we build next?",
    "Thank you @ana for the photos of the marathon",
    "Our API is now twice as fast",
    "Visita el museo gratis este domingo",
    "Volunteers needed for the beach cleanup",
    "The new season of our podcast starts today",
    "Three tips for better sleep",
    "Join 500 teachers at our spring conference",
    "Nuevo menú de otoño en el restaurante",
    "We raised a seed round to fight food waste",
    "How we cut our cloud bill in half",
    "A vegan cheese that melts",
    "Book your dental check-up online",
    "Descubre rutas para viajar en tren",
    "Our team is hiring a data engineer",
    "The city opens three new bike lanes",
    "Watch the replay of last night's match",
    "Learn to paint in one weekend",
    "Electric cars for small businesses",
    "Regala música en vivo esta Navidad",
    "An insurance that pays in a day",
    "Dog food made from insects",
    "Play our game for free this weekend",
    "Why we publish our salaries",
    "Solar panels without an upfront cost",
]
CHANGES = {
    "objectives": [{"objectives": (objective,)} for objective in get_args(Objective)],
    "industry": [
        {"industry": name} for name in ("sportswear", "banking", "software", "museums", "e-commerce", "other")
    ],
    "audience": [{"audience": name} for name in ("developers", "students", "founders", "parents", "runners", "people")],
}


def actions(query: Query, language: Language = "en", analysis: Analysis | None = None) -> list[str]:
    return [tip.action for tip in advice(query, analysis, language)]


@pytest.mark.parametrize("field", ["objectives", "industry", "audience"])
def test_another_goal_field_or_reader_changes_the_advice(field: str) -> None:
    changed = 0
    for index, text in enumerate(QUERIES):
        before, after = CHANGES[field][index % 6], CHANGES[field][(index + 1) % 6]
        changed += actions(Query(query=text, **before)) != actions(Query(query=text, **after))
    assert changed >= 0.8 * len(QUERIES)


def test_advice_is_given_in_the_language_of_the_text() -> None:
    query = Query(query="x", industry="banca", audience="desarrolladores", objectives=("sales",))
    assert not set(actions(query, "en")) & set(actions(query, "es"))


def test_what_is_there_already_is_not_asked_for() -> None:
    link = Entity("https://example.com", "URL", 0, 19)
    analysis = Analysis(language="en", weighted_length=23, valid=True, entities=(link,))
    query = Query(query="https://example.com", objectives=("clicks",))
    assert "Add the link; without one nobody can click." in actions(query)
    assert "Add the link; without one nobody can click." not in actions(query, analysis=analysis)


def test_hard_reading_is_said_except_to_experts() -> None:
    hard = Analysis(language="en", weighted_length=9, valid=True, readability=Readability("flesch", 20.0))
    tip = load_advice()["hard_to_read"]["en"]
    assert tip in actions(Query(query="x", audience="parents"), analysis=hard)
    assert tip not in actions(Query(query="x", audience="developers"), analysis=hard)


def test_there_is_never_too_much_advice_and_none_of_it_twice() -> None:
    found = actions(Query(query="x", industry="a", audience="b", objectives=get_args(Objective)))
    assert len(found) == len(set(found)) == MAX_ADVICE


def test_every_objective_has_advice_in_both_languages() -> None:
    content = json.loads(PATH.read_text(encoding="utf-8"))
    assert content["objectives"].keys() == set(get_args(Objective))
    tips = [tip for of in content["objectives"].values() for tip in of]
    for tip in [*tips, *content["industries"], *content["audiences"], content["hard_to_read"]]:
        assert tip["en"].endswith(".")
        assert tip["es"].endswith(".")


@pytest.mark.parametrize("given", ["", "((", "$^|", "a" * 120, "\U0001f600", "artificial intelligence", "\u00c9lite"])
def test_any_industry_or_audience_is_taken(given: str) -> None:
    assert actions(Query(query="x", industry=given, audience=given))


def test_an_edit_is_named_in_the_language_of_the_text() -> None:
    assert [tip.action for tip in edits("Hola #a #b", "es")] == ["Deja solo la primera etiqueta."]
