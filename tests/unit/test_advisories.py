"""What a report of pip-audit means: a known hole fails, and a package that nobody knew was not checked."""

from __future__ import annotations

import pytest

from tests.audit import advisories

HOLE = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}
PACKAGES = [
    {"name": "good", "version": "1.0", "vulns": []},
    {"name": "bad", "version": "1.0", "vulns": [HOLE]},
    {"name": "unheard", "skip_reason": "Dependency not found on PyPI"},
]


def test_a_hole_and_a_package_that_was_not_checked_are_named() -> None:
    bad, unchecked = advisories.read(PACKAGES)
    assert bad == ["bad 1.0: PYSEC-1, mended in ['2.0']"]
    assert unchecked == ["unheard"]


def test_a_hole_that_was_read_and_does_not_reach_us_is_let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(advisories.ACCEPTED, "CVE-1", "only on Windows")
    assert advisories.read(PACKAGES)[0] == []


@pytest.mark.parametrize(
    ("found", "arguments", "status"),
    [
        (PACKAGES, [], 1),
        (PACKAGES[:1], ["--strict"], 0),
        (PACKAGES[2:], [], 0),
        (PACKAGES[2:], ["--strict"], 1),
        (None, [], 0),
        (None, ["--strict"], 1),
    ],
)
def test_only_the_strict_form_fails_where_nobody_could_be_asked(
    found: list[dict] | None,
    arguments: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(advisories, "audit", lambda _: found)
    monkeypatch.setattr("sys.argv", ["advisories", *arguments])
    assert advisories.main() == status
    assert ("NOT checked" in capsys.readouterr().out) == (found is None or PACKAGES[2] in found)
