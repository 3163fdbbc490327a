"""Cuts a text into tokens for the verifier, and reads the facts among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import regex

from pipelines.generator.verifier_vocabulary import Vocabulary
from pipelines.text.tweets import entities

FactKind = Literal["number", "time", "day", "month", "moment", "code", "link", "handle", "tag", "placeholder"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a post may only repeat: two are the same where they share a key; `sure` if it is no other word."""

    kind: FactKind
    text: str
    keys: frozenset[str]
    unit: str
    sign: str
    place: int
    sure: bool = True


class Token(NamedTuple):
    """A piece of a text: an entity of X, a placeholder, address, number, code, word or mark."""

    kind: str
    text: str


def tokens_of(text: str, lists: Vocabulary) -> list[Token]:
    """Cut a text into tokens; white space other than line ends is left out."""
    linked = {}
    if any(mark in text for mark in ".@#$"):
        linked = {entity.start: entity for entity in entities(text) if entity.label in MARKED}
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if position in linked:
            tokens.append(Token(linked[position].label, linked[position].text))
            position = linked[position].end
            continue
        match = TOKEN.match(text, position)
        if match is None:
            position += 1
            continue
        kind, token = match.lastgroup or "", match.group()
        # A token does not run into a link that begins inside.
        inside = min((start for start in linked if position < start < match.end()), default=0)
        if inside and kind not in {"placeholder", "email"}:
            token = text[position:inside]
        elif kind == "word" and "-" in token and token.partition("-")[0].casefold() in lists.days.keys() | lists.months:
            token = token.partition("-")[0]
        position += len(token)
        if not token.isspace() or "\n" in token:
            tokens.append(Token(kind, token))
    return tokens


def fact_at(tokens: list[Token], index: int, place: int, lists: Vocabulary) -> Fact | None:
    """Return the fact that a token states, if any."""
    kind, token = tokens[index]
    folded = token.casefold()
    if kind == "number":
        return _number(tokens, index, place, lists)
    if kind in {"URL", "address"}:
        return Fact(
            "link", token, frozenset({token.rstrip(".,").removeprefix("https://").removesuffix("/")}), "", "", place
        )
    if kind in PLAIN:
        return Fact(
            PLAIN[kind], token, frozenset({token if kind == "placeholder" else folded.rstrip(".")}), "", "", place
        )
    if kind != "word":
        return None
    return _dated(tokens, index, place, lists) or _counted(tokens, index, place, lists)


def _text(tokens: list[Token], index: int) -> str:
    return tokens[index].text.casefold() if 0 <= index < len(tokens) else ""


def _is_number(tokens: list[Token], index: int) -> bool:
    return 0 <= index < len(tokens) and tokens[index].kind == "number"


def _dated(tokens: list[Token], index: int, place: int, lists: Vocabulary) -> Fact | None:
    token = tokens[index].text
    bare = token.casefold().removesuffix("'s").rstrip("'")
    before = _text(tokens, index - 1)
    near = _is_number(tokens, index - 1) or _is_number(tokens, index + 1)
    near = near or (before in LINKING and (_is_number(tokens, index - 2) or _is_number(tokens, index + 2)))
    if bare in lists.days:
        sure = bare not in lists.everyday_days or near or (token[0].isupper() and not before)
        return Fact("day", token, frozenset({lists.days[bare]}), "", "", place, sure or before in lists.before_days)
    if bare in lists.months:
        meant = near or bare not in lists.everyday_months or (token[0].isupper() and before in lists.before_months)
        sure = near or (len(bare) > 3 and bare not in lists.everyday_months)
        return Fact("month", token, frozenset({lists.months[bare]}), "", "", place, sure) if meant else None
    if bare in lists.moments:
        return Fact("moment", token, frozenset({lists.moments[bare]}), "", "", place)
    return None


def _counted(tokens: list[Token], index: int, place: int, lists: Vocabulary) -> Fact | None:
    token = tokens[index].text
    head, _, tail = token.casefold().removesuffix("'s").rstrip("'").partition("-")
    if head not in lists.numbers:
        return None
    value = int(lists.numbers[head])
    unit = lists.units.get(tail, "") if tail else lists.units.get(_text(tokens, index + 1), "")
    if tail in lists.numbers and int(lists.numbers[tail]) < 10 <= value < 100:
        value += int(lists.numbers[tail])
    return Fact("number", token, frozenset({f"n{value}"}), unit, "", place)


def _number(tokens: list[Token], index: int, place: int, lists: Vocabulary) -> Fact:
    token = tokens[index].text
    match = NUMBER_PARTS.fullmatch(token)
    if match is None:
        return Fact("code", token, frozenset({token.casefold()}), "", "", place)
    digits = match["digits"]
    suffix = (match["suffix"] or "").casefold().replace(".", "")
    after = lists.units.get(_text(tokens, index + 1).rstrip("."), "")
    unit = lists.units.get(match["currency"] or "", "") or lists.units.get(suffix, "")
    if not suffix and not match["currency"]:
        unit = after
    sign = "" if index and tokens[index - 1].kind == "number" else SIGNS.get(match["sign"] or "", "")
    if _text(tokens, index - 1) == "minus":
        sign = "-"
    half = suffix if suffix in HALVES else after if not suffix and after in HALVES else ""
    keys = _clock(digits, half)
    if keys:
        return Fact("time", token, keys, "", sign, place)
    value, keys = _value(digits)
    if suffix == "k" or (not suffix and _in_thousands(tokens, index)):
        whole = value.replace(".", "", 1).isdigit()
        keys = frozenset({f"n{float(value) * 1000:g}" if whole else f"n{value}k", f"n{value}k"})
    return Fact("number", token, keys, "th" if suffix in {"st", "nd", "rd", "th"} else unit, sign, place)


