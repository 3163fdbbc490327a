"""Five hundred real queries: what is offered for them can be posted, is true to them, and is about them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from pipelines.generator.candidates import Engines
from pipelines.generator.phrases import longest_copied_run
from pipelines.generator.selection import MAX_COPIED_WORDS
from pipelines.local import LocalModels
from pipelines.policy import lint
from pipelines.text.facts import invents
from pipelines.text.tweets import is_valid
from training.generation import Written, figures, read_queries, write

ROOT = Path(__file__).parents[2]
QUERIES = Path(__file__).with_name("queries.json")
CANDIDATES = 5


@pytest.fixture(scope="module")
def models() -> LocalModels:
    return LocalModels(ROOT / "models")


@pytest.fixture(scope="module")
def written(models: LocalModels) -> list[Written]:
    return asyncio.run(write(read_queries(QUERIES, CANDIDATES), models, Engines()))


def test_the_list_is_what_it_says() -> None:
    rows = json.loads(QUERIES.read_text(encoding="utf-8"))
    assert len(rows) == len({row["query"] for row in rows}) == 500
    assert {language: sum(row["language"] == language for row in rows) for language in ("en", "es")} == {
        "en": 250,
        "es": 250,
    }


def test_every_candidate_is_valid_and_states_nothing_of_its_own(written: list[Written]) -> None:
    for item in written:
        for candidate in item.candidates:
            assert is_valid(candidate.text), candidate.text
            assert not invents(item.query.query, candidate.text), (item.query.query, candidate.text)
            entities = (item.analysis.entities or ()) if item.analysis else ()
            assert longest_copied_run(candidate.text, item.query.query, entities) <= MAX_COPIED_WORDS, candidate.text


def test_a_candidate_breaks_no_rule_that_its_query_does_not(written: list[Written]) -> None:
    for item in written:
        known = {finding.rule for finding in lint(item.query.query, language="en")}
        for candidate in item.candidates:
            assert {finding.rule for finding in lint(candidate.text, language="en")} <= known, candidate.text


def test_candidates_are_on_topic_distinct_and_there(written: list[Written]) -> None:
    found = figures(written)
    assert found["valid"] == 1.0
    assert found["invented"] == 0
    assert found["pairwise_distinct"] == 1.0
    assert found["on_topic"] >= 0.95
    # A query whose point no short sentence of it holds gets nothing rather than something odd.
    assert found["without_candidates"] <= 0.08 * found["queries"], found


async def test_the_same_seed_writes_the_same(models: LocalModels) -> None:
    queries = read_queries(QUERIES, CANDIDATES)[::25]
    first, again = [await write(queries, models, Engines()) for _ in range(2)]
    assert [item.candidates for item in first] == [item.candidates for item in again]
