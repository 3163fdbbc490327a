"""The labeled texts that the encoder learns from and is judged on, by task; each part names its source and licence."""

from __future__ import annotations

import csv
import html
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.encoder import ENTITY_TYPES
from pipelines.records import EmotionLabel, Intent, SensitivityLabel, SentimentLabel

SENTIMENTS: tuple[str, ...] = get_args(SentimentLabel)
EMOTIONS: tuple[str, ...] = get_args(EmotionLabel)
INTENTS: tuple[str, ...] = get_args(Intent)
SENSITIVITIES: tuple[str, ...] = get_args(SensitivityLabel)
TWEETEVAL_EMOTIONS = ("anger", "joy", "optimism", "sadness")
# The order of GoEmotions' Ekman grouping (Demszky et al. 2020, arXiv:2005.00547).
EKMAN = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
EMOEVENT = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
WNUT_TYPES = {"person": "PER", "location": "LOC", "corporation": "ORG", "group": "ORG"}
CORPORATE = {"Information": "inform", "Action": "promote", "Dialogue": "help"}
TWEET_ACTS = {"EXP": "opinion", "QUE": "ask", "STM": "inform", "REQ": "ask", "OTH": "other"}
# Every how-manieth text of a set is held out, chosen by its own hash.
HELD_OUT = 10
# The sensitivity model learns what the encoder says of texts that it has not seen, and needs more of them.
SENSITIVITY_FOLDS = 5
# The texts that were written for this project.
WRITTEN = Path(__file__).parent
KINDS = WRITTEN / "kinds_texts.jsonl"
INTENT_TEXTS = WRITTEN / "intent_texts.tsv"
SENSITIVITY_TEXTS = WRITTEN / "sensitivity_texts.jsonl"
ENTITY_TEXTS = WRITTEN / "entities_es.txt"
ENTITY_SOURCES = (
    "Broad Twitter Corpus (GateNLP, CC BY 4.0)",
    "WNUT 2017 (leondz/emerging_entities_17, CC BY 4.0)",
    "entities_es.txt, written for this project",
)
MARKED = re.compile(r"\[(PER|ORG|LOC) ([^\]]+)\]")


@dataclass(frozen=True)
class Labeled:
    """Texts with (n, classes) targets whose rows sum to 1, and the labels that this source can give."""

    texts: list[str]
    targets: NDArray[np.float32]
    labels: tuple[str, ...]

    def where(self, kept: Iterable[int]) -> Labeled:
        """Return some of the rows."""
        rows = list(kept)
        return Labeled([self.texts[row] for row in rows], self.targets[rows], self.labels)

    @property
    def winners(self) -> NDArray[np.int64]:
        """The class with the most weight, by row."""
        winners: NDArray[np.int64] = self.targets.argmax(axis=1)
        return winners

    def split(self, every: int = HELD_OUT) -> tuple[Labeled, Labeled]:
        """Return what is learned from and what is held out, told apart by the hash of the text."""
        held = np.array([held_out(text, every) for text in self.texts])
        return self.where(np.flatnonzero(~held)), self.where(np.flatnonzero(held))


@dataclass(frozen=True)
class Task:
    """One head: its labels, its training parts with how often each is seen in an epoch, and what fits and judges.

    `validation` fits the calibration and `test` judges, both by language.
    """

    name: str
    labels: tuple[str, ...]
    train: tuple[tuple[Labeled, float], ...]
    validation: Mapping[str, Labeled]
    test: Mapping[str, Labeled]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Tagged:
    """Texts with the (start, end, type) of each entity; types are those of ENTITY_TYPES."""

    texts: list[str]
    spans: list[list[tuple[int, int, str]]]

    def where(self, kept: Iterable[int]) -> Tagged:
        """Return some of the rows."""
        rows = list(kept)
        return Tagged([self.texts[row] for row in rows], [self.spans[row] for row in rows])


def held_out(text: str, every: int = HELD_OUT) -> bool:
    """Tell whether a text is held out of training."""
    return zlib.crc32(text.encode()) % every == 0


