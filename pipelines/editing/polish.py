"""The author's own text, polished: spaces, marks, capitals, spelling, and nothing that it says.

What is exact stays as it was written (pipelines.editing.masks). The lists are in polish_en.json and polish_es.json:

- `misspelled`, `glued`, `apostrophes`, `short`, `acronyms`: a word in lower case and what it should be;
- `phrases`: a pattern and its replacement, for what only the words around it tell; see NAMED_PATTERNS;
- `capitals`, `named`: names that are nothing else; `names` and `kept_capitals`: what shouting hides;
- `openings`: throat-clearing that may go from the front.
"""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

import regex

from pipelines.editing import slips, spelling
from pipelines.editing.accents import BARE, restored
from pipelines.editing.endings import ENDED, ended, opened
from pipelines.editing.masks import IS_HELD, LINK, TAG, Masked, mask
from pipelines.records import Language
from pipelines.text.facts import facts
from pipelines.text.sentences import OWN_CASE, sentences
from pipelines.text.tweets import weighted_length

MAX_ROUNDS = 4
# From this length (weighted characters) on, one block of text gets a line break.
LONG_BLOCK = 180
MIN_OPENING = 20
# Fewer words in capitals are emphasis or a name.
MIN_SHOUTED = 3
MIN_LEFT_WORDS = 4
# What is laid out as a list: so many lines, most of them of so few words, none of which only leads to the next.
MIN_LINES, MAX_LINE_WORDS, LIST_SHARE = 3, 8, 0.8
GOES_ON = regex.compile(r"(?:,|\b(?:and|or|of|the|a|to|for|with|y|o|de|el|la|con|para))$", regex.IGNORECASE)

