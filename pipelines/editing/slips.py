"""English words that are another word's slip, told by the words around: `its` and `it's`, `then` and `than`, `mums`.

`models/slips` has clusters of words and the weights of a log-linear model, which chooses among the forms of a word by
its neighbors: `training.slips`. What leaves a doubt stays as it was typed.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import regex

from pipelines.editing.accents import ATTACHED, BITS, ENDS, OPENERS, Token, places
from pipelines.errors import WeightsRefused
from pipelines.text.words import FUNCTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

FORMAT = 1
FOLDER: Final = Path(__file__).parents[2] / "models" / "slips"
NEAR = 2
# No form is that likely.
NEVER = 2.0
CURLY = "\u2019"
TOKEN = regex.compile(
    r"(?:every day|no one)(?![\p{L}\p{M}'\u2019])|\p{N}[\p{N}.,:]*+|\n|[^\s\p{L}\p{N}]|"
    r"\p{L}[\p{L}\p{M}]*+(?:['\u2019]\p{L}++|(?<=s)['\u2019](?=\s\p{L}))?+",
    regex.IGNORECASE,
)
GROUPS = (
    ("its", "it's"), ("your", "you're"), ("there", "their", "they're"), ("were", "we're"), ("ill", "i'll"),
    ("well", "we'll"), ("id", "i'd"), ("lets", "let's"), ("whose", "who's"), ("to", "too"), ("then", "than"),
    ("everyday", "every day"), ("loose", "lose"), ("hell", "he'll"), ("shell", "she'll"), ("wed", "we'd"),
    ("quite", "quiet"), ("passed", "past"), ("affect", "effect"), ("advice", "advise"), ("breath", "breathe"),
    ("weather", "whether"), ("here", "hear"), ("accept", "except"), ("led", "lead"),
)  # fmt: skip
# Nothing ends with these: "than you're."
UNENDING = ("'d", "'ll", "'re")
MONTHS = ("march", "may")
MODALS = frozenset("should could would must might may shouldn't couldn't wouldn't mightn't mustn't".split())  # noqa: SIM905
# A plural is mostly another word than what has the apostrophe: `weeks`, `week's`, `weeks'`.
NOUNS = {
    "day": "monday tuesday wednesday thursday friday saturday sunday",
    "now": "today tomorrow yesterday tonight",
    "time": "day week weekend month year hour minute morning afternoon evening night season summer winter spring "
    "autumn century decade",
    "one": "one other anybody",
    "person": "mum mom mam mother dad father nan gran grandma granny grandmother granddad grandad grandpa grandfather "
    "sister brother son daughter aunt auntie uncle cousin niece nephew husband wife partner girlfriend boyfriend "
    "friend neighbour neighbor teacher boss doctor customer client student kid girl boy baby child guy parent "
    "grandparent dog cat horse puppy kitten owner author driver writer artist player king queen president "
    "landlord colleague manager patient visitor member",
    "thing": "world country nation city town village company team club school government state community family "
    "council church industry band shop book car bike house garden",
}  # fmt: skip
PLURALS = {"child": "childs", "boss": "bosses", "church": "churches", "wife": "wives"}
THIRD = frozenset("he,she,no one,nobody,everybody,somebody,anybody,everyone,someone,anyone".split(","))  # noqa: SIM905
OTHERS = frozenset({"we", "they", "you"})
_REGULAR = (
    "ask know want need like love hate get give take make come say tell think look work live start stop open help see "
    "seem keep call show read write talk pay believe use mean feel find leave play run care remember understand eat "
    "drink sleep buy sell sing answer notice bring turn move expect agree deserve thank listen matter"
)
VERBS = {"do": "does", "don't": "doesn't", "go": "goes"} | {verb: f"{verb}s" for verb in _REGULAR.split()}
CLAUSES = frozenset(
    "and but or so because if when while since that as than think thought know knew say says said hope guess sure "  # noqa: SIM905
    "until unless though although where what how why who maybe now then cause bc cos suddenly apparently mean hire "
    "means".split()
)
CUES = frozenset(
    "did does do don't didn't doesn't let make makes made can could will would should might must may help "  # noqa: SIM905
    "see to if whatever".split()
)
ADJECTIVE = (
    "free|cold|hot|warm|open|simple|easy|hard|quick|slow|late|early|cheap|beautiful|lovely|amazing|great|good|bad|nice|"
    "perfect|fun|live|tiny|huge|cosy|cozy|small|big|short|long|low|high|busy|full|famous|new|old|popular|fresh|local|"
    "special|clear|safe|clean|dry|wet|quiet|loud|bright|dark|funny|weird|strange|silly|cool|honest|best"
)
# What goes on after `it's free`, unlike the thing that is free.
GOING_ON = (
    "here|there|now|today|tonight|tomorrow|again|late|early|online|really|though|tho|tbh|lol|mate|guys|folks|everyone|"
    "everybody|anyone|people|please|thanks|honestly|anyway|maybe|enough|inside|outside|upstairs|downstairs|daily|"
    "weekdays|weekends|noon|midnight|entry|admission|parking|news|luck|weather|value|advice|mic|seeing|having|being|"
    "getting|knowing|hearing|watching|working|monday|tuesday|wednesday|thursday|friday|saturday|sunday"
)
THING = rf"(?!(?:{'|'.join(sorted(FUNCTION_WORDS['en']))}|{GOING_ON})\b)\p{{L}}{{3,}}+(?!['\u2019])"
# Where the words around are right as they are, whatever the model holds of them.
RIGHT = {
    "it's": regex.compile(
        rf"its (?:\p{{Nd}}|(?:(?:already|almost|still|now) )?(?:{ADJECTIVE}) (?:and (?:{THING}) )?{THING}|"
        rf"(?:{ADJECTIVE}), {THING} {THING}|(?:easy|hard|ready|made) to \p{{L}}+ {THING}|only {THING} (?:is|was|has)\b|"
        r"time (?:in|as)\b|(?:in|on) (?:house|store|site|person|depth)\b|so called\b|not so secret\b|\p{L}+\p{Nd})",
        regex.IGNORECASE,
    ),
    "you're": regex.compile(
        r"your (?:so called|going rates?|coming (?:weeks?|weekends?|months?|years?|days|trips?|seasons?|birthdays?))\b",
        regex.IGNORECASE,
    ),
    "they're": regex.compile(
        r"their \p{L}+ing(?: \p{L}+){0,3} (?:was|is|has|will|would|made|makes)\b", regex.IGNORECASE
    ),
    "their": regex.compile(r"there (?:own|then)\b", regex.IGNORECASE),
    "than": regex.compile(r"then than\b", regex.IGNORECASE),
}


@dataclass(frozen=True)
class Slips:
    """The clusters of words, sorted by key, the weights (2 ** BITS,) of hashed features, how sure each change must be.

    The thresholds are those of changes, `its>it's`; what has none is never changed.
    """

    keys: NDArray[np.uint32]
    kinds: NDArray[np.uint16]
    weights: NDArray[np.int8]
    scale: float
    thresholds: dict[str, float]


@lru_cache(maxsize=1)
def load() -> Slips:
    """Read models/slips; WeightsRefused if its weights are not those of its metadata."""
    metadata = json.loads((FOLDER / "metadata.json").read_text(encoding="utf-8"))
    packed = (FOLDER / "weights.npz").read_bytes()
    if metadata["format"] != FORMAT or sha256(packed).hexdigest() != metadata["sha256"]["weights.npz"]:
        raise WeightsRefused(f"{FOLDER}: not format {FORMAT}, or not the weights of its metadata")
    with np.load(BytesIO(packed), allow_pickle=False) as arrays:
        if len(arrays["weights"]) != 1 << BITS:
            raise WeightsRefused(f"{FOLDER}: not 2 ** {BITS} weights")
        return Slips(
            arrays["keys"], arrays["kinds"], arrays["weights"], metadata["scale"], metadata["thresholds"]
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """The forms that may stand where a word does, the name of each in thresholds, and their salts (forms, SALTS).

    `after` holds the words before it that leave a choice; None for any.
    """

    forms: tuple[str, ...]
    ways: tuple[str, ...]
    salts: NDArray[np.uint32]
    after: frozenset[str] | None = None


def _word(forms: Sequence[str], ways: Sequence[str], after: frozenset[str] | None = None) -> Word:
    names = [
        (way, f"{way}/{form}", way[way.find(" ") :]) if way != form else (way,)
        for form, way in zip(forms, ways, strict=True)
    ]
    salts = np.array([[zlib.crc32(name.encode()) for name in both] for both in names], np.uint32)
    return Word(tuple(forms), tuple(ways), salts, after)


@lru_cache(maxsize=1)
def words() -> dict[str, Word]:
    """Return what may be chosen for each form."""
    found = {form: _word(group, group) for group in GROUPS for form in group}
    for kind, bases in NOUNS.items():
        for base in bases.split():
            plural = PLURALS.get(base) or (f"{base[:-1]}ies" if regex.search("[^aeio]y$", base) else f"{base}s")
            forms = (plural, f"{base}'s", f"{plural}'")
            found |= dict.fromkeys((*forms, f"{base}s"), _word(forms, (f"{kind} s", f"{kind} 's", f"{kind} s'")))
    for verb, third in VERBS.items():
        found |= dict.fromkeys((verb, third), _word((verb, third), ("verb", "verb s"), THIRD | OTHERS))
    found |= dict.fromkeys(("of", "have"), _word(("of", "have"), ("of", "have"), MODALS))
    return found | {month: _word((month, month.title()), ("month", "Month")) for month in MONTHS}


def tokens(text: str) -> list[Token]:
    """Return the words, numbers and signs of a masked text; `every day` and `no one` are a word each."""
    found = []
    for match in TOKEN.finditer(text):
        first = match[0][0]
        bare = match[0].lower().replace(CURLY, "'") if first.isalpha() else "0" if first.isnumeric() else match[0]
        found.append(Token("@" if "\ue000" <= bare[0] <= "\ue4ff" else bare, match.start(), match.end()))
    return found


@lru_cache(maxsize=4096)
def kind(bare: str) -> str:
    """Return the cluster of a word, or the end of one that has none."""
    slips, key = load(), np.uint32(zlib.crc32(bare.encode()))
    place = int(np.searchsorted(slips.keys, key))
    listed = place < len(slips.keys) and slips.keys[place] == key
    return str(slips.kinds[place]) if listed else f"-{bare[-2:]}"


def chosen(bares: Sequence[str], place: int) -> Word | None:
    """Return what may stand here; None where there is nothing to choose."""
    word = words().get(bares[place])
    if word is None or word.after is None:
        return word
    return word if place > 0 and bares[place - 1] in word.after else None


def surroundings(bares: Sequence[str], place: int, kinds: Callable[[str], str]) -> list[str]:
    """Return what is around a word as names of features, for any of its forms."""
    near = ["^"] * max(0, NEAR - place) + list(bares[max(0, place - NEAR) : place + NEAR + 1])
    near += ["$"] * (2 * NEAR + 1 - len(near))
    before, last, _, following, after = near
    b2, b1, _, a1, a2 = (kinds(bare) for bare in near)
    features = [
        f"p{last}", f"n{following}", f"b{before} {last}", f"a{following} {after}", f"m{last} {following}",
        f"P{b1}", f"N{a1}", f"B{b2} {b1}", f"A{a1} {a2}", f"M{b1} {a1}", f"F{following[-3:]}", f"x{before}",
        f"y{after}", f"X{b2}", f"Y{a2}", f"G{last} {following[-3:]}", f"H{following} {a2}",
    ]  # fmt: skip
    start = next((n for n in range(place, 0, -1) if bares[n - 1] in ENDS), 0)
    features.extend(f"c{bare}" for bare in bares[start:place] if bare in CUES)
    end = next((bare for bare in bares[place:] if bare in ENDS), "$")
    features.append(f"s{end}{start == place}")
    return features


def probabilities(word: Word, around: Sequence[str]) -> NDArray[np.float64]:
    """Return how likely each form of a word is, (forms,)."""
    scores = load().weights[places(word.salts, around)].sum(1) * load().scale
    likely: NDArray[np.float64] = np.exp(scores - scores.max())
    likely /= likely.sum()
    return likely


def better(bares: Sequence[str], place: int) -> str | None:
    """Return the form that should stand here instead; None where there is none, or a doubt."""
    word = chosen(bares, place)
    if word is None:
        return None
    written = word.ways[word.forms.index(bares[place])] if bares[place] in word.forms else word.ways[0]
    limits = [load().thresholds.get(f"{written}>{way}", NEVER) for way in word.ways]
    if min(limits) == NEVER:
        return None
    chances = probabilities(word, surroundings(bares, place, kind))
    best = int(chances.argmax())
    goes_on = place + 1 < len(bares) and (bares[place + 1][0].isalnum() or bares[place + 1] == "@")
    form = word.forms[best]
    # "They're" begins a clause: "stood there watching", "is anyone there listening" do not.
    amiss = form == "they're" and place > 0 and bares[place - 1][0].isalnum() and bares[place - 1] not in CLAUSES
    ends_badly = amiss or (not goes_on and form.endswith(UNENDING))
    return form if chances[best] >= limits[best] and not ends_badly else None


def mended(masked: str) -> str:
    """Return a masked English text with the right one of the words that are confused, and doubt as it was."""
    found = tokens(masked)
    bares = [token.bare for token in found]
    curly = CURLY in masked and "'" not in masked
    parts, end = [], 0
    for place, token in enumerate(found):
        if token.bare not in words() or not is_open(masked, token):
            continue
        begins = place == 0 or bares[place - 1] in OPENERS
        capital = masked[token.start].isupper()
        if capital and not begins and not token.bare.endswith("days"):
            continue
        new = better(bares, place)
        if new is None or (new in RIGHT and RIGHT[new].match(masked, token.start)):
            continue
        bares[place] = new.lower()
        new = f"{new[0].upper()}{new[1:]}" if capital or new.startswith("i'") else new
        parts += [masked[end : token.start], new.replace("'", CURLY) if curly else new]
        end = token.end
    return "".join(parts) + masked[end:]


def is_open(text: str, token: Token) -> bool:
    """Whether a word may be mended: no part of a name, a link or code, nor shouted."""
    old, after = text[token.start : token.end], text[token.end : token.end + 2]
    before = text[max(0, token.start - 1) : token.start]
    if before in ATTACHED or after[:1] in ATTACHED or before.isnumeric() or after[:1].isnumeric():
        return False
    return before != "." and not (after[:1] == "." and after[1:].isalnum()) and old[1:].islower()
