"""Where a text may be cut when it must be: between words that do not belong together.

A date, a number and its unit, an abbreviation and what it shortens, a placeholder, a link and a quotation stay whole.
"""

from __future__ import annotations

from bisect import bisect_right

import regex

from pipelines.text.sentences import ABBREVIATIONS, NUMBER_SIGNS, PLACEHOLDER, SHORT_OR_WORD
from pipelines.text.tweets import entities

GAP = regex.compile(r"\s+")
MONTHS = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|"
    r"diciembre|ene|abr|ago|dic"
)
# What a number before it belongs to.
UNIT = regex.compile(
    rf"(?:{MONTHS}|[ap]\.?m|a\. ?m|p\. ?m|[€$£¥%‰°]|°[CF]|eur(?:os?)?|dollars?|dólares|pounds?|libras|quid|pesos|"
    rf"soles|cents?|"
    r"céntimos|usd|gbp|chf|[kcmµ]?m|km/h|mph|kg|[mk]?g|kilos?|tonnes?|toneladas?|[mc]?l|lit(?:re|er|ro)s?|miles?|"
    r"met(?:re|er)s?|"
    r"metros?|kilómetros?|[kmgt]b|min(?:ute|uto)?s?|h|hs|hrs?|hours?|horas?|days?|días?|weeks?|semanas?|months?|"
    r"mes(?:es)?|"
    r"years?|años?|seconds?|segundos?|sec|per ?cent|por ciento|percent|thousand|million|billion|mil|millón|"
    r"millones|people|"
    r"personas|o'clock|de|of)\b[.,;:!?)]*$|^[€$£¥%‰°]",
    regex.IGNORECASE,
)
NUMBER = regex.compile(r"(?:^|[(\s\"'“«])[$€£¥#+\-\u2212]?\p{Nd}[\p{Nd}.,:/\-\u2013]*(?:st|nd|rd|th|º|ª)?$")
SIGN = regex.compile(r"(?:^|\s)[$€£¥+\-\u2212±~<>≈]$|(?:^|\s)(?:S/|US\$|R\$)$")
MONTH = regex.compile(rf"(?:^|\s)(?:{MONTHS})\.?$", regex.IGNORECASE)
FIGURE = regex.compile(r"[$€£]?\p{Nd}")
ABBREVIATED = regex.compile(r"(?:^|[\s(\"'“«])([\p{L}\p{M}.]+)\.$")
QUOTED = regex.compile(r"\"[^\"\n]{1,240}\"|\u201c[^\u201d\n]{1,240}\u201d|«[^»\n]{1,240}»|\([^()\n]{1,120}\)")


def word_borders(text: str, *, in_quotations: bool = False) -> list[tuple[int, int]]:
    """Return the white space of an NFC text at which it may be cut, as (start, end)."""
    whole = [(entity.start, entity.end) for entity in entities(text)]
    whole += [match.span() for match in PLACEHOLDER.finditer(text)]
    if not in_quotations:
        whole += [match.span() for match in QUOTED.finditer(text)]
    whole = _joined(whole)
    starts = [start for start, _ in whole]
    borders = []
    for gap in GAP.finditer(text):
        place = bisect_right(starts, gap.start()) - 1
        within = place >= 0 and gap.start() < whole[place][1]
        if gap.start() > 0 and gap.end() < len(text) and not within and not _belongs(text, *gap.span()):
            borders.append(gap.span())
    return borders


def clause_borders(text: str) -> list[tuple[int, int]]:
    """Return the white space that follows a comma, a colon, a dash or the like, where the text may be cut."""
    return [
        span for span in word_borders(text) if text[span[0] - 1] in ",;:\u2013\u2014)…" or "\n" in text[slice(*span)]
    ]


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _belongs(text: str, start: int, end: int) -> bool:
    """Whether the words on both sides of a gap are one: a number and its unit, a month and its day, `No. 5`."""
    if "\n" in text[start:end]:
        return False
    before = text[max(0, start - 24) : start]
    after = text[end : end + 24].split(maxsplit=1)[0]
    if NUMBER.search(before) and (UNIT.match(after) or FIGURE.match(after)):
        return True
    if after.casefold() in {"vs.", "vs", "etc.", "etc", "inc.", "ltd.", "jr."}:
        return True
    if SIGN.search(before) or (MONTH.search(before) and FIGURE.match(after)):
        return True
    short = ABBREVIATED.search(before)
    if short is None:
        return before.casefold().endswith((" no", " nº", " n.º")) and after[:1].isdecimal()
    word = short[1].casefold()
    figure_or_lower = after[:1].isdecimal() or after[:1].islower()
    return (
        (word in NUMBER_SIGNS and after[:1].isdecimal())
        or (word in SHORT_OR_WORD and figure_or_lower)
        or word in ABBREVIATIONS
        or "." in word
        or (len(word) == 1 and word.isalpha())
    )
