"""What the generator writes for a list of real queries: how much of it is valid, true to the query and on its topic.

python -m training.generation --queries tests/models/queries.json --out models/generator

Prints the figures and writes SAMPLES.md: thirty queries, every nth of the list, with their three best candidates as
they came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipelines import optimize
from pipelines.generator.candidates import Engines
from pipelines.generator.fluency import read_critic
from pipelines.local import LocalModels
from pipelines.records import Analysis, Query
from pipelines.results import Candidate
from pipelines.text.facts import invents
from pipelines.text.tweets import is_valid
from training.fluency import escaped

SAMPLES, BEST = 30, 3
WORD = re.compile(r"[^\W\d_]{3,}")
STEM = 5


@dataclass(frozen=True)
class Written:
    """A query with its candidates, best first."""

    query: Query
    analysis: Analysis | None
    candidates: tuple[Candidate, ...]


async def write(queries: Sequence[Query], models: LocalModels, engines: Engines) -> list[Written]:
    """Return what the product offers for each query."""
    written = []
    for query in tqdm(queries, unit="query"):
        generated = await optimize.generate(query, models, engines)
        analysis = await models.analyze(query.query, query.language)
        written.append(Written(query, analysis, generated.candidates or ()))
    return written


def figures(written: Sequence[Written]) -> dict[str, Any]:
    """Return counts over all candidates; `pairwise_distinct` is the share of queries without a repeated text."""
    pairs = [(item, candidate) for item in written for candidate in item.candidates]
    return {
        "queries": len(written),
        "without_candidates": sum(not item.candidates for item in written),
        "with_fewer_than_asked": sum(len(item.candidates) < item.query.n_templates for item in written),
        "candidates": len(pairs),
        "valid": share(is_valid(candidate.text) for _, candidate in pairs),
        "invented": sum(bool(invents(item.query.query, candidate.text)) for item, candidate in pairs),
        "on_topic": share(on_topic(item, candidate.text) for item, candidate in pairs),
        "pairwise_distinct": share(
            len({candidate.text for candidate in item.candidates}) == len(item.candidates) for item in written
        ),
    }


def on_topic(item: Written, text: str) -> bool:
    """Tell whether a text holds a key term of its query: a word of a keyword or of an entity, by its first letters."""
    analysis = item.analysis
    terms = [keyword.text for keyword in (analysis.keywords or ())] if analysis else []
    terms += [entity.text for entity in (analysis.entities or ())] if analysis else []
    known = {word.casefold()[:STEM] for term in (terms or [item.query.query]) for word in WORD.findall(_parted(term))}
    return not known or any(word.casefold()[:STEM] in known for word in WORD.findall(_parted(text)))


def _parted(text: str) -> str:
    """Return a text in which #TwoWords are two words beside the one."""
    return text + " " + re.sub(r"(?<=[^\W\d_])(?=[A-Z])", " ", text)


def share(answers: Any) -> float:
    """Return how many of some yes-or-no answers are yes, in [0, 1]."""
    known = list(answers)
    return round(sum(known) / len(known), 4) if known else 0.0


def samples(written: Sequence[Written]) -> str:
    """Return the page of samples."""
    every = max(len(written) // SAMPLES, 1)
    lines = ["# Samples", "", "Every nth query of the list with its best candidates, unedited.", ""]
    for item in written[::every][:SAMPLES]:
        query = item.query
        asked = ", ".join([query.language or "en", query.tone, *query.objectives])
        lines += [f"**{escaped(query.query)}** ({asked})", ""]
        for number, candidate in enumerate(item.candidates[:BEST], 1):
            lines.append(f"{number}. {escaped(candidate.text)} `{candidate.template}` {candidate.viral_score:.0f}")
        lines += ["none" if not item.candidates else "", ""]
    return "\n".join(lines).rstrip() + "\n"


def read_queries(path: Path, n: int) -> list[Query]:
    """Read a JSON list of queries; each wants `n` candidates of templates alone."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [
        Query(
            query=row["query"],
            language=row["language"],
            objectives=tuple(row["objectives"]),
            tone=row["tone"],
            n_templates=n,
            seed=number,
        )
        for number, row in enumerate(rows)
    ]


def main() -> None:
    """Write for all queries, print the figures, write the samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=5)
    options = parser.parse_args()
    critic = options.models / "generator"
    known = (critic / "metadata.json").exists()
    engines = Engines(fluency_floor=read_critic(critic)[0]["fluency_floor"] if known else None)
    models = LocalModels(options.models, critic if known else None)
    written = asyncio.run(write(read_queries(options.queries, options.n), models, engines))
    print(json.dumps(figures(written), indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "SAMPLES.md").write_text(samples(written), encoding="utf-8")


if __name__ == "__main__":
    main()
