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
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

FORMAT = 1
FOLDER: Final = Path(__file__).parents[2] / "models" / "accents"
BITS = 19
RATE_STEPS = 10.0
BARE: Final = str.maketrans("áéíóúüñ", "aeiouun")
ACUTE: Final = str.maketrans("aeiou", "áéíóú")
MARKED: Final = frozenset("áéíóúü")
TOKEN = regex.compile(r"\p{L}[\p{L}\p{M}]*+|\p{N}[\p{N}.,:]*+|\n|[^\s\p{L}\p{N}]")
# Next to these a word is part of a name, a link or code.
ATTACHED = frozenset("_'\u2019-/@#&+*~\\=")
ENDS = frozenset(".!?…\n")
CUES = frozenset(
    "ayer anoche hace hoy yo ella ellos usted ustedes nosotros manana ahora siempre cada cuando si antes "  # noqa: SIM905
    "pronto proximo proxima luego despues era fue habia pasado vez dias ano semana que ojala aunque para vos sos tenes "
    "podes su mi mis me usted anoche fui hice tuve dije vine pude estuve mes marzo".split()
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
# `Xq` opens a question as `por qué`.
WHY = regex.compile(r"(?<=^|[.!?\n¿] ?)(x|p)q(?= [^.!?\n]*\?)", regex.IGNORECASE)
PREFIX = regex.compile(r"(?:micro|mini|super|anti|auto|tele|multi|inter)(?=\p{L}{5})")


def either(*patterns: str) -> regex.Pattern[str]:
    """Return what finds any of the patterns."""
    return regex.compile("|".join(f"(?:{pattern})" for pattern in patterns))


# What is certain by grammar, on the text without accents: each group is a word that takes its accent.
ENDED = r"(?=\s*(?:[,;!?)\n]|\.(?!\.)|$))"
STOPPED = r"(?=\.(?!\.)|$)"
BEGUN = r"(?:^|[.!?\n] )"
TO = r"(?:(?:a|de|en|con|por|para|desde|hasta|sobre|entre|y) )"
ARTICLE = r"(?:el|la|los|las|un|una|unos|unas)"
CLITICS = r"(?:(?:no|ya|nunca|siempre|solo|tambien|hoy|me|te|se|le|les|nos|os|lo|la|los|las) )"
# A question word follows who says so. `TELLS` may be followed by what is told as well, `WONDERS` by nothing else.
WONDERS = "me pregunto|nos preguntamos|(?:me|te|le|nos|les) pregunt(?:o|a|an|aron|aba|aban)|preguntar[ms]e"
TELLS = "dime|decime|digame|diganme|decidme|cuentame|contame|cuenteme|cuentenme|contadme|cuentanos"
KNOWS = "sabe|saben|sabes|saber|sabemos"
ASKS = rf"{WONDERS}|{KNOWS}|sabia|enti?ende[nr]?|entiendo|entendi|averiguar|explicame|explicar|explico"
# `Mi` before these has no noun, so that it is `mí`.
NO_NOUN = (
    rf"(?:{ARTICLE}|que|es|son|fue|era|no|nos|te|se|les?|lo|eso|esto|esta|este|seria|tampoco|tambien|tiene|vale|hay|ya|"
    r"y|ni|si)"
)
# After `este` an adjective that agrees with no noun of its own, or what only `esté` has beside it.
STATE = (
    r"(?:\p{L}+[ai]da|viej[ao]|rot[ao]|llen[ao]|car[ao]|list[ao]|abiert[ao]|limpi[ao]|suci[ao]|fe[ao]|mala|buena|sola|"
    r"enferm[ao]|cansado|cerrado|ocupado|nublado|enojado|terminado|agotado|disponible|bien|mal|lejos|cerca|en|con|al|"
    r"\p{L}+(?:a|ie|ye)ndo)"
)
# Behind one of these stands its verb, `mi padre trabajó`, or else one of the traits.
PERSON = (
    r"(?:padre|madre|papa|mama|abuel[oa]|abuelit[oa]|herman[oa]|ti[oa]|hij[oa]|jef[ea]|vecin[oa]|prim[oa]|novi[oa]|"
    r"espos[oa]|marido|amig[oa]|sobrin[oa]|cunad[oa]|suegr[oa]|doctora?|tecnico|profe|profesora?|duen[oa]|senora?|"
    r"perr[oa]|gat[oa]|companer[oa])"
)
TRAIT = (
    "(?:enfermo|limpio|harto|listo|junto|seco|sano|solo|ciego|vivo|loco|lleno|completo|perfecto|publico|medio|intimo|"
    "tanto|mucho|poco|como|cuando|donde|otro|mismo|propio|largo|manso|calvo|tuerto|cojo|borracho|gordo|flaco)"
)
# `Que` before these exclaims: "qué bonito".
FELT = (
    r"(?:bonit|lind|ganas|bien\b|mal\b|horribl|maravilla|alegria|pena\b|rabia|asco|miedo|buen[oa]?\b|gran\b|feliz|"
    r"triste|ric[oa]\b|suerte|ilusion|verguenza|fuerte|pasada|locura|desastre|risa|frio\b|calor|hambre|cansad|guap|"
    r"barbaridad|rar[oa]\b|curios|dificil|facil|divertid|golazo|tal\b)"
)
NO_STATE = "(?!temporada|jornada|entrada|llamada|madrugada|medida|comida|bebida|salida|vida|partida|velada|parada)"
CERTAIN = either(
    # Questions and exclamations
    rf"¿ ?{TO}*(que(?! (?:si|no|te|ya|se)\b)|cual|cuales|cuanto|cuanta|cuantos|cuantas)\b",
    r"¿ ?(quien|quienes)(?! (?:quiera|no)\b)\b",
    r"(?<=\p{L} )(que|cual|quien|cuando|donde|como)(?=\?)",
    rf"\b(?:se|{ASKS}) (?:{TO}|y |ni |o )?(que|cual|quien|cuando|donde|como){STOPPED}",
    rf"\b(?:y|o|ni) (cuando|donde){STOPPED}",
    rf"\b(?:{ASKS}) (?:por|a|de|con|en|desde|hasta) (que)\b",
    rf"\b(?:{WONDERS}) para (que)\b",
    rf"\b(?:{WONDERS}) {TO}?(cual|quien|donde|como|cuanto|cuanta|cuantos|cuantas)\b",
    rf"\b(?:{TELLS}) (que)(?= (?:opin|piens|pens|prefer|prefier|te parec|les parec|os parec|tal\b))",
    rf"\b(?:{KNOWS}) (donde|cual|cuanto|cuantos|cuantas)\b",
    r"\balguien (?:sabe|me dice) (cuando|como)\b",
    rf"\bno (se) {TO}?(que|cual|quien|cuando|donde|como|cuanto|cuantos|cuantas)\b",
    rf"\bno (?:tengo|tiene|tienen|tenemos|hay|sabe|sabes|sabia|sabemos|saben|entiendo) {TO}?(donde)\b",
    r"\bpor (donde)(?= (?:se )?emp[ie]+[zc])",
    r"\b(cuando)(?= (?!ayer)\p{L}+[aei]r\b)",
    r"^(como)(?= (?!ayer|mujer|mejor|ser\b|hacer\b)\p{L}{2,}[aei]r(?:se|l[aeo]s?|te)? )",
    r"\b(como)(?= (?:le |lo )?(?:hacen|haceis) (?:para|con|cuando)\b)",
    r"^(que)(?= (?:libro|pelicula|serie|cancion|opin(?:an|as|ais)|prefer[ií]s|prefier(?:en|es)|harias|harian|hariais))",
    r"^(cual)(?= (?:es|fue|seria|era) (?:el|la|lo|su|tu|vuestr[oa])\b)",
    rf"\b(quien)(?= se (?:apunta|anima|suma){ENDED})",
    r"\b(que)(?= (?:(?:tipo|clase) de|(?:calor|frio|hambre|sueno) (?:hace|tengo|hay))\b)",
    r"\b(?:tu|ustedes|vosotr[oa]s) (que|como)(?= (?:le |lo )?(?:hac|har|opin|pens|piens|prefer|prefier|recom))",
    r"\b(?:tu|vos|ustedes|vosotr[oa]s) (cuanto|cuantos|cuanta|cuantas|cual)(?= [^.,?!]+\?)",
    rf"(?:^|[¡.!?\n] ?)(que)(?= {FELT})",
    # Pronouns
    rf"\b(?:con|para|sobre|sin|por|a|de|en) (el){ENDED}",
    rf"(?<=\p{{L}} )(tu|mi|mas|se){ENDED}",
    rf"\b(?:el|un|del|al|de|con) (te){ENDED}",
    r"\ba (mi)(?= (?:no )?(?:me|que me)\b)",
    rf"\b(?:a|para|por|sin|de|en|contra|hacia) (mi)(?= {NO_NOUN}\b)",
    r"\b(mi)(?= mism[oa]\b)",
    r"\b(?:entre|como) (tu)(?= y yo\b)",
    r"(?:^|[¿.?!,] ?)(tu)(?= (?:que|como|donde|cuando|cual) \p{L})",
    r"\b(?:que|y|porque|pero|como|si) (el)(?= (?:[mts]e|le|nos|dijo|vino|fue|era|estaba|tiene|puede|quiere|sabe)\b)",
    r"\b(?:que|y|porque|pero|como|si) (el)(?= tambien (?!\p{L}+os[oa]))",
    # Sí
    r"(?<=\b(?:que|porque|yo|ella|eso|esto|ahora|hoy|un|por) )(si)(?=\?|\.(?!\.)|$)",
    r"\b(?:ella|ellos|ellas|yo|eso|esto|ahora|hoy|aqui|aca|ahi|alli|pero|este|ustedes|usted) (si)(?= que\b)",
    rf"{BEGUN}(el) (si)(?= (?:sabe|puede|quiere|tiene|viene|va|fue|vino|me|se|lo)\b)",
    r"\b(?:cab|volv)\p{L}+ en (si)\b",
    r"\b(?:fuera|mas) de (si)(?=[ ,.;])",
    r"\b(?:a|de|en|por|para|entre|sobre|contra|hacia) (si)(?= mism[oa]s?\b)",
    # Verbs
    r"\bno (se) si\b",
    rf"(?:{BEGUN}|\b(?:yo|ya|solo|bien) )(se)(?= que\b)",
    r"\b(esta)(?= \p{L}{2,}(?:ado|ido|ando|iendo|yendo)\b)",
    rf"\b(?:que|no|ya|nunca|siempre|tambien|aun|aqui|ahi|alli) (esta){ENDED}",
    rf"\b(?:el|la|mi|tu|su|nuestr[oa]) \p{{L}}+ (esta)(?= {NO_STATE}\p{{L}}+[ai]d[oa]\b)",
    r"\b(?:el|la|mi|tu|su|nuestr[oa]) \p{L}+ (esta)(?= (?:abiert[oa]|rot[oa]|list[oa]|llen[oa])\b)",
    rf"\b(?:aunque|cuando|que|mientras|ojala|donde) (?:no |ya |todavia |aun )?(este)(?= {STATE}\b)",
    r"\bno (?:[mts]e|nos|les?|l[oa]) (\p{L}{3,}o)(?= (?:nadie|ni (?:el|la|mi|un|una))\b)",
    r"\bya (?:me |nos |les? )?(quedo)(?= (?:list[oa]|abiert[oa]|terminad[oa])\b)",
    rf"\b(?:alguien|alguno|alguna|nadie|que) me (de)(?= (?:{ARTICLE}|mas|ideas|su|permiso)\b)",
    r"\b(?:me|te|le|nos|os|les) (encanto|costo|toco(?= \p{L}+[aei]r\b)|paso(?= que\b))",
    r"\b(?:me|te|se|les?|nos|os|l[oa]s?|que|no|nadie|quien) (\p{L}{3,}o)(?= (?:ayer|anoche|anteayer)\b)",
    rf"\b(?:mi|tu|su|el|la|un|una|nuestr[oa]) {PERSON} {CLITICS}*(?!{TRAIT}\b)(\p{{L}}{{2,}}o)\b",
)
# What is certain to have no accent here.
KEPT = either(
    # What the author does himself
    r"(?<!\bse )\bme (mudo|jubilo|caso|levanto|ducho|apunto|largo|imagino|matriculo|enamoro|quejo|acostumbro)\b",
    rf"\byo {CLITICS}*(\p{{L}}+o)\b",
    rf"(?:^|[,.;!?\n] |\b(?:y|como|pero) )(?:casi )?siempre {CLITICS}*(\p{{L}}+o)\b",
    rf"\b(?:anos|meses|semanas|dias|siglos|tiempo) que {CLITICS}*(\p{{L}}+o)\b",
    r"\b(?:cuanto mas|mientras) (\p{L}+o)\b",
    r"\blo que (\p{L}+o)(?= a \p{L}+[aei]r\b)",
    rf"\b(?:sin|con|en) mis? \p{{L}}+ {CLITICS}*(\p{{L}}+o)\b",
    rf"{BEGUN}(\p{{L}}+o)\b"
    rf"(?! (?:{ARTICLE}|mi|su|nuestr[oa]|otr[oa]|ya|tod[oa]s?|algo|lo|a \p{{L}}+[aei]r|por fin)\b)",
    # Verbs before what they have to do with, adjectives behind their noun
    r"(?<!\b(?:la|una|esta|esa|mi|tu|su|nuestra|de|en|via|cada) )\b(publica|critica|practica|fabrica|replica)"
    rf"(?= (?:{ARTICLE}|mis?|tus?|sus?)\b)",
    r"(?<=\b\p{L}+ )(?<!\b(?:que|no|se|lo|ya|nadie|nunca|yo|quien|aun|todo) )(sabia|continua)(?=\s*(?:[,;.!?)\n]|$))",
    r"\b(?:gente|personas?|empresa|mujer|cosa|oferta|propuesta|relacion|chica|charla|cara|muy|mas|tan|poco) (seria)\b",
    r"\b(?:medidas|personas|empresas|ofertas|cosas|muy|mas|tan|poco) (serias)\b",
    # What breaks off asks nothing
    rf"(?<!\b(?:se|{ASKS}|{TELLS}|y|ni|o|a|de|en|por|para|con|desde|hasta) )\b(que|cual|quien|cuando|donde|como)"
    r"(?=\.{0,3}$|\u2026$)",
)
# fmt: off
TAKES = {
    "que": "qué", "cual": "cuál", "cuales": "cuáles", "cuanto": "cuánto", "cuanta": "cuánta", "cuantos": "cuántos",
    "cuantas": "cuántas", "quien": "quién", "quienes": "quiénes", "cuando": "cuándo", "donde": "dónde", "como": "cómo",
    "el": "él", "tu": "tú", "mi": "mí", "mas": "más", "se": "sé", "si": "sí", "esta": "está", "te": "té",
}
# fmt: on
# A text that has these tells what its author did, or what somebody did: `compré`, not `compre`.
TOLD = regex.compile(
    r"\b(?:ayer|anoche|fui|hice|tuve|pude|puse|vine|estuve|dije|quise|supe|"
    r"hace (?:\p{L}+|\d+) (?:dias?|semanas?|mes|meses|anos?|horas?)|"
    r"(?:ab|descub)ri|(?:ap|emp)rendi|(?:vend|perd|ped|decid|escrib|recib|sub|conoc|viv|sent|romp|volv|cumpl|"
    r"nac|cre|le|eleg|segu|dorm|met|sufr|entend|corr|com|sal)i)\b"
)
# Beside these the author may speak of himself; without any, what opens a sentence is rather an order: `llame`.
OWN = regex.compile(
    r"\b(?:yo|mi|mis|me|conmigo|nos|por fin|al final|nunca|hoy|ahora|era|fue|estaba|habia|este ano|"
    r"esta semana|despues)\b"
)
POLITE = regex.compile(r"\b(?:usted|su|sus|aqui su|les|le)\b")
# Before these a verb is wished for, not told.
WISHED = frozenset("que aunque ojala usted quien donde hasta no".split())  # noqa: SIM905
TOLD_LIMIT = 0.65
NOUNS = frozenset({"bebé", "café", "comité"})
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
    last = word[-1] if word[-1] in MARKED else ""
    names = word, f"{ending}|{bare[-2:]}", f"{ending}/{reading.kind}", f"{last}:{bare[-1]}"
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
    plain = SHORT.sub(_full, WHY.sub("por qué", masked.text))
    found = tokens(plain)
    written = [plain[token.start : token.end] for token in found]
    words = [known(token.bare) for token in found]
    trust = care(written, words)
    read = Text(plain, tuple(found), tuple(written), tuple(words), trust)
    told = any(_tells(word, old) for word, old in zip(words, written, strict=True))
    new = _chosen(read, told=told)
    if not told and any(_tells(word, chosen) for word, chosen in zip(words, new, strict=True)):
        new = _chosen(read, told=True)
    parts, end = [], 0
    for token, old, chosen in zip(found, written, new, strict=True):
        if chosen != old:
            parts += [plain[end : token.start], chosen]
            end = token.end
    return masked.restored("".join(parts) + plain[end:])


@dataclass(frozen=True, slots=True)
class Text:
    """A masked text, its words as they were typed, what is known of each, and how far the author is to be trusted."""

    plain: str
    found: tuple[Token, ...]
    written: tuple[str, ...]
    words: tuple[Word, ...]
    trust: str


def _chosen(text: Text, *, told: bool) -> list[str]:
    """Return every word of a text with the accent that it lacks; `told`: the text tells what happened."""
    sure = _certain(text.plain, text.trust)
    folded = text.plain.lower().translate(BARE)
    told = told or TOLD.search(folded) is not None
    own = told or (OWN.search(folded) is not None and not POLITE.search(folded))
    vos = text.trust in ("careful", "mixed") or any(token.bare in VOS for token in text.found)
    kinds = [word.kind for word in text.words]
    new = []
    for place, (token, old, word) in enumerate(zip(text.found, text.written, text.words, strict=True)):
        if not word.readings or not _is_open(text.plain, token, old):
            new.append(old)
            continue
        if sure.get(token.start) in {reading.word for reading in word.readings}:
            chosen = sure[token.start]
        elif word.salts is None:
            chosen = word.readings[0].word
        else:
            chances = probabilities(word.readings, word.salts, surroundings(text.found, place, kinds))
            best = int(chances.argmax())
            chosen = word.readings[best].word
            limit = load().thresholds[text.trust]
            # Who sets accents knows `presento` from `presentó`.
            lower = told and text.trust != "careful" and _tells(word, chosen) and not _is_wished(text.found, place)
            least = TOLD_LIMIT if lower else limit
            capital = text.trust == "careful" and not old.islower()
            ordered = chosen.endswith("é") and not own and (place == 0 or text.found[place - 1].bare in OPENERS)
            if chances[best] < least or capital or ordered:
                chosen = token.bare
        ordered = (
            word.salts is None
            and ORDER.search(token.bare) is not None
            and (vos or (text.trust == "unknown" and not STEM_CHANGED.search(token.bare)))
        )
        if MARKED.isdisjoint(chosen) or ordered or (not old.islower() and _may_be_name(old, text.found, place)):
            chosen = old
        new.append(chosen if old.islower() or chosen == old else chosen[0].upper() + chosen[1:])
    return new


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


def _certain(text: str, trust: str) -> dict[int, str]:
    """Return how words are written whose accent, or the lack of it, grammar makes certain, by where they stand.

    Who is careful with accents has set them: what has none shall have none.
    """
    folded = text.lower().translate(BARE)
    if len(folded) != len(text):
        return {}
    kept = dict(_groups(KEPT, folded))
    if trust == "careful":
        return kept
    accented = {
        start: TAKES.get(word, word[:-1] + word[-1].translate(ACUTE)) for start, word in _groups(CERTAIN, folded)
    }
    return kept | accented


def _groups(pattern: regex.Pattern[str], folded: str) -> Iterator[tuple[int, str]]:
    for match in pattern.finditer(folded):
        for group in range(1, len(match.groups()) + 1):
            if match[group]:
                yield match.start(group), match[group]


def _tells(word: Word, written: str) -> bool:
    """Whether a word is written as a verb in the past that only its accent tells from another form: `compré`."""
    return (
        len(written) > NEAR + 1
        and written[-1] in "éó"
        and len(word.readings) > 1
        and written.islower()
        and written not in NOUNS
    )


def _is_wished(found: Sequence[Token], place: int) -> bool:
    """Whether a verb is wished for or asked for rather than told."""
    return not WISHED.isdisjoint(token.bare for token in found[max(0, place - NEAR - 1) : place])


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
