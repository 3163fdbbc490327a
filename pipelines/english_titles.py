"""Takes from an English query what it asks and what it is called: the author's question, opinion and title.

Where one copies more of the query than it may, its order is changed by rule, else it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex

from pipelines.english_phrases import WORD, roles, words_of
from pipelines.english_sentences import is_negation
from pipelines.english_statements import (
    ASKS,
    GLUE,
    HARD,
    LABEL,
    LINKS,
    SUBJECTS,
    TYPO,
    keywords_only,
    sentences,
    verb_at,
)
from pipelines.english_wording import Entities, fits, lowered, restored, reworded
from pipelines.english_words import WORDS, singular, tag
from pipelines.facts import DAYS
from pipelines.phrases import EDGES, capitalized


def question(query: str, entities: Entities) -> str | None:
    """Return the author's question to readers; a long one with what it is about in front of it."""
    asked = [text for text in sentences(query, entities) if text.endswith("?")]
    whole = sentences(query, entities)
    if not asked and len(whole) == 1 and (ASKS.match(whole[0]) or WHAT_PEOPLE.match(whole[0])):
        asked = [whole[0]]
    for text in asked[-1:] if asked and whole[-1] == asked[-1] else asked[:1]:
        label = LABEL.match(text)
        text = regex.sub(r"\?+$", "", text[label.end() :] if label else text).rstrip(" .")
        text = WHAT_PEOPLE.sub(r"what do people \1", restored(text))
        for form in (text, JOINED.sub(r"? \1", text), *_fronted(text), _without_adverb(text)):
            asked_form = regex.sub(r"\? (\w)", lambda match: "? " + match[1].upper(), form)
            if fits(form, query, entities) and not TYPO.search(form):
                return f"{capitalized(asked_form)}?"
    return None


def _without_adverb(text: str) -> str:
    return ADVERB.sub("", text)


def _fronted(text: str) -> Iterator[str]:
    """Yield a question with one of its noun phrases, or where or when it is, in front."""
    tokens = words_of(text)
    found, spans = roles(tokens), list(WORD.finditer(text))
    for at in range(1, len(tokens)):
        if found[at] != "d" and tokens[at].lower != "every":
            continue
        end = at + 1
        while end < len(tokens) and not tokens[end].breaks and found[end] in {"a", "n", "q"}:
            end += 1
        while end > at + 1 and found[end - 1] == "a":
            end -= 1
        if end < len(tokens) and tokens[end].lower in {"you", "we", "i"}:
            begin = lowered(text[: spans[at].start()].rstrip())
            yield f"{text[spans[at].start() :]}: {begin} it"
            continue
        if tokens[at].lower in {"this", "next", "last"} and end == len(tokens):
            yield f"{text[spans[at].start() :]}: {lowered(text[: spans[at].start()].rstrip())}"
            continue
        if end == at + 1 or found[end - 1] != "n" or tokens[at - 1].lower in WORDS["prepositions"]:
            continue
        head = tokens[end - 1].lower
        plural = bool(singular(head)) or head in WORDS["plural"]
        follows = tokens[end].lower if end < len(tokens) else ""
        subject = (
            bool(follows)
            and tag(follows)[:2] != "RB"
            and (found[end] == "x" or tokens[at - 1].lower in WORDS["finite_here"])
        )
        whose = head in WORDS["people"] or head in WORDS["experts"] or head == "gardener"
        pronoun = ("they" if subject else "them") if plural or whose else "it"
        if whose and subject and not plural:
            continue
        start = spans[at].start()
        phrase = text[start : spans[end - 1].end()]
        rest = text[spans[end - 1].end() :].strip()
        if tokens[at].lower in {"a", "an"} and subject:
            continue  # anyone of them, no one in particular
        begin = lowered(text[:start].rstrip())
        if rest and end < len(tokens) and tokens[end].lower in {"for", "of", "on"} and not subject:
            # What belongs to the phrase goes with it.
            yield f"{regex.sub(r'^(?:an?|the|our|your) ', '', phrase + ' ' + rest)}: {begin} {pronoun}"
            continue
        yield f"{phrase}: {begin} {pronoun}{rest if rest.startswith(',') else ' ' + rest if rest else ''}"
    for at in range(len(tokens) - 1, 2, -1):
        if tokens[at].lower in {"before", "on", "in", "with", "to", "at", "for", "after"} and at + 1 < len(tokens):
            if found[at - 1] == "p" or tokens[at - 1].lower in {"up", "ok"}:
                continue
            phrase = text[spans[at + 1 if tokens[at].lower in {"to", "at"} else at].start() :]
            if tokens[at].lower == "to" and found[at + 1] not in {"d", "n"}:
                continue
            yield f"{phrase}: {lowered(text[: spans[at].start()].rstrip())}"


