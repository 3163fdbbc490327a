"""How long a post may be: 280 weighted characters, or 4,000 for an account that pays for them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from pipelines.records import Analysis, Finding
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, fitting_length, is_postable

TOO_LONG, BEYOND_FOLD = "too_long", "beyond_fold"


def of_length(text: str, length: int, limit: int) -> Iterator[Finding]:
    """Say of an NFC text of `length` weighted characters what is over the limit, or behind "Show more"."""
    if length > limit:
        cut = fitting_length(text, limit)
        yield Finding(TOO_LONG, cut, len(text), f"{length - limit} over the limit of X.", "error")
    if length > MAX_WEIGHTED_LENGTH < limit:
        cut = fitting_length(text)
        yield Finding(BEYOND_FOLD, cut, len(text), 'X hides this behind "Show more": say the point before.', "info")


def within(analysis: Analysis, text: str, limit: int) -> Analysis:
    """Return an analysis that was made for 280 weighted characters as it is for `limit`."""
    if limit == MAX_WEIGHTED_LENGTH:
        return analysis
    text = unicodedata.normalize("NFC", text)
    others = (finding for finding in analysis.findings or () if finding.rule != TOO_LONG)
    return replace(
        analysis,
        valid=analysis.weighted_length <= limit and is_postable(text),
        findings=(*of_length(text, analysis.weighted_length, limit), *others),
    )