WORD = regex.compile(
    r"(?<![\p{L}\p{M}\p{N}_'\u2019\-/.@#&+*~\\=])\p{L}[\p{L}\p{M}]*+"
    r"(?![\p{L}\p{M}\p{N}_'\u2019/@\-&+*~\\=]|\.\p{L}|\.\p{N})"
)
LETTER = regex.compile(r"\p{L}")
CAPITALS = r"(?<![\p{L}\p{M}\p{N}_'\u2019\-])\p{Lu}[\p{Lu}\p{M}]+(?:['\u2019]\p{Lu}+)?(?![\p{L}\p{M}\p{N}_\-]|\.\p{L})"
SHOUTED = regex.compile(CAPITALS)
RUN = regex.compile(rf"{CAPITALS}(?:[ ,:!?.]+(?:[IAYOE][ ,])?(?:{CAPITALS}|I'M|DON'T|CAN'T|WE'RE|IT'S))+")
COUNTED = regex.compile(r"(?<=\p{Nd})(?:ST|ND|RD|TH|X(?=\p{Nd}))(?!\p{L})")
SMALL = regex.compile(r"(?<![\p{L}\p{M}\p{N}_])\p{Ll}[\p{L}\p{M}]+")
START = regex.compile(r"[\s¿¡\"'\u201c\u2018«(\[]*(\p{Ll})")
MONTH = r"january|february|march|april|may|june|july|august|september|october|november|december"
SHORT_MONTH = r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
SHORT_DAY = r"mon|tues?|weds?|thurs?|thu|fri|sat|sun"
DATED = regex.compile(
    rf"\b(?:{MONTH}|{SHORT_MONTH})(?=\.? ?\p{{Nd}}{{1,2}}(?:st|nd|rd|th)?\b(?![%:]|[.,]\p{{Nd}}| (?:of|people|"
    rf"years|more)))|"
    rf"(?<=(?<!\p{{Nd}}[.,:/])\b\p{{Nd}}{{1,2}}(?:st|nd|rd|th)?(?: of)? )(?:{MONTH}|{SHORT_MONTH})\b"
    r"(?! (?:be|have|not|also|still|apply)\b)|"
    r"(?<=\b(?:in|since|until|by|early|mid|late|end of) )(?:may|march)(?=[.,;!?)\n]|$| (?:and|until|to|on)\b)|"
    rf"\b(?:{SHORT_DAY})(?=(?: ?[-\u2013&+/] ?|, ?| and | to | or )(?:{SHORT_DAY})\b)|"
    rf"(?<=\b(?:{SHORT_DAY})(?: ?[-\u2013&+/] ?|, ?| and | to | or ))(?:{SHORT_DAY})\b|"
    r"\b(?:sat|sun)(?=,? \p{Nd}{1,2}(?:[:.]\p{Nd}{2})?(?:am|pm)? ?(?:[-\u2013]|to|til|until) ?\p{Nd})|"
    r"\b(?:tues?|weds?|thurs?|thu|fri)(?=,? \p{Nd})|"
    r"(?<=\b(?:this|next|every|last|until|till) )(?:sat|sun|mon|tues?|weds?|thurs?|fri)\b(?!\.\p{L})",
    regex.IGNORECASE,
)
ALONE_I = regex.compile(
    r"(?<![\p{L}\p{M}\p{N}_'\u2019.\-/@#&+(])i(?=['\u2019](?:m|d|ve|ll)\b|[ \n](?!\+)|[,!?;](?:\s|$)|$)"
)
SPELLED_OUT = (
    (regex.compile(r"(?<=\b(?:we|you|they|who|u|doors) )r(?= \p{L})"), "are"),
    (regex.compile(r"(?<=[\p{L},.!?] )u(?=[ ,.!?]|$)|^u(?= \p{Ll}{2})|(?<=\n)u(?= \p{Ll}{2})"), "you"),
    (regex.compile(r"(?<=\s)w/ ?(?=\p{Ll}{2})"), "with "),
)
SPACES = (
    (regex.compile(r"[ \t\u00a0\u2000-\u200a\u202f\u3000]*\n[ \t\u00a0\u2000-\u200a\u202f\u3000]*"), "\n"),
    (regex.compile(r"\n{3,}"), "\n\n"),
    (regex.compile(r"(?<=\S)[ \t]{2,}(?=\S)"), " "),
    (regex.compile(r"(?<=[\p{L}\p{N}]) +(?=[,;!?](?:\s|$)|\.(?:\s|$)|:(?:\s|$))"), ""),
    (regex.compile(r"(?<=\() +(?=\S)|(?<=[\p{L}\p{N}]) +(?=\)(?:\s|[.,;!?]|$))"), ""),
    (regex.compile(r"(?<=\p{L}{2}),(?=\p{L}{2})"), ", "),
    (regex.compile(r"(?<=\b\p{Ll}{3,})([.!?])(?=\p{Lu}\p{Ll}+[ ,])"), r"\1 "),
)
MARKS = (
    (regex.compile(r"!{2,}"), "!"),
    (regex.compile(r"\?{2,}"), "?"),
    (regex.compile(r"[!?]{3,}"), "?!"),
    (regex.compile(r"¡{2,}"), "¡"),
    (regex.compile(r"¿{2,}"), "¿"),
    (regex.compile(r"(?<=\p{L}),{2,}(?=\s|$)"), ","),
    (regex.compile(r"(?<=[\p{L}\p{N})])\.{2}(?=\s+\p{Lu}|\s*$)"), "."),
    (regex.compile(r"\.{4,}"), "..."),
    (regex.compile(r"(?<=[!?])\.(?=\s|$)"), ""),
    (regex.compile(r"(?<=\p{L}),\.(?=\s|$)"), "."),
)
PLACES = Path(__file__).with_name("places.json")
# What may be the name of a town in small letters: behind a word that leads to one.
TOWN: dict[str, regex.Pattern[str]] = {
    language: regex.compile(rf"(?<=\b(?:{before}) )\p{{Ll}}{{2,}}(?: (?!(?:{before})\b)\p{{Ll}}+){{0,3}}")
    for language, before in (
        ("en", "in|at|from|near|around|to|of|outside|across|leaving|visit"),
        ("es", "en|de|a|desde|hasta|hacia|por|entre|y|para"),
    )
}
IS_LINK = regex.compile(LINK)
# What stands in the patterns of phrases for where a clause begins, one that no list of nouns goes through, and for
# where what was said of `it` is over: `its back` and `its cold, wet streets` are its own.
LEADS = (
    r"because|but|so|if|when|that|think|thinks|thought|know|knows|hope|said|says|say|guess|sure|though|although|since|"
    r"unless|whether|while|maybe|perhaps|honestly|basically|apparently|turns out|now|then|why|how|means|told (?:me|us)"
)
NAMED_PATTERNS = {
    "<start>": rf"(?<=^|[.!?] |\n|\b(?:{LEADS}) )",
    "<clause>": rf"(?<=^|[.!?,;:\u2013\u2014] |\n|\b(?:{LEADS}) )",
    "<over>": r"(?:[.!?;:)]|$|\n| [\ue000-\ue2ff]|"
    r",(?= (?:but|so|we|i|i'm|we're|you|they|he|she|it|its|it's|thanks|thank|please|come|just)\b))",
}
CURLY = "\u2019"
FRONT_LINE = regex.compile(rf"^({LINK}(?: {LINK})*)\n+(?=\S)")
BETWEEN = regex.compile(rf"(?<=[\p{{L}}\p{{N}}][.!?]) ({LINK})(?= \p{{Lu}})")
POINTS = regex.compile(r"\b(?:here|below|link|aquí|abajo|enlace|this|esto)\b", regex.IGNORECASE)
CLOSING = regex.compile(rf"(?<=\S) +((?:{LINK}|{TAG})(?: (?:{LINK}|{TAG}))*)$")
INTRODUCED = regex.compile(
    r"(?:[:>\u2192\ue200-\ue2ff-]|\b(?:at|on|in|via|to|from|by|with|for|of|the|and|or|our|your|my|this|see|read|"
    r"visit|here|more|"
    r"now|watch|join|up|link|form|map|order|book|tickets|info|details|apply|download|en|a|al|de|por|para|con|vía|"
    r"el|la|"
    r"los|las|y|o|ve|lee|visita|aquí|más|mira|reserva|entradas|inscripción|info|enlace|web))$",
    regex.IGNORECASE,
)


