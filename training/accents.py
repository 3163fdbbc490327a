"""Train the model that puts accents back and write weights.npz, metadata.json and CARD.md.

python -m training.accents --data ../shared/data --briefs a.jsonl b.jsonl --models models

Texts that set accents throughout are stripped of them; a log-linear model over the readings of each word learns to put
them back. The posts of every fifth brief choose the thresholds, those of another fifth are only measured.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import regex
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from pipelines.editing import accents
from pipelines.editing.accents import BARE, BITS, FORMAT, MARKED, RATE_STEPS, Accents, Reading, Word
from pipelines.editing.masks import mask

FOLDS, MEASURED, CHOOSING = 5, 1, 2
PRECISION, UNCHANGED = 0.993, 0.995
LIMITS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
ACCENTS = str.maketrans("áéíóúüÁÉÍÓÚÜ", "aeiouuAEIOUU")
LEAST_RATE, LEAST_LISTED, LEAST_UNLISTED, LEAST_NEIGHBOR, LEAST_STEM = -19.0, -17.5, -14.0, -12.0, -13.5
# A plain form that no dictionary has must be so much more frequent on the web, in natural logs; one that only
# conjugation makes is counted so much less, for hasty authors share its spelling.
PLAIN_LEAD, CONJUGATED = 0.7, 4.0
UNKNOWN_RATE = -18.0
PENALTY = 0.2
OPENING = regex.compile("[¿¡]")
CLITICS = ("me", "te", "se", "lo", "la", "los", "las", "le", "les", "nos", "os")
PAIRS = [first + second for first in ("me", "te", "se", "nos") for second in ("lo", "la", "los", "las")]
# Endings of verbs that an accent tells apart, and the sections of accents_sentences.txt for each.
GAPS = {
    "ó": ("past3", "present1"), "é": ("past1", "wish"), "ará": ("future", "supposed"), "arán": ("future", "supposed"),
    "irá": ("future", "supposed"), "erán": ("future", "supposed"), "erá": ("future", "supposed"),
}  # fmt: skip
VERBS, PER_VERB = 120, 3
SYLLABLES = regex.compile(r"[iuü]?[aeoáéó][iuü]?(?![aeoáéóíú])|[iuü]?[aeoáéó]|[iuü]?[íú]|[iuü]{1,2}")
ACUTE = str.maketrans("aeiou", "áéíóú")
LISTED = frozenset(
    "qué quién quiénes cuál cuáles cuánto cuánta cuántos cuántas dónde cuándo cómo él tú mí sí sé dé té más "  # noqa: SIM905
    "aún básquet vóley táper suéter macramé pizarrón tráiler trancón súper vení tenés querés podés sabés hacés decís "
    "venís salís suscríbete inscríbete inscríbanse reúnanse mirá andá dejá contá probá pasá llevá traé sacá".split()
)
# Old spellings, and words that never had the accent that some give them.
GONE = frozenset(
    "fué fuí fuéron dió vió tí guión ésto éso éste ésta éstos éstas ése ésa ésos ésas aquél aquélla aquéllos "  # noqa: SIM905
    "aquéllas sólo crió lió pié rió ví dí fé ó á é ú í papás porqué trancon salio".split()
)


@dataclass(frozen=True)
class Choice:
    """A word where a reading had to be chosen: the weights of each reading, their rates, and which was right."""

    places: NDArray[np.uint32]
    rates: NDArray[np.float64]
    right: int


@dataclass(frozen=True)
class Sources:
    """What is known of words: logs of web frequencies, clusters, lemmas of conjugated forms, counts in subtitles."""

    shares: dict[str, float]
    clusters: dict[str, int]
    lemmas: dict[str, str]
    counts: dict[str, int]

    def share(self, word: str) -> float:
        """Return the log of a word's share of the web."""
        return self.shares.get(word, UNKNOWN_RATE)

    def lists(self, word: str) -> bool:
        """Whether a dictionary has the word."""
        return word not in GONE and (word in self.counts or word in self.lemmas or word in LISTED)


