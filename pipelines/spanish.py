"""Fills the slots of Spanish frames with what a brief holds; a slot that cannot be right is left out.

It tells noun phrases, their gender and number by the query's own determiners, by adjectives that agree, by endings and
by small lists (pipelines/spanish_words.py). It knows no meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import regex

from pipelines.facts import NUMBER_WORDS
from pipelines.phrases import COMMON_SLOTS, capitalized, common_slots, edges, one_line, without_entities
from pipelines.spanish_words import (
    ADJECTIVE_ENDINGS,
    ADJECTIVES,
    ARTICLES,
    BEFORE_NOUN,
    COMING,
    COMMANDS,
    COUNTED,
    DETERMINERS,
    FEMININE,
    FEMININE_ENDINGS,
    FINITE_ENDINGS,
    FUNCTION_WORDS,
    GENERIC,
    IMPERATIVES,
    LOAN,
    MASCULINE,
    MASCULINE_ENDINGS,
    NEGATIONS,
    NO_ADJECTIVES,
    NOT_FINITE,
    NOT_INFINITIVES,
    OWN,
    PREPOSITIONS,
    PRESENTING,
    SINGULAR_IN_S,
    STRESSED_A,
    VERBS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.records import Brief

SLOTS = COMMON_SLOTS | {
    *("topic", "Topic", "el_topic", "El_topic", "un_topic", "Un_topic", "del_topic", "al_topic", "este_topic"),
    *("Este_topic", "es", "tiene", "esta", "este", "lo", "o", "interesa"),
    *("cuando", "accion", "Accion", "hecho", "pregunta"),
}
MAX_TOPIC_WORDS = 6
MAX_ACTION_WORDS = 6
MAX_SENTENCE_WORDS = 6
MAX_HASHTAG_WORDS = 3


@dataclass(frozen=True)
class NounPhrase:
    """A noun phrase of the query; `words` stand without the `determiner`, which is empty where there is none.

    Gender is m, f or None where nothing tells; `plural` likewise. A bare one stands in a sentence without determiner.
    `place` is the clause it stands in.
    """

    words: tuple[str, ...]
    determiner: str = ""
    gender: str | None = None
    plural: bool | None = None
    is_name: bool = False
    is_pair: bool = False
    is_bare: bool = False
    place: int = 0
    score: float = 0.0

    @property
    def text(self) -> str:
        """The phrase without its determiner."""
        return " ".join(self.words)


def slots(brief: Brief) -> dict[str, str]:
    """Return the slots that the brief fills with correct grammar, by name; names are a subset of SLOTS.

    {topic} is the noun phrase without an article (a single word keeps the one that the query gave it), or what the
    query wants to do, an infinitive. {el_topic} has `nuestro` or `mi` where the query has it, else the article;
    {hecho} and {pregunta} are whole sentences with their mark.
    """
    clauses = _clauses(brief)
    action = _action(brief, clauses)
    phrase = None if action and _opens_with(action, clauses) else _topic(brief, clauses)
    found = common_slots(brief, phrase.text if phrase and len(phrase.words) <= MAX_HASHTAG_WORDS else None)
    if phrase:
        found |= _declined(phrase)
        moment = _moment(brief, clauses, phrase)
        found |= {"cuando": moment} if moment else {}
    elif action:
        found |= {"topic": action, "del_topic": f"de {action}"}
    if action:
        found["accion"] = action
    found |= _sentences(brief)
    for low, high in (("topic", "Topic"), ("el_topic", "El_topic"), ("un_topic", "Un_topic"), ("accion", "Accion")):
        if low in found:
            found[high] = capitalized(found[low])
    if "este_topic" in found:
        found["Este_topic"] = capitalized(found["este_topic"])
    return {name: text for name, text in found.items() if text}


def _declined(phrase: NounPhrase) -> dict[str, str]:
    """Return the slots of a noun phrase; those that need a gender or a number only where it is known."""
    text, gender, plural = phrase.text, phrase.gender, phrase.plural
    found = {"topic": text}
    if phrase.is_name:
        found |= {"el_topic": text, "del_topic": f"de {text}", "al_topic": f"a {text}"}
        return found | {"es": "es", "tiene": "tiene", "esta": "está", "interesa": "interesa"}
    if plural is not None and not phrase.is_pair:
        verbs = ("son", "tienen", "están", "interesan") if plural else ("es", "tiene", "está", "interesa")
        found |= dict(zip(("es", "tiene", "esta", "interesa"), verbs, strict=True))
    if gender is None or plural is None or phrase.is_pair:
        if phrase.determiner in OWN and not phrase.is_pair:
            found["el_topic"] = f"{phrase.determiner} {text}"
            found |= {"del_topic": f"de {found['el_topic']}", "al_topic": f"a {found['el_topic']}"}
            found["topic"] = found["el_topic"] if len(phrase.words) == 1 else text
        return found
    stressed = gender == "f" and not plural and phrase.words[0].casefold() in STRESSED_A
    article = "el" if stressed else ARTICLES[gender, plural]
    own = phrase.determiner in OWN
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
    noun = next((word for word in phrase.words if word.casefold() not in BEFORE_NOUN), "")
    return noun.casefold() in COUNTED


def _clauses(brief: Brief) -> list[list[str]]:
    """Split the query into clauses of words; "|" stands for what is no word: a number, a link, a time, a handle."""
    text = without_entities(brief, ("URL", "MENTION", "CASHTAG", "HASHTAG", "MONEY", "PERCENT", "DATE", "TIME"), " 0 ")
    text = TIME.sub(" 0 ", one_line(text))
    letters = regex.findall(r"\p{L}", text)
    if len(text.split()) > 2 and sum(letter.isupper() for letter in letters) > 0.7 * len(letters):
        text = text.lower()
    clauses = [TOKEN.findall(clause) for clause in CLAUSE_END.split(text)]
    return [
        ["|" if token[0].isdigit() or token.casefold() in NUMBER_WORDS - {"doble"} else token for token in clause]
        for clause in clauses
        if clause
    ]


def _is_verb(word: str) -> bool:
    """Whether a word is a finite verb, by list or ending."""
    word = word.casefold()
    return word in VERBS or word in PRESENTING or (FINITE_ENDINGS.match(word) is not None and word not in NOT_FINITE)


def _is_infinitive(word: str) -> bool:
    return INFINITIVE.fullmatch(word) is not None and word.casefold() not in NOT_INFINITIVES


def _topic(brief: Brief, clauses: Sequence[Sequence[str]]) -> NounPhrase | None:
    """Return the noun phrase that the query is about; None where there is none that is surely one."""
    names = {edges(entity.text) for entity in brief.entities if entity.label in {"PERSON", "ORG", "NAME"}}
    found = [
        _scored(phrase, brief)
        for place, clause in enumerate(clauses)
        for phrase in _noun_phrases(clause, place, names, formal=brief.tone == "formal")
    ]
    found = [phrase for phrase in found if phrase.score > 0]
    if found:
        return max(found, key=lambda phrase: phrase.score)
    denied = {word.casefold() for clause in clauses for word in _denied(clause)}
    return next(
        (
            NounPhrase(tuple(name.split()), is_name=True)
            for name in sorted(names, key=brief.query.find)
            if name and not {word.casefold() for word in name.split()} & denied and not regex.search(r"\d", name)
        ),
        None,
    )


def _scored(phrase: NounPhrase, brief: Brief) -> NounPhrase:
    words = [word.casefold() for word in phrase.words if word.casefold() not in FUNCTION_WORDS | BEFORE_NOUN]
    score = phrase.score + 0.5 * min(len(words), 4) - 0.3 * min(phrase.place, 5)
    for rank, keyword in enumerate(brief.keywords[:3]):
        if set(words) & set(keyword.casefold().split()):
            score += 1.0 / (1 + rank)
            break
    return replace(phrase, score=0.0 if not words or words[0] in GENERIC else score)


def _denied(clause: Sequence[str]) -> Sequence[str]:
    """Return the words of a clause that stand under a negation; "no te pierdas" denies nothing."""
    text = " ".join(clause).casefold()
    if NO_DENIAL.search(text):
        return ()
    place = next((index for index, word in enumerate(clause) if word.casefold() in NEGATIONS - {"sin"}), len(clause))
    return clause[place:]


def _noun_phrases(clause: Sequence[str], place: int, names: set[str], *, formal: bool) -> Iterator[NounPhrase]:
    """Yield the noun phrases of a clause that is not denied, with a score for where they stand."""
    last = len(clause) - len(_denied(clause))
    words = [word.casefold() for word in clause]
    imperative = words[0] in IMPERATIVES and len(words) > 1 and words[1] in FUNCTION_WORDS - PREPOSITIONS | {"a", "en"}
    main = words[: next((at for at, word in enumerate(words) if at and word in {"que", "quien", "donde"}), None)]
    verbless = not imperative and not any(
        _is_verb(word) and not (word in HOMONYMS and (at == 0 or main[at - 1] in PREPOSITIONS | DETERMINERS.keys()))
        for at, word in enumerate(main)
    )
    index = 0
    while index < last:
        before = words[index - 1] if index else ""
        if words[index] in DETERMINERS and index + 1 < last and not _is_verb(words[index + 1]):
            determiner, start = words[index], index + 1
        else:
            determiner, start = "", index
        anchored = (
            determiner
            or (verbless and index == 0)
            or before in PRESENTING
            or before in {"para", "con", "sobre", "de"}
            or (verbless and before == "|")
        )
        phrase, end = _read(clause, start, last, verbless=verbless, formal=formal) if anchored else (None, index + 1)
        if phrase is None:
            index += 1
            continue
        if determiner and determiner not in {"cada"}:
            gender, plural = DETERMINERS[determiner]
            if gender == "m" and phrase.words[0].casefold() in STRESSED_A:
                gender = "f"
            phrase = replace(phrase, determiner=determiner, gender=gender or phrase.gender, plural=plural)
        if phrase.words[0].casefold() in {"propio", "propia", "propios", "propias"} and len(phrase.words) > 1:
            phrase = replace(phrase, words=phrase.words[1:])
        phrase = _with_case(phrase, names, opens=start == 0)
        phrase = replace(phrase, is_bare=not determiner and not verbless)
        score = _anchor(words, index, determiner, verbless=verbless) - (last < len(clause))
        yield replace(phrase, place=place, score=score)
        index = max(end, index + 1)


def _anchor(words: Sequence[str], index: int, determiner: str, *, verbless: bool) -> float:
    before = words[index - 1] if index else ""
    if before in PRESENTING or (before in {"qué", "a"} and words[0] in PRESENTING):
        return 4.5
    if determiner in OWN:
        return 3.5 if before in PREPOSITIONS else 4.0
    if index == 0:
        return 4.0 if verbless else 3.0
    if before in PREPOSITIONS or determiner in {"al", "del"}:
        return 1.0
    return 2.5 if determiner else 1.5


def _read(
    clause: Sequence[str], start: int, last: int, *, verbless: bool, formal: bool
) -> tuple[NounPhrase | None, int]:
    """Read a noun phrase without determiner from `start` on; return it with the place after it."""
    head, end = _head(clause, start, last, verbless=verbless)
    if head is None:
        return None, start
    words = list(head.words)
    is_pair = False
    while end < last:
        link = clause[end].casefold()
        joins = link in {"de", "del", "para", "con", "sin", "sobre", "contra"} or (verbless and link in {"en", "a", "al", "por"})
        pairs = verbless and link in {"y", "e"}
        if not (joins or pairs):
            break
        inner = end + 1
        owner = clause[inner].casefold() if inner < last else ""
        if owner in DETERMINERS and link not in {"del", "al"}:
            inner += 1
            if pairs or owner in {"este", "esta", "ese", "esa", "cada"} or (formal and owner in {"tu", "tus"}):
                break
        more, after = _head(clause, inner, last, verbless=verbless)
        ends = inner + 1 >= last or clause[inner + 1] == "|"
        if more is None and ends and link in {"para", "de", "a"} and inner == end + 1 and inner < last:
            more, after = (NounPhrase((clause[inner],)), inner + 1) if _is_infinitive(clause[inner]) else (None, inner)
        if more is None or _says_little(more.words[0], link):
            break
        longer = [*words, *clause[end:inner], *more.words]
        if _size(longer) > MAX_TOPIC_WORDS and len(more.words) > 1 and more.words[0].casefold() not in BEFORE_NOUN:
            longer, after = longer[: 1 - len(more.words)], after + 1 - len(more.words)
        if _size(longer) > MAX_TOPIC_WORDS or _splits_name(clause, inner, after, last, MAX_TOPIC_WORDS - _size(longer)):
            break
        is_pair = is_pair or (pairs and len(words) == len(head.words))
        words, end = longer, after
    # An adjective of the head that closes the clause (seguros de coche baratos).
    if end == last - 1 and len(words) > len(head.words) and is_adjective(clause[end].casefold()) and head.plural is not None:
        if clause[end].casefold()[-1] in "oas" and _agrees(clause[end].casefold(), head.gender, plural=head.plural):
            words, end = [*words, clause[end]], last
    return replace(head, words=tuple(words), is_pair=is_pair), end


def _size(words: Sequence[str]) -> int:
    """How many words count towards the limit: those of names do not."""
    return sum(word[0].islower() for word in words)


def _says_little(noun: str, link: str) -> bool:
    if noun[0].isupper() or link in {"de", "del"} and noun.casefold() in SEASONS:
        return False
    return noun.casefold() in GENERIC or (link == "con" and noun.casefold() in MANNERS)


def _splits_name(clause: Sequence[str], start: int, end: int, last: int, room: int) -> bool:
    """Whether a phrase that ends here would cut a name in two (Día | de la Madre)."""
    if not clause[start][0].isupper() or end >= last or clause[end] not in {"de", "del"}:
        return False
    rest = next((at for at in range(end + 1, min(end + 3, last)) if clause[at][0].isupper()), None)
    return rest is not None and rest + 1 - end > room


def _head(clause: Sequence[str], start: int, last: int, *, verbless: bool) -> tuple[NounPhrase | None, int]:
    """Read adjectives, a noun and the adjectives that agree with it."""
    noun = start
    while noun < last and clause[noun].casefold() in BEFORE_NOUN:
        noun += 1
    if noun >= last or not _is_noun(clause[noun]):
        return None, start
    if noun == start and verbless and start == 0 and clause[noun].casefold() in ADJECTIVES:
        return None, start
    gender, plural = gender_and_number(clause[noun].casefold())
    for word in clause[start:noun]:
        gender = gender or {"a": "f", "o": "m"}.get(word.casefold().rstrip("s")[-1])
    end = noun + 1
    while end < last and end - start < MAX_TOPIC_WORDS:
        word = clause[end].casefold()
        loan = word not in FUNCTION_WORDS and (clause[end][0].isupper() or LOAN.search(word)) and not _is_verb(word)
        if is_adjective(word) and _agrees(word, gender, plural=plural):
            if word.rstrip("s")[-1] in "ao" and not word.endswith("ista") and gender is None:
                gender = "f" if word.rstrip("s")[-1] == "a" else "m"
        elif not loan or (end > noun + 1 and not clause[end][0].isupper() and not verbless):
            break
        end += 1
    return NounPhrase(tuple(clause[start:end]), gender=gender, plural=plural), end


def _is_noun(word: str) -> bool:
    folded = word.casefold()
    return (
        len(word) > 1
        and word[0].isalpha()
        and folded not in FUNCTION_WORDS
        and folded not in BEFORE_NOUN
        and not (_is_verb(word) and folded not in HOMONYMS)
        and not _is_infinitive(word)
        and not folded.endswith(("mente", "ando", "iendo"))
    )


def is_adjective(word: str) -> bool:
    """Whether a lower-case word that stands behind a noun reads as its adjective, by list or ending."""
    return word in ADJECTIVES or (
        ADJECTIVE_ENDINGS.search(word) is not None
        and word not in NO_ADJECTIVES
        and not (word in VERBS or word in PRESENTING or FINITE_ENDINGS.match(word))
    )


def _agrees(adjective: str, gender: str | None, *, plural: bool) -> bool:
    invariable = adjective in {"online", "gratis", "exprés", "premium", "pro", "vip", "bio", "vegan", "eco", "extra"}
    if invariable or adjective in {"low-cost", "zero"}:
        return True
    if adjective.endswith("s") != plural:
        return adjective in {"francés", "inglés", "japonés", "portugués", "holandés", "gris"} and not plural
    ending = adjective.rstrip("s")[-1]
    marked = ending in "oa" and not adjective.rstrip("s").endswith("ista")
    return not marked or gender is None or gender == ("f" if ending == "a" else "m")


def gender_and_number(noun: str) -> tuple[str | None, bool]:
    """Return m, f or None where no rule tells, and whether a lower-case noun is plural.

    Lists first, then endings: -ción, -dad, -tud are feminine, -aje, -or, -miento masculine, -a and -o as they say.
    """
    plural = noun.endswith("s") and noun not in SINGULAR_IN_S and not regex.search(r"[áéíóú]s$|sis$|ss$", noun)
    forms = {noun}
    if plural:
        forms = {noun[:-1]} | ({noun[:-2], noun[:-3] + "z" if noun.endswith("ces") else noun[:-2]} - {""})
    for known, gender in ((FEMININE, "f"), (MASCULINE, "m")):
        if forms & known:
            return gender, plural
    if FEMININE_ENDINGS.search(noun):
        return "f", plural
    if MASCULINE_ENDINGS.search(noun):
        return "m", plural
    singular = noun[:-1] if plural else noun
    if singular.endswith("ista"):
        return None, plural
    return ("f" if singular.endswith(("a", "ía")) else "m" if singular.endswith("o") else None), plural


def _with_case(phrase: NounPhrase, names: set[str], *, opens: bool) -> NounPhrase:
    """Undo the capital of a clause's first word, and tell names."""
    first = phrase.words[0]
    named = next((name for name in names if f"{phrase.text} ".startswith(f"{name} ")), None)
    noun = first.casefold()
    common = noun in MASCULINE | FEMININE or (len(phrase.words) > 1 and is_adjective(phrase.words[1].casefold()))
    if named and not phrase.determiner and not (opens and common):
        return replace(phrase, is_name=True)
    if opens and first[0].isupper() and first[1:].islower() and (common or not named):
        return replace(phrase, words=(first.lower(), *phrase.words[1:]))
    return phrase


