"""Takes from an English query what can be posted again: its statements, its question, its title.

Each is the author's own wording, complete and true where it stands alone, and copies at most MAX_COUNTED words in a row
that are no number, name, date, price or link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import regex

from pipelines.english_phrases import WORD, Role, Token, roles, words_of
from pipelines.english_sentences import is_negation
from pipelines.english_words import WORDS, is_common, is_proper, is_verb, singular, tag
from pipelines.facts import DAYS
from pipelines.phrases import EDGES, capitalized, longest_copied_run, one_line
from pipelines.records import Entity

MAX_COUNTED = 6
MAX_CLAUSES = 12
MAX_LINK_WORDS = 4
MIN_WORDS = 4
# Stands in a long statement for what an author puts in there: "by the way".
ASIDE = "\u2026"
LINK = " \u2192 "
Entities = tuple[Entity, ...]


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


def fits(text: str, query: str, entities: Entities) -> bool:
    """Whether a text copies no more of the query than it may."""
    return longest_copied_run(text, query, entities) <= MAX_COUNTED


def statements(query: str, entities: Entities) -> list[str]:
    """Return what the query states, a sentence each with its end mark, what is best to open a tweet with first."""
    found: list[tuple[float, str]] = []
    if keywords_only(query):
        return []
    for place, sentence in enumerate(sentences(query, entities)):
        if sentence.endswith("?") or sentence[0] in "\"\u201c" or '"' in sentence[-3:] or ASKS.match(sentence):
            continue
        for rank, text in enumerate(_clauses(sentence, query, entities)):
            value = 1.0 * (place == 0) - 1.0 * (len(text.split()) < MIN_WORDS) - 0.8 * bool(WEAK.match(text)) - 0.2 * place - 0.5 * rank
            value += 0.5 * bool(HARD.search(text)) + 0.3 * (rank == 0) - 1.2 * (not has_verb(text))
            found.append((value, text))
    texts = [text for _, text in sorted(found, key=lambda item: -item[0])]
    return [text for place, text in enumerate(texts) if not any(_within(text, other) for other in texts[:place])]


def keywords_only(query: str) -> bool:
    """Whether a query is a list of bare words rather than a sentence."""
    words = query.split()
    plain = not any(word.lower().strip(EDGES) in GLUE - {"under", "in"} for word in words)
    return plain and not regex.search(r"[.!?:;,]\s|[.!?]$", query) and len(words) > 1 and not query[0].isupper()


def _within(text: str, other: str) -> bool:
    return text.rstrip(EDGES).lower() in other.lower() or other.rstrip(EDGES).lower() in text.lower()


def has_verb(text: str) -> bool:
    """Whether a text is a sentence rather than a headline."""
    tokens = words_of(text)
    return _verb_at(tokens, roles(tokens)) is not None or _is_call(tokens)


def _clauses(sentence: str, query: str, entities: Entities) -> Iterator[str]:
    """Yield the clauses of a sentence that can stand alone, the leading one first, each as long as it may be."""
    label = LABEL.match(sentence)
    sentence = sentence[label.end() :] if label else sentence
    if sentence.rstrip(EDGES).count(" ") == 0 and not label and not HARD.search(sentence):
        return
    starts = [0, *(match.end() for match in BORDER.finditer(sentence))][:MAX_CLAUSES]
    for start in starts:
        text = _shortened(sentence[start:], query, entities, follows=start > 0)
        if text:
            yield text


def _shortened(text: str, query: str, entities: Entities, *, follows: bool = False) -> str | None:
    """Return the longest beginning of a text that is a complete clause and may be copied."""
    text = text.rstrip(EDGES.replace(")", "").replace('"', "").replace("\u201d", ""))
    tokens = words_of(text)
    if not 2 <= len(tokens) or TYPO.search(text) or not _opens(tokens, follows=follows):
        return None
    found, spans = roles(tokens), list(WORD.finditer(text))
    verb = _verb_at(tokens, found)
    call = _is_call(tokens)
    if follows and not call and (verb is None or (found[0] != "d" and tokens[0].lower not in SUBJECTS)):
        return None
    if follows and any(token.lower in QUESTION_WORDS | {"that"} for token in tokens[:verb]):
        return None
    parts = [text]
    for stop in range(len(tokens) - 1, 1, -1):
        end = SIGN.match(text, spans[stop - 1].end()).end()  # type: ignore[union-attr]  # it matches nothing, too
        part = text[:end].rstrip(" ,;:(-\u2013\u2014")
        if not unbalanced(part) and _may_stop(tokens, found, spans, text, stop, verb, call=call):
            parts.append(part)
    for form in (form for part in parts for form in (part, *reworded(part, query, entities))):
        if fits(form, query, entities):
            return finished(form)
    if follows or verb is None:
        return None
    return next((finished(form) for part in parts for form in _broken(part, query, entities)), None)


def reworded(text: str, query: str, entities: Entities) -> Iterator[str]:
    """Yield a long text with a word or a few in other words that mean the same."""
    if longest_copied_run(text, query, entities) <= MAX_COUNTED or ADDRESSED.search(text):
        return
    every = text
    for pattern, instead in SWAPS:
        changed = pattern.sub(instead, text, count=1)
        every = pattern.sub(instead, every, count=1)
        if changed != text:
            yield changed
    yield every


def _broken(text: str, query: str, entities: Entities) -> Iterator[str]:
    """Yield a statement in another order, or with an aside in it."""
    tokens = words_of(text)
    found, spans = roles(tokens), list(WORD.finditer(text))
    verb = _verb_at(tokens, found)
    if verb is None or LINKED.search(text) or tokens[0].lower.endswith("ing") or {token.lower for token in tokens} & {"he", "she", "they", "it"}:
        return
    forms = []
    if dated := DATED_END.search(text):
        forms.append(f"{capitalized(dated['when'])}: {lowered(text[: dated.start()])}")
    verb -= tag(tokens[verb - 1].lower).startswith("RB")
    subject = {token.lower for token in tokens[:verb]}
    if verb > 1 and found[0] in {"d", "n", "a"} and (found[verb - 1] == "n" or HARD.fullmatch(tokens[verb - 1].text) or tokens[verb - 1].capital) and not subject & (QUESTION_WORDS | {"that"}):
        forms.append(f"{text[: spans[verb - 1].end()]}, {ASIDE}, {text[spans[verb].start() :]}")
    yield from (form for form in forms if fits(form.replace(ASIDE, "by the way"), query, entities))


def finished(text: str) -> str:
    """Return a text as a sentence: capitals where they belong, one end mark."""
    text = restored(text).rstrip(" ,;:-\u2013\u2014")
    text = capitalized(text)
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _opens(tokens: Sequence[Token], *, follows: bool) -> bool:
    """Whether nothing at the beginning leans on what came before."""
    first, second = tokens[0].lower, tokens[1].lower
    if first in LEANING or (first in WORDS["dangling"] - {"i", "this"}):
        return False
    if second in {"it's", "it", "he", "she", "they"}:
        return False
    if first in {"this", "these", "that", "those"} and (second in {"is", "are", "was"} or is_verb(second)):
        return False
    if first in QUESTION_WORDS or first.endswith(("'s", "n't")) and first[:-2] in {"it", "he", "she", "that", "what"}:
        return False
    return not (follows and (first in WORDS["prepositions"] or first in WORDS["others"]))


def _is_call(tokens: Sequence[Token]) -> bool:
    """Whether a text tells its reader to do something."""
    at = 1 if tokens[0].lower == "please" and len(tokens) > 1 else 0
    first = tokens[at].lower
    after = tokens[at + 1].lower if len(tokens) > at + 1 else ""
    if first in WORDS["imperatives"] | WORDS["calls"]:
        return True
    return is_verb(first) and first not in WORDS["prepositions"] and after in (WORDS["determiners"] | {"us", "it"})


def _verb_at(tokens: Sequence[Token], found: Sequence[Role]) -> int | None:
    """Return where the finite verb stands."""
    before = ""
    for at, token in enumerate(tokens):
        if at and tag(tokens[at - 1].lower)[:2] != "RB":
            before = tokens[at - 1].lower
        if (token.lower in FINITE and before != "to" and (token.lower != "open" or at == len(tokens) - 1 or at > 2)) or token.lower.endswith(("'re", "'m", "'ll", "'ve", "n't")):
            return at
        if at and (before in SUBJECTS or found[at] == "x") and before not in WORDS["prepositions"] | {"to", "and"}:
            form = tag(token.lower)
            after = tokens[at + 1].lower if at + 1 < len(tokens) else ""
            if form in {"VBN", "VBD"} and token.lower.endswith("ed") and after in WORDS["prepositions"] and before not in SUBJECTS:
                continue
            if form in {"VB", "VBP", "VBZ", "VBD"} or (form == "VBN" and token.lower.endswith("ed")):
                return at
            if before in SUBJECTS and is_verb(token.lower) and form[:2] != "RB":
                return at
    return None


def _may_stop(  # noqa: PLR0911, PLR0913  # one rule, one line
    tokens: Sequence[Token],
    found: Sequence[Role],
    spans: Sequence[regex.Match[str]],
    text: str,
    stop: int,
    verb: int | None,
    *,
    call: bool,
) -> bool:
    """Whether a clause is complete and still true where it stops before token number `stop`."""
    last, following = tokens[stop - 1].lower, tokens[stop].lower
    if verb is not None and verb >= stop and not call:
        return False
    gap = text[spans[stop - 1].end() : spans[stop].start()]
    marked = bool(regex.search(r"[,;:]\s|[(\u2013\u2014]|\s-\s", gap))
    rest = text[spans[stop].start() :]
    if gap.startswith(",") and LIST.match(rest):
        return False
    clause = regex.split(r"[,;:(\u2014]|\b(?:and|but|so)\b", rest, maxsplit=1)[0] if not marked else ""
    if LIMITS.search(clause) or (marked and LIMITED.match(rest)) or following in NEEDED:
        return False
    ends = found[stop - 1] == "n" or HARD.fullmatch(spans[stop - 1][0]) is not None or tokens[stop - 1].capital
    if last in WORDS["weak_heads"] & ENDLESS or last in OPEN_ENDED or (last not in PARTICLES and tag(last) in {"DT", "IN", "PRP$", "TO", "CC"}):
        return False
    link = following in LINKS
    if following == "and":
        after = words_of(rest[4:])
        link = bool(after) and (_is_call(after) or (after[0].lower in WORDS["determiners"] | SUBJECTS and _verb_at(after, roles(after)) is not None))
    state = verb is not None and stop - 1 > verb and (found[stop - 1] in {"a", "x"}) and _is_state(last)
    if following in {"after", "because", "since"} and state:
        return True
    if marked or link:
        return (ends and (verb is not None or stop > 2)) or state or last in {"it", "us", "them", "you", "me"}
    if following in {"to", "in", "on", "at", "from"} and any(token.lower in PLACING for token in tokens[:stop]):
        return False
    negated = any(is_negation(token.lower) for token in tokens[:stop])
    if following not in CUTTABLE or negated or OFFER.search(text[: spans[stop - 1].end()]):
        return False
    if verb is None and not call:
        return False
    return (ends or last in PARTICLES) and not (verb is not None and stop - 1 == verb)


def _is_state(word: str) -> bool:
    return tag(word)[:2] in {"JJ", "VB", "RB"} and word not in OPEN_ENDED


def question(query: str, entities: Entities) -> str | None:
    """Return the author's question to readers; a long one with what it is about in front of it."""
    asked = [text for text in sentences(query, entities) if text.endswith("?")]
    whole = sentences(query, entities)
    if not asked and len(whole) == 1 and ASKS.match(whole[0]):
        asked = [whole[0]]
    for text in asked[-1:] if asked and whole[-1] == asked[-1] else asked[:1]:
        label = LABEL.match(text)
        text = regex.sub(r"\?+$", "", text[label.end() :] if label else text).rstrip(" .")
        text = restored(text)
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
        if found[at] != "d" and tokens[at].lower not in {"every"}:
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
        subject = bool(follows) and tag(follows)[:2] != "RB" and (found[end] == "x" or tokens[at - 1].lower in FINITE)
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


