"""The accents of a Spanish text that was typed without them, put back where the words around leave no doubt.

`models/accents` has the readings of each word (`hablo`, `habló`) and the weights of a log-linear model, which chooses
one of them by its neighbors, their kinds and the signs of the sentence: `training.accents`.
"""

from __future__ import annotations

import json
import unicodedata
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import regex

from pipelines.editing.masks import mask
from pipelines.errors import WeightsRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FORMAT = 1
FOLDER: Final = Path(__file__).parents[2] / "models" / "accents"
BITS = 19
RATE_STEPS = 10.0
BARE: Final = str.maketrans("áéíóúüñ", "aeiouun")
MARKED: Final = frozenset("áéíóúü")
TOKEN = regex.compile(r"\p{L}[\p{L}\p{M}]*+|\p{N}[\p{N}.,:]*+|\n|[^\s\p{L}\p{N}]")
# Next to these a word is part of a name, a link or code.
ATTACHED = frozenset("_'\u2019-/@#&+*~\\=")
ENDS = frozenset(".!?…\n")
CUES = frozenset(
    "ayer anoche hace hoy yo ella ellos usted ustedes nosotros manana ahora siempre cada cuando si antes "  # noqa: SIM905
    "pronto proximo proxima luego despues era fue habia pasado vez dias ano semana que ojala aunque para vos sos tenes "
    "podes".split()
)
# Who says `vos` writes `traela` where others write `tráela`.
VOS = frozenset({"vos", "sos", "che", "tenes", "podes", "queres", "aca"})
ORDER = regex.compile(r"(?<=\p{L}{2}[ae])(?:me|te|se|nos)?(?:me|te|se|l[aeo]s?|nos)$")
# Here the two differ by more than an accent: `muévete`, `movete`.
STEM_CHANGED = regex.compile(r"(?:[iu]e\p{L}{1,4}|ibe|ide)(?:me|te|se|nos)?(?:me|te|se|l[aeo]s?|nos)$")
OPENERS = ENDS | set("¿¡@-•*:")
FULL = {"q": "que", "tb": "también", "tmb": "también", "tbn": "también", "xq": "porque", "pq": "porque", "x": "por"}
SHORT = regex.compile(r"(?<![^\s¿¡(])(?:q|tb|tmb|tbn|xq|pq)(?=[\s,.!?)]|$)|(?<=\p{L} )x(?= \p{Ll}{2})")
# What names of shops and societies are made of: `Asociación`, `Panadería`.
COMMON_NOUN = regex.compile(r"^(?:Dia|Jardin|Musica)$|[cs]ion$|eria$")
PREFIX = regex.compile(r"(?:micro|mini|super|anti|auto|tele|multi|inter)(?=\p{L}{5})")
# What is certain by grammar, on the text without accents: each group is a word that takes its accent.
ENDED = r"(?=\s*(?:[,;!?)\n]|\.(?!\.)|$))"
TO = r"(?:(?:a|de|en|con|por|para|desde|hasta|sobre|entre|y) )"
CERTAIN = regex.compile(
    rf"(?:¿ ?{TO}*(que(?! (?:si|no|te|ya|se)\b)|cual|cuales|cuanto|cuanta|cuantos|cuantas)\b)|"
    rf"(?:¿ ?(quien|quienes)(?! (?:quiera|no)\b)\b)|(?:\b(?:con|para|sobre|sin|por|a|de|en) (el){ENDED})|"
    rf"(?:(?<=\p{{L}} )(tu|mi|mas|se){ENDED})|(?:(?<=\p{{L}} )(si|que|cual|quien|cuando|donde|como)(?=\?|\.(?!\.)|$))|"
    r"(?:\ba (mi)(?= (?:no )?(?:me|que me)\b))|(?:\b(esta)(?= \p{L}{2,}(?:ado|ido|ando|iendo|yendo)\b))|"
    rf"(?:\b(?:que|no|ya|nunca|siempre|tambien|aun|aqui|ahi|alli) (esta){ENDED})|"
    rf"(?:\bno (se) {TO}?(que|cual|quien|cuando|donde|como|cuanto|cuantos|cuantas)\b)|(?:\bno (se) si\b)|"
    rf"(?:\bno (?:tengo|tiene|tienen|tenemos|hay|sabe|sabes|sabia|sabemos|saben|entiendo) {TO}?(donde)\b)|"
    r"(?:\bpor (donde)(?= (?:se )?emp[ie]+[zc]))|(?:\b(cuando)(?= (?!ayer)\p{L}+[aei]r\b))|"
    r"(?:\b(?:el|la|mi|tu|su|nuestr[oa]) \p{L}+ (esta)(?= "
    r"(?!temporada|jornada|entrada|llamada|madrugada|medida|comida|bebida|salida|vida|partida|velada|parada)"
    r"(?:\p{L}+[ai]d[oa]|abiert[oa]|rot[oa]|list[oa]|llen[oa])\b))"
)
# fmt: off
TAKES = {
    "que": "qué", "cual": "cuál", "cuales": "cuáles", "cuanto": "cuánto", "cuanta": "cuánta", "cuantos": "cuántos",
    "cuantas": "cuántas", "quien": "quién", "quienes": "quiénes", "cuando": "cuándo", "donde": "dónde", "como": "cómo",
    "el": "él", "tu": "tú", "mi": "mí", "mas": "más", "se": "sé", "si": "sí", "esta": "está",
}
# fmt: on
MIXER = np.uint32(2654435769)
NEAR = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to write a word: `rate` is the log of its share of all words, `kind` a cluster of like words."""

    word: str
    rate: float
    kind: int


@dataclass(frozen=True, slots=True)
class Token:
    """A word in lower case without accents, a number (`0`) or a sign, and where it stands."""

    bare: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Return the words, numbers and signs of a masked text."""
    found = []
    for match in TOKEN.finditer(text):
        first = match[0][0]
        bare = match[0].lower().translate(BARE) if first.isalpha() else "0" if first.isnumeric() else match[0]
        found.append(Token("@" if "\ue000" <= bare[0] <= "\ue4ff" else bare, match.start(), match.end()))
    return found


