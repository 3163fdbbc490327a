"""Posts of up to 4,000 characters, for accounts that pay for them."""

from pathlib import Path

import pytest

from pipelines.generator.generator import Generator
from pipelines.generator.judge import Judge
from pipelines.query_analyzer.limits import within
from pipelines.records import Analysis, Brief
from pipelines.text.tweets import is_valid, weighted_length

SENTENCE = "the bakery opens at eight and the first loaves are out of the oven by half past. "


def analysis(text: str) -> Analysis:
    return Analysis(language="en", weighted_length=weighted_length(text), valid=is_valid(text), findings=())


@pytest.mark.parametrize(
    ("length", "limit", "valid", "rules"),
    [
        (280, 4000, True, []),
        (281, 4000, True, ["beyond_fold"]),
        (4000, 4000, True, ["beyond_fold"]),
        (4001, 4000, False, ["too_long", "beyond_fold"]),
        (281, 280, False, []),
    ],
)
def test_what_is_too_long_depends_on_the_account(length: int, limit: int, valid: bool, rules: list[str]) -> None:
    text = "a" * length

    found = within(analysis(text), text, limit)

    assert found.valid is valid
    assert [finding.rule for finding in found.findings or ()] == rules


def test_what_stands_behind_the_fold_is_the_span_after_280() -> None:
    text = SENTENCE * 5

    (finding,) = within(analysis(text), text, 4000).findings or ()

    assert weighted_length(text[: finding.start]) <= 280
    assert finding.end == len(text)


@pytest.mark.parametrize(("limit", "is_thread"), [(280, True), (4000, False)])
def test_a_long_text_is_a_thread_only_where_the_account_may_not_post_it_whole(limit: int, is_thread: bool) -> None:
    judge = Judge.load(Path(__file__).parents[2] / "models/judge")
    brief = Brief(query=SENTENCE * 5, language="en", keywords=(), length_limit=limit)

    (written,) = Generator(judge).write([brief])

    assert written.proposals
    assert any(proposal.parts for proposal in written.proposals) is is_thread
    assert all(is_valid(text, limit) for one in written.proposals for text in one.parts or (one.text,))
