"""What is decided from the counts of a split test and from the posts of a switchback, and what the reason says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipelines.experiments.analysis import Split, analyze, needed_units
from pipelines.experiments.arms import Arm
from pipelines.experiments.decision import SRM_LEVEL, decide
from pipelines.experiments.records import NewExperiment, NewVariant, Plan, PostCounts, SlotPlan, check, weights
from pipelines.experiments.results import Results
from pipelines.experiments.switchback import Alternation, decide_posts, schedule

START = datetime(2026, 3, 2, 0, tzinfo=UTC)
FIXED = Plan(method="fixed", baseline_rate=0.1, mde=0.5)


def split(*arms: tuple[int, int], days: int = 1, **fields: object) -> Split:
    """Variants named a, b, c ... with units exposed and engaged, the first of them the control."""
    cells = tuple(
        tuple(Arm(n // days + (day < n % days), k // days + (day < k % days)) for day in range(days)) for n, k in arms
    )
    usual = {"names": tuple("abcdefgh"[: len(arms)]), "control": 0, "weights": (1 / len(arms),) * len(arms)}
    return Split(cells=cells, **(usual | fields))


def decided(plan: Plan, found: Split) -> Results:
    return decide(plan, analyze(plan, found))


def with_p(plan: Plan, found: Split, **p_values: float) -> Results:
    """The decision if b's p-values were others."""
    results = analyze(plan, found)
    return decide(plan, replace(results, tests={"b": replace(results.tests["b"], **p_values)}))


def test_no_impressions_decide_nothing_and_break_nothing() -> None:
    results = decided(Plan(), split((0, 0), (0, 0), days=0))

    assert (results.decision, results.decided_by, results.p_value) == ("keep_going", "impressions", 1.0)
    assert results.lift["b"].relative is None


@pytest.mark.parametrize(
    "arms", [((0, 0), (10, 1)), ((10, 0), (10, 0)), ((10, 10), (10, 10)), ((1, 0), (1, 1)), ((3, 0), (4, 4))]
)
def test_a_few_units_decide_nothing(arms: tuple[tuple[int, int], ...]) -> None:
    assert decided(Plan(), split(*arms)).decision == "keep_going"


def test_exactly_alpha_is_called_and_just_above_is_not() -> None:
    found = split((1000, 100), (1000, 110))

    assert with_p(Plan(), found, adjusted_always_valid_p=0.05).decision == "win"
    assert with_p(Plan(), found, adjusted_always_valid_p=0.05 + 1e-12).decision == "keep_going"


def test_exactly_alpha_is_called_by_a_fixed_test_too() -> None:
    enough = split((2000, 200), (2000, 210))

    assert with_p(FIXED, enough, adjusted_p_value=0.05).decision == "win"
    assert with_p(FIXED, enough, adjusted_p_value=0.05 + 1e-12).decision == "futile"


@pytest.mark.parametrize(("srm_p", "decision"), [(SRM_LEVEL, "win"), (SRM_LEVEL - 1e-9, "invalid"), (0.0, "invalid")])
def test_a_mismatched_ratio_blocks_a_winner_below_its_level_only(srm_p: float, decision: str) -> None:
    results = analyze(Plan(), split((1000, 100), (1000, 200)))

    assert decide(Plan(), replace(results, srm_p=srm_p)).decision == decision


def test_weights_that_are_kept_are_no_mismatch() -> None:
    results = decided(Plan(), split((800, 80), (200, 60), weights=(0.8, 0.2)))

    assert results.srm_p == 1.0
    assert results.decision == "win"


def test_a_fixed_test_says_nothing_before_its_size_however_large_the_difference() -> None:
    results = decided(FIXED, split((300, 3), (300, 150)))

    assert (results.decision, results.decided_by) == ("keep_going", "size")
    assert "read once" in results.reason


def test_a_lift_that_is_surely_below_what_is_worth_finding_is_futile() -> None:
    results = decided(Plan(mde=0.5), split((100_000, 10_000), (100_000, 10_050)))

    assert (results.decision, results.decided_by) == ("futile", "always_valid_interval")
    assert "by the 50.0% worth finding" in results.reason


def test_the_best_of_the_winners_is_named_and_one_winner_is_enough() -> None:
    results = decided(Plan(), split((2000, 200), (2000, 320), (2000, 400), (2000, 205)))

    assert results.verdicts == {"b": "win", "c": "win", "d": "keep_going"}
    assert (results.decision, results.winner) == ("win", "c")


