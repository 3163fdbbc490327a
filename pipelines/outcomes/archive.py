"""Reads tweets.js of the archive that X lets every user download: JSON behind an assignment, an object at a time."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from pipelines.outcomes.cells import count_of, post_id_of, posted_at
from pipelines.outcomes.files import MAX_ROW_CHARACTERS, FileRefused, Row, clean_text
from pipelines.outcomes.posts import PostReading

CHUNK = 1 << 18
# window.YTD.tweets.part0 = [ ; tweet.js of older archives says tweet, and those from before 2018 Grailbird.
OPENS = re.compile(r"\s*(?:(?P<name>[A-Za-z_][\w.]{0,100})\s*=\s*)?\[")
POSTS = re.compile(r"window\.YTD\.(?:tweets?|community_tweets?)\.part\d+|Grailbird\.data\.tweets_\w+")
BETWEEN = re.compile(r"[\s,]*")
DECODER = json.JSONDecoder()


def is_script(start: str) -> bool:
    """Whether a file begins as JSON does that stands behind an assignment, or alone."""
    return bool(OPENS.match(start)) or start.lstrip().startswith("{")


def read_archive(text: io.TextIOWrapper) -> Iterator[Row[PostReading]]:
    """Return the posts of tweets.js, each with the line that it starts on; memory stays flat.

    The archive tells likes and reposts alone.

    Raises:
        FileRefused: another file of the archive, or no JSON; also while the posts are read.
    """
    start = text.read(CHUNK)
    opened = OPENS.match(start)
    if opened is None:
        raise FileRefused("This is JSON, but no list of posts: send data/tweets.js of X's archive, or a .csv export.")
    if (name := opened["name"]) and not POSTS.fullmatch(name):
        raise FileRefused(f"This file of the archive holds {name}, not posts: send data/tweets.js.")
    return _posts(text, start, opened.end())


def _posts(text: io.TextIOWrapper, buffer: str, place: int) -> Iterator[Row[PostReading]]:
    line = 1 + buffer.count("\n", 0, place)
    ended = False
    while True:
        after = BETWEEN.match(buffer, place)
        assert after is not None  # noqa: S101  # it matches nothing, too
        line += buffer.count("\n", place, after.end())
        place = after.end()
        if place < len(buffer) and buffer[place] == "]":
            _check_end(text, buffer[place + 1 :], line)
            return
        try:
            # A scalar could go on in the next chunk; an object that is whole cannot.
            tree, end = DECODER.raw_decode(buffer, place) if buffer[place : place + 1] == "{" else (None, -1)
        except (ValueError, RecursionError):
            tree, end = None, -1
        if end < 0:
            if ended or (place < len(buffer) and buffer[place] != "{") or len(buffer) - place > MAX_ROW_CHARACTERS:
                raise FileRefused(f"Line {line}: what begins here is no whole post in JSON; the file may be cut off.")
            buffer, place = buffer[place:], 0
            # As much again: a long object is tried few times.
            try:
                chunk = text.read(max(CHUNK, len(buffer)))
            except UnicodeError as error:
                raise FileRefused(
                    f"After line {line}: the file is not UTF-8 throughout; send it as X made it."
                ) from error
            ended = not chunk
            buffer += chunk
            continue
        try:
            yield line, _reading(tree)
        except ValueError as error:
            yield line, str(error)
        line += buffer.count("\n", place, end)
        place = end


def _check_end(text: io.TextIOWrapper, rest: str, line: int) -> None:
    try:
        rest += text.read(CHUNK)
    except UnicodeError as error:
        raise FileRefused(f"After line {line}: the file is not UTF-8 throughout; send it as X made it.") from error
    if rest.strip(" \t\r\n;"):
        raise FileRefused(f"Line {line}: something follows the list of posts.")


def _reading(tree: Any) -> PostReading:
    post = tree.get("tweet", tree)
    if not isinstance(post, dict):
        raise ValueError("no post")  # noqa: TRY004  # a row like others that cannot be read
    post_id = post_id_of(_string(post, "id_str") or _string(post, "id"))
    full_text = post.get("full_text", post.get("text"))
    try:
        moment = posted_at(_string(post, "created_at"), post_id)
    except ValueError as error:
        raise ValueError(f"created_at {error}") from None
    return PostReading(
        post_id=post_id,
        posted_at=moment,
        text=clean_text(html.unescape(full_text)) if isinstance(full_text, str) else None,
        likes=_count(post, "favorite_count"),
        retweets=_count(post, "retweet_count"),
    )


def _count(post: dict[str, Any], name: str) -> int | None:
    try:
        return count_of(_string(post, name))
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _string(post: dict[str, Any], name: str) -> str:
    value = post.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
