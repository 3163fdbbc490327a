"""Decides a test: win, lose, futile, keep going or invalid, and says why in one sentence.

A difference is called where its p-value is at most alpha, exactly alpha included; an experiment is invalid where the
sample ratio test is below .001, exactly .001 not included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipelines.experiments.records import Plan, Verdict
from pipelines.experiments.results import Results

SRM_LEVEL = 0.001


def decide(plan: Plan, results: Results) -> Results:
    """Return the figures of a split test with a verdict on each variant, the decision and its reason."""
    empty = [variant.name for variant in results.variants if not variant.impressions]
    if empty:
        return replace(results, decided_by="impressions", reason=f"No impressions yet of {', '.join(empty)}.")
    if results.srm_p is not None and results.srm_p < SRM_LEVEL:
        reason = (
            f"The units are not split as planned (sample ratio p {results.srm_p:.2g}, below {SRM_LEVEL:g}), so no "
            "figure can be trusted: look for a variant that loses or repeats impressions, mend it, and start again."
        )
        return replace(results, decision="invalid", decided_by="srm_p", reason=reason)
    verdicts = {name: _verdict(plan, results, name) for name in results.tests}
    rates = {variant.name: variant.rate or 0.0 for variant in results.variants}
    best = max(verdicts, key=lambda name: (verdicts[name] == "win", rates[name]))
    decision = overall(list(verdicts.values()))
    judged = replace(
        results,
        verdicts=verdicts,
        decision=decision,
        winner={"win": best, "lose": results.control}.get(decision),
        decided_by=_figure(plan, results, decision),
    )
    return replace(judged, reason=_reason(plan, judged, decision, best))


def _verdict(plan: Plan, results: Results, name: str) -> Verdict:
    """What the figure that the plan decides by says of one variant."""
    test, lift, size = results.tests[name], results.lift[name], results.size
    if plan.method == "fixed":
        if size is None or size.needed is None or size.units < size.needed:
            return "keep_going"
        return called(plan, test.adjusted_p_value, lift.absolute) or "futile"
    high = lift.always_valid_interval[1] if lift.always_valid_interval else None
    hopeless = high is not None and high < plan.mde
    return called(plan, test.adjusted_always_valid_p, lift.absolute) or ("futile" if hopeless else "keep_going")


def called(plan: Plan, p_value: float | None, lift: float | None) -> Verdict | None:
    """Return win or lose where a difference is called, its p-value at most alpha; None where it is not."""
    if p_value is None or p_value > plan.alpha or not lift:
        return None
    return "win" if lift > 0 else "lose"


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the decision on all variants: one that wins is enough; all must lose, or be hopeless, for the others."""
    if "win" in verdicts:
        return "win"
    if "keep_going" in verdicts:
        return "keep_going"
    return "futile" if "futile" in verdicts else "lose"


def _figure(plan: Plan, results: Results, decision: Verdict) -> str:
    if plan.method == "fixed":
        enough = results.size and results.size.needed is not None and results.size.units >= results.size.needed
        return "adjusted_p_value" if enough else "size"
    return "always_valid_interval" if decision == "futile" else "adjusted_always_valid_p"


def _reason(plan: Plan, results: Results, decision: Verdict, best: str) -> str:
    test, lift = results.tests[best], results.lift[best]
    figure = _figure(plan, results, decision)
    if figure == "adjusted_p_value":
        said = f"p {test.adjusted_p_value:.3g}"
    else:
        said = f"p {test.adjusted_always_valid_p:.3g}, valid at any look"
    by = "" if lift.relative is None else f" by {abs(lift.relative):.1%}"
    if decision == "win":
        hope = "" if lift.shrunk is None else f", of which {lift.shrunk:.1%} is to be expected"
        also = [name for name, verdict in results.verdicts.items() if verdict == "win" and name != best]
        rest = (
            f" {' and '.join(also)} beat{'s' if len(also) == 1 else ''} it too; which is best is open." if also else ""
        )
        return f"{best} beats {results.control}{by}{hope} ({said}; alpha {plan.alpha:g}).{rest}"
    if decision == "lose":
        rest = "" if len(results.tests) == 1 else ", the best of the others,"
        return f"Keep {results.control}: {best}{rest} does worse{by} ({said}; alpha {plan.alpha:g})."
    if decision == "futile":
        if figure == "adjusted_p_value":
            return f"No variant differs from {results.control} at the planned size ({said}; alpha {plan.alpha:g})."
        tops = [lift.always_valid_interval[1] for lift in results.lift.values() if lift.always_valid_interval]
        return (
            f"No variant beats {results.control} by the {plan.mde:.1%} worth finding: at most {max(tops):+.1%}, "
            "by an interval that is valid at any look."
        )
    return _wait(results, figure, said)


def _wait(results: Results, figure: str, said: str) -> str:
    size = results.size
    if size and size.ended:
        planned = f" of about {size.needed:,}" if size.needed else ""
        return f"It ended without a verdict ({said}); {size.units:,}{planned} units came in."
    if size is None or size.needed is None:
        return f"Nothing can be said yet ({said}); how many units it takes is not known before more of them engage."
    days = f", about {size.expected_days} more days" if size.expected_days else ""
    if figure == "size":
        return f"A fixed test is read once, at {size.needed:,} units; {size.units:,} are in{days}."
    if size.units < size.needed:
        return f"Nothing can be said yet ({said}); {size.units:,} of about {size.needed:,} units are in{days}."
    return f"The difference is too small to be told yet ({said}); {size.units:,} units are in, more can still decide."
