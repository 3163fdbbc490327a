"""When the variants of a switchback take turns: in hours of the account's day, which the API takes in UTC."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

# Hours of the day at which a person posts.
WAKING = (8, 22)
BLOCKS = 20
TURN_MINUTES = 180
WASHOUT_MINUTES = 30
SHORTEST_MINUTES = 10
DAY = 24


def hours_in_utc(hours: tuple[int, int], zone: str, moment: datetime) -> tuple[int, int]:
    """Return the whole hours of a UTC day (from, to; 0 to 24) that lie within `hours` of the zone's day at `moment`.

    Hours that run over midnight of UTC are cut there, and the longer part is returned: a block lies within one day.
    """
    if hours[1] - hours[0] >= DAY:
        return 0, DAY
    offset = (moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()) / timedelta(hours=1)
    first, last = math.ceil(hours[0] - offset), math.floor(hours[1] - offset)
    parts = [(max(first + day, 0), min(last + day, DAY)) for day in (-DAY, 0, DAY)]
    return max(parts, key=lambda part: part[1] - part[0])


def hour_in_zone(hour: int, zone: str, moment: datetime) -> str:
    """Return an hour of a UTC day (0 to 24) as the zone's clock has it, such as 08:00 or 08:30."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"{(midnight + timedelta(hours=hour)).astimezone(ZoneInfo(zone)):%H:%M}"


def turn_minutes(n_variants: int, hours: tuple[int, int]) -> int:
    """Return the minutes of a turn: three hours, or what lets a turn of every variant fit into the hours of a day."""
    room = (hours[1] - hours[0]) * 60 - (n_variants - 1) * WASHOUT_MINUTES
    return max(SHORTEST_MINUTES, min(TURN_MINUTES, room // n_variants))


def waking_slots(n_variants: int, zone: str, moment: datetime) -> dict[str, int]:
    """Return the `slots` of a switchback whose turns lie in the waking hours of a zone."""
    low, high = hours_in_utc(WAKING, zone, moment)
    return {"from_hour": low, "to_hour": high, "slot_minutes": turn_minutes(n_variants, (low, high))}