def _action(brief: Brief, clauses: Sequence[Sequence[str]]) -> str | None:
    """Return what the query tells how to do, from the infinitive on, in at most MAX_ACTION_WORDS words."""
    for clause in clauses:
        words = [word.casefold() for word in clause]
        if words[0] in COMMANDS and not (OWN | {"|"}) & set(words):
            clause = [COMMANDS[words[0]], *clause[1:]]
            words[0] = clause[0]
        for index, word in enumerate(words[: len(words) - 1]):
            before = words[index - 1] if index else ""
            opens = index == 0 or before in {"cómo", "como"} or (before == "para" and ACTION_NOUN & set(words[:index]))
            opens = opens or before in {"encanta", "gusta"} or (before == "a" and words[index - 2] in {"aprende", "aprender", "enseñamos", "aprendemos"})
            if not (opens and _is_infinitive(word)) or set(words[: index + 1]) & NEGATIONS:
                continue
            end = next((at for at in range(index + 1, len(words)) if words[at] in ACTION_ENDS), len(words))
            taken = clause[index : _fitting_end(words, index, end)]
            while taken and taken[-1].casefold() in FUNCTION_WORDS - {"mejor", "bien", "más"}:
                taken = taken[:-1]
            yours = {"tu", "tus", "te"} & set(words[index:end]) or word.endswith("te")
            if len(taken) > 1 and not (yours and brief.tone == "formal") and not word.endswith(("me", "nos", "te")):
                return " ".join([taken[0].lower(), *taken[1:]])
    return None


