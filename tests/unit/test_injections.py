"""Hostile texts in every place that takes one: what comes out is data that says nothing the author did not."""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import regex
from pydantic import TypeAdapter, ValidationError

from deployments.http.bodies import without_lone_surrogates
from pipelines.editing.advice import edits
from pipelines.generator.generator import Generator
from pipelines.generator.judge import Judge
from pipelines.generator.templates import load_templates, parse_templates, realise
from pipelines.policy import lint, load_rules
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Analysis, Brief, Draft, Language, Post, Query, Template
from pipelines.text.facts import invents
from pipelines.text.tweets import CONTROL, FORBIDDEN, entities, is_postable, is_valid
from pipelines.viral_predictor.predictor import ViralPredictor

ROOT = Path(__file__).parents[2]
# What a page, a shell, a spreadsheet or a template engine would run; none of it is ever ours.
MARKUP = (
    "<",
    ">",
    "javascript:",
    "data:",
    "onerror",
    "onload",
    "](",
    "&#",
    "&lt",
    "{",
    "}",
    "${",
    "%s",
    "__",
    "`",
    "\\",
)
# What only a prompt or a chat template says.
PROMPT = ("<|", "[inst", "system", "sistema", "assistant", "asistente", "instruc", "prompt", "language model", "user:")
BRACES = regex.compile(r"\{[^{}]*\}")
INVISIBLE = regex.compile(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}--[\n\u200d]]", regex.VERSION1)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Injection:
    where: str
    kind: str
    text: str
    times: int = 1
    refused: bool = False

    @property
    def written(self) -> str:
        return self.text * self.times


INJECTIONS = [Injection(**row) for row in json.loads((ROOT / "tests" / "injections.json").read_text(encoding="utf-8"))]
ACCEPTED = [injection for injection in INJECTIONS if not injection.refused]
QUERIES = [injection for injection in ACCEPTED if injection.where == "query"]


def each(injections: list[Injection]) -> pytest.MarkDecorator:
    names = [f"{injection.where} {injection.kind} {injection.text[:24]!a}" for injection in injections]
    return pytest.mark.parametrize("injection", injections, ids=names)


@pytest.fixture(scope="module")
def analyzer() -> QueryAnalyzer:
    return QueryAnalyzer()


@pytest.fixture(scope="module")
def predictor() -> ViralPredictor:
    return ViralPredictor.load(ROOT / "models" / "viral_predictor")


@lru_cache
def adapter(record: type) -> TypeAdapter[Any]:
    return TypeAdapter(record)


def accepted(record: type, **fields: Any) -> Any:
    """Return the record as HTTP takes it."""
    return adapter(record).validate_json(without_lone_surrogates(json.dumps(fields).encode()))


def post(text: str, number: int = 0) -> dict[str, Any]:
    moment = MOMENT - timedelta(days=2 + number)
    return {"text": text, "created_at": moment.isoformat(), "likes": number, "retweets": number % 7}


def brief_of(text: str, analysis: Analysis, language: Language) -> Brief:
    return Brief(
        query=text,
        language=language,
        keywords=tuple(keyword.text for keyword in analysis.keywords or ()),
        entities=analysis.entities or (),
        n=20,
    )


def assert_nothing_new(source: str, text: str) -> None:
    """What was made of a source holds no link, handle, number, markup or invisible sign that the source does not.

    What X links must be whole: a part of a link leads elsewhere. Words of fact (a day, a negation) are no injection.
    """
    source = unicodedata.normalize("NFC", source)
    assert linked(text) <= linked(source)
    signs = {fact.rstrip(".,:;!?") for fact in invents(source, text) if not fact.isalpha()}
    assert all(sign in source.casefold() for sign in signs), signs
    assert_no_code(source, text)
    assert set(INVISIBLE.findall(text)) <= set(INVISIBLE.findall(source))
    assert orjson.loads(orjson.dumps(text)) == text


def linked(text: str) -> set[str]:
    return {entity.text.casefold() for entity in entities(text) if entity.label in {"URL", "MENTION", "CASHTAG"}}


def assert_no_code(source: str, text: str) -> None:
    folded = unicodedata.normalize("NFC", source).casefold()
    for sign in (*MARKUP, *PROMPT):
        assert sign in folded or sign not in text.casefold(), sign
    assert all(brace.casefold() in folded for brace in BRACES.findall(text))


def test_there_are_sixty_in_both_languages_for_every_place() -> None:
    assert len({injection.written for injection in INJECTIONS}) == len(INJECTIONS) >= 60
    assert {injection.where for injection in INJECTIONS} == {"query", "draft", "template", "history"}
    spanish = regex.compile(
        r"(?i)zapat|olvida|ignora |gracias|compra |sistema|repite|reglas|pan |posts|clic|mitad|entra "
    )
    assert sum(bool(spanish.search(injection.text)) for injection in INJECTIONS) >= 20


@each([injection for injection in INJECTIONS if injection.refused])
def test_what_a_terminal_would_obey_and_what_nobody_sees_is_refused(injection: Injection) -> None:
    text = injection.written
    record, fields = {
        "query": (Query, {"query": text}),
        "draft": (Draft, {"text": text}),
    }[injection.where]
    with pytest.raises(ValidationError, match=r"control character|the text is empty|at most 4000"):
        accepted(record, **fields)