@dataclass(frozen=True)
class Accents:
    """The readings of words, rows sorted by key, and the weights (2 ** BITS,) of hashed features."""

    keys: NDArray[np.uint32]
    marks: NDArray[np.uint8]
    rates: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    patterns: tuple[tuple[tuple[int, str], ...], ...]
    weights: NDArray[np.int8]
    scale: float
    rate_weight: float
    thresholds: dict[str, float]

    def readings(self, bare: str) -> list[Reading]:
        """Return how a word in lower case without accents may be written; none for an unknown word."""
        key = zlib.crc32(bare.encode())
        place, found = int(np.searchsorted(self.keys, np.uint32(key))), []
        while place < len(self.keys) and self.keys[place] == key:
            pattern = self.patterns[self.marks[place]]
            if not pattern or pattern[-1][0] < len(bare):
                letters = list(bare)
                for where, letter in pattern:
                    letters[where] = letter
                found.append(Reading("".join(letters), int(self.rates[place]) / -RATE_STEPS, int(self.kinds[place])))
            place += 1
        return found


@lru_cache(maxsize=1)
def load() -> Accents:
    """Read models/accents; WeightsRefused if its weights are not those of its metadata."""
    metadata = json.loads((FOLDER / "metadata.json").read_text(encoding="utf-8"))
    packed = (FOLDER / "weights.npz").read_bytes()
    if metadata["format"] != FORMAT or sha256(packed).hexdigest() != metadata["sha256"]["weights.npz"]:
        raise WeightsRefused(f"{FOLDER}: not format {FORMAT}, or not the weights of its metadata")
    with np.load(BytesIO(packed), allow_pickle=False) as arrays:
        return Accents(
            arrays["keys"],
            arrays["marks"],
            arrays["rates"],
            arrays["kinds"],
            tuple(tuple((int(place), letter) for place, letter in pattern) for pattern in metadata["patterns"]),
            arrays["weights"],
            metadata["scale"],
            metadata["rate_weight"],
            metadata["thresholds"],
        )


