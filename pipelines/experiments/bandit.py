"""Thompson sampling with a floor: which share of the next units each variant should get.

What remains valid of the inference while shares adapt: Bayesian posteriors do (the likelihood does not depend on how
units were assigned). Naive means are biased, mostly downward (Nie et al. 2018, arXiv:1708.02283), and so are tests and
intervals made of them; always-valid p-values of naive counts are not given either, as they would have to weigh each
unit by its own probability of assignment. Shares that were meant to change make a sample ratio test against fixed
weights meaningless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipelines.experiments.arms import Arm
from pipelines.experiments.bayes import chance_to_be_best

WARM_UP_UNITS: Final = 100
FLOOR: Final = 0.05


def allocation(arms: Sequence[Arm], floor: float = FLOOR, warm_up: float = WARM_UP_UNITS) -> tuple[float, ...]:
    """Return the weights of the next units, (arms,) that sum to 1, each at least `floor`.

    floor + (1 - k floor) P(best): Thompson 1933 in expectation, with the floor that keeps every arm measurable. Equal
    weights until each arm has `warm_up` units.

    Raises:
        ValueError: no arms, arms of another outcome than 0 or 1, a floor below 0, or floors that sum to more than 1.
    """
    if not arms or not 0 <= floor <= (1 + 1e-12) / len(arms):
        raise ValueError("the floors of all arms must sum to at most 1")
    if any(arm.squares is not None for arm in arms):
        raise ValueError("a bandit needs counts of units engaged")
    if min(arm.n for arm in arms) < warm_up:
        return (1 / len(arms),) * len(arms)
    free = max(0.0, 1 - len(arms) * floor)
    return tuple(floor + free * best for best in chance_to_be_best(arms))
