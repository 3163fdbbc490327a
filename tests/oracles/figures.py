"""What our functions say of a case of the oracles, by name; runs in both environments, ours and that of the oracles."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipelines.experiments.arms import Arm, log_relative, newcombe, wilson
from pipelines.experiments.bayes import chance_to_be_best, chance_to_beat, expected_loss
from pipelines.experiments.sequential import always_valid_p, always_valid_score_test, boundary, half_width
from pipelines.experiments.significance import (
    benjamini_hochberg,
    fisher_test,
    holm,
    needs_exact,
    omnibus,
    pooled_z,
    score_test,
    srm,
)

Figures = dict[str, list[float] | None]


def ours(case: dict) -> Figures:
    """Every figure of a case: lists of numbers, None where a function says that it cannot be told."""
    arms = [Arm(*arm) for arm in case["arms"]]
    control, variant = arms[:2]
    alpha, tuned_to = case["alpha"], case["tuned_to"]
    figures: Figures = {
        "holm": holm(case["p_values"]),
        "benjamini_hochberg": benjamini_hochberg(case["p_values"]),
        "srm": [srm(case["n_units"], case["weights"])],
        "pooled_z": [pooled_z(control, variant)],
        "score_test": [score_test(control, variant)],
        "fisher_test": [fisher_test(control, variant)],
        "needs_exact": [float(needs_exact(arms))],
        "omnibus": [omnibus(arms)],
        "always_valid_score_test": [always_valid_score_test(control, variant, alpha, tuned_to)],
        "wilson": [limit for arm in arms for limit in wilson(arm, alpha)],
        "newcombe": listed(newcombe(control, variant, alpha)),
        "log_relative": listed(log_relative(control, variant, alpha)),
        "chance_to_beat": [chance_to_beat(control, variant)],
        "expected_loss": list(expected_loss(control, variant)),
        "chance_to_be_best": chance_to_be_best(arms),
    }
    if all(0 < arm.mean < 1 for arm in (control, variant)):
        n, (lift, error) = control.n + variant.n, relative_lift(control, variant)
        figures["boundary"] = [boundary(n, alpha, tuned_to)]
        figures["half_width"] = [half_width(error, n, alpha, tuned_to)]
        figures["always_valid_p"] = [always_valid_p(lift / error, n, alpha, tuned_to)]
    return figures


def relative_lift(control: Arm, variant: Arm) -> tuple[float, float]:
    """The lift of a rate over control's and its standard error by the delta method: what gbstats looks at."""
    ratio = variant.mean / control.mean
    errors = [math.sqrt(arm.variance / arm.n) for arm in (variant, control)]
    return ratio - 1, math.hypot(errors[0], ratio * errors[1]) / control.mean


def listed(found: tuple[float, ...] | None) -> list[float] | None:
    return None if found is None else list(found)


def distance(ours: Sequence[float] | None, oracle: Sequence[float] | None) -> float:
    """How far apart two answers are: the largest difference relative to the larger number, or to 1e-6 below that.

    So 1e-6 means six digits of every number above 1e-6 and 1e-12 absolute below it. Infinite if only one has an answer.
    """
    if ours is None or oracle is None:
        return 0.0 if ours is oracle else float("inf")
    return max(abs(a - b) / max(abs(a), abs(b), 1e-6) for a, b in zip(ours, oracle, strict=True))