def lowered(text: str) -> str:
    """Return a text as it stands within a sentence; a name keeps its capital."""
    first = text.split(" ", 1)[0]
    if is_proper(first.lower()) or first.lower() in DAYS or words_of(f"x {text}")[1].capital and not is_common(first, first.lower()):
        return text
    return text if regex.match(r"(?:I\b|\p{Lu}\p{Lu})", text) else text[:1].lower() + text[1:]


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
    if len(tokens) < 1 or any(is_negation(token.lower) for token in tokens[:1]):
        return None
    opens_so = tokens[0].lower in {"why", "how", "what"}
    bare = keywords_only(query)
    ends = (at for at, token in enumerate(tokens) if at and (token.breaks or token.lower in LINKS | {"who", "that"}))
    link = next(ends, len(tokens))
    if tokens[0].lower in SUBJECTS:
        return None
    if not bare and not opens_so and _verb_at(tokens[:link], roles(tokens)[:link]) is not None and not OURS.search(text):
        return None
    if opens_so and (whole[0].endswith("?") or HOW_TO.match(text) or tokens[0].lower == "what"):
        return None
    shape = restored(text)
    if "," not in shape and ":" not in shape and not any(token.lower in GLUE for token in tokens):
        shape = _parted(shape)
    first = shape.split(", ")[0]
    forms = [shape, *reworded(shape, query, entities), POLL.sub(r"\1: \2 \4 \3 \5?", shape), ABOUT.sub(": ", shape, count=1), _without_adverb(shape), OF_OWN.sub(_owned, shape), OF_OWN.sub(_owned, first), WITH.sub(", ", FOR_NUMBER.sub(": ", shape))]
    for form in forms:
        if fits(form, query, entities) and not TYPO.search(form) and (form == shape or " " in form):
            return capitalized(form)
    spans, found = list(WORD.finditer(text)), roles(tokens)
    for stop in range(len(tokens) - 1, 1, -1):
        part = text[: spans[stop - 1].end()]
        if not fits(part, query, entities):
            continue
        gap = text[spans[stop - 1].end() : spans[stop].start()]
        noun = found[stop - 1] == "n" and tokens[stop - 1].lower not in ENDLESS
        whole_so_far = stop > 2 or ("," in gap and found[0] == "n")
        ends = tokens[stop].lower in CUTTABLE | LINKS | {"to", "who", "that"} - {"of"} or "," in gap
        if noun and whole_so_far and ends and not FIRM.search(text[spans[stop].start() :]):
            return capitalized(restored(part))
    return None


