"""Trains the second opinion of the verifier from briefs with good posts, and from posts with one fault each.

python -m training.verifier --data ../shared/data/briefs --out models/verifier
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipelines.generator.second_opinion import FORMAT, SecondOpinion, load_second_opinion
from pipelines.generator.verifier import examine, pair_of, verify
from pipelines.generator.verifier_features import WordStatistics, features
from pipelines.generator.verifier_vocabulary import vocabulary
from pipelines.records import Language

STYLES = ("plain", "lead", "angle")
SEED = 7


@dataclass(frozen=True)
class Example:
    """A post for a brief; an empty fault says that it is good, one in brackets that a program put it there."""

    brief: str
    post: str
    language: Language
    fault: str
    style: str = ""
    kind: str = ""


def load_examples(folders: Sequence[Path], language: Language) -> list[Example]:
    """Read all briefs of a language and the posts with a fault, from files named after the language or `neg`."""
    examples: list[Example] = []
    for path in sorted(path for folder in folders for path in folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            if "posts" in row and path.name.startswith(language):
                examples += [
                    Example(row["brief"], post, language, "", style, row.get("kind", ""))
                    for style, post in zip(STYLES, row["posts"], strict=True)
                ]
            elif "fault" in row and row["language"] == language:
                examples.append(Example(row["brief"], row["post"], language, row["fault"]))
    return examples


def corrupted(example: Example, others: Sequence[Example], rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield posts with one fault that a program put into a good one, each with the name of the fault."""
    words = list(WORD.finditer(example.post))
    functions = vocabulary(example.language).functions
    content = [m for m in words if m.group().lower() not in functions and len(m.group()) > 2]
    donor = rng.choice(others).post
    pool = [m.group().lower() for m in WORD.finditer(donor) if m.group().lower() not in functions]
    pool = [word for word in pool if len(word) > 3 and word not in example.post.lower()]
    if content:
        yield from _reworded(example.post, content, pool, rng)
    yield from _parted(example, donor, rng)
    yield from _small(example, words, rng)
    if len(words) > 6:
        yield example.post[: words[rng.randrange(len(words) // 2, len(words) - 1)].end()], "[cut]"
    if questions := [part for part in QUESTION.findall(donor) if len(part) < 90]:
        yield f"{example.post} {questions[0].strip()}", "[question]"


def _reworded(post: str, content: list[Any], pool: list[str], rng: random.Random) -> Iterator[tuple[str, str]]:
    if len(content) >= 4:
        one, two = sorted(rng.sample(content, 2), key=lambda match: int(match.start()))
        middle = post[one.end() : two.start()]
        yield f"{post[: one.start()]}{two.group()}{middle}{one.group()}{post[two.end() :]}", "[swapped]"
    if pool:
        target, word = rng.choice(content), rng.choice(pool)
        yield post[: target.start()] + word + post[target.end() :], "[replaced]"
        yield f"{post[: target.start()]}{word} {post[target.start() :]}", "[inserted]"


def _parted(example: Example, donor: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    post = example.post
    parts = list(PART.finditer(post))
    if len(parts) > 1:
        gone, where = rng.choice(parts), rng.choice(parts)
        if left := (post[: gone.start()] + post[gone.end() :]).strip(" ,;"):
            yield left[0].upper() + left[1:], "[part lost]"
        extra = [match.group().strip(" .,;:!?\n").lower() for match in PART.finditer(donor)]
        extra = [part for part in extra if 1 <= len(part.split()) <= 5 and not any(char.isdigit() for char in part)]
        if extra:
            end = where.end() - (post[where.end() - 1] in ".,;:!?")
            yield f"{post[:end].rstrip()}, {rng.choice(extra)}{post[end:]}", "[part added]"
    if phrases := list(PHRASE[example.language].finditer(post)):
        phrase = rng.choice(phrases)
        yield post[: phrase.start()].rstrip() + post[phrase.end() :], "[phrase lost]"


def _small(example: Example, words: list[Any], rng: random.Random) -> Iterator[tuple[str, str]]:
    post = example.post
    for table, name in ((SMALL_SWAPS[example.language], "[small word]"), (NEGATIONS[example.language], "[negation]")):
        if hits := [match for match in words if match.group().lower().replace("\u2019", "'") in table]:
            hit = rng.choice(hits)
            put = rng.choice(table[hit.group().lower().replace("\u2019", "'")].split("|"))
            put = put.capitalize() if hit.group()[0].isupper() else put
            yield (post[: hit.start()] + put + post[hit.end() :]).replace("  ", " ").strip(), name


def statistics_of(examples: Sequence[Example], language: Language) -> Statistics:
    """Count what good posts bring and drop; `without` gives the counts with one brief left out."""
    brought: dict[str, Counter[str]] = {}
    for example in examples:
        pair = pair_of(example.brief, example.post, language, free=None)
        new = {word.stem for word in pair.new_words}
        lost = {word.stem for word in pair.lost_words}
        counter = brought.setdefault(example.brief, Counter())
        side = "good" if not example.fault else "bad"
        counter.update(f"{side} new {stem}" for stem in new)
        counter.update(f"{side} lost {stem}" for stem in lost)
        counter.update(f"{side} here {word.stem}" for word in pair.brief.words if word.content)
        if not example.fault and len(new) <= 4 and len(lost) <= 4:
            counter.update(f"swap {old} {stem}" for old in lost for stem in new)
    return Statistics(brought)


class Statistics:
    """Counts by brief, so that a brief's own can be left out of what is known about its words."""

    def __init__(self, by_brief: dict[str, Counter[str]]) -> None:
        self.by_brief = by_brief
        self.presence: Counter[str] = Counter()
        for counter in by_brief.values():
            self.presence.update(counter.keys())

    def without(self, briefs: set[str]) -> WordStatistics:
        """Return what is known without the given briefs."""
        counts = self.presence.copy()
        for brief in briefs:
            counts.subtract(self.by_brief.get(brief, Counter()).keys())
        brought: dict[str, float] = {"": -1.0}
        dropped: dict[str, float] = {"": -0.5}
        exchanged: dict[str, float] = {}
        for name, count in counts.items():
            if count <= 0:
                continue
            side, _, rest = name.partition(" ")
            what, _, stem = rest.partition(" ")
            if side == "good" and what == "new" and count >= 2:
                bad = counts[f"bad new {stem}"]
                brought[stem] = round(math.log((count + 0.5) / (3 * bad + 1.5)), 3)
            elif side == "good" and what == "here" and count >= 2:
                lost = counts[f"good lost {stem}"]
                dropped[stem] = round(math.log((lost + 0.3) / (count - lost + 0.7)), 3)
            elif side == "swap" and count >= 2:
                exchanged[f"{what} {stem}"] = float(count)
        return WordStatistics(brought, dropped, exchanged)


def matrix(
    examples: Sequence[Example], statistics: Statistics, folds: int, known: WordStatistics | None = None
) -> tuple[NDArray[np.float64], list[str]]:
    """Return the features of examples; the word statistics of an example never come from its own fold of briefs."""
    fold_of = fold_by_brief(examples, folds)
    tables: dict[int, WordStatistics] = {}
    if known is None:
        briefs: dict[int, set[str]] = defaultdict(set)
        for brief, fold in fold_of.items():
            briefs[fold].add(brief)
        tables = {fold: statistics.without(its) for fold, its in briefs.items()}
    rows = []
    for example in examples:
        pair = pair_of(example.brief, example.post, example.language, free=None)
        table = known if known is not None else tables[fold_of[example.brief]]
        rows.append(features(pair, table, Counter(objection.rule for objection in examine(pair))))
    names = list(rows[0])
    return np.array([[row[name] for name in names] for row in rows]), names


def fold_by_brief(examples: Sequence[Example], folds: int) -> dict[str, int]:
    """Return the fold of each brief, shuffled."""
    briefs = sorted({example.brief for example in examples})
    random.Random(SEED).shuffle(briefs)
    return {brief: index % folds for index, brief in enumerate(briefs)}


WORD = regex.compile(r"(?<![@#/\w.])\p{L}[\p{L}'\u2019\-]*")
PART = regex.compile(r"[^,.;:!?\n]+[,.;:!?\n]*")
QUESTION = regex.compile(r"[^.!?\n]+\?")
PHRASE: dict[str, Any] = {
    "en": regex.compile(
        r"(?<=\p{L}|\d) (?:in|at|for|with|from|by|until|till|on|to|about|between|per|without|before|after|only|up to"
        r"|over|under|when|if|because|who|that) (?:\p{L}+ ?){1,3}(?=[,.;:!?\n]|$)"
    ),
    "es": regex.compile(
        r"(?<=\p{L}|\d) (?:en|a|para|con|desde|por|hasta|de|sobre|entre|sin|antes|después|solo|si|cuando|porque|que)"
        r" (?:\p{L}+ ?){1,3}(?=[,.;:!?\n]|$)"
    ),
}
SMALL_SWAPS: dict[str, dict[str, str]] = {
    "en": {
        "we": "you|they|I", "our": "your|their|my", "us": "you|them|me", "you": "we|they", "your": "our|their|my",
        "i": "you|we|they", "my": "your|our|their", "me": "you|us|them", "they": "we|you", "their": "our|your",
        "he": "she|they", "she": "he|they", "for": "by|from|with", "by": "for|from|after", "from": "to|until|up to",
        "to": "from|for", "until": "from|after", "till": "from|after", "before": "after", "after": "before",
        "with": "without|for", "over": "under", "under": "over", "only": "also|", "all": "some|most|many", "at": "near",
        "every": "some|each second", "some": "all|most", "many": "few", "more": "less", "less": "more", "first": "last",
        "last": "first|next", "best": "worst", "worst": "best", "max": "min", "min": "max", "most": "some|all",
        "and": "or", "or": "and", "if": "because", "because": "although", "can": "must|can't", "will": "may|won't",
        "may": "will", "must": "can", "free": "cheap", "open": "closed", "closed": "open", "new": "old|first",
        "everyone": "some people", "anyone": "everyone", "who": "whom we", "this": "next", "next": "this|last",
        "please": "", "also": "only", "still": "no longer", "again": "", "up": "down", "out": "in", "one": "another",
    },
    "es": {
        "nos": "os|les", "nuestro": "vuestro|su", "nuestra": "vuestra|su", "tu": "mi|su", "mi": "tu|su", "te": "me|le",
        "os": "nos|les", "para": "de|por|sin", "por": "para|con", "desde": "hasta", "hasta": "desde|a partir de",
        "con": "sin", "antes": "después", "después": "antes", "solo": "también|", "sólo": "también|",
        "todos": "algunos|muchos", "todas": "algunas", "más": "menos", "menos": "más", "mejor": "peor", "peor": "mejor",
        "y": "o", "o": "y", "si": "porque", "porque": "aunque", "puede": "debe", "gratis": "barato", "abre": "cierra",
        "nuevo": "viejo|único", "nueva": "antigua|única", "primer": "último", "primera": "última", "última": "primera",
        "cada": "algún", "también": "solo", "ya": "aún no", "a": "de", "de": "para", "este": "el próximo",
    },
}  # fmt: skip
NEGATIONS: dict[str, dict[str, str]] = {
    "en": {
        "not": "|", "no": "|some|a", "never": "always|often", "nobody": "everybody|somebody", "nothing": "everything",
        "without": "with", "don't": "do|", "doesn't": "does", "can't": "can", "won't": "will", "isn't": "is",
        "aren't": "are", "didn't": "did", "hasn't": "has", "haven't": "have", "wasn't": "was", "weren't": "were",
        "couldn't": "could", "shouldn't": "should", "none": "some", "cannot": "can", "is": "isn't", "are": "aren't",
        "can": "can't", "do": "don't", "was": "wasn't",
    },
    "es": {
        "no": "|", "sin": "con", "nunca": "siempre", "nadie": "todos", "nada": "todo", "ni": "y", "tampoco": "también",
        "es": "no es", "está": "no está", "hay": "no hay", "son": "no son",
    },
}  # fmt: skip

# Shares and styles may speak for or against; everything else can only speak against a post.
EITHER_WAY = frozenset({
    "brief items", "brief asks", "free", "small share", "step next in", "step next out", "step same in",
    "step same out", "next share", "gram share of brief", "gram share of post", "last sentence words", "marks",
    "new oddest", "lost oddest", "new odds", "lost odds",
})  # fmt: skip
LEFT_OUT = frozenset({
    "length", "post items", "brief length", "lines", "sentences", "length ratio", "first sentence known",
})  # fmt: skip
PENALTY = 0.002
JUDGED_ELSEWHERE = frozenset({"filler", "wrong_tone", "grammar", "keyword_string", "mismatched_question"})


def fit(
    values: NDArray[np.float64], names: Sequence[str], faulty: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[list[tuple[str, float, float]], float]:
    """Fit a logistic regression whose weights may only speak against a post; return (name, clip, weight) and bias."""
    columns, specification, bounds = [], [], []
    for index, name in enumerate(names):
        if name in LEFT_OUT or name.startswith("rule "):
            continue
        for most in (1.0, 4.0) if name not in EITHER_WAY else (60.0,):
            columns.append(np.clip(values[:, index], -most, most))
            specification.append((name, most))
            bounds.append((None, None) if name in EITHER_WAY else (0, None))
    inputs = np.array(columns).T
    mean, scale = inputs.mean(0), inputs.std(0) + 1e-6
    inputs = (inputs - mean) / scale
    total = weight.sum()

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = inputs @ theta[:-1] + theta[-1]
        error = weight * (1 / (1 + np.exp(-scores)) - faulty) / total
        value = (weight * (np.logaddexp(0, scores) - faulty * scores)).sum() / total + PENALTY * theta[:-1] @ theta[:-1]
        return float(value), np.append(inputs.T @ error + 2 * PENALTY * theta[:-1], error.sum())

    theta = minimize(
        loss, np.zeros(len(specification) + 1), jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)],
        options={"maxiter": 100},
    ).x  # fmt: skip
    weights = theta[:-1] / scale
    bias = float(theta[-1] - (weights * mean).sum())
    kept = [
        (name, most, round(float(value), 5))
        for (name, most), value in zip(specification, weights, strict=True)
        if abs(value) > 1e-5
    ]
    return kept, bias


def held_out(folders: Sequence[Path], language: Language) -> set[str]:
    """Return the briefs in odd rows of the files of a folder: the last word, nothing is fitted on them."""
    return {
        json.loads(line)["brief"]
        for folder in folders
        for path in sorted(folder.glob(f"{language}_*.jsonl"))
        for index, line in enumerate(path.read_text(encoding="utf-8").splitlines())
        if index % 2
    }


def train(data: Sequence[Path], unseen: Sequence[Path], language: Language, passing: float) -> dict[str, Any]:
    """Train one language on `data` and the even rows of `unseen`, and return what is stored."""
    last_word = held_out(unseen, language)
    fresh = load_examples(unseen, language)
    known = load_examples(data, language)
    examples = [*known, *(example for example in fresh if example.brief not in last_word)]
    rng = random.Random(SEED)
    good = [example for example in examples if not example.fault]
    made = []
    for example in good:
        if rng.random() < 0.5:
            faults = list(corrupted(example, good, rng))
            if faults:
                post, fault = rng.choice(faults)
                made.append(Example(example.brief, post, language, fault))
    statistics = statistics_of(examples, language)
    every = [*examples, *made]
    values, names = matrix(every, statistics, 10)
    rules = [index for index, name in enumerate(names) if name.startswith("rule ")]
    passed = values[:, rules].sum(1) == 0
    faulty = np.array([float(bool(example.fault)) for example in every])
    new = {example.brief for example in fresh}
    weight = np.array(
        [
            0.5 if example.fault.startswith("[") else 4.0 if example.fault else 2.0 if example.brief in new else 0.7
            for example in every
        ]
    )
    weights, bias = fit(values[passed], names, faulty[passed], weight[passed])
    column = {name: index for index, name in enumerate(names)}
    scores = bias + sum(w * np.clip(values[:, column[name]], -most, most) for name, most, w in weights)
    own = np.array([not e.fault and (e.brief in new or not new) for e in every])
    ranked = np.sort(np.where(passed, scores, np.inf)[own])
    threshold = float(ranked[min(len(ranked) - 1, int(passing * len(ranked)))])
    table = statistics.without(set())
    return {
        "brought": table.brought,
        "dropped": table.dropped,
        "exchanged": table.exchanged,
        "weights": weights,
        "bias": round(bias, 5),
        "threshold": round(threshold if np.isfinite(threshold) else float(np.max(scores)), 5),
    }


def figures(opinion: SecondOpinion | None, examples: Sequence[Example]) -> dict[str, str]:
    """Return the share that passes of good posts by style and kind, and the share refused by fault, in per cent."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for example in examples:
        refused = bool(verify(example.brief, example.post, example.language, opinion=opinion))
        if example.fault:
            names = [
                f"fault {example.fault}",
                "faults",
                f"faults of the {'judge' if example.fault in JUDGED_ELSEWHERE else 'verifier'}",
            ]
        else:
            names = [f"good {example.style}", f"good {example.kind}", "good"]
        for name in names:
            counts[name][0] += refused if example.fault else not refused
            counts[name][1] += 1
    return {name: f"{100 * hits / total:.0f} % of {total}" for name, (hits, total) in sorted(counts.items())}


def main() -> None:
    """Train both languages, store them, print the figures of the rows held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--unseen", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--passing", type=float, default=0.8, help="share of good posts that may pass")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    hashes, measured = {}, {}
    languages: tuple[Language, ...] = ("en", "es")
    for language in languages:
        content = json.dumps(
            train(arguments.data, arguments.unseen, language, arguments.passing), ensure_ascii=False, sort_keys=True
        ).encode()
        (arguments.out / f"{language}.json").write_bytes(content)
        hashes[f"{language}.json"] = hashlib.sha256(content).hexdigest()
    metadata: dict[str, Any] = {"format": FORMAT, "sha256": hashes}
    (arguments.out / "metadata.json").write_text(json.dumps(metadata, indent=1), encoding="utf-8")
    for language in languages:
        last_word = held_out(arguments.unseen, language)
        examples = [example for example in load_examples(arguments.unseen, language) if example.brief in last_word]
        measured[language] = {
            "rules": figures(None, examples),
            "rules and second opinion": figures(load_second_opinion(arguments.out, language), examples),
        }
        print(language, json.dumps(measured[language], indent=1), flush=True)
    metadata["held out"] = measured
    (arguments.out / "metadata.json").write_text(json.dumps(metadata, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
