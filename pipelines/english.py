"""Fills the slots of English frames with what a brief holds, in correct grammar; in doubt a slot is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import regex

from pipelines.noun_phrases import (
    CLOSED,
    WORDS,
    NounPhrase,
    Role,
    Token,
    is_verb,
    noun_phrases,
    plural_of,
    roles,
    singular,
    tag,
    words_of,
)
from pipelines.phrases import COMMON_SLOTS, capitalized, common_slots, edges, one_line, without_entities

if TYPE_CHECKING:
    from pipelines.records import Brief

SLOTS = COMMON_SLOTS | {
    "topic", "Topic", "the_topic", "The_topic", "a_topic", "A_topic", "is", "has", "was", "it", "them", "this",
    "about", "topics", "headline", "Headline", "known", "ours", "event", "Event", "product", "products", "Products", "product_kind",
    "venue", "content", "group", "group_kind", "expert", "field", "Field", "hiring", "when", "When", "action", "their_action", "fact",
    "discount", "own_hashtag", "we", "We", "we_are", "We_are", "us", "our",
}  # fmt: skip
# Longer queries are read from their beginning.
MAX_READ_CHARACTERS = 600
MAX_WORDS = 6
MAX_TOPIC_CHARACTERS = 60
NO_PROSE = ("URL", "MENTION", "HASHTAG", "CASHTAG", "EMOJI", "MONEY", "PERCENT")
CAPITALIZED = frozenset({"the_topic", "a_topic", "event", "headline", "products", "field", "when"})
DEFINITE = frozenset({"our", "my", "the", "this", "these"})
WE_SLOTS = {"we": "we", "We": "We", "we_are": "we are", "We_are": "We are", "us": "us", "our": "our"}
I_SLOTS = {"we": "I", "We": "I", "we_are": "I am", "We_are": "I am", "us": "me", "our": "my"}
OWN = frozenset({"our", "my"})
# How much less a phrase of the second sentence counts than one of the first.
LATER_SENTENCE = 0.4


def slots(brief: Brief) -> dict[str, str]:
    """Return the slots that the brief fills with correct grammar, by name; names are a subset of SLOTS.

    {topic} a noun phrase without article of at most five words, {the_topic} with its determiner, {a_topic} as a kind of
    thing; {is} {has} {was} {it} {them} {this} agree with it. {when} "on Monday"; {action} "choose a mattress"; {fact}
    a whole sentence of the query; {event} "the workshop" where the topic is one; {discount} "20% off"; {hiring} whom
    the query looks for.
    """
    sentences = [part for part in SENTENCE.split(brief.query[:MAX_READ_CHARACTERS]) if part.strip()]
    keywords = [keyword.lower() for keyword in brief.keywords[:5]]
    best: tuple[float, NounPhrase, str] | None = None
    for number, sentence in enumerate(sentences):
        tokens = words_of(without_entities(replace(brief, query=sentence), NO_PROSE, " | "))
        for phrase in noun_phrases(tokens):
            score = _score(phrase, tokens, keywords) - LATER_SENTENCE * number
            if score > 0 and (best is None or score > best[0]):
                best = score, phrase, sentence
    phrase = best[1] if best else None
    filled = common_slots(brief, " ".join(phrase.core) if phrase else None)
    _keep_true_amounts(filled, best[2] if best else "")
    if best and phrase:
        question = HOW.search(best[2]) or best[2].rstrip().endswith("?")
        filled |= _topic_slots(phrase, "" if question and phrase.determiner in OWN else phrase.determiner)
        if not _is_past(best[2]):
            filled |= _event_slots(phrase, filled)
        if (HIRING.search(best[2]) or phrase.head == "volunteers") and phrase.kind in {"count", "plural"}:
            filled["hiring"] = filled.get("a_topic", phrase.text)
        fresh = _is_event(phrase) or phrase.new or phrase.before in LAUNCHES or "discount" in filled
        if fresh and (when := _when(best[2])):
            filled["when"] = when
    filled |= _clauses(brief, sentences)
    filled |= I_SLOTS if FIRST_SINGULAR.search(brief.query) and not FIRST_PLURAL.search(brief.query) else WE_SLOTS
    own = next((entity.text for entity in brief.entities if entity.label == "HASHTAG"), None)
    if own:
        filled["own_hashtag"] = one_line(own)
    for name in CAPITALIZED.intersection(filled):
        filled[name[0].upper() + name[1:]] = capitalized(filled[name])
    return filled


def _score(phrase: NounPhrase, tokens: list[Token], keywords: list[str]) -> float:
    """Say how likely a text is about a phrase; not above 0 where it cannot be its topic."""
    text = phrase.text.lower()
    weak = phrase.head in WORDS["weak_heads"] and not (
        len(phrase.core) > 1 and tag(phrase.core[-2].lower())[:1] in {"N", ""}
    )
    if weak or len(text) > MAX_TOPIC_CHARACTERS or len(phrase.head) < 2:
        return 0.0
    if phrase.determiner in {"their", "his", "her", "its", "that", "those"}:
        return 0.0
    clause_start = max((at for at in range(phrase.start + 1) if tokens[at].breaks), default=0)
    if any(NEGATION.search(token.lower) for token in tokens[clause_start : phrase.start]):
        return 0.0
    if phrase.before in WORDS["prepositions"] and phrase.kind == "count" and not phrase.determiner:
        return 0.0  # "on sale", "at work"
    score = 1.0 + 0.6 * (phrase.start == 0) + 0.3 * min(len(phrase.core), 3) - 0.02 * phrase.start
    score += 1.0 * phrase.whole + 0.8 * (phrase.determiner in OWN) + 0.4 * (phrase.kind != "unknown")
    score += 0.5 * (phrase.before in LAUNCHES) + 0.2 * bool(phrase.new)
    padded = f" {text} "
    rank = next((rank for rank, keyword in enumerate(keywords) if f" {keyword} " in padded), None)
    if rank is None:
        rank = next((rank + 1 for rank, keyword in enumerate(keywords) if f" {keyword.split()[-1]} " in padded), None)
    return score + (0.0 if rank is None else 0.8 / (1 + rank))


def _topic_slots(phrase: NounPhrase, determiner: str) -> dict[str, str]:
    topic = phrase.text
    plural = phrase.kind == "plural"
    filled = {"topic": topic, "Topic": capitalized(topic)}
    full = f"{phrase.new} {topic}".strip()
    if determiner in DEFINITE:
        filled["the_topic"] = f"{determiner} {full}"
    elif determiner == "" and phrase.kind in {"plural", "mass", "name"}:
        filled["the_topic"] = full if phrase.kind == "plural" else topic
    elif determiner == "" and _is_event(phrase):
        filled["the_topic"] = f"the {full}"
    if phrase.kind in {"plural", "mass"}:
        filled["a_topic"] = topic
    elif phrase.kind == "count":
        filled["a_topic"] = f"{article(topic)} {topic}"
    definite = determiner in DEFINITE
    person = any(word.lower() in WORDS["people"] - WORDS["experts"] for word in phrase.core)
    if phrase.kind == "count" and not _is_event(phrase) and (determiner not in OWN or phrase.head in WORDS["venues"]):
        filled["topics"] = " ".join(filter(None, [*phrase.core[:-1], plural_of(phrase.core[-1]), phrase.tail]))
    elif phrase.kind in {"plural", "mass"}:
        filled["topics"] = topic
    if definite or _is_event(phrase) or phrase.kind == "name":
        filled["headline"] = filled["about"] = filled.get("the_topic", f"the {full}")
    else:
        filled["headline"] = full if phrase.new or phrase.head in WORDS["experts"] else filled.get("topics", full)
        if "topics" in filled:
            filled["about"] = filled["topics"]
    if person:
        filled = {name: value for name, value in filled.items() if name not in {"about", "topics"}}
    elif determiner in OWN:
        filled["ours"] = filled["the_topic"]
    if (definite or phrase.kind == "name") and not person:
        filled["known"] = filled["the_topic"]
    filled |= _typed_slots(phrase, filled)
    agree = ("are", "have", "were", "they", "them", "these") if plural else ("is", "has", "was", "it", "it", "this")
    filled |= dict(zip(("is", "has", "was", "it", "them", "this"), agree, strict=True))
    if phrase.kind in {"name", "unknown"}:
        del filled["it"], filled["them"], filled["this"]  # somebody's name, perhaps
    return filled


def _typed_slots(phrase: NounPhrase, filled: dict[str, str]) -> dict[str, str]:
    """Return what kind of thing the topic is, where its head is on a list, as {a_topic} writes it."""
    typed: dict[str, str] = {}
    head, thing = singular(phrase.head) or phrase.head, filled.get("a_topic")
    if not thing or _is_event(phrase):
        return typed
    for name, heads in (("product", "products"), ("venue", "venues"), ("content", "contents"), ("group", "groups")):
        if head in WORDS[heads] or phrase.head in WORDS[heads]:
            typed[name] = thing
    if head in WORDS["experts"] and phrase.kind == "count":
        typed["expert"] = thing
    if "product" in typed and phrase.kind != "count":
        typed["products"] = phrase.text
    for name, kind in (("product", "product_kind"), ("group", "group_kind")):
        if name in typed and phrase.kind == "count":
            typed[kind] = phrase.text
    if phrase.kind == "mass" and "product" not in typed:
        typed["field"] = phrase.text
    return typed


def _is_event(phrase: NounPhrase) -> bool:
    return phrase.head in WORDS["events"] and phrase.kind != "mass"


def _event_slots(phrase: NounPhrase, filled: dict[str, str]) -> dict[str, str]:
    if not _is_event(phrase):
        return {}
    known = phrase.determiner in DEFINITE and "the_topic" in filled
    return {"event": filled["the_topic"] if known else f"the {phrase.new} {phrase.text}".replace("  ", " ")}


def article(phrase: str) -> str:
    """Return "a" or "an" by the sound of the first word: an hour, a user, an FAQ, a UX designer, an e-bike."""
    word = regex.split(r"[ \-]", phrase, maxsplit=1)[0]
    spelled = len(word) == 1 or (word.isupper() and (len(word) <= 3 or not regex.search("[AEIOU]", word)))
    if spelled:
        return "an" if word[0].upper() in "AEFHILMNORSX" else "a"
    return "an" if AN.match(word.lower()) else "a"


def _keep_true_amounts(filled: dict[str, str], query: str) -> None:
    """Drop a price that is none ("raised $2M", "save $20") or not the topic's; "20% off" is a discount."""
    price = filled.get("price")
    if price and not regex.search(
        rf"\b(?:for|at|from|only|just|costs?|is|are|of)\s+{regex.escape(price)}", query, regex.I
    ):
        del filled["price"]
    percent = filled.get("percent")
    if percent and (match := regex.search(rf"(?:\bup to\s+)?{regex.escape(percent)}\s+off\b", query, regex.I)):
        filled["discount"] = one_line(match[0]).lower()


