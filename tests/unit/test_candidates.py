"""Candidates and better drafts on handwritten models: who pays for what, what is missing, and what is said of it."""

from dataclasses import replace

import pytest

from pipelines.generator.candidates import Engines
from pipelines.optimize import analyze, answer, generate, optimize
from pipelines.policy import Policy
from pipelines.records import (
    Affect,
    Analysis,
    Brief,
    Drafts,
    DraftToOptimize,
    Finding,
    Proposal,
    Query,
    Sensitivity,
    SensitivityLabel,
)
from tests.fake_models import AFFECT, FakeModels

WRITER = Engines(language_model=True)


def read_as(label: SensitivityLabel) -> Affect:
    return replace(AFFECT, sensitivity=Sensitivity(label, {label: 0.9}))


class Reading(FakeModels):
    """Reads every text as one of a kind."""

    def __init__(self, label: SensitivityLabel, *down: str, language: str = "en") -> None:
        super().__init__(*down, language=language)
        self.label = label

    async def read(self, text: str, language: str | None) -> Affect:
        await super().read(text, language)
        return read_as(self.label)


@pytest.mark.parametrize("label", ["hate", "threat", "fraud"])
async def test_nothing_is_written_for_a_text_that_harms_and_a_finding_says_why(label: SensitivityLabel) -> None:
    models = Reading(label)
    written = await generate(Query(query="Send 1 coin, get 2.", engine="auto"), models, WRITER)
    answered = await answer(Query(query="Send 1 coin, get 2.", engine="auto"), models, WRITER)
    improved = await optimize(DraftToOptimize(draft="Send 1 coin, get 2!!!"), models, WRITER)
    assert (written.candidates, written.best, written.findings[0].rule) == ((), None, label)
    assert (answered.templates, answered.recommendations) == ((), ())
    assert answered.analysis is not None
    assert label in {finding.rule for finding in answered.analysis.findings or ()}
    assert (improved.text, improved.steps, improved.findings[0].rule) == ("Send 1 coin, get 2!!!", (), label)
    assert models.asked_to_write == []


@pytest.mark.parametrize("rule", ["private_card", "private_id"])
async def test_nothing_is_written_for_a_text_with_a_number_that_nobody_should_post(rule: str) -> None:
    class Exposing(FakeModels):
        async def analyze(self, text: str, language: str | None) -> Analysis:
            found = await super().analyze(text, language)
            return replace(found, findings=(Finding(rule, 0, 4, "never post it", "error"),))

    answered = await answer(Query(query="Pay with 4111 1111 1111 1111.", engine="auto"), Exposing(), WRITER)
    improved = await optimize(DraftToOptimize(draft="Pay with 4111 1111 1111 1111!!!"), Exposing(), WRITER)

    assert (answered.templates, answered.best) == ((), None)
    assert "take it out first" in answered.notes[0]
    assert (improved.steps, [finding.rule for finding in improved.findings]) == ((), [rule])


async def test_of_sober_news_only_what_has_no_word_of_its_own_is_kept() -> None:
    class Sober(Reading):
        async def write(self, brief: Brief) -> Drafts:
            await super().write(brief)
            texts = (
                ("Our shop closed today.", "edit"),
                ("Closed today: our shop.", "template"),
                ("Our shop closed today. Come by!", "template"),
            )
            return Drafts(tuple(Proposal(text, len(text), source, None, 0.5) for text, source in texts), True, 0.5)  # type: ignore[arg-type]

    models = Sober("sober")
    result = await generate(Query(query="our shop closed today", engine="auto"), models, WRITER)
    assert result.candidates is not None
    assert {one.text for one in result.candidates} == {"Our shop closed today.", "Closed today: our shop."}
    assert models.asked_to_write == []
    assert "own words" in result.notes[0]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Ab Montag gibt es frisches Brot."),
        ("tr", "Pazartesi günü taze ekmek var, hepinizi bekliyoruz."),
        ("ca", "Dilluns obrim la botiga nova amb pa fresc i molta il·lusió."),
        ("ar", "نفتح المتجر الجديد يوم الاثنين"),
    ],
)
async def test_nothing_is_written_or_added_in_a_language_that_nobody_here_writes(language: str, text: str) -> None:
    models = FakeModels(language=language)
    written = await generate(Query(query=text, engine="auto"), models, WRITER)
    improved = await optimize(DraftToOptimize(draft=text, objectives=("engagement",)), models, WRITER)
    answered = await answer(Query(query=text), models, WRITER)
    assert (written.candidates, written.best) == ((), None)
    assert f"`{language}`" in written.notes[0]
    assert improved.text == text
    assert answered.recommendations == ()
    assert models.briefs == models.asked_to_write == []


