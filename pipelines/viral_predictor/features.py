"""What the viral predictor sees of a draft: hashed words, a few counts of its wording, and the clock.

It knows no model: weights live in viral_predictor.py. All but shouting is computed from the case-folded text.
"""

from __future__ import annotations

import math
import re
import string
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# name: definition, unit, range; counts above 12 count as 12.
# What stands before an underscore names the contribution that the feature belongs to.
WORDING: dict[str, str] = {
    "length": "ln(1 + characters in words outside hashtags and links), at most that of a full post, [0, 5.7]",
    "length_squared": "the square of `length`, so that middling lengths may do best, [0, 32.5]",
    "hashtags": "number of hashtags, [0, 12]",
    "hashtags_log": "ln(1 + `hashtags`), [0, 2.57]",
    "mentions": "ln(1 + number of @handles), [0, 2.57]",
    "links": "number of http(s) links, [0, 3]",
    "questions": "1 if there is a question mark, else 0",
    "exclamations": "ln(1 + number of exclamation marks), [0, 2.57]",
    "numbers": "ln(1 + words that begin with a digit), [0, 2.57]",
    "emoji": "ln(1 + emoji and pictographs), [0, 2.57]",
    "lines": "ln(1 + line breaks), [0, 2.57]",
    "quotes": "1 if there is a double or typographic quotation mark, else 0",
    "colon": "1 if a colon ends a word, else 0",
    "shouting": "share of upper-case letters among all cased letters outside hashtags and links, above 0.3, [0, 0.7]",
}

# One word must not decide everything about a text of one word.
MIN_ENTRIES = 8

# What the viral predictor counts besides: see draft_wording.
DRAFT: dict[str, str] = WORDING | {"pleas": "number of closing pleas for a reaction, as `what do you think?`, [0, 3]"}

# A draft must not gain by more of these, whatever the correlation in somebody's archive: see fit in training.
NEVER_REWARDED = ("hashtags", "hashtags_log", "exclamations", "shouting", "pleas")

TIME: dict[str, str] = {
    "hour_sin": "sine of the UTC time of day as an angle, [-1, 1]",
    "hour_cos": "cosine of the UTC time of day as an angle, [-1, 1]",
    "hour_sin2": "sine of twice that angle, [-1, 1]",
    "hour_cos2": "cosine of twice that angle, [-1, 1]",
    "weekday_sin": "sine of the UTC weekday as an angle, Monday 0, [-1, 1]",
    "weekday_cos": "cosine of the UTC weekday as an angle, [-1, 1]",
    "weekday_weekend": "1 on Saturday and Sunday (UTC), else 0",
}

MINUTES_PER_WEEK = 7 * 24 * 60

_LINK = re.compile(r"https?://\S+")
_LINK_OR_HASHTAG = re.compile(rf"{_LINK.pattern}|#\w+", re.IGNORECASE)
_TOKEN = re.compile(r"[#@]?\w[\w']*|[^\w\s\x00-\x7f]")
_EMOJI = re.compile("[\U0001f1e6-\U0001faff\u2600-\u27bf\u2b50\u2b55]")
_PLEA = re.compile(
    r"(?:(?:^|\s)"
    r"(?:what(?:'s| is| are)? (?:do )?(?:you|your)(?: all| guys)?(?: think| thoughts?| take| opinion)|your thoughts"
    r"|do you agree|agree or disagree|(?:rt|retweet|share|like|follow) if you agree"
    r"|(?:(?:any )?thoughts|agree)(?=\s*\?)|let (?:me|us) know(?: what you think)?(?: in the comments| below)?)"
    r"|(?:^|(?<=[\s?!.:])(?<=[?!.:\n] |.[?!.:\n]))(?:please |pls |plz )?"
    r"(?:(?:any )?thoughts|agree|(?:let|tell) (?:me|us)(?: know)?(?: what you think)?(?: in the comments| below)?"
    r"|(?:comment|reply|vote)(?: below)?|tag (?:a friend|someone)"
    r"|(?:rt|retweet|share|like|follow)(?: (?:and|&) (?:rt|retweet|share|like|follow))?(?: this| for more| me| us)?))"
    r"[\s?!.]*\Z",
    re.IGNORECASE,
)
_LONGEST_PLEA = 80
_SPACED = re.compile(r"\S+")
_MARKS = ".,;:!?\u2026\"'()\u201c\u201d\u00a1\u00bf"
_RUN_OF_EMOJI = re.compile(rf"({_EMOJI.pattern}\ufe0f?)(?:\s*\1)+")
_COLON = re.compile(r":(?!\S)")
_UPPER = string.ascii_uppercase.encode()
_LOWER = string.ascii_lowercase.encode()
_LOG = tuple(math.log1p(count) for count in range(13))
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth, TAOCP 3, 6.4 (multiplicative hashing)


@dataclass(frozen=True, slots=True)
class Wording:
    """The wording of a batch of texts: counts, and hashed words and word pairs as (row, bucket) entries.

    `counts` is (texts, len(WORDING)); `rows` and `buckets` are (entries,), rows ascending, each bucket once a row;
    `weights` is (entries,): 1 / sqrt(entries of the row), so that rows have unit length, very short ones less.
    """

    counts: Floats
    rows: NDArray[np.int64]
    buckets: NDArray[np.int64]
    weights: Floats


