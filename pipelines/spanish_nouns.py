"""Reads Spanish noun phrases with gender, number and determiner, and which of them a query is about.

Gender is told by the query's own determiners, by adjectives that agree, by endings and small lists; see spanish_words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines import spanish_words as es
from pipelines.generator.phrases import edges
from pipelines.spanish_grammar import agrees, gender_and_number, is_adjective, is_infinitive, is_verb
from pipelines.spanish_kinds import GENERIC, VAGUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.records import Brief

MAX_TOPIC_WORDS = 6


@dataclass(frozen=True)
class NounPhrase:
    """A noun phrase of the query; `words` stand without the `determiner`, which is empty where there is none.

    Gender is m, f or None where nothing tells; `plural` likewise. A bare one stands in a sentence without determiner,
    one that is sought behind "we look for". `place` is the clause it stands in, `anchor` says from 1 to 4.5 how surely
    the clause is about it.
    """

    words: tuple[str, ...]
    determiner: str = ""
    gender: str | None = None
    plural: bool | None = None
    is_name: bool = False
    is_pair: bool = False
    is_bare: bool = False
    is_sought: bool = False
    place: int = 0
    anchor: float = 0.0
    score: float = 0.0

    @property
    def text(self) -> str:
        """The phrase without its determiner."""
        return " ".join(self.words)


def find_topic(brief: Brief, clauses: Sequence[Sequence[str]]) -> NounPhrase | None:
    """Return the noun phrase that the query is about; None where there is none that is surely one."""
    names = {edges(entity.text) for entity in brief.entities if entity.label in {"PERSON", "ORG", "NAME"}}
    found = [
        _scored(phrase, brief) for place, clause in enumerate(clauses) for phrase in _noun_phrases(clause, place, names)
    ]
    found = [phrase for phrase in found if phrase.score > 0]
    if found:
        return max(found, key=lambda phrase: phrase.score)
    denied = {word.casefold() for clause in clauses for word in _denied(clause)}
    named = [NounPhrase(tuple(name.split()), is_name=True) for name in sorted(names, key=brief.query.find) if name]
    keys = [NounPhrase(tuple(keyword.split())) for keyword in brief.keywords if edges(keyword) == keyword]
    return next((phrase for phrase in (*named, *keys) if _stands_alone(phrase, denied)), None)


def _stands_alone(phrase: NounPhrase, denied: set[str]) -> bool:
    """Whether a name or keyword can be the topic where no noun phrase was found."""
    first = phrase.words[0].casefold() if phrase.words else ""
    return (
        0 < len(phrase.words) <= MAX_TOPIC_WORDS
        and all(word.replace("-", "").isalpha() and word.casefold() not in denied for word in phrase.words)
        and is_noun(phrase.words[0])
        and first not in es.IMPERATIVES | es.ADJECTIVES | GENERIC
        and not (len(phrase.words) == 1 and not phrase.is_name and is_adjective(first))
    )


def _scored(phrase: NounPhrase, brief: Brief) -> NounPhrase:
    words = [word.casefold() for word in phrase.words if word.casefold() not in es.FUNCTION_WORDS | es.BEFORE_NOUN]
    score = phrase.score + 0.5 * min(len(words), 4) - 0.3 * min(phrase.place, 5)
    for rank, keyword in enumerate(brief.keywords[:3]):
        if set(words) & set(keyword.casefold().split()):
            score += 1.0 / (1 + rank)
            break
    if len(words) == 1 and words[0] in VAGUE and phrase.determiner not in es.OWN and phrase.score < 4:
        score = 0.0 if es.OFFER.search(brief.query) else 0.1
    elif len(words) == 1 and phrase.place and phrase.score == 4:
        score -= 2.0  # a single word that closes a sentence: "..., caseta 45"
    return replace(phrase, score=score)


def _is_vague(words: Sequence[str]) -> bool:
    """Whether the noun says nothing by itself; a night of jazz says something."""
    nouns = [word.casefold() for word in words if word.casefold() not in es.BEFORE_NOUN | es.FUNCTION_WORDS]
    return not nouns or (nouns[0] in GENERIC and not (nouns[0] in es.SEASONS and len(nouns) > 1))


def _denied(clause: Sequence[str]) -> Sequence[str]:
    """Return the words of a clause that stand under a negation; "no te pierdas" denies nothing."""
    text = " ".join(clause).casefold()
    if es.NO_DENIAL.search(text):
        return ()
    place = next((index for index, word in enumerate(clause) if word.casefold() in es.NEGATIONS - {"sin"}), len(clause))
    return clause[place:]


def _noun_phrases(clause: Sequence[str], place: int, names: set[str]) -> Iterator[NounPhrase]:
    """Yield the noun phrases of a clause that is not denied, with a score for where they stand."""
    last = len(clause) - len(_denied(clause))
    words = [word.casefold() for word in clause]
    imperative = (
        words[0] in es.IMPERATIVES and len(words) > 1 and words[1] in es.FUNCTION_WORDS - es.PREPOSITIONS | {"a", "en"}
    )
    main = words[: next((at for at, word in enumerate(words) if at and word in {"que", "quien", "donde"}), None)]
    verbless = not imperative and not any(
        is_verb(word)
        and not (word in es.HOMONYMS and (at == 0 or main[at - 1] in es.PREPOSITIONS | es.DETERMINERS.keys()))
        for at, word in enumerate(main)
    )
    index = 0
    while index < last:
        before = words[index - 1] if index else ""
        if words[index] in es.DETERMINERS and index + 1 < last and not is_verb(words[index + 1]):
            determiner, start = words[index], index + 1
        else:
            determiner, start = "", index
        anchored = (
            determiner
            or (verbless and index == 0)
            or before in es.PRESENTING
            or before in {"para", "con", "sobre", "de"}
            or (verbless and before == "|")
        )
        phrase, end = _read(clause, start, last, verbless=verbless) if anchored else (None, index + 1)
        opens_as_verb = index == 0 and words[0] in es.ANNOUNCING and words[1:2] and words[1] in es.DETERMINERS
        if phrase is None or opens_as_verb or _is_vague(phrase.words):
            index += 1
            continue
        if determiner and determiner != "cada":
            gender, plural = es.DETERMINERS[determiner]
            if gender == "m" and phrase.words[0].casefold() in es.STRESSED_A:
                gender = "f"
            phrase = replace(phrase, determiner=determiner, gender=gender or phrase.gender, plural=plural)
        if phrase.words[0].casefold() in {"propio", "propia", "propios", "propias"} and len(phrase.words) > 1:
            phrase = replace(phrase, words=phrase.words[1:])
        phrase = _with_case(phrase, names, opens=start == 0)
        phrase = replace(phrase, is_bare=not determiner and not verbless, is_sought=before in es.SEEKING)
        score = _anchor(words, index, determiner, verbless=verbless) - (last < len(clause))
        yield replace(phrase, place=place, anchor=score, score=score)
        index = max(end, index + 1)


def _anchor(words: Sequence[str], index: int, determiner: str, *, verbless: bool) -> float:
    before = words[index - 1] if index else ""
    if before in es.PRESENTING or (before in {"qué", "a"} and words[0] in es.PRESENTING):
        return 4.5
    if determiner in es.OWN:
        return 3.5 if before in es.PREPOSITIONS else 4.0
    if index == 0:
        return 4.0 if verbless else 3.0
    if before in es.PREPOSITIONS or determiner in {"al", "del"}:
        return 1.0
    return 2.5 if determiner else 1.5


def _read(clause: Sequence[str], start: int, last: int, *, verbless: bool) -> tuple[NounPhrase | None, int]:
    """Read a noun phrase without determiner from `start` on; return it with the place after it."""
    head, end = _head(clause, start, last, verbless=verbless)
    if head is None:
        return None, start
    words = list(head.words)
    is_pair = False
    while end < last:
        link = clause[end].casefold()
        pairs = verbless and link in {"y", "e"}
        if not (pairs or link in es.LINKS or (verbless and link in es.HEADLINE_LINKS)):
            break
        more, inner, after = _complement(clause, end, last, verbless=verbless)
        if more is None or _says_little(more.words[0], link) or (pairs and inner > end + 1):
            break
        longer = [*words, *clause[end:inner], *more.words]
        if _size(longer) > MAX_TOPIC_WORDS and len(more.words) > 1 and more.words[0].casefold() not in es.BEFORE_NOUN:
            longer, after = longer[: 1 - len(more.words)], after + 1 - len(more.words)
        if _size(longer) > MAX_TOPIC_WORDS or _splits_name(clause, inner, after, last, MAX_TOPIC_WORDS - _size(longer)):
            break
        is_pair = is_pair or (pairs and len(words) == len(head.words))
        words, end = longer, after
    if len(head.words) < len(words) < MAX_TOPIC_WORDS and _closes(clause, end, last, head):
        words, end = [*words, clause[end]], last
    return replace(head, words=tuple(words), is_pair=is_pair), end


def _complement(clause: Sequence[str], link: int, last: int, *, verbless: bool) -> tuple[NounPhrase | None, int, int]:
    """Read what follows a preposition; return it, where it starts behind its determiner, and the place after it."""
    inner = link + 1
    owner = clause[inner].casefold() if inner < last else ""
    if owner in es.DETERMINERS and clause[link].casefold() not in {"del", "al"}:
        inner += 1
    if owner in {"este", "esta", "ese", "esa", "cada"}:
        return None, inner, inner
    more, after = _head(clause, inner, last, verbless=verbless)
    rest = clause[after].casefold() if more and after == last - 1 else ""
    if more and verbless and clause[link] == "de" and is_noun(rest) and rest.isalpha():
        more, after = replace(more, words=(*more.words, clause[after])), last
    if more is None and clause[link].casefold() in {"para", "de", "a", "al"} and link + 1 == inner < last:
        return _infinitive_phrase(clause, inner, last), inner, last
    return more, inner, after


def _closes(clause: Sequence[str], end: int, last: int, head: NounPhrase) -> bool:
    """Whether the clause ends with one more adjective of the head (seguros de coche | baratos)."""
    if end != last - 1 or head.plural is None:
        return False
    word = clause[end].casefold()
    return is_adjective(word) and word[-1] in "oas" and agrees(word, head.gender, plural=head.plural)


def _infinitive_phrase(clause: Sequence[str], start: int, last: int) -> NounPhrase | None:
    """Return an infinitive with the rest of its clause (app para | aprender a leer); None where that is more."""
    rest = [word.casefold() for word in clause[start:last]]
    ends = {"|", "y", "e", "o", "que", "si", "cuando"} & set(rest) or last < len(clause)
    return NounPhrase(tuple(clause[start:last])) if is_infinitive(rest[0]) and not ends else None


def _size(words: Sequence[str]) -> int:
    """How many words count towards the limit: those of names do not."""
    return sum(not (word[0].isupper() and word[1:].islower()) for word in words)


def _says_little(noun: str, link: str) -> bool:
    if noun[0].isupper() or (link in {"de", "del", "en", "para"} and noun.casefold() in es.SEASONS):
        return False
    return noun.casefold() in GENERIC or (link == "con" and noun.casefold() in es.MANNERS)


def _splits_name(clause: Sequence[str], start: int, end: int, last: int, room: int) -> bool:
    """Whether a phrase that ends here would cut a name in two (Día | de la Madre)."""
    if not clause[start][0].isupper() or end >= last or clause[end] not in {"de", "del"}:
        return False
    rest = next((at for at in range(end + 1, min(end + 3, last)) if clause[at][0].isupper()), None)
    return rest is not None and rest + 1 - end > room


def _head(clause: Sequence[str], start: int, last: int, *, verbless: bool) -> tuple[NounPhrase | None, int]:
    """Read adjectives, a noun and the adjectives that agree with it."""
    noun = start
    while noun < last and clause[noun].casefold() in es.BEFORE_NOUN:
        noun += 1
    if noun >= last or not is_noun(clause[noun]):
        return None, start
    if noun == start and verbless and start == 0 and clause[noun].casefold() in es.ADJECTIVES:
        return None, start
    gender, plural = gender_and_number(clause[noun].casefold())
    for word in clause[start:noun]:
        gender = gender or {"a": "f", "o": "m"}.get(word.casefold().rstrip("s")[-1])
    end = noun + 1
    while end < last and end - start < MAX_TOPIC_WORDS:
        word = clause[end].casefold()
        loan = (
            word not in es.FUNCTION_WORDS and (clause[end][0].isupper() or es.LOAN.search(word)) and not is_verb(word)
        )
        if is_adjective(word) and agrees(word, gender, plural=plural):
            if word.rstrip("s")[-1] in "ao" and not word.endswith("ista") and gender is None:
                gender = "f" if word.rstrip("s")[-1] == "a" else "m"
        elif not loan or (end > noun + 1 and not clause[end][0].isupper() and not verbless):
            break
        end += 1
    return NounPhrase(tuple(clause[start:end]), gender=gender, plural=plural), end


def is_noun(word: str) -> bool:
    """Whether a word may be a noun: no word of grammar, no verb form that is not a noun too."""
    folded = word.casefold()
    return (
        len(word) > 1
        and word[0].isalpha()
        and folded not in es.FUNCTION_WORDS
        and folded not in es.BEFORE_NOUN
        and not (is_verb(word) and folded not in es.HOMONYMS)
        and not is_infinitive(word)
        and not folded.endswith(("mente", "ando", "iendo"))
    )


def _with_case(phrase: NounPhrase, names: set[str], *, opens: bool) -> NounPhrase:
    """Undo the capital of a clause's first word, and tell names."""
    first = phrase.words[0]
    named = next((name for name in names if f"{phrase.text} ".startswith(f"{name} ")), None)
    noun = first.casefold()
    common = noun in es.MASCULINE | es.FEMININE or (len(phrase.words) > 1 and is_adjective(phrase.words[1].casefold()))
    if named and not phrase.determiner and not (opens and common):
        return replace(phrase, is_name=True)
    if opens and first[0].isupper() and first[1:].islower() and (common or not named):
        return replace(phrase, words=(first.lower(), *phrase.words[1:]))
    return phrase
