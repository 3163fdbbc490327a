"""Turn the encoder's logits into probabilities: fits the `calibration` of models/encoder/metadata.json.

python -m training.calibration --data ../shared/data --out models/encoder

In English sentiment is a logistic regression of three classes on the encoder's log-probabilities and both lexicons,
every class counting alike, so that neither the label nor the probabilities lean towards what was frequent in the
archive. In Spanish, where no lexicon speaks and the archive has as many texts of each class, it is a temperature.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from pipelines.encoder import Encoder, log_softmax
from pipelines.sentiment.ensemble import textblob_polarity
from training.tasks import EMOTIONS, SENTIMENTS, Labeled, Task, read_tasks

RISKS = {"en": ("irony", "offensive"), "es": ("offensive",)}
# Shares of the prior that are taken off the logits of rare emotions, to choose from.
ADJUSTMENTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def unfitted(language: str) -> dict[str, Any]:
    """Return what serving reads before anything is fitted: the encoder alone."""
    return {
        "sentiment": np.eye(3, 5 if language == "en" else 3).tolist(),
        "sentiment_intercept": [0.0, 0.0, 0.0],
        "emotion_temperature": 1.0,
        "risks": {name: [1.0, 0.0] for name in RISKS[language]},
    }


def main() -> None:
    """Fit on validation texts and write the numbers into metadata.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    path = arguments.out / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["calibration"] = calibrate(
        Encoder.load(arguments.out, threads=2), {task.name: task for task in read_tasks(arguments.data)}
    )
    path.write_text(json.dumps(metadata, indent=1) + "\n")


def calibrate(encoder: Encoder, tasks: dict[str, Task]) -> dict[str, Any]:
    """Return the calibration of each language as metadata.json keeps it."""
    fitted: dict[str, Any] = {}
    for language in encoder.calibration:
        coefficients, intercept = sentiment(encoder, tasks["sentiment"].validation[language], language)
        risks = {}
        for name in RISKS[language]:
            of_risk = tasks[name].validation[language]
            margin = np.diff(encoder.encode(of_risk.texts).logits[name])
            slope = LogisticRegression(C=1e3).fit(margin, of_risk.winners)
            risks[name] = [float(slope.coef_[0, 0]), float(slope.intercept_[0])]
        emotions = tasks["emotion"].validation[language]
        warmth = temperature(encoder, "emotion", emotions, EMOTIONS)
        fitted[language] = {
            "sentiment": coefficients,
            "sentiment_intercept": intercept,
            "emotion_temperature": warmth,
            "emotion_bias": emotion_bias(encoder, emotions, warmth),
            "risks": risks,
        }
    return fitted


def sentiment(encoder: Encoder, part: Labeled, language: str) -> tuple[list[list[float]], list[float]]:
    """Return the coefficients and the intercept of one language's sentiment."""
    if language != "en":
        warmth = temperature(encoder, "sentiment", part, SENTIMENTS)
        return (np.eye(len(SENTIMENTS)) / warmth).tolist(), [0.0] * len(SENTIMENTS)
    fitted = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit(
        sentiment_features(encoder, part.texts), part.winners
    )
    return fitted.coef_.tolist(), fitted.intercept_.tolist()


def emotion_bias(encoder: Encoder, part: Labeled, warmth: float) -> list[float]:
    """Return what is taken off each emotion's logit: a share of the log of how frequent it is in `part`.

    The share with the best macro F1 there; rare emotions would else never win (Menon et al. 2021, arXiv:2007.07314,
    section 4.1). Emotions of which the part does not speak keep theirs.
    """
    labels = encoder.heads["emotion"]
    places = [labels.index(label) for label in part.labels]
    logits = encoder.encode(part.texts).logits["emotion"] / warmth
    truth = np.array([labels.index(EMOTIONS[winner]) for winner in part.winners])
    prior = np.array([(truth == place).mean() + 1e-3 for place in range(len(labels))])
    known = np.where(np.isin(np.arange(len(labels)), places), np.log(prior), np.log(prior[places]).mean())

    def reached(share: float) -> float:
        given = np.array(places)[(logits - share * known)[:, places].argmax(axis=1)]
        return float(f1_score(truth, given, average="macro"))

    best = max(ADJUSTMENTS, key=reached)
    bias: list[float] = (best * (known - known.max())).tolist()
    return bias


def sentiment_features(encoder: Encoder, texts: list[str]) -> NDArray[np.float64]:
    """Return (texts, 5): the encoder's log-probabilities, VADER's compound and TextBlob's polarity."""
    read = log_softmax(encoder.encode(texts).logits["sentiment"])
    vader = SentimentIntensityAnalyzer()
    lexicons = [[vader.polarity_scores(text)["compound"], textblob_polarity(text)] for text in texts]
    return np.hstack([read, np.array(lexicons)])


def temperature(encoder: Encoder, head: str, part: Labeled, names: Sequence[str]) -> float:
    """Return the temperature with the smallest cross entropy (Guo et al. 2017, arXiv:1706.04599, section 4.2)."""
    places = [encoder.heads[head].index(label) for label in part.labels]
    logits = encoder.encode(part.texts).logits[head][:, places]
    targets = part.targets[:, [names.index(label) for label in part.labels]]

    def loss(value: float) -> float:
        return float(-(targets * log_softmax(logits / value)).sum(axis=1).mean())

    return float(minimize_scalar(loss, bounds=(0.3, 5.0), method="bounded").x)


if __name__ == "__main__":
    main()
