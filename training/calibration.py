"""Turn the encoder's logits into probabilities: fits the `calibration` of models/encoder/metadata.json.

python -m training.calibration --data ../shared/data --out models/encoder

Sentiment is a logistic regression of three classes on the encoder's log-probabilities and both lexicons, every class
counting alike, so that neither the label nor the probabilities lean towards what was frequent in the archive.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from pipelines.encoder import Encoder, log_softmax
from pipelines.sentiment.ensemble import textblob_polarity
from training.tasks import Labeled, Task, read_tasks

RISKS = ("irony", "offensive")
# What serving reads before anything is fitted: the encoder alone.
UNFITTED: dict[str, Any] = {
    "sentiment": np.eye(3, 5).tolist(),
    "sentiment_intercept": [0.0, 0.0, 0.0],
    "emotion_temperature": 1.0,
    "risks": {name: [1.0, 0.0] for name in RISKS},
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
    """Return the calibration as metadata.json keeps it."""
    sentiment = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit(
        sentiment_features(encoder, tasks["sentiment"].validation.texts), tasks["sentiment"].validation.winners
    )
    risks = {}
    for name in RISKS:
        part = tasks[name].validation
        margin = np.diff(encoder.encode(part.texts).logits[name])
        fitted = LogisticRegression(C=1e3).fit(margin, part.winners)
        risks[name] = [float(fitted.coef_[0, 0]), float(fitted.intercept_[0])]
    return {
        "sentiment": sentiment.coef_.tolist(),
        "sentiment_intercept": sentiment.intercept_.tolist(),
        "emotion_temperature": emotion_temperature(encoder, tasks["emotion"].validation),
        "risks": risks,
    }


def sentiment_features(encoder: Encoder, texts: list[str]) -> NDArray[np.float64]:
    """Return (texts, 5): the encoder's log-probabilities, VADER's compound and TextBlob's polarity."""
    vader = SentimentIntensityAnalyzer()
    lexicons = [[vader.polarity_scores(text)["compound"], textblob_polarity(text)] for text in texts]
    return np.hstack([log_softmax(encoder.encode(texts).logits["sentiment"]), np.array(lexicons)])


def emotion_temperature(encoder: Encoder, part: Labeled) -> float:
    """Return the temperature with the smallest cross entropy (Guo et al. 2017, arXiv:1706.04599, section 4.2)."""
    places = [encoder.heads["emotion"].index(label) for label in part.labels]
    logits = encoder.encode(part.texts).logits["emotion"][:, places]
    targets = part.targets[:, places]

    def loss(temperature: float) -> float:
        return float(-(targets * log_softmax(logits / temperature)).sum(axis=1).mean())

    return float(minimize_scalar(loss, bounds=(0.3, 5.0), method="bounded").x)


if __name__ == "__main__":
    main()
