"""The pictures of an experiment: real PNG and SVG that show its figures, in two languages, and names as text alone."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from defusedxml import ElementTree

from pipelines.experiments.analysis import Split
from pipelines.experiments.arms import Arm
from pipelines.experiments.picture import LABELS, LONGEST_NAME, MISSING, Subject, draw, shown
from pipelines.experiments.records import Plan
from pipelines.experiments.series import Block, Series, series_of_split

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
SUBJECTS: tuple[Subject, ...] = ("lift", "boundaries", "srm")
HOSTILE = ("<script>alert(1)</script>", "]]>--><b>", "$\\frac{1}{0}$", "_hidden", "\N{ROCKET} 木 \u202e", "a\tb" * 60)


def series(names: Sequence[str] = ("control", "b"), looks: int = 6, *, rate: float = 0.15) -> Series:
    """The control at 10 %, the others at `rate`, 300 more units each at every look."""
    rates = [0.1, *[rate] * (len(names) - 1)]
    told = []
    for look in range(1, looks + 1):
        cells = tuple((Arm(300 * look, round(300 * look * each)),) for each in rates)
        split = Split(names=tuple(names), control=0, weights=(1 / len(names),) * len(names), cells=cells)
        told.append((START + timedelta(hours=look), split))
    return series_of_split(Plan(control=names[0], channel="owned", method="sequential"), told)


def title(svg: bytes) -> str | None:
    return next(ElementTree.fromstring(svg).iter(DC_TITLE)).text


def line(svg: bytes, gid: str) -> list[tuple[float, float]]:
    """The points of a line in the picture; y grows upwards."""
    (group,) = (each for each in ElementTree.fromstring(svg).iter() if each.get("id") == gid)
    path = next(each for each in group.iter() if each.tag.endswith("path")).get("d")
    # An area is drawn by reference, from its own origin.
    uses = [each for each in group.iter() if each.tag.endswith("use")] if gid.startswith("band") else []
    origin = float(uses[0].get("y")) if uses else 0.0
    return [(float(x), -float(y) - origin) for x, y in re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path)]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_an_experiment_without_units_says_so_and_draws_no_line(subject: Subject) -> None:
    svg = draw(replace(series(), points=()), subject, "svg")

    assert LABELS["en"]["none"].encode() in svg
    assert b"#0072b2" not in svg
    assert b"#d55e00" not in svg


def test_what_an_experiment_does_not_have_is_refused_with_the_reason() -> None:
    alternating = replace(series(), design="switchback", points=())
    for subject in ("boundaries", "srm"):
        with pytest.raises(ValueError, match="a switchback splits no units and is read once"):
            draw(alternating, subject, "svg")
    with pytest.raises(ValueError, match="a bandit moves units"):
        draw(replace(series(), allocation="bandit"), "srm", "svg")


def test_few_units_are_said_and_have_no_band() -> None:
    svg = draw(series(looks=1, rate=0.0), "boundaries", "svg")
    few = replace(series(), points=tuple(_without_test(point) for point in series().points))

    assert svg.startswith(b"<?xml")
    assert LABELS["en"]["few"].encode() in draw(few, "boundaries", "svg")


def test_one_look_is_said_to_be_one() -> None:
    for language in ("en", "es"):
        once = LABELS[language]["once"].encode()
        assert once in draw(series(looks=1), "lift", "svg", language)
        assert once not in draw(series(), "lift", "svg", language)


def _without_test(point):
    return replace(point, variants={
        name: replace(standing, statistic=None, boundary=None, always_valid_interval=None)
        for name, standing in point.variants.items()
    })  # fmt: skip


def test_the_lines_of_the_lift_and_of_its_band_are_the_figures() -> None:
    found = series()
    svg = draw(found, "lift", "svg")

    drawn = line(svg, "lift-1")
    lifts = [point.variants["b"].relative for point in found.points]
    assert len(drawn) == len(lifts)
    xs = [x for x, _ in drawn]
    assert [later - earlier for earlier, later in pairwise(xs)] == pytest.approx([xs[1] - xs[0]] * 5)
    assert [y for _, y in drawn] == pytest.approx([drawn[0][1]] * 6)  # a lift of 50 % at each look
    tops = [y for _, y in line(svg, "band-1")]
    assert max(tops) > drawn[0][1] > min(tops)


def test_the_statistic_crosses_its_boundary_in_the_picture_where_it_does_in_the_figures() -> None:
    found = series()
    svg = draw(found, "boundaries", "svg")
    statistic, above = line(svg, "statistic-1"), line(svg, "boundary-1-above")

    crossed = [drawn[1] >= limit[1] for drawn, limit in zip(statistic, above, strict=True)]
    standings = [point.variants["b"] for point in found.points]
    assert crossed == [standing.statistic >= standing.boundary for standing in standings]
    assert crossed[-1]
    assert not crossed[0]
    assert len(line(svg, "boundary-1-below")) == len(above)


def test_the_split_lies_below_its_level_where_it_is_broken() -> None:
    broken = replace(series(), points=tuple(replace(point, srm_p=1e-30) for point in series().points))
    sound, alarming = draw(series(), "srm", "svg"), draw(broken, "srm", "svg")

    assert min(y for _, y in line(sound, "srm")) > line(sound, "srm-level")[0][1]
    assert max(y for _, y in line(alarming, "srm")) < line(alarming, "srm-level")[0][1]


def test_a_switchback_is_drawn_by_its_blocks() -> None:
    blocks = tuple(
        Block(block=number, start=START, variant=variant, posts=1, rate=rate)
        for number, rates in enumerate([(0.01, 0.02), (0.01, 0.04), (0.01, None)])
        for variant, rate in zip(("control", "b"), rates, strict=True)
    )
    found = Series(
        design="switchback", allocation="equal", control="control", alpha=0.05, names=("control", "b"), blocks=blocks
    )
    svg = draw(found, "lift", "svg")

    control, other = line(svg, "rate-0"), line(svg, "rate-1")
    assert title(svg) == LABELS["en"]["blocks"]
    assert (len(control), len(other)) == (3, 2)
    assert other[1][1] - control[1][1] == pytest.approx(3 * (other[0][1] - control[0][1]), rel=0.01)
    assert LABELS["es"]["no_posts"].encode() in draw(replace(found, blocks=()), "lift", "svg", "es")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_names_that_users_gave_are_text_whatever_they_hold(subject: Subject) -> None:
    svg = draw(series(HOSTILE), subject, "svg")

    tree = ElementTree.fromstring(svg)
    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert not tags & {"script", "image", "a", "foreignObject", "b"}
    assert all(value.startswith("#") for each in tree.iter() for name, value in each.attrib.items() if "href" in name)
    # Every variant stands in the legend, also one whose name starts as what matplotlib hides.
    assert draw(series(HOSTILE), subject, "png").startswith(b"\x89PNG")


def test_a_name_is_drawn_in_one_line_with_a_square_for_what_no_font_has() -> None:
    assert shown("\N{ROCKET} go") == f"{MISSING} go"
    assert shown("a\nb\u202ec") == "a bc"
    assert len(shown("x" * 120)) == LONGEST_NAME
    assert not shown("_x").startswith("_")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_png_has_its_size_and_both_are_the_same_bytes_at_each_call(subject: Subject) -> None:
    png = draw(series(), subject, "png", "es", ZoneInfo("Europe/Madrid"))

    assert struct.unpack(">II", png[16:24]) == (1350, 690)
    assert png == draw(series(), subject, "png", "es", ZoneInfo("Europe/Madrid"))
    assert draw(series(), subject, "svg") == draw(series(), subject, "svg")
    assert len(draw(series([f"v{number}" for number in range(20)]), subject, "svg")) < 400_000


def test_both_languages_have_the_same_labels() -> None:
    assert LABELS["en"].keys() == LABELS["es"].keys()
    assert title(draw(series(), "lift", "svg", "es")) == "Mejora respecto a control"
    assert "matplotlib.pyplot" not in sys.modules
