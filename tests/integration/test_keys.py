"""Keys of the database: who gets in with which, what they may do, and that nothing that fails lets anybody in."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.datastructures import Headers
from starlette.routing import Route

from deployments.http.gate import Gate
from deployments.http.ingress import ROUTES
from deployments.http.scopes import guarded, needed_scope
from deployments.http.sessions import COOKIE
from deployments.keys import StoredKeys
from deployments.settings import ConfigError, Settings
from store.cache import Cache
from store.errors import StoreUnavailable
from store.keys import MAX_LIVE_KEYS, MAX_SESSIONS, KeyTable, Scope, digest
from store.postgres import Store
from store.rate_limits import RateLimits
from supervisor import keys as command
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.integration.conftest import KEYS, caller
from tests.integration.test_outages import kill
from tests.integration.test_sessions import browser_of, first_message
from tests.integration.test_track_record_api import product
from tests.readme import PAGES

pytestmark = pytest.mark.clock

TAG = {"text": "https://a.example/x", "campaign": "c", "content": "d"}
ID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def stored(gate: Gate) -> StoredKeys:
    assert gate.stored is not None
    return gate.stored


async def make(store: Store, scope: Scope = "write", account: str = "acme", days: int | None = None) -> str:
    made = await store.keys.create(account, f"a {scope} key", scope, days=days, created_by="test")
    assert made is not None
    return made[1]


def with_key(gate: Gate, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(gate), base_url="http://test", headers={"authorization": f"Bearer {key}"}
    )


def identity(key: str) -> str:
    return key.split("_")[1]


async def status(gate: Gate, key: str, path: str = "/account") -> int:
    async with with_key(gate, key) as client:
        answer = await client.get(path)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(key) < 20 or key not in answer.text
    return answer.status_code


async def tag(gate: Gate, key: str) -> int:
    """A call that needs no database."""
    async with with_key(gate, key) as client:
        return (await client.post("/links/tag", json=TAG)).status_code


@pytest.fixture
async def key(store: Store) -> AsyncIterator[str]:
    return await make(store)


async def test_a_key_is_known_at_once_and_is_its_accounts_alone(gate: Gate, store: Store, key: str) -> None:
    async with with_key(gate, key) as client:
        posts = {"posts": [{"text": "of acme"}]}
        assert (await client.post("/plan", json=posts)).status_code == 201
    other = await make(store, account="other")
    async with with_key(gate, other) as client:
        assert "of acme" not in (await client.get("/plan")).text
    async with with_key(gate, key) as client:
        assert "of acme" in (await client.get("/plan")).text


async def test_what_is_no_key_opens_nothing(gate: Gate, store: Store, key: str) -> None:
    other = await make(store, account="other")
    secret = key.split("_", 2)[2]
    wrong_secret = key[:-1] + ("a" if key[-1] != "a" else "b")
    with_the_others_id = f"mm_{identity(other)}_{secret}"
    hashed = f"mm_{identity(key)}_{digest(key).hex()[:43]}"
    for given in (
        *(wrong_secret, with_the_others_id, hashed, key + "x", key[:-1], key.upper(), f"mm_{'0' * 12}_{secret}"),
        *("mm__", "mm_" + "0" * 12, "x", "'; DROP TABLE api_keys; --", "mm_" + "9" * 60_000, " ", f" {key}x"),
    ):
        assert await status(gate, given) == 401, given[:80]
    assert await status(gate, key) == 200


async def test_only_hashes_are_stored_and_told(connection: asyncpg.Connection, gate: Gate, store: Store) -> None:
    admin = await make(store, "admin")
    async with with_key(gate, admin) as client:
        made = await client.post("/keys", json={"name": "x", "scope": "read"})
        listed = await client.get("/keys")
        audit = await client.get("/audit")
    async with browser_of(gate) as client:
        cookie = (await client.post("/sign-in", data={"key": admin})).cookies[COOKIE]
    secrets = [admin, made.json()["key"], cookie]
    tables = ("api_keys", "key_sessions", "audit_log")
    dump = "".join([str(await connection.fetch(f"SELECT t::text FROM {table} AS t")) for table in tables])
    for text in (dump, listed.text, audit.text):
        assert all(secret[-43:] not in text for secret in secrets)
    assert digest(admin).hex() in dump


async def test_a_revoked_key_ends_with_its_sessions_and_sockets_within_the_time_that_is_said(
    gate: Gate, store: Store, stored: StoredKeys, key: str
) -> None:
    stored.every_s = 0.2
    async with browser_of(gate) as client:
        cookie = (await client.post("/sign-in", data={"key": key})).cookies[COOKIE]
    assert await status(gate, key) == 200
    reading = asyncio.create_task(stored.run_forever())
    try:
        assert await store.keys.revoke(identity(key), "acme") is not None
        started = time.monotonic()
        answers = [await status(gate, key)]
        for _ in range(100):
            await asyncio.sleep(0.02)
            answers.append(await status(gate, key))
            if answers[-1] == 401:
                break
        assert set(answers[:-1]) <= {200}
        assert answers[-1] == 401
        assert time.monotonic() - started < 2.0
    finally:
        reading.cancel()
    async with browser_of(gate, cookie) as client:
        assert (await client.get("/account")).status_code == 401
    assert await first_message(gate, {"host": "test", "x-api-key": key}) == "websocket.close"


async def test_a_key_ends_by_itself_whatever_the_clock_of_the_replica_says(
    gate: Gate, store: Store, stored: StoredKeys, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await make(store, days=1)
    assert await status(gate, key) == 200
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert await status(gate, key) == 200
    monkeypatch.undo()
    await connection.execute(
        "UPDATE api_keys SET created_at = now() - interval '1 day', expires_at = now() + interval '2 s'"
    )
    await stored.read_anew()
    assert await status(gate, key) == 200
    await asyncio.sleep(2.1)
    # No reading was needed for that.
    assert await status(gate, key) == 401


async def test_while_postgres_is_down_known_keys_go_on_for_the_grace_and_unknown_ones_come_back_later(
    gate: Gate, store: Store, stored: StoredKeys, postgres: EmbeddedPostgres, key: str
) -> None:
    assert await status(gate, key) == 200
    unknown, revoked = await make(store), await make(store)
    await store.keys.revoke(identity(revoked), None)
    kill(postgres)

    for given, expected in ((unknown, 503), (revoked, 503), ("garbage", 401), (key[:-1] + "-", 401), (key, 503)):
        # The key itself gets as far as the route, which needs the database.
        assert await status(gate, given) == expected, given
    assert await tag(gate, key) == 200

    stored.grace_s = 0
    async with with_key(gate, key) as client:
        answer = await client.get("/account")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "whose key" in answer.json()["detail"]
    # A key of the environment needs no database.
    assert await tag(gate, KEYS["acme"]) == 200
    postgres.start()
    stored.grace_s = 60
    await stored.read_anew()
    assert await status(gate, unknown) == 200
    assert await status(gate, revoked) == 401


async def test_a_postgres_that_hangs_costs_strangers_a_second_and_those_who_are_known_nothing(
    database: str, connection: asyncpg.Connection, gate: Gate, stored: StoredKeys, key: str
) -> None:
    slow = await Store.connect(database, min_size=1, max_size=4, timeout_s=3.0)
    stored.table = slow.keys
    await stored.read()
    strangers = [f"mm_{number:012x}_{'x' * 43}" for number in range(20)]
    backends = await connection.fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'murmuration' AND datname = current_database()"
    )
    for backend in backends:
        os.kill(backend["pid"], signal.SIGSTOP)
    try:
        started = time.monotonic()
        answers = await asyncio.gather(*(status(gate, stranger) for stranger in strangers))
        assert set(answers) == {503}
        assert time.monotonic() - started < 2.5
        started = time.monotonic()
        assert await tag(gate, key) == 200
        assert time.monotonic() - started < 0.9
    finally:
        for backend in backends:
            os.kill(backend["pid"], signal.SIGCONT)
    await slow.close()


async def test_a_flood_of_made_up_keys_is_ten_queries_a_second_at_most(
    gate: Gate, stored: StoredKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.keys.LOOK_TIMEOUT_S", 20.0)
    reads = 0

    class Counting(KeyTable):
        async def live(self) -> Any:
            nonlocal reads
            reads += 1
            return await super().live()

    assert stored.table is not None
    table = stored.table
    stored.table = Counting(table._connect, table._transaction, table._queries)
    started = time.monotonic()
    for _ in range(5):
        flood = [status(gate, f"mm_{number:012x}_{'x' * 43}") for number in range(40)]
        assert set(await asyncio.gather(*flood)) == {401}
    assert 5 <= reads <= 2 + 10 * (time.monotonic() - started)


async def test_whether_a_key_is_needed_is_known_or_nobody_gets_in(
    gate: Gate, store: Store, stored: StoredKeys, postgres: EmbeddedPostgres
) -> None:
    gate.keys = {}

    async def nobody() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://localhost") as client:
            return (await client.post("/links/tag", json=TAG)).status_code

    assert await nobody() == 503
    await stored.read()
    assert await nobody() == 200
    gate.loopback = False
    assert await nobody() == 401
    gate.loopback = True
    key = await make(store)
    await stored.read_anew()
    assert await nobody() == 401
    # The last key ends, and the door stays shut.
    await store.keys.revoke(identity(key), None)
    await stored.read_anew()
    assert await nobody() == 401
    kill(postgres)
    await stored.read_anew()
    stored.grace_s = 0
    assert await nobody() == 503


async def test_an_account_that_takes_its_last_key_along_leaves_the_door_shut(
    gate: Gate, store: Store, stored: StoredKeys, cache: Cache, connection: asyncpg.Connection
) -> None:
    gate.keys = {}
    gate.app.state.front.answers.cache = cache  # type: ignore[attr-defined]
    admin = await make(store, "admin")
    await stored.read()
    async with with_key(gate, admin) as client:
        assert (await client.delete("/account", params={"confirm": "acme"})).status_code == 200
    assert await connection.fetchval("SELECT count(*) FROM api_keys") == 0
    await stored.read_anew()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://localhost") as client:
        assert (await client.post("/links/tag", json=TAG)).status_code == 401
    again = StoredKeys(every_s=5, grace_s=60)
    again.table = stored.table
    await again.read()
    assert again.any_key


async def test_the_first_key_that_is_made_here_shuts_the_door_at_once(gate: Gate, stored: StoredKeys) -> None:
    gate.keys = {}
    await stored.read()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://localhost") as client:
        made = await client.post("/keys", json={"name": "first", "scope": "admin"})
        assert made.status_code == 201
        assert (await client.get("/account")).status_code == 401
        with_it = {"x-api-key": made.json()["key"]}
        assert (await client.get("/account", headers=with_it)).status_code == 200


async def test_an_open_host_needs_a_key_that_counts_and_a_database_that_says_so(
    database: str, empty_database: str, store: Store
) -> None:
    def check(url: str | None) -> None:
        Settings(murmuration_api_keys={}, database_url=url).check("0.0.0.0")  # type: ignore[arg-type]  # read as a secret

    for url in (None, empty_database, "postgresql://x@/x?host=/nowhere", database):
        with pytest.raises(ConfigError, match="MURMURATION_API_KEYS"):
            await asyncio.to_thread(check, url)
    key = await make(store)
    await asyncio.to_thread(check, database)
    await store.keys.revoke(identity(key), None)
    with pytest.raises(ConfigError, match="MURMURATION_API_KEYS"):
        await asyncio.to_thread(check, database)


def routes() -> list[tuple[str, str]]:
    found = []
    for route in ROUTES:
        if isinstance(route, APIWebSocketRoute):
            found.append((route.path, "WEBSOCKET"))
        else:
            assert isinstance(route, APIRoute)
            found += [(route.path, method) for method in route.methods or ()]
    return found


def test_a_route_that_cannot_be_guarded_is_no_route() -> None:
    with pytest.raises(TypeError):
        guarded([Route("/x", lambda: None)])  # type: ignore[arg-type, return-value]


def test_what_each_route_needs_is_what_the_page_says() -> None:
    section = PAGES["docs/api.md"].partition("### Scopes")[2].partition("\n### ")[0]
    rows = [row.strip("| ").split("|") for row in section.splitlines() if row.startswith("|")][2:]
    told = {row[0].strip(" `"): set(row[2].replace("`", "").strip().split(", ")) for row in rows}
    needed: dict[str, set[str]] = {scope: set() for scope in ("none", "read", "write", "admin")}
    for path, method in routes():
        if path != "/" and not path.startswith("/studio"):
            needed[needed_scope(path, method) or "none"].add(f"{'WS' if method == 'WEBSOCKET' else method} {path}")
    assert told == needed


async def test_a_key_is_refused_what_its_scope_does_not_reach_on_every_route_with_the_scope_that_is_needed(
    gate: Gate, store: Store, connection: asyncpg.Connection
) -> None:
    keys: dict[str, str] = {scope: await make(store, scope) for scope in ("read", "write")}  # type: ignore[arg-type]
    before = await connection.fetchval("SELECT count(*) FROM audit_log")
    refused = 0
    for scope, below in (("read", {"write", "admin"}), ("write", {"admin"})):
        async with with_key(gate, keys[scope]) as client:
            for path, method in routes():
                needed = needed_scope(path, method)
                if method == "WEBSOCKET" or needed not in below:
                    continue
                url = path.replace("{segment:path}", "x").replace("{path:path}", "/x")
                for name in ("experiment_id", "template_id", "slot_id", "import_id", "post_id", "key_id", "change"):
                    url = url.replace(f"{{{name}}}", ID)
                answer = await client.request(method, url, json={})
                assert answer.status_code == 403, (method, path, answer.text)
                assert answer.json()["detail"] == f"This call needs a key with the scope {needed}; yours has {scope}."
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]
                refused += 1
    assert refused > 60
    assert await connection.fetchval("SELECT count(*) FROM audit_log") == before


async def test_no_spelling_of_a_path_gets_around_its_scope(gate: Gate, key: str) -> None:
    async with with_key(gate, key) as client:
        for path in ("//audit", "/audit/", "/%61udit", "/./audit", "/audit%2f", "/AUDIT", "/audit;x", "/audit%00"):
            answer = await client.get(f"http://test{path}")
            assert answer.status_code in {307, 403, 404}, path


async def test_a_page_may_do_what_the_key_may_that_signed_in(gate: Gate, store: Store) -> None:
    key = await make(store, "read")
    async with browser_of(gate) as client:
        await client.post("/sign-in", data={"key": key})
        page = await client.get("/studio/plan")
        assert page.status_code == 200
        told = {"x-csrf-token": csrf(gate, client.cookies[COOKIE])}
        assert told["x-csrf-token"] in page.text
        assert (await client.post("/studio/plan", data={"text": "x"})).status_code == 403
        answer = await client.post("/studio/plan", data={"text": "x"}, headers=told)
        assert "scope write" in answer.json()["detail"]


async def test_a_session_needs_its_token_ends_when_it_is_signed_out_and_is_one_of_twenty(
    gate: Gate, connection: asyncpg.Connection, key: str
) -> None:
    async with browser_of(gate) as client:
        answer = await client.post("/sign-in", data={"key": key})
        assert answer.status_code == 303
        cookie = client.cookies[COOKIE]
        told = {"x-csrf-token": csrf(gate, cookie)}
        slots = {"posts": [{"text": "x"}]}
        for forged in ({}, {"x-csrf-token": "0" * 64}, {"x-csrf-token": ""}):
            assert (await client.post("/plan", json=slots, headers=forged)).status_code == 403
        foreign = told | {"origin": "https://evil.example"}
        assert (await client.post("/plan", json=slots, headers=foreign)).status_code == 403
        assert (await client.post("/plan", json=slots, headers=told)).status_code == 201
        assert (await client.post("/studio/sign-out", headers=told)).status_code == 204
    for other in (cookie, cookie[:-1] + "-", "mms_" + "x" * 43, key):
        async with browser_of(gate, other) as client:
            assert (await client.get("/account")).status_code == 401
    for _ in range(MAX_SESSIONS + 3):
        async with browser_of(gate) as client:
            await client.post("/sign-in", data={"key": key})
    assert await connection.fetchval("SELECT count(*) FROM key_sessions") == MAX_SESSIONS


async def test_nobody_signs_in_with_a_key_that_ended_or_while_it_cannot_be_written_down(
    gate: Gate, store: Store, postgres: EmbeddedPostgres, key: str
) -> None:
    ended = await make(store)
    await store.keys.revoke(identity(ended), None)
    async with browser_of(gate) as client:
        assert (await client.post("/sign-in", data={"key": ended})).status_code == 401
        assert await status(gate, key) == 200
        kill(postgres)
        answer = await client.post("/sign-in", data={"key": key})
        assert answer.status_code == 503
        assert "set-cookie" not in answer.headers


async def test_a_socket_is_told_nothing_more_once_its_key_ended(
    gate: Gate, store: Store, stored: StoredKeys, key: str
) -> None:
    sent: list[dict[str, Any]] = []
    told, wait = asyncio.Event(), asyncio.Event()

    async def watching(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "1"})
        told.set()
        await wait.wait()
        await send({"type": "websocket.send", "text": "2"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    gate.app = watching  # type: ignore[assignment]
    raw = [(b"host", b"test"), (b"x-api-key", key.encode())]
    scope = {"type": "websocket", "path": "/ws/metrics", "headers": raw, "query_string": b""}
    socket = asyncio.create_task(gate(scope, None, send))  # type: ignore[arg-type]
    await told.wait()
    await store.keys.revoke(identity(key), None)
    await stored.read_anew()
    wait.set()
    with pytest.raises(BrokenPipeError):
        await socket
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]


async def test_keys_are_made_listed_and_revoked_by_an_admin_of_the_account_alone(gate: Gate, store: Store) -> None:
    admin, other = await make(store, "admin"), await make(store, "admin", "other")
    async with with_key(gate, admin) as client:
        for bad in ({"name": "", "scope": "read"}, {"name": "x", "scope": "root"}, {"name": "x"}, {"scope": "read"}):
            assert (await client.post("/keys", json=bad)).status_code == 422
        assert (await client.post("/keys", json={"name": "x", "scope": "read", "days": 0})).status_code == 422
        made = (await client.post("/keys", json={"name": "nightly", "scope": "write", "days": 90})).json()
        assert await status(gate, made["key"]) == 200
        assert (await client.delete(f"/keys/{identity(other)}")).status_code == 404
        assert (await client.delete("/keys/x")).status_code == 404
        assert (await client.delete("/keys/%00")).status_code == 404
        assert (await client.delete(f"/keys/{made['id']}")).status_code == 204
        assert await status(gate, made["key"]) == 401
        assert (await client.delete(f"/keys/{made['id']}")).status_code == 404
        listed = (await client.get("/keys")).json()["keys"]
        entries = (await client.get("/audit", params={"kind": "key"})).json()["entries"]
    assert [(each["name"], each["created_by"]) for each in listed] == [
        ("nightly", f"key {identity(admin)}"),
        ("a admin key", "test"),
    ]
    assert all("key" not in each and "hash" not in each for each in listed)
    assert [(each["action"], each["actor"], each["detail"]) for each in entries[:2]] == [
        ("revoked", f"key {identity(admin)}", {"scope": "write"}),
        ("created", f"key {identity(admin)}", {"scope": "write"}),
    ]
    assert await status(gate, other) == 200


async def test_an_account_has_a_hundred_live_keys_at_most(gate: Gate, store: Store) -> None:
    admin = await make(store, "admin")
    for _ in range(MAX_LIVE_KEYS - 1):
        await make(store, "read")
    async with with_key(gate, admin) as client:
        assert (await client.post("/keys", json={"name": "x", "scope": "read"})).status_code == 409


async def test_the_day_of_the_last_use_is_written_once(
    gate: Gate, store: Store, stored: StoredKeys, connection: asyncpg.Connection, key: str
) -> None:
    unused = await make(store)
    for _ in range(5):
        assert await status(gate, key) == 200
    await stored.read_anew()
    used = await connection.fetch("SELECT id, xmin::text, last_used_on FROM api_keys WHERE last_used_on IS NOT NULL")
    assert [row["id"] for row in used] == [identity(key)] != [identity(unused)]
    await stored.read_anew()
    assert await status(gate, key) == 200
    await stored.read_anew()
    assert await connection.fetchval("SELECT xmin::text FROM api_keys WHERE id = $1", identity(key)) == used[0]["xmin"]


async def test_the_command_makes_lists_and_revokes_and_tells_the_secret_once(
    database: str, gate: Gate, stored: StoredKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = command.main(["--database-url", database, *arguments])
        return (code, *capsys.readouterr())

    code, out, told = await asyncio.to_thread(run, "create", "--account", "new", "--scope", "read", "--name", "a b")
    key = out.strip()
    assert (code, await status(gate, key)) == (0, 200)
    assert key not in told
    async with with_key(gate, key) as client:
        assert len((await client.get("/templates")).json()["templates"]) > 1
    code, out, _ = await asyncio.to_thread(run, "list")
    assert (code, "a b" in out, key in out) == (0, True, False)
    assert (await asyncio.to_thread(run, "list", "--account", "other"))[1] == ""
    assert (await asyncio.to_thread(run, "revoke", identity(key)))[0] == 0
    assert (await asyncio.to_thread(run, "revoke", identity(key)))[0] == 1
    await stored.read_anew()
    assert await status(gate, key) == 401
    name = "x" * 121
    code, _, told = await asyncio.to_thread(run, "create", "--account", "new", "--scope", "read", "--name", name)
    assert (code, name in told) == (1, False)


async def test_the_command_says_in_a_line_what_is_missing(
    empty_database: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for where in (["--database-url", empty_database], ["--data", str(tmp_path)]):
        assert await asyncio.to_thread(command.main, [*where, "list"]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


async def test_keys_that_were_never_read_count_for_nobody() -> None:
    unread = StoredKeys(every_s=5, grace_s=60)
    with pytest.raises(StoreUnavailable):
        await unread.caller(f"mm_{'0' * 12}_{'x' * 43}")
    with pytest.raises(StoreUnavailable):
        _ = unread.any_key


def csrf(gate: Gate, cookie: str) -> str:
    return gate.sessions.csrf_token("acme", Headers({"cookie": f"{COOKIE}={cookie}"}))


@pytest.fixture
async def limited(gate: Gate, redis: EmbeddedRedis) -> AsyncIterator[Gate]:
    per_minute = {"calls": 5, "generation": 2, "failures": 3}
    gate.limits = RateLimits(redis.url, namespace=str(time.time_ns()), timeout_s=3.0, per_minute=per_minute)
    yield gate
    await gate.limits.close()
    redis.start()


async def test_the_sixth_call_of_five_is_told_when_to_come_back_and_other_keys_are_not(
    limited: Gate, store: Store, key: str
) -> None:
    other = await make(store)
    async with with_key(limited, key) as client:
        answers = [await client.get("/account") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["ratelimit"].split(";")[:2] for answer in answers] == [
        ['"calls"', f"r={left}"] for left in (4, 3, 2, 1, 0, 0)
    ]
    last = answers[-1]
    assert last.headers["ratelimit-policy"] == '"calls";q=5;w=60'
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert last.headers["content-type"] == "application/problem+json"
    assert last.json()["status"] == 429
    assert await status(limited, other) == 200
    assert (await caller(limited, "acme").get("/account")).status_code == 200


@pytest.fixture
async def of_account(limited: Gate) -> Gate:
    """Five calls a minute of a key, two that write; six and three of all keys of an account."""
    assert limited.limits is not None
    limited.limits.per_minute = {**limited.limits.per_minute, "account-calls": 6, "account-generation": 3}
    return limited


async def test_a_new_key_for_every_few_calls_gets_no_further_than_the_account(of_account: Gate, store: Store) -> None:
    admin = await make(store, "admin")
    answers = []
    async with with_key(of_account, admin) as client:
        while len(answers) < 4:
            made = await client.post("/keys", json={"name": "fresh", "scope": "read"})
            if made.status_code == 429:
                break
            answers.append(await status(of_account, made.json()["key"]))
            await client.delete(f"/keys/{made.json()['id']}")
    # Made, used and deleted twice.
    assert answers == [200, 200]
    assert made.json()["detail"] == "More than 6 calls a minute of this account."
    assert '"account-calls";q=6;w=60' in made.headers["ratelimit-policy"]
    assert 1 <= int(made.headers["retry-after"]) <= 60
    assert await status(of_account, await make(store, account="other")) == 200


async def test_the_language_model_writes_for_an_account_no_more_than_it_may(of_account: Gate, store: Store) -> None:
    answers = []
    for key in [await make(store), await make(store)]:
        async with with_key(of_account, key) as client:
            answers += [await client.post("/generate", json={"bad": 1}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert "of this account for which the language model writes" in answers[-1].json()["detail"]


async def test_signing_in_counts_as_a_call_of_the_key_and_of_its_account(of_account: Gate, store: Store) -> None:
    one, other = await make(store), await make(store)
    async with browser_of(of_account) as client:
        answers = [(await client.post("/sign-in", data={"key": one})).status_code for _ in range(6)]
        assert answers == [303] * 5 + [429]
        again = [await client.post("/sign-in", data={"key": other}) for _ in range(2)]
    assert [answer.status_code for answer in again] == [303, 429]
    assert "set-cookie" not in again[-1].headers


async def test_what_no_route_is_for_counts_too(limited: Gate, key: str) -> None:
    async with with_key(limited, key) as client:
        assert [(await client.get("/nowhere")).status_code for _ in range(6)] == [404] * 5 + [429]


async def test_calls_for_new_posts_have_a_limit_of_their_own(limited: Gate, key: str) -> None:
    async with with_key(limited, key) as client:
        answers = [await client.post("/generate", json={"bad": 1}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert '"generation";q=2;w=60' in answers[-1].headers["ratelimit-policy"]
    assert '"calls";r=2' in answers[-1].headers["ratelimit"]


WRITTEN = [
    ("/analyze-query", {"query": "We bake bread.", "engine": "lm"}),
    ("/analyze-query", {"query": "We bake bread.", "engine": "auto"}),
    ("/optimize", {"draft": "We bake bread."}),
]


@pytest.mark.parametrize(("path", "body"), WRITTEN)
async def test_whatever_the_language_model_writes_for_counts_as_calls_for_new_posts(
    limited: Gate, store: Store, cache: Cache, path: str, body: dict[str, str]
) -> None:
    async with product(store, cache, language_model=True) as (gate, _), caller(gate, "acme") as client:
        gate.limits = limited.limits
        answers = [await client.post(path, json=body) for _ in range(3)]
        quick = await client.post("/analyze-query", json={"query": "We bake bread."})
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "the language model" in answers[-1].json()["detail"]
    assert (quick.status_code, "generation" in quick.headers["ratelimit"]) == (200, False)


@pytest.mark.parametrize(("path", "body"), WRITTEN[1:])
async def test_where_no_language_model_writes_they_count_as_any_call(
    limited: Gate, store: Store, cache: Cache, path: str, body: dict[str, str]
) -> None:
    async with product(store, cache) as (gate, _), caller(gate, "acme") as client:
        gate.limits = limited.limits
        assert [(await client.post(path, json=body)).status_code for _ in range(4)] == [200] * 4


async def test_wrong_keys_are_counted_and_the_right_one_still_gets_in(
    limited: Gate, stored: StoredKeys, key: str
) -> None:
    await stored.read()
    assert [await status(limited, f"wrong {number}") for number in range(5)] == [401] * 3 + [429] * 2
    assert await status(limited, key) == 200
    async with browser_of(limited) as client:
        assert (await client.post("/sign-in", data={"key": "wrong"})).status_code == 429
        assert (await client.post("/sign-in", data={"key": key})).status_code == 303


async def test_an_address_is_believed_of_a_trusted_proxy_alone_and_blocked_by_itself(limited: Gate, key: str) -> None:
    limited.trusted_proxies = 1

    async def sign_in(forwarded: str, given: str) -> int:
        async with browser_of(limited) as client:
            headers = {"x-forwarded-for": forwarded}
            return (await client.post("/sign-in", data={"key": given}, headers=headers)).status_code

    # The client may write what it likes in front of what the proxy adds.
    assert [await sign_in(f"10.0.0.{number}, 192.0.2.1", "wrong") for number in range(4)] == [401] * 3 + [429]
    assert await sign_in("192.0.2.1", key) == 429
    assert await sign_in("192.0.2.1, 192.0.2.2", key) == 303
    # One client has all of a network of IPv6.
    assert [await sign_in(f"2001:db8::{number}", "wrong") for number in range(4)] == [401] * 3 + [429]
    assert await sign_in("2001:db8::ffff", key) == 429
    assert await sign_in("2001:db8:0:1::1", key) == 303
    assert await sign_in("nonsense", key) == 303


async def test_who_needs_no_key_has_no_limit(limited: Gate, stored: StoredKeys) -> None:
    limited.keys = {}
    await stored.read()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://localhost") as client:
        answers = [await client.get("/account") for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers


def open_url(path: str) -> str:
    return path.replace("{name}", "studio.css").replace("{segment:path}", "x").replace("{path:path}", "/x")


async def test_every_answer_of_every_route_says_how_little_a_browser_may_do_with_it(gate: Gate) -> None:
    transport = httpx.ASGITransport(gate, raise_app_exceptions=False)
    keys: list[dict[str, str]] = [{}, {"x-api-key": "a" * 20}]
    seen = set()
    for given in keys:
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=given) as client:
            for path, method in [*routes(), ("/nowhere", "GET"), ("/sign-in/", "GET"), ("/predict", "GET")]:
                if method == "WEBSOCKET":
                    continue
                url = open_url(path)
                for name in ("experiment_id", "template_id", "slot_id", "import_id", "post_id", "key_id", "change"):
                    url = url.replace(f"{{{name}}}", ID)
                answer = await client.request(method, url, content=b"")
                seen.add(answer.status_code)
                headers = answer.headers
                assert headers["x-content-type-options"] == "nosniff", path
                assert "default-src 'none'" in headers["content-security-policy"], path
                assert "frame-ancestors 'none'" in headers["content-security-policy"], path
                assert "unsafe" not in headers["content-security-policy"] or path.endswith(".svg"), path
                assert headers["x-frame-options"] == "DENY", path
                assert headers["referrer-policy"] in {"no-referrer", "same-origin"}, path
                assert headers["cross-origin-opener-policy"] == "same-origin", path
                assert headers["cross-origin-resource-policy"] == "same-origin", path
                assert "camera=()" in headers["permissions-policy"], path
                public = path.startswith("/studio/static/") and answer.status_code == 200
                private = {"no-store", "private, no-cache", "private, max-age=31536000, immutable"}
                assert public or headers["cache-control"] in private, path
                assert "strict-transport-security" not in headers
                for name in {name.lower() for name in headers} - {"set-cookie", "vary"}:
                    assert len(headers.get_list(name)) == 1, (path, name)
    assert seen >= {200, 303, 307, 401, 404, 405, 422}


async def test_a_picture_as_svg_may_style_itself_and_nothing_more(gate: Gate) -> None:
    async with caller(gate, "acme") as client:
        answer = await client.get("/audience/best-times.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers.get_list("content-security-policy") == [
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ]


async def test_behind_tls_browsers_are_told_to_stay_there(gate: Gate) -> None:
    async with caller(gate, "acme") as client:
        answer = await client.get("/account", headers={"x-forwarded-proto": "https"})
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