@lru_cache(maxsize=512)
def polish(text: str, language: Language) -> str:
    """Return the NFC text as a careful author would have typed it; what it states is untouched, and so is doubt.

    What is polished already comes back as it is.
    """
    text = unicodedata.normalize("NFC", text)
    polished, following = text, _once(text, language)
    for _ in range(MAX_ROUNDS):
        if following == polished:
            break
        polished, following = following, _once(following, language)
    if polished == text:
        return text
    return polished if following == polished and _read(polished, language) == _read(text, language) else text


def _read(text: str, language: Language) -> object:
    """Return the facts of a text by its spelling: `dont` denies as `don't` does, `miercoles` is a day."""
    masked = mask(text)
    read = WORD.sub(lambda word: _respelled(word[0].lower(), language) or word[0], masked.text)
    folded = unicodedata.normalize("NFKD", masked.restored(read).replace(CURLY, "'"))
    return facts("".join(letter for letter in folded if not unicodedata.combining(letter)))


def _once(text: str, language: Language) -> str:
    if not LETTER.search(text):
        return text
    masked = mask(restored(text) if language == "es" else text)
    mended = _replaced(masked.text.strip(), SPACES)
    mended = _without_opening(mended, language)
    mended = _replaced(mended, MARKS)
    mended = _calmed(mended, language)
    mended = _spelled(mended, language)
    mended = slips.mended(mended) if language == "en" else mended
    mended = _placed(_phrased(mended, language), language)
    if language == "es":
        mended = opened(mended)
    mended = _links_last(_capitalized(mended))
    return _laid_out(masked, ended(mended, language), language)


def _replaced(text: str, rules: tuple[tuple[regex.Pattern[str], str], ...]) -> str:
    for pattern, plain in rules:
        text = pattern.sub(plain, text)
    return text


def _without_opening(text: str, language: Language) -> str:
    """Drop throat-clearing from the front where enough follows that stands alone."""
    opening = _openings(language).match(text)
    if opening is None:
        return text
    rest = text[opening.end() :].lstrip()
    stands = rest[:1].isalnum() or rest[:1] in "¿¡"
    return rest if stands and len(rest.split()) >= MIN_LEFT_WORDS else text


@lru_cache(maxsize=2)
def _openings(language: Language) -> regex.Pattern[str]:
    return regex.compile(rf"(?:{'|'.join(spelling.load(language)['openings'])})(?=\s)", regex.IGNORECASE)


