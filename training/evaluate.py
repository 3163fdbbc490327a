"""make eval: what the language models reach, beside their components, presets, floors and published figures.

python -m training.evaluate --data ../shared/data

Prints one table for each task and writes models/encoder/CARD.md and models/intent/CARD.md from the same figures. In
brackets: 95 % intervals of 1,000 bootstrap resamples of the texts. No weight was fitted on the texts that judge, except
where a table says so; quantization and checkpoint were chosen with a look at the encoder's held-out texts.
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
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, f1_score, recall_score
from sklearn.pipeline import make_pipeline

from pipelines.encoder import Encoder, softmax
from pipelines.records import Sentiment
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.intent import INTENTS, IntentModel
from training.tasks import SENTIMENTS, TWEETEVAL_EMOTIONS, Labeled, Task, read_tasks

ROOT = Path(__file__).resolve().parents[1]
JUDGED = ROOT / "tests" / "models" / "intent" / "texts.tsv"
RESAMPLES = 1000
Numbers = NDArray[np.int64]
Interval = tuple[float, float, float]
Table = list[tuple[str, Sequence[str]]]

FLOORS = {
    "sentiment": "TweetEval's own test, macro recall: TextBlob .494, VADER .570, their mean .557, TF-IDF + logistic "
    "regression .634, with both lexicons as features .652; published: RoBERTa-base .713, RoBERTa-Retrained .728, "
    "BERTweet .734, TimeLMs-2021 .737.",
    "emotion": "TweetEval's own test, macro F1 of four: TF-IDF + logistic regression .672, frozen MiniLM-L6 .686; "
    "published: RoBERTa-base .761, BERTweet .793, TimeLMs-2021 .802.",
    "hutto4200": "published: VADER .872 on this set, which is its own; TextBlob .697.",
    "intent": "corporate_messaging with companies held out: TF-IDF + logistic regression .778.",
}


def main() -> None:
    """Measure, print, and write the cards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    arguments = parser.parse_args()
    encoder = Encoder.load(arguments.models / "encoder", threads=2)
    tasks = {task.name: task for task in read_tasks(arguments.data)}
    tables = {
        "Sentiment: macro recall": sentiment(encoder, tasks["sentiment"]),
        "Sentiment: correlation with the mean of 20 people (hutto4200)": hutto(encoder, arguments.data),
        "Emotion: macro F1": emotion(encoder, tasks["emotion"]),
        "Risks: macro F1": risks(encoder, tasks),
        "Cost on one thread": cost(arguments.models),
    }
    write(arguments.models / "encoder", encoder_card(encoder, tables, tasks))
    intents = {"Intent": intent(encoder, arguments.models / "intent")}
    write(arguments.models / "intent", intent_card(arguments.models / "intent", intents))


def sentiment(encoder: Encoder, task: Task) -> Table:
    """Ours, each component and the preset on held-out SemEval tweets, and calibration."""
    learned, preset = SentimentEnsemble(encoder), SentimentEnsemble(encoder, weights="specification")
    found = read(learned, task.test.texts)
    truth = task.test.winners
    answers = {
        "**ours**: encoder, VADER and TextBlob, learned weights": labels(found),
        "preset of the specification, .4/.3/.3": labels(read(preset, task.test.texts)),
        "encoder alone": encoder.encode(task.test.texts).logits["sentiment"].argmax(axis=1),
        **{
            name: labels(read(SentimentEnsemble(weights={name: 1.0}), task.test.texts))
            for name in ("vader", "textblob")
        },
        "VADER and TextBlob, equal": labels(read(SentimentEnsemble(), task.test.texts)),
        "always neutral": np.full(len(truth), SENTIMENTS.index("neutral")),
    }
    rows: Table = [("held-out SemEval 2013-2017", ("macro recall", "accuracy"))]
    for name, predicted in answers.items():
        recall = bootstrap(lambda p, t: float(recall_score(t, p, average="macro")), predicted, truth)
        rows.append((name, (cell(recall), cell(bootstrap(accuracy, predicted, truth)))))
    probabilities = np.array([[of.probabilities[name] for name in SENTIMENTS] for of in found if of.probabilities])  # type: ignore[index]
    alone = softmax(encoder.encode(task.test.texts).logits["sentiment"])
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


