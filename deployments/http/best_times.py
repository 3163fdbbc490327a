"""The routes of the best times: the heat map of an account's week as JSON, PNG or SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

from annotated_types import MaxLen, MinLen
from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, ConfigDict, TypeAdapter

from deployments.http.bodies import PROBLEMS
from deployments.http.calls import account_of, as_json, describe_parameters, front_of, read_parameters, stored
from deployments.timing import Timing
from pipelines.audience.timing import BestTimes, note, time_zone
from pipelines.records import Language
from store.postgres import Store

PICTURES = {"image/png": "png", "image/svg+xml": "svg"}
VARY = {"Vary": "Accept, Accept-Language"}
Choice = TypeVar("Choice", bound=str)


def _known_zone(name: str) -> str:
    return time_zone(name).key


TimeZone = Annotated[str, MinLen(1), MaxLen(64), AfterValidator(_known_zone)]


@dataclass(frozen=True, kw_only=True)
class BestTimesParameters:
    """The IANA time zone of the map and the language of its words, else those of the account and of the caller."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    tz: TimeZone | None = None
    language: Language | None = None


@dataclass(frozen=True, kw_only=True)
class BestTimesResponse(BestTimes):
    """The heat map of an account's week; `note` says in a sentence what it shows, or why there is none."""

    note: str


PARAMETERS = TypeAdapter(BestTimesParameters)
DESCRIBED = describe_parameters(PARAMETERS)
PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}, "image/svg+xml": {}}}}
router = APIRouter(responses=PROBLEMS)


@router.get("/audience/best-times", response_model=BestTimesResponse, openapi_extra=DESCRIBED)
async def best_times(request: Request) -> Response:
    """Tell when the account's posts do well, by its own outcomes; PNG or SVG where `Accept` prefers them."""
    preferred = prefer(request.headers.get("accept", ""), ("application/json", *PICTURES))
    if preferred in PICTURES:
        return await _picture(request, preferred)
    wanted = read_parameters(PARAMETERS, request)
    zone = await zone_of(request, wanted.tz)
    found = await stored(timing_of(request).best_times(store_of(request), account_of(request), zone))
    return as_json(asdict(found) | {"note": note(found, wanted.language or language_of(request))}, headers=VARY)


@router.get("/audience/best-times.png", response_class=Response, responses=PICTURE, openapi_extra=DESCRIBED)
async def best_times_png(request: Request) -> Response:
    """The heat map as PNG."""
    return await _picture(request, "image/png")


@router.get("/audience/best-times.svg", response_class=Response, responses=PICTURE, openapi_extra=DESCRIBED)
async def best_times_svg(request: Request) -> Response:
    """The heat map as SVG."""
    return await _picture(request, "image/svg+xml")


async def _picture(request: Request, media_type: str) -> Response:
    wanted = read_parameters(PARAMETERS, request)
    zone, language = await zone_of(request, wanted.tz), wanted.language or language_of(request)
    drawn = await stored(
        timing_of(request).picture(store_of(request), account_of(request), zone, PICTURES[media_type], language)
    )
    return Response(drawn, headers=VARY, media_type=media_type)


async def zone_of(request: Request, name: str | None) -> ZoneInfo:
    """The zone that was asked for, or the account's own; UTC where that is unknown to this server."""
    if name is None:
        name = (await stored(store_of(request).accounts.settings(account_of(request)))).time_zone
    try:
        return time_zone(name)
    except ValueError:
        return time_zone("UTC")


def timing_of(request: Request) -> Timing:
    """The heat maps that this replica keeps."""
    timing: Timing = request.app.state.timing
    return timing


def store_of(request: Request) -> Store:
    """The store of this replica."""
    return front_of(request).answers.store


def language_of(request: Request) -> Language:
    """English or Spanish, as the caller prefers; English for all others."""
    offered: tuple[Language, ...] = ("en", "es")
    return prefer(request.headers.get("accept-language", ""), offered)


def prefer(header: str, offered: Sequence[Choice]) -> Choice:
    """Return what a header such as Accept prefers of `offered`, the first of them where it says nothing of any.

    The most specific entry counts (RFC 9110, section 12.5): `en-GB` tells of `en`, `image/*` of `image/png`.
    """
    weights: dict[str, float] = {}
    for entry in header[:1000].lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        told = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        weights.setdefault(name, float(told) if told.replace(".", "", 1).isdecimal() else 0.0)
        weights.setdefault(name.partition("-")[0], weights[name])

    def weight(one: Choice) -> float:
        names = (one, f"{one.partition('/')[0]}/*", "*/*", "*")
        return next((weights[name] for name in names if name in weights), 0.0)

    return max(offered, key=weight)
