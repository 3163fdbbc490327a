"""Pairs of texts of which anybody knows the better one, and real tweets that must not be sent away."""

import json
from pathlib import Path

import pytest

from pipelines.encoder import Encoder
from pipelines.records import Draft
from pipelines.viral_predictor.predictor import NOTE, ViralPredictor
from pipelines.viral_predictor.substance import MOST_POINTS, SubstanceModel, points_off

MODELS = Path(__file__).parents[2] / "models"
PAIRS = [
    json.loads(line) for line in Path(__file__).with_name("common_sense.jsonl").read_text(encoding="utf-8").splitlines()
]
SUBSTANCE = SubstanceModel.load(MODELS / "substance", Encoder.load(MODELS / "encoder"))
PREDICTOR = ViralPredictor.load(MODELS / "viral_predictor", SUBSTANCE)
FILLER = "So yeah. There are things happening and other things that may or may not be happening. Anyway."
NEWS = "The bridge on Mill Street opens again on Monday at six, two weeks early."


def test_the_worse_text_of_a_pair_stands_lower_or_is_not_scored() -> None:
    wrong = []
    for pair in (pair for pair in PAIRS if pair["language"] == "en"):
        better, worse = PREDICTOR.predict([Draft(text=pair["better"]), Draft(text=pair["worse"])])
        if better.viral_score is None or (worse.viral_score is not None and worse.viral_score >= better.viral_score):
            wrong.append(pair["worse"])
    assert len(wrong) <= 20, wrong


def test_a_spanish_text_is_never_scored_by_its_wording() -> None:
    spanish = [Draft(text=pair[side]) for pair in PAIRS if pair["language"] == "es" for side in ("better", "worse")]
    assert len(spanish) == 100
    assert not any(prediction.supported for prediction in PREDICTOR.predict(spanish))


def test_what_says_nothing_loses_points_and_is_told_so() -> None:
    told, plain = PREDICTOR.predict([Draft(text=FILLER), Draft(text=FILLER, substance=1.0)])
    lost = told.contributions["substance"]
    assert -MOST_POINTS <= lost < 0
    assert told.note == NOTE
    assert told.viral_score == pytest.approx(plain.viral_score + lost, abs=0.11)
    assert told.interval[1] == plain.interval[1]
    assert told.interval[0] <= told.viral_score <= told.interval[1]
    assert told.viral_score == pytest.approx(told.base + sum(told.contributions.values()), abs=0.15)


def test_what_says_something_loses_nothing() -> None:
    (news,) = PREDICTOR.predict([Draft(text=NEWS)])
    assert "substance" not in news.contributions
    assert news.note is None


def test_a_version_of_a_text_has_the_substance_of_that_text() -> None:
    version, own = PREDICTOR.predict([Draft(text=NEWS, original=FILLER), Draft(text=FILLER)])
    assert version.contributions["substance"] == own.contributions["substance"]


def test_without_a_reader_nothing_is_taken_off() -> None:
    (read,) = ViralPredictor.load(MODELS / "viral_predictor").predict([Draft(text=FILLER)])
    assert "substance" not in read.contributions


def test_points_off_grow_with_emptiness_and_have_a_bound() -> None:
    points = [points_off(substance / 20) for substance in range(20, -1, -1)]
    assert points == sorted(points)
    assert points[0] == 0
    assert points[-1] == MOST_POINTS
