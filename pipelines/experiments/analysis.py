"""Every figure of a split test, from counts by variant and day alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.experiments.arms import Arm, log_relative, newcombe, wilson
from pipelines.experiments.bayes import chance_to_be_best, chance_to_beat, expected_loss, shrunk_relative_lift
from pipelines.experiments.dispersion import dispersion_of_days, effective, intraclass_correlation
from pipelines.experiments.power import expected_days, minimum_detectable_effect, sample_size
from pipelines.experiments.records import Plan
from pipelines.experiments.results import Lift, Overdispersion, Results, Size, Tests, VariantResult
from pipelines.experiments.sequential import (
    TUNED_TO,
    adaptive_lift,
    adaptive_p,
    always_valid_lift,
    always_valid_rate,
    always_valid_score_test,
)
from pipelines.experiments.significance import (
    benjamini_hochberg,
    fisher_test,
    holm,
    needs_exact,
    omnibus,
    score_test,
    srm,
)

Pair = tuple[Arm, Arm]
# The control's rate is worth planning with from this many engaged units on.
MIN_ENGAGED = 10
MISMATCH_SHARE = 0.01
BANDIT_NOTE = (
    "units were moved to the better variants while the test ran: p-values and intervals for one look do not hold their "
    "level, the always-valid ones and posterior chances do; no sample ratio can be checked against one set of weights"
)


@dataclass(frozen=True, kw_only=True)
class Split:
    """What a split test is decided from: variants in their order, and the units of each by day of first exposure.

    `cells` is (variants, days); `units_per_day` what came in a day so far, None before there is a pace. Of the units
    `mismatched` were told with another variant than they were assigned (None where nobody assigns them here), `crossed`
    with more than one, `misdated` with something before the start or after now; `engaged_early` engaged before their
    first impression alone, `unexposed` without one, `after_stop` saw it first after the test was stopped, `beyond` came
    after a fixed test had its size. `ended` says that no more will come.
    """

    names: tuple[str, ...]
    control: int
    weights: tuple[float, ...]
    cells: tuple[tuple[Arm, ...], ...]
    mismatched: int | None = 0
    crossed: int = 0
    misdated: int = 0
    engaged_early: int = 0
    unexposed: int = 0
    after_stop: int = 0
    beyond: int = 0
    ended: bool = False
    units_per_day: float | None = None

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The variants over all days."""
        return tuple(Arm(sum(cell.n for cell in row), sum(cell.total for cell in row)) for row in self.cells)

    @property
    def others(self) -> tuple[int, ...]:
        """The places of all variants but the control."""
        return tuple(place for place in range(len(self.names)) if place != self.control)


def needed_units(plan: Plan, rate: float, split_weights: Sequence[float], control: int) -> int:
    """Return how many units all variants need together, for the variant that needs most; at least 1.

    Raises:
        ValueError: the lift cannot be seen at all: a rate of 1 or more, or more than 10^12 units.
    """
    if plan.allocation == "bandit":
        # Where its units will go nobody knows.
        split_weights = (1 / len(split_weights),) * len(split_weights)
    pairs = _pair_units(plan, rate, split_weights, control)
    return math.ceil(max(units / (split_weights[control] + split_weights[place]) for place, units in pairs.items()))


