"""Where the sentences of a post end, and which of them cannot stand without the one before.

It reads marks and first words, not grammar; where it is in doubt there is no border.
"""

from __future__ import annotations

from functools import lru_cache

import regex

from pipelines.text.tweets import entities

OPENING, CLOSING = "([“«", ")]”»"
# fmt: off
ABBREVIATIONS = frozenset({
    "mr", "mrs", "ms", "dr", "drs", "prof", "st", "sts", "vs", "inc", "ltd", "co", "corp", "bros", "jr", "sr", "dept",
    "approx", "figs", "gov", "sen", "rep", "gen", "lt", "col", "capt", "sgt", "rev", "hon", "mt", "ft", "incl", "excl",
    "appt", "apt", "bldg", "govt", "intl", "assn", "univ", "vol", "vols", "chap", "eds", "pp", "cf", "viz", "tel",
    "ave", "blvd", "rd", "hwy", "ln", "jan", "feb", "apr", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "tue",
    "tues", "weds", "thu", "thur", "thurs", "sra", "sras", "srta", "dra", "dres", "dña", "ud", "uds", "vd", "vds",
    "núm", "núms", "pág", "págs", "av", "avda", "avd", "ej", "aprox", "cía", "dpto", "depto", "dto", "edif", "esq",
    "izq", "izda", "dcha", "pza", "plza", "ctra", "urb", "telf", "tfno", "tlf", "máx", "mín", "abr", "mié", "jue",
    "sáb", "gral", "lic", "arq", "pte", "sto", "sta", "hnos", "atte", "admón", "ee", "uu", "rr", "hh",
})
# Words as well: short only where a figure or a lower-case letter follows.
SHORT_OR_WORD = frozenset({
    "sun", "sat", "mon", "wed", "fri", "mar", "jun", "max", "min", "mins", "hr", "hrs", "wk", "wks", "yrs", "est", "al",
    "art", "arts", "cap", "fig", "etc", "ext", "ed", "ref", "resp", "pl", "sq", "temp", "esp", "misc", "ca", "ing",
    "dic", "vie", "ago", "ene", "lun", "prov",
})
# fmt: on
# Before a figure only: "No. 5" goes on, "No. We stay." does not.
NUMBER_SIGNS = frozenset({"no", "nos", "n", "nº", "nro", "p"})
PICTURE = r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\uFE0F\u200D]"
GAP = regex.compile(
    rf"(?:(?P<end>[.!?…]+[\"'\u201d\u2019»)\]]*)(?P<pictures>(?:[ \t]?{PICTURE}+)*+)(?P<gap>\s+)|"
    r"(?P<gap>[^\S\n]*+\n\s*))"
    r"(?=(?P<next>\S))",
    regex.VERSION1,
)
# What a mailing fills in: {name}, {{ticket.url}}, [NAME], %name%, <name>.
PLACEHOLDER = regex.compile(
    r"\{\{[^{}\n]{1,80}\}\}|\$?\{[^{}\n]{1,80}\}|\[[\p{Lu}_ ]{2,40}\]|%[\p{L}_]{2,40}%|<[\p{L}_]{2,40}>"
)
LAST_WORD = regex.compile(r"[\p{L}\p{M}.]+(?=\.$)")
ORDINAL = regex.compile(r"\s*\p{Nd}+\.")
SIGNS = r"^[\s¿¡\"'“«(\-\u2013\u2014•]*"
# A text that ends in this has said what it wanted to say.
ENDED = regex.compile(rf"(?:[.!?…][\"'\u201d\u2019»)\]]*|{PICTURE})$", regex.VERSION1)
WORD = regex.compile(r"[\p{L}\p{M}\p{Nd}]+")
LISTED = regex.compile(r"^\s*(?:[-\u2013\u2014•*·▪✅✔]|\p{Nd}+[.)])")
FIRST_LETTER = regex.compile(SIGNS + r"(\p{Ll})")
# As in iOS, eBay, u/name, and de Vries.
OWN_CASE = regex.compile(r"\p{Ll}+(?:\p{Lu}|\p{N}|[_/@.]\p{L})|(?:de|del|von|van|da|di)\s\p{Lu}")
BACKWARD = regex.compile(
    SIGNS
    + r"(?:it|its|he|she|they|them|his|her|their|this|that|these|those|but|and|or|so|because|also|then|there|however|"
    r"still|yet|instead|such|both|either|otherwise|another|same|therefore|thus|plus|why not|"
    r"additionally|furthermore|moreover|meanwhile|"
    r"for example|for instance|in addition|as a result|finally|lastly|"
    r"él|ella|ellos|ellas|ello|este|esta|estos|estas|esto|ese|esa|esos|esas|eso|aquel|aquella|aquello|pero|y|o|e|u|"
    r"porque|pues|así|también|además|entonces|sin embargo|aunque|todavía|por eso|por ello|por tanto|su|sus|allí|ahí|"
    r"tampoco|otro|otra|o sea|por ejemplo|finalmente|por último|mientras tanto)\b",
    regex.IGNORECASE,
)


