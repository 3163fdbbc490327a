"""The graph on handwritten models: what is asked of them, what is missing without them, how answers are ranked."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipelines.advice import edits
from pipelines.candidates import SPARE, Engines
from pipelines.errors import ModelUnavailable
from pipelines.optimize import analyze, answer, compare, generate, optimize
from pipelines.policy import Policy
from pipelines.records import (
    Affect,
    Analysis,
    Brief,
    Draft,
    DraftToOptimize,
    Emotion,
    IntentReading,
    Keyword,
    Pair,
    Proposal,
    Query,
    Sentiment,
)
from pipelines.results import Comparison, OwnRecord, Prediction, Subscores

WORDS = [f"{letter * (2 + number // 2)}{letter}" for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")]
AFFECT = Affect(Sentiment("positive", 0.5, None, {"vader": 0.5}, True, True))


class FakeModels:
    """Answers at once; a model named in `down` is unavailable."""

    def __init__(self, *down: str, language: str = "en") -> None:
        self.down = down
        self.language = language
        self.predicted: list[Draft] = []
        self.briefs: list[Brief] = []
        self.judged: list[str] = []
        self.read_in: list[str | None] = []

    def _check(self, name: str) -> None:
        if name in self.down:
            raise ModelUnavailable(name, "down")

    async def analyze(self, text: str, language: str | None) -> Analysis:
        self._check("query_analyzer")
        keywords = (Keyword("shoes", 1.0),)
        return Analysis(language=language or self.language, weighted_length=len(text), valid=True, keywords=keywords)

    async def read(self, _text: str, language: str | None) -> Affect:
        self._check("sentiment")
        self.read_in.append(language)
        return AFFECT

    async def write(self, brief: Brief) -> list[Proposal]:
        self._check("generator")
        self.briefs.append(brief)
        return [
            Proposal(f"{WORDS[n]} {WORDS[n + 1]} shoes", len(WORDS[n]) + len(WORDS[n + 1]) + 7, "template")
            for n in range(brief.n)
        ]

    async def generate(self, brief: Brief) -> list[Proposal]:
        self._check("generator.lm")
        return [Proposal("Written by a model.", 19, "lm")][: brief.n]

    async def fluency(self, texts: Sequence[str], language: str | None) -> list[float | None]:
        self._check("generator.fluency")
        self.judged += texts
        return (
            [-9.0 if text.startswith(WORDS[0]) else -3.0 for text in texts]
            if language == "en"
            else [None for _ in texts]
        )

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        self._check("viral_predictor")
        self.predicted += drafts
        return [self.score(draft) for draft in drafts]

    @staticmethod
    def score(draft: Draft) -> Prediction:
        score = 50.0 + len(draft.text) - 10 * draft.text.count("#") - 10 * draft.text.count("!")
        return Prediction(
            viral_score=score,
            p_beats_median=score / 200,
            interval=(0.0, 100.0),
            base=50.0,
            contributions={"length": score - 50.0},
            subscores=Subscores(score - 50.0, None, None),
            evidence=OwnRecord(0),
            method="length",
        )

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        comparison = Comparison(
            p_a=0.9, verdict="a", threshold=0.8, accuracy=0.9, coverage=0.2, domain="headlines", supported=True
        )
        down = "viral_predictor" in self.down
        return [ModelUnavailable("viral_predictor", "down") if down else comparison for _ in pairs]

    def versions(self) -> dict[str, str]:
        return {"viral_predictor": "1"}


@pytest.mark.parametrize("model", ["query_analyzer", "sentiment", "generator", "viral_predictor"])
async def test_a_model_that_is_down_costs_its_own_field(model: str) -> None:
    result = await answer(Query(query="Some shoes"), FakeModels(model), Engines())
    assert result.degraded == (model,)
    assert (result.templates is None) == (model == "generator")
    assert (result.viral_score is None) == (model == "viral_predictor")
    assert (result.prediction is None) == (model == "viral_predictor")
    assert (result.recommendations is None) == (model == "viral_predictor")
    assert result.analysis is not None
    assert (result.analysis.sentiment is None) == (model == "sentiment")
    assert (result.analysis.keywords is None) == (model == "query_analyzer")
    assert result.analysis.weighted_length == len("Some shoes")


async def test_everything_down_is_still_an_answer() -> None:
    models = FakeModels("query_analyzer", "sentiment", "generator", "viral_predictor")
    result = await answer(Query(query="Some shoes"), models, Engines())
    assert set(result.degraded) == {"query_analyzer", "sentiment", "generator", "viral_predictor"}


async def test_a_language_model_that_is_down_is_replaced_by_templates_where_that_was_left_open() -> None:
    open_ = await answer(Query(query="Shoes", engine="auto"), FakeModels("generator.lm"), Engines(language_model=True))
    asked = await answer(Query(query="Shoes", engine="lm"), FakeModels("generator.lm"), Engines(language_model=True))
    assert open_.degraded == asked.degraded == ("generator.lm",)
    assert open_.templates is not None
    assert {candidate.source for candidate in open_.templates} == {"template"}
    assert asked.templates is None


async def test_an_error_that_no_model_announced_is_not_swallowed() -> None:
    class Broken(FakeModels):
        async def write(self, brief: Brief) -> list[Proposal]:
            raise RuntimeError(brief.query)

    with pytest.raises(RuntimeError):
        await answer(Query(query="Shoes"), Broken(), Engines())


async def test_candidates_are_ranked_by_score_with_their_delta_to_the_users_text() -> None:
    result = await answer(Query(query="Shoes", n_templates=4), FakeModels(), Engines())
    assert result.templates is not None
    scores = [candidate.viral_score for candidate in result.templates]
    assert scores == sorted(scores, reverse=True)
    assert all(c.delta == pytest.approx(c.viral_score - result.viral_score) for c in result.templates)
    assert len({candidate.id for candidate in result.templates}) == 4


@pytest.mark.parametrize(("by_record", "evidence"), [(True, "own_data"), (False, "convention")])
async def test_an_edit_names_the_authors_record_where_most_of_its_gain_comes_from_it(
    by_record: bool, evidence: str
) -> None:
    class Split(FakeModels):
        @staticmethod
        def score(draft: Draft) -> Prediction:
            whole = FakeModels.score(draft)
            points = whole.viral_score - 50.0
            parts = (0.1 * points, 0.9 * points) if by_record else (0.9 * points, 0.1 * points)
            return replace(whole, subscores=Subscores(wording=parts[0], author=parts[1], time=None))

    result = await answer(Query(query="Shoes! #a #b #c!!!"), Split(), Engines())
    assert result.recommendations is not None
    assert {tip.evidence for tip in result.recommendations if tip.delta is not None} == {evidence}


async def test_without_scores_the_candidates_keep_the_order_of_their_writer() -> None:
    result = await answer(Query(query="Shoes"), FakeModels("viral_predictor"), Engines())
    assert result.templates is not None
    assert [len(candidate.text) for candidate in result.templates] == sorted(len(c.text) for c in result.templates)
    assert {candidate.viral_score for candidate in result.templates} == {None}


async def test_one_call_scores_the_text_its_edits_and_its_candidates_with_history_and_time() -> None:
    models = FakeModels()
    query = Query(query="Shoes! #a #b #c!!!", n_templates=3)
    result = await answer(query, models, Engines())
    assert len(models.predicted) == 1 + len(edits(query.query)) + 3 + SPARE
    assert result.recommendations is not None
    measured = [tip for tip in result.recommendations if tip.delta is not None]
    assert measured
    for tip in measured:
        assert tip.text is not None
        assert tip.delta == pytest.approx(models.score(Draft(text=tip.text)).viral_score - result.viral_score)
        assert tip.delta > 0


async def test_no_candidates_are_written_where_none_are_wanted() -> None:
    models = FakeModels()
    result = await answer(Query(query="Shoes", n_templates=0), models, Engines())
    assert result.templates == ()
    assert models.briefs == []


async def test_a_language_that_nobody_here_writes_gets_no_english_candidates() -> None:
    models = FakeModels(language="ja")
    result = await answer(Query(query="Shoes"), models, Engines())
    assert result.templates == ()
    assert models.briefs == []
    assert result.viral_score is not None


async def test_sentiment_is_read_in_the_language_that_was_found_or_told() -> None:
    found, told = FakeModels(language="es"), FakeModels(language="en")
    await answer(Query(query="Zapatos"), found, Engines())
    await answer(Query(query="Zapatos", language="es"), told, Engines())
    assert found.read_in == told.read_in == ["es"]
    assert found.briefs[0].language == told.briefs[0].language == "es"


async def test_frames_are_chosen_by_the_intent_that_was_read_and_without_one_where_nobody_read_it() -> None:
    class Reader(FakeModels):
        async def read(self, text: str, language: str | None) -> Affect:
            affect = await super().read(text, language)
            return replace(affect, intent=IntentReading("ask", {"ask": 1.0}))

    read, unread = Reader(), Reader("sentiment")
    await answer(Query(query="Shoes"), read, Engines())
    await answer(Query(query="Shoes"), unread, Engines())
    assert [models.briefs[0].intent for models in (read, unread)] == ["ask", None]


async def test_an_analysis_alone_asks_two_models_and_names_what_was_missing() -> None:
    whole, _ = await analyze("Shoes", FakeModels(), Policy())
    part, degraded = await analyze("Shoes", FakeModels("query_analyzer"), Policy())
    assert whole.sentiment == part.sentiment == AFFECT.sentiment
    assert degraded == ("query_analyzer",)
    assert part.language is None


async def test_every_head_of_the_sentiment_model_reaches_the_analysis() -> None:
    class Encoder(FakeModels):
        async def read(self, _text: str, _language: str | None) -> Affect:
            emotion = Emotion("joy", {"joy": 1.0})
            return Affect(AFFECT.sentiment, emotion, None, {"irony": 0.1}, ("sentiment.transformer",))

    analysis, degraded = await analyze("Shoes", Encoder(), Policy())
    assert analysis.emotion is not None
    assert analysis.risks == {"irony": 0.1}
    assert degraded == ("sentiment.transformer",)


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("Look #a here #b and #c", ["Look #a here b and c"]),
        ("BUY NOW IT IS CHEAP", ["Buy now it is cheap"]),
        ("SALE AT HTTPS://X.ORG/AbC BY @ACME #NOW", ["Sale at HTTPS://X.ORG/AbC by @ACME #NOW"]),
        ("Really?!! Yes!!!", ["Really? Yes!"]),
        ("A calm text. #one", []),
        ("https://example.org/#a and C#", []),
    ],
)
def test_edits_touch_form_and_no_fact(text: str, edited: list[str]) -> None:
    assert [tip.text for tip in edits(text)] == edited


@pytest.mark.parametrize(("language", "supported"), [("en", True), ("und", True), ("es", False), ("ja", False)])
async def test_a_pair_that_is_not_english_gets_no_figures(language: str, supported: bool) -> None:
    (found,), degraded = await compare([Pair(a="one", b="two")], FakeModels(language=language))
    assert found is not None
    assert found.supported == supported
    assert (found.p_a, found.verdict) == ((0.9, "a") if supported else (None, "too_close"))
    assert degraded == ()


async def test_a_pair_that_no_model_compares_is_null_and_named() -> None:
    assert await compare([Pair(a="one", b="two")], FakeModels("viral_predictor")) == ([None], ("viral_predictor",))


async def test_without_the_analyzer_pairs_are_compared_and_the_analyzer_is_named() -> None:
    (found,), degraded = await compare([Pair(a="one", b="two")], FakeModels("query_analyzer"))
    assert found is not None
    assert found.verdict == "a"
    assert degraded == ("query_analyzer",)


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
