"""Takes from an English query what can be posted again: its statements, its question, its title.

Each is the author's own wording, complete and true where it stands alone, and copies at most MAX_COUNTED words in a row
that are no number, name, date, price or link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import regex

from pipelines.english_phrases import WORD, Role, Token, roles, words_of
from pipelines.english_sentences import is_negation
from pipelines.english_verbs import SUBJECTS, has_verb, is_call, verb_at
from pipelines.english_wording import (
    HARD,
    MIN_WORDS,
    WEAK,
    Entities,
    finished,
    fits,
    lowered,
    reworded,
    sentences,
    unbalanced,
)  # fmt: skip
from pipelines.english_words import WORDS, is_known_noun, is_verb, tag
from pipelines.generator.phrases import EDGES, capitalized
from pipelines.text.facts import DAYS

MAX_CLAUSES = 12
# Stands in a long statement for what an author puts in there: "by the way".
ASIDE = "\u2026"


def statements(query: str, entities: Entities) -> list[str]:
    """Return what the query states, a sentence each with its end mark, what is best to open a tweet with first."""
    found: list[tuple[float, str]] = []
    if keywords_only(query):
        return []
    for place, sentence in enumerate(sentences(query, entities)):
        if (
            CODE.search(sentence)
            or sentence.endswith("?")
            or sentence[0] in '"\u201c'
            or '"' in sentence[-3:]
            or ASKS.match(sentence)
        ):
            continue
        for rank, text in enumerate(_clauses(sentence, query, entities)):
            value = (
                1.0 * (place == 0)
                - 1.0 * (len(text.split()) < MIN_WORDS)
                - 0.8 * bool(WEAK.match(text))
                - 0.2 * place
                - 0.5 * rank
            )
            value += 0.9 * bool(HARD.search(text)) + 0.3 * (rank == 0) - 1.2 * (not has_verb(text))
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


def _clauses(sentence: str, query: str, entities: Entities) -> Iterator[str]:
    """Yield the clauses of a sentence that can stand alone, the leading one first, each as long as it may be."""
    label = LABEL.match(sentence)
    sentence = sentence[label.end() :] if label else sentence
    if sentence.rstrip(EDGES).count(" ") == 0 and not label and not HARD.search(sentence):
        return
    starts = [0, *(match.end() for match in BORDER.finditer(sentence))][:MAX_CLAUSES]
    for start in starts:
        text = _shortened(sentence[start:], query, entities, before=sentence[:start])
        if text:
            yield text


def _shortened(text: str, query: str, entities: Entities, *, before: str) -> str | None:
    """Return the longest beginning of a text that is a complete clause and may be copied; `before` stands before it."""
    follows = bool(before)
    text = text.rstrip(EDGES.replace(")", "").replace('"', "").replace("\u201d", ""))
    tokens = words_of(text)
    if len(tokens) <= 1 or CODE.search(text) or not _opens(tokens, follows=follows):
        return None
    found = roles(tokens)
    clause = Clause(text, tokens, found, list(WORD.finditer(text)), verb_at(tokens, found), is_call(tokens))
    subject = {token.lower for token in tokens[: clause.verb]} if clause.verb is not None else set()
    told = [token.lower for token in tokens]
    if told[-1] in WORDS["finite"] or "later" in told[:3] or LEANS.intersection(told):
        return None
    if clause.verb is None and not clause.call and (told[0] in WORDS["prepositions"] or tag(told[0])[:2] == "RB"):
        return None
    if subject & {"he", "she", "they"} or (follows and not _stands_alone(clause, before)):
        return None
    parts = [text]
    for stop in range(len(tokens) - 1, 1, -1):
        end = SIGN.match(text, clause.spans[stop - 1].end()).end()  # type: ignore[union-attr]  # it matches nothing, too
        part = text[:end].rstrip(" ,;:(-\u2013\u2014")
        if not unbalanced(part) and _may_stop(clause, stop):
            parts.append(part)
    for form in (form for part in parts for form in (part, *reworded(part, query, entities))):
        if fits(form, query, entities) and not TYPO.search(form) and not ONLY_WHEN.match(form):
            return finished(form)
    forms = (form for part in parts for form in _broken(part, query, entities))
    return next((finished(form) for form in forms if not TYPO.search(form)), None)


def _stands_alone(clause: Clause, before: str) -> bool:
    """Whether a clause that follows another has its own subject and verb, or is a call; `before` is the other."""
    if clause.verb is None or any(token.lower in QUESTION_WORDS | {"that"} for token in clause.tokens[: clause.verb]):
        return clause.call
    first = clause.tokens[0].lower
    if ADVERBIAL.match(before) and not has_verb(before):
        return clause.found[0] in {"d", "n", "a"} or first in SUBJECTS
    return clause.call or first in OWNERS | SUBJECTS


def _broken(text: str, query: str, entities: Entities) -> Iterator[str]:
    """Yield a statement in another order, or with an aside in it."""
    tokens = words_of(text)
    found, spans = roles(tokens), list(WORD.finditer(text))
    verb = verb_at(tokens, found)
    words = {token.lower for token in tokens}
    if verb is None or LINKED.search(text) or tokens[0].lower.endswith("ing") or words & {"he", "she", "they", "it"}:
        return
    forms = []
    if dated := DATED_END.search(text):
        forms.append(f"{capitalized(dated['when'])}: {lowered(text[: dated.start()])}")
    verb -= tag(tokens[verb - 1].lower).startswith("RB")
    subject = {token.lower for token in tokens[:verb]}
    named = found[verb - 1] == "n" or HARD.fullmatch(tokens[verb - 1].text) or tokens[verb - 1].capital
    if verb > 1 and found[0] in {"d", "n", "a"} and named and not subject & (QUESTION_WORDS | {"that"} | SUBJECTS):
        start, rest = text[: spans[verb - 1].end()], text[spans[verb].start() :]
        if done := DONE.match(rest):
            forms.append(f"{capitalized(done['done'])}: {lowered(start)}")
        if not subject & OWNERS or tokens[0].lower in OWNERS:
            forms.append(f"{start}, {ASIDE}, {rest}")
    yield from (form for form in forms if fits(form.replace(ASIDE, "by the way"), query, entities))


def _opens(tokens: Sequence[Token], *, follows: bool) -> bool:
    """Whether nothing at the beginning leans on what came before."""
    first, second = tokens[0].lower, tokens[1].lower
    if first in WORDS["leaning"] or (first in WORDS["dangling"] - {"i", "this"}):
        return False
    if second in {"it's", "it", "he", "she", "they"}:
        return False
    if first in {"this", "these", "that", "those"} and (second in {"is", "are", "was"} or is_verb(second)):
        return False
    if first in QUESTION_WORDS or (first.endswith(("'s", "n't")) and first[:-2] in {"it", "he", "she", "that", "what"}):
        return False
    return not (follows and (first in WORDS["prepositions"] or first in WORDS["others"]))


class Clause(NamedTuple):
    """A text with its words, where its finite verb stands and whether it tells the reader to do something."""

    text: str
    tokens: tuple[Token, ...]
    found: tuple[Role, ...]
    spans: list[regex.Match[str]]
    verb: int | None
    call: bool


def _may_stop(clause: Clause, stop: int) -> bool:
    """Whether a clause is complete and still true where it stops before token number `stop`."""
    text, tokens, found, spans, verb, call = clause
    last, following = tokens[stop - 1].lower, tokens[stop].lower
    gap, rest = text[spans[stop - 1].end() : spans[stop].start()], text[spans[stop].start() :]
    marked = bool(MARK.search(gap))
    if (verb is not None and verb >= stop and not call) or _leaves_out(gap, rest, following, marked=marked):
        return False
    clausal = rest if marked else CLAUSE_END.split(rest, maxsplit=1)[0]
    said = verb is not None or call
    weak = (WORDS["weak_heads"] - WORDS["whole_heads"]) | WORDS["open_ended"]
    if last in weak or (said and CONDITION.search(clausal)):
        return False
    labelled = not said and gap.startswith(":") and stop <= MIN_WORDS
    if labelled or (last not in PARTICLES and tag(last) in {"DT", "IN", "PRP$", "TO", "CC"}):
        return False
    ends = found[stop - 1] == "n" or bool(HARD.fullmatch(spans[stop - 1][0])) or tokens[stop - 1].capital
    # "the national final" ends with a noun, "is low" does not.
    modified = found[stop - 2] in {"d", "a", "q"} and stop - 2 != verb
    ends = ends or (found[stop - 1] in {"a", "x"} and is_known_noun(last) and (marked or modified))
    state = verb is not None and stop - 1 > verb and _is_state(last, found[stop - 1])
    if marked or _links(rest, following) or (state and following == "after"):
        return (ends and (verb is not None or stop > MIN_FRAGMENT)) or state or last in OBJECTS
    returned = last in PARTICLES and following != "to"
    return following in WORDS["cuttable"] and (ends or returned) and stop >= MIN_WORDS and _cut_stays_true(clause, stop)


def _leaves_out(gap: str, rest: str, following: str, *, marked: bool) -> bool:
    """Whether what would be cut off is the end of a list, or limits what is stated."""
    if gap.startswith(",") and LIST.match(rest):
        return True
    clause = "" if marked else CLAUSE_END.split(rest, maxsplit=1)[0]
    return bool(LIMITS.search(clause) or (marked and LIMITED.match(rest)) or following in NEEDED)


def _links(rest: str, following: str) -> bool:
    """Whether a clause of its own begins with a linking word."""
    if following != "and":
        return following in LINKS
    after = words_of(rest[len("and ") :])
    subject = bool(after) and after[0].lower in WORDS["determiners"] | SUBJECTS
    return bool(after) and (is_call(after) or (subject and verb_at(after, roles(after)) is not None))


def _cut_stays_true(clause: Clause, stop: int) -> bool:
    """Whether a clause may lose its last adverbial: no offer, no negation, no verb that needs its place."""
    words = [token.lower for token in clause.tokens[:stop]]
    placed = clause.tokens[stop].lower in {"to", "in", "on", "at", "from"} and bool(set(words) & WORDS["placing"])
    offered = OFFER.search(clause.text[: clause.spans[stop - 1].end()])
    told = clause.call or clause.verb is not None
    return told and clause.verb != stop - 1 and not (placed or offered or any(map(is_negation, words)))


def _is_state(word: str, role: Role) -> bool:
    """Whether a word after the verb says how something is: "is free", "is back"."""
    if word in WORDS["open_ended"]:
        return False
    return word in PARTICLES or (role in {"a", "x"} and tag(word)[:2] in {"JJ", "VB", "RB"})


QUESTION_WORDS = frozenset({"what", "why", "how", "which", "who", "whose", "where"})
LINKS = frozenset({"and", "because", "but", "so", "while", "which", "where", "since"})
NEEDED = frozenset({"of", "until", "till", "only", "if", "unless", "without", "than", "instead", "except", "not"})
OWNERS = frozenset({"our", "my", "we", "i"})
LEANS = frozenset({"them", "each", "ours", "yours", "mine"})
MIN_FRAGMENT = 2
OBJECTS = frozenset({"it", "us", "them", "you", "me"})
MARK = regex.compile(r"[,;:]\s|[(\u2013\u2014]|\s-\s")
CLAUSE_END = regex.compile(r"[,;:(\u2014]|\b(?:and|but|so)\b")
PARTICLES = frozenset({"down", "back", "again", "here", "out"})
SIGN = regex.compile(r"[%)\"'\u201d]*")
BORDER = regex.compile(r"(?:[,;]|\s[\u2013\u2014-])\s+(?:(?:and|but)\s+)?|:\s+|\s(?:and|but)\s+")
LABEL = regex.compile(
    r"^(?:heads up|breaking|update(?: [\d:]+)?|reminder|psa|news|new in|new on the menu|hot take|unpopular opinion"
    r"|job opening|reminder that|please note that|just a reminder that|good news"
    r"|we regret to (?:inform|announce)(?: [\w ]+)? that|we(?: are|'re) \w+ to (?:announce|share) that"
    r"|[\w ]+ is pleased to announce that|so (?=i )|tip"
    r"|due to (?!the |our )[\w ]+?(?= the | our ))(?::|,)?\s+(?=\S)",
    regex.IGNORECASE,
)
LIST = regex.compile(r"(?:[^,.;:]{1,24},\s+)*[^,.;:]{1,24},?\s(?:and|or)\s[^,.;:]{1,24}(?:[,.;:]|$)")
LINKED = regex.compile(r"[,;:]\s|\s(?:and|but|so)\s")
DATED_END = regex.compile(
    r"\s(?P<when>at the end of (?:\p{Lu}\p{L}+|(?:this|next) \p{L}+))$"
    rf"|\s(?:on|in|at)\s(?:the\s)?(?P<when>(?:\w+\s){{0,2}}(?:{'|'.join(sorted(DAYS))})s?(?:\sof every month)?)$",
    regex.I,
)
# What speaks to a single reader changes its tone with its words.
LIMITS = regex.compile(r"\b(?:not?|never|only|until|till|unless|if|except|without|than|instead|n't|\w+n't)\b", regex.I)
# What is true only with what it costs, when it is, or on a condition.
CONDITION = regex.compile(
    rf"[$£€]\s?\d|\d\s?(?:%|[ap]\.?m\b|[€£])|\b(?:{'|'.join(sorted(DAYS))})s?\b"
    r"|\b(?:today|tonight|tomorrow|until|till|if"
    r"|unless|only|without|instead|may|march)\b",
    regex.IGNORECASE,
)
ADVERBIAL = regex.compile(
    r"(?:due to|because of|after|from|on|in|at|for|with|to|thanks to|rain or shine|starting|since|during)\b", regex.I
)
# "was accepted at Nature", which can stand in front of what was.
DONE = regex.compile(
    r"(?:is|are|was|were|(?:has|have) been) (?P<done>(?!pleased|excited|delighted|thrilled|honou?red|proud|need)"
    r"\p{L}{3,}ed\b.+)$"
)
ONLY_WHEN = regex.compile(
    rf"(?:(?:on|this|next|every) )?(?:{'|'.join(sorted(DAYS))}|weekend)s?(?: (?:morning|afternoon|evening|night))?\W*$",
    regex.I,
)
LIMITED = regex.compile(r"(?:not|only|but not|except|unless|if|until|till|cash only)\b", regex.IGNORECASE)
OFFER = regex.compile(r"%|\b(?:free|half price|off|discount|closed?|closes|open|available|complimentary)\b", regex.I)
TYPO = regex.compile(r"\b(?:cant|dont|wont|didnt|doesnt|isnt|wifi no)\b|_{2,}|^\W*$", regex.I)
ASKS = regex.compile(
    r"(?:what|which|who|where|when|why|how)\b.{0,40}?\b(?:do|does|did|should|would|can|is|are|was|makes|has)\b"
    r"|(?:is|are|do|does|did|should|would|can|could|will|have|has|anyone)\s(?:\w+)\s",
    regex.IGNORECASE,
)
CODE = regex.compile(r"[{}<>`\\\\|]|\$[^\d\s]|\]\(|&\w+;|&#|=\w+\(|%s|__")
GLUE = WORDS["prepositions"] | WORDS["determiners"] | WORDS["pronouns"] | {"and", "or", "who", "why", "how", "to"}
