"""Writes an English author's words as they are printed: capitals, end marks, the same in other words, its kind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import regex

from pipelines.english_phrases import WORD, words_of
from pipelines.english_words import WORDS, is_common, is_proper, singular
from pipelines.generator.phrases import EDGES, capitalized, longest_copied_run, one_line
from pipelines.text.facts import DAYS
from pipelines.text.tweets import Entity

MAX_COUNTED = 6
WEAK = regex.compile(
    r"(?:see you|ask us|thank|today only|vote|please|look at|full list|numbers and|finish this|asking|selling)\b",
    regex.IGNORECASE,
)
HARD = regex.compile(r"[$€£]?\d[\d.,:/]*(?:%|[a-z]{1,2})?|[\p{L}]*\d+[\p{L}\d]*")
MIN_WORDS = 4
Entities = tuple[Entity, ...]
MAX_LINK_WORDS = 4
LINK = " \u2192 "
LEAD = regex.compile(r"(?:[.;,]\s*[^.;,]{0,24})?\s*(?:\b(?:at|here|via|on|by)|:)\s*$")
SENTENCE = regex.compile(r"(?<=[.!?…][\"')\u201d]?)(?<!\b(?:Dr|Mr|Ms|Mrs|St|No|vs)\.)\s+|\n+|(?<=\?)\s*\?")


def fits(text: str, query: str, entities: Entities) -> bool:
    """Whether a text copies no more of the query than it may."""
    return longest_copied_run(text, query, entities) <= MAX_COUNTED


@lru_cache(maxsize=256)
def sentences(query: str, entities: Entities) -> tuple[str, ...]:
    """Split a query into sentences on one line each, without links, tags and emoji at their ends."""
    for entity in entities:
        if entity.label in {"HASHTAG", "EMOJI", "URL"}:
            query = query.replace(entity.text, {"URL": LINK, "EMOJI": "\n"}.get(entity.label, " "))
    query = regex.sub(r"^thank (?=the|our)", "thank you to ", query, flags=regex.I)
    parts: list[str] = []
    for part in SENTENCE.split(query):
        text, linked, _ = one_line(part).partition(LINK.strip())
        if linked:
            text = "" if text.count(" ") < MAX_LINK_WORDS else LEAD.sub("", text)
        parts.append(text.strip().lstrip(EDGES.replace("(", "")))
    return tuple(part for part in parts if WORD.search(part))


def finished(text: str) -> str:
    """Return a text as a sentence: capitals where they belong, one end mark."""
    text = regex.sub(r"[!?]+(?=[,;:])", "", restored(text)).rstrip(" ,;:-\u2013\u2014")
    text = capitalized(text)
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def lowered(text: str) -> str:
    """Return a text as it stands within a sentence; a name keeps its capital."""
    first = text.split(" ", 1)[0]
    if NAMED_DAY.match(text):
        return text
    if RELATIVE_DAY.match(text):
        return text[:1].lower() + text[1:]
    if (
        is_proper(first.lower())
        or first.lower() in DAYS
        or (words_of(f"x {text}")[1].capital and not is_common(first, first.lower()))
    ):
        return text
    return text if regex.match(r"(?:I\b|\p{Lu}\p{Lu})", text) else text[:1].lower() + text[1:]


def restored(text: str) -> str:
    """Return a text with the capitals that names, days and the pronoun I have, and no others but its own."""
    if text.isupper() and " " in text:
        text = text.lower()
    return regex.sub(r"(?<![@#\w./\-])\p{Ll}[\p{L}']*(?![\w/]|\.\w)", lambda match: _cased(match[0]), text)


def _cased(word: str) -> str:
    if word in ACRONYMS:
        return ACRONYMS[word]
    if word in DAYS or word.rstrip("s") in DAYS or word in {"i", "i'm", "i've", "i'll", "christmas", "easter"}:
        return word.capitalize()
    return word.capitalize() if is_proper(word) else word


def unbalanced(text: str) -> bool:
    """Whether a quotation or a bracket is left open."""
    return (
        text.count('"') % 2 == 1 or text.count("(") != text.count(")") or text.count("\u201c") != text.count("\u201d")
    )


def reworded(text: str, query: str, entities: Entities) -> Iterator[str]:
    """Yield a long text with a word or a few in other words that mean the same."""
    if longest_copied_run(text, query, entities) <= MAX_COUNTED or ADDRESSED.search(text):
        return
    every = text
    for pattern, instead in SWAPS:
        changed = pattern.sub(instead, text, count=1)
        if pattern.search(text):
            every = pattern.sub(instead, every, count=1)
        if changed != text:
            yield changed
    yield every


def kind_of_message(query: str) -> str:
    """Return what a query tells: notice, lost, vacancy, thanks, opinion, story, offer, occasion, or news in doubt."""
    found = next((kind for kind, pattern in KINDS.items() if pattern.search(query)), "news")
    return "news" if found == "occasion" and not DATED.search(query) else found


def is_product(text: str) -> bool:
    """Whether a text ends with something that is sold."""
    last = words_of(text)[-1].lower
    return bool(WORDS["products"] & {last, singular(last) or last})


SWAPS = [
    (regex.compile(pattern, regex.IGNORECASE), instead)
    for pattern, instead in (
        (r"\bwe're\b", "we are"), (r"\bwe are\b", "we're"), (r"\bdo not\b", "don't"), (r"\bis not\b", "isn't"),
        (r"\bwill not\b", "won't"), (r"\bdon't\b", "do not"), (r"\b(?:actually|really|finally|very) ", ""),
        (r"\bbecause of\b", "due to"), (r"\bdue to\b", "because of"), (r"(?<= \w{3,20} )who\b", "that"),
        (r"\bis looking for\b", "is searching for"),
        (r"\bthe (\w+) that (?=(?:local|our|the|my|we|you|i)\b)", r"the \1 "),
        (r"\bnear the\b", "close to the"), (r"\bprepare for\b", "get ready for"), (r"\bwant to\b", "would like to"),
        (r"\beveryone\b", "everybody"), (r"\bevery\b(?! \w+ of)", "each"),
        (r"\bhave been\b", "were"), (r"\bhas been\b", "was"), (r"\babout (?=a|the|our|why|big)", "on "),
        (r"\bis going to the\b", "is off to the"),
        (r"\bis available\b", "is out"),
        (r"\bstarting (?=\d)", "from "),
        (r"\bis now open\b", "is open now"),
        (r"\bis worth more than\b", "beats"),
        (r"^say hello to\b", "meet"),
        (r"^an? (?:\w+ )?thank you to\b", "thank you to"),
        (r"\bstory behind\b", "story of"),
        (r"\buntil\b", "till"),
        (r"\bbecause\b(?! of)", "since"),
        (r"(?<!,) and (?!yes\b|thank)", " & "),
    )
]  # fmt: skip
# What an event has and a mention of one has not.
DATED = regex.compile(
    rf"\b(?:{'|'.join(sorted(DAYS))}|march|may|today|tonight|tomorrow|weekend|next (?:week|month)"
    r"|join|come|tickets|doors|registration|sign up|\d{1,2}(?::\d\d)? ?[ap]m)\b",
    regex.IGNORECASE,
)
ADDRESSED = regex.compile(r"[\"\u201c]")
RELATIVE_DAY = regex.compile(r"(?:today|tomorrow|tonight)\b", regex.IGNORECASE)
NAMED_DAY = regex.compile(r"\p{L}+ (?:mon|tues|fri)day\b", regex.IGNORECASE)
ACRONYMS = {word.lower(): word for word in WORDS["acronyms"]}


KINDS = {
    "cheer": regex.compile(
        r"^(?:happy|congrat\w*|good (?:morning|evening)|welcome|so proud|proud|merry)\b(?! to\b)", regex.I
    ),
    "lost": regex.compile(r"^(?:found|lost)\b|\blost property\b", regex.I),
    "vacancy": regex.compile(
        r"\b(?:hiring|vacancy|job opening|job 4|developer job|is looking for an?|looking for \d+"
        r"|needs help)\b",
        regex.I,
    ),
    "notice": regex.compile(
        r"\b(?:closures?|cancel\w+|postponed|road closed|not open|outage|delays?|delayed|maintenance"
        r"|power (?:failure|cut)|not working"
        r"|(?:is|are) (?:down|closed)|(?:been|is) moved|refund|not ship|apology|apologi[sz]e"
        r"|reminded|not available|heads up|please note"
        r"|update \d|hours (?:change|over)|opening hours|policy|flooding|regret|not anonymous"
        r"|cash only|closing down|remain closed"
        r"|closes? (?:at|for)|visiting)\b",
        regex.I,
    ),
    "news": regex.compile(
        r"\b(?:newsletter|waitlist|podcast|blog post|long read|stepping down|devlog|video|film|report|data set)\b",
        regex.I,
    ),
    "thanks": regex.compile(r"^(?:thanks?\b|an? (?:\w+ )?thank you|to the person)", regex.I),
    "opinion": regex.compile(
        r"\b(?:hot take|unpopular opinion|honest thoughts|debate|still matters?|arguing)\b", regex.I
    ),
    "story": regex.compile(
        r"^(?:so |today )?i (?!'m|am|make|sell|teach|have a)(?!.*\b(?:is out|subscribe)\b)|\bgrandmother", regex.I
    ),
    "offer": regex.compile(
        r"\d% (?:off|below)|\b(?:(?<!drop )off|sale|discount|deal|price|pounds|free trial|pre-orders?|gift"
        r"|restock|refurbished)\b|[$£€]\d",
        regex.I,
    ),
    "occasion": regex.compile(
        r"\b(?:opening|reopen\w*|event|workshop|webinar|festival|market|brunch|meetup|night|class"
        r"|open (?:day|house)|exhibition"
        r"|party|match|race|ride|marathon|cleanup|swap|popup|parkrun|circle|tickets|doors open"
        r"|launch|derby|sprint|lecture|session"
        r"|viewings|screening|tour|q&a|demo day|camp|adoption|walk group|book club|come to"
        r"|come and see|see you at|registration|sign ups)\b",
        regex.I,
    ),
}


def is_weak(text: str) -> bool:
    """Whether a statement says too little to open a tweet."""
    few = text.count(" ") < MIN_WORDS - 2 and not HARD.search(text) and not text.startswith(("Meet", "New episode"))
    return few or bool(WEAK.match(text) and not (text.startswith("Thank") and text.count(" ") >= MIN_WORDS))