@pytest.mark.parametrize(
    "text",
    [
        "chleb i masło są już na stole, zapraszamy wszystkich",
        "il pane e il burro sono già sulla tavola, venite tutti",
    ],
)
async def test_without_the_analyzer_nothing_is_written_in_a_language_that_nobody_here_writes(text: str) -> None:
    models = FakeModels("query_analyzer")
    written = await generate(Query(query=text, engine="auto"), models, WRITER)
    answered = await answer(Query(query=text, engine="auto"), models, WRITER)
    improved = await optimize(DraftToOptimize(draft=text, objectives=("engagement",)), models, WRITER)
    assert (written.candidates, answered.templates, answered.recommendations) == ((), (), ())
    assert "English and Spanish" in written.notes[0]
    assert improved.text == text
    assert models.briefs == models.asked_to_write == models.judged == []
    assert written.degraded == answered.degraded == improved.degraded == ("query_analyzer",)


async def test_without_the_analyzer_a_spanish_text_is_read_and_written_for_in_spanish() -> None:
    text, models = "Abrimos la tienda el lunes con pan recién hecho", FakeModels("query_analyzer")
    await generate(Query(query=text, engine="auto"), models, WRITER)
    await optimize(DraftToOptimize(draft=text), models, WRITER)
    assert {brief.language for brief in (*models.briefs, *models.asked_to_write)} == {"es"}
    assert set(models.read_in) == {"es"}


@pytest.mark.parametrize(
    "draft", ["#" + "a" * 300, "#" + "日本" * 140 + " です", "a" + "\u0323" * 900, "We shout z" + "\u0336" * 600 + "!"]
)
async def test_a_draft_with_something_longer_than_a_post_is_a_thread_all_the_same(draft: str) -> None:
    improved = await optimize(DraftToOptimize(draft=draft, format="thread"), FakeModels(), Engines())
    assert improved.parts is not None
    assert len(improved.parts) > 1


async def test_a_draft_that_cannot_be_cut_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[str]:
        raise ValueError("something that cannot be cut is longer than a part may be")

    monkeypatch.setattr("pipelines.optimize.split_thread", refuse)
    improved = await optimize(DraftToOptimize(draft="We open. " * 60, format="thread"), FakeModels(), Engines())
    assert improved.parts is None
    assert "cannot be cut" in improved.notes[-1]


async def test_a_text_that_nothing_beats_is_said_to_be_the_best_and_the_others_are_listed() -> None:
    class Plain(FakeModels):
        async def write(self, brief: Brief) -> Drafts:
            return Drafts((Proposal("Doors at 7.", 11, "template", None, 0.3),), True, 0.9)

    result = await generate(Query(query="Doors open at 7 this evening."), Plain(), Engines())
    assert result.best == "yours"
    assert result.candidates is not None
    assert result.candidates[0].delta is not None
    assert result.candidates[0].delta < 0


async def test_a_mended_apostrophe_is_no_new_negation() -> None:
    class Mended(FakeModels):
        async def write(self, brief: Brief) -> Drafts:
            return Drafts((Proposal("We don't open today.", 20, "edit", None, 0.8),), True, 0.4)

    result = await generate(Query(query="we dont open today"), Mended(), Engines())
    assert result.best == "candidate"
    assert [one.text for one in result.candidates or ()] == ["We don't open today."]


async def test_where_the_authors_text_is_best_and_alone_the_note_says_that_it_is_ready() -> None:
    class Ready(FakeModels):
        async def write(self, brief: Brief) -> Drafts:
            return Drafts((), True, 0.9)

    result = await generate(Query(query="Doors open at 7 this evening."), Ready(), Engines())
    assert result.best == "yours"
    assert "ready to post" in result.notes[0]


@pytest.mark.parametrize(("n", "best"), [(1, "candidate"), (0, None)])
async def test_a_note_is_never_the_best_itself(n: int, best: str | None) -> None:
    class Note(FakeModels):
        async def write(self, brief: Brief) -> Drafts:
            return Drafts((Proposal("Doors at 7.", 11, "template", None, 0.3),)[:n], False, 0.9)

    assert (await generate(Query(query="doors, 7, friday"), Note(), Engines())).best == best


@pytest.mark.parametrize(("p_postable", "best"), [(0.26, None), (0.7, "candidate")])
async def test_a_row_with_capitals_alone_is_best_only_where_strangers_would_post_it(
    p_postable: float, best: str | None
) -> None:
    class Row(FakeModels):
        async def write(self, brief: Brief) -> Drafts:
            return Drafts((Proposal("Doors, 7, Friday.", 17, "edit", None, p_postable),), False, 0.2)

    result = await generate(Query(query="doors, 7, friday"), Row(), Engines())
    assert result.best == best
    assert result.candidates