def _when(sentence: str) -> str | None:
    """Return when the sentence says that something will be; None where it speaks of an end, the past or a habit."""
    if ENDS.search(sentence) or _is_past(sentence):
        return None
    found = [match[0] for match in WHEN.finditer(sentence)]
    return one_line(found[0]) if len(found) == 1 else None


def _is_past(sentence: str) -> bool:
    return bool(PAST.search(sentence)) or any(word.lower in WORDS["irregular_past"] for word in words_of(sentence))


def _clauses(brief: Brief, sentences: list[str]) -> dict[str, str]:
    """Return {action} and {fact}."""
    filled: dict[str, str] = {}
    for sentence in sentences:
        action = _action(sentence)
        if action and "action" not in filled:
            verb, _, rest = action.partition(" ")
            doing = f"{gerund(verb)} {rest}"
            filled |= {"action": action, "field": doing, "headline": doing, "about": doing}
            filled["their_action"] = YOUR.sub("their", action)
    for sentence in SENTENCE.split(one_line(brief.query[:MAX_READ_CHARACTERS])):
        if _states(sentence, brief):
            filled.setdefault("fact", capitalized(edges(sentence)) + ".")
    return filled


def _action(sentence: str) -> str | None:
    """Return what "how to choose a mattress" is about to do; what is the author's own becomes the reader's."""
    match = HOW.search(sentence)
    phrase = OWN_WORD.sub("your", edges(match["action"] if match else sentence))
    tokens = words_of(phrase)
    if not 2 <= len(tokens) <= MAX_WORDS or any(token.breaks for token in tokens[1:]):
        return None
    first = tokens[0].lower
    if HASH_OR_LINK.search(phrase) or any(
        token.lower in FIRST_PERSON or NEGATION.search(token.lower) for token in tokens
    ):
        return None
    if not is_verb(first) or first in CLOSED or tag(first) not in {"VB", "VBP", "NN", "JJ"}:
        return None
    orders = first in WORDS["imperatives"] or first in WORDS["maybe_imperatives"] or tag(first) == "VB"
    follows = first in WORDS["imperatives"] or tokens[1].lower in WORDS["determiners"]
    imperative = orders and follows and first not in WORDS["calls"]
    if not match and not imperative:
        return None
    return " ".join((tokens[0].lower, *(token.text for token in tokens[1:])))