def analyze(plan: Plan, split: Split) -> Results:
    """Return every figure of a split test; what follows from them is for decision.decide to say."""
    arms, control = split.arms, split.arms[split.control]
    others = [split.names[place] for place in split.others]
    pairs = [(control, arms[place]) for place in split.others]
    guard = overdispersion(plan, split)
    guarded = [(effective(a, guard.used), effective(b, guard.used)) for a, b in pairs]
    tuned = tuned_to(plan, split)
    tests = tests_of(plan, pairs, guarded, tuned)
    lifts = [
        _lift(plan, pair, shares, tune, len(pairs)) for pair, shares, tune in zip(pairs, guarded, tuned, strict=True)
    ]
    bandit = plan.allocation == "bandit"
    return Results(
        variants=tuple(
            _variant(name, arm, plan.alpha, guard.used, len(arms)) for name, arm in zip(split.names, arms, strict=True)
        ),
        control=split.names[split.control],
        p_value=omnibus(arms),
        always_valid_p=min(holm([test.always_valid_p for test in tests if test.always_valid_p is not None])),
        lift=dict(zip(others, lifts, strict=True)),
        tests=dict(zip(others, tests, strict=True)),
        chance_to_beat={name: chance_to_beat(*pair) for name, pair in zip(others, pairs, strict=True)},
        chance_to_be_best=dict(zip(split.names, chance_to_be_best(arms), strict=True)),
        expected_loss={name: expected_loss(*pair)[0] for name, pair in zip(others, pairs, strict=True)},
        srm_p=None if bandit else srm([arm.n for arm in arms], split.weights),
        overdispersion=guard,
        size=_size(plan, split, guard.used),
        warnings=_warnings(split, guard, bandit=bandit),
    )


def _pair_units(plan: Plan, rate: float, weights: Sequence[float], control: int) -> dict[int, float]:
    """Units that control and a variant need together, by the variant's place, as clustered as the plan expects."""
    needed: dict[int, float] = {}
    for place, weight in enumerate(weights):
        if place != control:
            ratio = weight / weights[control]
            units = sample_size(
                rate,
                plan.mde,
                plan.alpha,
                plan.power,
                comparisons=len(weights) - 1,
                ratio=ratio,
                sequential=plan.method != "fixed",
            )
            needed[place] = units * (1 + ratio) * plan.design_effect
    return needed


def tuned_to(plan: Plan, split: Split) -> list[float]:
    """Return the independent units at which each variant's sequence is narrowest, by what was known before alone."""
    if plan.baseline_rate is None or plan.allocation == "bandit":
        return [TUNED_TO] * len(split.others)
    units = _pair_units(replace(plan, method=None), plan.baseline_rate, split.weights, split.control)
    return [units[place] / plan.design_effect for place in split.others]


def overdispersion(plan: Plan, split: Split) -> Overdispersion:
    """Return how much wider than binomial the differences are taken to be: by the plan, or by the days where more."""
    measured = dispersion_of_days(split.cells, plan.alpha)
    used = max(plan.design_effect, measured or 1.0)
    units = sum(arm.n for arm in split.arms)
    return Overdispersion(
        planned=plan.design_effect,
        measured=measured,
        used=used,
        intraclass_correlation=None if needs_exact(split.arms) else intraclass_correlation(split.cells),
        effective_units=units / used,
    )


def tests_of(plan: Plan, pairs: Sequence[Pair], guarded: Sequence[Pair], tuned: Sequence[float]) -> list[Tests]:
    """Return the p-values of each pair of control and a variant, as they are and as `guarded` ones."""
    adjust = holm if plan.correction == "holm" else benjamini_hochberg
    plain = [score_test(*pair) for pair in pairs]
    exact = [fisher_test(*pair) if needs_exact(pair) else None for pair in pairs]
    once = [fisher_test(*pair) if needs_exact(pair) else score_test(*pair) for pair in guarded]
    any_look = adaptive_p if plan.allocation == "bandit" else always_valid_score_test
    always = [any_look(*pair, plan.alpha, tune) for pair, tune in zip(pairs, tuned, strict=True)]
    anytime = [any_look(*pair, plan.alpha, tune) for pair, tune in zip(guarded, tuned, strict=True)]
    columns = zip(plain, exact, always, once, anytime, adjust(once), adjust(anytime), strict=True)
    return [
        Tests(
            p_value=p,
            exact_p_value=fisher,
            always_valid_p=valid,
            guarded_p_value=guarded_p,
            guarded_always_valid_p=guarded_valid,
            adjusted_p_value=adjusted,
            adjusted_always_valid_p=adjusted_valid,
        )
        for p, fisher, valid, guarded_p, guarded_valid, adjusted, adjusted_valid in columns
    ]