def read_tasks(data: Path) -> list[Task]:
    """Read the tasks of the encoder that give a text one label from the data folder."""
    kinds = read_kinds()
    return [
        _sentiment(data / "sentiment", kinds),
        _emotion(data, kinds),
        _irony(data / "irony"),
        _offensive(data),
        _intent(data / "intent", kinds),
        _sensitivity(),
    ]


def read_kinds() -> list[dict[str, str]]:
    """Read the texts of kinds that are easily misread: language, kind, text, sentiment, emotion, intent."""
    return [json.loads(line) for line in KINDS.read_text(encoding="utf-8").splitlines()]


def _sentiment(folder: Path, kinds: Sequence[Mapping[str, str]]) -> Task:
    semeval, judged = _semeval(folder / "semeval_train.parquet").split()
    spanish, fitting = tweeteval(folder / "umsab_es_train.parquet", SENTIMENTS, SENTIMENTS).split()
    others = tweeteval(folder / "umsab_others.parquet", SENTIMENTS, SENTIMENTS)
    return Task(
        "sentiment",
        SENTIMENTS,
        ((semeval, 0.75), (spanish, 3.0), (others, 0.4), (_written(kinds, "sentiment", SENTIMENTS), 3.0)),
        {"en": tweeteval(folder / "tweeteval_val.parquet", SENTIMENTS, SENTIMENTS), "es": fitting},
        {"en": judged, "es": tweeteval(folder / "umsab_es_val.parquet", SENTIMENTS, SENTIMENTS)},
        sources=(
            "SemEval 2013-2017 task A (cbaziotis/datastories-semeval2017-task4)",
            "UMSAB es, pt, it, fr, de (cardiffnlp/xlm-t, Apache-2.0)",
            "kinds_texts.jsonl, written for this project",
        ),
    )


def _emotion(data: Path, kinds: Sequence[Mapping[str, str]]) -> Task:
    folder = data / "emotion"
    tweets, fitting = tweeteval(folder / "tweeteval_train.parquet", TWEETEVAL_EMOTIONS, EMOTIONS).split()
    spanish, fitting_es = emoevent(folder / "emoevent_es_train.parquet").split()
    return Task(
        "emotion",
        EMOTIONS,
        (
            (tweets, 3.0),
            (goemotions(data / "goemotions" / "train.tsv"), 0.25),
            (spanish, 2.0),
            (emoevent(folder / "emoevent_en_train.parquet"), 0.4),
            (_written(kinds, "emotion", EMOTIONS), 2.0),
        ),
        {"en": fitting, "es": fitting_es},
        {
            "en": tweeteval(folder / "tweeteval_val.parquet", TWEETEVAL_EMOTIONS, EMOTIONS),
            "es": emoevent(folder / "emoevent_es_dev.parquet"),
        },
        sources=(
            "TweetEval emotion (cardiffnlp/tweeteval)",
            "GoEmotions, Ekman grouping (monologg/GoEmotions-pytorch, Apache-2.0)",
            "EmoEvent es, en (fmplaza/EmoEvent)",
            "kinds_texts.jsonl, written for this project",
        ),
    )


def _irony(folder: Path) -> Task:
    labels = ("not_irony", "irony")
    fitting, judged = _halves(tweeteval(folder / "tweeteval_val.parquet", labels, labels))
    return Task(
        "irony",
        labels,
        ((tweeteval(folder / "tweeteval_train.parquet", labels, labels), 2.0),),
        {"en": fitting},
        {"en": judged},
        sources=("TweetEval irony (cardiffnlp/tweeteval)",),
    )


def _offensive(data: Path) -> Task:
    labels = ("not_offensive", "offensive")
    fitting, judged = _halves(tweeteval(data / "offensive" / "tweeteval_val.parquet", labels, labels))
    spanish, fitting_es = _emoevent_offensive(data / "emotion" / "emoevent_es_train.parquet", labels).split(5)
    return Task(
        "offensive",
        labels,
        ((tweeteval(data / "offensive" / "tweeteval_train.parquet", labels, labels), 0.8), (spanish, 0.7)),
        {"en": fitting, "es": fitting_es},
        {"en": judged, "es": _emoevent_offensive(data / "emotion" / "emoevent_es_dev.parquet", labels)},
        sources=("TweetEval offensive (cardiffnlp/tweeteval)", "EmoEvent es (fmplaza/EmoEvent)"),
    )


