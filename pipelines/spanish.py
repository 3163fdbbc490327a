"""Fills the slots of Spanish frames with what a brief holds; a slot that cannot be right is left out.

It tells noun phrases, their gender and number by the query's own determiners, by adjectives that agree, by endings and
by small lists (pipelines/spanish_words.py). It knows no meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines import spanish_words as es
from pipelines.phrases import COMMON_SLOTS, capitalized, common_slots, longest_copied_run, one_line
from pipelines.spanish_clauses import LOOSE
from pipelines.spanish_grammar import is_verb
from pipelines.spanish_kinds import COUNTED, NOT_FOR_SALE, PEOPLE, kind_of
from pipelines.spanish_messages import MESSAGES, find_message
from pipelines.spanish_nouns import NounPhrase, find_topic
from pipelines.spanish_sentences import (
    find_action,
    find_moment,
    find_news,
    find_sentences,
    opens_with,
    read_clauses,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.records import Brief

VOICES = {
    "we": {"nos": "nos", "leemos": "leemos", "respondemos": "respondemos", "avisamos": "avisamos",
           "queremos": "queremos", "buscamos": "buscamos"},
    "I": {"nos": "me", "leemos": "leo", "respondemos": "respondo", "avisamos": "aviso",
          "queremos": "quiero", "buscamos": "busco"},
}  # fmt: skip
SLOTS = COMMON_SLOTS | VOICES["we"].keys() | {
    "topic", "Topic", "el_topic", "El_topic", "un_topic", "Un_topic", "del_topic", "al_topic", "este_topic",
    "Este_topic", "es", "tiene", "esta", "este", "lo", "o", "n", "interesa", "evento", "Evento", "al_evento",
    "producto", "Producto", "un_producto", "del_producto", "servicio", "Servicio", "un_servicio", "obra", "Obra",
    "asunto", "Asunto", "del_asunto", "gente", "Gente", "cuando", "Cuando", "anuncio", "Anuncio", "accion", "Accion",
    "accion_tu", "Accion_tu", "hecho", "pregunta", "oferta", "Oferta", "titular", "Titular", "propuesta", "Propuesta",
    "propio", "en_venta", "tu", "usted", "sin_enlace", "Queremos", "Buscamos", "gracias", "largo", "dos", "enlace",
    "sin_mensaje", "rotulo", "Rotulo", *MESSAGES,
}  # fmt: skip
MAX_HASHTAG_WORDS = 3
MAX_SOUGHT_WORDS = 5
MAX_COPIED_WORDS = 6
# How surely a query is about its topic where a frame says nothing else; see NounPhrase.
SURE, LIKELY = 3.0, 2.5


def slots(brief: Brief) -> dict[str, str]:
    """Return the slots that the brief fills with correct grammar, by name; names are a subset of SLOTS.

    {topic} is the noun phrase without an article: a single word keeps the one that the query gave it, and `nuestro`,
    `mi` and `tu` stay. {el_topic} has these where the query has them, else the article; {propio} is {el_topic} where it
    is the author's. {evento}, {producto}, {servicio}, {obra} and {asunto} are {el_topic} where it names such a thing,
    {gente} are people whom the author looks for. {accion} is an infinitive with what belongs to it and names nobody,
    {accion_tu} may say `tu` to the reader. A query that is one question, looks for people or asks how to do something
    has no topic.

    {hecho} and {pregunta} are whole sentences with their mark, {gracias} says whom or for what the author thanks,
    {anuncio} is the author's verb with the topic ("lanzamos nuestra app"). {propuesta} is the first there is of
    {anuncio}, {oferta} and {topic}, {titular} also of {hecho}.

    Four slots are empty and say what a frame asks for: {tu} and {usted} are how the reader is addressed, {sin_enlace}
    is there where the query has no link, {en_venta} where the topic may be something that one buys or attends.
    """
    clauses = read_clauses(brief)
    action = find_action(clauses)
    phrase = None if action and opens_with(action, clauses) else find_topic(brief, clauses)
    found = common_slots(brief, phrase.text if phrase and len(phrase.words) <= MAX_HASHTAG_WORDS else None)
    if phrase and phrase.is_sought and _is_people(phrase):
        found["gente"] = _shortened(phrase.words)
    elif phrase and not _is_one_question(brief) and not one_line(brief.query).casefold().startswith("gracias"):
        found |= _declined(phrase)
        found |= _typed(phrase, found)
        found |= {"propio": found["el_topic"]} if phrase.determiner in es.OWN else {}
        moment = find_moment(brief, phrase)
        found |= {"cuando": moment} if moment else {}
        news = find_news(clauses[phrase.place], phrase, timed=moment is not None)
        found |= {"anuncio": news} if news else {}
    if phrase and len(phrase.words) > 1 and phrase.anchor >= _least(brief, phrase) and not LOOSE & {*phrase.words[-1:]}:
        article = phrase.determiner in es.OWN | set(es.ARTICLES.values())
        found["rotulo"] = f"{phrase.determiner} {phrase.text}" if article else phrase.text
    if action:
        found |= {"accion_tu": action} | ({} if phrase else {"es": "es"})
        if not {"tu", "tus", "te"} & set(action.split()):
            found["accion"] = action
    found |= find_sentences(brief) | _author(clauses) | _conditions(brief, clauses)
    found |= _headlines(brief, found)
    for name in ("hecho", "pregunta", "titular"):
        found.pop(name, None)
    found |= find_message(brief)
    for name in SLOTS:
        if name[0].isupper() and name[0].lower() + name[1:] in found:
            found[name] = capitalized(found[name[0].lower() + name[1:]])
    return found


def _least(brief: Brief, phrase: NounPhrase) -> float:
    """Return how sure a topic must be to stand alone: less in a question or with a definite article."""
    return LIKELY if phrase.determiner in es.ARTICLES.values() or _is_one_question(brief) else SURE


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


def _headlines(brief: Brief, found: dict[str, str]) -> dict[str, str]:
    """Return what the query says shortest, as far as that repeats no long run of it."""
    news = found.get("anuncio")
    timed = f"{found['cuando']} {news}" if news and "cuando" in found else None
    said = found.get("hecho", ":").strip(".!¡")
    saving = next((text for text in [found.get("oferta")] if text and text[0].isdigit()), None)
    offered = [timed, news, saving, found.get("topic")]
    about = found.get("topic", "").casefold() in said.casefold()
    headlines = {"propuesta": offered, "titular": [said if about and ":" not in said else None, *offered]}
    return {
        name: next(text for text in texts if text and _is_short(text, brief))
        for name, texts in headlines.items()
        if any(text and _is_short(text, brief) for text in texts)
    }


def _is_short(text: str, brief: Brief) -> bool:
    return longest_copied_run(text, brief.query, brief.entities) <= MAX_COPIED_WORDS


def _shortened(words: Sequence[str]) -> str:
    """Cut the last parts of whom the author looks for, so that the verb and the phrase are no long run of the query."""
    while len(words) > MAX_SOUGHT_WORDS:
        words = words[: max(at for at, word in enumerate(words) if at == 1 or word in es.PREPOSITIONS)]
    return " ".join(words)


def _is_one_question(brief: Brief) -> bool:
    text = one_line(brief.query)
    return text.endswith("?") and not es.SENTENCE_END.search(text)


def _is_people(phrase: NounPhrase) -> bool:
    return PEOPLE.search(phrase.words[0].casefold()) is not None


def _typed(phrase: NounPhrase, declined: dict[str, str]) -> dict[str, str]:
    """Return the forms of the topic under the name of what it is; nothing where the lists do not know."""
    noun = next((word.casefold() for word in phrase.words if word.casefold() not in es.BEFORE_NOUN), "")
    kind = kind_of(noun)
    sold = {"en_venta": ""} if kind != "asunto" and noun not in NOT_FOR_SALE else {}
    if phrase.is_name or kind is None or phrase.anchor < SURE or (kind == "asunto" and phrase.determiner in es.OWN):
        return sold
    forms = {kind: "el_topic", f"un_{kind}": "un_topic", f"al_{kind}": "al_topic", f"del_{kind}": "del_topic"}
    return sold | {name: declined[form] for name, form in forms.items() if name in SLOTS and form in declined}


def _declined(phrase: NounPhrase) -> dict[str, str]:
    """Return the slots of a noun phrase; those that need a gender or a number only where it is known."""
    text, gender, plural = phrase.text, phrase.gender, phrase.plural
    found = {"topic": text}
    if phrase.is_name:
        found |= {"el_topic": text, "del_topic": f"de {text}", "al_topic": f"a {text}"}
        return found | {"es": "es", "tiene": "tiene", "esta": "está", "interesa": "interesa", "n": ""}
    if plural is not None and not phrase.is_pair:
        verbs = ("son", "tienen", "están", "interesan", "n") if plural else ("es", "tiene", "está", "interesa", "")
        found |= dict(zip(("es", "tiene", "esta", "interesa", "n"), verbs, strict=True))
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
    ending = {("m", False): "o", ("f", False): "a", ("m", True): "os", ("f", True): "as"}[gender, plural]
    found |= {"o": ending, "lo": "lo" if ending == "o" else f"l{ending}"}
    found["este"] = {"o": "este", "a": "esta", "os": "estos", "as": "estas"}[ending]
    found["este_topic"] = f"{found['este']} {text}"
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