def wondering(query: str, entities: Entities) -> str | None:
    """Return an opinion as the question whether it is so: "most meetings should" becomes "Should most meetings"."""
    for sentence in sentences(query, entities):
        label = LABEL.match(sentence)
        text = (sentence[label.end() :] if label else sentence).rstrip(EDGES).rpartition("whether ")[2]
        match = INVERTED.match(restored(text))
        if match and fits(match["subject"], query, entities):
            asked = f"{match['verb'].capitalize()} {lowered(match['subject'])} {match['rest']}?"
            if fits(asked, query, entities):
                return asked
    return None


def title(query: str, entities: Entities) -> str | None:
    """Return a list of keywords or a title as a headline without end mark: whole, or up to where it may stop."""
    whole = sentences(query, entities)
    if len(whole) != 1:
        return None
    text = whole[0].rstrip(EDGES.replace(")", ""))
    tokens = words_of(text)
    if not tokens or not regex.search(r"\p{L}", text) or is_negation(tokens[0].lower) or tokens[0].lower == "just":
        return None
    opens_so = tokens[0].lower in {"why", "how", "what"}
    bare = keywords_only(query)
    ends = (
        at for at, token in enumerate(tokens) if at and (token.breaks or token.lower in LINKS | {"who", "that", "we"})
    )
    link = next(ends, len(tokens))
    if tokens[0].lower in SUBJECTS:
        return None
    if not bare and not opens_so and verb_at(tokens[:link], roles(tokens)[:link]) is not None and not OURS.search(text):
        return None
    if opens_so and (
        whole[0].endswith("?") or HOW_TO.match(text) or (tokens[0].lower == "what" and tokens[1].lower not in SUBJECTS)
    ):
        return None
    shape = restored(text)
    if "," not in shape and ":" not in shape and not any(token.lower in GLUE for token in tokens):
        shape = _parted(shape)
    first = shape.split(", ")[0]
    forms = [
        shape,
        *reworded(shape, query, entities),
        POLL.sub(r"\1: \2 \4 \3 \5?", shape),
        ABOUT.sub(": ", shape, count=1),
        _without_adverb(shape),
        OF_OWN.sub(_owned, shape),
        OF_OWN.sub(_owned, first),
        *([WITH.sub(", ", FOR_NUMBER.sub(": ", shape))] if FOR_NUMBER.search(shape) else []),
    ]
    for form in forms:
        if fits(form, query, entities) and not TYPO.search(form) and (form == shape or " " in form):
            return capitalized(form)
    spans, found = list(WORD.finditer(text)), roles(tokens)
    for stop in range(len(tokens) - 1, 1, -1):
        part = text[: spans[stop - 1].end()]
        kept = next((form for form in (part, *reworded(part, query, entities)) if fits(form, query, entities)), None)
        if kept is None:
            continue
        gap = text[spans[stop - 1].end() : spans[stop].start()]
        noun = found[stop - 1] == "n" and tokens[stop - 1].lower not in WORDS["weak_heads"] - WORDS["whole_heads"]
        whole_so_far = stop > 2 or ("," in gap and found[0] == "n")
        ends = (
            tokens[stop].lower in WORDS["cuttable"] | LINKS | {"to", "who", "that", "we", "back"} - {"of"} or "," in gap
        )
        if noun and whole_so_far and ends and not FIRM.search(text[spans[stop].start() :]):
            return capitalized(restored(kept))
    return None


