"""Train the model that tells confused English words apart and write weights.npz, metadata.json and CARD.md.

python -m training.slips --data ../shared/data --briefs a.jsonl b.jsonl --models models

A log-linear model learns from careful texts which form of a word stands among these neighbors; some of them are made
hasty first: without signs, other slips beside the word. Posts and public texts that did not train choose how sure each
change must be; the posts of another fifth of the briefs are only measured.
"""

from __future__ import annotations

import argparse
import gzip
import html
import io
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import regex
from numpy.typing import NDArray

from pipelines.editing import slips, spelling
from pipelines.editing.accents import places
from pipelines.editing.masks import mask
from pipelines.editing.slips import FORMAT, MONTHS, Slips
from training.accents import Choice, fit, posts

PRECISION, CHANGED = 0.98, 0.0015
# Public authors slip: more of their words may be changed, and what is likelier than this to be their slip is none of
# the proofs.
CHANGED_PUBLIC, RULED_OUT = 0.015, 0.01
LIMITS = (0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985)
# A change needs so many proofs, and careful words of that form; with fewer of these it must be as sure as this.
LEAST_PROOF, MANY, SURE = 4, 100, 0.95
PROOFS, PER_PROOF, PER_FORM, OWN = 12, 1500, 6000, 4
CLUSTERED = 16000
PENALTY = 1.0
HASTY, SLIPPED = 0.5, 0.3
# Elsewhere public authors who write so mostly mean `every day` and `let's`.
TOLD = {
    "everyday": regex.compile(
        r"\beveryday (?!(?:i|we|you|he|she|they|it|the|a|my|our|to|in|on|at|for|with|and|but|is|that|this|of)\b)\p{L}"
    ),
    "lets": regex.compile(r"(?<!\b(?:and|so|but|now|please|then) )(?<=\p{L} )lets\b"),
}
SIGNS = frozenset(".,;:!?\n-\u2013\u2014")
SOURCES = (
    ("engagement/congress2022.parquet", "text"), ("engagement/ratio538.parquet", "text"),
    ("engagement/tweety.parquet", "text"), ("engagement/fin2021.parquet", "text"),
    ("wording/tan2014_train.parquet", "first_tweet"), ("wording/upworthy.parquet", "headline"),
    ("wording/upworthy.parquet", "excerpt"),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A word of a text, all in lower case, where one of several forms was written."""

    bares: list[str]
    place: int
    right: int


def clusters() -> dict[str, int]:
    """Return the clusters of frequent words."""
    lookups = files("spacy_lookups_data").joinpath("data")
    kinds, shares = (
        json.loads(gzip.decompress(lookups.joinpath(f"en_lexeme_{name}.json.gz").read_bytes()))
        for name in ("cluster", "prob")
    )
    known = [word for word in kinds if word.isascii() and word.islower() and word in shares]
    frequent = sorted(known, key=lambda word: -float(shares[word]))[:CLUSTERED]
    return {word: int(kinds[word]) & 0xFFFF for word in frequent}


def public(data: Path) -> Iterator[str]:
    """Yield public texts whose authors set apostrophes."""
    missing = spelling.load("en")["apostrophes"].keys() | {"i"}
    texts = [text for path, column in SOURCES for text in pq.read_table(data / path).column(column).to_pylist()]
    texts += [line.split("\t")[0] for line in (data / "goemotions/train.tsv").read_text(encoding="utf-8").splitlines()]
    for text in dict.fromkeys(texts):
        words = (text or "").replace("\u2019", "'").split()
        if len(words) > 4 and missing.isdisjoint(words):
            yield html.unescape(text)


def found(text: str) -> Iterator[Place]:
    """Yield every choice of a careful text."""
    masked = mask(text).text
    parts = slips.tokens(masked)
    bares = [part.bare for part in parts]
    written = [masked[part.start : part.end] for part in parts]
    titled = sum(word.istitle() for word in written) > len(written) / 3
    for place, bare in enumerate(bares):
        word = slips.chosen(bares, place)
        if word is None or (bare not in word.forms and bare not in MONTHS):
            continue
        if not slips.is_open(masked, parts[place]):
            continue
        if bare in MONTHS:
            begins = place == 0 or not bares[place - 1][0].isalnum() or bares[place - 1] == "0"
            named = "".join(written[max(0, place - 1) : place + 2 : 2]).istitle()
            if titled or begins or named or not (written[place].islower() or written[place].istitle()):
                continue
            yield Place(bares, place, int(written[place].istitle()))
        elif not written[place].isupper():
            yield Place(bares, place, word.forms.index(bare))


def sampled(data: Path, rng: np.random.Generator) -> tuple[list[Place], list[Place]]:
    """Return choices of public texts to learn from and those that help to choose thresholds; no form has too many."""
    counts: Counter[tuple[str, bool]] = Counter()
    learned: list[Place] = []
    proofs: list[Place] = []
    texts = list(public(data))
    for number in rng.permutation(len(texts)):
        text = texts[int(number)]
        proves = zlib.crc32(text.encode()) % PROOFS == 0
        most = PER_PROOF if proves else PER_FORM
        rough = {part.bare for part in slips.tokens(text)} & slips.words().keys()
        if all(counts[form, proves] >= most for form in rough):
            continue
        for one in found(text):
            word = slips.chosen(one.bares, one.place)
            told = TOLD.get(one.bares[one.place])
            if told is not None and not told.search(" ".join(one.bares[max(0, one.place - 1) : one.place + 2])):
                continue
            form = word.forms[one.right] if word is not None else ""
            if counts[form, proves] < most:
                counts[form, proves] += 1
                (proofs if proves else learned).append(one)
    return learned, proofs


def hasty(place: Place, rng: np.random.Generator) -> Place:
    """Return a choice as hasty authors leave it: no signs, other words with their slips."""
    left: list[str] = []
    where = 0
    drops = rng.random() < HASTY
    for number, bare in enumerate(place.bares):
        if number == place.place:
            where = len(left)
        elif drops and bare in SIGNS:
            continue
        word = slips.chosen(place.bares, number) if number != place.place and bare not in MONTHS else None
        slipped = word is not None and len(word.forms) > 1 and rng.random() < SLIPPED
        left.append(word.forms[int(rng.integers(len(word.forms)))].lower() if word and slipped else bare)
    return Place(left, where, place.right)


def choices(found_: Iterable[Place], kinds: dict[str, int]) -> list[Choice]:
    """Return the choices with the places of their weights."""
    cluster = {word: str(kind) for word, kind in kinds.items()}
    known = []
    for one in found_:
        word = slips.chosen(one.bares, one.place)
        if word is not None:
            around = slips.surroundings(one.bares, one.place, lambda bare: cluster.get(bare, f"-{bare[-2:]}"))
            known.append(Choice(places(word.salts, around), np.zeros(len(word.forms)), one.right))
    return known


def packed(weights: NDArray[np.float64], kinds: dict[str, int]) -> Slips:
    """Return the model as it ships; how sure a change must be is not chosen yet."""
    table = np.array(sorted((zlib.crc32(word.encode()), kind) for word, kind in kinds.items()))
    scale = float(np.abs(weights).max()) / 127
    keys, clusters_ = table[:, 0].astype(np.uint32), table[:, 1].astype(np.uint16)
    return Slips(keys, clusters_, np.round(weights / scale).astype(np.int8), scale, {})


@dataclass(frozen=True)
class Said:
    """What the model says where some form was written: the right one, its best one, and how likely both are."""

    right: str
    best: str
    chance: float
    rightly: float


def said(found_: Iterable[Place]) -> dict[str, list[Said]]:
    """Return what the model says wherever a form was written, rightly or as a slip."""
    by_written: defaultdict[str, list[Said]] = defaultdict(list)
    for one in found_:
        word = slips.chosen(one.bares, one.place)
        if word is not None:
            chances = slips.probabilities(word, slips.surroundings(one.bares, one.place, slips.kind))
            best = int(chances.argmax())
            answer = Said(word.ways[one.right], word.ways[best], float(chances[best]), float(chances[one.right]))
            for way in word.ways:
                by_written[way].append(answer)
    return by_written


def thresholds(own: list[Place], others: list[Place]) -> dict[str, float]:
    """Return how sure each change must be: a step more than where enough are right and few careful words are changed.

    Who sets an apostrophe means it: nothing takes a possessive's away.
    Where a public text says what the model rules out, its author may have slipped: that is no proof.
    """
    limits = {}
    own_said, others_said = said(own), said(others)
    for written in sorted(own_said.keys() | others_said.keys()):
        if written.endswith((" 's", " s'", "Month")):
            continue
        cases = (
            (own_said[written], CHANGED),
            ([one for one in others_said[written] if one.rightly > RULED_OUT], CHANGED_PUBLIC),
        )
        for new in sorted({one.right for case, _ in cases for one in case} - {written}):
            careful = sum(one.right == written for case, _ in cases for one in case)
            for limit, surer in pairwise(LIMITS):
                right = sum(one.right == one.best == new and one.chance >= limit for case, _ in cases for one in case)
                if right >= LEAST_PROOF and all(_is_enough(case, written, new, limit, most) for case, most in cases):
                    limits[f"{written}>{new}"] = surer if careful >= MANY else max(surer, SURE)
                    break
    return limits


def _is_enough(case: list[Said], written: str, new: str, limit: float, most: float) -> bool:
    changed = [one for one in case if one.best == new and one.chance >= limit]
    wrong = sum(one.right != new for one in changed)
    false = sum(one.right == written for one in changed)
    return wrong <= (1 - PRECISION) * len(changed) and false <= most * sum(one.right == written for one in case)


@dataclass(frozen=True)
class Figures:
    """Shares: careful words unchanged, careful posts unchanged, changes that are right, slips that were mended."""

    words: float
    posts: float
    precision: float
    recall: float
    slips: int


def measured(texts: list[str], rng: np.random.Generator) -> Figures:
    """Measure the model at its thresholds, on posts as they are and with each word as a hasty author slips."""
    same = [slips.mended(masked) == masked for masked in (mask(text).text for text in texts)]
    kept, changed, right = [], [], []
    for one in (place for text in texts for place in found(text)):
        word = slips.chosen(one.bares, one.place)
        if word is None:
            continue
        meant = word.forms[one.right]
        if one.bares[one.place] == meant:
            kept.append(slips.better(one.bares, one.place) is None)
        slipped = hasty(one, rng)
        for form, way in zip(word.forms, word.ways, strict=True):
            if form != meant and not way.endswith((" 's", " s'")):
                slipped.bares[slipped.place] = form.lower()
                new = slips.better(slipped.bares, slipped.place)
                changed.append(new is not None)
                right.append(new == meant)
    shares = sum(kept) / len(kept), sum(same) / len(same), sum(right) / max(1, sum(changed)), sum(right) / len(right)
    return Figures(*shares, len(right))


def save(model: Slips, folder: Path, figures: Figures | None) -> str:
    """Write weights.npz and metadata.json, and return the version."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, keys=model.keys, kinds=model.kinds, weights=model.weights)
    folder.mkdir(exist_ok=True)
    (folder / "weights.npz").write_bytes(buffer.getvalue())
    digest = sha256(buffer.getvalue()).hexdigest()
    today = datetime.now(UTC).date().isoformat()
    metadata = {
        "format": FORMAT, "version": f"{today}-{digest[:8]}", "sha256": {"weights.npz": digest}, "created": today,
        "scale": model.scale, "thresholds": model.thresholds,
        "libraries": {name: version(name) for name in ("numpy", "scipy", "spacy-lookups-data")},
        "figures": asdict(figures) if figures else None,
    }  # fmt: skip
    (folder / "metadata.json").write_text(json.dumps(metadata, ensure_ascii=False) + "\n", encoding="utf-8")
    return str(metadata["version"])


def card(version_: str, figures: Figures, counts: dict[str, int]) -> str:
    """Return CARD.md."""
    return f"""# Slips {version_}

Tells confused English words apart (`its`, `it's`; `then`, `than`; `my mums car`): a log-linear model over the forms
of a word (neighbors, their clusters, signs of the sentence), int8 weights. `python -m training.slips`.

Learned from {counts["posts"]} posts and the sentences written for this project, and from {counts["public"]} words in
public texts whose authors set apostrophes: posts of US legislators (twitter-category-nlp), of celebrities (tweety) and
of finance brands (recent_tweets), none with a stated licence; ratio538 and Upworthy (CC BY 4.0), tan2014 (MIT),
GoEmotions (Apache-2.0). Clusters: spacy-lookups-data (MIT).

{counts["measured"]} posts of briefs that did not train (their errors were read while this was made). As they
are: {figures.words:.4f} of the
words and {figures.posts:.4f} of the posts unchanged. Hasty, with {figures.slips} slips: precision
{figures.precision:.4f}, recall {figures.recall:.4f}.
The thresholds of each change are in metadata.json; a change without one is never made.

## Limits
- Two words back and two ahead: what only the rest of a sentence tells stays as it was typed.
- Lists: family, people, days, times and a few things have possessives, seventy verbs have an `s`.
- Short posts; poetry, dialect and long prose are not measured.
"""


def main() -> None:
    """Train, write, measure, and print the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--briefs", type=Path, nargs="+", required=True)
    parser.add_argument("--models", type=Path, required=True)
    arguments = parser.parse_args()
    folder = arguments.models / "slips"
    rng = np.random.default_rng(0)
    learned, choosing, judging = posts(arguments.briefs)
    written = Path(__file__).with_name("slips_sentences.txt").read_text(encoding="utf-8").splitlines()
    ours = [place for text in (*learned, *written, *written) for place in found(text)]
    theirs, proofs = sampled(arguments.data, rng)
    kinds = clusters()
    mixed = [one if rng.random() > HASTY else hasty(one, rng) for one in theirs]
    mixed += [one for place in ours for one in (place, *(hasty(place, rng) for _ in range(OWN - 1)))]
    weights, _ = fit(choices(mixed, kinds), PENALTY)
    save(packed(weights, kinds), folder, None)
    slips.load.cache_clear()
    own = [place for text in choosing for place in found(text)]
    model = slips.load()
    model.thresholds.update(thresholds(own + [hasty(place, rng) for place in own], proofs))
    figures = measured(judging, rng)
    version_ = save(model, folder, figures)
    counts = {"posts": len(learned), "public": len(theirs), "measured": len(judging)}
    text = card(version_, figures, counts)
    (folder / "CARD.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
