"""The words of the studio: English stands in the templates, Spanish in locale/es/PAGE.po."""

from __future__ import annotations

import gettext
from datetime import date, datetime, tzinfo
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Literal, cast, get_args

from babel.core import Locale, negotiate_locale
from babel.dates import format_date, format_datetime, format_timedelta, get_timezone_location
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from starlette.requests import Request

Interface = Literal["en", "es"]
INTERFACES: tuple[Interface, ...] = get_args(Interface)
COOKIE = "murmuration_language"
DASH = "\N{EN DASH}"
FOLDER = Path(__file__).parent / "locale"


@cache
def translations(language: Interface) -> gettext.NullTranslations:
    """The words of a language, from all its files; English is what the templates say."""
    words = gettext.NullTranslations()
    for path in sorted((FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            compiled = BytesIO()
            write_mo(compiled, read_po(file, locale=language))
        compiled.seek(0)
        page = gettext.GNUTranslations(compiled)
        page.add_fallback(words)
        words = page
    return words


def language_of(request: Request) -> Interface:
    """What the user chose, else the first language that the browser asks for and that is there, else English."""
    chosen = request.cookies.get(COOKIE)
    if chosen in INTERFACES:
        return chosen
    accepted = [
        (float(weight.strip().removeprefix("q=") or 1) if _is_number(weight) else 1.0, name.strip())
        for name, _, weight in (part.partition(";") for part in request.headers.get("accept-language", "").split(","))
    ]
    wanted = [name.partition("-")[0] for _, name in sorted(accepted, key=lambda each: -each[0]) if name]
    return cast("Interface", negotiate_locale(wanted, INTERFACES) or "en")


def language_name(code: str, interface: Interface) -> str:
    """What a language is called in the user's language; a code that nobody knows stands for itself."""
    return str(Locale(interface).languages.get(code, code))


def _is_number(weight: str) -> bool:
    return weight.strip().removeprefix("q=").replace(".", "", 1).isdecimal()


class Formats:
    """Numbers and times as a language writes them; what is None is shown as a dash, never as 0."""

    def __init__(self, language: Interface, zone: tzinfo) -> None:
        self._language = language
        self._zone = zone

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with at most `digits` decimals."""
        return (
            DASH
            if value is None
            else format_decimal(round(value, digits), decimal_quantization=False, locale=self._language)
        )

    def signed(self, value: float | None, digits: int = 1) -> str:
        """A change, with its sign."""
        if value is None:
            return DASH
        rounded = round(value, digits)
        return ("+" if rounded > 0 else "") + format_decimal(rounded, locale=self._language)

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A share in [0, 1] as a percentage."""
        if share is None:
            return DASH
        pattern = "#,##0" + ("." + "0" * digits if digits else "") + ("\u00a0%" if self._language == "es" else "%")
        return format_percent(share, format=pattern, locale=self._language)

    def time(self, value: datetime | str | None, *, style: str = "medium") -> str:
        """A moment in the account's time zone; `style` is one of Babel's, or one of its patterns."""
        if value is None:
            return DASH
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if self._language == "es":
            style = style.replace("d MMMM", "d 'de' MMMM").replace("MMMM y", "MMMM 'de' y")
        return format_datetime(moment, style, tzinfo=self._zone, locale=self._language)

    def day(self, value: date | str | None) -> str:
        """A day of the calendar, which is the same in every time zone."""
        if value is None:
            return DASH
        return format_date(date.fromisoformat(value) if isinstance(value, str) else value, locale=self._language)

    def today(self) -> str:
        """The day that it is in the account's time zone."""
        return format_date(datetime.now(self._zone).date(), locale=self._language)

    def zone(self, name: str) -> str:
        """The city that a time zone of the IANA database is named after."""
        return get_timezone_location(name, locale=self._language, return_city=True)

    def ago(self, value: datetime | str | None, now: datetime) -> str:
        """How long ago a moment was."""
        if value is None:
            return DASH
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return format_timedelta(moment - now, add_direction=True, locale=self._language)