def _calmed(text: str, language: Language) -> str:
    """Write what is shouted in lower case: all of a text, or a run of several words; acronyms and names stay."""
    loud = [word for word in SHOUTED.findall(text) if word not in _kept(language)]
    if len(loud) < MIN_SHOUTED:
        return text
    calm = lambda word: quiet(word[0], language)  # noqa: E731
    if len(loud) > len(SMALL.findall(text)):
        text = regex.sub(
            r"(?<![\p{L}\p{N}])[A-ZÁÉÍÓÚ](?= \p{Lu}{2})",
            lambda word: word[0] if word[0] == "I" else word[0].lower(),
            text,
        )
        text = COUNTED.sub(lambda word: word[0].lower(), SHOUTED.sub(calm, text))
        return "".join(_sentence_case(part) + gap for part, gap in sentences(text, hasty=True))

    def run(match: regex.Match[str]) -> str:
        words = [word for word in SHOUTED.findall(match[0]) if word not in _kept(language)]
        return SHOUTED.sub(calm, match[0]) if len(words) >= MIN_SHOUTED else match[0]

    return RUN.sub(run, text)


def quiet(word: str, language: Language) -> str:
    """Return a shouted word in lower case; an acronym as it is, a known name with its capital."""
    if word in _kept(language):
        return word
    lower = word.lower()
    if lower in _named(language):
        return _named(language)[lower]
    return lower


def is_name(word: str, language: Language) -> bool:
    """Whether a word is a listed name, one of a town or an acronym, whatever its case."""
    return quiet(word.upper(), language) != word.lower() or word.lower().translate(BARE) in _towns(language)[0]


@lru_cache(maxsize=2)
def _kept(language: Language) -> frozenset[str]:
    return frozenset(spelling.load(language)["kept_capitals"])


@lru_cache(maxsize=2)
def _named(language: Language) -> dict[str, str]:
    lists = spelling.load(language)
    return {name.lower(): name for name in chain(lists["names"], lists["capitals"])}


def _spelled(text: str, language: Language) -> str:
    """Mend single words, none that may be a name: a capital within a sentence, or all in capitals."""
    starts = _starts(text)
    curly = CURLY in text and "'" not in text

    def mend(word: regex.Match[str]) -> str:
        found = word[0]
        small = found.islower()
        if not small and not (found.istitle() and word.start() in starts):
            return found
        new = _respelled(found.lower(), language) or (corrected(found) if small and language == "en" else None)
        if new is None or (found.lower() in DOUBTFUL and DOUBTFUL[found.lower()].search(text, 0, word.end())):
            return found
        new = new.replace("'", CURLY) if curly else new
        return new if small else new[0].upper() + new[1:]

    return WORD.sub(mend, text)


def corrected(word: str) -> str | None:
    """Return what an unknown English word is a slip of; None where in doubt."""
    return spelling.corrected(word)


# Where these words are what they say: "as is his wont", "mens rea".
DOUBTFUL = {
    "wont": regex.compile(r"\b(?:his|her|their|its|my|our|your|as is the) wont$", regex.IGNORECASE),
    "cant": regex.compile(r"\b(?:the|of|his|pious|political) cant$", regex.IGNORECASE),
}


@lru_cache(maxsize=8192)
def _respelled(word: str, language: Language) -> str | None:
    """Return what the lists have for a word in lower case."""
    return _lists(language).get(word)


@lru_cache(maxsize=2)
def _lists(language: Language) -> dict[str, str]:
    lists = spelling.load(language)
    capitals = {name.lower(): name for name in lists["capitals"]}
    accents = spelling.accents() if language == "es" else {}
    return {
        **accents, **capitals, **lists["acronyms"], **lists["short"], **lists["misspelled"], **lists["glued"],
        **lists["apostrophes"],
    }  # fmt: skip


def _phrased(text: str, language: Language) -> str:
    """Mend what only the words around it tell."""
    for pattern, plain in _phrases(language):
        text = pattern.sub(partial(_cased, plain=plain), text)
    if language == "en":
        text = ALONE_I.sub("I", text)
        for pattern, plain in SPELLED_OUT:
            text = pattern.sub(plain, text)
        text = DATED.sub(lambda match: match[0].capitalize() if match[0].islower() else match[0], text)
    return text


def _placed(text: str, language: Language) -> str:
    """Write the names of towns with their capitals and accents where a word before them says that a place follows."""
    names, longest = _towns(language)

    def named(match: regex.Match[str]) -> str:
        words = match[0].split(" ")
        for n in range(min(longest, len(words)), 0, -1):
            name = names.get(" ".join(words[:n]).translate(BARE))
            if name:
                return " ".join([name, *words[n:]])
        return match[0]

    return TOWN[language].sub(named, text)


