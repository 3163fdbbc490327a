"""Threads: a text too long for one post in several, numbered `1/3`, and one that is numbered already read as its parts.

Parts end at paragraphs where they can, else at sentences, clauses, words, and are about as long as one another.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
import regex
from numpy.typing import NDArray

from pipelines.records import Language
from pipelines.text.borders import clause_borders, word_borders
from pipelines.text.sentences import sentences
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, entities, fitting_length, weighted_length

MIN_NUMBERED = 2
MAX_PARTS = 99
SPOOL = "🧵"
# What a border costs beside the imbalance it leaves: (difference to the mean length)^2 / mean length.
PARAGRAPH, SENTENCE, CLAUSE, WORD, QUOTATION, LETTER = 0.0, 8.0, 80.0, 200.0, 400.0, 5000.0
_N, _OF = r"(?P<n>\d{1,2})", r"(?P<of>\d{1,2}|[nx])?"
NUMBERED = regex.compile(
    rf"(?:(?<=^|\n)[^\S\n]*|(?<=\s))(?:\({_N}/{_OF}\)|\[{_N}/{_OF}\]|{_N}/{_OF}(?![\p{{L}}\p{{N}}/]))[.:)]?(?=\s|$)",
    regex.IGNORECASE,
)
LISTED = regex.compile(r"(?<=^|\n)[^\S\n]*(?P<n>\d{1,2})(?P<of>)[.)](?=\s)")
CLUSTER = regex.compile(r"\X")


@dataclass(frozen=True)
class _Cuttable:
    """A text, where its pieces start and stop, what it costs to cut before each, and the weight up to each start."""

    text: str
    starts: list[int]
    stops: list[int]
    costs: list[float]
    weights: list[int]

    def length(self, first: int, last: int) -> int:
        """Weighted length of the pieces from one border to another, without the white space at the end."""
        return self.weights[last] - self.weights[first] - (self.starts[last] - self.stops[last])

    def within(self, room: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return of each border those before it from which a part of `room` leads there, and the parts' lengths.

        Both (borders, w), the nearest border last; what is longer, or begins before the text, is infinitely long.
        """
        weights = np.array(self.weights)
        reached = weights - (np.array(self.starts) - np.array(self.stops))
        places = np.arange(len(weights))
        farthest = np.searchsorted(weights, reached - room)
        widest = max(1, int((places - farthest).max()))
        before = places[:, None] - widest + np.arange(widest)
        lengths = (reached[:, None] - weights[before]).astype(np.float64)
        lengths[(before < farthest[:, None]) | (before < 0)] = np.inf
        return np.maximum(before, 0), lengths


def is_thread(text: str) -> bool:
    """Whether a text is several posts already: `1/5 ... 2/5 ...`, `1/ ... 2/ ...`, `(1/3)`, or 🧵 and a list."""
    return len(read_thread(text)) >= MIN_NUMBERED


def read_thread(text: str) -> list[str]:
    """Return the parts of a numbered text without their numbers; the whole text where it is none."""
    text = unicodedata.normalize("NFC", text).strip()
    for marks in (_numbers(NUMBERED, text), _numbers(LISTED, text) if SPOOL in text else []):
        if not marks:
            continue
        before, after = text[: marks[0].start()], text[marks[-1].end() :]
        if not before.strip() or (before.endswith("\n") and after.strip()):
            ends = [*(mark.start() for mark in marks[1:]), len(text)]
            first, *others = (text[mark.end() : end] for mark, end in zip(marks, ends, strict=True))
            # What stands above `1/3` belongs to it; above a list it is the post that opens the thread.
            parts = [f"{before}{first.lstrip()}", *others] if marks[0]["of"] else [before, first, *others]
        elif not after.strip():
            starts = [0, *(mark.end() for mark in marks[:-1])]
            parts = [text[start : mark.start()] for start, mark in zip(starts, marks, strict=True)]
        else:
            continue
        parts = [part.strip() for part in parts if part.strip()]
        if len(parts) >= MIN_NUMBERED:
            return parts
    return [text]


def split_thread(text: str, language: Language, limit: int = MAX_WEIGHTED_LENGTH) -> list[str]:
    """Return a text in numbered parts of at most `limit` weighted characters each; one that fits comes back alone.

    A thread keeps its parts and is numbered anew; only a part that is too long is cut. Without their numbers and up to
    white space the parts are the text. Abbreviations of both languages are known, whichever it is in.

    Raises:
        ValueError: 99 parts are not enough, or a link or handle, which are not cut, does not fit into one.
    """
    del language
    text = unicodedata.normalize("NFC", text).strip()
    parts = read_thread(text)
    if len(parts) == 1 and weighted_length(text) <= limit:
        return [text]
    for digits in (1, 2):
        room = limit - len("\n\n/") - 2 * digits
        cut = [piece for part in parts for piece in _cut(part, room)]
        if len(cut) < 10**digits:
            return _numbered(cut)
    raise ValueError(f"needs {len(cut)} parts, more than {MAX_PARTS}")


def join_thread(parts: Sequence[str]) -> str:
    """Return the text of a thread: its parts without their numbers, a blank line between them."""
    stripped = [part.strip() for part in parts]
    ends = [f"{place}/{len(parts)}" for place in range(1, len(parts) + 1)]
    if len(parts) > 1 and all(part.endswith(end) for part, end in zip(stripped, ends, strict=True)):
        stripped = [part.removesuffix(end).strip() for part, end in zip(stripped, ends, strict=True)]
    return "\n\n".join(part for part in stripped if part)


