"""Takes from an English query what it asks and what it is called: the author's question, opinion and title.

Where one copies more of the query than it may, its order is changed by rule, else it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import regex

from pipelines.english_headlines import phrase_end
from pipelines.english_phrases import WORD, Token, roles, words_of
from pipelines.english_sentences import is_negation
from pipelines.english_statements import (
    ASKS,
    CODE,
    GLUE,
    LABEL,
    LINKS,
    ONLY_WHEN,
    TYPO,
    keywords_only,
)
from pipelines.english_verbs import SUBJECTS, verb_at
from pipelines.english_wording import (
    HARD,
    MIN_WORDS,
    Entities,
    fits,
    lowered,
    restored,
    reworded,
    sentences,
)
from pipelines.english_words import WORDS, plural_of, singular, tag
from pipelines.generator.phrases import EDGES, capitalized
from pipelines.text.facts import DAYS


def question(query: str, entities: Entities) -> str | None:
    """Return the author's question to readers, where it can be asked in a few words of its own."""
    asked = [text for text in sentences(query, entities) if text.endswith("?")]
    whole = sentences(query, entities)
    if not asked and len(whole) == 1 and (ASKS.match(whole[0]) or WHAT_PEOPLE.match(whole[0])):
        asked = [whole[0]]
    for sentence in asked[-1:] if asked and whole[-1] == asked[-1] else asked[:1]:
        label = LABEL.match(sentence)
        bare = sentence[label.end() :].rstrip("? .") if label else sentence.rstrip("? .")
        text = WHAT_PEOPLE.sub(r"what do people \1", restored(bare))
        forms = [text, JOINED.sub(r"? \1", text), ADVERB.sub("", text), WHAT_IS.sub("", ADVERB.sub("", text))]
        forms += [FRONT.sub(lambda match: f"{match[2]}: {lowered(match[1])}", text), MET.sub("", text)]
        forms += [ELSE.sub(lambda match: f"who else {plural_of(match[1].lower())}", text)]
        forms += [CHOICE.sub(r"\1 or \2", text), CHOOSE.sub("", text), *_paused(text)]
        for form in forms:
            if " " in form and fits(form, query, entities) and not TYPO.search(form) and not CODE.search(form):
                return f"{capitalized(SECOND.sub(lambda match: match[0].upper(), form))}?"
    return None


def _paused(text: str) -> Iterator[str]:
    """Yield a question that asks for a view after its subject, or before its last adverbial."""
    joined = JOINED.sub(r"? \1", text)
    if KNOWN.match(text):
        yield KNOWN.sub(r"\1, by the way, ", text)
    elif WHICH.match(joined):
        yield WHICH.sub(r"\1, in your view,", joined)
    elif VIEWED.match(text) and not OWN.search(text):
        yield from (f"{text[: at.start()]}, in your view,{text[at.start() :]}" for at in PAUSE.finditer(text))
    if YES_OR_NO.match(text) and not OWN.search(text):
        tokens, spans = words_of(text), list(WORD.finditer(text))
        end = phrase_end(tokens, roles(tokens), 1)
        if end and end < len(tokens) and tokens[end].lower not in WORDS["prepositions"]:
            yield f"{text[: spans[end - 1].end()]}, honestly,{text[spans[end - 1].end() :]}"


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
    if len(whole) != 1 or CODE.search(query) or whole[0].endswith("?"):
        return None
    text = whole[0].rstrip(EDGES.replace(")", ""))
    tokens = words_of(text)
    bare = keywords_only(query)
    if not _is_title(whole[0], tokens, bare=bare):
        return None
    for form in _forms(text, query, entities):
        if fits(form, query, entities) and not TYPO.search(form) and not ONLY_WHEN.match(form):
            return capitalized(form)
    if bare and (named := EVENT.match(restored(text))):
        return capitalized(named[0])
    return next(_beginnings(text, query, entities), None)


