"""Whether a text can be scored: prose, in a language whose scores were measured.

What the viral predictor learned on were posts of people and organisations in English. Of keyboard mashing, rows of
keywords, begging or another language it knows nothing, and says so instead of giving a number.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import regex

from pipelines.text.dictionaries import knows
from pipelines.text.languages import UNDETERMINED, function_words, identify
from pipelines.text.letters import plain_letters
from pipelines.text.tweets import entities
from pipelines.viral_predictor.features import bare_text

if TYPE_CHECKING:
    from collections.abc import Sequence

# Congress, brands, media and influencers of the training archives write English.
SCORED: Final = "en"

Reason = Literal["language", "words", "repetition", "row", "begging", "code", "placeholder", "shouting"]

BY_RECORD: Final = {
    "en": "Scored by your own posts and the hour alone: wordings in `{code}` were not measured.",
    "es": "Nota solo por tus publicaciones y la hora: la redacción en `{code}` no se valora.",
}
NOTES: Final[dict[Reason, dict[str, str]]] = {
    "language": {
        "en": "No score: only English posts were measured, and the text reads as `{code}`.",
        "es": "Sin nota: solo está comprobada en inglés, y este texto está en `{code}`.",
    },
    "words": {
        "en": "No score: hardly any word of the text is in a dictionary.",
        "es": "Sin nota: casi ninguna palabra del texto está en un diccionario.",
    },
    "repetition": {
        "en": "No score: the text says the same again and again. Say it once.",
        "es": "Sin nota: el texto repite lo mismo una y otra vez. Dilo una vez.",
    },
    "row": {
        "en": "No score: a row of words, tags, handles or emoji is no post. Write a sentence.",
        "es": "Sin nota: una fila de palabras, etiquetas, menciones o emojis no es un tuit. Escribe una frase.",
    },
    "begging": {
        "en": "No score: the text asks for reactions and says little else. Say what it is about.",
        "es": "Sin nota: el texto pide reacciones y dice poco más. Di de qué trata.",
    },
    "code": {
        "en": "No score: the text reads as code or a log.",
        "es": "Sin nota: el texto parece código o un registro.",
    },
    "placeholder": {
        "en": "No score yet: fill in the placeholder first.",
        "es": "Sin nota todavía: rellena antes el hueco.",
    },
    "shouting": {
        "en": "No score: capitals and exclamation marks leave nothing to read. Write it in plain letters.",
        "es": "Sin nota: mayúsculas y exclamaciones no dejan nada que leer. Escríbelo en letras normales.",
    },
}

# Three times the same and a little more.
SAID_ONCE_SHARE: Final = 0.4
MOST_SAME: Final = 4
ROW_WORDS: Final = 7
LIST_FUNCTION_SHARE: Final = 0.1
FUNCTION_SHARE: Final = 0.95
LIST_SIGNS: Final = ",|\u00b7\u2022"
FEW: Final = 3
BEGGING_SHARE: Final = 0.22
UNKNOWN_SHARE: Final = 0.55


class Scope(NamedTuple):
    """Why a text is not scored, None where it is, and its language."""

    reason: Reason | None
    language: str

    def note(self, *, by_record: bool = False) -> str | None:
        """Say why, or what the score rests on where the author's record decides; in Spanish for a Spanish text."""
        if self.reason is None:
            return None
        notes = BY_RECORD if by_record else NOTES[self.reason]
        return notes["es" if self.language == "es" else "en"].format(code=self.language)


@lru_cache(maxsize=8192)
def scope_of(text: str, language: str | None = None, default: str = "en") -> Scope:
    """Return whether a text can be scored.

    Args:
        text: the draft.
        language: ISO 639-1 code where the caller knows it, else it is detected.
        default: the code of texts that show no language.
    """
    plain, pleas = bare_text(plain_letters(text))
    marks = entities(plain)
    counts = Counter(mark.label for mark in marks)
    prose, end = "", 0
    for mark in marks:
        prose += plain[end : mark.start] + " "
        end = mark.end
    prose += plain[end:]
    words = [word.lower() for word in WORD.findall(prose)]
    code = language or identify(plain, default)
    reason: Reason | None = "begging" if pleas and not words else _no_prose(prose, words, counts)
    if reason != "begging" and _repeats(plain, len(WORD.findall(text))):
        reason = "repetition"
    if reason is None and code not in {SCORED, UNDETERMINED}:
        reason = "language"
    if reason is None and (code == UNDETERMINED or _are_unknown(prose, words)):
        reason = "words"
    return Scope(reason, code)


def _no_prose(prose: str, words: Sequence[str], marks: Counter[str]) -> Reason | None:
    """Return why a text is no prose in any language."""
    n = len(words)
    begging = sum(BEGGING.fullmatch(word) is not None for word in words)
    letters = LETTER.findall(prose)
    loud = sum(letter.isupper() for letter in letters) > 0.5 * len(letters)
    crowd = marks["HASHTAG"] >= max(8, 2 * n) or marks["MENTION"] >= max(8, 2 * n) or marks["EMOJI"] >= max(6, 2 * n)
    found: dict[Reason, bool] = {
        "placeholder": any(map(_waits, PLACEHOLDER.finditer(prose))),
        "begging": words.count("rt") >= FEW or begging >= max(FEW, BEGGING_SHARE * n),
        "code": len(CODE.findall(PACKAGE.sub(" ", prose))) > 1,
        "row": n == 0 or crowd or _is_row(prose, words),
        "shouting": loud and n >= FEW and prose.count("!") >= 2 * FEW,
    }
    return next((reason for reason, holds in found.items() if holds), None)


