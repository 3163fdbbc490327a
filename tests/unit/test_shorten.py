"""A shorter text ends where sentences and clauses end, and states what the long one does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.editing.shorten import shorten
from pipelines.records import Language
from pipelines.text.facts import keeps_facts
from pipelines.text.sentences import sentences
from pipelines.text.tweets import weighted_length

LINK = "https://shop.example.com/new?size=9.5"
LONG = (
    "Our running shoes are here, which is nice. They are made in Spain. We sold 500 pairs in one day! "
    "Great fun for the whole team (and the dog). Come by and see our shop."
)


def words_of(text: str) -> list[str]:
    return [sentence for sentence, _ in sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith and Mr. J. Low are here",
        "No. 5 is alive",
        "Made in the U.S. Market",
        "We said (it is late. Go home) and left",
        'She said "Stop. Now." and left',
        f"Read {LINK} today",
        "1. Read the guide",
        "El Sr. Ruiz y la Dra. Paz",
        "Wait... what is this",
        "Come on Aug. 5 at noon",
        "They passed H.R. 886 today",
        "More where this came from... #shoes are here",
        "a line\nthat goes on",
    ],
)
def test_no_border_lies_within_a_sentence(text: str) -> None:
    assert words_of(text) == [text]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("No. We stay.", ["No.", "We stay."]),
        ("We won! 🎉🎉 Come by.", ["We won! 🎉🎉", "Come by."]),
        ("Out now\n\nread it", ["Out now", "read it"]),
        ("Out now\nRead it", ["Out now", "Read it"]),
        (f"Out now. {LINK}", ["Out now.", LINK]),
        ("all in lower case. and on.", ["all in lower case.", "and on."]),
        ("¡Hola! ¿Vienes? Sí.", ["¡Hola!", "¿Vienes?", "Sí."]),
        ("Thanks @ana. @bob too.", ["Thanks @ana.", "@bob too."]),
    ],
)
def test_sentences_end_where_a_reader_would_stop(text: str, parts: list[str]) -> None:
    assert words_of(text) == parts


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("We do not sell it. Never on Monday.", 10),
        (f"Read this {LINK}", 5),
        ("Ask @ana about 3 of them", 8),
        ("Word " * 30, 20),
        ("¿Vienes el lunes? Cuesta 20 €.", 6),
    ],
)
def test_what_cannot_be_shorter_keeps_its_facts_and_stays_too_long(text: str, target: int) -> None:
    shorter = shorten(text, target)
    assert weighted_length(shorter) > target
    assert keeps_facts(text, shorter)


@pytest.mark.parametrize(
    ("language", "text", "target", "shorter"),
    [
        ("en", LONG, 280, LONG),
        ("en", LONG, 145, LONG.replace("They are made in Spain. ", "")),
        ("en", LONG, 60, "Our running shoes are here. We sold 500 pairs in one day!"),
        ("en", "New shop. It opens soon. Come by.", 25, "New shop. It opens soon."),
        ("en", "We grew by 30% (thanks to all of you) in one year.", 30, "We grew by 30% in one year."),
        ("en", "We opened 3 shops, which makes all of us proud.", 30, "We opened 3 shops."),
        ("en", "We opened 3 shops today — a great day for us! 🎉", 30, "We opened 3 shops today! 🎉"),
        ("en", "We really love the 3 very good shops.", 30, "We love the 3 good shops."),
        ("en", f"Read all of it. Fun for all. {LINK}", 42, f"Read all of it. {LINK}"),
        ("en", "We run a 5k.\n\nFun for all.\n\nJoin us now. #run", 32, "We run a 5k.\n\nFun for all.\n\n#run"),
        ("en", f"Our shop (the big one) is open. Go to {LINK}", 50, f"Our shop is open. Go to {LINK}"),
        ("en", f"Our shop is open. Go to {LINK}", 33, f"Our shop is open. Go to {LINK}"),
        ("en", "They shouted in a theater. My 2¢", 20, "They shouted in a theater. My 2¢"),
        ("es", "Abrimos 3 tiendas, lo que nos alegra mucho.", 30, "Abrimos 3 tiendas."),
        ("es", "Vendimos 20 pares (gracias a todos) en un día.", 35, "Vendimos 20 pares en un día."),
        ("es", "Ya está aquí. ¡Qué ganas! Cuesta 20 €.", 30, "Ya está aquí. Cuesta 20 €."),
        ("es", "Tenemos 3 zapatos muy buenos", 25, "Tenemos 3 zapatos buenos"),
    ],
)
def test_a_text_is_cut_to_its_target_where_sentences_and_clauses_end(
    language: Language, text: str, target: int, shorter: str
) -> None:
    assert shorten(text, target, language) == shorter


@settings(deadline=None)
@given(st.text(max_size=300))
def test_sentences_are_the_text(text: str) -> None:
    assert "".join(sentence + gap for sentence, gap in sentences(text)) == text


@settings(deadline=None)
@given(st.text('aAzñ .!?¡¿\n"(#@1,;\u2014\U0001f389', max_size=120), st.integers(1, 100))
def test_a_shorter_text_keeps_the_facts_and_is_never_longer(text: str, target: int) -> None:
    shorter = shorten(text, target)
    assert keeps_facts(text, shorter)
    assert weighted_length(shorter) <= max(weighted_length(text), target)


@pytest.mark.parametrize(
    ("language", "text", "needed"),
    [
        (
            "en",
            "Our kettle can overheat. Stop using yours. Ask for a refund. We love you all.",
            ["Stop using", "Ask for"],
        ),
        ("en", "A night hike for all. Registration required. Great fun for the whole team.", ["Registration required"]),
        ("en", "The course begins soon. It is fun. You must be a member.", ["must be a member"]),
        ("en", "We paint on Sunday. Bring old clothes. We have a lovely view.", ["Bring old clothes"]),
        ("en", "Tickets are out. They go fast. Sales end when the last day is over.", ["last day"]),
        ("en", "Join {event} with us. It is lovely there. Your ticket: {{ticket.url}} is ready.", ["{{ticket.url}}"]),
        ("en", "New paper: we followed nurses for years. We found that sleep helps. It was fun.", ["sleep helps"]),
        ("es", "La tetera se calienta. Deja de usarla. Pide el reembolso. Os queremos mucho.", ["Deja de", "Pide"]),
        ("es", "Taller de cerámica. Es muy bonito. Imprescindible inscribirse.", ["Imprescindible"]),
    ],
)
def test_an_instruction_a_condition_and_the_first_sentence_stay(
    language: Language, text: str, needed: list[str]
) -> None:
    for target in (20, 40, 60):
        shorter = shorten(text, target, language)
        assert shorter.startswith(text.split(".", 1)[0])
        for part in needed:
            assert part in shorter


def test_a_text_in_a_language_that_nobody_speaks_here_is_not_cut() -> None:
    text = "Wir haben offen. Kommt alle vorbei. Es gibt Kuchen."
    assert shorten(text, 20, None) == text
