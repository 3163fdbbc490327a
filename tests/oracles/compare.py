"""Compares the statistics of experiments with gbstats, statsmodels, scipy and quadrature on random cases: make oracles.

Writes the cases with the oracles' answers to cases.json, so that tests without these packages can compare as well.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import ProportionStatistic
from gbstats.utils import check_srm
from scipy.integrate import quad
from scipy.special import betainc, betaln
from scipy.stats import binomtest, hypergeom
from scipy.stats.contingency import expected_freq, relative_risk
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_chisquare, proportions_ztest

from pipelines.experiments.significance import SMALLEST_EXPECTED_OF_SPLIT
from tests.oracles.figures import Figures, distance, ours

CASES = Path(__file__).with_name("cases.json")
TOLERANCE = 1e-6
DIGITS = 9

ORACLES = {
    "pooled_z": "statsmodels proportions_ztest",
    "score_test": "statsmodels proportions_ztest",
    "fisher_test": "sum of scipy hypergeom.pmf",
    "needs_exact": "scipy expected_freq",
    "omnibus": "statsmodels proportions_chisquare",
    "holm": "statsmodels multipletests",
    "benjamini_hochberg": "statsmodels multipletests",
    "srm": "gbstats check_srm, scipy binomtest",
    "wilson": "scipy binomtest",
    "newcombe": "statsmodels confint_proportions_2indep",
    "log_relative": "scipy relative_risk",
    "boundary": "gbstats SequentialTwoSidedTTest",
    "half_width": "gbstats SequentialTwoSidedTTest",
    "always_valid_p": "gbstats SequentialTwoSidedTTest",
    "always_valid_score_test": "gbstats, pooled variance",
    "chance_to_beat": "scipy quad",
    "chance_to_be_best": "scipy quad",
    "expected_loss": "scipy quad",
}


class PooledSequentialTest(SequentialTwoSidedTTest):
    """gbstats' sequential test with the variance that the arms have if their rates are equal."""

    @property
    def variance(self) -> float:
        units = self.stat_a.n + self.stat_b.n
        rate = (self.stat_a.sum + self.stat_b.sum) / units
        return rate * (1 - rate) * (1 / self.stat_a.n + 1 / self.stat_b.n)


def draw(rng: np.random.Generator) -> dict:
    """One case: 2 to 6 unequal arms of 3 to 3 million units, rates of .1 % to 90 %, a third without a difference."""
    k = int(rng.integers(2, 7))
    n = np.exp(rng.uniform(np.log(5), np.log(2e6))) * rng.uniform(0.5, 1.5, k)
    n = np.maximum(2, n).astype(int).tolist()
    lift = np.exp(rng.normal(0, rng.choice([0, 0.05, 0.3]), k))
    rates = np.clip(np.exp(rng.uniform(np.log(0.001), np.log(0.9))) * lift, 0.001, 0.9)
    arms = [[units, int(rng.binomial(units, rate))] for units, rate in zip(n, rates, strict=True)]
    weights = np.round(rng.uniform(0.5, 2, k), 2).tolist() if rng.random() < 0.5 else [1.0] * k
    drift = np.array(weights) * np.exp(rng.normal(0, rng.choice([0, 0.03]), k))
    return {
        "arms": arms,
        "alpha": float(rng.choice([0.01, 0.05, 0.1])),
        "tuned_to": int(10 ** rng.uniform(2, 6)),
        "p_values": np.round(rng.uniform(0, 1, k) ** 3, 4).tolist(),
        "n_units": rng.multinomial(sum(n), drift / drift.sum()).tolist(),
        "weights": weights,
    }


def oracles(case: dict) -> Figures:
    arms, alpha, tuned_to = case["arms"], case["alpha"], case["tuned_to"]
    (n_c, x_c), (n_v, x_v) = arms[:2]
    varies = 0 < x_c + x_v < n_c + n_v
    table = np.array([[x, n - x] for n, x in arms])
    figures: Figures = {
        "holm": multipletests(case["p_values"], method="holm")[1].tolist(),
        "benjamini_hochberg": multipletests(case["p_values"], method="fdr_bh")[1].tolist(),
        "wilson": [limit for n, x in arms for limit in binomtest(x, n).proportion_ci(1 - alpha, method="wilson")],
        "newcombe": list(confint_proportions_2indep(x_v, n_v, x_c, n_c, method="newcomb", compare="diff", alpha=alpha)),
        "log_relative": None,
        "needs_exact": [float(expected_freq(table).min() < 5)],
        **split(case["n_units"], case["weights"]),
        **bayes(arms),
    }
    if min(x_c, x_v) > 0:
        ratio = relative_risk(x_v, n_v, x_c, n_c).confidence_interval(1 - alpha)
        figures["log_relative"] = [ratio.low - 1, ratio.high - 1]
    if varies:
        z, p_value = proportions_ztest([x_v, x_c], [n_v, n_c])
        figures |= {"pooled_z": [z], "score_test": [p_value]}
        probabilities = hypergeom.pmf(np.arange(x_c + x_v + 1), n_c + n_v, x_c + x_v, n_c)
        seen = probabilities[x_c] * (1 + 1e-7)
        figures["fisher_test"] = [min(1.0, probabilities[probabilities <= seen].sum())]
        figures["omnibus"] = [proportions_chisquare([x for _, x in arms], [n for n, _ in arms])[1]]
    control, variant = (ProportionStatistic(*arm) for arm in arms[:2])
    config = SequentialConfig(difference_type="relative", alpha=alpha, sequential_tuning_parameter=tuned_to)
    sequence = SequentialTwoSidedTTest(control, variant, config)
    if sequence.compute_result().error_message is None:
        low, high = sequence.confidence_interval
        figures["half_width"] = [(high - low) / 2]
        figures["boundary"] = [(high - low) / 2 / np.sqrt(sequence.variance)]
        figures["always_valid_p"] = [sequence.p_value]
    if expected_freq(table[:2]).min() >= 5:
        config = SequentialConfig(difference_type="absolute", alpha=alpha, sequential_tuning_parameter=tuned_to)
        figures["always_valid_score_test"] = [PooledSequentialTest(control, variant, config).p_value]
    return figures


