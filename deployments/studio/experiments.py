"""The pages of experiments: the list, a new one, and one with what it shows so far, which updates itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Request, Response

from deployments.http.gate import Gate
from deployments.studio.forms import Form, read_form
from deployments.studio.languages import language_of, translations
from deployments.studio.pages import Answered, ask, page
from deployments.studio.turns import (
    BLOCKS,
    TURN_MINUTES,
    WAKING,
    WASHOUT_MINUTES,
    hour_in_zone,
    hours_in_utc,
    turn_minutes,
)
from pipelines.experiments.assignment import assign

PAGE = 20
CHANGES = frozenset({"start", "stop", "conclude", "reallocate"})
# Fields of a plan that a form gives as percentages, and those that are numbers as they are.
PERCENTS = ("baseline_rate", "mde", "power")
NUMBERS = ("alpha", "units_per_day", "design_effect", "floor")
SLOT_NUMBERS = ("blocks", "slot_minutes", "washout_minutes")
# Whoever runs the example as it is sees in the results that it is one.
EXAMPLE_UNIT = "EXAMPLE-PERSON"
POST_ADDRESS = re.compile(r"(?:https?://)?(?:[\w-]+\.)*(?:x|twitter)\.com/.*?/status(?:es)?/(\d+)", re.IGNORECASE)
MAX_VARIANTS = 20
router = APIRouter(include_in_schema=False)


@router.get("/studio/experiments")
async def experiments_page(request: Request) -> Response:
    """All experiments, the newest first."""
    wanted = {"state": request.query_params.get("state"), "cursor": request.query_params.get("cursor"), "limit": PAGE}
    found = await ask(request, "GET", "/ab-test", parameters=wanted)
    if not found.ok:
        return await _refusal(request, found)
    return await page(
        request,
        "experiments.html",
        experiments=found.body["experiments"],
        cursor=found.body["next_cursor"],
        state=wanted["state"],
        first=not wanted["cursor"],
    )


@router.get("/studio/experiments/new")
async def new_experiment_page(request: Request) -> Response:
    """The form of a new experiment; `name`, `where`, and `variant`, `content` and `template_id` of each, may be given.

    `like` is an experiment whose name and variants it starts with.
    """
    given = request.query_params
    columns = {name: given.getlist(name) for name in ("variant", "content", "template_id", "name", "where")}
    if given.get("like"):
        like = await ask(request, "GET", _path(given["like"]))
        if not like.ok:
            return await _refusal(request, like)
        variants = like.body["variants"]
        columns |= {"name": [like.body["name"]], "variant": [one["name"] for one in variants]}
        columns |= {name: [str(one[name] or "") for one in variants] for name in ("content", "template_id")}
    form = Form(columns)
    return await page(request, "experiments/new.html", **_form_context(request, form, None))


@router.post("/studio/experiments/form")
async def change_form(request: Request) -> Response:
    """The form as it is filled in, with a variant more or one less."""
    form = await read_form(request)
    return await page(request, "experiments/form.html", **_form_context(request, form, None))


@router.post("/studio/experiments/size")
async def size(request: Request) -> Response:
    """How many people the plan of the form needs."""
    form = await read_form(request)
    zone = await _zone(request)
    new = _new(form, zone) | {"name": form.text("name") or "-"}
    found = await ask(request, "POST", "/ab-test/size", new)
    turns = _turns(new, zone) if found.ok and new["channel"] == "organic" else None
    return await page(request, "experiments/size.html", size=found, turns=turns)


@router.post("/studio/experiments")
async def create(request: Request) -> Response:
    """Create the experiment of the form, or the form again with what is wrong."""
    form = await read_form(request)
    created = await ask(request, "POST", "/ab-test/create", _new(form, await _zone(request)))
    if created.ok:
        return Response(
            status_code=HTTPStatus.NO_CONTENT, headers={"hx-redirect": f"/studio/experiments/{created.body['id']}"}
        )
    context = _form_context(request, form, created)
    return await page(request, "experiments/form.html", status=HTTPStatus.UNPROCESSABLE_ENTITY, **context)


@router.get("/studio/experiments/{experiment_id}")
async def experiment_page(request: Request, experiment_id: str) -> Response:
    """One experiment."""
    shown = await _shown(request, experiment_id)
    if isinstance(shown, Answered):
        return await _refusal(request, shown)
    gate: Gate = request.scope["gate"]
    return await page(
        request,
        "experiments/one.html",
        example=await _example(request, shown["one"]),
        address=str(request.base_url).rstrip("/"),
        with_key=not gate.open_to_all(),
        post=Form({}),
        told=None,
        **shown,
    )


@router.get("/studio/experiments/{experiment_id}/row")
async def experiment_row(request: Request, experiment_id: str) -> Response:
    """Its row of the list, with what it shows so far."""
    shown = await _shown(request, experiment_id)
    if isinstance(shown, Answered):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return await page(request, "experiments/row.html", one=shown["one"], results=shown["results"])


@router.get("/studio/experiments/{experiment_id}/now")
async def experiment_now(request: Request, experiment_id: str) -> Response:
    """The part of the page that changes; nothing where it is still what was `seen`."""
    shown = await _shown(request, experiment_id)
    if isinstance(shown, Answered):
        return await _refusal(request, shown)
    if shown["tag"] == request.query_params.get("seen"):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return await page(request, "experiments/now.html", **shown)


@router.post("/studio/experiments/{experiment_id}/posts")
async def tell_post(request: Request, experiment_id: str) -> Response:
    """Store one post of a switchback with its counts."""
    form = await read_form(request)
    counts = {name: form.number(name) for name in ("impressions", "likes", "retweets") if form.text(name)}
    posted_at = form.moment("posted_at", await _zone(request))
    told = {"post_id": _post_number(form.text("post_id")), "posted_at": posted_at} | counts
    answer = await ask(request, "POST", f"{_path(experiment_id)}/posts", {"posts": [told]})
    one = await ask(request, "GET", _path(experiment_id))
    if not one.ok:
        return await _refusal(request, one)
    said = _of_items(answer)
    return await page(
        request,
        "experiments/posts.html",
        status=HTTPStatus.OK if said.ok else HTTPStatus.UNPROCESSABLE_ENTITY,
        one=one.body,
        post=Form({}) if said.ok else form,
        told=said,
    )


@router.post("/studio/experiments/{experiment_id}/{change}")
async def change_experiment(request: Request, experiment_id: str, change: str) -> Response:
    """Start, stop, conclude or reallocate, at the version that the page showed; then how it stands."""
    if change not in CHANGES:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    form = await read_form(request)
    changed = await ask(request, "POST", f"{_path(experiment_id)}/{change}", {"version": form.number("version")})
    shown = await _shown(request, experiment_id)
    if isinstance(shown, Answered):
        return await _refusal(request, shown)
    return await page(request, "experiments/now.html", **shown | {"changed": changed, "change": change})


async def _shown(request: Request, experiment_id: str) -> dict[str, Any] | Answered:
    """An experiment with its results for the template, or why there are none."""
    one = await ask(request, "GET", _path(experiment_id))
    if not one.ok:
        return one
    results = await ask(request, "GET", f"{_path(experiment_id)}/results")
    if not results.ok:
        return results
    tag = hashlib.sha256(orjson.dumps([one.body["version"], results.body])).hexdigest()[:16]
    return {
        "one": one.body,
        "results": results.body,
        "tag": tag,
        "warnings": [_warning(request, text) for text in results.body["warnings"]],
        "changed": None,
        "change": None,
    }


async def _example(request: Request, one: Mapping[str, Any]) -> dict[str, Any] | None:
    """Events of an example unit with the variant that it is given; None of a switchback, which knows no units."""
    if one["plan"]["design"] == "switchback":
        return None
    given = await ask(request, "GET", f"{_path(one['id'])}/assign", parameters={"unit": EXAMPLE_UNIT})
    shares = [variant["weight"] for variant in one["variants"]]
    # Before the start nobody is given one yet: this is the one that it will be.
    variant = given.body["variant"] if given.ok else one["variants"][assign(one["id"], EXAMPLE_UNIT, shares)]["name"]
    told = [
        {"event_id": f"EXAMPLE-{number}", "unit": EXAMPLE_UNIT, "variant": variant, "type": kind}
        for number, kind in enumerate(("impression", "engagement"), 1)
    ]
    return {"unit": EXAMPLE_UNIT, "variant": variant, "body": {"events": told}}


def _post_number(text: str) -> str:
    """The id of a post from its address on X; what is no such address as it is."""
    found = POST_ADDRESS.match(text)
    return found[1] if found else text


async def _zone(request: Request) -> str:
    settings = await ask(request, "GET", "/account")
    return settings.body["time_zone"] if settings.ok else "UTC"


async def _refusal(request: Request, answer: Answered) -> Response:
    return await page(request, "experiments/refusal.html", status=answer.status, problem=answer.body)


def _path(experiment_id: str) -> str:
    return f"/ab-test/{quote(experiment_id, safe='')}"


def _of_items(answer: Answered) -> Answered:
    """A call with one item as one without a list: what is said of that item is said of its field."""
    if answer.ok and answer.body["rejected"]:
        field, _, message = answer.body["rejected"][0]["reason"].partition(": ")
        return Answered(HTTPStatus.UNPROCESSABLE_ENTITY, {"errors": [{"field": field, "message": message}]})
    if answer.ok or not answer.body.get("errors"):
        return answer
    errors = [one | {"field": one["field"].removeprefix("posts[0].")} for one in answer.body["errors"]]
    return Answered(answer.status, answer.body | {"errors": errors})


def _slots(form: Form, zone: str) -> dict[str, Any]:
    """The slots of a switchback, its hours in UTC; what is no hour is given to the API, which names it."""
    slots: dict[str, Any] = {name: form.number(name) for name in SLOT_NUMBERS if form.text(name)}
    low, high = (
        form.number(name) if form.text(name) else hour
        for name, hour in zip(("from_hour", "to_hour"), WAKING, strict=True)
    )
    if isinstance(low, int) and isinstance(high, int) and 0 <= low < high <= 24:
        low, high = hours_in_utc((low, high), zone, datetime.now(UTC))
        slots = {"slot_minutes": turn_minutes(max(len(_variants(form)), 2), (low, high))} | slots
    return slots | {"from_hour": low, "to_hour": high}


def _turns(new: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """What the turns of a plan that the API took ask of a person: how many posts, and between which hours."""
    slots, now = new["slots"], datetime.now(UTC)
    blocks, n_variants = slots.get("blocks", BLOCKS), len(new["variants"])
    minutes = slots.get("slot_minutes", TURN_MINUTES) + slots.get("washout_minutes", WASHOUT_MINUTES)
    room = (slots["to_hour"] - slots["from_hour"]) * 60 + slots.get("washout_minutes", WASHOUT_MINUTES)
    return {
        "posts": blocks * n_variants,
        "each": blocks,
        "a_day": min(room // (minutes * n_variants), blocks) * n_variants,
        "low": hour_in_zone(slots["from_hour"], zone, now),
        "high": hour_in_zone(slots["to_hour"], zone, now),
    }


def _new(form: Form, zone: str) -> dict[str, Any]:
    """The body of /ab-test/create; what was left empty is left out."""
    where = form.text("where") or "owned"
    percents = {name: form.number(name, scale=0.01) for name in PERCENTS if form.text(name)}
    numbers = {name: form.number(name) for name in NUMBERS if form.text(name)}
    body: dict[str, Any] = {
        "name": form.text("name"),
        "variants": [_variant(one) for one in _variants(form)],
        "channel": where,
        "start": bool(form.text("start")),
        **{name: form.text(name) for name in ("metric",) if form.text(name)},
    }
    if where == "organic":
        slots = _slots(form, zone)
        days = [int(day) for day in form.all("weekdays") if day.isdecimal()]
        return body | {"design": "switchback", "slots": slots | ({"weekdays": days} if days else {})} | {
            name: value for name, value in numbers.items() if name == "alpha"
        }  # fmt: skip
    choices = {name: form.text(name) for name in ("method", "allocation", "correction") if form.text(name)}
    return body | percents | numbers | choices


def _variant(one: Mapping[str, str]) -> dict[str, Any]:
    template = {"template_id": int(one["template_id"])} if one["template_id"].isdecimal() else {}
    return {"name": one["name"], "content": one["content"] or None} | template


def _variants(form: Form) -> list[dict[str, str]]:
    """The variants as they are filled in."""
    columns = [form.all(name) for name in ("variant", "content", "template_id")]
    rows = max((len(column) for column in columns), default=0)
    filled = [[column[row] if row < len(column) else "" for column in columns] for row in range(rows)]
    return [{"name": name, "content": content, "template_id": template} for name, content, template in filled]


def _form_context(request: Request, form: Form, refused: Answered | None) -> dict[str, Any]:
    variants = _variants(form)
    # Not "remove": a form with a field of that name has no method of that name any more, which htmx calls.
    if form.text("drop").isdecimal() and len(variants) > 2:
        variants = [one for place, one in enumerate(variants) if place != int(form.text("drop"))]
    added = None
    if form.text("more") and len(variants) < MAX_VARIANTS:
        added = len(variants)
        variants.append({"name": "", "content": "", "template_id": ""})
    _ = translations(language_of(request)).gettext
    names = (_("today's wording"), _("new wording"))
    while len(variants) < 2:
        variants.append({"name": "", "content": "", "template_id": ""})
    if not form.posted:
        for place, one in enumerate(variants):
            one["name"] = one["name"] or (names[place] if place < 2 else "")
    return {
        "form": form,
        "variants": variants,
        "added": added,
        "refused": refused,
        "organic": form.text("where") == "organic",
        "variant_errors": _variant_errors(refused, len(variants)),
        "max_variants": MAX_VARIANTS,
    }


def _variant_errors(refused: Answered | None, n: int) -> list[dict[str, str]]:
    """What is said of each variant's fields."""
    errors: list[dict[str, str]] = [{} for _ in range(n)]
    for one in refused.body.get("errors", ()) if refused else ():
        place, _, field = one["field"].removeprefix("variants[").partition("].")
        if one["field"].startswith("variants[") and place.isdecimal() and int(place) < n:
            errors[int(place)].setdefault(field, one["message"])
    return errors


