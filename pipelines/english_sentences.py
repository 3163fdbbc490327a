"""Reads from English sentences what may be said again: an action, a short statement, a moment, an offer."""

from __future__ import annotations

import regex

from pipelines.english_phrases import words_of
from pipelines.english_words import CLOSED, WORDS, is_verb, tag
from pipelines.generator.phrases import edges, one_line

MAX_WORDS = 6


def action_of(sentence: str) -> str | None:
    """Return what "how to choose a mattress" is about to do; what is the author's own becomes the reader's.

    A sentence that tells to do something is one too, unless it is the author's own call ("join us").
    """
    match = HOW.search(sentence)
    phrase = OWN_WORD.sub("your", edges(match["action"] if match else sentence))
    if (
        match
        and phrase.count(" ") >= MAX_WORDS - 1
        and (shorter := TRAILING.match(phrase))
        and not PLACED.match(phrase)
    ):
        phrase = shorter[1]
    if not 0 < phrase.count(" ") < MAX_WORDS or MARKS.search(phrase):
        return None
    tokens = words_of(phrase)
    if not 2 <= len(tokens) <= MAX_WORDS or any(token.breaks for token in tokens[1:]):
        return None
    if any(token.lower in WORDS["first_person"] or is_negation(token.lower) for token in tokens):
        return None
    first, second = tokens[0].lower, tokens[1].lower
    if (
        not is_verb(first)
        or (first in CLOSED and not match)
        or (not match and tag(first) not in {"VB", "VBP", "NN", "JJ"})
    ):
        return None
    orders = first in WORDS["imperatives"] or (
        (first in WORDS["maybe_imperatives"] or tag(first) == "VB") and second in WORDS["determiners"]
    )
    if not match and (not orders or first in WORDS["calls"]):
        return None
    return " ".join((first, *(token.text for token in tokens[1:])))


def gerund(verb: str) -> str:
    """Return the -ing form of a verb."""
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return f"{verb[:-1]}ing"
    return f"{verb}{verb[-1]}ing" if DOUBLED.search(verb) else f"{verb}ing"


def moment_of(sentence: str) -> str | None:
    """Return when the sentence says that something will be; None where it speaks of an end, the past or a habit."""
    found = [match[0] for match in WHEN.finditer(sentence)]
    return one_line(found[0]) if len(found) == 1 and not ENDS.search(sentence) and not is_past(sentence) else None


def is_past(sentence: str) -> bool:
    """Whether a sentence tells of what was."""
    return bool(PAST.search(sentence))


def is_negation(word: str) -> bool:
    """Whether a word in lower case negates."""
    return bool(NEGATION.search(word))


def is_price(price: str, sentence: str) -> bool:
    """Whether an amount is what something costs, not what was raised or is saved."""
    pattern = rf"\b(?:for|at|from|only|just|costs?|is|are)\s+{regex.escape(price)}"
    return bool(regex.search(pattern, sentence, regex.IGNORECASE))


def discount_of(percent: str, sentence: str) -> str | None:
    """Return "20% off" or "up to 20% off" as the sentence has it."""
    match = regex.search(rf"(?:\bup to\s+)?{regex.escape(percent)}\s+off\b", sentence, regex.IGNORECASE)
    return one_line(match[0]).lower() if match else None


_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
WHEN = regex.compile(
    rf"\b(?:(?:on|this|next)\s{_DAY}(?:\s(?:morning|afternoon|evening|night))?"
    r"|(?:this|next)\s(?:weekend|week|month|summer|winter|spring|fall|autumn)"
    rf"|on\s{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?|in\s(?!may\b|march\b){_MONTH}|tomorrow|tonight)\b"
    r"(?:\sat\s\d{1,2}(?::\d\d)?\s?(?:[ap]m)?\b)?",
    regex.IGNORECASE,
)
ENDS = regex.compile(
    r"\b(?:clos(?:e|es|ing)|ends?|ending|deadline|expires?|until|till|last|left|over|before|by|every|since|\p{L}{3,}ed)\b",
    regex.IGNORECASE,
)
PAST = regex.compile(
    r"\b(?:yesterday|last\s(?:night|week|month|year|weekend)|ago|thanks?|finished|hosted|attended"
    rf"|{'|'.join(sorted(WORDS['irregular_past']))})\b",
    regex.IGNORECASE,
)
HOW = regex.compile(
    r"\b(?:how\s+to|how\s+(?:do|can|should|would)\s+(?:i|you|we|people)|(?:ways?|tips?|steps?|guide)\s+(?:for|to)"
    r"|(?:learn)\s+to)\s+(?P<action>[^.!?:;,|\n]+)",
    regex.IGNORECASE,
)
HIRING = regex.compile(
    r"^looking for\b|\b(?:hiring|needed|wanted|we(?:'re| are) looking for|join our team as|vacancy|now recruiting)\b",
    regex.IGNORECASE,
)
SENTENCE = regex.compile(r"(?<=[.!?…])\s+|\n+")
# "clean suede shoes" of "clean suede shoes with stuff you have at home"
TRAILING = regex.compile(r"(\w+(?: [\w\-]+){1,4}?) (?:with|without|for|in|on|at|from|when|because|if|before) ")
PLACED = regex.compile(r"(?:get|put|keep|bring|take|turn|move|deal)\b", regex.IGNORECASE)
OWN_WORD = regex.compile(r"\b(?:my|our)\b", regex.IGNORECASE)
MARKS = regex.compile(r"[#@$%|{}<>]|://|\.\w")
# One syllable, one vowel, one consonant: plan, cut, run; and some that are stressed at their end.
DOUBLED = regex.compile(r"^[^aeiou]*(?:qu)?[aeiou][bdgklmnprtz]$|(?:begin|prefer|submit|commit|admit|refer|forget)$")
NEGATION = regex.compile(r"^(?:not?|never|none|nobody|nothing|neither|nor|without|cannot)$|n't$")
