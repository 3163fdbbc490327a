"""The committed second opinion of the verifier, and what rules and opinion reach on briefs of ../shared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipelines.errors import WeightsRefused
from pipelines.generator.second_opinion import load_second_opinion
from pipelines.generator.verifier import verify

FOLDER = Path(__file__).parents[2] / "models" / "verifier"
BRIEFS = Path(__file__).parents[3] / "shared" / "data" / "briefs"


def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "model")
    path = tmp_path / "model" / "en.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"bias": ', '"bias": 9', 1), encoding="utf-8")
    with pytest.raises(WeightsRefused):
        load_second_opinion(tmp_path / "model", "en")


def test_a_row_of_keywords_is_doubtful_and_the_sentence_is_not() -> None:
    opinion = load_second_opinion(FOLDER, "en")
    brief = "vote on a name for the new gritting lorry, options are Gritney Spears or Salt Disney, poll closes friday"
    row = "vote name gritting lorry Gritney Spears Salt Disney poll Friday"
    sentence = "Vote on a name for the new gritting lorry: Gritney Spears or Salt Disney? The poll closes on Friday."
    assert verify(brief, row, "en", opinion=opinion) != ()
    assert verify(brief, sentence, "en", opinion=opinion) == ()


# Floors a little under what is measured on known briefs, far from the 80 and 95 % that were asked: see CARD.md.
@pytest.mark.skipif(not BRIEFS.is_dir(), reason="needs the briefs of ../shared/data")
@pytest.mark.parametrize(("language", "passing", "refusing"), [("en", 0.63, 0.80), ("es", 0.66, 0.56)])
def test_what_is_reached_does_not_fall(language: str, passing: float, refusing: float) -> None:
    opinion = load_second_opinion(FOLDER, language)  # type: ignore[arg-type]
    good = [
        (row["brief"], post)
        for path in sorted(BRIEFS.glob(f"{language}_*.jsonl"))[-2:]
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()[::3])
        for post in row["posts"]
    ]
    lines = (BRIEFS / "negatives.jsonl").read_text(encoding="utf-8").splitlines()
    faulty = [(row["brief"], row["post"]) for row in map(json.loads, lines) if row["language"] == language]
    passed = sum(not verify(brief, post, language, opinion=opinion) for brief, post in good)  # type: ignore[arg-type]
    refused = sum(bool(verify(brief, post, language, opinion=opinion)) for brief, post in faulty)  # type: ignore[arg-type]
    assert passed >= passing * len(good)
    assert refused >= refusing * len(faulty)