def sentences(text: str, *, hasty: bool = False) -> list[tuple[str, str]]:
    """Split an NFC text into sentences, each with the white space after it; joined in order they are the text.

    No border lies in a link, handle, placeholder or emoji, inside brackets or quotes, after an abbreviation, or where
    the text goes on in lower case (unless all of it is, or it is said to be typed in haste). An emoji after an end mark
    belongs to the sentence before it.
    """
    return list(_split(text, hasty))


@lru_cache(maxsize=512)
def _split(text: str, hasty: bool) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    start = 0
    borders = list(GAP.finditer(text))
    lower = hasty or text == text.lower()
    marks = {entity.start for entity in entities(text) if entity.label != "EMOJI"} if borders else set()
    whole = [match.span() for match in PLACEHOLDER.finditer(text)] if borders else []
    for match in borders:
        sentence = text[start : match.start("gap")]
        if not sentence or any(begin < match.start("gap") < end for begin, end in whole):
            continue
        if not _is_border(match, sentence, lower=lower, marked=match.end("gap") in marks):
            continue
        found.append((sentence, match["gap"]))
        start = match.end("gap")
    return (*found, (text[start:], "")) if start < len(text) else tuple(found)


def join(parts: list[tuple[str, str]]) -> str:
    """Return the text that these sentences make, without white space at its end."""
    return "".join(sentence + gap for sentence, gap in parts).rstrip()


def refers_back(sentence: str) -> bool:
    """Whether a sentence opens with a word that leans on the one before: a pronoun, `but`, `because`, `pero`."""
    return BACKWARD.search(sentence) is not None


def prose(text: str) -> str:
    """Return a text with a blank in place of each link, handle, hashtag and emoji."""
    rest, end = "", 0
    for entity in entities(text):
        rest += text[end : entity.start] + " "
        end = entity.end
    return rest + text[end:]


def is_listed(sentence: str) -> bool:
    """Whether a sentence is an item of a list: it opens with a bullet or a number."""
    return LISTED.search(sentence) is not None


def is_prose(sentence: str) -> bool:
    """Whether a sentence has words beside links, handles, hashtags and emoji."""
    return regex.search(r"\p{L}", prose(sentence)) is not None


def is_balanced(text: str) -> bool:
    """Whether every bracket and quotation mark that opens in a text closes in it."""
    pairs = all(text.count(left) == text.count(right) for left, right in zip(OPENING, CLOSING, strict=True))
    return pairs and text.count('"') % 2 == 0


def capitalized(text: str) -> str:
    """Return a text whose first letter is a capital, behind opening signs too; links and names with a case keep it."""
    first = FIRST_LETTER.match(text)
    if (
        first is None
        or OWN_CASE.match(text, first.start(1))
        or any(entity.start == first.start(1) for entity in entities(text))
    ):
        return text
    return text[: first.start(1)] + first[1].upper() + text[first.end(1) :]


def _is_border(match: regex.Match[str], sentence: str, *, lower: bool, marked: bool) -> bool:
    gap, following = match["gap"], match["next"]
    goes_on = following.islower() and not marked
    if not is_balanced(sentence):
        return False
    if match["end"] is None:
        return gap.count("\n") > 1 or not goes_on
    trails_off = match["end"].startswith(("…", "..")) and not (following.isupper() or following in "¿¡")
    if trails_off or (goes_on and not lower):
        return "\n\n" in gap
    shortened = match["end"] == "." and not match["pictures"] and is_shortened(sentence, following)
    return not shortened and not ORDINAL.fullmatch(sentence)


def is_shortened(sentence: str, following: str) -> bool:
    """Whether the full stop that ends `sentence` belongs to its last word, before the character `following`.

    So it is in an abbreviation, an initial, and the sign of a number.
    """
    last = LAST_WORD.search(sentence)
    word = last[0].casefold() if last else ""
    if last and last.start() and sentence[last.start() - 1].isdecimal() and "." not in word:
        return False
    if word in {"a", "p"} and following in {"m", "M"}:
        return True
    if word in NUMBER_SIGNS:
        return following.isdecimal()
    if word in SHORT_OR_WORD:
        return following.isdecimal() or following.islower()
    return word in ABBREVIATIONS or "." in word.strip(".") or (len(word) == 1 and word.isalpha())
