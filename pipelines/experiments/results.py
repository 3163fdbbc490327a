"""What an experiment says so far: figures for each variant, and a decision that names the figure it used."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.experiments.records import Verdict

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class VariantResult:
    """One variant: units exposed and, of those, engaged; `rate` in [0, 1] with its Wilson interval at 1 - alpha.

    `always_valid_interval` holds the rate at every look and for all variants together, also in a bandit. In a
    switchback both count posts' impressions and engagements, `posts` how many posts, and there are no intervals.
    """

    name: str
    impressions: int
    engagements: int
    rate: float | None
    interval: Interval | None
    always_valid_interval: Interval | None = None
    posts: int | None = None


@dataclass(frozen=True, kw_only=True)
class Lift:
    """How far a variant is from control.

    `absolute` is the difference of the rates, with Newcombe's interval; `relative` that difference over control's rate
    (.1 is 10 %), with Katz' log interval: both for one look. `always_valid_interval` holds the relative lift at every
    look and for all variants together; it is guarded against overdispersion. `shrunk` is the relative lift to expect,
    as winners look better than they are. None where the data cannot tell.
    """

    absolute: float | None = None
    absolute_interval: Interval | None = None
    relative: float | None = None
    relative_interval: Interval | None = None
    always_valid_interval: Interval | None = None
    shrunk: float | None = None
    shrunk_interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Tests:
    """The p-values of one variant against control, each in [0, 1].

    `p_value` is the score test, or of a switchback the permutation test of its posts; `exact_p_value` is Fisher's where
    counts are small; `always_valid_p` may be looked at any time. `guarded_` ones count clustered units for what they
    are worth, `adjusted_` ones allow for all variants too. None where the design has no such figure.
    """

    p_value: float
    exact_p_value: float | None = None
    always_valid_p: float | None = None
    guarded_p_value: float | None = None
    guarded_always_valid_p: float | None = None
    adjusted_p_value: float
    adjusted_always_valid_p: float | None = None


@dataclass(frozen=True, kw_only=True)
class Overdispersion:
    """How much larger the variance of a difference is than that of independent units: `used` is what was reckoned with.

    `planned` is the plan's design effect, `measured` what days that moved the variants apart show (None below three
    days), `intraclass_correlation` of units of one day, `effective_units` what all units together are worth.
    """

    planned: float
    measured: float | None
    used: float
    intraclass_correlation: float | None
    effective_units: float


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many units the plan needs in all, so far, and the days until then at the rate so far or as planned.

    `rate` is the control's rate that it was reckoned with, `planned` whether the plan named it. None where no rate or
    no pace is known. `detectable` is the relative lift that the units so far show with the planned power. `ended`
    says that no more will come.
    """

    units: int
    needed: int | None
    rate: float | None
    planned: bool
    expected_days: int | None
    detectable: float | None
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class Results:
    """What an experiment says so far.

    `p_value` is the score test of two variants or the omnibus test of more, for one look; `always_valid_p` the same
    for any look (more variants: the smallest after Holm). `chance_to_beat` is each variant's posterior probability of
    a higher rate than control's, `expected_loss` what choosing it costs on average where it is not, both from flat
    priors. `decided_by` names the figure that `decision` used, `reason` says it in a sentence.
    """

    variants: tuple[VariantResult, ...]
    control: str
    p_value: float | None
    always_valid_p: float | None
    lift: dict[str, Lift]
    tests: dict[str, Tests]
    chance_to_beat: dict[str, float]
    chance_to_be_best: dict[str, float]
    expected_loss: dict[str, float]
    srm_p: float | None
    overdispersion: Overdispersion | None
    size: Size | None
    warnings: tuple[str, ...] = ()
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    decision: Verdict = "keep_going"
    winner: str | None = None
    decided_by: str = ""
    reason: str = ""
