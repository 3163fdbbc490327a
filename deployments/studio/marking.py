"""Texts in pieces for a page: where spans lie, what changed between two wordings, what X would link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, Literal

import regex

from pipelines.text.tweets import entities

WORD = regex.compile(r"(?P<lead>[^\S\n]*)(?P<word>\n|[^\s]+|$)")
Change = Literal["same", "added", "removed"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that the same spans cover; `ends` are those that end with it."""

    text: str
    inside: tuple[int, ...]
    ends: tuple[int, ...]


def pieces(text: str, spans: Sequence[tuple[int, int]]) -> tuple[Piece, ...]:
    """Cut a text where spans begin and end.

    Args:
        text: NFC-normalized.
        spans: (start, end) in code points, which may overlap; what lies outside the text is cut off.

    Returns:
        Pieces whose texts join to the text; numbers are those of the spans.
    """
    kept = [(max(start, 0), min(end, len(text))) for start, end in spans]
    cuts = sorted({0, len(text), *(cut for start, end in kept if start < end for cut in (start, end))})
    return tuple(
        Piece(
            text[start:end],
            tuple(n for n, span in enumerate(kept) if span[0] <= start and end <= span[1]),
            tuple(n for n, span in enumerate(kept) if span[0] <= start and end == span[1]),
        )
        for start, end in pairwise(cuts)
    )


Runs = tuple[tuple[str, bool], ...]


def linked(text: str, fold: int) -> tuple[Runs, Runs]:
    """Cut a text into runs, each with whether X makes a link of it: links, hashtags, handles, cashtags.

    Returns:
        The runs before the code point `fold`, and those behind it.
    """
    spans = [(mark.start, mark.end) for mark in entities(text) if mark.label != "EMOJI"]
    found = pieces(text, [*spans, (fold, len(text))])
    rest = len(spans)
    runs = [(piece.text, any(n < rest for n in piece.inside), rest in piece.inside) for piece in found]
    return (
        tuple((text, is_link) for text, is_link, folded in runs if not folded),
        tuple((text, is_link) for text, is_link, folded in runs if folded),
    )


def changes(before: str, after: str) -> tuple[tuple[Change, str], ...]:
    """Say what became of a text, word by word: the runs that stayed, were added or removed, in order.

    The runs that stayed or were added join to `after`. A line break is a word of its own; other white space goes with
    the word behind it and changes nothing.
    """
    old, new = _words(before), _words(after)
    found: list[tuple[Change, str]] = []
    matcher = SequenceMatcher(None, [word for _, word in old], [word for _, word in new])
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if kind != "equal" and old_start < old_end:
            found.append(("removed", _joined(old[old_start:old_end])))
        if new_start < new_end:
            found.append(("same" if kind == "equal" else "added", _joined(new[new_start:new_end])))
    return tuple(found)


def _words(text: str) -> list[tuple[str, str]]:
    return [(match["lead"], match["word"]) for match in WORD.finditer(text) if match[0]]


def _joined(words: Sequence[tuple[str, str]]) -> str:
    return "".join(lead + word for lead, word in words)


def finding_spans(findings: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    """Where findings of the API lie."""
    return [(finding["start"], finding["end"]) for finding in findings]
