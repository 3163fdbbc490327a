"""Each edit says the same in other words, and does nothing where it does not fit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.editing.edits import (
    EDITS,
    Setting,
    calm_capitals,
    close_for_objective,
    keep_one_hashtag,
    single_punctuation,
    split_lines,
)
from pipelines.editing.sharpen import drop_fillers, load_words, sharpen_verbs
from pipelines.records import Language, Objective
from pipelines.text.facts import keeps_facts
from pipelines.text.sentences import sentences
from pipelines.text.tweets import entities

LINK = "https://shop.example.com/new?size=9.5"
LONG = (
    "Our running shoes are here, which is nice. They are made in Spain. We sold 500 pairs in one day! "
    "Great fun for the whole team (and the dog). Come by and see our shop."
)


def words_of(text: str) -> list[str]:
    return [sentence for sentence, _ in sentences(text)]


@pytest.mark.parametrize("text", ["Short. Text.", f"{LONG}\nAnother line.", "x" * 200])
def test_short_texts_and_those_with_lines_are_not_split(text: str) -> None:
    assert split_lines(text) == []


def test_a_long_text_is_split_after_the_first_sentence_or_after_each() -> None:
    first, every = split_lines(LONG)
    assert first.count("\n\n") == 1
    assert every.split("\n\n") == words_of(LONG)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "A decision was made. We make shoes."),
        ("en", "The cake is made use of"),
        ("en", "#makeuseof https://example.com/make use"),
        ("en", "We are not able to come"),
        ("en", "What does a review of my CV cost?"),
        ("en", "Does a review of my CV help?"),
        ("en", "Neither did an analysis of the data."),
        ("en", "What makes a decision hard?"),
        ("en", "Treat staff with respect to build trust"),
        ("en", "We made changes to help you"),
        ("en", "We offer support to build trust"),
        ("es", "Nos ponemos en marcha"),
        ("es", "El curso se lleva a cabo aquí"),
        ("es", "El tren se acerca de noche"),
        ("es", "Incapaz de volar"),
    ],
)
def test_what_is_no_weak_construction_stays(language: Language, text: str) -> None:
    assert sharpen_verbs(text, language) == []


@pytest.mark.parametrize(
    ("language", "text", "edited"),
    [
        ("en", "In order to grow, we made a decision.", "To grow, we decided."),
        ("en", "She makes a decision about shoes", "She decides about shoes"),
        ("en", "Making use of the sun", "Using the sun"),
        ("en", "I'm able to run", "I can run"),
        ("en", "We\u2019re able to run", "We can run"),
        ("en", "Everybody is able to join", "Everybody can join"),
        ("en", "You will be able to join", "You can join"),
        ("en", "He took the plan. She has taken into account all.", "He took the plan. She has considered all."),
        ("en", "Conducting an analysis of data", "Analyzing data"),
        ("en", "We came to an agreement", "We agreed"),
        ("en", "We did a review of the shops", "We reviewed the shops"),
        ("en", "With respect to the date, we wait", "About the date, we wait"),
        ("en", "They made changes to their menu", "They changed their menu"),
        ("en", "It gives support to farmers", "It supports farmers"),
        ("en", "Due to the fact that it rains", "Because it rains"),
        ("es", "Hacemos uso de la luz", "Usamos la luz"),
        ("es", "Hicieron uso del sol", "Usaron el sol"),
        ("es", "Hemos hecho uso de todo", "Hemos usado todo"),
        ("es", "Haz uso de la app", "Usa la app"),
        ("es", "Tomaremos una decisión", "Decidiremos"),
        ("es", "Ten en cuenta el plazo", "Considera el plazo"),
        ("es", "Pondrán en marcha el plan", "Lanzarán el plan"),
        ("es", "Que pongan en marcha el plan", "Que lancen el plan"),
        ("es", "Hice un análisis de la luz", "Analicé la luz"),
        ("es", "Dimos comienzo al curso", "Arrancamos el curso"),
        ("es", "Dan respuesta a todos", "Responden a todos"),
        ("es", "Son capaces de volar", "Pueden volar"),
        ("es", "Con el fin de crecer", "Para crecer"),
    ],
)
def test_a_weak_construction_becomes_a_verb_in_the_same_form(language: Language, text: str, edited: str) -> None:
    assert sharpen_verbs(text, language)[0] == edited


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "It is not very good and we don't really know"),
        ("en", "A very old shoe, just in time, thank you very much"),
        ("en", "Really? Very!"),
        ("en", "Simply put, we failed"),
        ("en", "Put simply we failed"),
        ("en", "Just Eat and Simply Red are names"),
        ("en", "#very @really https://example.com/just"),
        ("en", "A just cause, at this very moment"),
        ("es", "No muy lejos, ni realmente cerca"),
        ("es", "Muy de mañana. ¿Realmente?"),
        ("es", "Dicho sencillamente no llegamos"),
    ],
)
def test_fillers_that_carry_something_stay(language: Language, text: str) -> None:
    assert drop_fillers(text, language) == []


@pytest.mark.parametrize(
    ("language", "text", "edited"),
    [
        ("en", "Really love a very good shoe", "Love a good shoe"),
        ("en", "We just launched. It is very, really fast", "We launched. It is very, fast"),
        ("en", "A very good day. Just look!", "A good day. Look!"),
        ("es", "Muy contentos con algo realmente útil", "Contentos con algo útil"),
    ],
)
def test_fillers_go(language: Language, text: str, edited: str) -> None:
    assert drop_fillers(text, language) == [edited]


@pytest.mark.parametrize(
    ("language", "text", "objectives"),
    [
        ("en", "Our shoes are out.", ()),
        ("en", "Our shoes are out.", ("awareness",)),
        ("en", "Our shoes are out.", ("clicks", "signups", "sales")),
        ("en", "Have you seen our shoes?", ("engagement", "community")),
        ("en", "Read it here: https://example.com/a", ("clicks",)),
        ("en", "Read it at https://example.com/a", ("clicks",)),
        ("en", "https://example.com/a is our page", ("clicks",)),
        ("en", "We mourn the victims of the fire.", ("engagement",)),
        ("en", "#shoes https://example.com/a", ("engagement", "clicks")),
        ("en", "Our shoes:", ("engagement",)),
        ("es", "Lamentamos el accidente.", ("community",)),
        ("es", "Descúbrelo en https://example.com/a", ("sales",)),
    ],
)
def test_no_question_and_no_call_where_it_does_not_fit(
    language: Language, text: str, objectives: tuple[Objective, ...]
) -> None:
    assert close_for_objective(text, language, objectives, asks=True) == []


@pytest.mark.parametrize(
    ("language", "text", "objective", "edited"),
    [
        ("en", "Tea should be free", "engagement", "Tea should be free. Do you agree?"),
        ("en", "Hot take: tea first! 🎉", "engagement", "Hot take: tea first! 🎉 Do you agree?"),
        ("en", "Unpopular opinion: buses. #bus", "engagement", "Unpopular opinion: buses. Do you agree? #bus"),
        ("en", "I think so.\n\nSo: run", "engagement", "I think so.\n\nSo: run\n\nDo you agree?"),
        ("en", "Shoes are out https://example.com", "clicks", "Shoes are out. More here: https://example.com"),
        ("en", "We run.\n\nexample.com #run", "signups", "We run.\n\nSign up here: example.com #run"),
        ("es", "El pan debería ser gratis", "community", "El pan debería ser gratis. ¿De acuerdo?"),
        ("es", "Ya está. https://example.com", "sales", "Ya está. Más aquí: https://example.com"),
    ],
)
def test_a_text_ends_as_its_objective_wants_it(
    language: Language, text: str, objective: Objective, edited: str
) -> None:
    assert close_for_objective(text, language, (objective,), asks=True)[0] == edited


@pytest.mark.parametrize(
    "text",
    [
        "Our shoes are out.",
        "Our CEO resigned today after an investigation into harassment.",
        "Today we said goodbye to 120 colleagues.",
        "The stock fell 8 %.",
        "The road is closed from Monday.",
    ],
)
def test_no_question_is_put_under_what_nobody_can_agree_with(text: str) -> None:
    assert close_for_objective(text, "en", ("engagement", "community"), asks=True) == []


def test_no_question_is_put_where_the_caller_holds_that_it_does_not_suit() -> None:
    assert close_for_objective("Tea should be free.", "en", ("engagement",), asks=False) == []


@pytest.mark.parametrize("text", ["Tea should be free.", "Shoes are out https://example.com", "Our festival is off."])
def test_nothing_is_added_under_sober_news(text: str) -> None:
    setting = Setting("en", ("engagement", "clicks"), asks=True, sober=True)
    assert EDITS["close_for_objective"](text, setting) == []


@pytest.mark.parametrize(
    "text",
    [
        "Ab Montag gibt es frisches Brot. Wir freuen uns sehr auf euch alle in der neuen Filiale am Markt in Köln!!",
        "Fırınımız pazartesi açılıyor.",  # noqa: RUF001
        "Onze winkel opent maandag. Kom langs voor koffie en gebak bij de nieuwe winkel aan de gracht in Utrecht.",
        "ÖFFNET AM MONTAG https://example.com #a #b",
        "نفتح متجرنا يوم الاثنين.",
    ],
)
def test_no_word_is_added_to_a_language_that_nobody_speaks_here(text: str) -> None:
    setting = Setting(None, ("engagement", "community", "clicks"), asks=True)
    for edit in EDITS.values():
        for edited in edit(text, setting):
            assert set(edited.casefold().split()) <= {
                *text.casefold().split(),
                *text.casefold().replace("!!", "!").split(),
            }


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("One #tag alone", "One #tag alone"),
        ("https://example.org/#a and C#", "https://example.org/#a and C#"),
        ("We love #running in #Paris. #fun #run", "We love #running in Paris."),
        ("Run #a #b https://example.com/#c", "Run #a https://example.com/#c"),
        ("Para #ti y #todos", "Para #ti y todos"),
    ],
)
def test_one_hashtag_stays_and_no_sentence_loses_a_word(text: str, edited: str) -> None:
    assert keep_one_hashtag(text) == edited


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("We like NASA", "We like NASA"),
        ("BUY NOW! IT IS CHEAP.", "Buy now! It is cheap."),
        ("READY: SET GO", "Ready: set go"),
        ("¡COMPRA YA! ¿POR QUÉ ESPERAR?", "¡Compra ya! ¿Por qué esperar?"),
        ("SEE HTTPS://EXAMPLE.COM/AbC AND @ACME #NOW", "See HTTPS://EXAMPLE.COM/AbC and @ACME #NOW"),
    ],
)
def test_shouting_becomes_calm(text: str, edited: str) -> None:
    assert calm_capitals(text) == edited


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("Really? Yes!", "Really? Yes!"),
        ("https://example.com/a?!!b=1 fine", "https://example.com/a?!!b=1 fine"),
        ("Really?!! Yes!!!", "Really? Yes!"),
        ("¡¡¡Hola!!! ¿¿Vienes?? ¡¿Qué?!", "¡Hola! ¿Vienes? ¿Qué?"),
    ],
)
def test_one_mark_is_left_of_a_run(text: str, edited: str) -> None:
    assert single_punctuation(text) == edited


def test_what_edits_add_states_nothing() -> None:
    for words in load_words().values():
        for phrase in [phrase for of in words["closings"].values() for phrase in of]:
            assert keeps_facts("", phrase), phrase
            assert not entities(phrase)


@settings(deadline=None)
@given(st.text('aAzñ .!?¡¿\n"(#@1,;\u2014\U0001f389', max_size=120))
def test_no_edit_breaks_on_any_text_or_leaves_none(text: str) -> None:
    for language in ("en", "es", None):
        setting = Setting(language, ("engagement", "clicks"), asks=True)
        assert all(edited.strip() for edit in EDITS.values() for edited in edit(text, setting))