def _is_title(text: str, tokens: Sequence[Token], *, bare: bool) -> bool:
    """Whether a text names something rather than states or asks it; `bare` is one of keywords alone."""
    first = tokens[0].lower if tokens else "just"
    if first in SUBJECTS | {"just"} or is_negation(first) or not regex.search(r"\p{L}", text):
        return False
    if first in {"why", "how", "what"}:
        told = first != "what" or (len(tokens) > 1 and tokens[1].lower in SUBJECTS)
        return told and not text.endswith("?") and not HOW_TO.match(text)
    links = (at for at, token in enumerate(tokens) if at and (token.breaks or token.lower in LINKS | RELATIVES))
    link = next(links, len(tokens))
    return bare or verb_at(tokens[:link], roles(tuple(tokens))[:link]) is None or bool(OURS.search(text))


def _forms(text: str, query: str, entities: Entities) -> Iterator[str]:
    """Yield a whole title as it is, in other words and in another order."""
    shape = restored(text)
    if "," not in shape and ":" not in shape and not any(token.lower in GLUE for token in words_of(text)):
        named = EVENT.match(shape)
        shape = f"{named[0]}: {named['rest']}" if named and not EVENT.match(f"a {named['rest']}") else _parted(shape)
    yield shape
    yield from reworded(shape, query, entities)
    yield FRONT.sub(lambda match: f"{capitalized(match[2])}: {lowered(match[1])}", shape)
    yield POLL.sub(r"\1: \2 \4 \3 \5?", shape)
    yield ABOUT.sub(": ", shape, count=1)
    yield ADVERB.sub("", shape)
    yield OF_OWN.sub(_owned, shape)
    yield OF_OWN.sub(_owned, shape.split(", ")[0])
    if FOR_NUMBER.search(shape):
        yield WITH.sub(", ", FOR_NUMBER.sub(": ", shape))
    for link in LINKING.finditer(shape):
        yield f"{shape[: link.start()]}: {shape[link.end() :]}"


def _beginnings(text: str, query: str, entities: Entities) -> Iterator[str]:
    """Yield the beginnings of a title that are titles, the longest first."""
    tokens = words_of(text)
    spans, found = list(WORD.finditer(text)), roles(tokens)
    stops = WORDS["cuttable"] | LINKS | RELATIVES | {"to", "back", "as"}
    for stop in range(len(tokens) - 1, 1, -1):
        part, listed = text[: spans[stop - 1].end()], text[spans[stop - 1].end()] == ","
        weak = stop < MIN_WORDS and tokens[stop - 1].lower in WORDS["weak_heads"] - WORDS["whole_heads"]
        noun = found[stop - 1] == "n" and not weak
        enough = stop > 2 or (listed and found[0] == "n")  # "gift cards" says too little alone
        ends = tokens[stop].lower in stops or listed
        aim = tokens[stop].lower == "to" and stop + 1 < len(tokens) and found[stop + 1] == "x"
        clausal = tokens[0].lower in {"why", "how", "what"} and not aim
        needed = (not listed and (clausal or NEEDS.search(part))) or ONLY_WHEN.match(part)
        if noun and enough and ends and not needed and not FIRM.search(text[spans[stop].start() :]):
            forms = (part, *reworded(part, query, entities))
            yield from (capitalized(restored(form)) for form in forms if fits(form, query, entities))


def _owned(match: regex.Match[str]) -> str:
    if match[1].split(" ")[0].lower().endswith("ing") or NO_LABEL.match(match[1]):
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
        plural = (
            plural
            and bool(tail)
            and tag(words[-1].lower()) not in {"VB", "VBP"}
            and tag(lower)[:2] != "VB"
            and lower not in NO_OPENER
        )
        place_name = place == len(words) - 1 and word[0].isupper() and noun_before and not previous.isdigit()
        if (after_label or dated or place_name or (adjective and noun_before) or plural) and not HARD.match(before):
            mark = "," if marks or dated or place_name else ":"
            marks += 1
            parted[-1] += mark
        parted.append(word)
    return " ".join(parted)


