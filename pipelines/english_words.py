"""What is known about English words: parts of speech, number, countability.

Tags (the commonest one of a word) are TextBlob's, nouns and verbs WordNet's as spacy-lookups-data carries them; what
neither knows stands in english_words.json.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import regex
import spacy_lookups_data  # type: ignore[import-untyped]
import srsly  # type: ignore[import-untyped]

from pipelines.imports import import_without
from pipelines.text.facts import DAYS, NEGATIONS, NUMBER_WORDS

Kind = Literal["plural", "mass", "count", "name", "unknown"]

WORDS: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in json.loads(Path(__file__).with_name("english_words.json").read_text(encoding="utf-8")).items()
}
MIN_NAME = 3
CLOSED = WORDS["pronouns"] | WORDS["auxiliaries"] | WORDS["others"] | NEGATIONS | NUMBER_WORDS | DAYS


def _textblob() -> Any:
    return import_without("textblob.en", "sklearn", "scipy", "pandas", "matplotlib", "sympy")


@lru_cache(maxsize=1)
def _tags() -> dict[str, str]:
    """Read the commonest Penn Treebank tag of 94,000 words."""
    lines = Path(_textblob().__file__).with_name("en-lexicon.txt").read_text(encoding="utf-8").splitlines()
    return {word: tag for line in lines if line and not line.startswith(";;;") for word, tag in [line.split()[:2]]}


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
def kind_of(head: str, *, name: bool) -> Kind:  # noqa: PLR0911  # one rule, one line
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
    if word in WORDS["plural"] or tag(word) == "NNS" or singular(word):
        return "plural"
    if last in WORDS["count"] or any(last in WORDS[things] for things in ("contents", "products", "venues", "experts")):
        return "count"
    if UNSURE.search(word) or word not in _wordnet()[0]:
        return "mass" if MASS_ENDING.search(word) else "unknown"
    return "count"


def is_known_noun(word: str) -> bool:
    """Whether a dictionary has the word in lower case as a noun."""
    return word in _wordnet()[0]


def is_closed(word: str) -> bool:
    """Whether a word in lower case is of those that only link others, or counts them."""
    return any(word in words for words in (CLOSED, WORDS["determiners"], WORDS["prepositions"], WORDS["quantifiers"]))


def is_common(word: str, lower: str) -> bool:
    """Whether a capitalized word is an everyday word rather than a name."""
    if lower in CLOSED or lower in WORDS["determiners"] or lower in WORDS["count"] or lower in WORDS["mass"]:
        return lower != "i"
    proper = _tags().get(word.capitalize(), "").startswith("NNP") and lower not in _tags()
    known = (
        lower in _tags() or is_verb(lower) or lower in _wordnet()[0] or singular(lower) in _wordnet()[0] or "-" in lower
    )
    return known and not proper


@lru_cache(maxsize=8192)
def is_proper(word: str) -> bool:
    """Whether a word in lower case is only known as a name: berlin, yorkshire."""
    return (
        _tags().get(word.capitalize(), "").startswith("NNP")
        and word not in _tags()
        and not is_verb(word)
        and len(word) > MIN_NAME
        and not word.endswith(("house", "shop", "nut", "nuts", "keeper", "book"))
        and not is_closed(word)
    )


def article(phrase: str) -> str:
    """Return "a" or "an" by the sound of the first word: an hour, a user, an FAQ, a UX designer, an e-bike."""
    word = regex.split(r"[ \-]", phrase, maxsplit=1)[0]
    spelled = len(word) == 1 or (word.isupper() and (len(word) <= 3 or not regex.search("[AEIOU]", word)))
    if spelled:
        return "an" if word[0].upper() in "AEFHILMNORSX" else "a"
    return "an" if AN.match(word.lower()) else "a"


# Words that begin with the sound of a vowel.
AN = regex.compile(
    r"(?!one\b|once\b|eu|ewe\b)[aeio]|u(?!ni(?![nmd])|s[aeiu]|t[ei]|bi|ra|ro|ku|ke|fo)|hono|hones|hour|heir|herb"
)
# Abstract nouns by their ending: some are counted, some are not.
UNSURE = regex.compile(
    r"(?:ness|ism|ity|[ae]nce|[st]ion|ment|ship|hood|ure|ware|wear|ing|ics|acy|age|dom|th|ry|phy|logy|care)$"
)
MASS_ENDING = regex.compile(r"(?:ness|ism|ware|wear|(?<!th|spr|str|\bs|\bk|\bw|\br)ing|logy|graphy|acy|care)$")
