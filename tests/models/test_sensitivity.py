"""What the sensitivity model must tell apart: none of these texts was trained on, in both languages."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from pipelines.encoder import Encoder
from pipelines.errors import WeightsRefused
from pipelines.records import Sensitivity
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.sensitivity import HARM, LABELS, SensitivityModel

MODELS = Path(__file__).resolve().parents[2] / "models"
TEXTS: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("sensitivity.json").read_text("utf-8"))
ENCODER = Encoder.load(MODELS / "encoder")
ENSEMBLE = SentimentEnsemble(
    ENCODER, sensitivity=SensitivityModel.load(MODELS / "sensitivity", encoder=ENCODER.version)
)
# Of 67 bad or harmful texts, of 27 harmful ones, of 70 look-alikes.
MISSED = {"en": 2, "es": 2}
UNNAMED = {"en": 1, "es": 1}
ALARMS = {"en": 4, "es": 2}


@cache
def read(language: str, label: str) -> list[tuple[str, Sensitivity]]:
    texts = TEXTS[language][label]
    found = [affect.sensitivity for affect in ENSEMBLE.read(texts, [language] * len(texts))]
    return [(text, of) for text, of in zip(texts, found, strict=True) if of is not None]


def test_a_model_of_another_encoder_is_refused() -> None:
    with pytest.raises(WeightsRefused, match="trained with encoder"):
        SensitivityModel.load(MODELS / "sensitivity", encoder="another")


@pytest.mark.parametrize("language", ["fr", "ja"])
def test_a_language_that_nobody_reads_has_no_sensitivity(language: str) -> None:
    assert ENSEMBLE.read(["Il est mort hier."], [language])[0].sensitivity is None


def test_spanish_is_read_beside_english() -> None:
    spanish, english = ENSEMBLE.read(["Falleció nuestra fundadora.", "The shop opens at nine."], ["es", "en"])
    assert spanish.sensitivity is not None
    assert spanish.sensitivity.label == "sober"
    assert english.sensitivity is not None
    assert english.sensitivity.label == "none"


def test_an_undetermined_text_is_read_as_english() -> None:
    sensitivity = ENSEMBLE.read(["I will kill you"], [None])[0].sensitivity
    assert sensitivity is not None
    assert sensitivity.label == "threat"


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("label", LABELS)
def test_every_text_is_read_and_its_scores_sum_to_1(language: str, label: str) -> None:
    found = read(language, label)
    assert len(found) == len(TEXTS[language][label])
    assert all(sum(of.scores.values()) == pytest.approx(1) for _, of in found)


@pytest.mark.parametrize("language", ["en", "es"])
def test_bad_news_and_harm_are_caught(language: str) -> None:
    missed = [text for label in LABELS[1:] for text, of in read(language, label) if of.label == "none"]
    assert len(missed) <= MISSED[language], missed


@pytest.mark.parametrize("language", ["en", "es"])
def test_harm_is_named_as_harm(language: str) -> None:
    missed = [text for label in HARM for text, of in read(language, label) if of.label not in HARM]
    assert len(missed) <= UNNAMED[language], missed


@pytest.mark.parametrize("language", ["en", "es"])
def test_look_alikes_are_served_as_usual(language: str) -> None:
    alarms = [(text, of.label) for text, of in read(language, "none") if of.label != "none"]
    assert len(alarms) <= ALARMS[language], alarms


def test_who_writes_of_money_is_no_fraud_and_most_frauds_are() -> None:
    """Eighty honest texts on prices, pay and gifts, and forty frauds, by somebody who wrote nothing that is learned."""
    lines = Path(__file__).with_name("sensitivity_money.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    found = ENSEMBLE.read([row["text"] for row in rows], [row["language"] for row in rows])
    labels = [(row["label"], affect.sensitivity.label, row["text"]) for row, affect in zip(rows, found, strict=True)]
    alarms = [text for label, read, text in labels if label == "none" and read != "none"]
    missed = [text for label, read, text in labels if label == "fraud" and read != "fraud"]
    # Before the texts on money were learned: 20 and 12.
    assert (len(alarms) <= 10, len(missed) <= 12) == (True, True), (alarms, missed)
