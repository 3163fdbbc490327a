"""Fills the slots of Spanish frames with what a brief holds; a slot that cannot be right is left out.

It tells noun phrases, their gender and number by the query's own determiners, by adjectives that agree, by endings and
by small lists (pipelines/spanish_words.py). It knows no meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.phrases import COMMON_SLOTS, capitalized, common_slots, longest_copied_run, one_line
from pipelines.spanish_grammar import is_infinitive, is_verb, kind_of
from pipelines.spanish_nouns import NounPhrase, find_topic, is_noun, read_clauses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.records import Brief

VOICES = {
    "we": {"nos": "nos", "leemos": "leemos", "respondemos": "respondemos", "avisamos": "avisamos",
           "queremos": "queremos", "buscamos": "buscamos"},
    "I": {"nos": "me", "leemos": "leo", "respondemos": "respondo", "avisamos": "aviso",
          "queremos": "quiero", "buscamos": "busco"},
}  # fmt: skip
SLOTS = COMMON_SLOTS | {
    *("topic", "Topic", "el_topic", "El_topic", "un_topic", "Un_topic", "del_topic", "al_topic", "este_topic"),
    *("Este_topic", "es", "tiene", "esta", "este", "lo", "o", "n", "interesa"),
    *(
        "evento",
        "Evento",
        "al_evento",
        "producto",
        "Producto",
        "un_producto",
        "del_producto",
        "servicio",
        "Servicio",
        "un_servicio",
    ),
    *("obra", "Obra", "asunto", "Asunto", "del_asunto", "gente", "Gente"),
    *(
        "cuando",
        "Cuando",
        "anuncio",
        "Anuncio",
        "accion",
        "Accion",
        "accion_tu",
        "Accion_tu",
        "hecho",
        "pregunta",
        "oferta",
        "Oferta",
    ),
    *("titular", "Titular", "propuesta", "Propuesta", "propio", "tu", "usted", "sin_enlace"),
    *VOICES["we"],
    *("Queremos", "Buscamos"),
}
MAX_ACTION_WORDS = 6
MAX_SENTENCE_WORDS = 6
MAX_HASHTAG_WORDS = 3
MAX_SOUGHT_WORDS = 5
MAX_COPIED_WORDS = 6


def slots(brief: Brief) -> dict[str, str]:
    """Return the slots that the brief fills with correct grammar, by name; names are a subset of SLOTS.

    {topic} is the noun phrase without an article (a single word keeps the one that the query gave it). {el_topic} has `nuestro` or `mi` where the query has it, else the article;
    {evento}, {producto}, {servicio}, {obra} and {asunto} are {el_topic} where it names such a thing; {gente} are
    people whom the author looks for, and then no topic. {anuncio} is the author's own verb with the topic ("lanzamos
    nuestra app"), {accion} an infinitive with what belongs to it, and then the query has no topic. {hecho} and {pregunta} are whole sentences with their mark;
    {propuesta} is the first there is of {anuncio}, {oferta} and {topic}, as a headline, {titular} also {hecho}; {propio}
    is {el_topic} where it is the author's. {accion} names nobody, {accion_tu} may say `tu` to the reader.

    Three slots are empty and say what a frame asks for: {tu} and {usted} are how the reader is addressed, {sin_enlace}
    is there where the query has no link.
    """
    clauses = read_clauses(brief)
    action = _action(brief, clauses)
    phrase = None if action and _opens_with(action, clauses) else find_topic(brief, clauses)
    found = common_slots(brief, phrase.text if phrase and len(phrase.words) <= MAX_HASHTAG_WORDS else None)
    if phrase and phrase.is_sought and _is_people(phrase):
        found["gente"] = _shortened(phrase.words)
    elif phrase and not _is_one_question(brief):
        found |= _declined(phrase)
        found |= _typed(phrase, found)
        found |= {"propio": found["el_topic"]} if phrase.determiner in es.OWN else {}
        moment = _moment(brief, clauses, phrase)
        found |= {"cuando": moment} if moment else {}
        news = _news(clauses[phrase.place], phrase, timed=moment is not None)
        found |= {"anuncio": news} if news else {}
    if action:
        found |= {"accion_tu": action} | ({} if phrase else {"es": "es"})
        if not {"tu", "tus", "te"} & set(action.split()):
            found["accion"] = action
    found |= _sentences(brief) | _author(clauses) | _conditions(brief, clauses)
    found |= _headlines(brief, found)
    for name in SLOTS:
        if name[0].isupper() and name[0].lower() + name[1:] in found:
            found[name] = capitalized(found[name[0].lower() + name[1:]])
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


def _headlines(brief: Brief, found: dict[str, str]) -> dict[str, str]:
    """Return what the query says shortest, as far as that repeats no long run of it."""
    news = found.get("anuncio")
    timed = f"{found['cuando']} {news}" if news and "cuando" in found else None
    said = found.get("hecho", ":").strip(".!¡")
    offered = [timed, news, found.get("oferta"), found.get("topic")]
    headlines = {"propuesta": offered, "titular": [None if ":" in said else said, *offered]}
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


def _news(clause: Sequence[str], phrase: NounPhrase, *, timed: bool) -> str | None:
    """Return the verb by which the author announces the topic, with the topic; a time between the two is left out."""
    words = [word.casefold() for word in clause if not (timed and word == "|")]
    topic = [*([phrase.determiner] if phrase.determiner else []), *(word.casefold() for word in phrase.words)]
    start = next((at for at in range(len(words)) if words[at : at + len(topic)] == topic), 0)
    said = " ".join([*topic[: len(topic) - len(phrase.words)], *phrase.words])
    if set(words) & es.NEGATIONS - {"sin"} or {"si", "cómo", "que", "quien"} & set(words[:start]):
        return None
    if start and words[start - 1] in es.ANNOUNCING:
        return f"{words[start - 1]} {said}"
    if start > 1 and words[start - 2] in {"hemos", "he"} and words[start - 1] in es.ANNOUNCED:
        return f"{words[start - 2]} {words[start - 1]} {said}"
    after = words[start + len(topic) :]
    if timed and phrase.determiner and after and after[0] in es.COMING_VERBS:
        return f"{after[0]} {said}"
    if phrase.determiner in es.OWN and after[:3] in (["ya", "está", "disponible"], ["ya", "están", "disponibles"]):
        return f"{said} {' '.join(after[:3])}"
    return None


def _is_people(phrase: NounPhrase) -> bool:
    return es.PEOPLE.search(phrase.words[0].casefold()) is not None


def _typed(phrase: NounPhrase, declined: dict[str, str]) -> dict[str, str]:
    """Return the forms of the topic under the name of what it is; nothing where the lists do not know."""
    noun = next((word.casefold() for word in phrase.words if word.casefold() not in es.BEFORE_NOUN), "")
    kind = kind_of(noun)
    if phrase.is_name or kind is None or (kind == "asunto" and phrase.determiner in es.OWN):
        return {}
    forms = {kind: "el_topic", f"un_{kind}": "un_topic", f"al_{kind}": "al_topic", f"del_{kind}": "del_topic"}
    return {name: declined[form] for name, form in forms.items() if name in SLOTS and form in declined}


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
        if phrase.determiner in es.OWN and not phrase.is_pair:
            found["el_topic"] = f"{phrase.determiner} {text}"
            found |= {"del_topic": f"de {found['el_topic']}", "al_topic": f"a {found['el_topic']}"}
            found["topic"] = found["el_topic"] if len(phrase.words) == 1 else text
        return found
    stressed = gender == "f" and not plural and phrase.words[0].casefold() in es.STRESSED_A
    article = "el" if stressed else es.ARTICLES[gender, plural]
    own = phrase.determiner in es.OWN
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
    if len(phrase.words) == 1 and (phrase.determiner or (phrase.is_bare and not plural)):
        found["topic"] = found["un_topic"] if phrase.determiner in {"un", "una"} else definite
    return found


def _counted(phrase: NounPhrase) -> bool:
    noun = next((word for word in phrase.words if word.casefold() not in es.BEFORE_NOUN), "")
    return noun.casefold() in es.COUNTED


def _action(brief: Brief, clauses: Sequence[Sequence[str]]) -> str | None:
    """Return what the query tells how to do, from the infinitive on, in at most MAX_ACTION_WORDS words."""
    for clause in clauses:
        words = [word.casefold() for word in clause]
        if words[0] in es.COMMANDS and not (es.OWN | {"|"}) & set(words):
            clause = [es.COMMANDS[words[0]], *clause[1:]]
            words[0] = clause[0]
        for index, word in enumerate(words[: len(words) - 1]):
            before = words[index - 1] if index else ""
            opens = (
                index == 0 or before in {"cómo", "como"} or (before == "para" and es.ACTION_NOUN & set(words[:index]))
            )
            opens = opens or before in {"encanta", "gusta"} or (before == "a" and words[index - 2] in es.LEADING)
            if not (opens and is_infinitive(word)) or set(words[: index + 1]) & es.NEGATIONS:
                continue
            end = next((at for at in range(index + 1, len(words)) if words[at] in es.ACTION_ENDS), len(words))
            taken = clause[index : _fitting_end(words, index, end)]
            while taken and taken[-1].casefold() in es.FUNCTION_WORDS - {"mejor", "bien", "más"}:
                taken = taken[:-1]
            yours = {"tu", "tus", "te"} & set(words[index:end]) or word.endswith("te")
            if len(taken) > 1 and not (yours and brief.tone == "formal") and not word.endswith(("me", "nos", "te")):
                return " ".join([taken[0].lower(), *taken[1:]])
    return None


def _fitting_end(words: Sequence[str], start: int, end: int) -> int:
    """Return where an action ends that is cut before its last part that does not fit."""
    if end - start <= MAX_ACTION_WORDS:
        return end
    borders = [at for at in range(start + 2, start + MAX_ACTION_WORDS + 1) if words[at] in es.PREPOSITIONS]
    apart = [at for at in borders if words[at] not in {"de", "del"}]
    return (apart or borders or [start])[-1]


def _opens_with(action: str, clauses: Sequence[Sequence[str]]) -> bool:
    """Whether the query is about how to do something: that opens its first clause, or one with `cómo`."""
    for place, clause in enumerate(clauses):
        words = [es.COMMANDS.get(word.casefold(), word.casefold()) for word in clause]
        start = words.index(action.split()[0]) if action.split()[0] in words else len(words)
        if start < len(words) and (words[0] == "cómo" or place == 0):
            return not any(is_noun(word) and word not in es.ACTION_NOUN for word in words[:start])
    return False


def _moment(brief: Brief, clauses: Sequence[Sequence[str]], phrase: NounPhrase) -> str | None:
    """Return the one time that the sentence of the topic names, where it says that something is to come."""
    for sentence in es.SENTENCE_END.split(one_line(brief.query)):
        moments = [match[0].strip() for match in es.TIME.finditer(sentence)]
        if phrase.text.casefold() not in sentence.casefold() or not moments:
            continue
        words = [word.casefold() for word in es.TOKEN.findall(es.TIME.sub(" ", sentence))]
        verbs = [word for word in words if is_verb(word)]
        coming = not verbs or any(word in es.COMING for word in verbs)
        if len(moments) == 1 and coming and not es.NEGATIONS & set(words) and "?" not in sentence:
            return moments[0][0].lower() + moments[0][1:]
    return None


def _sentences(brief: Brief) -> dict[str, str]:
    """Return a short statement and a short question of the query, whole and with their marks."""
    found: dict[str, str] = {}
    for match in es.SENTENCE.finditer(one_line(brief.query)):
        text, mark = match[1].strip(), match[2]
        words = [word.casefold() for word in es.TOKEN.findall(text)]
        offer = es.OFFER.search(es.TIME.split(text)[0])
        if offer and not es.NEGATIONS & set(words) and not text[: offer.start()].rstrip().endswith("hasta"):
            found.setdefault("oferta", offer[0])
        if not 2 < len(words) <= MAX_SENTENCE_WORDS or regex.search(r"[@#/|{}<>*_~%\p{Emoji_Presentation}]", text):
            continue
        if "?" in mark or "¿" in text:
            if "?" in mark and ("¿" not in text or text.startswith("¿")) and "¡" not in text:
                found.setdefault("pregunta", f"¿{capitalized(text.lstrip('¿'))}?")
        elif (
            words[0] not in es.NO_STATEMENT
            and words[0] not in es.IMPERATIVES
            and not is_infinitive(words[0])
            and not {"|", "cómo"} & set(words)
            and any(word in es.VERBS or word in es.PRESENTING or es.FINITE_ENDINGS.match(word) for word in words)
        ):
            shouted = "¡" in text and "!" in mark
            text = capitalized(text.replace("¡", "").strip())
            found.setdefault("hecho", f"¡{text}!" if shouted else f"{text}.")
    return found