def split(n_units: list[int], weights: list[float]) -> Figures:
    """Pearson's test where counts are large, the exact one of two arms with small ones, and no oracle of more arms."""
    if min(weights) / sum(weights) * sum(n_units) >= SMALLEST_EXPECTED_OF_SPLIT:
        return {"srm": [float(check_srm(n_units, weights))]}
    if len(n_units) == 2:
        return {"srm": [binomtest(n_units[0], sum(n_units), weights[0] / sum(weights)).pvalue]}
    return {}


def bayes(arms: list[list[int]]) -> Figures:
    """The integrals of the posteriors by adaptive quadrature, split at some standard deviations of each."""
    posteriors = [(1 + x, 1 + n - x) for n, x in arms]
    splits = {0.0, 1.0}
    for a, b in posteriors:
        mean, deviation = a / (a + b), np.sqrt(a * b / (a + b) ** 2 / (a + b + 1))
        splits |= {float(np.clip(mean + s * deviation, 0, 1)) for s in (-10, -6, -3, -1, 0, 1, 3, 6, 10, 20)}
    edges = sorted(splits)

    def integral(f) -> float:
        return sum(quad(f, low, high, epsabs=1e-13)[0] for low, high in pairwise(edges))

    def best(i: int) -> float:
        a, b = posteriors[i]
        others = [other for j, other in enumerate(posteriors) if j != i]
        scale = betaln(a, b)

        def density(x: float) -> float:
            height = np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - scale)
            return height * np.prod([betainc(c, d, x) for c, d in others])

        return integral(density)

    (a, b), (c, d) = posteriors[:2]
    choosing = integral(lambda x: betainc(c, d, x) * betainc(b, a, 1 - x))
    keeping = integral(lambda x: betainc(a, b, x) * betainc(d, c, 1 - x))
    figures: Figures = {"chance_to_be_best": [best(i) for i in range(len(arms))], "expected_loss": [choosing, keeping]}
    if len(arms) == 2:
        figures["chance_to_beat"] = figures["chance_to_be_best"][1:]
    else:
        figures["chance_to_beat"] = bayes(arms[:2])["chance_to_beat"]
    return figures


def written(cases: list[dict], answers: dict[str, dict[int, list[float] | None]]) -> str:
    """A line for each case, then one for each function: what its oracle says, by the number of the case."""
    compact = {"separators": (",", ":")}
    rounded = {
        name: {i: found and [float(f"{float(number):.{DIGITS}g}") for number in found] for i, found in column.items()}
        for name, column in answers.items()
    }
    lines = [json.dumps(case, **compact) for case in cases]
    columns = [f"{json.dumps(name)}:{json.dumps(column, **compact)}" for name, column in rounded.items()]
    return '{"cases":[\n' + ",\n".join(lines) + '\n],"oracles":{\n' + ",\n".join(columns) + "\n}}\n"


def main() -> int:
    np.seterr(over="ignore", invalid="ignore")  # gbstats' e-value is infinite, its moments undefined, in sure cases
    rng = np.random.default_rng(6)
    cases = [draw(rng) for _ in range(320)]
    answers: dict[str, dict[int, list[float] | None]] = {name: {} for name in ORACLES}
    largest = dict.fromkeys(ORACLES, 0.0)
    for i, case in enumerate(cases):
        found = ours(case)
        for name, oracle in oracles(case).items():
            answers[name][i] = oracle
            largest[name] = max(largest[name], distance(found[name], oracle))
    print(f"{'function':34}{'oracle':44}{'cases':>5}  largest difference")
    for name, oracle in ORACLES.items():
        print(f"{name:34}{oracle:44}{len(answers[name]):5}  {largest[name]:.1e}")
    CASES.write_text(written(cases, answers), encoding="utf-8")
    return int(any(far > TOLERANCE for far in largest.values()))


if __name__ == "__main__":
    sys.exit(main())