@lru_cache(maxsize=2)
def _towns(language: Language) -> tuple[dict[str, str], int]:
    """Return the names of towns by how they are typed in haste, and of how many words the longest is."""
    names: list[str] = json.loads(PLACES.read_text(encoding="utf-8"))[language]
    return {name.lower().translate(BARE): name for name in names}, max(len(name.split()) for name in names)


@lru_cache(maxsize=2)
def _phrases(language: Language) -> tuple[tuple[regex.Pattern[str], str], ...]:
    lists = spelling.load(language)
    named = [(rf"\b{regex.escape(name)}\b", name) for name in lists["named"]]
    phrases = [(_spelled_out(pattern), plain) for pattern, plain in lists["phrases"]]
    ignoring = [(regex.compile(pattern, regex.IGNORECASE), plain) for pattern, plain in phrases]
    return (*ignoring, *((regex.compile(pattern, regex.IGNORECASE), plain) for pattern, plain in named))


def _spelled_out(pattern: str) -> str:
    for name, written in NAMED_PATTERNS.items():
        pattern = pattern.replace(name, written)
    return pattern


def _cased(match: regex.Match[str], *, plain: str) -> str:
    new = match.expand(plain)
    return new[:1].upper() + new[1:] if match[0][:1].isupper() else new


def _starts(text: str) -> set[int]:
    """Return where sentences begin: the offsets of their first letters."""
    starts, position = set(), 0
    for sentence, gap in sentences(text, hasty=True):
        if first := LETTER.search(sentence):
            starts.add(position + first.start())
        position += len(sentence) + len(gap)
    return starts


def _capitalized(text: str) -> str:
    """Begin sentences with a capital, and the lines of a list; other lines go on where nothing ended the one before."""
    if is_list(text):
        return "\n".join(_sentence_case(line) for line in text.split("\n"))
    mended, over = "", True
    for sentence, gap in sentences(text, hasty=True):
        mended += (_sentence_case(sentence) if over else sentence) + gap
        over = gap.count("\n") != 1 or ENDED.search(sentence) is not None
    return mended


def is_list(text: str) -> bool:
    """Whether a text is laid out in short lines that stand alone, as what is sold, where and when."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    short = sum(len(line.split()) <= MAX_LINE_WORDS for line in lines)
    return len(lines) >= MIN_LINES and short >= LIST_SHARE * len(lines) and not any(map(GOES_ON.search, lines[:-1]))


def _sentence_case(sentence: str) -> str:
    first = START.match(sentence)
    if first is None or OWN_CASE.match(sentence, first.start(1)):
        return sentence
    return sentence[: first.start(1)] + first[1].upper() + sentence[first.end(1) :]


def _links_last(text: str) -> str:
    """Move a link that stands alone at the front or between two sentences to the end, where it is the only one."""
    if len(IS_LINK.findall(text)) != 1:
        return text
    for pattern in (FRONT_LINE, BETWEEN):
        found = pattern.search(text)
        if found and not POINTS.search(text) and not regex.search(TAG, text):
            rest = text[: found.start()] + text[found.end() :]
            return f"{rest.rstrip()}{chr(10) if pattern is FRONT_LINE else ' '}{found[1]}"
    return text


def _laid_out(masked: Masked, text: str, language: Language) -> str:
    """Break a long block after its first sentence and before the links and tags that close it."""
    if "\n" in text or weighted_length(masked.restored(text)) < LONG_BLOCK:
        return masked.restored(text)
    parts = sentences(text, hasty=True)
    spoken = [sentence for sentence, _ in parts if LETTER.search(IS_HELD.sub("", sentence))]
    if len(spoken) > 2 and len(parts[0][0]) >= MIN_OPENING and ENDED.search(parts[0][0]):
        text = parts[0][0] + "\n" + text[len(parts[0][0]) + len(parts[0][1]) :]
    closing = CLOSING.search(text)
    if closing and len(spoken) > 1 and not INTRODUCED.search(text[: closing.start()]):
        broken = ended(text[: closing.start()] + "\n" + closing[1], language)
        text = broken if ENDED.search(broken[: broken.rindex("\n")]) else text
    return masked.restored(text)