def _owned(match: regex.Match[str]) -> str:
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


def restored(text: str) -> str:
    """Return a text with the capitals that names, days and the pronoun I have, and no others but its own."""
    if text.isupper() and " " in text:
        text = text.lower()
    return regex.sub(
        r"(?<![@#\w./\-])\p{Ll}[\p{L}']*(?![\w/]|\.\w)", lambda match: _cased(match[0]), text
    )


def _cased(word: str) -> str:
    if word in ACRONYMS:
        return ACRONYMS[word]
    if word in DAYS or word.rstrip("s") in DAYS or word in {"i", "i'm", "i've", "i'll", "christmas", "easter"}:
        return word.capitalize()
    return word.capitalize() if is_proper(word) else word


def unbalanced(text: str) -> bool:
    """Whether a quotation or a bracket is left open."""
    return text.count('"') % 2 == 1 or text.count("(") != text.count(")") or text.count("\u201c") != text.count("\u201d")


# fmt: off
LEANING = frozenset({
    "and", "but", "so", "or", "because", "also", "then", "he", "she", "it", "they", "his", "her", "their", "its",
    "which", "who", "whose", "where", "nor", "not", "either", "else", "yet", "than", "as", "while", "though", "of",
    "if", "when", "yes", "no", "it's", "he's", "she's", "they're", "that's", "here's", "there", "theres", "especially",
    "due", "to", "mine", "to", "today's", "thus", "for", "every onion", "got", "way", "ever", "every one", "absolutely", "nobody", "currently", "from", "as",
})
# fmt: on
QUESTION_WORDS = frozenset({"what", "why", "how", "which", "who", "whose", "where"})
FINITE = frozenset(
    "is are was were am has have had will can do does did should must would could may might won went got gets "
    "isn't aren't can't takes took won't broke go goes land lands smell smells open".split()
)
SUBJECTS = frozenset({"we", "you", "i", "nobody", "everyone", "someone"})
LINKS = frozenset({"and", "because", "but", "so", "while", "which", "where", "since"})
CUTTABLE = frozenset("last this up with at in on for from to by about near during after before as over between above through".split())
NEEDED = frozenset({"of", "until", "till", "only", "if", "unless", "without", "than", "instead", "except", "not"})
PLACING = frozenset("put puts drove take took brought left set keep kept see".split())
PARTICLES = frozenset({"down", "back", "again", "here", "out"})
ENDLESS = WORDS["weak_heads"] - frozenset(
    "bio details code codes spots seats tickets registration night door doors comments friends entry price prices week "
    "weekend today lunch dinner news front questions draft orders day".split()
)
OPEN_ENDED = frozenset(
    "pleased proud happy glad sure able ready looking going due just not more most very one each own what when "
    "how that which who if so too only even still already has have had is are was were be been do does did will can "
    "should must would could may might we you i they he she up".split()
)
SIGN = regex.compile(r"[%)\"'\u201d]*")
# What leads over to a link: "Book at", "Charts:".
LEAD = regex.compile(r"(?:[.;,]\s*[^.;,]{0,24})?\s*(?:\b(?:at|here|via|on|by)|:)\s*$")
SENTENCE = regex.compile(r"(?<=[.!?…][\"')\u201d]?)(?<!\b(?:Dr|Mr|Ms|Mrs|St|No|vs)\.)\s+|\n+|(?<=\?)\s*\?")
BORDER = regex.compile(r"(?:[,;]|\s[\u2013\u2014-])\s+(?:(?:and|but)\s+)?|:\s+|\s(?:and|but)\s+")
LABEL = regex.compile(
    r"^(?:heads up|breaking|update(?: [\d:]+)?|reminder|psa|news|new in|hot take|unpopular opinion|job opening"
    r"|reminder that|please note that|just a reminder that|good news|we regret to inform [\w ]+ that"
    r"|members are reminded that|[\w ]+ is pleased to announce that|so (?=i )|tip|due to [\w ]+?(?= the | our ))(?::|,)?\s+(?=\S)",
    regex.IGNORECASE,
)
LIST = regex.compile(r"(?:[^,.;:]{1,24},\s+)*[^,.;:]{1,24},?\s(?:and|or)\s[^,.;:]{1,24}(?:[,.;:]|$)")
LINKED = regex.compile(r"[,;:]\s|\s(?:and|but|so)\s")
DATED_END = regex.compile(
    rf"\s(?:on|in|at)\s(?:the\s)?(?P<when>(?:\w+\s){{0,2}}(?:{'|'.join(sorted(DAYS))})s?(?:\sof every month)?)$", regex.I
)
SWAPS = [
    (regex.compile(pattern, regex.IGNORECASE), instead)
    for pattern, instead in (
        (r"\bwe're\b", "we are"), (r"\bwe are\b", "we're"), (r"\bdo not\b", "don't"), (r"\bis not\b", "isn't"),
        (r"\bwill not\b", "won't"), (r"\bdon't\b", "do not"), (r"\b(?:actually|really|finally|very) ", ""),
        (r"\bbecause of\b", "due to"), (r"\bdue to\b", "because of"), (r"(?<= \w{3,20} )who\b", "that"),
        (r"\bis looking for\b", "is searching for"), (r"\bthe (\w+) that (?=(?:local|our|the|my|we|you|i)\b)", r"the \1 "),
        (r"\bnear the\b", "close to the"), (r"\bprepare for\b", "get ready for"), (r"\bwant to\b", "would like to"),
        (r"\beveryone\b", "everybody"), (r"\bevery\b(?! \w+ of)", "each"), (r"\bup to\b", "as much as"),
        (r"\bhave been\b", "were"), (r"\bhas been\b", "was"), (r"\babout (?=a|the|our|why|big)", "on "),
        (r"\bis going to the\b", "is off to the"), (r"\bis available\b", "is out"), (r"\bstarting (?=\d)", "from "), (r"\bis now open\b", "is open now"), (r"^say hello to\b", "meet"),
        (r"\bwhile\b", "as"), (r"\buntil\b", "till"), (r"\bbecause\b(?! of)", "since"), (r"(?<!,) and (?!yes\b|thank)", " & "),
    )
]  # fmt: skip
# What speaks to a single reader changes its tone with its words.
ADDRESSED = regex.compile(r"[\"\u201c]")
LIMITS = regex.compile(r"\b(?:not?|never|only|until|till|unless|if|except|without|than|instead|n't|\w+n't)\b", regex.I)
LIMITED = regex.compile(r"(?:not|only|but not|except|unless|if|until|till|cash only)\b", regex.IGNORECASE)
OFFER = regex.compile(r"%|\b(?:free|half price|off|discount|closed?|closes|open|available|complimentary)\b", regex.I)
HARD = regex.compile(r"[$€£]?\d[\d.,:/]*(?:%|[a-z]{1,2})?|[\p{L}]*\d+[\p{L}\d]*")
TYPO = regex.compile(r"\b(?:cant|dont|wont|theres|didnt|doesnt|isnt|youre|ive|im|wifi no)\b|_{2,}|^\W*$", regex.I)
JOINED = regex.compile(r",? and (?=(?:what|why|how|who|where|when|which)\b)()", regex.IGNORECASE)
ADVERB = regex.compile(r"\b(?:actually|really|finally|very) ")
ABOUT = regex.compile(r"\s(?:about|of how)\s(?=\w)|\swith\s(?=an?\s)")
OF_OWN = regex.compile(r"^([\w ]+?) (?:of|for|to) ((?:our|my|the) [\w \-]+?)( (?:this|next) \w+| on \w+day| open on \w+day)?$")
WEAK = regex.compile(r"(?:see you|ask us|thank|today only|vote|please|new episode|full list|numbers and)\b", regex.IGNORECASE)
FOR_NUMBER = regex.compile(r" for (?=\d)")
WITH = regex.compile(r" with ")
ASKS = regex.compile(
    r"(?:what|which|who|where|when|why|how)\b.{0,40}?\b(?:do|does|did|should|would|can|is|are|was|makes|has)\b"
    r"|(?:is|are|do|does|did|should|would|can|could|will|have|has|anyone)\s(?:\w+)\s",
    regex.IGNORECASE,
)
INVERTED = regex.compile(
    r"(?P<subject>(?:the|most|every|all|a|our|any|some|\p{Ll}+s) [^,.;:!?]*?)\s(?P<verb>is|are|should|can|will|must)\s"
    r"(?P<rest>[^,.;:!?]+)$"
)
HOW_TO = regex.compile(r"how (?:to|(?:do|can|should) (?:i|you|we))\b", regex.IGNORECASE)
JOINING = frozenset({"every", "on", "this", "next", "last", "under"})
NO_OPENER = frozenset({"free", "friendly", "left", "flat", "bake", "explained", "published", "proof", "based"})
POLL = regex.compile(r"^(poll) about (which .+?) (we|i|you) (should|can|would) (.+)$", regex.IGNORECASE)
OURS = regex.compile(r"^(?:.* )?(?:that|why|how we|our followers|the \w+ that)\b", regex.IGNORECASE)
FIRM = regex.compile(r"\b(?:not?|never|only|unless|if|except|instead)\b", regex.IGNORECASE)
DATED = regex.compile(rf"(?:every |on |this |next )?(?:{'|'.join(DAYS)}|midnight|tonight|tomorrow|\d+%|\d+ minutes)\b", regex.I)
GLUE = WORDS["prepositions"] | WORDS["determiners"] | WORDS["pronouns"] | {"and", "or", "who", "why", "how", "to"}
ACRONYMS = {
    word.lower(): word
    for word in "SQL API GPU AI SaaS FAQ UK EU USA NGO HR SEO CSS HTML PDF CEO DIY LED TV PhD BBQ iPhone iPad".split()
}