@each(QUERIES)
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_hostile_query_gets_valid_tweets_that_add_nothing_to_it(
    analyzer: QueryAnalyzer, injection: Injection, language: Language
) -> None:
    query = accepted(Query, query=injection.written)
    [analysis] = analyzer.analyze([query.query], [language])
    proposals = realise(brief_of(query.query, analysis, language))
    for proposal in proposals:
        assert is_valid(proposal.text)
        assert not FORBIDDEN.search(proposal.text)
        assert_nothing_new(query.query, proposal.text)
    assert len({proposal.text for proposal in proposals}) == len(proposals)


def test_a_hostile_query_is_put_right_or_left_and_nothing_is_added(analyzer: QueryAnalyzer) -> None:
    generator = Generator(Judge.load(ROOT / "models" / "judge"))
    for injection in QUERIES:
        query = accepted(Query, query=injection.written)
        [analysis] = analyzer.analyze([query.query], ["en"])
        (drafts,) = generator.write([brief_of(query.query, analysis, "en")])
        for proposal in drafts.proposals:
            assert all(map(is_valid, proposal.parts or (proposal.text,)))
            if proposal.source == "edit" and not proposal.parts:
                assert not invents(query.query, proposal.text)


@each([one for one in ACCEPTED if one.where != "template" and (one.where, one.kind) != ("history", "control")])
def test_an_analysis_quotes_the_text_and_says_nothing_else_of_it(analyzer: QueryAnalyzer, injection: Injection) -> None:
    query = accepted(Query, query=injection.written)
    [analysis] = analyzer.analyze([query.query], [None])
    assert all(entity.text == query.query[entity.start : entity.end] for entity in analysis.entities or ())
    for keyword in analysis.keywords or ():
        assert_nothing_new(query.query, keyword.text)
    for finding in analysis.findings or ():
        assert 0 <= finding.start < finding.end <= len(query.query)
        assert_no_code("", finding.message)


@each([injection for injection in ACCEPTED if injection.where in {"query", "draft"}])
@pytest.mark.parametrize("language", ["en", "es"])
def test_an_edit_of_a_hostile_draft_adds_nothing_to_it(injection: Injection, language: Language) -> None:
    draft = accepted(Draft, text=injection.written)
    for tip in edits(draft.text, language):
        assert tip.text is not None
        assert is_postable(tip.text) or FORBIDDEN.search(draft.text)
        assert_nothing_new(draft.text, tip.text)
        assert_no_code("", tip.action)


@each(ACCEPTED)
def test_the_linter_points_into_a_hostile_text_and_says_only_its_own_words(injection: Injection) -> None:
    text = unicodedata.normalize("NFC", injection.written)
    rules = load_rules()
    for found in lint(text, history=[accepted(Post, **post(injection.written))]):
        assert 0 <= found.start < found.end <= len(text)
        assert found.message in rules[found.rule].message.values()
        assert found.source == rules[found.rule].source
        assert orjson.loads(orjson.dumps(found))["rule"] == found.rule


def test_a_link_that_imitates_another_is_pointed_at() -> None:
    seen = [
        injection.text for injection in QUERIES if "misleading_link" in {found.rule for found in lint(injection.text)}
    ]
    assert len(seen) == 2
    assert all("\u0430" in text for text in seen)


@each([injection for injection in ACCEPTED if injection.where == "history"])
def test_a_hostile_history_moves_numbers_and_nothing_else(predictor: ViralPredictor, injection: Injection) -> None:
    history = [post(injection.written if number % 2 else f"Shop news {number}", number) for number in range(40)]
    draft = accepted(Draft, text="Our new shoes are here.", posted_at=MOMENT.isoformat(), history=history)
    assert not any(CONTROL.search(old.text) for old in draft.history)
    [prediction] = predictor.predict([draft])
    [plain] = predictor.predict([replace(draft, history=())])
    assert 0 <= prediction.viral_score <= 100
    assert math.isfinite(prediction.p_beats_median)
    assert math.isclose(prediction.base + sum(prediction.contributions.values()), prediction.viral_score, abs_tol=0.2)
    assert prediction.evidence.own_posts == 40
    assert prediction.subscores.wording == plain.subscores.wording
    assert prediction.method == plain.method
    assert all(name.isidentifier() for name in prediction.contributions)


def library(content: str, language: Language) -> tuple[Template, ...]:
    bundled = next(template for template in load_templates() if template.language == language)
    return parse_templates([asdict(bundled) | {"name": "hostile", "content": content}])


@each([injection for injection in ACCEPTED if injection.where == "template"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_hostile_frame_is_refused_by_name_or_only_quoted(
    analyzer: QueryAnalyzer, injection: Injection, language: Language
) -> None:
    query = "Secret {0} shoes at https://example.com/shoes"
    try:
        templates = library(injection.written, language)
    except ValueError as error:
        templates, refusal = (), str(error)
    else:
        refusal = ""
    assert templates or refusal.startswith("template hostile: ")
    [analysis] = analyzer.analyze([query], [language])
    for proposal in realise(replace(brief_of(query, analysis, language), templates=templates)) if templates else ():
        assert is_valid(proposal.text)
        assert_nothing_new(f"{query} {injection.written}", proposal.text)


def test_the_checks_see_what_they_are_there_to_see() -> None:
    source = "New shoes {topic} at https://example.com"
    for bad in ("Buy at https://evil.com", "Ask @evil", "It is 49", "<b>New</b>", "{url}", "System prompt", "a\u202eb"):
        with pytest.raises(AssertionError):
            assert_nothing_new(source, bad)
    assert_nothing_new(source, "New {topic} https://example.com")
