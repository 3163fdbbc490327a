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
EVERY = get_args(Objective)


def actions(query: Query, language: Language = "en", analysis: Analysis | None = None) -> list[str]:
    return [tip.action for tip in advice(query, analysis, language)]


def test_another_goal_changes_the_advice() -> None:
    changed = 0
    for index, text in enumerate(QUERIES):
        before, after = EVERY[index % 6], EVERY[(index + 1) % 6]
        changed += actions(Query(query=text, objectives=(before,))) != actions(Query(query=text, objectives=(after,)))
    assert changed >= 0.7 * len(QUERIES)


def test_the_field_and_the_readers_add_what_the_text_lacks() -> None:
    text = "Our new app is out"
    plain = actions(Query(query=text))
    assert set(actions(Query(query=text, industry="software"))) - set(plain)
    assert set(actions(Query(query=text, audience="developers"))) - set(plain)
    assert actions(Query(query=text, industry="other", audience="people")) == plain
    assert not set(actions(Query(query="It starts in 2 seconds", industry="software"))) - set(plain)


SOBER = [
    "Maria Lopez, our founder, passed away on Sunday.",
    "A fire broke out in our warehouse last night. Nobody was hurt.",
    "Our CEO resigned today.",
    "The road is closed from Monday.",
]


@pytest.mark.parametrize("text", SOBER)
def test_nothing_that_sells_is_advised_for_sober_news(text: str) -> None:
    query = Query(query=text, industry="fashion", audience="founders", objectives=EVERY)
    assert [tip.action for tip in advice(query, None, "en", sober=True)] == []
    hard = Analysis(language="en", weighted_length=9, valid=True, readability=Readability("flesch", 20.0))
    assert [tip.action for tip in advice(query, hard, "en", sober=True)] == [load_advice()["hard_to_read"]["en"]]


@pytest.mark.parametrize(
    ("text", "objective", "tip"),
    [
        ("Tea or coffee?", "engagement", "Ask one question"),
        ("I think tea should be free", "engagement", "Say what you think"),
        ("Thanks to all", "community", "Say thanks"),
        ("Only 9 € until Friday https://example.com", "sales", "Link to"),
        ("Get a free guide", "signups", "Say what one gets"),
        ("We are open", "awareness", "Cut it to"),
    ],
)
def test_what_the_text_does_is_not_advised(text: str, objective: Objective, tip: str) -> None:
    assert not [action for action in actions(Query(query=text, objectives=(objective,))) if action.startswith(tip)]


def test_advice_is_given_in_the_language_of_the_text() -> None:
    query = Query(query="x", industry="banca", audience="desarrolladores", objectives=("sales",))
    assert not set(actions(query, "en")) & set(actions(query, "es"))


def test_what_is_there_already_is_not_asked_for() -> None:
    link = Entity("https://example.com", "URL", 0, 19)
    analysis = Analysis(language="en", weighted_length=23, valid=True, entities=(link,))
    tip = "Add the link; without one nobody can click."
    assert tip in actions(Query(query="Our shop", objectives=("clicks",)))
    assert tip not in actions(Query(query="https://example.com", objectives=("clicks",)))
    assert tip not in actions(Query(query="Our shop", objectives=("clicks",)), analysis=analysis)


def test_hard_reading_is_said_except_to_experts() -> None:
    hard = Analysis(language="en", weighted_length=9, valid=True, readability=Readability("flesch", 20.0))
    tip = load_advice()["hard_to_read"]["en"]
    assert tip in actions(Query(query="x", audience="parents"), analysis=hard)
    assert tip not in actions(Query(query="x", audience="developers"), analysis=hard)


def test_there_is_never_too_much_advice_and_none_of_it_twice() -> None:
    found = actions(Query(query="x", industry="software", audience="founders", objectives=get_args(Objective)))
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
    assert actions(Query(query="x", industry=given, audience=given)) is not None


def test_an_edit_is_named_in_the_language_of_the_text() -> None:
    assert [tip.action for tip in edits("Hola #a #b", "es")] == ["Deja solo la primera etiqueta."]
    assert [tip.text for tip in edits("ya estan aqui los zapatos", "es")] == ["Ya están aquí los zapatos."]
    assert [tip.action for tip in edits("Hallo #a #b", None)] == ["Keep only the first hashtag."]
