"""What a page needs to count as X does while somebody types: the server's own domains and emoji, as static/count.js."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache

import orjson
from fastapi import APIRouter, Request, Response

from deployments.studio.shell import YEAR_S
from pipelines.text.tweets import EMOJI, EMOJI_LENGTH, EMOJI_START, TOP_LEVEL_DOMAINS, URL_LENGTH

PATH = "/studio/write/counting.json"
router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def counting(request: Request) -> Response:
    """Top-level domains, emoji, and what a link and an emoji count."""
    plain, packed = _counting()
    headers = {"cache-control": f"private, max-age={YEAR_S}, immutable", "vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, headers=headers | {"content-encoding": "gzip"}, media_type="application/json")
    return Response(plain, headers=headers, media_type="application/json")


@cache
def counting_url() -> str:
    """The address, which changes with the content so that browsers may keep it."""
    return f"{PATH}?v={hashlib.sha256(_counting()[0]).hexdigest()[:12]}"


@cache
def _counting() -> tuple[bytes, bytes]:
    """The content as JSON, and the same packed."""
    plain = orjson.dumps(
        {
            "url_length": URL_LENGTH,
            "emoji_length": EMOJI_LENGTH,
            "domains": " ".join(sorted(TOP_LEVEL_DOMAINS)),
            # Those that the server looks for: a sequence may be newer than its tables of characters.
            "emoji": " ".join(sorted(sequence for sequence in EMOJI if EMOJI_START.match(sequence))),
        }
    )
    return plain, gzip.compress(plain, 9, mtime=0)
