"""What the product answers with: scores, comparisons, candidates, recommendations. The rest: pipelines.records."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.records import (
    Analysis,
    Best,
    Degraded,
    Domain,
    Evidence,
    Finding,
    Source,
    Verdict,
)


@dataclass(frozen=True)
class Subscores:
    """Points that wording, author and time add to the base; None where there is nothing to go by."""

    wording: float | None
    author: float | None
    time: float | None


@dataclass(frozen=True)
class OwnRecord:
    """How many posts of the author's own the prediction rests on, and how many earlier outcomes corrected it."""

    own_posts: int
    outcomes: int = 0


@dataclass(frozen=True)
class Uncalibrated:
    """What the model said before the account's own outcomes corrected it, as in a prediction."""

    viral_score: float
    p_beats_median: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How a draft will do against the author's own record.

    `viral_score` is the expected percentile (0 to 100) among the author's own posts, `p_beats_median` in [0, 1] the
    chance of more than their median (where all posts did the same, that is rare), `interval` the 80 % range (low,
    high); `contributions` are score points whose sum, with `base`, is `viral_score`, but for rounding. A text that
    nobody can score is not `supported`: the three are None and `note` says why. `uncalibrated` is None where the
    account has no calibration of its own.
    """

    viral_score: float | None
    p_beats_median: float | None
    interval: tuple[float, float] | None
    base: float
    contributions: dict[str, float]
    subscores: Subscores
    evidence: OwnRecord
    method: str
    supported: bool = True
    note: str | None = None
    uncalibrated: Uncalibrated | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which of two wordings does better.

    `p_a` in (0, 1) is the probability that a does; `verdict` is too_close (run an A/B test) unless the larger of p_a
    and 1 - p_a reaches `threshold`. Measured on pairs of the `domain` that chose nothing and whose outcome was clear:
    `accuracy` is the share of such verdicts that were right, None where none is called, `coverage` the share called.
    A pair that is surely not English is not `supported`: p_a and accuracy are None, coverage is 0.
    """

    p_a: float | None
    verdict: Verdict
    threshold: float
    accuracy: float | None
    coverage: float
    domain: Domain
    supported: bool = True


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A text that could be posted; `delta` is its score minus the score of what the user sent, in points.

    `p_postable` in [0, 1] is how likely a stranger would post it as it is, None where nobody judged; `parts` are the
    posts of a thread, whose first one is scored; `findings` are X's rules that it may touch without being blocked.
    `voice_distance` is how far it is from the author's way of writing, 1 like a post of theirs; None without 25 stored.
    """

    id: str
    text: str
    source: Source
    weighted_length: int
    template: str | None = None
    viral_score: float | None = None
    p_beats_median: float | None = None
    interval: tuple[float, float] | None = None
    uncalibrated: Uncalibrated | None = None
    delta: float | None = None
    p_postable: float | None = None
    parts: tuple[str, ...] | None = None
    findings: tuple[Finding, ...] = ()
    voice_distance: float | None = None


@dataclass(frozen=True)
class Recommendation:
    """What would help the user's own text.

    An edit comes with the edited `text` and `delta`, the measured change of the score in points; what only the author
    can add has neither.
    """

    action: str
    delta: float | None
    evidence: Evidence
    text: str | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the product says about a query: pure result, without row id, timings or whether it was stored.

    `viral_score` is the user's own text's, in [0, 100]; a field is None where its model is named in `degraded`. `best`
    says whether the first of `templates` or the user's own text should be posted, None where neither can be. `notes`
    say what else the user should know, as that there are fewer candidates than were asked for. `trend_alignment` in
    [0, 1) is how far the query speaks of what bursts in the account's posts; None where nothing is known to burst.
    """

    analysis: Analysis | None
    templates: tuple[Candidate, ...] | None
    best: Best | None
    recommendations: tuple[Recommendation, ...] | None
    viral_score: float | None
    prediction: Prediction | None
    model_versions: dict[str, str]
    degraded: tuple[Degraded, ...]
    notes: tuple[str, ...] = ()
    trend_alignment: float | None = None


@dataclass(frozen=True, kw_only=True)
class Generated:
    """Candidates for a query, best first; None where no engine that was asked could answer.

    `best` and `notes` as in an answer; `findings` say why nothing is written for a text that harms.
    """

    candidates: tuple[Candidate, ...] | None
    best: Best | None
    findings: tuple[Finding, ...]
    model_versions: dict[str, str]
    degraded: tuple[Degraded, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One accepted edit, the text after it, and how many points it added to the score of the text before it.

    `delta` is negative only where the draft had to be shortened first: X would not have taken it. It is None where
    nobody can score the draft: then the judge alone chose.
    """

    edit: str
    text: str
    delta: float | None


@dataclass(frozen=True, kw_only=True)
class Optimized:
    """The best version of a draft that was found; the deltas of its steps sum to `viral_score - original_score`.

    The scores are None where the viral predictor is named in `degraded`; the text is then the draft. `target_reached`
    is None where nothing asked for a shorter text; where it is False, `shortened` is the shorter text that costs least,
    which the caller may prefer all the same, and `notes` say why it was not taken. `findings` are X's rules that the
    text may touch; `parts` the posts of a thread, where one was asked for.
    """

    text: str
    parts: tuple[str, ...] | None
    viral_score: float | None
    original_score: float | None
    steps: tuple[Step, ...]
    target_reached: bool | None
    shortened: Step | None
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    model_versions: dict[str, str]
    degraded: tuple[Degraded, ...]