def _warning(request: Request, text: str) -> str:
    """A warning of the results in the user's language; one that is not known as it is."""
    _ = translations(language_of(request)).gettext
    said, _colon, count = text.rpartition(": ")
    known = {
        "units told with more than one variant, and counted for each": _(
            "People who saw more than one variant, and are counted for each: {count}"
        ),
        "units dated before the start or after now": _("People dated before the start or in the future: {count}"),
        "units engaged before their first impression alone, and not counted as engaged": _(
            "People who only engaged before they saw it, and do not count as engaged: {count}"
        ),
        "units engaged without an impression, and not counted": _(
            "People who engaged without an impression, and are not counted: {count}"
        ),
        "units first seen after the stop, and counted": _("People who first saw it after the stop, and count: {count}"),
        "units beyond the planned size, at which a fixed test is read, and not counted": _(
            "People beyond the planned size, who do not count in a test that is read once: {count}"
        ),
        "posts in a washout or outside the schedule, not counted": _(
            "Posts outside their time slots, not counted: {count}"
        ),
        "posts without impressions, not counted": _("Posts without impressions, not counted: {count}"),
        "blocks without a post of every variant, not counted": _(
            "Blocks without a post of every variant, not counted: {count}"
        ),
    }
    if said in known:
        return known[said].format(count=count)
    share, told, _rest = text.partition(" of the units were told with another variant than /assign gives them")
    if told:
        return _("{share} of the people were told with another variant than /assign gives them").format(share=share)
    worth = text.removeprefix("days move the variants apart: units are worth ").partition(" of independent ones")[0]
    if worth != text:
        return _("Days move the variants apart: each person counts as {share} of an independent one").format(
            share=worth
        )
    if text.startswith("units were moved to the better variants"):
        return _(
            "People were moved to the better variants while the test ran: only what holds at every look can be trusted"
        )
    return text
