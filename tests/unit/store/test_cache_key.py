"""Which requests share a cached answer."""

from __future__ import annotations

import pytest

from store.cache import cache_key

VERSIONS = {"sentiment": "1", "generator": "2"}
REQUEST = b'{"n_templates":5,"query":"caf\xc3\xa9"}'
KEY = cache_key("default", "/analyze-query", VERSIONS, REQUEST)


@pytest.mark.parametrize(
    "other",
    [
        cache_key("acme", "/analyze-query", VERSIONS, REQUEST),
        cache_key("default", "/predict", VERSIONS, REQUEST),
        cache_key("default", "/analyze-query", VERSIONS | {"sentiment": "2"}, REQUEST),
        cache_key("default", "/analyze-query", {}, REQUEST),
        cache_key("default", "/analyze-query", VERSIONS, REQUEST.replace(b"5", b"6")),
        cache_key("default", "/analyze-query", VERSIONS, REQUEST.replace(b"5", b'"5"')),
        cache_key("default", "/analyze-query", VERSIONS, REQUEST.replace(b"caf", b"Caf")),
    ],
    ids=["account", "route", "version", "no versions", "number", "type", "case"],
)
def test_what_differs_does_not_share_an_answer(other: str) -> None:
    assert other != KEY


def test_the_order_of_the_versions_does_not_matter() -> None:
    assert cache_key("default", "/analyze-query", dict(reversed(VERSIONS.items())), REQUEST) == KEY


def test_the_key_shows_the_account_and_nothing_of_the_text() -> None:
    assert KEY.startswith("default:")
    assert KEY.isascii()
    assert "caf" not in KEY