@dataclass(frozen=True, slots=True)
class Word:
    """What may be written where a bare word stands, the kind that it is as a neighbor, and the salts of its readings.

    `salts` is (readings, SALTS); there are none where there is nothing to choose.
    """

    readings: tuple[Reading, ...]
    kind: str
    salts: NDArray[np.uint32] | None


@lru_cache(maxsize=2048)
def known(bare: str) -> Word:
    """Return what is known of a word in lower case without accents."""
    readings = load().readings(bare) if bare.isalpha() else []
    prefix = PREFIX.match(bare) if not readings else None
    if prefix:
        rest = load().readings(bare[prefix.end() :])
        readings = [replace(reading, word=prefix[0] + reading.word) for reading in rest] if len(rest) == 1 else []
    return described(bare, readings)


def described(bare: str, readings: Sequence[Reading]) -> Word:
    """Return a word with these readings."""
    frequent = max(readings, key=lambda reading: reading.rate, default=None)
    kind = str(frequent.kind) if frequent else bare if len(bare) == 1 else "?"
    salts = np.array([_salts(reading, bare) for reading in readings], np.uint32) if len(readings) > 1 else None
    return Word(tuple(readings), kind, salts)


def _salts(reading: Reading, bare: str) -> list[int]:
    word = reading.word
    ending = "" if word == bare else word[-2:] if word[-1] in MARKED else word[-3:]
    names = word, f"{ending}|{bare[-2:]}", f"{ending}/{reading.kind}"
    return [zlib.crc32(name.encode()) for name in names]


def places(salts: NDArray[np.uint32], around: Sequence[str]) -> NDArray[np.uint32]:
    """Return where the weights of readings in their surroundings are, (readings, SALTS * (features + 1))."""
    hashed = np.array([zlib.crc32(feature.encode()) for feature in ("", *around)], np.uint32) * MIXER
    return (((hashed ^ salts[:, :, None]) * MIXER) >> np.uint32(32 - BITS)).reshape(len(salts), -1)


def surroundings(found: Sequence[Token], place: int, kinds: Sequence[str]) -> list[str]:
    """Return what is around a word as names of features, for any of its readings."""
    bare = [token.bare for token in found[max(0, place - NEAR) : place + NEAR + 1]]
    here = min(place, NEAR)
    near = ["^"] * (NEAR - here) + bare
    near += ["$"] * (2 * NEAR + 1 - len(near))
    before, last, _, following, after = near
    around = [kinds[n] if 0 <= n < len(kinds) else "^" for n in range(place - NEAR, place + NEAR + 1)]
    features = [
        f"p{last}", f"n{following}", f"b{before} {last}", f"a{following} {after}", f"m{last} {following}",
        f"P{around[1]}", f"N{around[3]}", f"B{around[0]} {around[1]}", f"A{around[3]} {around[4]}",
        f"M{around[1]} {around[3]}", f"E{last[-2:]}", f"F{following[-2:]}", f"x{before}", f"y{after}",
    ]  # fmt: skip
    first = last_ = place
    while first > 0 and found[first - 1].bare not in ENDS and found[first - 1].bare not in "¿¡":
        first -= 1
    while last_ < len(found) - 1 and found[last_].bare not in ENDS:
        last_ += 1
    end = found[last_].bare if found[last_].bare in ENDS else "$"
    begun = found[first - 1].bare if first > 0 else "^"
    features.append(f"s{begun}{end}{'1' if first == place else '0'}")
    features.extend(f"c{token.bare}" for token in found[first:last_] if token.bare in CUES)
    return features


