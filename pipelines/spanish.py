"""Fills the slots of Spanish frames with what a brief holds; a slot that cannot be right is left out.

It tells noun phrases, their gender and number by the query's own determiners, by adjectives that agree, by endings and
by small lists (pipelines/spanish_words.py). It knows no meaning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.generator.phrases import COMMON_SLOTS, capitalized, common_slots, one_line
from pipelines.spanish_clauses import cuts, says_again, shortened
from pipelines.spanish_grammar import is_verb
from pipelines.spanish_kinds import COUNTED, PEOPLE, kind_of
from pipelines.spanish_messages import MESSAGES, find_message, plain_title
from pipelines.spanish_nouns import NounPhrase, find_topic
from pipelines.spanish_sentences import read_clauses
from pipelines.spanish_wording import is_timed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.records import Brief

VOICES = {"we": {"nos": "nos", "leemos": "leemos"}, "I": {"nos": "me", "leemos": "leo"}}
SLOTS = COMMON_SLOTS | VOICES["we"].keys() | MESSAGES | {
    "topic", "Topic", "el_topic", "El_topic", "un_topic", "Un_topic", "del_topic", "al_topic", "lo", "Lo", "es",
    "interesa", "evento", "Evento", "al_evento", "propio", "Propio", "buscado", "recomendado", "vivido", "del_asunto",
    "accion", "hecho", "variante", "lista", "pregunta", "duda", "titular", "titulo", "Titulo", "cabeza", "Cabeza",
    "resto", "Resto", "enlace", "tu", "usted", "sin_enlace",
}  # fmt: skip
PARTED = es.word_set("con sin para en el los cada este esta a")
MAX_HASHTAG_WORDS, MIN_SAID = 3, 4
MAX_COPIED_WORDS = 6


def slots(brief: Brief) -> dict[str, str]:
    """Return the slots that the brief fills with correct grammar, by name; names are a subset of SLOTS.

    {topic} is the noun phrase without an article: a single word keeps the one that the query gave it, and `nuestro`,
    `mi` and `tu` stay. {el_topic} has these where the query has them, else the article. A query that is one question or
    looks for people has no topic. What the query says, asks or is called: pipelines.spanish_messages.find_message.

    Where the query is a title that names a thing, it is one of {evento}, {propio} (the author's own), {buscado}
    (something to look for, with its pronoun {lo}), {recomendado} (things to recommend), {vivido} (what one has
    experience with) and {del_asunto} (whatever else one may speak of, behind `de`). A long one is parted into that and
    {resto}; {cabeza} is an event as the query names it.

    Three slots are empty and say what a frame asks for: {tu} and {usted} are how the reader is addressed, {sin_enlace}
    is there where the query has no link.
    """
    clauses = read_clauses(brief)
    phrase = find_topic(brief, clauses)
    found = common_slots(brief, phrase.text if phrase and len(phrase.words) <= MAX_HASHTAG_WORDS else None)
    if phrase and not (phrase.is_sought and _is_people(phrase)) and not _is_one_question(brief):
        found |= _declined(phrase)
    message = find_message(brief)
    found |= message | _author(clauses) | _conditions(brief, clauses)
    if "titulo" in message and "accion" not in message:
        named = _titled(message["titulo"], phrase, brief) if phrase else {}
        found |= named or plain_title(brief, message["titulo"])
    for name in SLOTS:
        if name[0].isupper() and name[0].lower() + name[1:] in found:
            found[name] = capitalized(found[name[0].lower() + name[1:]])
    return found


def _titled(title: str, phrase: NounPhrase, brief: Brief) -> dict[str, str]:
    """Return the slots of what a title names, the whole of it; nothing where it is not surely one thing.

    A title that is too long to say again is parted into what the slots then name and {resto}.
    """
    head, rest = title, ""
    if not says_again(title, brief):
        parts = [part for part in cuts(title) if says_again(part[0], brief) and says_again(part[1], brief)]
        head, rest = next((part for part in reversed(parts) if part[1].split()[0] in PARTED), ("", ""))
        head = head or next(iter(shortened(title, brief)), "")
    first, *words = head.split() or [""]
    determiner = first.casefold() if first.casefold() in es.DETERMINERS else ""
    words = words if determiner else [first, *words]
    if (
        not words
        or words[0].casefold() != phrase.words[0].casefold()
        or phrase.is_pair
        or regex.search("[,:.+]", title)
    ):
        return {}
    named = replace(phrase, words=(phrase.words[0], *words[1:]), determiner=determiner)
    whole = _declined(named)
    noun = next((word.casefold() for word in words if word.casefold() not in es.BEFORE_NOUN), "")
    if not {"el_topic", "del_topic", "al_topic"} <= whole.keys() or PEOPLE.search(noun):
        return {}
    found = _as_kind(kind_of(noun), whole, named, brief)
    if "del_asunto" in found and head != title:
        return {}
    apart = is_timed(rest) or rest.startswith("en ")
    return found | ({"resto": rest} if rest else {}) | ({"cabeza": head} if "evento" in found and apart else {})


def _as_kind(kind: str | None, whole: dict[str, str], phrase: NounPhrase, brief: Brief) -> dict[str, str]:
    """Return the forms of a noun phrase in the slots of what it is, as far as the author's purpose goes with that."""
    asked = bool(set(brief.objectives) & {"engagement", "community"})
    owned = phrase.determiner in es.OWN
    found: dict[str, str] = {}
    if kind == "evento":
        found = {"evento": whole["el_topic"], "al_evento": whole["al_topic"]}
    elif owned and kind != "asunto":
        found = {"propio": whole["el_topic"], "es": whole.get("es", "es")}
    elif asked and phrase.plural and not phrase.determiner and kind in {"producto", "servicio", "obra"}:
        found = {"recomendado": phrase.text}
    elif not (asked or phrase.determiner) and (
        kind in {"producto", "servicio"} or (kind is None and brief.objectives[:1] == ("sales",))
    ):
        looked_for = whole.get("un_topic") or (phrase.text if phrase.plural or len(phrase.words) > 1 else None)
        found = {"lo": whole["lo"], "buscado": looked_for} if looked_for and "lo" in whole else {}
    elif kind == "asunto" and not owned:
        found = {"vivido": whole["el_topic"], "del_asunto": whole["del_topic"]}
    if not found and not owned and (asked or not brief.objectives or len(phrase.words) < MIN_SAID):
        found = {"del_asunto": whole["del_topic"]}
    return found


def _author(clauses: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return how the author speaks of themselves: "we", unless the query says "I"."""
    words = {word.casefold() for clause in clauses for word in clause}
    many = any(word in es.OWN - {"mi", "mis"} or (word.endswith("mos") and is_verb(word)) for word in words)
    return VOICES["I" if words & es.FIRST_PERSON and not many else "we"]


def _conditions(brief: Brief, clauses: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the empty slots that hold; where the query says `tu`, no frame may say `usted`."""
    familiar = any(es.FAMILIAR.fullmatch(word.casefold()) for clause in clauses for word in clause)
    linked = any(entity.label == "URL" for entity in brief.entities)
    register = "usted" if brief.tone == "formal" and not familiar else "tu"
    return {register: ""} | ({} if linked else {"sin_enlace": ""})


def _is_one_question(brief: Brief) -> bool:
    text = one_line(brief.query)
    return text.endswith("?") and not es.SENTENCE_END.search(text)


def _is_people(phrase: NounPhrase) -> bool:
    return PEOPLE.search(phrase.words[0].casefold()) is not None


def _declined(phrase: NounPhrase) -> dict[str, str]:
    """Return the slots of a noun phrase; those that need a gender or a number only where it is known."""
    text, gender, plural = phrase.text, phrase.gender, phrase.plural
    found = {"topic": text}
    if phrase.is_name:
        found |= {"el_topic": text, "del_topic": f"de {text}", "al_topic": f"a {text}"}
        return found | {"es": "es", "interesa": "interesa"}
    if plural is not None and not phrase.is_pair:
        found |= {"es": "son", "interesa": "interesan"} if plural else {"es": "es", "interesa": "interesa"}
    if gender is None or plural is None or phrase.is_pair:
        if phrase.determiner in es.OWN | {"tu", "tus"} and not phrase.is_pair:
            found["el_topic"] = f"{phrase.determiner} {text}"
            found |= {"del_topic": f"de {found['el_topic']}", "al_topic": f"a {found['el_topic']}"}
            found["topic"] = found["el_topic"] if len(phrase.words) < MAX_COPIED_WORDS else text
        return found
    stressed = gender == "f" and not plural and phrase.words[0].casefold() in es.STRESSED_A
    article = "el" if stressed else es.ARTICLES[gender, plural]
    own = phrase.determiner in es.OWN | {"tu", "tus"}
    definite = f"{phrase.determiner if own else article} {text}"
    found["el_topic"] = definite
    found["del_topic"] = f"del {text}" if not own and article == "el" else f"de {definite}"
    found["al_topic"] = f"al {text}" if not own and article == "el" else f"a {definite}"
    found["lo"] = {("m", False): "lo", ("f", False): "la", ("m", True): "los", ("f", True): "las"}[gender, plural]
    if plural:
        found["un_topic"] = text
    elif phrase.determiner in {"un", "una"} or _counted(phrase):
        found["un_topic"] = f"{'un' if gender == 'm' or stressed else 'una'} {text}"
    if own and len(phrase.words) < MAX_COPIED_WORDS:
        found["topic"] = definite
    elif len(phrase.words) == 1 and (phrase.determiner or (phrase.is_bare and not plural)):
        found["topic"] = found["un_topic"] if phrase.determiner in {"un", "una"} else definite
    return found


def _counted(phrase: NounPhrase) -> bool:
    noun = next((word for word in phrase.words if word.casefold() not in es.BEFORE_NOUN), "")
    return noun.casefold() in COUNTED
