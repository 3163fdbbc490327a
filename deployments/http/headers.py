"""The headers that every answer carries, whatever answered: pages and pictures say their own where they need more."""

from __future__ import annotations

from typing import Final

from starlette.types import Message

# An answer of the API is data: a browser that is led to open it runs, loads, frames and keeps nothing of it.
ALWAYS: Final = tuple(
    (name.encode(), value.encode())
    for name, value in {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
        "cache-control": "no-store",
    }.items()
)
# A picture as SVG is a document where it is opened by itself, and styles itself; it still runs and loads nothing.
SVG: Final = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
)
# Browsers obey it over TLS alone, so that a forged X-Forwarded-Proto does nothing.
TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")


def secured(message: Message, more: tuple[tuple[bytes, bytes], ...] = ()) -> Message:
    """The beginning of an answer with every header of ALWAYS that it does not say itself, and with `more`."""
    headers = message["headers"] = list(message.get("headers", ()))
    said = {name.lower(): value for name, value in headers}
    if said.get(b"content-type", b"").startswith(b"image/svg"):
        headers.append(SVG)
        said[SVG[0]] = SVG[1]
    headers.extend(each for each in ALWAYS if each[0] not in said)
    headers.extend(more)
    return message
