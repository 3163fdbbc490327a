"""A draft only ever gains, keeps its facts, and is shortened as far as that allows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.editing.edits import EDITS
from pipelines.editing.improve import CLEARLY_WORSE, MIN_GAIN, PREFERRED, REWRITE_CURSE, ROUNDS, Improved, improve
from pipelines.editing.polish import polish
from pipelines.records import Draft, Language, Post
from pipelines.results import OwnRecord, Prediction, Subscores
from pipelines.text.facts import keeps_facts
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, is_valid, weighted_length
from pipelines.viral_predictor.predictor import ViralPredictor

PREDICTOR = ViralPredictor.load(Path(__file__).parents[2] / "models/viral_predictor")
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
SENTENCES = {
    "en": (
        "Our new shoes are here, which is really nice",
        "We made a decision in order to help you",
        "It sold out on Friday",
        "We do not sell your data",
        "Come by and see the shop (and the dog)",
        "Thanks @ana and @bob_1",
        "Save 20% on all plants",
        "What makes a good shoe",
        "WE LOVE RUNNING",
        "Over 500 people came 🎉",
        "Read more at https://shop.example.com/a?b=1",
    ),
    "es": (
        "Ya están aquí los zapatos, que son muy cómodos",
        "Hicimos uso del sol con el fin de ahorrar",
        "Pero llega el lunes",
        "No vendemos tus datos",
        "Ven a la tienda (y al taller)",
        "Gracias a @ana",
        "Ahorra un 20% en plantas",
        "¿Qué hace bueno a un zapato",
        "NOS ENCANTA CORRER",
        "Vinieron más de 500 personas 🎉",
        "Más en https://shop.example.com/a?b=1",
    ),
}
CLOSINGS = ("", " #shoes", " #run #fun", " https://example.com/x", "\n\nexample.org #zapatos")
# Over 280 with facts in it, and sentences that may go.
LONG = "We sold 500 pairs on Friday. " + "Our whole team had cake with all of the people who came by. " * 5
EVERYTHING = ("engagement", "clicks", "sales", "signups", "community")
ask = partial(improve, language="en", objectives=EVERYTHING, asks=True)


class Models:
    """The shipped score with nobody who judges, or a score of the test's own with a judge of its own."""

    def __init__(self, *, points: dict[str, float] | None = None, judged: dict[str, float] | None = None) -> None:
        self.points, self.likely = points, judged
        self.predicted: list[int] = []
        self.asked: list[int] = []

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        self.predicted.append(len(drafts))
        if self.points is None:
            return PREDICTOR.predict(drafts)
        return [scored(sum(self.points[word] * draft.text.count(word) for word in self.points)) for draft in drafts]

    async def judge(self, _draft: str, texts: Sequence[str], _language: Language | None) -> list[float | None]:
        self.asked.append(len(texts))
        if self.likely is None:
            return [None] * len(texts)
        return [0.5 + sum(self.likely[word] for word in self.likely if word in text) for text in texts]


def scored(points: float) -> Prediction:
    return Prediction(
        viral_score=50.0 + points,
        p_beats_median=0.5,
        interval=(0.0, 100.0),
        base=50.0,
        contributions={"words": points},
        subscores=Subscores(points, None, None),
        evidence=OwnRecord(0),
        method="words",
    )


@st.composite
def drafts(draw: st.DrawFn) -> tuple[str, Language]:
    language: Language = draw(st.sampled_from(("en", "es")))
    parts = draw(st.lists(st.sampled_from(SENTENCES[language]), min_size=1, max_size=9))
    ends = draw(st.lists(st.sampled_from([".", "!", "?", "!!!", "...", ""]), min_size=len(parts), max_size=len(parts)))
    gap = draw(st.sampled_from([" ", "\n", "\n\n"]))
    return gap.join(map("".join, zip(parts, ends, strict=True))) + draw(st.sampled_from(CLOSINGS)), language


def adds_up(found: Improved) -> bool:
    if found.viral_score is None or found.original_score is None:
        return found.viral_score is found.original_score and all(step.delta is None for step in found.steps)
    deltas = sum(step.delta or 0.0 for step in found.steps)
    return deltas == pytest.approx(found.viral_score - found.original_score, abs=0.05)


def price_of_polish(found: Improved) -> float:
    """What spelling and marks cost, which alone may cost anything."""
    return sum(max(0.0, -(step.delta or 0.0)) for step in found.steps if step.edit == "polish")


