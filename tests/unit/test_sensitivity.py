"""How a sensitivity follows from probabilities, what its signs are, and what the author is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import WeightsRefused
from pipelines.records import Sensitivity, SensitivityLabel
from pipelines.sentiment.sensitivity import LABELS, MESSAGES, SensitivityModel, Weights, finding_of, signs

THRESHOLDS = np.array([1.0, 0.3, 0.5, 0.4, 0.5])
WEIGHTS = Weights(
    signs=np.zeros((2, 5)),
    logits=np.zeros((3, 5)),
    logits_mean=np.zeros(3),
    intercept=np.zeros(5),
    thresholds=THRESHOLDS,
)


def sensitivity(label: SensitivityLabel) -> Sensitivity:
    return Sensitivity(label=label, scores=dict.fromkeys(LABELS, 0.2))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsRefused, match=r"metadata\.json"):
        SensitivityModel.load(tmp_path, encoder="any")


@pytest.mark.parametrize("label", ["none", "sober"])
def test_only_harm_has_a_finding(label: SensitivityLabel) -> None:
    assert finding_of(sensitivity(label), "text", "en") is None


def test_what_nobody_read_has_no_finding() -> None:
    assert finding_of(None, "text", "fr") is None


@pytest.mark.parametrize("label", ["hate", "threat", "fraud"])
def test_harm_has_an_error_over_the_whole_text_in_its_language(label: SensitivityLabel) -> None:
    for language, spoken in (("en", "en"), ("es", "es"), (None, "en")):
        finding = finding_of(sensitivity(label), "some text", language)
        assert finding is not None
        assert (finding.rule, finding.start, finding.end, finding.severity) == (label, 0, 9, "error")
        assert finding.message == MESSAGES[spoken][label]


@pytest.mark.parametrize(
    ("probabilities", "label"),
    [
        ([0.9, 0.1, 0.0, 0.0, 0.0], "none"),
        ([0.55, 0.45, 0.0, 0.0, 0.0], "sober"),
        ([0.5, 0.1, 0.2, 0.2, 0.0], "sober"),
        ([0.75, 0.0, 0.0, 0.25, 0.0], "none"),
        ([0.5, 0.3, 0.0, 0.2, 0.0], "sober"),
        ([0.3, 0.3, 0.0, 0.4, 0.0], "threat"),
        ([0.1, 0.3, 0.6, 0.0, 0.0], "hate"),
    ],
)
def test_thresholds_decide_the_label(probabilities: list[float], label: str) -> None:
    assert WEIGHTS.label(probabilities) == label


def test_without_a_reason_every_label_is_as_likely() -> None:
    assert WEIGHTS.probabilities(np.ones((1, 2)), np.ones((1, 3))) == pytest.approx(np.full((1, 5), 0.2))


@pytest.mark.parametrize(
    ("language", "idiom", "meant"),
    [
        ("en", "a killer feature", "a man was killed by a falling tree"),
        ("es", "me muero de ganas", "murió ayer nuestro vecino"),
    ],
)
def test_an_idiom_is_no_sign_of_death(language: str, idiom: str, meant: str) -> None:
    found, known = signs([idiom], language)[0], signs([meant], language)[0]
    assert found.sum() == 1
    assert known[0] == 1


def test_accents_and_capitals_do_not_hide_a_sign() -> None:
    assert (signs(["MURIO"], "es") == signs(["murió"], "es")).all()


def test_signs_of_no_texts_are_none() -> None:
    assert signs([], "en").shape[0] == 0
