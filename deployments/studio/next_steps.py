"""What comes after a good text: its place in the plan, and a test of two or more against each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from deployments.studio.drafting import length_limit
from deployments.studio.forms import read_form
from deployments.studio.languages import language_of, translations
from deployments.studio.pages import ask, page
from deployments.studio.said import plan_in_words
from deployments.studio.turns import waking_slots
from pipelines.text.tweets import weighted_length

EXACT = timedelta(minutes=30)
SPANS = {"then": EXACT, "day": timedelta(days=1), "week": timedelta(days=7)}
router = APIRouter(include_in_schema=False)


@router.post("/studio/write/plan")
async def put_into_plan(request: Request) -> Response:
    """Put a text into the plan: at a moment, or at the best one of the day or the week from then on."""
    form = await read_form(request)
    _ = translations(language_of(request)).gettext
    account = await ask(request, "GET", "/account")
    zone = ZoneInfo(account.body["time_zone"] if account.ok else "UTC")
    try:
        since = datetime.fromisoformat(form.text("at")).replace(tzinfo=zone)
    except ValueError:
        return await _planned(request, error=_("Say a day and a time."))
    span = form.text("span", "then")
    body: dict[str, Any] = {"posts": [{"text": form.text("text")}], "from": since}
    body |= {"to": since + SPANS.get(span, EXACT)} | ({"spacing_hours": 0} if span == "then" else {})
    answer = await ask(request, "POST", "/plan", body)
    if not answer.ok:
        if since + SPANS.get(span, EXACT) <= datetime.now(zone):
            return await _planned(request, error=_("This moment is over: choose one that is still to come."))
        said = answer.error("posts[0]") or answer.error("to") or answer.body["detail"]
        return await _planned(request, error=plan_in_words(said, language_of(request)))
    return await _planned(request, plan=answer.body, exact=span == "then")


async def _planned(request: Request, *, plan: Any = None, exact: bool = False, error: str | None = None) -> Response:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return await page(request, "write/planned.html", status=status, plan=plan, exact=exact, error=error)


@router.post("/studio/write/test")
async def start_test(request: Request) -> Response:
    """Start an A/B test of the texts that were picked; each pick is name, template and content, a line each."""
    form = await read_form(request)
    _ = translations(language_of(request)).gettext
    picks = [[*pick.split("\n", 2), "", ""][:3] for pick in form.all("pick")]
    name, channel, design = form.text("name"), form.text("channel", "owned"), form.text("design", "split")
    if len(picks) < 2:
        return await _tested(request, picks=_("Tick “Test this” on two or more texts first."))
    if not name:
        return await _tested(request, name=_("Give the test a name."))
    limit = await length_limit(request)
    if channel == "organic" and any(weighted_length(content) > limit for _name, _template, content in picks):
        return await _tested(
            request, picks=_("One of these texts is longer than X lets you post: untick it, or test it elsewhere.")
        )
    templates = await _template_ids(request) if any(template for _, template, _ in picks) else {}
    # The first variant is what the others are measured against.
    picks.sort(key=lambda pick: pick[2] != form.text("own"))
    names = [label for label, _template, _content in picks]
    variants = [
        {"name": _numbered(names, place), "content": content}
        | ({"template_id": templates[template]} if template in templates else {})
        for place, (_name, template, content) in enumerate(picks)
    ]
    body: dict[str, Any] = {"name": name, "channel": channel, "design": design, "variants": variants}
    if design == "switchback":
        account = await ask(request, "GET", "/account")
        zone = account.body["time_zone"] if account.ok else "UTC"
        body["slots"] = waking_slots(len(variants), zone, datetime.now(UTC))
    answer = await ask(request, "POST", "/ab-test/create", body)
    if answer.ok:
        return await page(request, "write/tested.html", experiment=answer.body, errors={})
    fields = ("name", "channel", "design", "variants")
    errors = {field: said for field in fields if (said := answer.error(field))}
    if "design" in errors and channel == "organic":
        errors["design"] = _(
            "Organic posts cannot be split: nobody can show one post to half of the followers. "
            "Let the texts take turns instead: choose “take turns over time”."
        )
    return await _tested(request, **(errors or {"picks": answer.body["detail"]}))


def _numbered(names: list[str], place: int) -> str:
    """A name of its own for each: the second of a name is its 2."""
    before = names[:place].count(names[place])
    return f"{names[place]} {before + 1}" if before else names[place]


async def _tested(request: Request, **errors: str) -> Response:
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return await page(request, "write/tested.html", status=status, experiment=None, errors=errors)


async def _template_ids(request: Request) -> dict[str, int]:
    """The ids of the account's templates by name, so that a template learns how its text did."""
    found: dict[str, int] = {}
    cursor = None
    while True:
        answer = await ask(request, "GET", "/templates", parameters={"limit": "200", "cursor": cursor})
        if not answer.ok:
            return found
        found |= {template["name"]: template["id"] for template in answer.body["templates"]}
        if (cursor := answer.body["next_cursor"]) is None:
            return found
