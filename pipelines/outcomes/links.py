"""Tags on the links of a post, so that Google Analytics can say which post or variant brought a visit.

The tags are those of https://support.google.com/analytics/answer/10917952. X counts every link as 23 characters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, unquote_plus

from pipelines.text.tweets import entities, normalized, weighted_length

SOURCE: Final = "x"
MEDIUM: Final = "social"
# Where they lead is decided elsewhere: a tag behind one is lost.
SHORTENED: Final = frozenset({"t.co", "bit.ly", "tinyurl.com", "ow.ly", "buff.ly", "goo.gl", "is.gd", "dlvr.it"})
Untagged = Literal["shortened", "has_tags", "would_break"]


@dataclass(frozen=True, kw_only=True)
class TaggedLink:
    """One link of a text and what became of it: `tagged` is None where it was left alone, `reason` says why."""

    link: str
    tagged: str | None
    reason: Untagged | None


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """The text with tagged links; its length as X counts is that of the text before."""

    text: str
    weighted_length: int
    links: tuple[TaggedLink, ...]


def tag_links(text: str, *, campaign: str, content: str, replace: bool = False) -> Tagged:
    """Return the text with utm_source=x, utm_medium=social, utm_campaign and utm_content on each link.

    What a link has already, its query, its fragment and the order of both, stays byte for byte. One with tags of its
    own keeps them and gets none, unless they are to be replaced. Left alone is also what a shortener leads on, and what
    X would no longer read as the same single link.
    """
    text = normalized(text)
    length = weighted_length(text)
    links: list[TaggedLink] = []
    shift = 0
    written = text
    for mark in entities(text):
        if mark.label != "URL":
            continue
        link = _tagged(mark.text, campaign, content, replace=replace)
        if link.tagged is not None:
            start, end = mark.start + shift, mark.end + shift
            tried = f"{written[:start]}{link.tagged}{written[end:]}"
            if _is_link(tried, start, link.tagged) and weighted_length(tried) == length:
                written, shift = tried, shift + len(link.tagged) - len(mark.text)
            else:
                link = TaggedLink(link=mark.text, tagged=None, reason="would_break")
        links.append(link)
    return Tagged(text=written, weighted_length=length, links=tuple(links))


def _tagged(link: str, campaign: str, content: str, *, replace: bool) -> TaggedLink:
    address, hash_sign, fragment = link.partition("#")
    path, mark, query = address.partition("?")
    host = path.partition("://")[2] or path
    if host.partition("/")[0].lower().removeprefix("www.") in SHORTENED:
        return TaggedLink(link=link, tagged=None, reason="shortened")
    if "://" not in path and "/" not in path:
        # Without a protocol X reads a query only behind a path.
        path += "/"
    parts = query.split("&") if mark else []
    kept = [part for part in parts if not _is_tag(part)]
    if len(kept) < len(parts) and not replace:
        return TaggedLink(link=link, tagged=None, reason="has_tags")
    tags = {"utm_source": SOURCE, "utm_medium": MEDIUM, "utm_campaign": campaign, "utm_content": content}
    added = [f"{name}={_quoted(value)}" for name, value in tags.items()]
    return TaggedLink(link=link, tagged=f"{path}?{'&'.join([*kept, *added])}{hash_sign}{fragment}", reason=None)


def _is_tag(part: str) -> bool:
    return unquote_plus(part.partition("=")[0]).lower().startswith("utm_")


def _quoted(value: str) -> str:
    # A link does not end with these to X.
    return quote(unicodedata.normalize("NFC", value), safe="").replace(".", "%2E").replace("~", "%7E")


def _is_link(text: str, start: int, link: str) -> bool:
    return any(mark.label == "URL" and (mark.start, mark.text) == (start, link) for mark in entities(text))