def _owned(match: regex.Match[str]) -> str:
    if match[1].split(" ")[0].lower().endswith("ing"):
        return match[0]
    return f"{match[2]}: {lowered(match[1])}{match[3] or ''}"


def _parted(text: str) -> str:
    """Put a mark between the parts of a list of keywords: a colon first, then commas."""
    words = text.split(" ")
    marks = 0
    parted = [words[0]]
    for place, (word, before) in enumerate(zip(words[1:], words, strict=False), 1):
        lower, previous = word.lower(), before.lower()
        tail = " ".join(words[place + 1 :])
        if previous in JOINING or lower in {"drop", "restock"} or previous in {"drop", "restock"}:
            parted.append(word)
            continue
        after_label = previous in WORDS["labels"] and len(words) - place > 1
        dated = bool(DATED.match(" ".join(words[place:])))
        adjective = (tag(lower).startswith("JJ") and lower not in NO_OPENER and place > 1) or lower == "under"
        noun_before = tag(previous).startswith("NN") and tag(previous) != "NNP"
        plural = noun_before and singular(previous) is not None and previous not in WORDS["modifying_plurals"]
        plural = plural and bool(tail) and tag(lower)[:2] != "VB" and lower not in NO_OPENER
        place_name = place == len(words) - 1 and word[0].isupper() and noun_before and not previous.isdigit()
        if (after_label or dated or place_name or (adjective and noun_before) or plural) and not HARD.match(before):
            mark = "," if marks or dated or place_name else ":"
            marks += 1
            parted[-1] += mark
        parted.append(word)
    return " ".join(parted)


JOINED = regex.compile(r",? and (?=(?:what|why|how|who|where|when|which)\b)()", regex.IGNORECASE)
ADVERB = regex.compile(r"\b(?:actually|really|finally|very) ")
ABOUT = regex.compile(r"\s(?:about|of(?=\show))\s(?=\w)|\swith\s(?=an?\s)")
OF_OWN = regex.compile(
    r"^([\w ]+?) (?:of|for|to) ((?:our|my|the) [\w \-]+?)( (?:this|next) \w+| on \w+day| open on \w+day)?$"
)
POLL = regex.compile(r"^(poll) about (which .+?) (we|i|you) (should|can|would) (.+)$", regex.IGNORECASE)
FOR_NUMBER = regex.compile(r" for (?=\d)")
WITH = regex.compile(r" with ")
WHAT_PEOPLE = regex.compile(r"^what people (?:actually |really )?(?=\w+ \w+)()", regex.IGNORECASE)
INVERTED = regex.compile(
    r"(?P<subject>(?:the|most|every|all|a|our|any|some|\p{Ll}+s) [^,.;:!?]*?)\s(?P<verb>is|are|should|can|will|must)\s"
    r"(?P<rest>[^,.;:!?]+)$"
)
HOW_TO = regex.compile(r"how (?:to|(?:do|can|should) (?:i|you|we))\b", regex.IGNORECASE)
JOINING = frozenset({"every", "on", "this", "next", "last", "under"})
NO_OPENER = frozenset({"free", "friendly", "left", "flat", "bake", "explained", "published", "proof", "based"})
OURS = regex.compile(r"^(?:.* )?(?:that|why|how we|our followers|the \w+ that)\b", regex.IGNORECASE)
FIRM = regex.compile(r"\b(?:not?|never|only|unless|if|except|instead)\b", regex.IGNORECASE)
DATED = regex.compile(
    rf"(?:every |on |this |next )?(?:{'|'.join(DAYS)}|midnight|tonight|tomorrow|\d+%|\d+ minutes)\b", regex.I
)
