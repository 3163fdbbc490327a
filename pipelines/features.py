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
from datetime import UTC, datetime
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

# A draft must not gain by more of these, whatever the correlation in somebody's archive: see fit in training.
NEVER_REWARDED = ("hashtags", "hashtags_log", "shouting")

TIME: dict[str, str] = {
    "hour_sin": "sine of the UTC time of day as an angle, [-1, 1]",
    "hour_cos": "cosine of the UTC time of day as an angle, [-1, 1]",
    "hour_sin2": "sine of twice that angle, [-1, 1]",
    "hour_cos2": "cosine of twice that angle, [-1, 1]",
    "weekday_sin": "sine of the UTC weekday as an angle, Monday 0, [-1, 1]",
    "weekday_cos": "cosine of the UTC weekday as an angle, [-1, 1]",
    "weekday_weekend": "1 on Saturday and Sunday (UTC), else 0",
}

_LINK = re.compile(r"https?://\S+")
_LINK_OR_HASHTAG = re.compile(rf"{_LINK.pattern}|#\w+", re.IGNORECASE)
_TOKEN = re.compile(r"[#@]?\w[\w']*|[^\w\s\x00-\x7f]")
_EMOJI = re.compile("[\U0001f1e6-\U0001faff\u2600-\u27bf\u2b50\u2b55]")
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
    hashes = np.frombuffer(b"".join([packed for _, packed in read]), np.uint32)
    sizes = np.array([len(packed) // 4 for _, packed in read], np.int64)
    rows, buckets = _ngrams(hashes.astype(np.uint64), sizes, bits)
    entries = np.bincount(rows, minlength=len(read))
    counts = np.array([counts for counts, _ in read], np.float64).reshape(len(read), len(WORDING))
    return Wording(counts, rows, buckets, 1.0 / np.sqrt(np.maximum(entries[rows], MIN_ENTRIES)))


def time_of(moments: Sequence[datetime | None]) -> Floats:
    """Return (moments, len(TIME)); a row of NaN where the moment is unknown. Moments carry a time zone."""
    return np.array([_time(moment) for moment in moments], np.float64).reshape(len(moments), len(TIME))


# An author's posts come again with every request of theirs; reading a text costs more than everything after it.
@lru_cache(maxsize=8192)
def _read(text: str) -> tuple[tuple[float, ...], bytes]:
    """Return the counts of one text and its words as packed CRC-32 values."""
    folded, links = _LINK.subn("http", text.casefold().replace("\u2019", "'"))
    tokens = _TOKEN.findall(folded)
    counts = _counts(text, folded, tokens, links)
    while tokens and tokens[-1][0] == "#":
        tokens.pop()
    # Encoding once and splitting beats encoding every word.
    return counts, array("I", map(zlib.crc32, " ".join(tokens).encode("utf-8", "replace").split())).tobytes()


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
        _shouting(_LINK_OR_HASHTAG.sub("", text) if links or hashtags else text),
    )


def _shouting(text: str) -> float:
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
    found.sort()
    entries = found[np.diff(found, prepend=-1) != 0]
    return entries >> bits, entries & ((1 << bits) - 1)


def _time(moment: datetime | None) -> tuple[float, ...]:
    if moment is None:
        return (math.nan,) * len(TIME)
    moment = moment.astimezone(UTC)
    return _clock(moment.weekday(), 60 * moment.hour + moment.minute)


@lru_cache(maxsize=7 * 24 * 60)
def _clock(weekday: int, minute: int) -> tuple[float, ...]:
    day, week = 2 * math.pi * minute / (24 * 60), 2 * math.pi * weekday / 7
    return (
        math.sin(day),
        math.cos(day),
        math.sin(2 * day),
        math.cos(2 * day),
        math.sin(week),
        math.cos(week),
        1.0 if weekday >= 5 else 0.0,
    )