async def score(text: str, original: str | None = None) -> float | None:
    return PREDICTOR.predict([Draft(text=text, original=original)])[0].viral_score


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drafts(), st.sampled_from([None, 280, 140, 90, 40, 1]), st.booleans())
async def test_whatever_is_asked_a_draft_only_gains(
    made: tuple[str, Language], target: int | None, sober: bool
) -> None:
    draft, language = made
    found = await ask(draft, Models(), language=language, target_length=target, sober=sober)
    again = await ask(draft, Models(), language=language, target_length=target, sober=sober)
    assert found == again
    scored = await score(draft) is not None
    assert found.original_score == await score(draft)
    assert found.viral_score == await score(found.text, draft)
    assert adds_up(found)
    polished = polish(draft, language)
    assert keeps_facts(draft, found.text) or keeps_facts(polished, found.text)
    if is_valid(draft):
        assert not scored or found.viral_score >= found.original_score - price_of_polish(found)
        assert is_valid(found.text)
    if target and found.target_reached:
        assert weighted_length(found.text) <= target
    assert found.target_reached is not None or is_valid(draft)
    before = found.original_score
    for place, step in enumerate(found.steps):
        assert (step.delta is not None) == scored
        if scored:
            assert step.delta > MIN_GAIN or (place == 0 and step.edit == "shorten") or step.edit == "polish"
            assert step.delta >= -MIN_GAIN or step.edit in {"shorten", "polish"}
            assert before + step.delta == pytest.approx(await score(step.text, draft), abs=0.05)
            before += step.delta
        assert is_valid(step.text)
        assert keeps_facts(draft, step.text) or keeps_facts(polished, step.text)
    assert found.text == (found.steps[-1].text if found.steps else draft)
    kinds = [step.edit for step in found.steps]
    assert len(kinds) == len(set(kinds)) <= ROUNDS + 1
    assert set(kinds) <= {"shorten", *EDITS}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drafts())
async def test_what_was_improved_is_not_made_worse_by_improving_it_again(made: tuple[str, Language]) -> None:
    draft, language = made
    once = await ask(draft, Models(), language=language)
    twice = await ask(once.text, Models(), language=language)
    if once.viral_score is not None and twice.viral_score is not None:
        assert twice.viral_score >= once.viral_score - price_of_polish(twice)
    assert keeps_facts(once.text, twice.text) or keeps_facts(polish(once.text, language), twice.text)


async def test_a_draft_whose_facts_do_not_fit_stays_as_it_is() -> None:
    draft = " ".join(f"We sold {number} pairs." for number in range(100, 130))
    found = await ask(draft, Models())
    assert (found.text, found.steps, found.target_reached) == (draft, (), False)
    assert found.viral_score == found.original_score


async def test_a_shorter_draft_that_loses_is_not_taken() -> None:
    models = Models(points={"cake": 5.0})
    found = await improve("We sold 500 pairs. We had cake.", models, language="en", target_length=20)
    assert (found.text, found.steps, found.target_reached) == ("We sold 500 pairs. We had cake.", (), False)


async def test_a_shorter_draft_that_wins_back_what_it_lost_is_taken() -> None:
    models = Models(points={"cake": 5.0, "really": -6.0})
    found = await improve("We really sold 500 pairs. We had cake.", models, language="en", target_length=27)
    assert found.text == "We sold 500 pairs."
    assert [(step.edit, step.delta) for step in found.steps] == [("shorten", -5.0), ("drop_fillers", 6.0)]
    assert found.target_reached


async def test_a_draft_that_x_would_not_take_is_shortened_whatever_it_costs() -> None:
    models = Models(points={"cake": 5.0})
    found = await improve(LONG, models, language="en")
    assert weighted_length(LONG) > MAX_WEIGHTED_LENGTH >= weighted_length(found.text)
    assert [step.edit for step in found.steps] == ["shorten", "polish"]
    assert found.steps[0].delta < 0 == found.steps[1].delta
    assert found.target_reached
    assert adds_up(found)


async def test_a_target_that_the_facts_do_not_allow_still_makes_the_draft_postable() -> None:
    found = await ask(LONG, Models(), target_length=10)
    assert not found.target_reached
    assert is_valid(found.text)
    assert found.steps[0].edit == "shorten"