def sources() -> Sources:
    """Read the packages' tables."""
    lookups = files("spacy_lookups_data").joinpath("data")
    tables = [lookups.joinpath(f"es_{name}.json.gz") for name in ("lexeme_prob", "lexeme_cluster", "lemma_lookup")]
    tables.append(files("spellchecker").joinpath("resources", "es.json.gz"))
    return Sources(*(json.loads(gzip.decompress(table.read_bytes())) for table in tables))


def lexicon() -> dict[str, list[Reading]]:
    """Return the readings of each bare word."""
    known = sources()
    forms: defaultdict[str, set[str]] = defaultdict(set)
    for word in accented(known):
        forms[word.translate(BARE)].add(word)
    stems = {
        word: lemma
        for word, lemma in known.lemmas.items()
        if max(known.share(word), known.share(lemma) - 3) > LEAST_STEM
    }
    for word in joined(stems):
        bare = word.translate(BARE)
        if bare not in forms and not known.lists(bare):
            forms[bare].add(word)
    for word, share in known.shares.items():
        if word not in GONE and len(word) > 1 and word.isalpha() and word.isascii() and word.islower():
            rival = max((known.share(form) for form in forms.get(word, ())), default=None)
            enough = known.lists(word) or share > rival + PLAIN_LEAD if rival is not None else share > LEAST_NEIGHBOR
            if enough:
                forms[word].add(word)
    spoken = math.log(sum(known.counts.values()))

    def rate(word: str, words: set[str]) -> float:
        share = known.share(word)
        if word.translate(BARE) != word:
            return share
        if word in known.counts:
            return min(share, math.log(known.counts[word]) - spoken)
        return share - CONJUGATED if word in known.lemmas and len(words) > 1 else share

    return {
        bare: [Reading(word, rate(word, words), int(known.clusters.get(word, 0)) & 0xFF) for word in sorted(words)]
        for bare, words in forms.items()
    }


def accented(known: Sources) -> Iterator[str]:
    """Yield the words with an accent or a tilde: those of dictionaries, and what the web writes by the rules."""
    for word in {*known.counts, *known.lemmas, *LISTED, *known.shares}:
        if word in GONE or word.isascii() or not regex.fullmatch(r"[a-záéíóúüñ]{2,20}", word):
            continue
        share = known.share(word)
        if not known.lists(word):
            if share > LEAST_UNLISTED and is_regular(word):
                yield word
        elif share > (LEAST_RATE if word.endswith("is") else LEAST_LISTED) or (
            known.share(known.lemmas.get(word, "")) > LEAST_STEM
        ):
            yield word


def joined(lemmas: dict[str, str]) -> Iterator[str]:
    """Yield gerunds, orders and infinitives with pronouns at their end: `muévete`, `apuntándolo`, `dártelo`."""
    for word, lemma in lemmas.items():
        if word.translate(BARE) != word or not regex.fullmatch(r"[a-zñ]{2,}[aeií]r(?:se)?", lemma):
            continue
        nuclei = [match.span() for match in SYLLABLES.finditer(word)]
        if word.endswith(("ando", "endo")):
            yield from (stressed(word, nuclei[-2]) + clitic for clitic in CLITICS)
        elif word.endswith(("ad", "ed", "id")) and word[:-1] + "r" == lemma:
            yield from (stressed(word, nuclei[-1]) + pair for pair in PAIRS)
        elif word.endswith(("a", "e", "an", "en")) and len(nuclei) > 1:
            yield from (stressed(word, nuclei[-2]) + clitic for clitic in (*CLITICS[:-1], *PAIRS))
    for lemma in {lemma for lemma in lemmas.values() if lemma.endswith(("ar", "er", "ir"))}:
        yield from (f"{lemma[:-2]}{lemma[-2].translate(ACUTE)}r{pair}" for pair in PAIRS)
        if lemma.endswith("eir"):
            yield from (f"{lemma[:-2]}ír{clitic}" for clitic in CLITICS)


def stressed(word: str, nucleus: tuple[int, int]) -> str:
    """Return a word with the accent on this syllable, on its open vowel if it has one."""
    place = next((n for n in range(*nucleus) if word[n] in "aeo"), nucleus[1] - 1)
    return f"{word[:place]}{word[place].translate(ACUTE)}{word[place + 1 :]}"


