"""python -m tests.benchmarks.facts [--n 500]: facts that candidates lose or invent, counted by other means.

Writes five candidates for each of many briefs, with every engine in one process, and looks for numbers with their unit,
days and months, links, handles, tags, placeholders, names and negations by patterns of its own: it shares nothing with
the verifier. Prints the shares and every case.
"""

import argparse
import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from deployments.settings import PREPARED_WRITER
from pipelines.generator.candidates import Engines
from pipelines.generator.writer import OwnWriter
from pipelines.local import LocalModels
from pipelines.optimize import generate
from pipelines.records import Query

ROOT = Path(__file__).resolve().parents[2]
BRIEFS = ROOT / "training/briefs"
LINK = re.compile(r"https?://\S+|www\.\S+|\b[\w-]+\.(?:com|org|net|io|es|co\.uk)(?:/\S*)?\b", re.IGNORECASE)
MARKED = re.compile(r"(?<![\w/])[@#]\w+|\{[^{}]+\}|\[[A-Z_ ]+\]|[\w.+-]+@[\w-]+\.\w+")
UNIT = r"(?:\s?(?:%|€|£|\$|pm|am|km|kg|mm|cm|ml|cl|k|g|m|h|hrs?|mins?|st|nd|rd|th)\b|\s?[%€£])?"
NUMBER = re.compile(rf"[-+\u2212]?[$€£]?\d+(?:[.,:/]\d+)*{UNIT}", re.IGNORECASE)
DAYS = {
    "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "weds": "wednesday", "thu": "thursday",
    "thur": "thursday", "thurs": "thursday", "fri": "friday", "sat": "saturday", "sun": "sunday", "jan": "january",
    "feb": "february", "apr": "april", "jun": "june", "jul": "july", "aug": "august", "sep": "september",
    "sept": "september", "oct": "october", "nov": "november", "dec": "december",
}  # fmt: skip
DATES = {
    *DAYS.values(), "lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo", "enero", "febrero",
    "marzo", "abril", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
}  # fmt: skip
NOT = re.compile(
    r"\b(?:not|no|never|nobody|nothing|none|neither|nor|without|cannot|can't|\w+n['\u2019]?t|nunca|jamas|nada|nadie|"
    r"ningun[oa]?|ni|sin|tampoco)\b"
)
NO_NEGATION = re.compile(r"\b(?:want|went|sent|spent|rent|cent|event|student|tent|\w{3,}[^ds]nt|patient|present)\b")
WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
BARE = str.maketrans("áéíóúüÁÉÍÓÚÜ", "aeiouuAEIOUU")


def stated(text: str) -> dict[str, Counter[str]]:
    """Return what a text states that nobody may change, by kind."""
    links = Counter(link.rstrip(".,)!?") for link in LINK.findall(text))
    rest = LINK.sub(" ", text)
    marked = Counter(mark.casefold() for mark in MARKED.findall(rest))
    rest = MARKED.sub(" ", rest).replace("\u2212", "-").replace("\u2013", " ")
    folded = rest.casefold().translate(BARE).replace("\u2019", "'")
    numbers = Counter(re.sub(r"\s|(?<=\d),(?=\d{3})", "", number).lstrip("-+") for number in NUMBER.findall(folded))
    words = WORD.findall(folded)
    days = Counter(DAYS.get(word, word).removesuffix("'s") for word in words)
    days = Counter({(day[:-1] if day[:-1] in DATES else day): n for day, n in days.items()})
    return {
        "link": links,
        "handle, tag or placeholder": marked,
        "number": numbers,
        "day or month": Counter({day: n for day, n in days.items() if day in DATES}),
        "negation": Counter({"not": len(NOT.findall(NO_NEGATION.sub(" ", folded)))}),
    }


def names(text: str) -> set[str]:
    """Return the words with a capital within a sentence."""
    plain = MARKED.sub(" ", LINK.sub(" ", text))
    found = re.findall(r"(?<=[^\W\d_,] )([A-ZÁÉÍÓÚÑ][^\W\d_]+)", plain)
    return {name.casefold().translate(BARE) for name in found} - DATES - set(DAYS)


def faults(brief: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield each kind of fact that a text lost or invented, and which."""
    before, after = stated(brief), stated(re.sub(r"(?m)^\d+/\d+$", "", text))
    for kind in before:
        for fact in before[kind].keys() | after[kind].keys():
            had, has = before[kind][fact], after[kind][fact]
            if (had > 0) != (has > 0):
                yield kind, f"{'lost' if had else 'invented'} {fact}"
    words = {word.casefold().translate(BARE) for word in WORD.findall(brief)}
    said = {word.casefold().translate(BARE) for word in WORD.findall(text)}
    own = {word.removesuffix("'s") for word in words}
    spoken = {word.removesuffix("'s") for word in said}
    for name in names(brief) - spoken - said:
        yield "name", f"lost {name}"
    for name in names(text) - own - words:
        yield "name", f"invented {name}"


def main() -> None:
    """Write for the briefs and print what was lost or invented."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--briefs", type=Path, nargs="*", default=sorted(BRIEFS.glob("[a-z][a-z]_*.jsonl")))
    arguments = parser.parse_args()
    rows = [json.loads(line) for path in arguments.briefs for line in path.read_text().splitlines()]
    chosen = random.Random(1).sample(rows, min(arguments.n, len(rows)))
    models = LocalModels(ROOT / "models", OwnWriter.load(ROOT / PREPARED_WRITER, threads=2))
    written, nothing, found = 0, 0, Counter[str]()
    cases: list[str] = []
    for row in tqdm(chosen, desc="writing"):
        query = Query(
            query=row["brief"], n_templates=5, objectives=(row["objective"],), tone=row["tone"], engine="auto"
        )
        answer = asyncio.run(generate(query, models, Engines(language_model=True)))
        nothing += not answer.candidates and answer.best is None
        for candidate in answer.candidates or ():
            written += 1
            bad = list(faults(row["brief"], candidate.text))
            found.update({kind for kind, _ in bad})
            if bad:
                cases.append(f"{candidate.source}: {bad}\n  {row['brief']!r}\n  {candidate.text!r}")
    print(*cases, sep="\n")
    print(f"{len(chosen)} briefs, nothing for {nothing}; {written} candidates, a fact lost or invented in {len(cases)}")
    print(dict(found))


if __name__ == "__main__":
    main()
