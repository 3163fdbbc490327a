"""Every figure of a switchback, and its decision: from posts, each in the time slot in which it went out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.experiments.decision import called, overall
from pipelines.experiments.permutation import Post, SwitchbackResult, permutation_test
from pipelines.experiments.records import Plan, PostCounts, Verdict
from pipelines.experiments.results import Lift, Results, Tests, VariantResult
from pipelines.experiments.switchback import Slot, slot_at


@dataclass(frozen=True, kw_only=True)
class Alternation:
    """What a switchback is decided from: variants in their order, their slots in order of time, and the posts so far.

    `seed` makes drawn permutations the same at every look; `over` says that no slot is left, `ended` that it was
    stopped.
    """

    names: tuple[str, ...]
    control: int
    slots: tuple[Slot, ...]
    posts: tuple[PostCounts, ...]
    seed: int
    over: bool
    ended: bool = False

    def placed(self) -> list[tuple[PostCounts, Slot]]:
        """The posts that count, with their slots; those of washouts and other times are left out."""
        slots = ((post, slot_at(self.slots, post.posted_at)) for post in self.posts)
        return [(post, slot) for post, slot in slots if slot]


def decide_posts(plan: Plan, found: Alternation) -> Results:
    """Return the figures of a switchback and its decision, which is made once, when its last slot is over."""
    placed = found.placed()
    result = permutation_test(
        [Post(slot.block, slot.variant_index, post.impressions or 0, post.likes + post.retweets)
         for post, slot in placed],
        len(found.names),
        seed=found.seed,
        control=found.control,
        alpha=plan.alpha,
    )  # fmt: skip
    compared = {found.names[one.variant_index]: one for one in result.comparisons}
    results = Results(
        variants=tuple(_variant(name, place, placed) for place, name in enumerate(found.names)),
        control=found.names[found.control],
        p_value=result.p_value,
        always_valid_p=None,
        lift={
            name: Lift(
                relative=one.lift,
                relative_interval=None if one.low is None or one.high is None else (one.low, one.high),
            )
            for name, one in compared.items()
        },
        tests={name: Tests(p_value=one.p_value, adjusted_p_value=one.p_adjusted) for name, one in compared.items()},
        chance_to_beat={},
        chance_to_be_best={},
        expected_loss={},
        srm_p=None,
        overdispersion=None,
        size=None,
        warnings=_warnings(found, placed, result),
        decided_by="schedule",
    )
    return _decided(plan, found, results, result)


def _variant(name: str, place: int, placed: Sequence[tuple[PostCounts, Slot]]) -> VariantResult:
    posts = [post for post, slot in placed if slot.variant_index == place and post.impressions]
    impressions = sum(post.impressions or 0 for post in posts)
    engagements = sum(post.likes + post.retweets for post in posts)
    rate = engagements / impressions if impressions else None
    return VariantResult(
        name=name, impressions=impressions, engagements=engagements, rate=rate, interval=None, posts=len(posts)
    )


def _warnings(
    found: Alternation, placed: Sequence[tuple[PostCounts, Slot]], result: SwitchbackResult
) -> tuple[str, ...]:
    counts = {
        "posts in a washout or outside the schedule, not counted": len(found.posts) - len(placed),
        "posts without impressions, not counted": result.posts_without_impressions,
        "blocks without a post of every variant, not counted": result.incomplete_blocks,
    }
    return tuple(f"{what}: {count:,}" for what, count in counts.items() if count)


def _decided(plan: Plan, found: Alternation, results: Results, result: SwitchbackResult) -> Results:
    blocks = (
        f"{result.blocks} of {len(Counter(slot.block for slot in found.slots))} blocks have a post of every variant"
    )
    if not found.slots:
        return replace(results, reason="The experiment has not started.")
    if not found.over:
        ends: datetime = found.slots[-1].end
        if found.ended:
            return replace(results, reason=f"It ended before its last slot was over, so nothing can be read; {blocks}.")
        return replace(
            results,
            reason=f"A switchback is read once, when its last slot is over ({ends:%Y-%m-%d %H:%M} UTC); {blocks}.",
        )
    if result.p_value is None:
        return replace(results, decided_by="posts", reason=f"Nothing can be compared: {blocks}.")
    verdicts: dict[str, Verdict] = {
        name: called(plan, test.adjusted_p_value, results.lift[name].relative) or "futile"
        for name, test in results.tests.items()
    }
    best = max(verdicts, key=lambda name: (verdicts[name] == "win", results.lift[name].relative or 0.0))
    decision = overall(list(verdicts.values()))
    lift, p_value = results.lift[best].relative or 0.0, results.tests[best].adjusted_p_value
    said = f"permutation p {p_value:.3g} over {result.blocks} blocks of posts; alpha {plan.alpha:g}"
    reason = {
        "win": f"{best} beats {results.control} by {lift:.1%} ({said}).",
        "lose": f"Keep {results.control}: {best} does worse by {abs(lift):.1%} ({said}).",
    }.get(decision, f"No variant differs from {results.control} ({said}).")
    return replace(
        results,
        verdicts=verdicts,
        decision=decision,
        winner={"win": best, "lose": results.control}.get(decision),
        decided_by="adjusted_p_value",
        reason=reason,
    )