def test_the_control_is_kept_only_where_every_variant_loses() -> None:
    worse = decided(Plan(), split((4000, 800), (4000, 400), (4000, 500)))
    open_still = decided(Plan(), split((4000, 800), (4000, 400), (4000, 790)))

    assert (worse.decision, worse.winner) == ("lose", "a")
    assert worse.reason.startswith("Keep a: c, the best of the others, does worse by 37.5%")
    assert open_still.decision == "keep_going"


def test_more_variants_ask_for_more_evidence() -> None:
    """The same two arms, among others that do nothing: every adjusted figure is larger or the same."""
    two = decided(Plan(), split((1000, 100), (1000, 150)))
    five = decided(Plan(), split((1000, 100), (1000, 150), (1000, 100), (1000, 101), (1000, 99)))

    assert five.tests["b"].adjusted_always_valid_p == pytest.approx(4 * two.tests["b"].always_valid_p)
    low, high = five.lift["b"].always_valid_interval
    assert low < two.lift["b"].always_valid_interval[0] < two.lift["b"].always_valid_interval[1] < high


def test_the_correction_that_was_asked_for_is_used() -> None:
    arms = split((1000, 100), (1000, 140), (1000, 138), (1000, 136))
    holm, bh = (decided(Plan(correction=name), arms) for name in ("holm", "benjamini_hochberg"))

    assert all(bh.tests[name].adjusted_p_value < holm.tests[name].adjusted_p_value for name in "bcd")


def test_a_planned_design_effect_makes_every_guarded_figure_weaker_and_leaves_the_plain_ones_alone() -> None:
    arms = split((1000, 100), (1000, 160))
    plain, guarded = decided(Plan(), arms), decided(Plan(design_effect=1.85), arms)

    assert guarded.p_value == plain.p_value
    assert guarded.tests["b"].guarded_always_valid_p > plain.tests["b"].guarded_always_valid_p
    assert guarded.overdispersion.effective_units == pytest.approx(2000 / 1.85)
    assert abs(guarded.lift["b"].shrunk) < abs(plain.lift["b"].shrunk) < plain.lift["b"].relative


def test_days_that_move_the_variants_apart_are_seen_and_reckoned_with() -> None:
    wild = Split(
        names=("a", "b"), control=0, weights=(0.5, 0.5),
        cells=(tuple(Arm(1000, k) for k in (50, 200, 60, 220, 40, 230)),
               tuple(Arm(1000, k) for k in (220, 60, 210, 70, 240, 80))),
    )  # fmt: skip
    results = decided(Plan(), wild)

    assert results.overdispersion.measured > 10
    assert results.decision == "keep_going"
    assert any("days move the variants apart" in warning for warning in results.warnings)


def test_small_counts_have_fishers_p_value_beside_the_score_test() -> None:
    results = decided(Plan(), split((20, 1), (20, 4)))

    assert results.tests["b"].exact_p_value == pytest.approx(0.3416, abs=1e-4)
    assert results.tests["b"].always_valid_p == 1.0


def test_a_bandit_is_decided_by_what_holds_at_any_look_and_never_by_the_ratio_of_its_units() -> None:
    plan = Plan(allocation="bandit")
    results = decided(plan, split((400, 20), (3600, 720)))
    likely = decided(plan, split((500, 50), (500, 70)))
    early = decided(plan, split((50, 2), (50, 20)))

    assert (results.srm_p, results.decision, results.decided_by) == (None, "win", "adjusted_always_valid_p")
    assert results.lift["b"].always_valid_interval[0] > 0
    assert (likely.chance_to_beat["b"] > 0.95, likely.decision) == (True, "keep_going")
    assert early.decision == "keep_going"


def test_what_a_plan_needs_grows_with_variants_clusters_power_and_certainty() -> None:
    plan = Plan(baseline_rate=0.1, mde=0.2)
    base = needed_units(plan, 0.1, (0.5, 0.5), 0)

    assert needed_units(plan, 0.1, (1 / 3,) * 3, 0) > 1.5 * base
    assert needed_units(replace(plan, design_effect=2.0), 0.1, (0.5, 0.5), 0) == pytest.approx(2 * base, rel=0.01)
    assert needed_units(replace(plan, power=0.9), 0.1, (0.5, 0.5), 0) > base
    assert needed_units(replace(plan, alpha=0.01), 0.1, (0.5, 0.5), 0) > base
    assert needed_units(replace(plan, method="fixed"), 0.1, (0.5, 0.5), 0) < base
    assert needed_units(plan, 0.1, (0.8, 0.2), 0) > base


