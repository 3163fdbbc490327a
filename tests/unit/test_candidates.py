"""Candidates and better drafts on handwritten models: who pays for what, what is missing, and what is said of it."""

import re
from dataclasses import replace

import pytest

from pipelines.generator import candidates
from pipelines.generator.candidates import SPARE, Engines
from pipelines.generator.templates import realise
from pipelines.optimize import analyze, answer, generate, optimize
from pipelines.policy import Policy
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import (
    Affect,
    Brief,
    DraftToOptimize,
    Emotion,
    Language,
    Proposal,
    Query,
    Tone,
)
from tests.fake_models import AFFECT, WORDS, FakeModels

CRITIC = Engines(fluency_floor=-5.0)


async def test_a_candidate_that_reads_worse_than_people_write_is_dropped() -> None:
    models = FakeModels()
    result = await generate(Query(query="Shoes", n_templates=3), models, CRITIC)
    assert result.candidates is not None
    assert len(models.judged) == 3 + SPARE
    assert {candidate.fluency for candidate in result.candidates} == {-3.0}
    assert not any(candidate.text.startswith(WORDS[0] + " ") for candidate in result.candidates)


@pytest.mark.parametrize(
    ("query", "engines"),
    [
        (Query(query="Shoes", engine="templates"), CRITIC),
        (Query(query="Zapatos", language="es"), CRITIC),
        (Query(query="Shoes"), Engines()),
    ],
)
async def test_who_asks_for_templates_or_another_language_does_not_pay_for_the_critic(
    query: Query, engines: Engines
) -> None:
    models = FakeModels()
    result = await generate(query, models, engines)
    assert models.judged == []
    assert result.candidates
    assert result.degraded == ()


async def test_a_critic_that_is_late_leaves_the_candidates_and_is_named() -> None:
    result = await generate(Query(query="Shoes"), FakeModels("generator.fluency"), CRITIC)
    assert result.degraded == ("generator.lm",)
    assert result.candidates
    assert {candidate.fluency for candidate in result.candidates} == {None}


async def test_fewer_candidates_than_were_asked_for_is_said_in_the_language_of_the_query() -> None:
    class Short(FakeModels):
        async def write(self, brief: Brief) -> list[Proposal]:
            return (await super().write(brief))[:2]

    english = await generate(Query(query="Shoes", n_templates=4), Short(), Engines())
    spanish = await answer(Query(query="Zapatos", n_templates=4), Short(language="es"), Engines())
    enough = await generate(Query(query="Shoes", n_templates=2), Short(), Engines())
    assert english.notes[0].startswith("2 of 4 candidates")
    assert spanish.notes[0].startswith("2 de 4 candidatos")
    assert enough.notes == ()


async def test_both_engines_write_where_that_was_left_open() -> None:
    result = await generate(Query(query="Shoes", n_templates=8), FakeModels(), Engines(language_model=True))
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


async def test_without_the_critic_a_draft_is_still_optimized_and_the_critic_is_named() -> None:
    draft = "Our new shoes are here!!! #shoes #run #new"
    result = await optimize(DraftToOptimize(draft=draft), FakeModels("generator.fluency"), CRITIC)
    assert result.steps
    assert result.degraded == ("generator.lm",)


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


@pytest.mark.parametrize(("joy", "polarity", "added"), [(0.9, 0.8, True), (0.5, 0.8, False), (0.9, 0.1, False)])
async def test_an_emotion_is_added_only_where_the_text_is_plainly_glad(
    joy: float, polarity: float, added: bool
) -> None:
    class Glad(FakeModels):
        async def read(self, text: str, language: str | None) -> Affect:
            affect = await super().read(text, language)
            emotion = Emotion("joy", {"joy": joy})
            return replace(affect, emotion=emotion, sentiment=replace(affect.sentiment, polarity=polarity))

    result = await optimize(DraftToOptimize(draft="Our new shop is open and we love it."), Glad(), Engines())
    assert ("add_emotional_trigger" in {step.edit for step in result.steps}) == added


async def test_a_note_says_why_there_are_fewer_candidates() -> None:
    foreign = await generate(Query(query="Chaussures", n_templates=3), FakeModels(language="fr"), Engines())
    assert "`fr`" in foreign.notes[0]

    class Silent(FakeModels):
        async def write(self, brief: Brief) -> list[Proposal]:
            return []

    sale = await generate(Query(query="Buy 1000 followers for $5 here!", n_templates=3), Silent(), Engines())
    assert sale.notes[0].startswith("0 of 3 candidates: engagement_sale.")


@pytest.mark.parametrize(
    "text",
    [
        "Our beloved founder Ann Lee died last night.",
        "Unfortunately we have to lay off 30 colleagues this week.",
        "Nuestro fundador murió anoche.",
        "We are sorry for the outage of yesterday.",
        "Pedimos disculpas por la caída de ayer.",
    ],
)
@pytest.mark.parametrize("tone", ["witty", "bold", "neutral"])
def test_bad_news_gets_the_authors_own_words_and_nothing_else(text: str, tone: Tone) -> None:
    language: Language = "es" if "ó" in text or "Pedimos" in text else "en"
    query = Query(query=text, language=language, tone=tone, objectives=("engagement",), n_templates=8)
    [analysis] = QueryAnalyzer().analyze([text], [language])
    brief = candidates._brief(query, analysis, Engines(), language)
    assert brief.grave
    own = set(re.findall(r"\w+", text.casefold()))
    for proposal in realise(brief):
        assert set(re.findall(r"\w+", proposal.text.casefold())) <= own | {"re", "we"}, proposal.text


@pytest.mark.parametrize(("sadness", "left"), [(0.9, 1), (0.5, 2)])
def test_of_what_was_read_as_dark_for_certain_only_the_authors_own_words_are_left(sadness: float, left: int) -> None:
    affect = replace(AFFECT, emotion=Emotion("sadness", {"sadness": sadness, "joy": 1 - sadness}))
    written = [
        candidates.Written(Proposal(text, len(text), "template"), ())
        for text in ("It is over for our shop.", "It is over for our shop. Bring a friend.")
    ]
    found = candidates.fitting(Query(query="It is over for our shop."), affect, written)
    assert found is not None
    assert len(found) == left