def gerund(verb: str) -> str:
    """Return the -ing form of a verb."""
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return f"{verb[:-1]}ing"
    return f"{verb}{verb[-1]}ing" if DOUBLED.search(verb) else f"{verb}ing"


def _states(sentence: str, brief: Brief) -> bool:
    """Whether a sentence is short, whole, states something and can stand alone."""
    sentence = sentence.strip()
    tokens = words_of(sentence)
    if not 3 <= len(tokens) <= MAX_WORDS or not ENDED.search(
        brief.query[brief.query.find(sentence) :][: len(sentence) + 1]
    ):
        return False
    if sentence.endswith("?") or any(token.breaks for token in tokens[1:]) or regex.search(r"[@#|]|://|\.\w", sentence):
        return False
    if tokens[0].lower in DANGLING or any(NEGATION.search(token.lower) for token in tokens):
        return False
    found: list[Role] = roles(tokens)
    subject = found[0] in {"d", "a", "n"} or tokens[0].lower in {"we", "i", "you"}
    verb = next((at for at, token in enumerate(tokens) if at and found[at] == "x" and _is_finite(token)), None)
    return subject and verb is not None and verb < len(tokens) - 1


def _is_finite(token: Token) -> bool:
    return (
        token.lower in FINITE
        or tag(token.lower) in {"VBZ", "VBP", "VBD", "VB"}
        or (is_verb(token.lower) and tag(token.lower) in {"JJ", "NNS", "NN"})
    )