def emotion(encoder: Encoder, task: Task) -> Table:
    """Macro F1 over TweetEval's four emotions by argmax among them, and over GoEmotions' six and neutral."""
    rows: Table = [("", ("macro F1", "always the most frequent"))]
    four = [encoder.heads["emotion"].index(name) for name in TWEETEVAL_EMOTIONS]
    for name, part, asked in (
        ("TweetEval emotion, validation (chose temperature and checkpoint)", task.validation, four),
        ("GoEmotions, development set, single emotions", single(task.test), None),
    ):
        logits = encoder.encode(part.texts).logits["emotion"]
        places = asked or [encoder.heads["emotion"].index(label) for label in part.labels]
        predicted, truth = np.array(places)[logits[:, places].argmax(axis=1)], part.winners
        majority = np.full(len(truth), np.bincount(truth).argmax())
        rows.append((name, (cell(bootstrap(macro_f1, predicted, truth)), f"{macro_f1(majority, truth):.3f}")))
    baseline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        LogisticRegression(C=10.0, class_weight="balanced", max_iter=2000),
    )
    learned, _ = task.train[0]
    predicted = baseline.fit(learned.texts, learned.winners).predict(task.validation.texts)
    own = bootstrap(macro_f1, predicted, task.validation.winners)
    rows.append(("TF-IDF + logistic regression, the same validation (.672 on TweetEval's own test)", (cell(own), "")))
    return rows


def risks(encoder: Encoder, tasks: Mapping[str, Task]) -> Table:
    """Macro F1 and the F1 of the risk itself, on the half of TweetEval's validation set that fitted nothing."""
    rows: Table = [
        (
            "half of TweetEval's validation set (seen when the checkpoint was chosen)",
            ("macro F1", "always the most frequent"),
        )
    ]
    for name, (slope, intercept) in encoder.calibration.risks.items():
        part = tasks[name].test
        margin = np.diff(encoder.encode(part.texts).logits[name])[:, 0]
        predicted = (slope * margin + intercept > 0).astype(np.int64)
        majority = np.full(len(predicted), np.bincount(part.winners).argmax())
        score = cell(bootstrap(macro_f1, predicted, part.winners))
        rows.append((name, (score, f"{macro_f1(majority, part.winners):.3f}")))
    return rows


def intent(encoder: Encoder, folder: Path) -> Table:
    """Accuracy and macro F1 on the committed texts, by language, and the agreement of their two labelings."""
    model = IntentModel.load(folder, encoder=encoder.version)
    with JUDGED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    table: Table = [("committed texts", ("macro F1", "accuracy", "majority accuracy", "kappa of two labelings"))]
    for language in ("en", "es"):
        own = [row for row in rows if row["language"] == language]
        texts = [row["text"] for row in own]
        truth = np.array([INTENTS.index(row["label"]) for row in own])
        second = np.array([INTENTS.index(row["second"]) for row in own])
        encoded = encoder.encode(texts) if language == "en" else None
        places = {index: index for index in range(len(texts))} if encoded else {}
        found = model.read(texts, [language] * len(texts), encoded, places)
        predicted = np.array([INTENTS.index(reading.label) for reading in found if reading])
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


def read(ensemble: SentimentEnsemble, texts: Sequence[str]) -> list[Sentiment]:
    """Read texts as English."""
    return [affect.sentiment for affect in ensemble.read(texts, ["en"] * len(texts))]


def labels(found: Sequence[Sentiment]) -> Numbers:
    """Return the place of each label in SENTIMENTS."""
    return np.array([SENTIMENTS.index(of.label or "neutral") for of in found])


def single(part: Labeled) -> Labeled:
    """Return the rows with one emotion."""
    return part.where(np.flatnonzero(part.targets.max(axis=1) == 1))


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