def kind_of_message(query: str, objectives: Sequence[str]) -> str:
    """Return what a query tells: notice, lost, vacancy, thanks, opinion, story, offer, occasion or news."""
    found = next((kind for kind, pattern in KINDS.items() if pattern.search(query)), None)
    if found is None or found == "story" and "sales" in objectives:
        found = "offer" if "sales" in objectives else "news"
    return found


KINDS = {
    "lost": regex.compile(r"^(?:found|lost)\b|\blost property\b", regex.I),
    "vacancy": regex.compile(r"\b(?:hiring|vacancy|job opening|job 4|developer job|is looking for an?|looking for \d+|needs help)\b", regex.I),
    "notice": regex.compile(
        r"\b(?:closures?|not open|outage|delays?|delayed|maintenance|power (?:failure|cut)|crash(?:es|ing)?|not working"
        r"|(?:is|are) down|(?:been|is) moved|refund|not ship|apology|apologi[sz]e|reminded|not available|heads up|please note"
        r"|update \d|hours (?:change|over)|opening hours|policy|flooding|regret|not anonymous|cash only|closing down|remain closed"
        r"|closes? (?:at|for)|visiting)\b", regex.I),
    "news": regex.compile(r"\b(?:newsletter|waitlist|podcast|blog post|long read|devlog|video|film|report|data set)\b", regex.I),
    "thanks": regex.compile(r"^(?:thanks?\b|to the person)", regex.I),
    "opinion": regex.compile(r"\b(?:hot take|unpopular opinion|honest thoughts|debate|still matters?|arguing)\b", regex.I),
    "story": regex.compile(r"^(?:i|my|so i|why i|today i)\b(?!.*\b(?:is out|subscribe)\b)|\bgrandmother", regex.I),
    "offer": regex.compile(r"%|\b(?:off|sale|discount|deal|price|pounds|free trial|pre-orders?|gift|restock|refurbished)\b|[$£€]\d", regex.I),
    "occasion": regex.compile(
        r"\b(?:opening|reopen\w*|event|workshop|webinar|festival|market|brunch|meetup|night|class|open (?:day|house)|exhibition"
        r"|party|match|race|ride|marathon|cleanup|swap|popup|parkrun|circle|tickets|doors open|launch|derby|sprint|lecture|session"
        r"|viewings|screening|tour|q&a|demo day|camp|adoption|walk group|book club|come to|come and see|registration|sign ups)\b", regex.I),
}


def is_call(text: str) -> bool:
    """Whether a sentence tells its reader to do something."""
    return _is_call(words_of(text))


def is_weak(text: str) -> bool:
    """Whether a statement says too little to open a tweet."""
    few = text.count(" ") < MIN_WORDS - 2 and not HARD.search(text) and not text.startswith("Meet")
    return few or bool(WEAK.match(text) and not (text.startswith("Thank") and text.count(" ") >= MIN_WORDS))