def _numbered(parts: list[str]) -> list[str]:
    return [f"{part}\n\n{place}/{len(parts)}" for place, part in enumerate(parts, 1)] if len(parts) > 1 else parts


def _numbers(pattern: regex.Pattern[str], text: str) -> list[regex.Match[str]]:
    """Return the numbers of a thread, which count up from 1 under one total; none where they are dates or fractions.

    All parts up to the total must be there, or each number must begin a line.
    """
    found = list(pattern.finditer(text))
    first = next((mark for mark in found if int(mark["n"]) == 1), None)
    if first is None:
        return []
    counted: list[regex.Match[str]] = []
    for mark in found[found.index(first) :]:
        if mark["of"] == first["of"] and int(mark["n"]) == len(counted) + 1:
            counted.append(mark)
    total = first["of"]
    complete = total is not None and total.isdecimal() and int(total) == len(counted)
    lines = all(mark.start() == 0 or text[: mark.start()].endswith("\n") for mark in counted)
    open_ended = not total and first.start() == 0
    return counted if len(counted) >= MIN_NUMBERED and (complete or lines or open_ended) else []


def _cut(text: str, room: int) -> list[str]:
    """Cut a text into parts at the borders that leave them whole and even, into one more than needed if that helps."""
    text = text.strip()
    if weighted_length(text) <= room:
        return [text] if text else []
    cuttable = _cuttable(text, room)
    best: tuple[float, list[str]] | None = None
    fewest = -(-weighted_length(text) // room)
    for count in range(fewest, MAX_PARTS + 1):
        found = _best(cuttable, count, room)
        if found and (best is None or found[0] + SENTENCE < best[0]):
            best = found
        if best and count > fewest:
            break
    if best is None:
        raise ValueError("something that cannot be cut is longer than a part may be")
    return best[1]


def _best(cuttable: _Cuttable, count: int, room: int) -> tuple[float, list[str]] | None:
    """Return what the cheapest cut into `count` parts costs, and the parts; None where there is none.

    Part by part over all borders at once: of each border the cheapest way there, and the border before it.
    """
    last = len(cuttable.starts) - 1
    mean = cuttable.length(0, last) / count
    before, lengths = cuttable.within(room)
    penalties = (lengths - mean) ** 2 / mean
    dearer = np.array(cuttable.costs)
    cheapest = np.full(last + 1, np.inf)
    cheapest[0] = 0.0
    ways: list[NDArray[np.intp]] = []
    for part in range(1, count + 1):
        totals = cheapest[before] + dearer[:, None] + penalties
        chosen = totals.argmin(axis=1)
        cheapest = totals[np.arange(last + 1), chosen]
        # The end is reached by the last part, and by no other.
        if part < count:
            cheapest[last] = np.inf
        ways.append(before[np.arange(last + 1), chosen])
    if not np.isfinite(cheapest[last]):
        return None
    path = [last]
    for way in reversed(ways):
        path.append(int(way[path[-1]]))
    parts = [cuttable.text[cuttable.starts[start] : cuttable.stops[end]] for end, start in pairwise(path)]
    return float(cheapest[last]), parts[::-1]


def _cuttable(text: str, room: int) -> _Cuttable:
    borders = dict(_borders(text))
    for first, end in pairwise(sorted({0, len(text), *(start for _, start in borders)})):
        cut = first
        while weighted_length(text[cut:end].rstrip()) > room:
            cut += _whole_letters(text[cut:end].rstrip(), room)
            borders[cut, cut] = LETTER
    ordered = sorted(borders.items())
    starts = [0, *(start for (_, start), _ in ordered), len(text)]
    stops = [0, *(stop for (stop, _), _ in ordered), len(text)]
    pieces = [weighted_length(text[first:end]) for first, end in pairwise(starts)]
    return _Cuttable(text, starts, stops, [0.0, *(cost for _, cost in ordered), 0.0], [0, *accumulate(pieces)])


def _whole_letters(piece: str, room: int) -> int:
    """Return how many code points from the start of a piece without white space fit, letters and links whole.

    A hashtag that is longer than the room, and a letter under hundreds of marks, are cut where they must be.
    """
    fitting = fitting_length(piece, room)
    inside = next((entity for entity in entities(piece) if entity.start < fitting < entity.end), None)
    if inside and (inside.start > 0 or inside.label != "HASHTAG"):
        fitting = inside.start
    ends = [match.end() for match in CLUSTER.finditer(piece) if match.end() <= fitting]
    if not fitting:
        raise ValueError("something that cannot be cut is longer than a part may be")
    return ends[-1] if ends else fitting


@lru_cache(maxsize=64)
def _borders(text: str) -> Mapping[tuple[int, int], float]:
    """Return where a text may be cut, as (stop, start), with what each border costs; asked again for two digits."""
    found: dict[tuple[int, int], float] = {}
    position = 0
    for sentence, gap in sentences(text):
        position += len(sentence)
        if gap and position + len(gap) < len(text):
            found[position, position + len(gap)] = PARAGRAPH if gap.count("\n") > 1 else SENTENCE
        position += len(gap)
    for span in clause_borders(text):
        found.setdefault(span, CLAUSE)
    for span in word_borders(text):
        found.setdefault(span, WORD)
    for span in word_borders(text, in_quotations=True):
        found.setdefault(span, QUOTATION)
    return found