def _intent(folder: Path, kinds: Sequence[Mapping[str, str]]) -> Task:
    with INTENT_TEXTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    written = _numbered([(row["text"], row["label"]) for row in rows], INTENTS)
    learned, fitting = written.split()
    return Task(
        "intent",
        INTENTS,
        ((learned, 6.0), (_written(kinds, "intent", INTENTS), 3.0), (_public_intents(folder), 0.25)),
        {"en": fitting, "es": fitting},
        {},
        sources=(
            "intent_texts.tsv and kinds_texts.jsonl, written for this project",
            "corporate_messaging (CrowdFlower), tweet_acts (BSD-2), clinc150 (CC BY 3.0)",
        ),
    )


def _public_intents(folder: Path) -> Labeled:
    """What public sets say of our labels, in English; of assistant queries some hundreds, as `other`."""
    found = [(text, CORPORATE[label]) for text, label, _ in read_corporate(folder.parent)]
    with (folder / "tweet_acts.csv").open(encoding="utf-8", newline="") as file:
        found += [
            (html.unescape(row[0]), TWEET_ACTS[row[1]]) for row in csv.reader(file) if row[1:2] and row[1] in TWEET_ACTS
        ]
    clinc = json.loads((folder / "clinc150.json").read_text())
    found += [(text, "other") for text, _ in clinc["oos_train"] + clinc["train"][::25]]
    return _numbered(found, INTENTS)


def read_corporate(data: Path) -> list[tuple[str, str, str]]:
    """Return (text, category, company) of corporate_messaging without what its labelers excluded."""
    with (data / "intent" / "corporate_messaging.csv").open(encoding="latin-1", newline="") as file:
        return [
            (html.unescape(row["text"]), row["category"], row["screenname"])
            for row in csv.DictReader(file)
            if row["category"] in CORPORATE
        ]


def _sensitivity() -> Task:
    rows = read_sensitivity()
    learned, fitting = _numbered([(row["text"], row["label"]) for row in rows], SENSITIVITIES).split(SENSITIVITY_FOLDS)
    by_text = {row["text"]: row["language"] for row in rows}
    parts = {
        language: fitting.where([n for n, text in enumerate(fitting.texts) if by_text[text] == language])
        for language in ("en", "es")
    }
    return Task(
        "sensitivity",
        SENSITIVITIES,
        ((learned, 1.3),),
        parts,
        {},
        sources=("sensitivity_texts.jsonl, written for this project",),
    )


def read_sensitivity() -> list[dict[str, str]]:
    """Read the texts that are sober, harmful or only look so, with language and label."""
    return [json.loads(line) for line in SENSITIVITY_TEXTS.read_text(encoding="utf-8").splitlines()]


def read_tagged(data: Path) -> tuple[list[tuple[Tagged, float]], Tagged]:
    """Return the texts with entities that are learned from, each part with its share, and those that judge (BTC)."""
    folder = data / "ner"
    tweets = Tagged([], [])
    for part in "abegh":
        more = conll(folder / f"btc_{part}.conll")
        tweets.texts.extend(more.texts)
        tweets.spans.extend(more.spans)
    held = np.array([held_out(text) for text in tweets.texts])
    wnut = conll(folder / "wnut17_train.conll")
    return [
        (tweets.where(np.flatnonzero(~held)), 1.7),
        (wnut, 1.0),
        (marked(ENTITY_TEXTS), 5.0),
    ], tweets.where(np.flatnonzero(held))


def conll(path: Path) -> Tagged:
    """Read tokens with IOB tags as texts with one blank between tokens.

    Handles and hashtags are no entities here: they are found by rule.
    """
    texts, spans = [], []
    for rows in _sentences(path):
        text, found = "", list[tuple[int, int, str]]()
        for token, tag in rows:
            glued = text.endswith("@") and not text.endswith(" @ ")
            start = len(text) + (0 if glued or not text else 1)
            text = text + ("" if glued or not text else " ") + token
            if tag == "O" or token.startswith(("@", "#")) or glued:
                continue
            sort, name = tag[0], WNUT_TYPES.get(tag[2:], tag[2:])
            if name not in ENTITY_TYPES:
                continue
            if sort == "I" and found and found[-1][2] == name and found[-1][1] == start - 1:
                found[-1] = (found[-1][0], len(text), name)
            else:
                found.append((start, len(text), name))
        texts.append(text)
        spans.append(found)
    return Tagged(texts, spans)


