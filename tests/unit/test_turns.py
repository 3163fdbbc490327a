"""Turns lie within hours of a zone's day, whatever UTC makes of them."""

from datetime import UTC, datetime

import pytest

from deployments.studio.turns import hour_in_zone, hours_in_utc, turn_minutes, waking_slots

WINTER = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "hours", "expected"),
    [
        ("UTC", (8, 22), (8, 22)),
        ("Europe/Madrid", (8, 22), (7, 21)),
        ("Asia/Tokyo", (8, 22), (0, 13)),
        ("America/Los_Angeles", (8, 22), (16, 24)),
        ("Pacific/Auckland", (8, 22), (0, 9)),
        # Half an hour is no whole hour: within, never outside.
        ("Asia/Kolkata", (8, 22), (3, 16)),
        ("Asia/Tokyo", (0, 24), (0, 24)),
    ],
)
def test_hours_of_a_zone_are_hours_of_a_utc_day(zone: str, hours: tuple[int, int], expected: tuple[int, int]) -> None:
    assert hours_in_utc(hours, zone, WINTER) == expected
    assert hour_in_zone(expected[0], zone, WINTER) <= hour_in_zone(expected[1], zone, WINTER) or hours == (0, 24)


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Auckland", "America/Anchorage"])
@pytest.mark.parametrize("n_variants", [2, 3, 5])
def test_a_turn_of_every_variant_fits_into_the_waking_hours(zone: str, n_variants: int) -> None:
    slots = waking_slots(n_variants, zone, WINTER)
    assert n_variants * slots["slot_minutes"] + (n_variants - 1) * 30 <= (slots["to_hour"] - slots["from_hour"]) * 60
    assert slots["slot_minutes"] == turn_minutes(n_variants, (slots["from_hour"], slots["to_hour"]))
