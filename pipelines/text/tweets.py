"""What a tweet is to X: characters, weighted length, validity, and the entities that X itself sees.

Rules: twitter-text v3 (https://github.com/twitter/twitter-text, config/v3.json and js/src/regexp). Emoji come from the
`emoji` package and top-level domains from the public suffix list, because the tables of twitter-text end in 2019.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING

import emoji
import regex

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WEIGHTED_LENGTH = 280
# Of paying accounts; their timelines show 280 of it before "Show more".
MAX_LONG_LENGTH = 4_000
URL_LENGTH = 23
EMOJI_LENGTH = 2
MAX_URL_CHARACTERS = 4096
MAX_DOMAIN_LABEL_BYTES = 63
MAX_TCO_SLUG_CHARACTERS = 40

LINE_END = regex.compile(r"\r\n|[\r\x85\u2028\u2029]")
CONTROL = regex.compile(r"[\p{Cc}\p{Cs}--[\n\t]]", regex.VERSION1)
VISIBLE = regex.compile(r"[^\p{Z}\p{C}\p{M}]")
FORBIDDEN = regex.compile("[\ufffe\ufeff\uffff]")


@dataclass(frozen=True)
class Entity:
    """A span of the text with its class, for example HASHTAG, URL, MONEY or NAME."""

    text: str
    label: str
    start: int
    end: int


def overlaps(one: Entity, other: Entity) -> bool:
    """Tell whether two spans share a character."""
    return one.start < other.end and other.start < one.end


def normalized(text: str) -> str:
    """Return the text NFC-normalized with LF line ends and no surrounding white space."""
    return unicodedata.normalize("NFC", LINE_END.sub("\n", text)).strip()


def clean_text(text: str) -> str:
    """Return the normalized text.

    Raises:
        ValueError: nothing in it shows, a lone surrogate, or a control character other than line feed and tab.
    """
    text = normalized(text)
    if control := CONTROL.search(text):
        # A lone surrogate of a JSON body arrives as a null.
        name = "a lone surrogate or a control character" if control[0] == "\0" else "a control character"
        raise ValueError(f"character {control.start()} is {name} (U+{ord(control[0]):04X})")
    if not VISIBLE.search(text):
        raise ValueError("the text is empty")
    return text


def shown_text(text: str) -> str:
    """Return the normalized text without lone surrogates and control characters; empty where nothing shows."""
    text = normalized(CONTROL.sub("", LINE_END.sub("\n", text)))
    return text if VISIBLE.search(text) else ""


def weighted_length(text: str) -> int:
    """Return the length as X counts it: a URL 23, an emoji 2, other characters 1 or 2, after NFC."""
    if text.isascii() and "." not in text:
        return len(text)
    text = unicodedata.normalize("NFC", text)
    return _plain_length(text) + sum(weight - _plain_length(text[start:end]) for start, end, weight in _marks(text))


def is_valid(text: str, limit: int = MAX_WEIGHTED_LENGTH) -> bool:
    """Tell whether X would take the text: not blank, no forbidden character, at most `limit` weighted characters."""
    return is_postable(text) and weighted_length(text) <= limit


def is_postable(text: str) -> bool:
    """Tell whether a text of any length has only characters that X takes, and one that shows."""
    return bool(VISIBLE.search(text)) and not FORBIDDEN.search(text)


def fitting_length(text: str, limit: int = MAX_WEIGHTED_LENGTH) -> int:
    """Return how many code points from the start of an NFC text fit in `limit`; URLs and emoji are never split."""
    ends: list[int] = []
    weights: list[int] = []
    position = 0
    for start, end, weight in [*_marks(text), (len(text), len(text), 0)]:
        ends += [*range(position + 1, start + 1), end]
        weights += [*map(_plain_length, text[position:start]), weight]
        position = end
    fitting = [end for end, weight in zip(ends, accumulate(weights), strict=True) if weight <= limit]
    return fitting[-1] if fitting else 0


def entities(text: str) -> tuple[Entity, ...]:
    """Return HASHTAG, MENTION, CASHTAG, URL and EMOJI spans in order, not overlapping.

    Offsets count code points of the NFC-normalized text; a hashtag or handle keeps its sign.
    """
    text = unicodedata.normalize("NFC", text)
    spans: list[tuple[int, int, str]] = [(start, end, "URL") for start, end in _links(text)]
    for label, signs, pattern in SIGNED:
        if any(sign in text for sign in signs):
            spans += [(*match.span(1), label) for match in pattern.finditer(text)]
    if not text.isascii():
        spans += [(start, end, "EMOJI") for start, end in _emoji(text)]
    found: list[Entity] = []
    for start, end, label in sorted(spans):
        if not found or start >= found[-1].end:
            found.append(Entity(text=text[start:end], label=label, start=start, end=end))
    return tuple(found)


def masked(text: str) -> str:
    """Return the text on one line, `<url>` for each link and `<user>` for each handle: as language models read it."""
    masks = {"URL": "<url>", "MENTION": "<user>"}
    text = unicodedata.normalize("NFC", text)
    for entity in reversed(entities(text)):
        if entity.label in masks:
            text = text[: entity.start] + masks[entity.label] + text[entity.end :]
    return " ".join(text.split())


def _plain_length(text: str) -> int:
    return len(text) if text.isascii() else len(text) + len(HEAVY.findall(text))


def _marks(text: str) -> list[tuple[int, int, int]]:
    """Return (start, end, weight) of URLs and emoji, in order, not overlapping."""
    links = [(start, end, URL_LENGTH) for start, end in _links(text)]
    marks: list[tuple[int, int, int]] = []
    for mark in sorted([*links, *((start, end, EMOJI_LENGTH) for start, end in _emoji(text))]):
        if not marks or mark[0] >= marks[-1][1]:
            marks.append(mark)
    return marks


def _emoji(text: str) -> Iterator[tuple[int, int]]:
    if text.isascii():
        return
    position = 0
    for match in EMOJI_START.finditer(text):
        start = match.start()
        if start < position:
            continue
        for length in EMOJI_LENGTHS.get(text[start], ()):
            end = start + length
            if text[start:end] in EMOJI and not text.startswith(TEXT_STYLE, end):
                position = end + text.startswith(EMOJI_STYLE, end)
                yield start, position
                break


@lru_cache(maxsize=256)
def _links(text: str) -> tuple[tuple[int, int], ...]:
    """Return where URLs start and end; length, validity and entities of one text ask for the same."""
    return tuple(_search_links(text)) if "." in text else ()


def _search_links(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for chunk in CHUNK.finditer(text):
        if "." not in chunk[0][1:-1]:
            continue
        stop = chunk.end()
        position = max(position, chunk.start() - 1)
        while host := HOST.search(text, position, stop):
            position = host.end()
            start = host.start("url")
            if not host["domain"] and host["before"] in JOINING:
                continue
            domain = host.start("domain") if host["domain"] else start
            end = _domain_end(text, domain, host.end())
            if end is None:
                continue
            tail = URL_TAIL.match(text, end, stop)
            position = tail.end() if tail else end
            # Without a protocol a port or a query alone is no part of the link.
            end = position if tail and (host["domain"] or tail["path"]) else end
            short = TCO_URL.match(text, start, end) if host["domain"] else None
            if short and len(short[1]) > MAX_TCO_SLUG_CHARACTERS:
                continue
            end = short.end() if short else end
            if end - start <= MAX_URL_CHARACTERS:
                yield start, end


def _domain_end(text: str, start: int, stop: int) -> int | None:
    """Return where the longest resolvable domain of text[start:stop] ends."""
    labels = text[start:stop].split(".")
    end = stop
    for index in range(len(labels) - 1, 0, -1):
        length = _top_level_length(labels[index])
        glued = length == len(labels[index]) and text[end : end + 1] in GLUE
        if length and not glued and "_" not in labels[index - 1]:
            end += length - len(labels[index])
            return end if all(map(_is_domain_label, labels[:index])) else None
        end -= len(labels[index]) + 1
    return None


def _top_level_length(label: str) -> int:
    lead = TOP_LEVEL.match(label)
    if lead:
        return lead.end() if lead[0].lower() in TOP_LEVEL_DOMAINS or PUNYCODE.fullmatch(lead[0]) else 0
    return next((n for n in range(min(len(label), LONGEST_IDN), 0, -1) if label[:n] in TOP_LEVEL_DOMAINS), 0)


def _is_domain_label(label: str) -> bool:
    if label.isascii():
        return len(label) <= MAX_DOMAIN_LABEL_BYTES
    return not label.startswith("xn--") and len(label.encode("punycode")) + len("xn--") <= MAX_DOMAIN_LABEL_BYTES


def _emoji_lengths() -> dict[str, tuple[int, ...]]:
    lengths: dict[str, set[int]] = {}
    for sequence in EMOJI:
        lengths.setdefault(sequence[0], set()).add(len(sequence))
    return {first: tuple(sorted(found, reverse=True)) for first, found in lengths.items()}


def _top_level_domains() -> frozenset[str]:
    rules = files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text(encoding="utf-8")
    official = rules.split("===END ICANN DOMAINS===")[0].splitlines()
    return frozenset(rule.rsplit(".", 1)[-1] for rule in official if rule and not rule.startswith("//"))


# Character classes of twitter-text, written for use inside [].
_PUNCT = r"!'#%&'()*+,\-./:;<=>?@\[\]\\\^_{|}~$"
_SPACES = r"\u0009-\u000D \u0085\u00A0\u180E\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"
_INVALID = r"\uFFFE\uFEFF\uFFFF"
_DIRECTIONAL = r"\u202A-\u202E\u061C\u200E\u200F\u2066-\u2069"
_LATIN = (
    r"\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u024F\u0253\u0254\u0256\u0257\u0259\u025B\u0263\u0268\u026F\u0272\u0289\u028B"
    r"\u02BB\u0300-\u036F\u1E00-\u1EFF"
)
_TAG_MARKS = r"_\u200C\u200D\uA67E\u05BE\u05F3\u05F4\uFF5E\u301C\u309B\u309C\u30A0\u30FB\u3003\u0F0B\u0F0C\u00B7"

_DOMAIN_CHARACTER = rf"[^{_PUNCT}{_SPACES}{_INVALID}{_DIRECTIONAL}]"
_LABEL = rf"{_DOMAIN_CHARACTER}++(?:[_\-]++{_DOMAIN_CHARACTER}++)*+"
_BARE_LABEL = rf"[a-z0-9{_LATIN}][\-a-z0-9{_LATIN}]*+"
# A full stop behind the host ends a sentence, not a label.
_DOT = rf"\.(?={_DOMAIN_CHARACTER})"
_PATH_CHARACTER = rf"[a-z\u0400-\u04FF0-9!*';:=+,.$/%#\[\]\-\u2013_~@|&{_LATIN}]"
_PARENTHESES = rf"\((?:{_PATH_CHARACTER}++|{_PATH_CHARACTER}*+\({_PATH_CHARACTER}++\){_PATH_CHARACTER}*+)\)"
_PATH_END = rf"(?:[+\-a-z\u0400-\u04FF0-9=_#/{_LATIN}]|{_PARENTHESES})"
_PATH = rf"(?:{_PATH_CHARACTER}*(?:{_PARENTHESES}{_PATH_CHARACTER}*)*{_PATH_END}|@{_PATH_CHARACTER}+/)"
_QUERY = r"\?[a-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[a-z0-9\-_&=#/]"

CHUNK = regex.compile(r"\S+")
HOST = regex.compile(
    rf"(?P<before>[^A-Za-z0-9@\uFF20$#\uFF03{_INVALID}]|^)"
    rf"(?P<url>https?://(?P<domain>(?:{_LABEL}{_DOT})++{_LABEL})|(?:{_BARE_LABEL}{_DOT})++{_LABEL})",
    regex.IGNORECASE,
)
# Behind these nothing is a link that does not name its protocol.
JOINING = frozenset("-_./")
TOP_LEVEL = regex.compile(r"[0-9A-Za-z\-]+")
# What follows a top-level domain in no URL: an address of somebody (john.gov@...).
GLUE = frozenset("@+-")
PUNYCODE = regex.compile(r"xn--[\-0-9a-z]+", regex.IGNORECASE)
TOP_LEVEL_DOMAINS = _top_level_domains()
LONGEST_IDN = max(len(domain) for domain in TOP_LEVEL_DOMAINS if not domain.isascii())
URL_TAIL = regex.compile(rf"(?::[0-9]+)?(?P<path>/{_PATH}?)?(?:{_QUERY})?", regex.IGNORECASE)
TCO_URL = regex.compile(rf"https?://t\.co/([a-z0-9]+)(?:{_QUERY})?", regex.IGNORECASE)

_TAG_CHARACTER = rf"[\p{{L}}\p{{M}}\p{{Nd}}{_TAG_MARKS}]"
HASHTAG = regex.compile(
    rf"(?:(?<![\p{{L}}\p{{M}}\p{{Nd}}{_TAG_MARKS}&])|(?<=[\uFE0E\uFE0F]))"
    rf"([#\uFF03](?!\uFE0F|\u20E3)(?=[\p{{Nd}}{_TAG_MARKS}]*[\p{{L}}\p{{M}}]){_TAG_CHARACTER}++)(?![#\uFF03]|://)",
)
MENTION = regex.compile(
    rf"(?:(?<![a-zA-Z0-9_!#$%&*@\uFF20])|(?<=(?<![a-zA-Z0-9_+~.\-])(?:[rR][tT]:?)))"
    rf"([@\uFF20][a-zA-Z0-9_]{{1,20}}(?:/[a-zA-Z][a-zA-Z0-9_\-]{{0,24}})?)(?![@\uFF20a-zA-Z0-9_{_LATIN}]|://)",
)
CASHTAG = regex.compile(
    rf"(?<![^{_SPACES}{_DIRECTIONAL}])(\$[a-z]{{1,6}}(?:[._][a-z]{{1,2}})?)(?=$|\s|[{_PUNCT}])", regex.IGNORECASE
)
SIGNED = (("HASHTAG", "#\uff03", HASHTAG), ("MENTION", "@\uff20", MENTION), ("CASHTAG", "$", CASHTAG))

# © and ® are text unless the emoji selector follows; the text selector makes text of any emoji.
TEXT_STYLE, EMOJI_STYLE = "\ufe0e", "\ufe0f"
EMOJI = frozenset(emoji.EMOJI_DATA) - {"©", "®"}
EMOJI_START = regex.compile(r"[\p{Emoji}--[0-9#*]]|[0-9#*](?=\uFE0F?\u20E3)", regex.VERSION1)
EMOJI_LENGTHS = _emoji_lengths()
HEAVY = regex.compile(r"[^\u0000-\u10FF\u2000-\u200D\u2010-\u201F\u2032-\u2037]")