async def test_who_asks_for_no_writer_does_not_pay_for_one() -> None:
    models = FakeModels()
    result = await generate(Query(query="Shoes", engine="templates"), models, WRITER)
    assert models.asked_to_write == []
    assert result.candidates
    assert result.degraded == ()


async def test_without_a_writer_nothing_is_missing_and_a_late_one_is_named() -> None:
    without = await generate(Query(query="Shoes", engine="auto"), FakeModels(), Engines())
    late = await generate(Query(query="Shoes", engine="auto"), FakeModels("generator.lm"), WRITER)
    assert without.degraded == ()
    assert late.degraded == ("generator.lm",)
    assert without.candidates
    assert late.candidates


async def test_that_there_is_nothing_is_said_in_the_language_of_the_query_with_what_would_help() -> None:
    class Short(FakeModels):
        async def write(self, brief: Brief) -> Drafts:
            return replace(await super().write(brief), proposals=())

    english = await generate(Query(query="Shoes", n_templates=4), Short(), Engines())
    spanish = await answer(Query(query="Zapatos", n_templates=4), Short(language="es"), Engines())
    enough = await generate(Query(query="Shoes", n_templates=2), FakeModels(), Engines())
    assert english.notes[0].startswith("0 of 4 candidates: give a sentence")
    assert spanish.notes[0].startswith("No se propone nada: da una frase")
    assert enough.notes == ()


async def test_both_engines_write_where_that_was_left_open() -> None:
    result = await generate(Query(query="Shoes", n_templates=8, engine="auto"), FakeModels(), WRITER)
    assert result.candidates is not None
    assert {candidate.source for candidate in result.candidates} == {"lm", "template"}


async def test_what_the_query_says_against_a_rule_of_x_is_among_the_findings() -> None:
    analysis, _ = await analyze("Like and retweet to win a shoe!", FakeModels(), Policy())
    silent, _ = await analyze("Like and retweet to win a shoe!", FakeModels(), Policy({"giveaway": "off"}))
    assert analysis.findings is not None
    assert silent.findings is not None
    assert "giveaway" in {finding.rule for finding in analysis.findings}
    assert "giveaway" not in {finding.rule for finding in silent.findings}
    assert all(finding.source for finding in analysis.findings)


async def test_an_optimized_draft_names_each_edit_with_its_change() -> None:
    models = FakeModels()
    draft = "Our new shoes are here!!! #shoes #run #new"
    result = await optimize(DraftToOptimize(draft=draft), models, Engines())
    assert result.steps
    assert result.text == result.steps[-1].text
    assert result.viral_score is not None
    assert result.original_score is not None
    assert sum(step.delta for step in result.steps) == pytest.approx(result.viral_score - result.original_score)


async def test_without_scores_a_draft_stays_as_it_is_and_the_predictor_is_named() -> None:
    result = await optimize(DraftToOptimize(draft="Shoes!!!"), FakeModels("viral_predictor"), Engines())
    assert (result.text, result.viral_score, result.steps) == ("Shoes!!!", None, ())
    assert result.degraded == ("viral_predictor",)


async def test_a_shorter_text_that_would_cost_points_is_shown_beside_the_draft() -> None:
    draft = "Our new store opens tomorrow morning. We worked on it for a long time. The chairs are nice and soft."
    result = await optimize(DraftToOptimize(draft=draft, target_length=40), FakeModels(), Engines())
    assert (result.text, result.target_reached) == (draft, False)
    assert result.shortened is not None
    assert len(result.shortened.text) <= 40
    assert result.shortened.delta < 0
    assert "shortened" in result.notes[0]


async def test_a_draft_whose_facts_alone_are_too_long_says_how_long_it_is_and_what_to_do() -> None:
    draft = " ".join(f"Item {number} costs ${number}.99 at 10:{number}." for number in range(10, 30))
    result = await optimize(DraftToOptimize(draft=draft), FakeModels(), Engines())
    assert (result.text, result.target_reached, result.shortened) == (draft, False, None)
    assert str(len(draft)) in result.notes[0]
    assert "drop one yourself" in result.notes[0]


async def test_a_note_says_why_there_are_fewer_candidates() -> None:
    foreign = await generate(Query(query="Nous ouvrons lundi.", n_templates=3), FakeModels(), Engines())
    assert "`fr`" in foreign.notes[0]

    class Silent(FakeModels):
        async def write(self, brief: Brief) -> Drafts:
            return Drafts((), True, 0.5)

    sale = await generate(Query(query="Buy 1000 followers for $5 here!", n_templates=3), Silent(), Engines())
    assert sale.notes[0].startswith("0 of 3 candidates: engagement_sale.")
