"""Fills the slots of English frames with what a brief holds, in correct grammar; in doubt a slot is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import regex

from pipelines.english_headlines import headline
from pipelines.english_kinds import is_event, is_person
from pipelines.english_phrases import NounPhrase, Token, noun_phrases, words_of
from pipelines.english_requests import subject_of
from pipelines.english_sentences import (
    HIRING,
    HOW,
    SENTENCE,
    action_of,
    discount_of,
    gerund,
    is_negation,
    is_past,
    is_price,
    moment_of,
)
from pipelines.english_statements import ASIDE, ASKS, statements
from pipelines.english_titles import HOW_TO, question, title, wondering
from pipelines.english_verbs import has_verb, is_call
from pipelines.english_wording import KINDS, finished, is_product, is_weak, kind_of_message, lowered, restored
from pipelines.english_words import WORDS, article, plural_of, singular, tag
from pipelines.generator.phrases import COMMON_SLOTS, capitalized, common_slots, one_line, without_entities
from pipelines.text.facts import invents

if TYPE_CHECKING:
    from pipelines.records import Brief

KIND_SLOTS = frozenset(f"{kind}{form}" for kind in (*KINDS, "call", "share", "title") for form in ("", "_line"))
SLOTS = COMMON_SLOTS | {
    "topic", "Topic", "the_topic", "The_topic", "a_topic", "A_topic", "is", "has", "was", "it", "them", "this",
    "about", "topics", "headline", "Headline", "known", "ours", "event", "Event", "product", "product_kind", "products",
    "Products", "venue", "content", "group", "group_kind", "expert", "field", "Field", "hiring", "when", "When",
    "action", "their_action", "how", "doing", "Doing", "question", "wonder", "also", "fact", "question_line",
    *KIND_SLOTS,
    "discount", "matter", "own_hashtag", "we", "We", "we_are", "We_are", "us", "our",
}  # fmt: skip
# Longer queries are read from their beginning.
MAX_READ_CHARACTERS = 600
MAX_TOPIC_CHARACTERS = 60
FIELDS = frozenset({"field", "venue", "content", "expert"})
ASKED_ABOUT = FIELDS | {"product_kind", "about", "topics", "headline", "product", "products", "ours"}
# A longer query is about more than a field of knowledge.
MAX_FIELD_WORDS = 4
NO_PROSE = ("URL", "MENTION", "HASHTAG", "CASHTAG", "EMOJI", "MONEY", "PERCENT")
CAPITALIZED = frozenset({"doing", "the_topic", "a_topic", "event", "headline", "products", "field", "when"})
OWN = frozenset({"our", "my"})
DEFINITE = OWN | {"the", "this", "these"}
SOMEBODY_ELSES = frozenset({"their", "his", "her", "its", "that", "those"})
WE = {"we": "we", "We": "We", "we_are": "we are", "We_are": "We are", "us": "us", "our": "our"}
I = {"we": "I", "We": "I", "we_are": "I am", "We_are": "I am", "us": "me", "our": "my"}  # noqa: E741  # the pronoun
TYPES = {"product": "products", "venue": "venues", "content": "contents", "group": "groups"}
# How much less a phrase of the second sentence counts than one of the first.
LATER_SENTENCE = 0.4


def slots(brief: Brief) -> dict[str, str]:
    """Return the slots that the brief fills with correct grammar, by name; names are a subset of SLOTS.

    {topic} is a noun phrase without article of at most five words, {the_topic} has its determiner, {a_topic} and
    {topics} name its kind (a mattress, mattresses), {about} is the one of them that stands after "about", {headline}
    the one that stands alone; {is} {has} {was} {it} {them} {this} agree with it. {ours} is the author's own, {known}
    what a reader may have heard of; {product} {venue} {content} {group} {expert} {field} {event} are there where the
    topic is one. {action} is "choose a mattress", {fact} a whole sentence of the query, {when} "on Monday", {discount}
    "20% off", {hiring} who is looked for, {we} "I" where the author is one.
    """
    brief = replace(brief, query=subject_of(brief.query))
    found = _topic(brief)
    filled = common_slots(brief, " ".join(found[0].core) if found else None)
    sentence = found[1] if found else ""
    if "price" in filled and not is_price(filled["price"], sentence):
        del filled["price"]
    discount = discount_of(filled["percent"], sentence) if "percent" in filled else None
    if discount:
        filled["discount"] = discount
    if found:
        filled |= _topic_slots(*found)
        phrase = found[0]
        announced = is_event(phrase) or phrase.new or phrase.before in WORDS["launches"] or discount
        if announced and (when := moment_of(sentence)):
            filled["when"] = when
    filled |= _sentence_slots(brief, filled.get("topic", ""))
    message = {name: text for name, text in _message_slots(brief).items() if not invents(brief.query, text)}
    if message:
        filled = {name: value for name, value in filled.items() if name not in {"how", "doing"}}
    filled |= message or _named(brief, filled)
    filled = {name: value for name, value in filled.items() if name not in _unfit(brief, filled)}
    filled |= I if FIRST_SINGULAR.search(brief.query) and not FIRST_PLURAL.search(brief.query) else WE
    own = next((entity.text for entity in brief.entities if entity.label == "HASHTAG"), None)
    if own:
        filled["own_hashtag"] = one_line(own)
    return filled | {name[0].upper() + name[1:]: capitalized(filled[name]) for name in CAPITALIZED.intersection(filled)}


def _named(brief: Brief, filled: dict[str, str]) -> dict[str, str]:
    """Return a headline where the brief states nothing that could be said again."""
    query = brief.query[:MAX_READ_CHARACTERS]
    asked = query.rstrip().endswith("?") or bool(ASKS.match(query))
    silent = "action" in filled or CHANGED.search(query) or query.lower().startswith("did you")
    named = None if silent else headline(query, brief.entities, asked=asked)
    if named is None or PRIVATE.search(named):
        return {}
    return {"matter": named} if asked else {"title": finished(named)}


def _unfit(brief: Brief, filled: dict[str, str]) -> frozenset[str]:
    """Return the slots that a topic fills in form, but that nobody would ask strangers about."""
    if PRIVATE.search(filled.get("topic", "")):
        return ASKED_ABOUT
    if "action" not in filled and (HOW_TO.match(brief.query) or brief.query.rstrip().endswith("?")):
        return ASKED_ABOUT
    return FIELDS if brief.query.count(" ") > MAX_FIELD_WORDS and "action" not in filled else frozenset()


def _topic(brief: Brief) -> tuple[NounPhrase, str] | None:
    """Return the noun phrase that the query is about, with its sentence."""
    keywords = [keyword.lower() for keyword in brief.keywords[:5]]
    best: tuple[float, NounPhrase, str] | None = None
    for number, sentence in enumerate(SENTENCE.split(brief.query[:MAX_READ_CHARACTERS])):
        tokens = words_of(without_entities(sentence, brief.entities, NO_PROSE, " | "))
        for phrase in noun_phrases(tokens):
            score = _score(phrase, tokens, keywords) - LATER_SENTENCE * number
            if score > 0 and (best is None or score > best[0]):
                best = score, phrase, sentence
    return best[1:] if best else None


def _score(phrase: NounPhrase, tokens: tuple[Token, ...], keywords: list[str]) -> float:
    """Say how likely a text is about a phrase; not above 0 where it cannot be its topic."""
    text = phrase.text.lower()
    if len(text) > MAX_TOPIC_CHARACTERS or len(phrase.head) < 2 or phrase.determiner in SOMEBODY_ELSES:
        return 0.0
    modified = len(phrase.core) > 1 and not tag(phrase.core[-2].lower()).startswith("JJ")
    if phrase.head in WORDS["weak_heads"] and not phrase.tail and not modified:
        return 0.0
    clause = max((at for at in range(phrase.start + 1) if tokens[at].breaks), default=0)
    if any(is_negation(token.lower) for token in tokens[clause : phrase.start]):
        return 0.0
    if phrase.before in WORDS["prepositions"] and phrase.kind == "count" and not phrase.determiner:
        return 0.0  # "on sale", "at work"
    score = 1.0 + 0.6 * (phrase.start == 0) + 0.3 * min(len(phrase.core), 3) - 0.02 * phrase.start
    score += 1.0 * phrase.whole + 0.8 * (phrase.determiner in OWN) + 0.4 * (phrase.kind != "unknown")
    score += 1.2 * (phrase.before in WORDS["launches"]) + 0.2 * bool(phrase.new)
    score -= 0.6 * (phrase.kind == "name" and phrase.before in WORDS["prepositions"])
    score -= 1.5 * (phrase.determiner in {"a", "an"} and len(phrase.core) == 1 and tag(phrase.before) in {"VBD", "VBN"})
    score -= 0.8 * (is_person(phrase) and len(phrase.core) == 1)
    padded = f" {text} "
    ranks = [rank for rank, keyword in enumerate(keywords) if f" {keyword} " in padded]
    ranks += [rank + 1 for rank, keyword in enumerate(keywords) if f" {keyword.rpartition(' ')[2]} " in padded]
    return score + 0.8 / (1 + min(ranks)) if ranks else score


def _topic_slots(phrase: NounPhrase, sentence: str) -> dict[str, str]:
    """Return the slots that name the topic. In a question "my" is somebody's, not the author's to talk about."""
    asked = HOW.search(sentence) or sentence.rstrip().endswith("?")
    determiner = "" if asked and phrase.determiner in OWN else phrase.determiner
    topic, kind = phrase.text, phrase.kind
    full = f"{phrase.new} {topic}".strip()
    filled = {"topic": topic, "Topic": capitalized(topic)}
    if determiner in DEFINITE:
        filled["the_topic"] = f"{determiner} {full}"
    elif not determiner and (
        (is_event(phrase) and kind != "plural") or (kind == "mass" and phrase.tail.startswith("of "))
    ):
        filled["the_topic"] = f"the {full}"
    elif not determiner and kind in {"plural", "mass", "name"}:
        filled["the_topic"] = full if kind == "plural" else topic
    if kind in {"plural", "mass"}:
        filled["a_topic"] = topic
    elif kind == "count":
        filled["a_topic"] = f"{article(topic)} {topic}"
    filled |= _kind_slots(phrase, filled, determiner, full)
    if not is_past(sentence) and is_event(phrase):
        filled["event"] = filled.get("the_topic", f"the {full}")
    looked_for = HIRING.search(sentence) or (phrase.head == "volunteers" and phrase.start == 0)
    if looked_for and is_person(phrase, experts=True) and kind in {"count", "plural"}:
        filled["hiring"] = filled["a_topic"]
    plural = kind == "plural"
    agree = ("are", "have", "were", "they", "them", "these") if plural else ("is", "has", "was", "it", "it", "this")
    filled |= dict(zip(("is", "has", "was", "it", "them", "this"), agree, strict=True))
    if kind in {"name", "unknown"}:
        del filled["it"], filled["them"], filled["this"]  # somebody's name, perhaps
    return filled


def _kind_slots(phrase: NounPhrase, filled: dict[str, str], determiner: str, full: str) -> dict[str, str]:
    """Return the slots for what kind of thing the topic is; `full` is the topic with "new" before it."""
    topic, kind, person, event = phrase.text, phrase.kind, is_person(phrase), is_event(phrase)
    fresh = determiner in {"", "the"} and kind == "count" and FRESH.search(phrase.new)
    named: dict[str, str] = {}
    if kind in {"plural", "mass"}:
        named["topics"] = filled.get("the_topic", topic) if phrase.tail.startswith("of ") else topic
    elif kind == "count" and not (event or fresh) and (determiner not in OWN or phrase.head in WORDS["venues"]):
        named["topics"] = " ".join(filter(None, [*phrase.core[:-1], plural_of(phrase.core[-1]), phrase.tail]))
    if determiner in DEFINITE or event or kind == "name":
        named["headline"] = named["about"] = filled.get("the_topic", f"the {full}")
    else:
        people = person or is_person(phrase, experts=True)
        named["headline"] = full if phrase.new or people else named.get("topics", full)
        if fresh or "topics" in named:
            named["about"] = f"the {full}" if fresh else named["topics"]
    if person:
        return {"headline": named["headline"]}
    if "the_topic" in filled and determiner in OWN:
        named["ours"] = filled["the_topic"]
    if "the_topic" in filled and (determiner in DEFINITE or kind == "name"):
        named["known"] = filled["the_topic"]
    return named | _typed_slots(phrase, filled.get("a_topic"))


def _typed_slots(phrase: NounPhrase, thing: str | None) -> dict[str, str]:
    """Return {product}, {venue} and the like where the head of the topic is on a list; `thing` is {a_topic}."""
    if thing is None or is_event(phrase):
        return {}
    heads = {phrase.head, singular(phrase.head) or phrase.head}
    typed = {name: thing for name, words in TYPES.items() if heads & WORDS[words]}
    if phrase.kind == "count":
        typed |= {f"{name}_kind": phrase.text for name in ("product", "group") if name in typed}
        return typed | ({"expert": thing} if heads & WORDS["experts"] else {})
    if "product" in typed:
        return typed | {"products": phrase.text}
    return typed | ({"field": thing} if phrase.kind == "mass" else {})


def _sentence_slots(brief: Brief, topic: str) -> dict[str, str]:
    """Return {action} with the slots that it fills better than the topic does."""
    filled: dict[str, str] = {}
    action = next(filter(None, map(action_of, SENTENCE.split(brief.query[:MAX_READ_CHARACTERS]))), None)
    if action:
        verb, _, rest = action.partition(" ")
        doing = restored(f"{gerund(verb)} {rest}")
        action = restored(action)
        filled |= {"action": action, "how": action, "their_action": regex.sub(r"\byour\b", "their", action)}
        filled |= dict.fromkeys(("field", "headline", "about", "doing"), doing)
        if topic not in action or not topic:
            filled["topics"] = doing
    return filled


def _message_slots(brief: Brief) -> dict[str, str]:
    """Return the author's own statement, a second one, their question and what kind of message it is."""
    query, entities = brief.query[:MAX_READ_CHARACTERS], brief.entities
    if HOW_TO.match(query):
        return {}
    asked, said = question(query, entities), statements(query, entities)
    if not said and not asked and (named := title(query, entities)):
        asked, said = (named, []) if named.endswith("?") else (None, [finished(named)])
    if asked and said and not query.rstrip().endswith("?"):
        asked = None  # it leads over to what is said
    kind = kind_of_message(query)
    filled: dict[str, str] = {}
    if asked:
        filled["question"] = asked
        if ":" not in asked:
            filled["question_line"] = lowered(asked)
    if kind == "opinion" and (wonder := wondering(query, entities)):
        filled["wonder"] = wonder
    titled = len(said) == 1 and not has_verb(said[0])
    longer = (text for text in said if text.count(" ") > MAX_FIELD_WORDS)
    opening = said[0] if titled else next((text for text in said if not is_weak(text)), next(longer, None))
    return filled | _fact_slots(brief, opening, said, kind, asked=bool(asked)) if opening else filled