def relative_lift(plan: Plan, pair: Pair, guarded: Pair, tuned: float, n_others: int) -> Lift:
    """Return the relative lift of a pair with its intervals for one look and for any, and nothing else of a Lift."""
    control, variant = pair
    if not control.n or not variant.n:
        return Lift()
    at_any_look = adaptive_lift if plan.allocation == "bandit" else always_valid_lift
    return Lift(
        relative=(variant.mean - control.mean) / control.mean if control.mean else None,
        relative_interval=log_relative(control, variant, plan.alpha),
        always_valid_interval=at_any_look(*guarded, plan.alpha / n_others, tuned),
    )


def _lift(plan: Plan, pair: Pair, guarded: Pair, tuned: float, n_others: int) -> Lift:
    control, variant = pair
    if not control.n or not variant.n:
        return Lift()
    # Of a handful of engaged units the prior would say more than they do.
    shrunk = (
        None
        if needs_exact(pair)
        else shrunk_relative_lift(control, variant, design_effect=control.n / guarded[0].n, alpha=plan.alpha)
    )
    return replace(
        relative_lift(plan, pair, guarded, tuned, n_others),
        absolute=variant.mean - control.mean,
        absolute_interval=newcombe(control, variant, plan.alpha),
        shrunk=shrunk.estimate if shrunk else None,
        shrunk_interval=(shrunk.low, shrunk.high) if shrunk else None,
    )


def _variant(name: str, arm: Arm, alpha: float, design_effect: float, n_variants: int) -> VariantResult:
    return VariantResult(
        name=name,
        impressions=round(arm.n),
        engagements=round(arm.total),
        rate=arm.mean if arm.n else None,
        interval=wilson(arm, alpha) if arm.n else None,
        always_valid_interval=always_valid_rate(effective(arm, design_effect), alpha / n_variants),
    )


def _size(plan: Plan, split: Split, design_effect: float) -> Size:
    # A fixed test is read at the size that was planned; the others need more where units turn out to be clustered.
    reckoned = plan if plan.method == "fixed" else replace(plan, design_effect=design_effect)
    control = split.arms[split.control]
    units = round(sum(arm.n for arm in split.arms))
    known = control.total >= MIN_ENGAGED and control.mean < 1
    rate = plan.baseline_rate or (control.mean if known else None)
    try:
        needed = None if rate is None else needed_units(reckoned, rate, split.weights, split.control)
    except ValueError:
        needed = None
    pace = split.units_per_day or plan.units_per_day
    smallest = min((arm.n for arm in split.arms), default=0.0) / design_effect
    return Size(
        units=units,
        needed=needed,
        rate=rate,
        planned=plan.baseline_rate is not None,
        expected_days=expected_days(max(0, needed - units), pace) if needed is not None and pace else None,
        detectable=minimum_detectable_effect(
            rate,
            smallest,
            plan.alpha,
            plan.power,
            comparisons=len(split.others),
            sequential=plan.method != "fixed",
        )
        if rate
        else None,
        ended=split.ended,
    )


def _warnings(split: Split, guard: Overdispersion, *, bandit: bool) -> tuple[str, ...]:
    units = sum(arm.n for arm in split.arms)
    counted = {
        "told with more than one variant, and counted for each": split.crossed,
        "dated before the start or after now": split.misdated,
        "engaged before their first impression alone, and not counted as engaged": split.engaged_early,
        "engaged without an impression, and not counted": split.unexposed,
        "first seen after the stop, and counted": split.after_stop,
        "beyond the planned size, at which a fixed test is read, and not counted": split.beyond,
    }
    warnings = [f"units {what}: {count:,}" for what, count in counted.items() if count]
    if units and split.mismatched is not None and split.mismatched > MISMATCH_SHARE * units:
        share = split.mismatched / units
        warnings.append(f"{share:.1%} of the units were told with another variant than /assign gives them")
    if guard.measured is not None and guard.used > max(1.0, guard.planned):
        warnings.append(
            f"days move the variants apart: units are worth {1 / guard.used:.0%} of independent ones, and count as such"
        )
    if bandit:
        warnings.append(BANDIT_NOTE)
    return tuple(warnings)