_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
WHEN = regex.compile(
    rf"\b(?:(?:on|this|next)\s{_DAY}(?:\s(?:morning|afternoon|evening|night))?"
    rf"|(?:this|next)\s(?:weekend|week|month|summer|winter|spring|fall|autumn)"
    rf"|on\s{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?|in\s(?!may\b|march\b){_MONTH}|tomorrow|tonight)"
    r"(?:\sat\s\d{1,2}(?::\d\d)?\s?(?:[ap]m)?\b)?",
    regex.IGNORECASE,
)
ENDS = regex.compile(
    r"\b(?:clos(?:e|es|ing)|ends?|ending|deadline|expires?|until|till|last|left|over|cancell?ed|postponed|before|by|every|since"
    r"|\p{L}{3,}ed)\b",
    regex.IGNORECASE,
)
PAST = regex.compile(r"\b(?:yesterday|last\s(?:night|week|month|year|weekend)|ago)\b", regex.IGNORECASE)
HOW = regex.compile(
    r"\b(?:how\s+to|how\s+(?:do|can|should|would)\s+(?:i|you|we|people)|(?:ways?|tips?|steps?|guide)\s+(?:for|to)|(?:want|need|trying|learn|time)\s+to)\s+(?P<action>[^.!?:;,|\n]+)",
    regex.IGNORECASE,
)
FIRST_SINGULAR = regex.compile(r"\b(?:I|I'm|my|me)\b")
FIRST_PLURAL = regex.compile(r"\b(?:we|our|us|we're)\b", regex.IGNORECASE)
YOUR = regex.compile(r"\byour\b")
OWN_WORD = regex.compile(r"\b(?:my|our)\b", regex.IGNORECASE)
HASH_OR_LINK = regex.compile(r"[#@$%|]|://|\.\w")
# One syllable, one vowel, one consonant: plan, cut, run; and some that are stressed at their end.
DOUBLED = regex.compile(
    r"^[^aeiou]*(?:qu)?[aeiou][bdgklmnprtz]$|(?:begin|prefer|submit|commit|admit|refer|forget|upset)$"
)
HIRING = regex.compile(
    r"\b(?:hiring|we(?:'re| are) looking for|join our team as|vacancy|now recruiting)\b", regex.IGNORECASE
)
SENTENCE = regex.compile(r"(?<=[.!?…])\s+|\n+")
ENDED = regex.compile(r"[.!]")
NEGATION = regex.compile(r"^(?:not?|never|none|neither|nor|without|cannot)$|n't$")
AN = regex.compile(
    r"[aeio](?<!^one)(?!u(?:ro|pho|ca)|ne\b|nce\b)|u(?!ni(?!n|m)|s[aeiu]|ti|bi|ra|kr|ku|v)|hono|hour|heir|herb(?!ert)"
)
FIRST_PERSON = frozenset({"i", "me", "my", "our", "us", "we", "mine", "this", "these", "it", "them", "that"})
DANGLING = frozenset(
    {
        "it",
        "they",
        "he",
        "she",
        "this",
        "that",
        "these",
        "those",
        "its",
        "their",
        "his",
        "her",
        "so",
        "but",
        "and",
        "or",
        "also",
        "i",
    }
)
FINITE = frozenset({"is", "are", "was", "were", "has", "have", "had", "will", "can", "do", "does", "did"})
LAUNCHES = frozenset(
    {
        "announcing",
        "introducing",
        "launching",
        "launch",
        "launched",
        "announce",
        "introduce",
        "meet",
        "releasing",
        "released",
        "celebrating",
        "about",
        "presenting",
        "join",
        "promote",
        "unveiling",
        "present",
        "opening",
        "hiring",
        "headline",
        "Headline",
        "item",
        "Item",
        "item_one",
        "The_topic",
        "field",
        "Field",
        "ours",
        "When",
        "promoting",
    }
)