def _clock(digits: str, half: str) -> frozenset[str]:
    """Return the keys of a time of day, none for what is no time."""
    hours, _, minutes = digits.replace(".", ":").partition(":")
    if half and hours.isdigit() and int(hours) <= 12:
        return frozenset({f"t{int(hours) % 12 + (12 if half == 'pm' else 0)}:{minutes or '00'}", f"h{int(hours)}"})
    if not half and (clock := CLOCK.fullmatch(digits)):
        keys = {f"t{int(clock[1])}:{clock[2]}", f"n{int(clock[1])}.{clock[2]}".rstrip("0").rstrip(".")}
        return frozenset(keys | ({f"n{int(clock[1])}"} if clock[2] == "00" else set()))
    return frozenset()


def _value(digits: str) -> tuple[str, frozenset[str]]:
    """Return a number without the marks between its digits, and its keys."""
    grouped = GROUPED.fullmatch(digits)
    value = INNER.sub("", digits) if grouped else digits.replace(",", ".")
    keys: set[str] = set()
    if DECIMAL.fullmatch(value):
        whole, _, part = value.partition(".")
        if len(part) == 2 and int(whole) < 25 and int(part) < 60:
            keys.add(f"t{int(whole)}:{part}")
        value = value.rstrip("0").rstrip(".") or "0"
    return value, frozenset({*keys, f"n{value}"})


def _in_thousands(tokens: list[Token], index: int) -> bool:
    """Tell whether a number is the first of a range in thousands, as in 60-70k."""
    if index + 2 >= len(tokens) or tokens[index + 1].text not in {"-", "\u2013", "to"}:
        return False
    return tokens[index + 2].kind == "number" and tokens[index + 2].text.casefold().endswith("k")


MARKED = frozenset({"URL", "MENTION", "HASHTAG", "CASHTAG"})
PLAIN: dict[str, FactKind] = {
    "email": "link", "MENTION": "handle", "CASHTAG": "handle", "HASHTAG": "tag", "placeholder": "placeholder",
    "code": "code",
}  # fmt: skip
LINKING = frozenset({"to", "until", "till", "by", "from", "al", "de", "of"})
SIGNS = {"-": "-", "\u2212": "-", "\u2013": "-", "+": "+", "±": "±"}
HALVES = frozenset({"am", "pm"})
CLOCK = regex.compile(r"(\d{1,2}):(\d{2})")
GROUPED = regex.compile(r"\d{1,3}(?:([.,'])\d{3})(?:\1\d{3})*")
INNER = regex.compile(r"[.,']")
DECIMAL = regex.compile(r"\d+\.\d+")
UNITS = (
    r"(?:%|€|£|\$|¥|k|m|bn|x|am|pm|a\.m\.?|p\.m\.?|st|nd|rd|th|h|hr|hrs|min|mins|km|kg|g|cm|mm|mi|l|ml|gb|mb|tb|eur"
    r"|usd|gbp|ppl|yrs?|wks?|p|s)"
)
TOKEN = regex.compile(
    rf"""(?P<placeholder>\{{\{{[^{{}}\n]*\}}\}}|\{{[^{{}}\s]*\}}|\[[A-Z][A-Z_ ]+\]|<[A-Za-z_]+>|%[A-Z_]+%)
    |(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
    |(?P<address>[a-zA-Z][a-zA-Z0-9+.\-]*://\S+)
    |(?P<number>(?:(?<![\p{{L}}\p{{N}}])[-\u2212\u2013+±](?=[$€£¥\d]))?(?:[$€£¥][ ]?)?\d+(?:[.,:']\d+)*
        (?:{UNITS}(?![\p{{L}}\d])|(?![\p{{L}}\d]))(?!-\p{{L}}+-?\d))
    |(?P<code>[\p{{L}}\d]*\d[\p{{L}}\d]*(?:[-.][\p{{L}}\d]+)*
        |[\p{{L}}\d]+(?:-[\p{{L}}\d]+)*-\d[\p{{L}}\d]*(?:-[\p{{L}}\d]+)*)
    |(?P<word>\p{{L}}[\p{{L}}\p{{M}}]*(?:['\-&]\p{{L}}[\p{{L}}\p{{M}}]*)*'?)
    |(?P<mark>\n+|[.!?…]+|.)
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
NUMBER_PARTS = regex.compile(
    rf"(?P<sign>[-\u2212\u2013+±])?\s?(?P<currency>[$€£¥])?\s?(?P<digits>[0-9]+(?:[.,:'][0-9]+)*)(?P<suffix>{UNITS})?",
    regex.IGNORECASE,
)
