"""What a form of a page sent: texts as they were typed, and numbers and moments for the API where they are some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from fastapi import Request

MAX_FIELDS = 1_000


@dataclass(frozen=True)
class Form:
    """The fields of a form, each with all its values; `posted` where a browser sent it."""

    fields: Mapping[str, list[str]]
    posted: bool = False

    def text(self, name: str, default: str = "") -> str:
        """The first value of a field without the space around it."""
        return next(iter(self.all(name)), default)

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order; browsers send line ends as CRLF."""
        return [value.replace("\r\n", "\n").strip() for value in self.fields.get(name, ())]

    def number(self, name: str, *, scale: float = 1.0) -> float | int | str:
        """The field as a number, a decimal comma too; as it is where it is none, for the API to refuse by name."""
        text = self.text(name).replace(",", ".")
        try:
            number = float(text)
        except ValueError:
            return self.text(name)
        if scale == 1.0:
            return int(number) if number.is_integer() and "." not in text else number
        # 12.3 * .01 is not .123.
        return round(number * scale, 12)

    def moment(self, name: str, zone: str) -> str:
        """A local date and time as the API takes it; as it is where it is none."""
        try:
            return datetime.fromisoformat(self.text(name)).replace(tzinfo=ZoneInfo(zone)).isoformat()
        except ValueError:
            return self.text(name)


async def read_form(request: Request) -> Form:
    """Read a form that a browser sent."""
    body = (await request.body()).decode(errors="replace")
    try:
        return Form(parse_qs(body, keep_blank_values=True, max_num_fields=MAX_FIELDS), posted=True)
    except ValueError:
        return Form({}, posted=True)
