"""The texts that a language model may learn from, cleaned, masked, without duplicates, split by hash of their group.

Open licences: Upworthy (CC BY 4.0), tan2014 (MIT), GoEmotions (Apache-2.0), tweet_acts (BSD-2), ratio538 (CC BY 4.0).
congress2022 (official statements) is for the fluency critic alone and never more than half of the tokens.
"""

from __future__ import annotations

import csv
import hashlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq

from pipelines.text.tweets import masked

Part = Literal["train", "validation", "test"]
MARKUP = re.compile(r"<(?!url>|user>)/?[a-z][^>]*>", re.IGNORECASE)
RETWEET = re.compile(r"^(?:RT\s+@\w+:?\s*)+")
# Archives of 140 characters cut links in the middle.
CUT_LINK = re.compile(r"\s*\b(?:h|ht|htt|http|https|https?:/{0,2}|https?://t\.?c?o?/?\w{0,9})(?:…|\.\.\.)?$")
MIN_WORDS, MAX_CHARACTERS = 4, 400
CONGRESS = "congress2022"


@dataclass(frozen=True, slots=True)
class Text:
    """One text with the set it is from; texts of one `group` (one link, one test) stand in one part."""

    text: str
    source: str
    part: Part


def read_corpus(folder: Path, *, congress: bool) -> list[Text]:
    """Return all texts under a data folder, in an order that depends on nothing but their content.

    Raises:
        OSError: a file is not there.
    """
    seen: set[str] = set()
    texts: list[Text] = []
    for source, group, raw in _read(folder, congress=congress):
        text = clean(raw)
        key = text.casefold()
        if key in seen or len(text.split()) < MIN_WORDS or len(text) > MAX_CHARACTERS:
            continue
        seen.add(key)
        texts.append(Text(text, source, _part(f"{source}:{group}")))
    return sorted(texts, key=lambda item: _hash(item.text))


def clean(raw: str) -> str:
    """Return a text without markup and the signs of a retweet, links and handles masked."""
    text = RETWEET.sub("", html.unescape(MARKUP.sub(" ", html.unescape(raw))).strip())
    return masked(CUT_LINK.sub("", text))


def _read(folder: Path, *, congress: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (source, group, raw text)."""
    yield from _headlines(folder / "wording/upworthy.parquet")
    for name in ("train", "val"):
        yield from _pairs(folder / f"wording/tan2014_{name}.parquet", name)
    for name in ("train", "dev"):
        yield from _comments(folder / f"goemotions/{name}.tsv")
    yield from _acts(folder / "intent/tweet_acts.csv")
    for name in ("ratio538", *((CONGRESS,) if congress else ())):
        for row in _rows(folder / f"engagement/{name}.parquet", "text", "lang"):
            if row["lang"] == "en":
                yield name, str(row["text"]), str(row["text"])


def _headlines(path: Path) -> Iterator[tuple[str, str, str]]:
    for row in _rows(path, "clickability_test_id", "headline", "lede", "excerpt"):
        for column in ("headline", "lede", "excerpt"):
            yield "upworthy", str(row["clickability_test_id"]), str(row[column] or "")


def _pairs(path: Path, name: str) -> Iterator[tuple[str, str, str]]:
    for index, row in enumerate(_rows(path, "first_tweet", "second_tweet")):
        for text in row.values():
            yield "tan2014", f"{name}{index}", str(text)


def _comments(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield comments in which no name was masked: the masks are no words of a post."""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("\t")[0]
        if "[NAME]" not in text and "[RELIGION]" not in text:
            yield "goemotions", text, text


def _acts(path: Path) -> Iterator[tuple[str, str, str]]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for fields in csv.reader(file):
            if fields and "\ufffd" not in fields[0]:
                yield "tweet_acts", fields[0], fields[0]


def _rows(path: Path, *columns: str) -> Iterator[dict[str, object]]:
    for batch in pq.ParquetFile(path).iter_batches(columns=list(columns)):
        yield from batch.to_pylist()


def _part(group: str) -> Part:
    share = _hash(group) % 100
    return "test" if share < 3 else "validation" if share < 5 else "train"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
