"""Whether a language model's text still tells what its source tells: rules for what its verifier lets through."""

from __future__ import annotations

import re
from collections import Counter

from pipelines.editing.spelling import is_known
from pipelines.records import Language
from pipelines.text.words import FUNCTION_WORDS

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
# Not what stands in a link, a handle or a hashtag.
COINED = re.compile(r"(?<![\w@#$./-])[A-Z][a-z]{2,}(?![\w./-]*\w)")
# After a small letter, a number or a comma.
NAMED = re.compile(r"(?<=[a-z\d%,] )[A-Z][a-z]{2,}(?![\w./-]*\w)")
SENTENCES = re.compile(r"[.!?:]\s+\S")
# Nobody knows what a number is of that is a line, or the sentence that ends one.
LONE_NUMBER = re.compile(r"(?m)^[^\w\n]*\d[\d.,:%]*[^\w\n]*$|[.!?] +\d[\d.,:%]*[.!?]?$")
TORN = re.compile(r"(?:^|[.!?\n]\s*)(?:Not|Nor|Or)\b|: (?:in|at|of|for|with|by|from|to)\b")
# What makes a post urgent; whoever wants it so says it.
PRESSING = frozenset({"only", "last", "final", "limited", "exclusive", "hurry", "solo", "sólo", "última", "último"})
FIRST = frozenset({"i", "me", "my", "mine", "we", "us", "our", "ours"})
SECOND = frozenset({"you", "your", "yours"})
# Who has something, where the word stands alone: "ours failed" is not "we failed".
OWNED = {"ours": "our", "mine": "my", "yours": "your", "theirs": "their", "hers": "her"}
ACTS = re.compile(r"\b(?:i|we) (\w{4,})", re.IGNORECASE)
# What went wrong: a text without it tells another story. Words of one line may stand for each other.
WRONG = (
    {"died", "dies", "dead", "death"},
    {"lost", "lose", "missing", "gone"},
    {"broke", "broken", "breaks"},
    {"failed", "fails", "failing", "failure"},
    {"cancelled", "canceled", "cancels", "cancellation"},
    {"closed", "closes", "closing", "shut", "shuts", "ends"},
    {"stole", "stolen", "theft"},
    {"fired", "sacked", "dismissed"},
    {"missed", "missing"},
    {"wrong", "mistake", "mistaken"},
)
# Shorter words come again in any sentence.
CONTENT_LETTERS = 4


def tells_otherwise(source: str, polished: str, text: str, language: Language) -> bool:
    """Whether a text tells something else than its source, which was put right in `polished`.

    It names what its source does not, leaves out a name or what went wrong, presses where the source does not, tears
    off a piece of its sentence, says the same thing twice, has a number alone, or is about other people.
    """
    own = f"{source}\n{polished}"
    renamed = not _coined(text) <= _stems(own) or not _coined(source) | _named(polished) <= _stems(text)
    torn = bool(TORN.search(text)) and not TORN.search(own)
    pressed = bool((words_of(text) & PRESSING) - words_of(own))
    if renamed or torn or pressed or LONE_NUMBER.search(text):
        return True
    return language == "en" and (_of_others(own, text) or _mends(own, text) or _repeats(source, text))


def words_of(text: str) -> frozenset[str]:
    """The words of a text in small letters."""
    return frozenset(word.casefold() for word in WORD.findall(text))


def _of_others(own: str, text: str) -> bool:
    """Whether other people do or have it: `you` out of nowhere, or nobody where the author does something."""
    before, after = _stems(own), _stems(text)
    if after & SECOND and not before & SECOND:
        return True
    if any(alone in before and not after & {alone, its} for alone, its in OWNED.items()):
        return True
    acts = {verb.casefold() for verb in ACTS.findall(own)} - FUNCTION_WORDS["en"]
    return bool(acts & after) and not after & FIRST


def _mends(own: str, text: str) -> bool:
    """Whether what went wrong is left out."""
    before, after = words_of(own), words_of(text)
    return any(before & kind and not after & kind for kind in WRONG)


def _repeats(source: str, text: str) -> bool:
    """Whether a word of content comes again that its author said once."""
    before, after = (Counter(word.casefold() for word in WORD.findall(one)) for one in (source, text))
    return any(
        n > max(before[word], 1)
        for word, n in after.items()
        if len(word) >= CONTENT_LETTERS and word not in FUNCTION_WORDS["en"]
    )


def _named(polished: str) -> frozenset[str]:
    """The words that have a capital within a text that was put right: names, days, months.

    Of more than one sentence none: a rewrite may leave one out.
    """
    return frozenset() if SENTENCES.search(polished) else frozenset(word.casefold() for word in NAMED.findall(polished))


def _coined(text: str) -> frozenset[str]:
    """The names that somebody made up, in small letters; hashtags, handles and links are none."""
    words = COINED.findall(text)
    return frozenset(word.casefold() for word in words if not is_known(word.casefold()))


def _stems(text: str) -> frozenset[str]:
    """The words of a text, `Lumo's` as `lumo`."""
    return frozenset(re.split(r"['\u2019]", word)[0] for word in words_of(text))
