"""The routes of an account's API keys: made, listed and revoked by whoever has the scope admin."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from fastapi import APIRouter, Path, Request, Response
from pydantic import ConfigDict

from deployments.http.bodies import PROBLEMS, JsonBody
from deployments.http.calls import account_of, as_json, front_of, stored
from deployments.http.problems import Problem
from deployments.keys import Caller
from pipelines.records import STRICT, ShortText
from store.keys import MAX_LIVE_KEYS, Scope, StoredKey


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key to make: its name, what it may do, and after how many days it ends; without `days` it does not."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: ShortText
    scope: Scope
    days: Annotated[int, Ge(1), Le(3650)] | None = None


@dataclass(frozen=True, kw_only=True)
class CreatedKey(StoredKey):
    """A key that was made, with the key itself: it is shown this once."""

    key: str


@dataclass(frozen=True, kw_only=True)
class KeyList:
    """The account's keys, the newest first, those that ended too."""

    keys: tuple[StoredKey, ...]


NEW_BODY = JsonBody(NewKey, {"name": "nightly import", "scope": "write", "days": 90})
BODIES = (NEW_BODY,)
KEY_ID = re.compile("[0-9a-f]{12}")
KeyId = Annotated[str, Path(description="The id of a key: what stands between mm_ and the next _.")]
router = APIRouter(responses=PROBLEMS)


@router.get("/keys", response_model=KeyList)
async def list_keys(request: Request) -> Response:
    """List the account's keys; keys of the environment are not among them."""
    return as_json(KeyList(keys=await stored(front_of(request).answers.store.keys.list(account_of(request)))))


@router.post("/keys", response_model=CreatedKey, status_code=201, openapi_extra=NEW_BODY.openapi)
async def create_key(request: Request) -> Response:
    """Make a key of the account."""
    new = await NEW_BODY.read(request)
    caller: Caller = request.scope["caller"]
    table = front_of(request).answers.store.keys
    made = await stored(table.create(caller.account, new.name, new.scope, days=new.days, created_by=caller.name))
    if made is None:
        raise Problem(HTTPStatus.CONFLICT, f"The account has {MAX_LIVE_KEYS} keys that count: revoke one first.")
    await front_of(request).keys.read_anew()
    told, key = made
    return as_json(CreatedKey(**asdict(told), key=key), HTTPStatus.CREATED)


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(request: Request, key_id: KeyId) -> Response:
    """Revoke a key of the account, and end the sessions that were opened with it."""
    table = front_of(request).answers.store.keys
    known = KEY_ID.fullmatch(key_id) is not None
    if not known or await stored(table.revoke(key_id, account_of(request))) is None:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such key of this account that counts.")
    await front_of(request).keys.read_anew()
    return Response(status_code=HTTPStatus.NO_CONTENT)