def _fitting_end(words: Sequence[str], start: int, end: int) -> int:
    """Return where an action ends that is cut before its last part that does not fit."""
    if end - start <= MAX_ACTION_WORDS:
        return end
    borders = [at for at in range(start + 2, start + MAX_ACTION_WORDS + 1) if words[at] in PREPOSITIONS]
    apart = [at for at in borders if words[at] not in {"de", "del"}]
    return (apart or borders or [start])[-1]


def _opens_with(action: str, clauses: Sequence[Sequence[str]]) -> bool:
    """Whether the query is about how to do something: that opens its first clause, or one with `cómo`."""
    for place, clause in enumerate(clauses):
        words = [COMMANDS.get(word.casefold(), word.casefold()) for word in clause]
        start = words.index(action.split()[0]) if action.split()[0] in words else len(words)
        if start < len(words) and (words[0] == "cómo" or place == 0):
            return not any(_is_noun(word) and word not in ACTION_NOUN for word in words[:start])
    return False


def _moment(brief: Brief, clauses: Sequence[Sequence[str]], phrase: NounPhrase) -> str | None:
    """Return the one time that the sentence of the topic names, where it says that something is to come."""
    for sentence in SENTENCE_END.split(one_line(brief.query)):
        moments = [match[0].strip() for match in TIME.finditer(sentence)]
        if phrase.text.casefold() not in sentence.casefold() or not moments:
            continue
        words = [word.casefold() for word in TOKEN.findall(TIME.sub(" ", sentence))]
        verbs = [word for word in words if _is_verb(word)]
        coming = not verbs or any(word in COMING for word in verbs)
        if len(moments) == 1 and coming and not NEGATIONS & set(words) and "?" not in sentence:
            return moments[0][0].lower() + moments[0][1:]
    return None


