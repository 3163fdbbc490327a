"""The simulations in their short form: few runs, promises give or take three standard errors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simulations.figures import Figure, agree, mean
from tests.simulations.run import EXPERIMENTS, report, simulate


def test_a_vectorized_form_that_differs_from_the_product_is_refused() -> None:
    with pytest.raises(ValueError, match="differs"):
        agree(np.array([1.0, 2.0, 3.0]), [1.0, 2.1])


def test_a_broken_promise_and_a_figure_that_is_not_sharp_are_told() -> None:
    assert not Figure("x", 0.06, 0.001, 100, high=0.05).within(4)
    assert not Figure("x", 0.93, 0.001, 100, low=0.94).within(4)
    assert Figure("x", 0.052, 0.001, 100, high=0.05).within(4)
    assert not mean("x", np.arange(10) % 2, 0.45, 0.55).sharp()
    assert mean("x", np.arange(1_000_000) % 2, 0.45, 0.55).sharp()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_promises_are_kept_in_the_short_form(name: str) -> None:
    figures = simulate(name, scale=0.02)
    assert figures
    assert [one for one in figures if not one.within(3)] == []
    assert all(one.name in report({name: figures}) for one in figures)
