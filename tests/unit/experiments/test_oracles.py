"""The statistics agree with gbstats, statsmodels, scipy and quadrature on the cases that `make oracles` wrote."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from tests.oracles import figures
from tests.oracles.figures import distance, ours

WRITTEN = json.loads(Path(figures.__file__).with_name("cases.json").read_text(encoding="utf-8"))
FUNCTIONS = sorted(WRITTEN["oracles"])


@cache
def ours_of_all():
    return [ours(case) for case in WRITTEN["cases"]]


def test_one_missing_answer_or_one_digit_too_few_is_far():
    assert distance(None, [0.5]) == distance([0.5], None) == float("inf")
    assert distance([0.5, 1.00001], [0.5, 1]) > 1e-6 > distance([0.5, 1 + 1e-7], [0.5, 1])
    assert distance([2e-11], [1e-11]) > 1e-6 > distance([0.0], [1e-13])


def test_every_function_has_an_oracle_and_enough_cases():
    assert len(WRITTEN["cases"]) >= 300
    assert set(FUNCTIONS) == set().union(*ours_of_all())
    assert min(len(answers) for answers in WRITTEN["oracles"].values()) >= 150


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_agrees_with_its_oracle_to_six_digits(function):
    answers = WRITTEN["oracles"][function]
    assert [case for case in answers if distance(ours_of_all()[int(case)][function], answers[case]) > 1e-6] == []
