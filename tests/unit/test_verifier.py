"""The verifier: what a post may not state otherwise than its brief."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.generator.verifier import verify

CHANGED = [
    ("closed", "lost fact", "open daily 9-17, cafe closed until 3 may", "Open daily 9-17. The café is closed."),
    ("number", "new fact", "refund within 3 days of the game", "Refund within 4 days of the game."),
    ("number word", "new fact", "two slots left on friday", "Three slots left on Friday."),
    ("unit", "changed unit", "course takes 3 weeks and costs 40 euros", "The course takes 3 days and costs 40 euros."),
    ("currency", "changed unit", "tickets are €30 at the door", "Tickets are £30 at the door."),
    ("sign", "changed sign", "-30% on all summer dresses", "30% on all summer dresses."),
    ("link", "new fact", "read it at https://example.org/a", "Read it at https://example.org/b"),
    ("placeholder", "lost fact", "hi {FIRSTNAME}, doors open at 7pm", "Hi, doors open at 7pm."),
    ("tag", "new fact", "chess club on monday", "Chess club on Monday. #chess"),
    ("day", "new fact", "bread sale on saturday", "Bread sale on Sunday."),
    ("date", "torn date", "fair on 5 may, sign up by 12 april", "Fair on 12 May, sign up by 5 April."),
    ("negation", "lost negation", "no data was lost in the outage", "Data was lost in the outage."),
    ("added negation", "new negation", "we sell your old bike", "We don't sell your old bike."),
    ("opposite", "opposite", "the worst night shift of my life", "The best night shift of my life."),
    (
        "person",
        "changed person",
        "we pay for food and vet, you walk the dog",
        "You pay for food and vet and walk the dog.",
    ),
    ("direction", "reversed", "from nurse to beekeeper, an interview", "From beekeeper to nurse, an interview."),
    ("instruction", "lost part", "recall: kettle K2 can leak, dont repair it", "Recall: kettle K2 can leak."),
    (
        "quality",
        "new quality",
        "honey from our village, 5 euros a jar",
        "Delicious honey from our village, 5 euros a jar.",
    ),
    ("filler", "filler", "the library opens at 9", "Exciting news: the library opens at 9."),
    ("cut", "amputated", "the library opens at 9 with a reading", "The library opens at 9 with a"),
    ("bracket", "amputated", "the library opens at 9 (back door)", "The library opens at 9 (back door"),
    ("doubled", "doubled", "the library opens at 9", "The the library opens at 9."),
    ("copied typo", "slip", "we do deliverys on monday", "We do deliverys on Monday."),
]
KEPT = [
    ("bread sale on sat", "Bread sale on Saturday."),
    ("fair on 5 oct at 2pm", "The fair is on 5 October at 2 pm."),
    ("opens 14:00", "Opens 2pm."),
    ("ticket £4.50", "The ticket is 4.50 pounds."),
    ("only 3 slots left", "Only three slots left."),
    ("30 dollars for adults", "$30 for adults."),
    ("prize is 12,480 euros", "The prize is €12480."),
    ("tickets without a fee", "No fee for tickets."),
    ("lanes mon-fri 6-9", "Lanes Monday to Friday, 6-9."),
    ("pay 60-70k, 4 day week", "4 day week, pay 60-70k."),
    ("bring ur own cup tomorow", "Bring your own cup tomorrow."),
]
NAMES = [
    "the library", "our workshop", "the night market", "choir practice", "the repair café", "our reading group",
]  # fmt: skip
SENTENCES = st.builds(
    lambda name, price, hour, link, handle, tag: (
        f"Registration for {name} is open. It costs £{price} and starts at {hour}:30, "
        f"but there is no parking. Ask @{handle} or see https://example.org/{link} #{tag} {{{{code}}}}"
    ),
    st.sampled_from(NAMES),
    st.integers(2, 900),
    st.integers(7, 22),
    st.text("abcdefgh", min_size=3, max_size=6),
    st.text("klmnop", min_size=4, max_size=8),
    st.text("qrstuv", min_size=4, max_size=8),
)


@pytest.mark.parametrize(("rule", "brief", "post"), [case[1:] for case in CHANGED], ids=[case[0] for case in CHANGED])
def test_a_changed_lost_or_added_thing_is_objected_to(rule: str, brief: str, post: str) -> None:
    assert rule in {objection.rule for objection in verify(brief, post, "en")}


@pytest.mark.parametrize(("brief", "post"), KEPT)
def test_the_same_said_in_other_signs_passes(brief: str, post: str) -> None:
    assert verify(brief, post, "en") == ()


@pytest.mark.parametrize(
    ("rule", "brief", "post"),
    [
        ("new fact", "taller de pan el sabado a las 10", "Taller de pan el domingo a las 10."),
        ("lost negation", "no hay clase el lunes", "Hay clase el lunes."),
        ("changed unit", "entrada 5 €", "Entrada: 5 dólares."),
        ("new fact", "quedan dos plazas", "Quedan tres plazas."),
        ("amputated", "abrimos el lunes con desayuno", "Abrimos el lunes con"),
        ("filler", "abrimos el lunes con desayuno", "Por cierto, abrimos el lunes con desayuno."),
    ],
)
def test_spanish_is_read_in_the_same_way(rule: str, brief: str, post: str) -> None:
    assert rule in {objection.rule for objection in verify(brief, post, "es")}


def test_a_spanish_post_with_its_accents_put_right_passes() -> None:
    assert verify("taller de pan el sabado a las 10, 12€", "Taller de pan el sábado a las 10: 12 €.", "es") == ()


def test_a_bare_topic_may_be_gone_beyond_but_not_with_a_number() -> None:
    assert (
        verify("houseplants in winter", "Water less when the days are short. Roots rot before leaves show it.", "en")
        == ()
    )
    assert verify("houseplants in winter", "74% of houseplants drown in winter.", "en") != ()


@settings(max_examples=60, deadline=None)
@given(SENTENCES)
def test_a_brief_that_needs_no_mending_passes_as_it_is(brief: str) -> None:
    assert verify(brief, brief, "en") == ()


@settings(max_examples=60, deadline=None)
@given(SENTENCES, st.sampled_from(["£", ":30", "@", "https", "#", "{{", " no "]))
def test_a_fact_or_negation_that_is_dropped_is_always_seen(brief: str, mark: str) -> None:
    if mark == " no ":
        post = brief.replace(" no ", " ")
    else:
        post = " ".join(word for word in brief.split() if mark not in word)
    assert verify(brief, post, "en") != ()


@settings(max_examples=60, deadline=None)
@given(SENTENCES, st.integers(901, 9999))
def test_a_number_that_is_changed_or_added_is_always_seen(brief: str, number: int) -> None:
    price = next(word for word in brief.split() if word.startswith("£"))
    assert verify(brief, brief.replace(price, f"£{number}"), "en") != ()
    assert verify(brief, f"{brief} {number} came last year.", "en") != ()


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.sampled_from(["@", "#", "https://example.org/"]))
def test_a_changed_handle_tag_or_link_is_always_seen(brief: str, sign: str) -> None:
    assert verify(brief, brief.replace(sign, f"{sign}z"), "en") != ()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200), st.sampled_from(["en", "es"]))
def test_any_two_texts_get_an_answer(brief: str, post: str, language: str) -> None:
    verify(brief, post, language)  # type: ignore[arg-type]
