"""The graph on handwritten models: what is asked of them, what is missing without them, how answers are ranked."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.editing.advice import edits
from pipelines.generator.candidates import SPARE, Engines
from pipelines.optimize import analyze, answer, compare, generate, generate_each, prepare
from pipelines.policy import Policy
from pipelines.records import (
    Affect,
    Analysis,
    Brief,
    Draft,
    Emotion,
    Engine,
    Pair,
    Proposal,
    Query,
    Sensitivity,
)
from pipelines.results import Candidate, Generated, Prediction, Subscores
from pipelines.text.tweets import Entity
from tests.fake_models import AFFECT, FakeModels

pytestmark = pytest.mark.clock


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


async def pieces_of(query: Query, models: FakeModels, engines: Engines) -> tuple[list[Candidate], Generated]:
    """The candidates in the order in which they came, and the whole, which comes last."""
    *pieces, whole = [piece async for piece in generate_each(query, models, engines)]
    assert isinstance(whole, Generated)
    return [piece for piece in pieces if isinstance(piece, Candidate)], whole


@pytest.mark.parametrize("engine", ["auto", "templates", "lm"])
async def test_what_comes_piece_by_piece_is_at_the_end_what_comes_at_once(engine: Engine) -> None:
    query, engines = Query(query="Some shoes", engine=engine, n_templates=3), Engines(language_model=True)
    pieces, whole = await pieces_of(query, models := FakeModels(), engines)
    assert whole == await generate(query, FakeModels(), engines)
    assert {one.id: one for one in pieces}.items() >= {one.id: one for one in whole.candidates or ()}.items()
    assert [one.source for one in pieces] == {
        "auto": ["template"] * 5 + ["lm"],
        "templates": ["template"] * 5,
        "lm": ["lm"],
    }[engine]
    assert len({draft.text for draft in models.predicted}) == len(models.predicted)


async def test_the_polish_is_shown_while_the_language_model_writes_and_leaving_ends_its_work() -> None:
    class Writing(FakeModels):
        ended = False

        async def generate(self, brief: Brief, told: Callable[[Proposal], None] | None = None) -> tuple[Proposal, ...]:
            assert told is not None
            told(Proposal("Written by a model.", 19, "lm", None, 0.6))
            try:
                await asyncio.sleep(60)
            finally:
                self.ended = True
            return ()

    models = Writing()
    pieces = generate_each(Query(query="Some shoes", engine="auto"), models, Engines(language_model=True))
    shown = [await anext(pieces) for _ in range(8)]
    assert [one.source for one in shown if isinstance(one, Candidate)] == ["template"] * 7 + ["lm"]
    assert all(one.viral_score is not None for one in shown if isinstance(one, Candidate))
    await pieces.aclose()
    await asyncio.sleep(0)
    assert models.ended


async def test_a_text_that_harms_gets_no_piece_but_the_last() -> None:
    class Reading(FakeModels):
        async def read(self, _text: str, language: str | None) -> Affect:
            return replace(AFFECT, sensitivity=Sensitivity("fraud", {"fraud": 0.9}))

    pieces, whole = await pieces_of(Query(query="Some shoes", engine="auto"), Reading(), Engines(language_model=True))
    assert pieces == []
    assert whole.candidates == ()


async def test_a_piece_that_nobody_can_score_has_no_score() -> None:
    pieces, whole = await pieces_of(Query(query="Some shoes"), FakeModels("viral_predictor"), Engines())
    assert pieces
    assert {one.viral_score for one in pieces} == {None}
    assert whole.degraded == ("viral_predictor",)


async def test_a_late_language_model_costs_no_piece_of_the_others() -> None:
    query, engines = Query(query="Some shoes", engine="auto"), Engines(language_model=True)
    pieces, whole = await pieces_of(query, FakeModels("generator.lm"), engines)
    assert {one.source for one in pieces} == {"template"}
    assert whole.degraded == ("generator.lm",)


async def test_an_error_that_no_model_announced_is_not_swallowed() -> None:
    class Broken(FakeModels):
        async def write(self, brief: Brief) -> list[Proposal]:
            raise RuntimeError(brief.query)

    with pytest.raises(RuntimeError, match="shoes"):
        await pieces_of(Query(query="shoes"), Broken(), Engines())

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
    models = FakeModels()
    result = await answer(Query(query="新しい靴"), models, Engines())
    assert result.templates == ()
    assert models.briefs == []
    assert result.viral_score is not None


async def test_sentiment_is_read_in_the_language_that_was_found_or_told() -> None:
    found, told = FakeModels(), FakeModels()
    await answer(Query(query="Abrimos el lunes"), found, Engines())
    await answer(Query(query="Zapatos", language="es"), told, Engines())
    assert found.read_in == told.read_in == ["es"]
    assert found.briefs[0].language == told.briefs[0].language == "es"


def test_what_is_prepared_leaves_nothing_for_the_first_answer_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare()

    def read_anew(path: Path, *_: object, **__: object) -> str:
        raise AssertionError(f"{path} is read by an answer")

    monkeypatch.setattr(Path, "read_text", read_anew)
    monkeypatch.setattr(Path, "read_bytes", read_anew)
    for query in ("Our bakery is opening on Friday, come by!", "Abrimos la tienda el viernes, ¡ven a vernos!"):
        asyncio.run(answer(Query(query=query), FakeModels(), Engines()))


async def test_a_text_that_shows_no_language_is_read_and_written_for_in_the_default_one() -> None:
    models = FakeModels()
    await answer(Query(query="Lima Roma 2026"), models, Engines(default_language="es"))
    assert models.read_in == [brief.language for brief in models.briefs] == ["es"]


async def test_a_text_is_read_while_it_is_analyzed_and_a_model_that_breaks_ends_the_other() -> None:
    begun: list[str] = []

    class Meeting(FakeModels):
        async def analyze(self, text: str, language: str | None) -> Analysis:
            begun.append("analyze")
            await asyncio.sleep(0.01)
            assert "read" in begun
            raise RuntimeError("a bug")

        async def read(self, text: str, language: str | None) -> Affect:
            begun.append("read")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                begun.append("ended")
                raise
            return await super().read(text, language)

    with pytest.raises(RuntimeError):
        await answer(Query(query="Shoes"), Meeting(), Engines())
    await asyncio.sleep(0)
    assert begun == ["analyze", "read", "ended"]


async def test_sentiment_and_writing_do_not_wait_for_each_other() -> None:
    order: list[str] = []

    class Slow(FakeModels):
        async def read(self, text: str, language: str | None) -> Affect:
            await asyncio.sleep(0.05)
            order.append("read")
            return await super().read(text, language)

        async def write(self, brief: Brief) -> list[Proposal]:
            order.append("write")
            return await super().write(brief)

    await answer(Query(query="Shoes"), Slow(), Engines())
    assert order == ["write", "read"]


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


async def test_people_and_places_take_the_place_of_names_without_a_kind_and_leave_what_is_exact() -> None:
    text = "Ana of Acme meets @leeds in Leeds on Friday"

    def entity(label: str, name: str, start: int = 0) -> Entity:
        place = text.index(name, start)
        return Entity(name, label, place, place + len(name))

    class Named(FakeModels):
        async def analyze(self, text: str, language: str | None) -> Analysis:
            exact = (entity("NAME", "Ana of Acme"), entity("MENTION", "@leeds"), entity("DATE", "Friday"))
            return replace(await super().analyze(text, language), entities=exact)

        async def read(self, text: str, language: str | None) -> Affect:
            named = (entity("PERSON", "Ana"), entity("ORG", "Acme"), entity("LOC", "leeds"), entity("LOC", "Leeds"))
            return replace(await super().read(text, language), entities=named)

    analysis, _ = await analyze(text, Named(), Policy())
    found = [f"{one.label} {one.text}" for one in analysis.entities or ()]
    assert found == ["PERSON Ana", "ORG Acme", "MENTION @leeds", "LOC Leeds", "DATE Friday"]


async def test_each_reading_says_whether_its_language_is_read() -> None:
    class Spanish(FakeModels):
        async def read(self, text: str, language: str | None) -> Affect:
            emotion = Emotion("joy", {"joy": 1.0})
            return replace(await super().read(text, language), emotion=emotion, risks={"offensive": 0.1}, entities=())

    analysis, _ = await analyze("Zapatos", Spanish(language="es"), Policy())
    assert analysis.supported == {
        "sentiment": True,
        "emotion": True,
        "intent": False,
        "sensitivity": False,
        "irony": False,
        "offensive": True,
        "names": True,
        "keywords": True,
    }
    without, _ = await analyze("Zapatos", FakeModels("sentiment"), Policy())
    assert without.supported is None


async def test_a_draft_that_nobody_can_score_gets_candidates_in_the_order_of_the_judge_and_no_number() -> None:
    class Unscored(FakeModels):
        @staticmethod
        def score(draft: Draft) -> Prediction:
            assert draft.original == "Zapatos nuevos."
            return replace(
                FakeModels.score(draft), viral_score=None, p_beats_median=None, interval=None, supported=False
            )

    result = await answer(Query(query="Zapatos nuevos.", n_templates=4), Unscored(language="es"), Engines())
    assert result.templates
    assert result.viral_score is None
    assert {(one.viral_score, one.delta) for one in result.templates} == {(None, None)}
    assert all(tip.delta is None for tip in result.recommendations or ())


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
    assert set(edited) <= {tip.text for tip in edits(text)}


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