def _waits(found: regex.Match[str]) -> bool:
    """Tell whether a placeholder waits to be filled: `{name}` does, `{jstor}` is how R names its packages."""
    named = PACKAGE.fullmatch(found[0])
    return named is None or _is_known(named[1]) or knows("es", named[1])


def _is_row(prose: str, words: Sequence[str]) -> bool:
    """Tell whether words stand in a row or a list without a sentence; headlines are none."""
    n = len(words)
    if n < ROW_WORDS or SENTENCE.search(prose):
        return False
    owners = function_words()
    function = sum(not {"en", "es"}.isdisjoint(owners.get(word, ())) for word in words)
    titled = sum(word[0].isupper() for word in WORD.findall(prose)) > n // 2
    parts = max(prose.count(sign) for sign in LIST_SIGNS)
    return (
        (parts >= ROW_WORDS - FEW and function <= LIST_FUNCTION_SHARE * n)
        or (function == 0 and not titled)
        or (n >= 2 * ROW_WORDS and function >= FUNCTION_SHARE * n)
    )


def _repeats(once: str, n: int) -> bool:
    """Tell whether little is left of a text's n words where it is said once: one word or sentence again and again."""
    return n >= MOST_SAME and len(WORD.findall(once)) <= SAID_ONCE_SHARE * n


def _are_unknown(prose: str, words: Sequence[str]) -> bool:
    """Tell whether hardly a word is known; names and slang of a text with other words do not count."""
    plain = [word for word in words if len(word) > 1]
    owners = function_words()
    unknown = [word for word in plain if word not in owners and not _is_known(word)]
    mashed = sum(MASHED.search(word) is not None for word in unknown)
    if len(plain) < MOST_SAME:
        return bool(plain) and len(unknown) == len(plain) and mashed == len(plain)
    capitalized = sum(word[0].isupper() for word in WORD.findall(prose))
    if capitalized > 0.6 * len(plain):
        return False
    return len(unknown) >= UNKNOWN_SHARE * len(plain) and mashed >= 0.2 * len(plain)


def _is_known(word: str) -> bool:
    bare = word.replace("\u2019", "'").removesuffix("'s")
    return knows("en", bare) or knows("en", bare.rstrip("s")) or STRETCHED.sub(r"\1", bare) in function_words()


BEGGING: Final = regex.compile(
    r"rts?|retweet(?:s|ed)?|follow(?:s|back|ers)?|like[sd]?|share|tag|comments?|f4f|l4l|ifb|fb|dm|pls|plz|please"
    r"|subscribe|giveaway|gain|unfollow|notifications"
)
WORD: Final = regex.compile(r"\p{L}[\p{L}\p{M}]*+(?:['\u2019]\p{L}++)*+")
LETTER: Final = regex.compile(r"\p{L}")
SENTENCE: Final = regex.compile(r"\p{L}[.?!:]['\"\u201d]?(?:\s|$)")
# No vowel, five consonants in a row, a letter four times, or a run of the keyboard.
MASHED: Final = regex.compile(
    r"^[^aeiouy\u00e1\u00e9\u00ed\u00f3\u00fa']{4,}$|[bcdfghjklmnpqrstvwxz]{5}|(.)\1{3}|qwe|wert|rtyu|uiop|asdf|sdfg|dfgh"
    r"|fghj|ghjk|hjkl|zxcv|xcvb|cvbn|vbnm"
)
STRETCHED: Final = regex.compile(r"(.)\1+")
PLACEHOLDER: Final = regex.compile(
    r"\{\{?\s*[\p{L}_.\d ]{1,40}\}?\}|\[\s*(?:insert|add|your|name|photo|link|date|check|nombre|fecha|foto|enlace)\b"
    r"[^\]]{0,60}\]|<\s*[\p{Lu}_]{3,}\s*>|[$\u20ac\u00a3]X{2,}|\bX{2,},X{3}\b|\bX{4,}\b|\bTODO:|(?<!\d)%[sd]\b"
    r"|(?i:lorem ipsum|\byour (?:post|text|tweet|message) (?:goes )?here\b)",
)
PACKAGE: Final = regex.compile(r"\{([a-z][a-z\d]+)\}")
CODE: Final = regex.compile(
    r"\w\(\w*\)|[=!<>]=|=>|\+\+|\b\w+\[\w+\]|[{}]|;$|\b\w+=-?\d|%20|\b(?:ERR!|ERROR|WARN|INFO|DEBUG)\b|\bnull\b"
    r"|\bNaN\b|\b0x[\da-f]+\b|\b[\da-f]{12,}\b|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
    r"|</?\w+>|\b(?:for|if|while)\s?\(|\bdef \w+"
    r"|\b(?:SELECT|FROM|WHERE)\b|\w+@\d+\.\d+|\.(?:py|js|java|cpp|log|json):\d*",
    regex.MULTILINE,
)
