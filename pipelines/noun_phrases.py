"""Finds the noun phrases of an English text by rules, and says how their head behaves: number, countability.

Parts of speech come from TextBlob's lexicon (the commonest tag of a word) and the nouns of WordNet that
spacy-lookups-data carries; where a word could be a verb, its neighbors and agreement decide.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import regex
import spacy_lookups_data  # type: ignore[import-untyped]
import srsly  # type: ignore[import-untyped]

from pipelines.facts import DAYS, NEGATIONS, NUMBER_WORDS
from pipelines.imports import import_without

Kind = Literal["plural", "mass", "count", "name", "unknown"]
# x: ends a phrase, d: determiner, q: left out at its start, a: adjective or participle, n: noun, p: preposition.
Role = Literal["x", "d", "q", "a", "n", "p"]

MAX_NOUNS = 3
MAX_WORDS = 5
WORDS: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in json.loads(Path(__file__).with_name("english_words.json").read_text(encoding="utf-8")).items()
}
CLOSED = WORDS["pronouns"] | WORDS["auxiliaries"] | WORDS["others"] | NEGATIONS | NUMBER_WORDS | DAYS
PLURAL_WORDS = WORDS["plural"]


class Token(NamedTuple):
    """A word as it is written in running text; `breaks` tells that punctuation stands before it."""

    text: str
    lower: str
    breaks: bool
    capital: bool


@dataclass(frozen=True)
class NounPhrase:
    """A noun phrase without its determiner.

    `new` holds what the query put before it and is no part of a topic ("new", "free"); `tail` is "for beginners".
    `whole` tells that nothing else stands between the marks around it, `start` is the place of its first word.
    """

    determiner: str
    new: str
    core: tuple[str, ...]
    tail: str
    kind: Kind
    whole: bool
    start: int
    before: str

    @property
    def text(self) -> str:
        """The phrase as a topic."""
        return " ".join((*self.core, *filter(None, [self.tail])))

    @property
    def head(self) -> str:
        """The last word of the core, in lower case."""
        return self.core[-1].lower()


def _textblob() -> Any:
    return import_without("textblob.en", "sklearn", "scipy", "pandas", "matplotlib", "sympy")


@lru_cache(maxsize=1)
def _tags() -> dict[str, str]:
    """Read the commonest Penn Treebank tag of 94,000 words."""
    lexicon = _textblob().lexicon
    return {word: lexicon[word] for word in lexicon}


@lru_cache(maxsize=1)
def _wordnet() -> tuple[frozenset[str], frozenset[str], dict[str, Any]]:
    """Read the nouns and verbs of WordNet, and the irregular plurals."""
    index, irregular = (
        srsly.read_gzip_json(f"{spacy_lookups_data.en[name]}.gz") for name in ("lemma_index", "lemma_exc")
    )
    return frozenset(index["noun"]), frozenset(index["verb"]), irregular["noun"]


def tag(word: str) -> str:
    """Return the commonest tag of a word in lower case, or one guessed from its ending; empty where unknown."""
    known = _tags().get(word)
    if known or "-" not in word:
        return known or ""
    return _tags().get(word.rsplit("-", 1)[1], "") or "JJ"


@lru_cache(maxsize=8192)
def singular(word: str) -> str | None:
    """Return the singular of a plural noun in lower case, None for what is no plural."""
    nouns, _, irregular = _wordnet()
    if word in irregular and word not in nouns:
        return str(irregular[word][0])
    if not word.endswith("s") or word.endswith(("ss", "us", "is")) or word in WORDS["mass"]:
        return None
    stems = [word[:-1]]
    if word.endswith("ies"):
        stems.insert(0, word[:-3] + "y")
    elif word.endswith("es"):
        stems.append(word[:-2])
    last = [stem for stem in stems if stem.rsplit("-", 1)[-1] in nouns or stem in WORDS["count"]]
    if last and word not in nouns:
        return last[0]
    return stems[0] if word not in nouns and word not in _tags() and not word.endswith("ics") else None


@lru_cache(maxsize=8192)
def plural_of(word: str) -> str:
    """Return the plural of a singular noun."""
    return str(_textblob().inflect.pluralize(word, classical=False))


@lru_cache(maxsize=8192)
def is_noun(word: str) -> bool:
    """Whether a word in lower case can be a noun; a word that nobody knows is one."""
    nouns, verbs, _ = _wordnet()
    if word in WORDS["count"] or word in WORDS["mass"]:
        return True
    return (
        word in nouns
        or singular(word) is not None
        or tag(word).startswith("NN")
        or (not tag(word) and word not in verbs)
    )


@lru_cache(maxsize=8192)
def is_verb(word: str) -> bool:
    """Whether a word in lower case can be a verb in the present tense."""
    verbs = _wordnet()[1]
    stems = {word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y"}
    return bool(stems & verbs)


@lru_cache(maxsize=8192)
def kind_of(head: str, *, name: bool) -> Kind:
    """Say how a head noun behaves; `unknown` where no rule and no list is sure."""
    word = head.lower()
    last = word.rsplit("-", 1)[-1]
    if word in WORDS["mass"] or last in WORDS["mass"]:
        return "mass"
    if head.isupper() and len(head) > 1:
        return "unknown"
    if len(head) > 2 and head[:-1].isupper() and head[-1] == "s":
        return "plural"
    if name and not (head[1:].islower() and (singular(word) or word in WORDS["count"])):
        return "name"
    if word in PLURAL_WORDS or tag(word) == "NNS" or singular(word):
        return "plural"
    if last in WORDS["count"]:
        return "count"
    if UNSURE.search(word) or word not in _wordnet()[0]:
        return "mass" if MASS_ENDING.search(word) else "unknown"
    return "count"


def words_of(text: str) -> list[Token]:
    """Split a text into words; capitals that only stand for the start of a sentence or a headline are taken back."""
    found = list(WORD.finditer(text))
    headline = len(found) > 2 and 3 * sum(match[0][0].isupper() for match in found) > 2 * len(found)
    tokens: list[Token] = []
    end = 0
    for match in found:
        word, lower = match[0].replace("\u2019", "'"), match[0].lower().replace("\u2019", "'")
        gap = text[end : match.start()]
        breaks = not tokens or "\n" in gap or bool(gap.strip())
        capital = word[0].isupper()
        opens = headline or not tokens or bool(OPENS.search(gap))
        shouted = headline and len(word) > 3 and word.isupper()
        follows = found[len(tokens) + 1][0].lower() if len(tokens) + 1 < len(found) else ""
        if (lower, follows) in NAMED_DAYS:
            opens = False
        if capital and opens and (word[1:].islower() or shouted or len(word) == 1) and _is_common(word, lower):
            word, capital = lower, False
        tokens.append(Token(word, lower, breaks, capital))
        end = match.end()
    return tokens


def _is_common(word: str, lower: str) -> bool:
    """Whether a capitalized word is an everyday word rather than a name."""
    if lower in CLOSED or lower in WORDS["determiners"] or lower in WORDS["count"] or lower in WORDS["mass"]:
        return lower != "i"
    proper = _tags().get(word.capitalize(), "").startswith("NNP") and lower not in _tags()
    known = (
        lower in _tags() or is_verb(lower) or lower in _wordnet()[0] or singular(lower) in _wordnet()[0] or "-" in lower
    )
    return known and not proper


def roles(tokens: list[Token]) -> list[Role]:
    """Say what each word does in its phrase."""
    found: list[Role] = []
    after_be = False
    for place, token in enumerate(tokens):
        after = tokens[place + 1] if place + 1 < len(tokens) and not tokens[place + 1].breaks else None
        before = tokens[place - 1] if place and not token.breaks else None
        after_be = bool(before) and (after_be or before.lower in BE or before.lower.endswith(("'re", "'m")))
        if after_be and token.lower.endswith("ing") and (found[-1] in {"x", "n"} or before.lower in WORDS["pronouns"]):
            found.append("x")
        else:
            found.append(_role(token, before, found[-1] if before else None, after))
        noun_before = place and not token.breaks and found[-2] == "n"
        if found[-1] == "a" and noun_before and (after is None or _closes(after)) and token.lower in _wordnet()[0]:
            found[-1] = "n"
    return found


def _closes(token: Token) -> bool:
    """Whether a word ends the noun phrase before it."""
    return token.lower in CLOSED or token.lower in WORDS["prepositions"] or token.lower in WORDS["determiners"]


def _role(token: Token, before: Token | None, role_before: Role | None, after: Token | None) -> Role:
    word = token.lower
    if word in WORDS["determiners"]:
        return "d"
    if word in WORDS["prepositions"]:
        return "p"
    if word in WORDS["quantifiers"] or word in NUMBER_WORDS or word.isdigit():
        return "q"
    if before is not None and (before.lower, word) in NAMED_DAYS:
        return "n"
    if word == "early" and after is not None and after.lower == "bird":
        return "a"
    if word.endswith("ing") and before is not None and before.lower in WORDS["imperatives"] and tag(word) != "NN":
        return "x"
    if word in CLOSED or CONTRACTION.search(word) or (DIGIT.search(word) and word not in WORDS["mass"]):
        return "x"
    if token.capital or word.endswith(("'s", "s'")):
        return "n"
    commonest = tag(word)
    in_phrase = role_before in {"d", "a", "n", "q"}
    if commonest.startswith("RB") or (not in_phrase and _commands(token, after)):
        return "x"
    if role_before not in {"d", "a", "q"} and is_verb(word) and _is_verb_here(token, before, role_before, after):
        return "x"
    if commonest in {"VBG", "VBN", "VBD"} and word not in WORDS["count"] and word not in WORDS["mass"]:
        return _participle(word, commonest, role_before, after)
    if commonest.startswith(("JJ", "CD")) and not (word in WORDS["count"] or word in WORDS["mass"]):
        return "a"
    return "n" if is_noun(word) else "a" if commonest.startswith("V") and role_before in {"d", "a"} else "x"


def _commands(token: Token, after: Token | None) -> bool:
    """Whether a word that opens a phrase tells the reader to do something: "join us", "book a table"."""
    if token.lower in WORDS["imperatives"]:
        return not (after is None and is_noun(token.lower) and tag(token.lower).startswith("N"))
    if token.lower not in WORDS["maybe_imperatives"] or after is None:
        return False
    follows = after.lower
    return (
        follows in WORDS["determiners"]
        or follows in WORDS["pronouns"]
        or (follows in WORDS["quantifiers"] or tag(follows).startswith(("JJ", "RB")))
    )


def _is_verb_here(token: Token, before: Token | None, role_before: Role | None, after: Token | None) -> bool:
    """Whether a word that can be a verb is one, by what stands before and after it, and by agreement."""
    word, commonest = token.lower, tag(token.lower)
    if before is None:
        return commonest.startswith("VB") and commonest != "VBG" and not (commonest == "VBN")
    if before.lower in SUBJECTS:
        return commonest != "VBG"
    if role_before == "n":
        if after is not None and after.lower in (WORDS["determiners"] | WORDS["pronouns"]):
            return commonest not in {"VBG"}
        plural = kind_of(before.lower, name=before.capital) == "plural"
        if commonest in {"VBD", "VBZ"} or (word.endswith("s") and commonest.startswith("VB")):
            return not plural
        return plural and commonest in {"VB", "VBP", "JJ"}
    return commonest in {"VB", "VBP", "VBZ", "VBD"}


def _participle(word: str, commonest: str, role_before: Role | None, after: Token | None) -> Role:
    follows = after is not None and after.lower not in CLOSED and after.lower not in WORDS["prepositions"]
    follows = follows and after is not None and after.lower not in WORDS["determiners"]
    if commonest == "VBG":
        verb = role_before is None and (
            word in WORDS["gerund_verbs"] or (after is not None and after.lower in WORDS["determiners"])
        )
        return "x" if verb or role_before == "x" or word in WORDS["gerund_verbs"] else "a" if follows else "n"
    return "a" if follows and role_before != "n" and role_before != "x" else "x"


def noun_phrases(tokens: list[Token], found: list[Role] | None = None) -> Iterator[NounPhrase]:
    """Yield the noun phrases of a text from left to right."""
    found = found or roles(tokens)
    place = 0
    while place < len(tokens):
        phrase, place = _phrase_at(tokens, found, place)
        if phrase:
            yield phrase


def _end(tokens: list[Token], place: int, may_go_on: Callable[[int], bool]) -> int:
    end = place
    while end < len(tokens) and (end == place or not tokens[end].breaks) and may_go_on(end):
        end += 1
    return end


def _phrase_at(tokens: list[Token], found: list[Role], place: int) -> tuple[NounPhrase | None, int]:
    """Read the phrase that starts here, if one does; return it and where to read on."""
    start = place
    determiner = ""
    if found[place] == "d":
        determiner = tokens[place].lower
        place += 1
        if place == len(tokens) or tokens[place].breaks:
            return None, place
    first = _end(
        tokens, place, lambda at: found[at] == "q" or (tokens[at].lower in WORDS["newness"] and found[at] == "a")
    )
    stop = first if first < len(tokens) and (first == place or not tokens[first].breaks) else place
    end = _end(tokens, stop, lambda at: found[at] in {"a", "n"} and not _starts_name(tokens, found, at, stop))
    end = end if first == stop else first
    last = end
    while last > first and found[last - 1] != "n":
        last -= 1
    if last <= first or (first > place and tokens[first].breaks):
        return None, max(end, start + 1)
    first = max(first, last - MAX_WORDS)
    if all(role == "n" for role in found[first:last]):
        first = max(first, last - MAX_NOUNS - 1)
    words = tokens[first:last]
    prepositions = TAIL_PREPOSITIONS if tokens[start].breaks else CLOSE_PREPOSITIONS
    tail_end = _tail_end(tokens, found, last, MAX_WORDS - len(words), prepositions)
    new = " ".join(token.text for token in tokens[place:first]) if "q" not in found[place:first] else ""
    return NounPhrase(
        determiner=determiner,
        new=new,
        core=tuple(token.text for token in words),
        tail=" ".join(token.text for token in tokens[last:tail_end]),
        kind=kind_of(words[-1].text, name=words[-1].capital),
        whole=tokens[start].breaks and (tail_end == len(tokens) or tokens[tail_end].breaks),
        start=start,
        before=tokens[start - 1].lower if start and not tokens[start].breaks else "",
    ), max(end, tail_end)


def _starts_name(tokens: list[Token], found: list[Role], at: int, start: int) -> bool:
    """Whether a name begins after a common noun: "wedding photographer Austin"."""
    return at > start and tokens[at].capital and found[at - 1] == "n" and not tokens[at - 1].capital


def _tail_end(tokens: list[Token], found: list[Role], place: int, room: int, prepositions: frozenset[str]) -> int:
    """Return where "for beginners" ends: a preposition and a bare noun phrase up to the next mark, or nothing."""
    if place >= len(tokens) or tokens[place].breaks or tokens[place].lower not in prepositions:
        return place
    end = _end(tokens, place + 1, lambda at: found[at] in {"a", "n"} or tokens[at].lower == "better")
    goes_on = end < len(tokens) and not tokens[end].breaks
    starts = place + 1 < len(tokens) and not tokens[place + 1].breaks
    if not starts or goes_on or end == place + 1 or found[end - 1] != "n" or end - place > room:
        return place
    return place if tokens[end - 1].lower in WORDS["weak_heads"] | MONTHS else end


WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['\u2019&\-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*")
OPENS = regex.compile(r"[.!?…:;|\n\u2014\u201c\"(]")
DIGIT = regex.compile(r"\p{N}")
CONTRACTION = regex.compile(
    r"(?:n't|'(?:re|ve|ll|d|m))$|^(?:it|that|what|here|there|who|how|where|let|he|she|today)'s$"
)
BE = frozenset({"am", "is", "are", "was", "were", "be", "been"})
NAMED_DAYS = frozenset({("black", "friday"), ("cyber", "monday"), ("giving", "tuesday"), ("good", "friday")})
SUBJECTS = frozenset(
    {
        "i",
        "we",
        "you",
        "us",
        "them",
        "me",
        "they",
        "he",
        "she",
        "it",
        "who",
        "to",
        "please",
        "let's",
        "can",
        "will",
        "must",
        "should",
        "could",
        "would",
        "may",
        "might",
        "don't",
        "not",
        "never",
        "do",
        "did",
        "does",
        "just",
        "and",
        "that",
        "which",
    }
)
# What belongs to a noun wherever it stands, and what does where the phrase opens its clause.
CLOSE_PREPOSITIONS = frozenset({"for", "of"})
TAIL_PREPOSITIONS = CLOSE_PREPOSITIONS | {"in", "on", "at", "about", "with", "from"}
MONTHS = frozenset({"march", "may", "spring", "summer", "autumn", "fall", "winter"})
# Abstract nouns by their ending: some are counted, some are not.
UNSURE = regex.compile(
    r"(?:ness|ism|ity|[ae]nce|[st]ion|ment|ship|hood|ure|ware|wear|ing|ics|acy|age|dom|th|ry|phy|logy|care)$"
)
MASS_ENDING = regex.compile(r"(?:ness|ism|ware|wear|(?<!th|spr|str|\bs|\bk|\bw|\br)ing|logy|graphy|acy|care)$")