# A kind of event with what it is called before it: "spring plant sale".
EVENT = regex.compile(
    r"\S+(?: \S+){0,2} (?:webinar|workshop|fair|meetup|sale|exhibition|camp|conference|fundraiser|hackathon|bootcamp"
    r"|masterclass|tickets|lessons|whitepaper)(?= (?P<rest>\S+(?: \S+)*)$)",
    regex.IGNORECASE,
)
NO_LABEL = regex.compile(r"(?:an?|the|come|so|happy|proud|good|thanks?|congratulations|welcome)\b", regex.IGNORECASE)
JOINED = regex.compile(r",? and (?=(?:what|why|how|who|where|when|which)\b)()", regex.IGNORECASE)
ADVERB = regex.compile(r"\b(?:actually|ever|really|finally|very) ")
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
NO_OPENER = frozenset({"open", "free", "friendly", "left", "flat", "bake", "explained", "published", "proof", "based"})
# "Behind the scenes of restoring a globe", "sale on boots": a colon says as much.
LINKING = regex.compile(
    r"(?:(?<=\b(?:scenes|update|news)) (?:of|from)"
    r"| on(?! (?:a|the|your|my|our|" + "|".join(sorted(DAYS)) + r")s?\b)| about) (?=\p{L})",
    regex.IGNORECASE,
)
CHOICE = regex.compile(
    r"^(?:are you|do you (?:like|prefer)|would you choose|would you rather be)"
    r" (?:more )?(?:an? )?(.+) or (?:an? )?(.+)$",
    regex.I,
)
# What one may choose from, after the question which it is.
CHOOSE = regex.compile(r"^[^:]+: (?=[^:]+ or [^:]+$)")
VIEWED = regex.compile(r"(?:what|which|who|how|when)?\b[^,]*\bshould\b", regex.IGNORECASE)
OWN = regex.compile(r"\b(?:we|i|my|our|you)\b", regex.IGNORECASE)
KNOWN = regex.compile(r"^(do you know) (?=(?:where|why|how|what|who|when)\b)", regex.IGNORECASE)
# A verb that needs the place after its object: "taking your cat on a train".
NEEDS = regex.compile(
    r"\b(?:tak(?:e|ing)|put(?:ting)?|keep(?:ing)?|bring(?:ing)?|getting|turn(?:ing)?|mov(?:e|ed|ing)|deal(?:ing)?)\b",
    regex.I,
)
FRONT = regex.compile(rf"^(.+?)(?: on)? ((?:this|next) \p{{L}}+|(?:{'|'.join(sorted(DAYS))}))$", regex.IGNORECASE)
MET = regex.compile(r"^have you (?=(?:met|seen|tried|heard|visited|read|been) )", regex.IGNORECASE)
WHICH = regex.compile(
    r"^((?:which|what) (?!is|are|was|has|do|does)\p{L}+)(?= (?:has|is|are|should|makes|was) )", regex.IGNORECASE
)
YES_OR_NO = regex.compile(r"^(?:is|are|should|can|will|does|do) (?!it |there |anyone |you )", regex.IGNORECASE)
ELSE = regex.compile(r"^does anyone else (\p{L}+)(?= )", regex.IGNORECASE)
WHAT_IS = regex.compile(r"^what(?:'s| is| are| was| were) (?=(?:the|your) )", regex.IGNORECASE)
PAUSE = regex.compile(r" (?=(?:before|after|when|if|during|because) )")
# What follows starts a sentence of its own.
SECOND = regex.compile(r"\? \w")
RELATIVES = frozenset({"who", "that", "we"})
OURS = regex.compile(r"^(?:.* )?(?:that|why|how we|our followers|the \w+ that)\b", regex.IGNORECASE)
FIRM = regex.compile(r"\b(?:not?|never|only|unless|if|except|instead)\b", regex.IGNORECASE)
DATED = regex.compile(
    rf"(?:every |on |this |next )?(?:{'|'.join(DAYS)}|midnight|tonight|tomorrow|\d+%|\d+ minutes)\b", regex.I
)