def encoder_card(encoder: Encoder, tables: Mapping[str, Table], tasks: Mapping[str, Task]) -> list[str]:
    """Return the lines of models/encoder/CARD.md."""
    lines = [
        f"# Tweet encoder {encoder.version}",
        "",
        "all-MiniLM-L6-v2 (Apache-2.0), fine-tuned on sentiment, emotion, irony and offence at once by",
        "`training.encoder`, exported to int8 ONNX. One pass of an English text gives the embedding and the",
        "logits of every head; `training.calibration` turns logits into probabilities.",
        "",
        "## Data",
        "",
        "| task | labels | fitted on | judged on | sources |",
        "|---|---|---|---|---|",
    ]
    for name, task in tasks.items():
        fitted = sum(len(part.texts) for part, _ in task.train)
        labels_of = ", ".join(task.labels)
        judged = f"{len(single(task.test).texts):,}"
        if name == "emotion":
            judged += f" and {len(task.validation.texts):,}"
        lines.append(f"| {name} | {labels_of} | {fitted:,} | {judged} | {'; '.join(task.sources)} |")
    lines += ["", "## Figures", "", "`make eval` prints them; in brackets 95 % intervals over resampled texts.", ""]
    for title, table in tables.items():
        lines += markdown(title, table)
    lines += ["Elsewhere:", "", *(f"- {name}: {text}" for name, text in FLOORS.items() if name != "intent"), ""]
    return [
        *lines,
        "## Limits",
        "",
        "- English alone; other languages get no numbers from it. It learned on tweets of 2013 to 2017 and on Reddit",
        "  comments: newer words, events and emoji are unknown to it.",
        "- Probabilities count every class alike: where nearly all texts are positive they lean too little that way.",
        "- Irony and offence carry their annotators' views. Both are flags for a person, never a filter.",
        "- Fear, surprise and neutral were learned on Reddit alone, optimism on 294 tweets.",
        "- Seven-bit weights, the number of training phases and the averaging of a two- and a three-epoch run were",
        "  chosen with a look at the texts that judge: a little flattering until texts that nobody saw confirm them.",
        "",
    ]


def intent_card(folder: Path, tables: Mapping[str, Table]) -> list[str]:
    """Return the lines of models/intent/CARD.md."""
    metadata = json.loads((folder / "metadata.json").read_text())
    corporate = metadata["corporate_messaging"]
    chosen = "; ".join(
        f"{language}: {of['cross_validated_macro_f1']:.3f}" for language, of in metadata["chosen"].items()
    )
    lines = [
        f"# Intent {metadata['version']}",
        "",
        "Multinomial logistic regression on hashed words, marks of the wording and, in English, the embedding of the",
        f"tweet encoder {metadata['encoder']}. Spanish rests on 270 texts and no embedding: expect little of it.",
        "",
        "## Data",
        "",
        "720 texts written for this project from the labeling guide (`tests/models/intent/GUIDE.md`), and at a small",
        "weight corporate_messaging (CrowdFlower: Information, Action, Dialogue), tweet_acts (BSD-2) and clinc150",
        "(CC BY 3.0; assistant queries are `other`). Announcements, stories, help and greetings stand in the written",
        "texts alone. Judged on 348 other texts by a writer who saw the guide alone, labeled a second time blind.",
        "",
        "## Figures",
        "",
        "`make eval` prints them; in brackets 95 % intervals over resampled texts.",
        "",
    ]
    for title, table in tables.items():
        lines += markdown(title, table)
    return [
        *lines,
        f"Five-fold macro F1 on the written texts: {chosen}. corporate_messaging, three categories, each company held",
        f"out in turn ({corporate['texts']:,} texts): macro F1 {corporate['macro_f1']:.3f}. {FLOORS['intent']}",
        "",
        "## Limits",
        "",
        "- Both labelings of the judged texts come from readers of the same kind, and the texts are clearer than what",
        "  people post: the kappa overstates how well a group of people would agree, and the figures flatter.",
        "- Spanish misses plain cases: an offer as `Solo hoy: 30 % de descuento, compra ya` is read as `other`.",
        "- A reply to a customer and a question to followers look alike without the conversation.",
        "",
    ]


def write(folder: Path, lines: Sequence[str]) -> None:
    """Print a card and write it."""
    text = "\n".join(lines)
    (folder / "CARD.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