def sentences(readings: dict[str, list[Reading]], rng: np.random.Generator) -> list[str]:
    """Return the sentences written for this, their gaps filled with frequent verbs of two readings."""
    parts = Path(__file__).with_name("accents_sentences.txt").read_text(encoding="utf-8").split("# [")[1:]
    lines = {part[: part.index("]")]: part.splitlines()[1:] for part in parts}
    texts = lines["lines"]
    for marked, (accented, plain) in GAPS.items():
        pairs = []
        for bare, ways in readings.items():
            endings = [reading for reading in ways if reading.word in (bare, bare[: -len(marked)] + marked)]
            if len(endings) == 2 and bare.translate(BARE).endswith(marked.translate(BARE)):
                pairs.append((min(reading.rate for reading in endings), bare))
        for _, bare in sorted(pairs, reverse=True)[:VERBS]:
            for group, word in ((accented, bare[: -len(marked)] + marked), (plain, bare)):
                texts = texts + [line.format(word) for line in rng.choice(lines[group], PER_VERB, replace=False)]
    return texts


def is_regular(word: str) -> bool:
    """Whether an accent is where the rules want one: no syllable alone, no stress that goes without saying."""
    marks = [place for place, letter in enumerate(word) if letter in "áéíóú"]
    if len(marks) != 1:
        return not marks and ("ñ" in word or "ü" in word)
    nuclei = list(SYLLABLES.finditer(word))
    stressed = next((len(nuclei) - n for n, match in enumerate(nuclei) if match.start() <= marks[0] < match.end()), 0)
    if len(nuclei) < 2 or stressed == 0:
        return False
    if word[marks[0]] in "íú" and len(nuclei[-stressed].group()) == 1:
        neighbors = word[max(0, marks[0] - 1) : marks[0]] + word[marks[0] + 1 : marks[0] + 2]
        if set(neighbors) & set("aeo"):
            return True
    open_end = word[-1] in "aeiouáéíóúns"
    return stressed > 2 or (stressed == 1 and open_end) or (stressed == 2 and not open_end)


def posts(paths: list[Path]) -> tuple[list[str], list[str], list[str]]:
    """Return posts to learn from, those that choose thresholds and those only measured; none shares a brief."""
    parts: tuple[list[str], list[str], list[str]] = [], [], []
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            fold = zlib.crc32(entry["brief"].encode()) % FOLDS
            parts[{MEASURED: 2, CHOOSING: 1}.get(fold, 0)].extend(entry["posts"])
    return parts


def tweets(data: Path, readings: dict[str, list[Reading]]) -> list[str]:
    """Return tweets that set an accent and miss none that is certain."""
    texts = []
    for path, column in (
        ("sentiment/umsab_es_train.parquet", "text"), ("sentiment/umsab_es_val.parquet", "text"),
        ("emotion/emoevent_es_train.parquet", "tweet"), ("emotion/emoevent_es_dev.parquet", "tweet"),
    ):  # fmt: skip
        texts += pq.read_table(data / path).column(column).to_pylist()
    return [text for text in dict.fromkeys(texts) if is_careful(text, readings)]


def is_careful(text: str, readings: dict[str, list[Reading]]) -> bool:
    """Whether a text sets an accent and has none of the words that lack theirs for certain."""
    words = [word.lower() for word in regex.findall(r"\p{L}+", mask(text).text)]
    sets = sum(not MARKED.isdisjoint(word) for word in words)
    lacks = sum(
        word in readings and all(reading.word != word for reading in readings[word]) for word in words if word.isascii()
    )
    return sets > 0 and not lacks