def restored(text: str) -> str:
    """Return a Spanish text with the accents that it lacks, and what is doubtful as it was."""
    masked = mask(unicodedata.normalize("NFC", text))
    plain = SHORT.sub(_full, masked.text)
    found = tokens(plain)
    written = [plain[token.start : token.end] for token in found]
    words = [known(token.bare) for token in found]
    trust = care(written, words)
    limit = load().thresholds[trust]
    vos = trust in ("careful", "mixed") or any(token.bare in VOS for token in found)
    sure = _certain(plain) if trust != "careful" else {}
    kinds = [word.kind for word in words]
    parts, end = [], 0
    for place, (token, old, word) in enumerate(zip(found, written, words, strict=True)):
        if not word.readings or not _is_open(plain, token, old):
            continue
        if token.start in sure:
            new = sure[token.start]
        elif word.salts is None:
            new = word.readings[0].word
        else:
            chances = probabilities(word.readings, word.salts, surroundings(found, place, kinds))
            best = int(chances.argmax())
            capital = trust == "careful" and not old.islower()
            new = word.readings[best].word if chances[best] >= limit and not capital else token.bare
        own = (
            word.salts is None
            and ORDER.search(token.bare)
            and (vos or (trust == "unknown" and not STEM_CHANGED.search(token.bare)))
        )
        if MARKED.isdisjoint(new) or own or (not old.islower() and _may_be_name(old, found, place)):
            continue
        parts += [plain[end : token.start], new if old.islower() else new[0].upper() + new[1:]]
        end = token.end
    return masked.restored("".join(parts) + plain[end:])


def probabilities(readings: Sequence[Reading], salts: NDArray[np.uint32], around: Sequence[str]) -> NDArray[np.float64]:
    """Return how likely each reading of a word is, (readings,)."""
    accents = load()
    scores = accents.weights[places(salts, around)].sum(1) * accents.scale
    scores += accents.rate_weight * np.array([reading.rate for reading in readings])
    likely: NDArray[np.float64] = np.exp(scores - scores.max())
    likely /= likely.sum()
    return likely


def care(written: Sequence[str], words: Sequence[Word]) -> str:
    """Say how far the author is to be trusted: who sets accents and forgets none knows them."""
    sets = sum(not MARKED.isdisjoint(old) for old in written)
    lacks = sum(
        old.islower() and bool(word.readings) and MARKED.isdisjoint(old)
        and all(reading.word != old for reading in word.readings) and not ORDER.search(old)
        for old, word in zip(written, words, strict=True)
    )  # fmt: skip
    return "hasty" if lacks > sets else "mixed" if lacks else "careful" if sets else "unknown"


def _certain(text: str) -> dict[int, str]:
    """Return the words whose accent grammar makes certain, by where they stand."""
    folded = text.lower().translate(BARE)
    if len(folded) != len(text):
        return {}
    return {
        match.start(group): TAKES[match[group]]
        for match in CERTAIN.finditer(folded)
        for group in range(1, len(match.groups()) + 1)
        if match[group]
    }


def _full(short: regex.Match[str]) -> str:
    return FULL[short[0].lower()]


def _is_open(text: str, token: Token, old: str) -> bool:
    """Whether a word may be mended: it has no accent and is no part of a name, a link or code."""
    before, after = text[max(0, token.start - 1) : token.start], text[token.end : token.end + 2]
    attached = before in ATTACHED or after[:1] in ATTACHED or before.isnumeric() or after[:1].isnumeric()
    return not (attached or before == "." or (after[:1] == "." and after[1:].isalnum())) and MARKED.isdisjoint(old)


def _may_be_name(old: str, found: Sequence[Token], place: int) -> bool:
    """Whether a word with a capital does not begin a sentence."""
    begins = place == 0 or found[place - 1].bare in OPENERS
    return not old.istitle() or not (begins or COMMON_NOUN.search(old))
