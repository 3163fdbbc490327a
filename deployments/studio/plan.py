"""Plan: which post goes out when, a week at a time, and the files for the tools that post."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from deployments.studio.forms import read_form
from deployments.studio.languages import Interface, language_of, translations
from deployments.studio.pages import Answered, ask, page
from deployments.studio.said import plan_in_words
from pipelines.audience.bulk import MAX_ROWS, TOOLS
from pipelines.audience.plan import SLOT_MINUTES, limits

DAYS = 7
# A moment that is on its day in every zone that shows it.
NOON = time(12)
# How far behind a moment a slot is looked for that is then moved to it.
ELSEWHERE = timedelta(days=30)
# Between the posts of one text field.
CUT = "---"
USUAL = {"text": "", "when": "choose", "at": "", "from": "", "to": "", "spacing_hours": "4", "quiet_from": "22:00"}
USUAL |= {"quiet_to": "08:00", "weekdays_only": "", "week": ""}
router = APIRouter(include_in_schema=False)


@dataclass
class Planned:
    """What became of a form: slots, posts without one, or errors by field."""

    slots: list[dict[str, Any]] = field(default_factory=list)
    unplaced: list[dict[str, Any]] = field(default_factory=list)
    evidence: bool = False
    errors: dict[str, str] = field(default_factory=dict)


@router.get("/studio/plan")
async def plan_page(request: Request) -> Response:
    """The week, and the place to add to it."""
    week = await _week(request)
    return await page(request, "plan.html", form=USUAL, planned=None, x_limits=limits(), **week)


@router.get("/studio/plan/week")
async def week_part(request: Request) -> Response:
    """The slots of a week."""
    return await page(request, "plan/week.html", **await _week(request))


@router.post("/studio/plan")
async def add_posts(request: Request) -> Response:
    """Find slots for the posts of the form."""
    form = USUAL | {"quiet_from": "", "quiet_to": ""} | await _form(request)
    zone = await _zone(request)
    planned = await (_at(request, form, zone) if form["when"] == "at" else _anywhere(request, form, zone))
    well = not planned.errors
    answer = await page(
        request,
        "plan/form.html",
        status=HTTPStatus.OK if well else HTTPStatus.UNPROCESSABLE_ENTITY,
        form=form | ({"text": _left(form["text"], planned), "at": ""} if well else {}),
        planned=planned,
        zone=zone.key,
    )
    answer.headers["hx-trigger"] = "planned"
    return answer


@router.get("/studio/plan/slots/{slot_id}")
async def slot_part(request: Request, slot_id: str) -> Response:
    """The place to change a post of the plan."""
    zone = await _zone(request)
    slot = await _slot(request, slot_id)
    status = HTTPStatus.OK if slot else HTTPStatus.NOT_FOUND
    return await page(
        request, "plan/slot.html", status=status, slot=slot, form=None, errors={}, saved=False, zone=zone.key
    )


@router.put("/studio/plan/slots/{slot_id}")
async def change_slot(request: Request, slot_id: str) -> Response:
    """Give a post another moment or another text."""
    form, zone, slot = await _form(request), await _zone(request), await _slot(request, slot_id)
    at = _moment(form.get("at", ""), zone)
    text = form.get("text", "")
    changes: dict[str, Any] = {}
    # What stays as it is is not sent: a moment that is told anew loses what the map said of it.
    if slot and at and at != datetime.fromisoformat(slot["at"]):
        changes["at"] = at.isoformat()
    if slot and text != slot["text"]:
        changes["text"] = text
    errors: dict[str, str] = {}
    if slot and changes:
        answer = await ask(request, "PUT", f"/plan/{slot['id']}", changes)
        errors = _errors(answer, language_of(request))
        slot = answer.body if answer.ok else slot
    status = HTTPStatus.UNPROCESSABLE_ENTITY if errors or not slot else HTTPStatus.OK
    shown = {"slot": slot, "form": form if errors else None, "errors": errors, "saved": not errors, "zone": zone.key}
    answered = await page(request, "plan/slot.html", status=status, **shown)
    answered.headers["hx-trigger"] = "planned"
    return answered


@router.delete("/studio/plan/slots/{slot_id}")
async def delete_slot(request: Request, slot_id: str) -> Response:
    """Take a post out of the plan."""
    await ask(request, "DELETE", f"/plan/{slot_id}")
    answer = await page(request, "plan/removed.html")
    answer.headers["hx-trigger"] = "planned"
    return answer


async def _anywhere(request: Request, form: dict[str, str], zone: ZoneInfo) -> Planned:
    """Let the plan choose within what the form allows."""
    rules: dict[str, Any] = {"never": [{"weekdays": [6, 7]}]} if form["weekdays_only"] else {}
    if form["quiet_from"] and form["quiet_to"]:
        rules["quiet"] = [{"from": form["quiet_from"], "to": form["quiet_to"]}]
    for name, later in (("from", 0), ("to", 1)):
        if day := _day(form[name]):
            # The last day is meant whole.
            rules[name] = datetime.combine(day + timedelta(days=later), time(), zone).isoformat()
    posts = [{"text": text} for text in _texts(form["text"])]
    spacing = float(form["spacing_hours"]) if form["spacing_hours"].replace(".", "", 1).isdecimal() else 4.0
    body = {"posts": posts, "tz": zone.key, "spacing_hours": spacing} | rules
    return _read(await ask(request, "POST", "/plan", body), language_of(request))


async def _at(request: Request, form: dict[str, str], zone: ZoneInfo) -> Planned:
    """Plan one post at the moment that the form names: into a free slot, which is then moved to it."""
    language = language_of(request)
    _ = translations(language).gettext
    texts, at = _texts(form["text"]), _moment(form["at"], zone)
    over = plan_in_words("must lie in the future", language)
    if len(texts) > 1 or at is None or at <= datetime.now(UTC):
        several = _("Only one post at a time can have a moment of its own.")
        return Planned(errors={"at": several if len(texts) > 1 else over if at else _("Choose a day and a time.")})
    near = timedelta(minutes=SLOT_MINUTES)
    body = {"posts": [{"text": text} for text in texts], "tz": zone.key, "spacing_hours": 0}
    # Slots are half-hours: between two posts of other minutes none may be free though the moment itself is.
    for since, until in ((at - near, at + near), (at, at + ELSEWHERE)):
        span = {"from": since.isoformat(), "to": until.isoformat()}
        planned = _read(await ask(request, "POST", "/plan", body | span), language)
        if not planned.unplaced:
            break
    if planned.unplaced:
        message = f"another post is planned less than {SLOT_MINUTES} minutes from it"
        return Planned(errors={"at": plan_in_words(message, language)})
    if not planned.slots or datetime.fromisoformat(planned.slots[0]["at"]) == at:
        return planned
    (slot,) = planned.slots
    moved = await ask(request, "PUT", f"/plan/{slot['id']}", {"at": at.isoformat()})
    if not moved.ok:
        await ask(request, "DELETE", f"/plan/{slot['id']}")
        return Planned(errors=_errors(moved, language))
    return Planned(slots=[moved.body])


def _read(answer: Answered, language: Interface) -> Planned:
    if not answer.ok:
        return Planned(errors=_errors(answer, language))
    body = answer.body
    return Planned(slots=body["slots"], unplaced=body["unplaced"], evidence=body["evidence"])


def _errors(answer: Answered, language: Interface) -> dict[str, str]:
    """What was refused, by the field of the form; what belongs to none of them is `form`."""
    if answer.ok:
        return {}
    told: dict[str, str] = {}
    for one in answer.body.get("errors", ()):
        name = one["field"].rpartition(".")[2] or one["field"]
        name = "text" if one["field"].startswith("posts") else {"quiet": "quiet_to"}.get(one["field"][:5], name)
        told.setdefault(name if name in USUAL else "form", plan_in_words(one["message"], language))
    return told or {"form": plan_in_words(str(answer.body["detail"]), language)}


def _left(text: str, planned: Planned) -> str:
    """The texts that got no slot, so that they can be tried again."""
    texts = _texts(text)
    return f"\n{CUT}\n".join(texts[one["index"]] for one in planned.unplaced)


async def _week(request: Request) -> dict[str, Any]:
    zone, now = await _zone(request), datetime.now(UTC)
    asked = _day(request.query_params.get("week", "")) or now.astimezone(zone).date()
    monday = asked - timedelta(days=asked.weekday())
    start, end = (datetime.combine(monday + timedelta(days=days), time(), zone) for days in (0, DAYS))
    answer = await ask(request, "GET", "/plan", parameters={"from": start.isoformat(), "to": end.isoformat()})
    coming = await ask(request, "GET", "/plan")
    slots = answer.body["slots"] if answer.ok else []
    later = coming.body["slots"] if coming.ok else []
    days = [monday + timedelta(days=days) for days in range(DAYS)]
    by_day = [
        (day, datetime.combine(day, NOON, zone), [slot for slot in slots if _local(slot, zone).date() == day])
        for day in days
    ]
    return {
        "answered": answer.ok,
        "days": by_day,
        "today": now.astimezone(zone).date(),
        "now": now.isoformat(),
        "monday": monday,
        "before": monday - timedelta(days=DAYS),
        "after": monday + timedelta(days=DAYS),
        "zone": zone.key,
        "n_coming": len(later),
        "next_at": later[0]["at"] if later else None,
        "next_day": _local(later[0], zone).date() if later else None,
        "too_many": {tool: MAX_ROWS[tool] for tool in TOOLS if len(later) > MAX_ROWS[tool]},
        "tools": TOOLS,
    }


async def _slot(request: Request, slot_id: str) -> dict[str, Any] | None:
    """A post that is still to come; the API lists them all, which are 2,000 at most."""
    answer = await ask(request, "GET", "/plan")
    return next((slot for slot in answer.body["slots"] if slot["id"] == slot_id), None) if answer.ok else None


async def _zone(request: Request) -> ZoneInfo:
    settings = await ask(request, "GET", "/account")
    try:
        return ZoneInfo(settings.body["time_zone"] if settings.ok else "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


async def _form(request: Request) -> dict[str, str]:
    form = await read_form(request)
    return {name: form.text(name) for name in form.fields if name in USUAL}


def _texts(text: str) -> list[str]:
    """The posts of one field, parted by lines of three hyphens; a blank one stays where it is the only one."""
    parts: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip() == CUT:
            parts.append([])
        else:
            parts[-1].append(line)
    texts = ["\n".join(part).strip() for part in parts]
    return [one for one in texts if one] or [""]


def _day(value: str) -> date | None:
    try:
        found = date.fromisoformat(value)
    except ValueError:
        return None
    # Weeks before and after are days too, and the API knows these years alone.
    return found if 2006 < found.year < 2099 else None


def _moment(value: str, zone: ZoneInfo) -> datetime | None:
    """What a clock in the zone shows, as a form has it."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.replace(tzinfo=zone).astimezone(UTC) if 2006 < found.year < 2099 else None


def _local(slot: dict[str, Any], zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(slot["at"]).astimezone(zone)
