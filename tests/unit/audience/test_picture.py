"""The picture of the heat map: real PNG and SVG, in two languages, and nothing invented."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from defusedxml import ElementTree

from pipelines.audience.picture import LABELS, draw
from pipelines.audience.timing import BestTimes, best_times
from tests.simulations.timing import peak
from tests.unit.audience.test_timing import made_up

MADRID = ZoneInfo("Europe/Madrid")
DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"


@pytest.fixture(scope="module")
def found() -> BestTimes:
    return best_times(made_up(400, effect=peak(1.5)), MADRID, flips=99)


def title(svg: bytes) -> str | None:
    return next(ElementTree.fromstring(svg).iter(DC_TITLE)).text


def test_too_few_posts_are_said_and_no_cell_is_colored() -> None:
    few = BestTimes(supported=False, time_zone="Europe/Madrid", posts=7)

    svg = draw(few, "svg")

    assert title(svg) == LABELS["en"]["few"]
    assert b"#116b6b" not in svg


def test_a_map_without_evidence_says_so_in_its_title(found: BestTimes) -> None:
    none = replace(found, evidence=False, best=())

    english, spanish = draw(none, "svg"), draw(none, "svg", "es")

    assert (title(english), title(spanish)) == ("No evidence that time matters", "Nada indica que la hora importe")
    # Nothing is framed where there is no best time.
    assert b"#12303f" not in english


def test_the_svg_is_xml_without_scripts_or_links(found: BestTimes) -> None:
    svg = draw(found, "svg")
    tree = ElementTree.fromstring(svg)

    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert not tags & {"script", "image", "a", "foreignObject"}
    assert all(
        value.startswith("#") for element in tree.iter() for name, value in element.attrib.items() if "href" in name
    )
    assert title(svg) == "Best times to post"
    assert svg.count(b"#12303f") >= len(found.best) > 0


def test_the_png_has_its_size_and_the_same_bytes_at_each_call(found: BestTimes) -> None:
    png = draw(found, "png")

    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (1800, 750)
    assert png == draw(found, "png")


def test_both_languages_have_the_same_labels() -> None:
    assert LABELS["en"].keys() == LABELS["es"].keys()
    assert len(LABELS["es"]["days"]) == 7
    assert "matplotlib.pyplot" not in sys.modules