async def test_no_edit_makes_a_draft_longer_than_its_target() -> None:
    draft = "Shoes should really be here."
    found = await ask(draft, Models(points={"?": 5.0, "really": -5.0}), target_length=len(draft))
    assert (found.text, found.target_reached) == ("Shoes should be here.", True)


async def test_what_is_not_permitted_is_not_written() -> None:
    models = Models(points={"?": 5.0, "really": -3.0})
    free = await ask("Our shoes should really be here.", models)
    bound = await ask("Our shoes should really be here.", models, permitted=lambda text: "?" not in text)
    assert "?" in free.text
    assert {step.edit for step in bound.steps} == {"drop_fillers"}


async def test_an_edit_that_gains_but_is_judged_clearly_worse_is_not_taken() -> None:
    points, draft = {"?": 5.0, "really": -3.0}, "Our shoes should really be here."
    held = await ask(draft, Models(points=points, judged={"?": -CLEARLY_WORSE + 0.01}))
    lost = await ask(draft, Models(points=points, judged={"?": -CLEARLY_WORSE - 0.01}))
    assert "?" in held.text
    assert [step.edit for step in lost.steps] == ["drop_fillers"]


async def test_an_edit_that_is_judged_better_is_taken_at_no_loss() -> None:
    draft = "Our shoes should be here."
    better = await ask(draft, Models(points={}, judged={"?": PREFERRED}))
    same = await ask(draft, Models(points={}, judged={"?": PREFERRED - 0.01}))
    dearer = await ask(draft, Models(points={"?": -1.0}, judged={"?": 0.4}))
    assert [(step.edit, step.delta) for step in better.steps] == [("close_for_objective", 0.0)]
    assert same.steps == dearer.steps == ()


async def test_polish_comes_first_whatever_it_costs() -> None:
    found = await ask("we dont sell your data, we really love our shoes", Models(points={"really": -3.0}))
    assert [step.edit for step in found.steps] == ["polish", "drop_fillers"]
    assert found.text == "We don't sell your data, we love our shoes."
    dear = await ask("we dont sell your data", Models(points={"don't": -1.0}))
    assert [(step.edit, step.delta) for step in dear.steps] == [("polish", -1.0)]


async def test_a_language_that_nobody_speaks_here_gets_no_word() -> None:
    draft = "Ab Montag gibt es frisches Brot, wir freuen uns."
    found = await ask(draft, Models(points={"e": 1.0, "?": 9.0}), language=None)
    assert (found.text, found.steps) == (draft, ())


async def test_sober_news_gets_nothing_added() -> None:
    found = await ask("Our shoes should be here.", Models(points={"?": 9.0}), sober=True)
    assert found.steps == ()


async def test_each_round_asks_each_model_once() -> None:
    models = Models(points={"really": -3.0, "?": 5.0})
    found = await ask("Our shoes should really be here.", models)
    assert len(models.asked) <= len(found.steps) + 1
    assert len(models.predicted) <= len(found.steps) + 2


async def test_no_step_loses_even_where_the_next_would_win_more() -> None:
    models = Models(points={"really": 2.0, "can": 9.0})
    found = await improve("We are really able to help.", models, language="en")
    assert found.steps == ()


async def test_nothing_gains_nothing_changes() -> None:
    found = await ask("Our shoes are here.", Models(points={}))
    assert (found.text, found.steps, found.target_reached) == ("Our shoes are here.", (), None)


async def test_a_rewrite_has_to_be_judged_better_by_more_than_other_edits() -> None:
    draft, better = "We moved, and it broke twice.", "We moved. It broke twice."
    for surer, taken in ((PREFERRED, []), (PREFERRED + REWRITE_CURSE, ["rewrite"])):
        found = await ask(draft, Models(points={}, judged={". It": surer + 0.001}), rewrites=(better,))
        assert [step.edit for step in found.steps] == taken


async def test_the_record_of_the_author_and_the_moment_count() -> None:
    post = "Have you seen our window?"
    history = tuple(
        Post(
            text=post if day % 2 else "Our shop.", created_at=NOON - timedelta(days=day), likes=day % 2 * 90, retweets=0
        )
        for day in range(2, 40)
    )
    draft = "We opened a shop. Our shoes are here."
    found = await ask(draft, Models(), posted_at=NOON, history=history)
    expected = PREDICTOR.predict([Draft(text=found.text, posted_at=NOON, history=history)])[0]
    assert found.viral_score == expected.viral_score != await score(found.text)