def test_units_that_turn_out_to_be_clustered_raise_what_a_test_needs_unless_it_is_read_at_a_planned_size() -> None:
    calm = tuple(tuple(Arm(1000, k) for k in row) for row in ((100, 101, 99, 100, 100), (100, 99, 101, 100, 102)))
    wild = tuple(tuple(Arm(1000, k) for k in row) for row in ((60, 150, 70, 140, 80), (140, 60, 150, 70, 80)))
    for plan, grows in ((Plan(baseline_rate=0.1), True), (replace(FIXED, mde=0.1), False)):
        needed = [decided(plan, replace(split((1, 0), (1, 0)), cells=cells)).size.needed for cells in (calm, wild)]

        assert (needed[1] > 2 * needed[0]) == grows
        assert needed[1] >= needed[0]


def test_a_test_that_ended_undecided_says_so() -> None:
    results = decided(Plan(), split((500, 50), (500, 52), ended=True))

    assert results.decision == "keep_going"
    assert results.reason.startswith("It ended without a verdict (p 1, valid at any look); 1,000 of about ")


def test_what_does_not_count_is_said_with_its_number() -> None:
    found = split((100, 10), (100, 10), mismatched=50, crossed=7, misdated=3, unexposed=2, beyond=1_200)
    ads = replace(found, mismatched=None)

    assert analyze(Plan(), found).warnings == (
        "units told with more than one variant, and counted for each: 7",
        "units dated before the start or after now: 3",
        "units engaged without an impression, and not counted: 2",
        "units beyond the planned size, at which a fixed test is read, and not counted: 1,200",
        "25.0% of the units were told with another variant than /assign gives them",
    )
    assert not any("/assign" in warning for warning in analyze(Plan(), ads).warnings)


def test_several_winners_are_not_told_apart() -> None:
    results = decided(Plan(), split((2000, 200), (2000, 390), (2000, 400)))

    assert results.winner == "c"
    assert results.reason.endswith("b beats it too; which is best is open.")


def test_the_days_left_follow_from_the_pace() -> None:
    plan = Plan(baseline_rate=0.1, mde=0.2)
    results = decided(plan, split((500, 50), (500, 52), units_per_day=1000.0))

    assert results.size.expected_days == -(-(results.size.needed - 1000) // 1000)
    assert f"about {results.size.expected_days} more days" in results.reason


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 1)), min_size=2, max_size=6),
    st.sampled_from(["sequential", "fixed"]),
    st.sampled_from(["equal", "bandit"]),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_counts_the_figures_are_figures_and_the_decision_follows_from_them(
    counts: list[tuple[int, float]], method: str, allocation: str, days: int
) -> None:
    assume(method == "sequential" or allocation == "equal")
    plan = Plan(method=method, allocation=allocation, baseline_rate=0.1)
    results = decided(plan, split(*((n, int(n * share)) for n, share in counts), days=days))

    for test in results.tests.values():
        for p_value in (test.p_value, test.always_valid_p, test.adjusted_p_value, test.adjusted_always_valid_p):
            assert 0 <= p_value <= 1
        assert test.guarded_always_valid_p >= test.always_valid_p - 1e-12
        assert test.adjusted_always_valid_p >= test.guarded_always_valid_p - 1e-12
    assert sum(results.chance_to_be_best.values()) == pytest.approx(1)
    assert all(0 <= chance <= 1 for chance in results.chance_to_beat.values())
    assert results.reason.endswith(".")
    assert (results.winner is not None) == (results.decision in {"win", "lose"})


@given(st.integers(50, 2000), st.integers(50, 2000), st.floats(0.02, 0.9), st.floats(0.02, 0.9))
@settings(max_examples=40, deadline=None)
def test_swapping_control_and_variant_turns_a_win_into_a_loss(n: int, m: int, share: float, other: float) -> None:
    one, two = (n, int(n * share)), (m, int(m * other))
    shares = (n / (n + m), m / (n + m))
    forth = decided(Plan(), split(one, two, weights=shares))
    back = decided(Plan(), split(two, one, weights=shares[::-1]))
    mirror = {"win": "lose", "lose": "win"}

    assert forth.p_value == pytest.approx(back.p_value)
    if forth.decision in mirror:
        assert back.decision == mirror[forth.decision]
        assert forth.winner != back.winner