def choices(texts: list[str], words: dict[str, Word]) -> list[Choice]:
    """Return every choice in the texts."""
    found = []
    for text in [way for whole in texts for way in dict.fromkeys((whole, OPENING.sub("", whole)))]:
        masked = mask(text)
        parts = accents.tokens(masked.text)
        known = [words.get(part.bare) or accents.described(part.bare, []) for part in parts]
        kinds = [word.kind for word in known]
        for place, (part, word) in enumerate(zip(parts, known, strict=True)):
            if word.salts is None:
                continue
            written = masked.text[part.start : part.end].lower()
            right = next((n for n, reading in enumerate(word.readings) if reading.word == written), None)
            if right is not None:
                around = accents.surroundings(parts, place, kinds)
                rates = np.array([reading.rate for reading in word.readings])
                found.append(Choice(accents.places(word.salts, around), rates, right))
    return found


def fit(learned: list[Choice], penalty: float) -> tuple[NDArray[np.float64], float]:
    """Return the weights (2 ** BITS,) and that of the rate."""
    sizes = np.array([len(choice.rates) for choice in learned])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rights = starts + np.array([choice.right for choice in learned])
    rows = [row for choice in learned for row in choice.places]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    used, columns = np.unique(np.concatenate(rows), return_inverse=True)
    features = csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(rows), len(used)))
    rates = np.concatenate([choice.rates for choice in learned])
    transposed = features.T.tocsr()

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = features @ point[:-1] + point[-1] * rates
        scores -= np.repeat(np.maximum.reduceat(scores, starts), sizes)
        likely = np.exp(scores)
        likely /= np.repeat(np.add.reduceat(likely, starts), sizes)
        value = -np.log(likely[rights] + 1e-12).sum() + penalty / 2 * (point[:-1] @ point[:-1])
        likely[rights] -= 1
        return value, np.append(transposed @ likely + penalty * point[:-1], rates @ likely)

    point = np.append(np.zeros(len(used)), 1.0)
    found = minimize(loss, point, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
    weights = np.zeros(1 << BITS)
    weights[used] = found[:-1]
    return weights, float(found[-1])


def packed(readings: dict[str, list[Reading]], weights: NDArray[np.float64], rate_weight: float) -> Accents:
    """Return the model as it ships; thresholds are not chosen yet."""
    patterns: dict[tuple[tuple[int, str], ...], int] = {(): 0}
    rows = []
    common = Counter(_pattern(reading.word, bare) for bare, ways in readings.items() for reading in ways)
    for pattern, _ in common.most_common(255):
        patterns.setdefault(pattern, len(patterns))
    for bare, ways in readings.items():
        for reading in ways:
            place = patterns.get(_pattern(reading.word, bare))
            if place is not None and place < 256:
                steps = min(255, round(-reading.rate * RATE_STEPS))
                rows.append((zlib.crc32(bare.encode()), place, steps, reading.kind))
    table = np.array(sorted(rows))
    scale = float(np.abs(weights).max()) / 127
    return Accents(
        table[:, 0].astype(np.uint32), table[:, 1].astype(np.uint8), table[:, 2].astype(np.uint8),
        table[:, 3].astype(np.uint8), tuple(patterns), np.round(weights / scale).astype(np.int8), scale, rate_weight,
        {"hasty": 0.9, "mixed": 0.95, "careful": 0.995, "unknown": 0.95},
    )  # fmt: skip


def _pattern(word: str, bare: str) -> tuple[tuple[int, str], ...]:
    return tuple((n, letter) for n, (letter, plain) in enumerate(zip(word, bare, strict=True)) if letter != plain)


def save(model: Accents, folder: Path, figures: Figures | None) -> str:
    """Write weights.npz and metadata.json, and return the version."""
    buffer = io.BytesIO()
    names = ("keys", "marks", "rates", "kinds", "weights")
    np.savez_compressed(buffer, **{name: getattr(model, name) for name in names})
    (folder / "weights.npz").write_bytes(buffer.getvalue())
    digest = sha256(buffer.getvalue()).hexdigest()
    today = datetime.now(UTC).date().isoformat()
    metadata = {
        "format": FORMAT, "version": f"{today}-{digest[:8]}", "sha256": {"weights.npz": digest}, "created": today,
        "scale": model.scale, "rate_weight": model.rate_weight, "thresholds": model.thresholds,
        "libraries": {name: version(name) for name in ("numpy", "scipy", "spacy-lookups-data", "pyspellchecker")},
        "figures": asdict(figures) if figures else None, "patterns": model.patterns,
    }  # fmt: skip
    (folder / "metadata.json").write_text(json.dumps(metadata, ensure_ascii=False) + "\n", encoding="utf-8")
    return str(metadata["version"])


@dataclass(frozen=True)
class Figures:
    """How posts fare: shares exactly right after stripping and unchanged as they are, and of words mended."""

    exact: float
    unchanged: float
    precision: float
    recall: float


def stripped(text: str) -> str:
    """Return a text without accents where accents may be put back."""
    masked = mask(text)
    return masked.restored(masked.text.translate(ACCENTS))


def measured(texts: list[str]) -> Figures:
    """Measure the model at its thresholds."""
    exact = unchanged = right = mended = lacking = 0
    for text in texts:
        bare = stripped(text)
        new = accents.restored(bare)
        exact += new == text
        unchanged += accents.restored(text) == text
        triples = list(zip(*(regex.findall(r"\p{L}+", version) for version in (bare, new, text)), strict=False))
        mended += sum(after != before for before, after, _ in triples)
        right += sum(after != before and after == meant for before, after, meant in triples)
        lacking += sum(before != meant for before, _, meant in triples)
    return Figures(exact / len(texts), unchanged / len(texts), right / max(1, mended), right / max(1, lacking))


def choose(model: Accents, texts: list[str]) -> None:
    """Set the lowest thresholds at which enough of what is mended is right and enough posts stay as they are."""
    for trust in ("hasty", "unknown"):
        for limit in LIMITS:
            model.thresholds[trust] = limit
            figures = measured(texts)
            if figures.precision >= PRECISION and figures.unchanged >= UNCHANGED:
                break
    model.thresholds["mixed"] = max(model.thresholds["hasty"], model.thresholds["unknown"])


def card(version_: str, figures: Figures, counts: dict[str, int], thresholds: dict[str, float]) -> str:
    """Return CARD.md."""
    return f"""# Accents {version_}

Puts back the accents of a Spanish text that was typed without them: a log-linear model over the readings of each word
(neighbors, their clusters, signs of the sentence, frequency), int8 weights. `python -m training.accents`.

Learned from {counts["posts"]} posts and the sentences written for this project, and from {counts["tweets"]} Spanish
tweets with consistent accents (InterTASS through UMSAB, Apache-2.0; EmoEvent, LREC 2020, no licence stated). Readings,
frequencies and clusters: spacy-lookups-data, pyspellchecker (MIT).

{counts["measured"]} posts of briefs that neither trained nor chose thresholds, stripped of their accents:
exactly right {figures.exact:.3f}, words precision {figures.precision:.4f}, recall {figures.recall:.4f};
unchanged as they are {figures.unchanged:.4f}. Thresholds: {thresholds}.

## Limits
- Short posts of two or three registers, most of them about business; poetry, dialect and quotations are not measured.
- `llevas` or `llevás`, `trae` or `traé`: voseo is told only by the words around, so it mostly stays as typed.
- Names with a capital within a sentence stay without an accent.
"""


def main() -> None:
    """Train, write, measure, and print the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--briefs", type=Path, nargs="+", required=True)
    parser.add_argument("--models", type=Path, required=True)
    arguments = parser.parse_args()
    folder = arguments.models / "accents"
    readings = lexicon()
    learned, choosing, judging = posts(arguments.briefs)
    public = tweets(arguments.data, readings)
    written = sentences(readings, np.random.default_rng(0))
    words = {bare: accents.described(bare, ways) for bare, ways in readings.items()}
    training = choices(learned, words) * 2 + choices(public, words) + choices(written, words)
    save(packed(readings, *fit(training, PENALTY)), folder, None)
    model = accents.load()
    choose(model, choosing)
    figures = measured(judging)
    version_ = save(model, folder, figures)
    counts = {"posts": len(learned), "tweets": len(public), "measured": len(judging)}
    text = card(version_, figures, counts, model.thresholds)
    (folder / "CARD.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