def _sentences(path: Path) -> Iterator[list[tuple[str, str]]]:
    rows: list[tuple[str, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if len(parts) >= 2:
            rows.append((html.unescape(parts[0]), parts[-1]))
        elif rows:
            yield rows
            rows = []
    if rows:
        yield rows


def marked(path: Path) -> Tagged:
    """Read texts, one a line, whose entities stand as `[PER Ana Ruiz]`."""
    texts, spans = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        text, found, place = "", list[tuple[int, int, str]](), 0
        for match in MARKED.finditer(line):
            text += line[place : match.start()]
            found.append((len(text), len(text) + len(match[2]), match[1]))
            text += match[2]
            place = match.end()
        texts.append(text + line[place:])
        spans.append(found)
    return Tagged(texts, spans)


def tweeteval(path: Path, own: Sequence[str], labels: Sequence[str]) -> Labeled:
    """Read a TweetEval file whose label numbers are places in `own`."""
    table = pq.read_table(path)
    places = np.array([labels.index(name) for name in own])
    return Labeled(
        _clean(table["text"].to_pylist()), _one_hot(places[table["label"].to_numpy()], len(labels)), tuple(own)
    )


def emoevent(path: Path) -> Labeled:
    """Read the emotions of an EmoEvent file; its `others` is our `neutral`."""
    table = pq.read_table(path)
    names = [name if name != "others" else "neutral" for name in table["emotion"].to_pylist()]
    numbers = np.array([EMOTIONS.index(name) for name in names])
    return Labeled(_clean(table["tweet"].to_pylist()), _one_hot(numbers, len(EMOTIONS)), EMOEVENT)


def _emoevent_offensive(path: Path, labels: tuple[str, ...]) -> Labeled:
    table = pq.read_table(path)
    numbers = np.array([int(value == "OFF") for value in table["offensive"].to_pylist()])
    return Labeled(_clean(table["tweet"].to_pylist()), _one_hot(numbers, len(labels)), labels)


def goemotions(path: Path) -> Labeled:
    """Read a GoEmotions file; a comment with several emotions gives each its share."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if len(row) == 3]
    targets = np.zeros((len(rows), len(EMOTIONS)), np.float32)
    for target, (_, numbers, _) in zip(targets, rows, strict=True):
        for number in numbers.split(","):
            target[EMOTIONS.index(EKMAN[int(number)])] += 1
    targets /= targets.sum(axis=1, keepdims=True)
    return Labeled(_clean([text for text, _, _ in rows]), targets, tuple(dict.fromkeys(EKMAN)))


def _written(kinds: Sequence[Mapping[str, str]], field: str, labels: tuple[str, ...]) -> Labeled:
    return _numbered([(row["text"], row[field]) for row in kinds], labels)


def _numbered(rows: Sequence[tuple[str, str]], labels: tuple[str, ...]) -> Labeled:
    numbers = np.array([labels.index(label) for _, label in rows])
    return Labeled([text for text, _ in rows], _one_hot(numbers, len(labels)), labels)


def _halves(part: Labeled) -> tuple[Labeled, Labeled]:
    """Split a part that must both fit and judge."""
    return part.where(range(0, len(part.texts), 2)), part.where(range(1, len(part.texts), 2))


def _semeval(path: Path) -> Labeled:
    table = pq.read_table(path)
    numbers = np.array([SENTIMENTS.index(label) for label in table["label"].to_pylist()])
    return Labeled(_clean(table["text"].to_pylist()), _one_hot(numbers, len(SENTIMENTS)), SENTIMENTS)


def _clean(texts: Sequence[Any]) -> list[str]:
    return [html.unescape(text) for text in texts]


def _one_hot(numbers: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    targets: NDArray[np.float32] = np.eye(classes, dtype=np.float32)[numbers]
    return targets
