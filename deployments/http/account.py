"""The routes of an account's settings: what every part obeys."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deployments.http.bodies import PROBLEMS, JsonBody
from deployments.http.calls import account_of, as_json, front_of, stored
from pipelines.records import AccountSettings

EXAMPLE_SETTINGS = {"length_limit": 280, "time_zone": "Europe/Madrid", "query_retention_days": 365}
SETTINGS_BODY = JsonBody(AccountSettings, EXAMPLE_SETTINGS)
BODIES = (SETTINGS_BODY,)
router = APIRouter(responses=PROBLEMS)


@router.get("/account", response_model=AccountSettings)
async def get_settings(request: Request) -> Response:
    """Return the account's settings."""
    return as_json(await stored(front_of(request).answers.store.accounts.settings(account_of(request))))


@router.put("/account", response_model=AccountSettings, openapi_extra=SETTINGS_BODY.openapi)
async def put_settings(request: Request) -> Response:
    """Replace the account's settings; what is left out goes back to its default."""
    wanted = await SETTINGS_BODY.read(request)
    answers, account = front_of(request).answers, account_of(request)
    await stored(answers.store.accounts.save(account, wanted))
    await answers.own_posts.refresh(account)
    return as_json(wanted)