def _sentences(brief: Brief) -> dict[str, str]:
    """Return a short statement and a short question of the query, whole and with their marks."""
    found: dict[str, str] = {}
    for match in SENTENCE.finditer(one_line(brief.query)):
        text, mark = match[1].strip(), match[2]
        words = [word.casefold() for word in TOKEN.findall(text)]
        if not 2 < len(words) <= MAX_SENTENCE_WORDS or regex.search(r"[@#/|{}<>*_~%\p{Emoji_Presentation}]", text):
            continue
        if "?" in mark or "¿" in text:
            if "?" in mark and ("¿" not in text or text.startswith("¿")) and "¡" not in text:
                found.setdefault("pregunta", f"¿{capitalized(text.lstrip('¿'))}?")
        elif (
            words[0] not in NO_STATEMENT
            and words[0] not in IMPERATIVES
            and not _is_infinitive(words[0])
            and not {"|", "cómo"} & set(words)
            and any(word in VERBS or word in PRESENTING or FINITE_ENDINGS.match(word) for word in words)
        ):
            shouted = "¡" in text and "!" in mark
            text = capitalized(text.replace("¡", "").strip())
            found.setdefault("hecho", f"¡{text}!" if shouted else f"{text}.")
    return found


TOKEN = regex.compile(r"\p{L}[\p{L}\p{M}\p{N}'\u2019\-&]*|\p{N}\S*")
CLAUSE_END = regex.compile(r"[.!?¡¿…:;,()\[\]{}<>|\"“”«»\u2014\u2013*_~\p{Emoji_Presentation}]+|\s[-/]\s")
SENTENCE_END = regex.compile(r"[.!?…]+\s")
SENTENCE = regex.compile(r"([^.!?…]+)([.!?…]+|$)(?=\s|$)")
INFINITIVE = regex.compile(r"[^áéíóú\W]+[aei]r(?:l[aeo]s?|se|te|me|nos)?|\p{L}+ír", regex.IGNORECASE)
NO_DENIAL = regex.compile(r"\bno (?:te |lo |la |se |os )*(?:pierdas?|pierdan|dudes?|olvides?|pierda|olvide|esperes?|solo|sólo)\b")
_DAY = r"(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo)"
_MONTH = r"(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre)"
_HOUR = r"(?:,? a las? \d{1,2}(?:[:.]\d\d)?(?: ?h(?:oras)?\b)?)"
TIME = regex.compile(
    r"(?<!\p{L})(?:(?:a partir del |(?:desde |hasta )?(?:el |este ))(?:próximo )?"
    rf"(?:{_DAY}(?: que viene| próximo)?(?: \d{{1,2}}(?: de {_MONTH})?)?|\d{{1,2}} de {_MONTH}(?: de \d{{4}})?)"
    rf"(?: por la (?:mañana|tarde|noche))?{_HOUR}?"
    r"|(?:desde |a partir de )?(?:la próxima semana|la semana que viene|el próximo mes|el mes que viene|este mes"
    r"|esta (?:semana|tarde|noche|primavera)|este (?:fin de semana|verano|otoño|invierno))"
    rf"{_HOUR}?|todos los (?:{_DAY}|sábados|domingos)"
    rf"|en (?:{_MONTH}|primavera|verano|otoño|invierno)|(?:hoy|mañana){_HOUR}?)(?!\p{{L}})",
    regex.IGNORECASE,
)
ACTION_NOUN = frozenset(
    "trucos truco consejos consejo ideas idea pasos claves guía formas maneras tips errores recomendaciones herramientas"
    " manual rutina cómo como".split()
)
ACTION_ENDS = frozenset(
    "y e o u que si cuando porque pero mientras | nuestro nuestra nuestros nuestras mi mis me nos sin no ni".split()
)
NO_STATEMENT = frozenset(
    "y e o pero le les se me te nos que porque cuando si como cómo también además así eso esto por "
    "para".split()
)
SEASONS = frozenset("vida noche verano invierno otoño primavera regalo día mañana entrada entradas".split())
MANNERS = frozenset("urgencia experiencia gusto cariño ilusión motivo ganas alegría orgullo calma éxito".split())
# Also verbs, but after a determiner or at the head of a list they are nouns.
HOMONYMS = frozenset(
    "compra oferta reserva visita prueba ayuda cocina mejora descarga escucha cambio uso pregunta cuenta entrada vista "
    "cuidado marca busca trabajo viaje regalo vida vino pago cambio diseño lanzamiento crea dona toma sorteo pasa".split()
)
