"""The routes under /links: tags on links, and the visits that Google Analytics counted by them."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar
from uuid import UUID

import uuid_utils.compat
from annotated_types import MaxLen, MinLen
from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, ConfigDict

from deployments.http.bodies import PROBLEMS, JsonBody
from deployments.http.calls import account_of, as_json, front_of, refused, stored
from deployments.http.problems import Problem, refuse_compressed
from pipelines.outcomes.ga4 import MAX_CONTENT_CHARACTERS, NotAnExport, Rejected, read_ga4, without_overlap
from pipelines.outcomes.links import Tagged, tag_links
from pipelines.records import STRICT, ShortText, Text, clean_up_to
from store.links import LinkTable, Origin, Span
from store.outcomes import Import

MAX_REJECTED = 100
CSV = "text/csv"
Content = Annotated[str, MinLen(1), MaxLen(MAX_CONTENT_CHARACTERS), AfterValidator(clean_up_to(MAX_CONTENT_CHARACTERS))]
router = APIRouter(responses=PROBLEMS)


@dataclass(frozen=True, kw_only=True)
class LinksToTag:
    """A text whose links get utm_source=x, utm_medium=social, utm_campaign and utm_content.

    As `content` use a candidate's `id`, or `experiment id:variant`: then the visits name what brought them.
    `replace` takes the place of utm tags that a link has already.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    text: Text
    campaign: ShortText
    content: Content
    replace: bool = False


@dataclass(frozen=True, kw_only=True)
class Ga4Report:
    """What a file brought: `rows` of it, of which `untagged` had no content.

    `imported`, `updated` and `unchanged` count contents by span; of the `rejected` rows the first 100 are named.
    """

    import_id: UUID
    rows: int
    imported: int
    updated: int
    unchanged: int
    untagged: int
    n_rejected: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over spans that do not overlap; null where one of them does not know."""

    first_day: date
    last_day: date
    sessions: int
    engaged_sessions: int | None
    key_events: float | None
    revenue: float | None


@dataclass(frozen=True, kw_only=True)
class LinkPerformance:
    """What a content brought; `origin` is the candidate or variant it names, null where it names neither.

    `left_out` spans overlap others that cover more days, and are in no total.
    """

    utm_content: str
    origin: Origin | None
    totals: Totals
    left_out: int
    spans: tuple[Span, ...]


EXAMPLE_LINKS = {
    "text": "Our new running shoes are here: https://example.com/shoes?size=42",
    "campaign": "launch",
    "content": "0190f2b6-6f3f-7000-8000-000000000000:bold",
}
TAG_BODY = JsonBody(LinksToTag, EXAMPLE_LINKS)
BODIES = (TAG_BODY,)
GA4_BODY = {
    "requestBody": {"required": True, "content": {CSV: {"schema": {"type": "string", "contentMediaType": CSV}}}},
}
ContentName = Annotated[str, Path(description="A utm_content.")]


@router.post("/links/tag", response_model=Tagged, openapi_extra=TAG_BODY.openapi)
async def tag(request: Request) -> Response:
    """Tag the links of a text; nothing is stored, and its length as X counts stays."""
    body = await TAG_BODY.read(request)
    tagged = await asyncio.to_thread(
        tag_links, body.text, campaign=body.campaign, content=body.content, replace=body.replace
    )
    return as_json(tagged)


@router.post("/links/import-ga4", response_model=Ga4Report, openapi_extra=GA4_BODY)
async def import_ga4(request: Request) -> Response:
    """Store visits by utm_content from a CSV export of Google Analytics 4; told again they change nothing."""
    refuse_compressed(request)
    # Not a form: a page elsewhere could send one to this server without asking first (CORS).
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CSV:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send the file itself as {CSV}.")
    content = await request.body()
    try:
        export = await asyncio.to_thread(read_ga4, content)
    except NotAnExport as error:
        raise refused("body", str(error)) from error
    told = Import(
        id=uuid_utils.compat.uuid7(),
        account_id=account_of(request),
        source="ga4",
        captured_at=datetime.now(UTC),
        file_hash=await asyncio.to_thread(lambda: hashlib.sha256(content).digest()),
    )
    merged = await stored(_table(request).save(told, export.visits, rejected=len(export.rejected)))
    return as_json(
        Ga4Report(
            import_id=told.id,
            rows=export.rows,
            imported=merged.imported,
            updated=merged.updated,
            unchanged=merged.unchanged,
            untagged=export.untagged,
            n_rejected=len(export.rejected),
            rejected=export.rejected[:MAX_REJECTED],
        )
    )


@router.get("/links/{content}/performance", response_model=LinkPerformance)
async def link_performance(request: Request, content: ContentName) -> Response:
    """Tell how many visits a content brought."""
    account, table = account_of(request), _table(request)
    spans = await stored(table.spans(account, content)) if _can_be_stored(content) else ()
    if not spans:
        raise Problem(HTTPStatus.NOT_FOUND, "No visits are known of this content.")
    chosen = without_overlap(spans)
    return as_json(
        LinkPerformance(
            utm_content=content,
            origin=await stored(table.origin(account, content)),
            totals=_totals(chosen),
            left_out=len(spans) - len(chosen),
            spans=spans,
        )
    )


def _totals(spans: tuple[Span, ...]) -> Totals:
    def total(name: str) -> Any:
        counts = [getattr(span, name) for span in spans]
        return None if None in counts else sum(counts)

    return Totals(
        first_day=spans[0].first_day,
        last_day=spans[-1].last_day,
        sessions=total("sessions"),
        engaged_sessions=total("engaged_sessions"),
        key_events=total("key_events"),
        revenue=total("revenue"),
    )


def _can_be_stored(content: str) -> bool:
    return 0 < len(content) <= MAX_CONTENT_CHARACTERS and "\0" not in content


def _table(request: Request) -> LinkTable:
    return front_of(request).answers.store.links