def wording(texts: Sequence[str], bits: int) -> Wording:
    """Return the wording of `texts` with words hashed to 2**bits buckets; no state, equal in every process.

    Hashtags at the end are counted but are no words, so that appending one adds nothing but its count.
    """
    read = [_read(text) for text in texts]
    hashes = np.frombuffer(b"".join([packed for _, packed, _ in read]), np.uint32)
    sizes = np.array([len(packed) // 4 for _, packed, _ in read], np.int64)
    rows, buckets = _ngrams(hashes.astype(np.uint64), sizes, bits)
    shares = 1.0 / np.sqrt(np.maximum(np.bincount(rows, minlength=len(read)), MIN_ENTRIES))
    counts = np.frombuffer(b"".join([counts for counts, _, _ in read])).reshape(len(read), len(WORDING))
    return Wording(counts, rows, buckets, shares[rows])


def draft_wording(texts: Sequence[str], bits: int) -> Wording:
    """Return the wording of `texts` without their closing pleas, which are counted; `counts` is (texts, len(DRAFT)).

    What closes a text adds nothing but its count, so that no plea and no hashtag can be rewarded for its words.
    """
    bare = [bare_text(text) for text in texts]
    read = wording([text for text, _ in bare], bits)
    counts = np.empty((len(bare), len(DRAFT)))
    counts[:, : len(WORDING)] = read.counts
    counts[:, len(WORDING)] = [pleas for _, pleas in bare]
    return Wording(counts, read.rows, read.buckets, read.weights)


@lru_cache(maxsize=8192)
def bare_text(text: str) -> tuple[str, int]:
    """Return `text` without closing pleas and without line breaks before closing hashtags, and the pleas, [0, 3].

    What is said twice in a row, a tag or emoji that was there before, and closing words that were, are left out:
    nothing is to be gained by saying it again.
    """
    text = said_once(text)
    words = text.split()
    tags: list[str] = []
    pleas = 0
    while True:
        while words and words[-1][0] == "#":
            tags.append(words.pop())
            text = text.rstrip().removesuffix(tags[-1])
        text = text.rstrip()
        found = _PLEA.search(text, max(len(text) - _LONGEST_PLEA, 0))
        if not found:
            return " ".join([_without_echo(text), *reversed(tags)]), min(pleas, 3)
        pleas += 1
        text = text[: found.start()]
        words = text.split()


def said_once(text: str) -> str:
    """Return `text` without repeats of the words before them, and of tags and emoji anywhere; spacing stays."""
    text = _RUN_OF_EMOJI.sub(r"\1", text)
    found = list(_SPACED.finditer(text))
    keys = [match[0].casefold().strip(_MARKS) or match[0] for match in found]
    if len(set(keys)) == len(keys):
        return text
    kept: list[int] = []
    for place, key in enumerate(keys):
        kept.append(place)
        own = [keys[other] for other in kept]
        for size in [len(own) - 1 - at for at, other in enumerate(own[:-1]) if other == key]:
            if own[-size:] == own[-2 * size : -size]:
                del kept[-size:]
                break
    marks: set[str] = set()
    chosen = set()
    for place in kept:
        if keys[place] not in marks:
            chosen.add(place)
        if keys[place][0] == "#" or _EMOJI.match(keys[place]):
            marks.add(keys[place])
    if len(chosen) == len(keys):
        return text
    return "".join(
        text[found[place - 1].end() if place else 0 : match.end()]
        for place, match in enumerate(found)
        if place in chosen
    )


def _without_echo(text: str) -> str:
    """Return `text` without closing words that stand before, too."""
    found = list(_SPACED.finditer(text))
    keys = [match[0].casefold().strip(_MARKS) or match[0] for match in found]
    while len(keys) > 1 and keys[-1] in keys[:-1]:
        keys.pop()
    return text if len(keys) == len(found) else text[: found[len(keys) - 1].end()]


@dataclass(frozen=True, slots=True)
class Grams:
    """Four neighbouring bytes at every place of a batch of folded texts, closing hashtags left out.

    `buckets` is (places,), 2**bits where a place holds no character; text i owns those from `starts[i]` to
    `starts[i + 1]` (texts + 1,), three of them after its last word.
    """

    buckets: NDArray[np.int64]
    starts: NDArray[np.int64]


def grams(texts: Sequence[str], bits: int) -> Grams:
    """Return the character 4-grams of the words of `texts` without pleas, hashed to 2**bits buckets."""
    # Three zero bytes apart, no window that begins in a text sees the next one.
    words = [_read(bare_text(text)[0])[2] + b"\0\0\0" for text in texts]
    starts = np.cumsum([0, *map(len, words)])
    flat = np.frombuffer(b"".join(words) + b"\0\0\0", np.uint8).astype(np.uint32)
    places = len(flat) - 3
    windows = flat[:places] << 24 | flat[1 : places + 1] << 16 | flat[2 : places + 2] << 8 | flat[3:]
    buckets = (windows * np.uint32(0x9E3779B1)) >> np.uint32(32 - bits)
    buckets[flat[:places] == 0] = 1 << bits
    return Grams(buckets.astype(np.intp), starts)


def time_of(moments: Sequence[datetime | None]) -> Floats:
    """Return (moments, len(TIME)); a row of NaN where the moment is unknown. Moments carry a time zone."""
    return _CLOCK[minutes_of_week(moments)]


def minutes_of_week(moments: Sequence[datetime | None]) -> NDArray[np.int64]:
    """Return minutes since Monday 00:00 UTC (moments,), and MINUTES_PER_WEEK where the moment is unknown."""
    # 1970 began on a Thursday.
    seconds = [math.nan if moment is None else moment.timestamp() + 3 * 86_400 for moment in moments]
    minutes = np.array(seconds, np.float64) // 60.0
    return np.where(np.isnan(minutes), MINUTES_PER_WEEK, np.mod(minutes, MINUTES_PER_WEEK)).astype(np.int64)


# An author's posts come again with every request of theirs; reading a text costs more than everything after it.
@lru_cache(maxsize=8192)
def _read(text: str) -> tuple[bytes, bytes, bytes]:
    """Return the counts of one text as packed doubles, its words as packed CRC-32 values, and its words."""
    folded, links = _LINK.subn("http", text.casefold().replace("\u2019", "'"))
    tokens = _TOKEN.findall(folded)
    counts = array("d", _counts(text, folded, tokens, links)).tobytes()
    while tokens and tokens[-1][0] == "#":
        tokens.pop()
    # Encoding once and splitting beats encoding every word.
    words = " ".join(tokens).encode("utf-8", "replace")
    return counts, array("I", map(zlib.crc32, words.split())).tobytes(), words


def _counts(text: str, folded: str, tokens: list[str], links: int) -> tuple[float, ...]:
    heads = [token[0] for token in tokens]
    hashtags = heads.count("#")
    tagged = sum([len(token) for token in tokens if token[0] == "#"]) if hashtags else 0
    length = min(math.log1p(max(len("".join(tokens)) - tagged - len("http") * links, 0)), 5.7)
    hashtags = min(hashtags, 12)
    return (
        length,
        length * length,
        hashtags,
        _LOG[hashtags],
        _LOG[min(heads.count("@"), 12)],
        min(links, 3),
        1.0 if "?" in folded else 0.0,
        _LOG[min(folded.count("!"), 12)],
        _LOG[min(sum(map(str.isdecimal, heads)), 12)],
        0.0 if folded.isascii() else _LOG[min(len(_EMOJI.findall(folded)), 12)],
        _LOG[min(folded.count("\n"), 12)],
        1.0 if '"' in folded or "\u201c" in folded else 0.0,
        1.0 if _COLON.search(folded) else 0.0,
        shouting(_LINK_OR_HASHTAG.sub("", text) if links or hashtags else text),
    )


def shouting(text: str) -> float:
    """Return the share of capitals among the cased letters above 0.3, [0, 0.7]."""
    encoded = text.encode("ascii", "ignore")
    upper = len(encoded) - len(encoded.translate(None, _UPPER))
    lower = len(encoded) - len(encoded.translate(None, _LOWER))
    if len(encoded) < len(text):
        beyond = [character for character in text if character > "\x7f"]
        upper += sum(map(str.isupper, beyond))
        lower += sum(map(str.islower, beyond))
    return max(upper / (upper + lower) - 0.3, 0.0) if upper else 0.0


def _ngrams(
    hashes: NDArray[np.uint64], sizes: NDArray[np.int64], bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = np.repeat(np.arange(len(sizes)), sizes)
    shift = np.uint64(64 - bits)
    words = (hashes * _MIX) >> shift
    within = rows[:-1] == rows[1:]
    pairs = (((hashes[:-1] * _MIX + hashes[1:]) ^ np.uint64(0x5BD1E995)) * _MIX) >> shift
    found = np.concatenate([rows, rows[:-1][within]]) << bits | np.concatenate([words, pairs[within]]).astype(np.int64)
    # Rows ascend twice, and a merge sort makes use of it: 27 against 96 us for 100 posts.
    found.sort(kind="stable")
    entries = found[np.diff(found, prepend=-1) != 0]
    return entries >> bits, entries & ((1 << bits) - 1)


def _clock() -> Floats:
    """Return TIME of each minute of the week and NaN (MINUTES_PER_WEEK + 1, len(TIME))."""
    minute = np.arange(MINUTES_PER_WEEK)
    weekday, of_day = np.divmod(minute, 24 * 60)
    day, week = 2 * np.pi * of_day / (24 * 60), 2 * np.pi * weekday / 7
    columns = (np.sin(day), np.cos(day), np.sin(2 * day), np.cos(2 * day), np.sin(week), np.cos(week), weekday >= 5)
    return np.vstack([np.column_stack(columns), np.full(len(TIME), np.nan)])


_CLOCK = _clock()
