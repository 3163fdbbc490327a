"""What in a draft is private, and what only looks so. Every number here is a published example or nobody's."""

import pytest

from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.text.private import private_spans

PRIVATE = [
    ("en", "Write to Ana.Lopez+orders@mail.example.com today", "private_email", "Ana.Lopez+orders@mail.example.com"),
    ("es", "escríbeme a pan@panadería.es", "private_email", "pan@panadería.es"),
    ("en", "Call +34 612 345 678 before noon", "private_phone", "+34 612 345 678"),
    ("en", "Text (415) 555-2671 to book", "private_phone", "(415) 555-2671"),
    ("en", "Ring 020 7946 0958 for a table", "private_phone", "020 7946 0958"),
    ("es", "Reservas: 612 34 56 78.", "private_phone", "612 34 56 78"),
    ("es", "WhatsApp al 55 1234 5678", "private_phone", "55 1234 5678"),
    ("en", "my card is 4111 1111 1111 1111 lol", "private_card", "4111 1111 1111 1111"),
    ("en", "5500-0000-0000-0004 exp 12/27", "private_card", "5500-0000-0000-0004"),
    ("es", "Mi cuenta: ES91 2100 0418 4502 0005 1332", "private_account", "ES91 2100 0418 4502 0005 1332"),
    ("en", "Send it to DE89370400440532013000", "private_account", "DE89370400440532013000"),
    ("es", "DNI 12345678Z, por favor", "private_id", "12345678Z"),
    ("es", "mi NIE es X-1234567-L", "private_id", "X-1234567-L"),
    ("en", "SSN 123-45-6789", "private_id", "123-45-6789"),
]
PUBLIC = [
    ("en", "We sold 1,234,567 loaves in 2025."),
    ("en", "Order 4111111111111112 has left the shop"),
    ("en", "From 10:00 to 18:00, 14-19 July 2026, 12.50 to 15.90"),
    ("en", "https://x.com/bakery/status/2035933611212357737"),
    ("en", "@ana and @ben thanked us"),
    ("en", "0000 0000 0000 0000"),
    ("en", "ISBN 978-3-16-148410-0"),
    ("es", "El sorteo 12345678A se aplaza"),
    ("es", "Del 14/07/2026 al 19/07/2026, a 1.234,50 euros"),
    ("en", "version 2.60.0, build 20261129"),
]


@pytest.mark.parametrize(("language", "text", "kind", "span"), PRIVATE)
def test_what_is_private_is_found_whole(language: str, text: str, kind: str, span: str) -> None:
    assert [(found.kind, text[found.start : found.end]) for found in private_spans(text, language)] == [(kind, span)]


@pytest.mark.parametrize(("language", "text"), PUBLIC)
def test_what_only_looks_private_is_left_alone(language: str, text: str) -> None:
    assert private_spans(text, language) == ()


def test_a_draft_with_something_private_is_told_so_in_its_language() -> None:
    texts = ["Call me on +34 612 345 678 about the flat", "Llámame al 612 345 678 por lo del piso"]

    analyses = QueryAnalyzer().analyze(texts, ["en", "es"])

    messages = [finding.message for analysis in analyses for finding in analysis.findings or ()]
    assert messages == ["Everybody will see this number.", "Todo el mundo verá este número."]


@pytest.mark.timeout(10)
def test_a_long_row_of_digits_is_nothing_private_and_costs_no_time() -> None:
    assert private_spans("1 " * 1_600 + "12345678" * 100, "en") == ()
