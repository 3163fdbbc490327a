"""Lets the fluency critic read every English frame, filled from a few briefs: for whoever writes frames.

python -m training.frames --model models/generator --queries tests/models/queries.json

Prints the share of filled frames above the floor and the least fluent ones; a low score is a reason to read a frame
again, not a verdict.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from pipelines.generator.fluency import FluencyCritic, read_critic
from pipelines.generator.templates import load_templates, realise
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Brief

EVERY, VARIANTS, SHOWN = 6, 6, 30


def read_briefs(path: Path) -> list[Brief]:
    """Return briefs of every sixth English query of a list, as the product would make them."""
    rows = [row for row in json.loads(path.read_text(encoding="utf-8")) if row["language"] == "en"][::EVERY]
    analyses = QueryAnalyzer().analyze([row["query"] for row in rows], ["en"] * len(rows))
    return [
        Brief(
            query=row["query"],
            language="en",
            keywords=tuple(keyword.text for keyword in analysis.keywords or ()),
            entities=analysis.entities or (),
            n=VARIANTS,
        )
        for row, analysis in zip(rows, analyses, strict=True)
    ]


def fill(briefs: Sequence[Brief]) -> list[tuple[str, str]]:
    """Return (name of the frame, text) for every frame and brief that fills it, a few variants each."""
    frames = [template for template in load_templates() if template.language == "en"]
    return [
        (frame.name, proposal.text)
        for frame in tqdm(frames, unit="frame")
        for brief in briefs
        for proposal in realise(replace(brief, templates=(frame,)))
    ]


def main() -> None:
    """Fill, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/generator"))
    parser.add_argument("--queries", type=Path, required=True)
    options = parser.parse_args()
    filled = fill(read_briefs(options.queries))
    floor = read_critic(options.model)[0]["fluency_floor"]
    scores = FluencyCritic(options.model).score([text for _, text in filled])
    above = sum(score >= floor for score in scores)
    print(f"{above} of {len(filled)} filled frames ({above / len(filled):.1%}) reach the floor of {floor:.2f} nats")
    for score, (name, text) in sorted(zip(scores, filled, strict=True))[:SHOWN]:
        print(f"{score:7.2f}  {name}  {text!r}")


if __name__ == "__main__":
    main()
