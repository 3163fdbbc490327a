"""Blind readings: what is written for briefs, shuffled and unlabeled, and what readers said of it.

python -m training.reading write --briefs FILE... --out FOLDER    list.jsonl for readers, key.jsonl for us
python -m training.reading collect --folder FOLDER --verdicts A.jsonl B.jsonl --out training/readings/NAME.jsonl
python -m training.reading table                                  what docs/writing.md says of the evaluation

A reader sees brief, objective, tone and one text, and says whether they would post it as it is on that account, and if
not, why in a few words. Nobody reads what they or their data wrote. A verdict file has a line {"id", "post", "why"} a
text. Every verdict is kept; the agreement of two readers is Cohen's kappa (Cohen 1960).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipelines.generator.candidates import Engines
from pipelines.generator.generator import Writer
from pipelines.generator.writer import OwnWriter
from pipelines.local import LocalModels
from pipelines.optimize import generate
from pipelines.records import Query
from pipelines.results import Generated

ROOT = Path(__file__).resolve().parents[1]
EVALUATION = Path(__file__).parent / "readings" / "evaluation"
logger = logging.getLogger(__name__)


def main() -> None:
    """Write a list for readers, collect what they said, or print what they said of the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("--briefs", type=Path, nargs="+", required=True)
    writing.add_argument("--out", type=Path, required=True)
    writing.add_argument("--prepared", type=Path, default=ROOT / ".murmuration" / "writer")
    writing.add_argument("--engine", choices=("auto", "templates", "lm"), default="auto")
    writing.add_argument("--most", type=int, default=1, help="candidates of each brief that are read, the first ones")
    writing.add_argument("--seed", type=int, default=0)
    collecting = commands.add_parser("collect")
    collecting.add_argument("--folder", type=Path, required=True)
    collecting.add_argument("--verdicts", type=Path, nargs="+", required=True)
    collecting.add_argument("--out", type=Path, required=True)
    commands.add_parser("table")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.command == "write":
        asyncio.run(write_list(arguments))
    elif arguments.command == "collect":
        collect(arguments.folder, arguments.verdicts, arguments.out)
    else:
        table()


async def write_list(arguments: argparse.Namespace) -> None:
    """Write for every brief, and put what was written in an order of chance."""
    writer: Writer | None = OwnWriter.load(arguments.prepared, threads=2) if arguments.engine != "templates" else None
    models = LocalModels(ROOT / "models", writer)
    engines = Engines(language_model=writer is not None)
    rows: list[dict[str, Any]] = []
    briefs = [
        row | {"language": "es" if path.stem.endswith("_es") else "en"}
        for path in arguments.briefs
        for row in read_lines(path)
    ]
    for brief in tqdm(briefs, unit="brief"):
        query = Query(
            query=brief["brief"],
            objectives=(brief["objective"],),
            tone=brief["tone"],
            engine=arguments.engine,
            seed=arguments.seed,
        )
        rows += list(_rows(brief, await generate(query, models, engines), arguments.most))
    random.Random(arguments.seed).shuffle(rows)
    arguments.out.mkdir(parents=True, exist_ok=True)
    shown = ("id", "brief", "objective", "tone", "text")
    read = [row for row in rows if row["text"]]
    for number, row in enumerate(read):
        row["id"] = number
    _write_lines(arguments.out / "list.jsonl", ({name: row[name] for name in shown} for row in read))
    _write_lines(arguments.out / "key.jsonl", rows)
    logger.info("%d briefs, %d texts, %d briefs with nothing", len(briefs), len(read), len(rows) - len(read))


def _rows(brief: dict[str, Any], written: Generated, most: int) -> Iterator[dict[str, Any]]:
    about = {name: brief.get(name) for name in ("brief", "objective", "tone", "kind", "language")}
    about |= {"best": written.best}
    if written.best == "yours":
        # What the product says to post is the author's own text.
        yield about | {"text": brief["brief"], "source": "yours", "rank": 0, "p_postable": None}
    for rank, candidate in enumerate((written.candidates or ())[: most if written.best != "yours" else most - 1]):
        yield about | {
            "text": candidate.text,
            "source": candidate.source,
            "rank": rank,
            "p_postable": candidate.p_postable,
        }
    if not written.candidates and written.best != "yours":
        yield about | {"text": None, "source": None, "rank": 0, "p_postable": None, "notes": written.notes}


