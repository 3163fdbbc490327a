"""Makes, lists, revokes API keys on DATABASE_URL or `make serve`'s own: python -m supervisor.keys create|list|revoke.

It needs no key: whoever reaches the database may do as much anyway.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO, get_args

from pipelines.generator.templates import load_templates
from store.errors import RowRefused, StoreError
from store.keys import MAX_LIVE_KEYS, Scope, StoredKey
from store.postgres import Store
from supervisor.embedded import find_url

DATA = Path(__file__).resolve().parents[1] / ".murmuration"
TIMEOUT_S = 10.0
ACTOR = "command"


def main(given: Sequence[str] | None = None) -> int:
    """Do what the arguments say; returns the exit code: 1 for what could not be done, 2 for what cannot be meant."""
    arguments = _arguments(given)
    try:
        dsn = arguments.database_url or os.environ.get("DATABASE_URL") or find_url(arguments.data)
        return asyncio.run(_run(arguments, dsn))
    except RowRefused as error:
        _say(f"error: the database refuses a name of that length ({error})", sys.stderr)
    except StoreError as error:
        _say(f"error: {error}", sys.stderr)
    return 1


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m supervisor.keys", description=__doc__)
    parser.add_argument("--database-url", help="default: DATABASE_URL, else the database of `make serve`")
    parser.add_argument("--data", type=Path, default=DATA, help="where `make serve` keeps data")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it, this once")
    create.add_argument("--account", required=True)
    create.add_argument("--scope", choices=get_args(Scope), required=True)
    create.add_argument("--name", default="key")
    create.add_argument("--days", type=_days, help="after how many days it ends; without them it does not")
    listing = commands.add_parser("list", help="the keys, never the secrets")
    listing.add_argument("--account", help="of this account alone")
    revoke = commands.add_parser("revoke", help="end a key and the sessions that were opened with it")
    revoke.add_argument("id", help="what stands between mm_ and the next _")
    return parser.parse_args(given)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError("must be a number of days from 1 to 3650")
    return int(text)


async def _run(arguments: argparse.Namespace, dsn: str) -> int:
    store = await Store.connect(dsn, min_size=0, max_size=1, timeout_s=TIMEOUT_S)
    try:
        if arguments.command == "create":
            return await _create(store, arguments)
        if arguments.command == "list":
            keys = await store.keys.list(arguments.account)
            for key in keys:
                _say(_line(key))
            if not keys:
                _say("no key yet; `make key` makes one", sys.stderr)
            return 0
        revoked = await store.keys.revoke(arguments.id, None, actor=ACTOR)
    finally:
        await store.close()
    if revoked is None:
        _say(f"error: there is no key {arguments.id} that counts", sys.stderr)
        return 1
    _say(_line(revoked))
    return 0


async def _create(store: Store, arguments: argparse.Namespace) -> int:
    made = await store.keys.create(
        arguments.account, arguments.name, arguments.scope, days=arguments.days, created_by=ACTOR, actor=ACTOR
    )
    if made is None:
        _say(f"error: {arguments.account} has {MAX_LIVE_KEYS} keys that count; revoke one first", sys.stderr)
        return 1
    # An account that is new here writes with the bundled templates, as every other does.
    await store.seed_templates(load_templates(), arguments.account)
    told, key = made
    _say(_line(told), sys.stderr)
    _say("It is shown this once; a replica takes it at once.", sys.stderr)
    _say(key)
    return 0


def _line(key: StoredKey) -> str:
    if key.revoked_at:
        end = f"revoked {key.revoked_at:%Y-%m-%d}"
    else:
        end = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "no end"
    used = f"used {key.last_used_on}" if key.last_used_on else "never used"
    return f"{key.id}  {key.account_id}  {key.scope:5}  {key.name}  made {key.created_at:%Y-%m-%d}, {used}, {end}"


def _say(text: str, stream: TextIO | None = None) -> None:
    (stream or sys.stdout).write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