def alternation(blocks: int, lift: float, *, over: bool = True, names: tuple[str, ...] = ("a", "b")) -> Alternation:
    """A post in the middle of every slot, the variants after the first better by `lift` each."""
    slots = schedule(
        START, len(names), slot_minutes=60, washout_minutes=10, n_blocks=blocks, seed=3, hours=(8, 20)
    )  # fmt: skip
    posts = tuple(
        PostCounts(
            post_id=str(place), posted_at=slot.start + timedelta(minutes=30), impressions=5000 + 37 * place,
            likes=round((100 + place % 7) * (1 + lift) ** slot.variant_index), retweets=0, captured_at=slot.end,
        )
        for place, slot in enumerate(slots)
    )  # fmt: skip
    return Alternation(names=names, control=0, slots=slots, posts=posts, seed=5, over=over)


def test_a_switchback_decides_nothing_before_its_last_slot_is_over() -> None:
    results = decide_posts(Plan(design="switchback"), alternation(12, 1.0, over=False))

    assert (results.decision, results.decided_by) == ("keep_going", "schedule")
    assert results.reason.startswith("A switchback is read once, when its last slot is over (2026-03-")


def test_a_switchback_that_was_stopped_early_says_that_nothing_can_be_read() -> None:
    results = decide_posts(Plan(design="switchback"), replace(alternation(12, 1.0, over=False), ended=True))

    assert results.decision == "keep_going"
    assert results.reason.startswith("It ended before its last slot was over, so nothing can be read; ")


def test_a_switchback_that_never_started_or_has_no_posts_says_so() -> None:
    found = alternation(12, 1.0)
    draft = decide_posts(Plan(design="switchback"), replace(found, slots=(), posts=(), over=False))
    silent = decide_posts(Plan(design="switchback"), replace(found, posts=()))

    assert draft.reason == "The experiment has not started."
    assert (silent.decision, silent.decided_by) == ("keep_going", "posts")


def test_posts_in_no_slot_and_posts_nobody_saw_are_left_out_and_counted() -> None:
    found = alternation(12, 1.0)
    washed = replace(found.posts[0], post_id="w", posted_at=found.slots[0].end + timedelta(minutes=3))
    unseen = replace(found.posts[1], impressions=None)
    results = decide_posts(Plan(), replace(found, posts=(washed, unseen, *found.posts[2:])))

    assert results.warnings == (
        "posts in a washout or outside the schedule, not counted: 1",
        "posts without impressions, not counted: 1",
        "blocks without a post of every variant, not counted: 1",
    )
    assert sum(variant.posts for variant in results.variants) == 22


@pytest.mark.parametrize(("lift", "decision"), [(1.0, "win"), (0.0, "futile"), (-0.5, "lose")])
def test_a_switchback_is_decided_by_its_posts(lift: float, decision: str) -> None:
    results = decide_posts(Plan(design="switchback"), alternation(12, lift))

    assert results.decision == decision
    assert results.winner == {"win": "b", "lose": "a"}.get(decision)
    assert results.always_valid_p is None
    assert "blocks of posts" in results.reason


def test_of_three_variants_of_a_switchback_the_best_wins() -> None:
    results = decide_posts(Plan(design="switchback"), alternation(10, 0.6, names=("a", "b", "c")))

    assert (results.decision, results.winner) == ("win", "c")
    assert set(results.tests) == {"b", "c"}


def new(**fields: object) -> NewExperiment:
    usual = {"name": "n", "variants": (NewVariant(name="a"), NewVariant(name="b"))}
    return NewExperiment(**(usual | fields))


def test_a_block_that_does_not_fit_into_its_hours_is_refused() -> None:
    slots = SlotPlan(slot_minutes=300, washout_minutes=30, from_hour=9, to_hour=19)

    with pytest.raises(ValueError, match=r"^slots: a block takes 630 minutes"):
        check(new(design="switchback", slots=slots))
    check(new(design="switchback", slots=replace(slots, to_hour=20)))


def test_a_switchback_with_too_few_blocks_for_its_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^slots: with 6 blocks no order"):
        check(new(design="switchback", alpha=0.01, slots=SlotPlan(blocks=6)))
    check(new(design="switchback", alpha=0.05, slots=SlotPlan(blocks=6)))


def test_a_switchback_cannot_be_read_at_any_look() -> None:
    with pytest.raises(ValueError, match=r"^method: a switchback is read once"):
        check(new(design="switchback", method="sequential"))


def test_shares_that_nobody_names_are_equal_and_thirds_sum_to_one() -> None:
    thirds = tuple(NewVariant(name=str(place), weight=1 / 3) for place in range(3))

    assert weights(new().variants) == (0.5, 0.5)
    assert weights(thirds) == (1 / 3,) * 3
