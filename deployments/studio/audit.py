"""Who changed what, and when: a list with filters, page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from deployments.studio.languages import language_of, translations
from deployments.studio.pages import ask, page
from store.audit import Action, Kind

LIMIT = 50
# Where a thing has a page of its own.
PAGES = {"experiment": "/studio/experiments/", "template": "/studio/templates/"}
router = APIRouter(include_in_schema=False)


@router.get("/studio/audit")
async def audit_page(request: Request) -> Response:
    """The entries that match, the newest first."""
    _ = translations(language_of(request)).gettext
    wanted = {name: request.query_params.get(name, "") for name in ("action", "kind", "before")}
    answer = await ask(request, "GET", "/audit", parameters=wanted | {"limit": LIMIT})
    filters = {name: value for name, value in wanted.items() if value and name != "before"}
    older = answer.body["next_before"] if answer.ok else None
    return await page(
        request,
        "audit.html",
        status=answer.status,
        answer=answer,
        wanted=wanted,
        actions=actions(_),
        kinds=kinds(_),
        pages=PAGES,
        said={entry["id"]: said(entry, _) for entry in answer.body["entries"]} if answer.ok else {},
        older="?" + urlencode(filters | {"before": older}) if older else None,
        newest="?" + urlencode(filters) if wanted["before"] else None,
        csv="/audit.csv?" + urlencode(filters | {"limit": 1000}),
    )


def actions(_: Callable[[str], str]) -> dict[Action, str]:
    """What was done, in words."""
    words: dict[Action, str] = {
        "created": _("creation"),
        "started": _("start"),
        "stopped": _("stop"),
        "concluded": _("conclusion"),
        "reallocated": _("shares moved"),
        "imported": _("import"),
        "changed": _("change"),
        "archived": _("archiving"),
        "moved": _("move"),
        "deleted": _("deletion"),
        "revoked": _("revocation"),
    }
    return {action: words[action] for action in get_args(Action)}


def kinds(_: Callable[[str], str]) -> dict[Kind, str]:
    """What it was done to, in words."""
    words: dict[Kind, str] = {
        "experiment": _("experiment"),
        "import": _("file"),
        "post": _("posts"),
        "template": _("template"),
        "slot": _("plan"),
        "settings": _("settings"),
        "account": _("account"),
        "weights": _("model weights"),
        "key": _("API key"),
    }
    return {kind: words[kind] for kind in get_args(Kind)}


def said(entry: dict[str, Any], _: Callable[[str], str]) -> list[tuple[str, str, str | None]]:
    """The detail of an entry as (what, value, value before); a value of `moment` is a moment."""
    detail = entry["detail"]
    if entry["kind"] == "settings":
        names = _settings(_)
        return [
            (names.get(name, name), _shown(change["after"], _), _shown(change["before"], _))
            for name, change in detail.items()
        ]
    if entry["kind"] == "weights":
        return [(name, version, None) for name, version in sorted(detail.items())]
    if entry["action"] == "moved":
        return [("moment", detail["after"], detail["before"])]
    words = _counts(_)
    counts = [(words[name], str(detail[name]), None) for name in words if detail.get(name)]
    return counts + ([("moment", detail["first"], None)] if "first" in detail else [])


def _counts(_: Callable[[str], str]) -> dict[str, str]:
    return {
        "posts": _("posts"),
        "slots": _("posts"),
        "rows": _("rows of the file"),
        "imported": _("new rows"),
        "updated": _("updated rows"),
        "unchanged": _("unchanged rows"),
        "rejected": _("rows left out"),
    }


def _settings(_: Callable[[str], str]) -> dict[str, str]:
    return {
        "length_limit": _("How long your posts may be"),
        "time_zone": _("Time zone"),
        "query_retention_days": _("Days that your queries are kept"),
        "learn_from_api": _("Learning from what X's API tells"),
    }


def _shown(value: object, _: Callable[[str], str]) -> str:
    if value is None:
        return _("not set")
    if isinstance(value, bool):
        return _("on") if value else _("off")
    return str(value)