def collect(folder: Path, verdicts: list[Path], out: Path) -> None:
    """Join the verdicts with what was read, and say what they say."""
    key = {row["id"]: row for row in read_lines(folder / "key.jsonl") if row["text"]}
    nothing = sum(1 for row in read_lines(folder / "key.jsonl") if not row["text"])
    said = [{row["id"]: row for row in read_lines(path)} for path in verdicts]
    rows = []
    for number, row in sorted(key.items()):
        found = [one[number] for one in said if number in one]
        if found:
            whys = [one.get("why", "") for one in found]
            rows.append(row | {"verdicts": [bool(one["post"]) for one in found], "whys": whys})
    _write_lines(out, rows)
    for name, group in _groups(rows).items():
        votes = [vote for row in group for vote in row["verdicts"]]
        both = sum(all(row["verdicts"]) for row in group)
        share, all_say = sum(votes) / len(votes), both / len(group)
        logger.info("%-24s %4d texts  postable %.3f  by all readers %.3f", name, len(group), share, all_say)
    logger.info("briefs with nothing: %d", nothing)
    pairs = [tuple(row["verdicts"]) for row in rows if len(row["verdicts"]) == 2]
    if pairs:
        logger.info("agreement %.3f, kappa %.3f", *agreement(pairs))


LISTS = {
    "en_first": "English, first",
    "en_second": "English, second",
    "en_third": "English, third",
    "es": "Spanish, first",
    "es_second": "Spanish, second",
}
COMPARED = ("en_first_pairs", "en_second_pairs", "en_third_pairs", "es_pairs", "es_second_pairs")
IMPROVED = ("optimize_first_pairs", "optimize_second_pairs")


def table() -> None:
    """Print what docs/writing.md says of the readings of the evaluation; a model learns from a list after that."""
    lists = {name: [row for row in read_lines(EVALUATION / f"{name}.jsonl") if row["first"]] for name in LISTS}
    read = {name: [row for row in rows if row["text"]] for name, rows in lists.items()}
    print(f"| what the product says to post | {' | '.join(LISTS.values())} |\n|---{'|---' * len(LISTS)}|")
    print(f"| **all** | {' | '.join(share(texts) for texts in read.values())} |")
    kinds = Counter(text["kind"] for texts in read.values() for text in texts)
    for kind, _ in kinds.most_common():
        found = [share([text for text in texts if text["kind"] == kind]) for texts in read.values()]
        print(f"| {kind.replace('_', ' ')} | {' | '.join(found)} |")
    for source in ("edit", "template", "lm", "yours"):
        found = [share([text for text in texts if text["source"] == source]) for texts in read.values()]
        print(f"| from `{source}` | {' | '.join(found)} |")
    for name in ("en_language_model", "en_third_language_model"):
        print(f"{name}: what the language model alone offers: {share(read_lines(EVALUATION / f'{name}.jsonl'))}.")
    for name in ("en_third", "es_second"):
        print(f"{name}: nothing for {len(lists[name]) - len(read[name])} of {len(lists[name])} briefs.")
    beside = Counter(
        row["brief"]
        for row in read_lines(EVALUATION / "en_third.jsonl")
        if row["source"] in {"lm", "template"} and all(row["verdicts"])
    )
    print(f"en_third: another postable text beside the first for {len(beside)} briefs, two for {_twice(beside)}.")
    for name in (*COMPARED, *IMPROVED):
        said = Counter(verdict for pair in read_lines(EVALUATION / f"{name}.jsonl") for verdict in pair["better"])
        print(f"{name}: candidate {said['candidate']}, the author's own {said['raw']}, same {said['same']}.")
    for name, texts in read.items():
        pairs = [tuple(row["verdicts"]) for row in texts if len(row["verdicts"]) == 2]
        agree, kappa = agreement(pairs)
        print(f"{name}: the two readers agree on {100 * agree:.0f} % of {len(pairs)}, kappa {kappa:.2f}.")


def _twice(counted: Counter[str]) -> int:
    return sum(times > 1 for times in counted.values())


def share(texts: list[dict[str, Any]]) -> str:
    """Return the share of verdicts that say post, beside how many texts were read."""
    verdicts = [verdict for text in texts for verdict in text["verdicts"]]
    return f"{100 * sum(verdicts) / len(verdicts):.0f} % of {len(texts)}" if verdicts else "none"


def agreement(pairs: list[tuple[bool, ...]]) -> tuple[float, float]:
    """Return the share of pairs of verdicts that agree, and Cohen's kappa in [-1, 1]."""
    agree = sum(one == other for one, other in pairs) / len(pairs)
    yes = [sum(pair[place] for pair in pairs) / len(pairs) for place in (0, 1)]
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return agree, (agree - chance) / (1 - chance) if chance < 1 else 1.0


def _groups(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {"all": rows}
    for name in ("source", "kind"):
        for value in Counter(row.get(name) for row in rows):
            groups[f"{name} {value}"] = [row for row in rows if row.get(name) == value]
    return groups


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