def _fact_slots(brief: Brief, opening: str, said: list[str], kind: str, *, asked: bool) -> dict[str, str]:
    """Return the statement that opens a tweet, by its kind as well where no question stands beside it, and another."""
    aside = "please note" if kind == "notice" else "honestly" if kind == "opinion" else "by the way"
    also = next((text for text in said if text != opening), None)
    filled = {"fact": opening.replace(ASIDE, aside)} | ({"also": also.replace(ASIDE, aside)} if also else {})
    if asked:
        return filled
    told, call = has_verb(opening), is_call(words_of(opening))
    if call and kind in {"news", "story", "opinion"}:
        kind = "share" if SHARES.match(opening) else "call"
    elif kind == "opinion" and not told:
        kind = "share"
    elif kind in {"news", "story"} and "sales" in brief.objectives and is_product(opening):
        kind = "offer"
    elif kind in {"news", "story"} and not told:
        kind = "title"
    filled[kind] = filled["fact"]
    if ":" not in opening and not (call and kind == "offer"):
        filled[f"{kind}_line"] = lowered(filled["fact"])
    return filled


FRESH = regex.compile(r"^(?:new|brand-new|latest|upcoming|first)\b")
SHARES = regex.compile(r"(?:show|finish|tell|share|describe|name|complete)\b", regex.I)
# What belongs to somebody's life, and is nothing to ask strangers about.
PRIVATE = regex.compile(
    r"\b(?:dad|mom|mum|mother|father|grand\w+|daughter|son|wife|husband|toddler|baby|office|meetings?|bag|heads?)\b",
    regex.I,
)
# A headline alone would hide that something does not take place.
CHANGED = regex.compile(r"\b(?:cancel\w*|postpon\w+|clos(?:e|es|ed|ing)|delay\w*|moved|limited|down)\b", regex.I)
FIRST_SINGULAR = regex.compile(r"\b(?:I|I'm|[Mm]y|me)\b")
FIRST_PLURAL = regex.compile(r"\b(?:we|our|us|we're)\b", regex.IGNORECASE)
