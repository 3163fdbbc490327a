"""Two accounts never see each other: with another account's ids every route says what it says to unknown ones.

A stranger walks all routes with ids that nobody ever had. Then `acme` stores something of everything, and another
stranger walks the same routes with acme's ids. That one must be told what the first was told, to the letter, less ids
and times; nothing of acme's may have changed. A route without a case here fails.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi.routing import APIRoute
from websockets.sync.client import connect

from deployments.http.ingress import NOUNS
from tests.integration.conftest import Product, key_of

MARK = "Zqvexbulo"
ZONE = "Pacific/Chatham"
POST_ID, MANY = "1799999999999999901", 987_654_321
OWNER, EARLY, LATER = "acme", "stranger-1", "stranger-2"
QUERY = {"query": "the bakery opens on monday with rye bread and buns", "language": "en", "seed": 7}
TEMPLATE = {
    "name": "my own",
    "type": "announcement",
    "language": "en",
    "objective": "engagement",
    "tone": "neutral",
    "intent": "announce",
    "content": "Here it is: {topic}.",
}
VARIANTS = [{"name": "a"}, {"name": "b"}]
LAST = str(uuid.UUID(int=2**128 - 1))
FUTURE = "2099-01-05T10:00:00Z"
EVENTS = {"events": [{"event_id": "1", "unit": "u", "variant": "a", "type": "impression"}]}
POSTS = {"posts": [{"post_id": "1", "posted_at": "2026-01-05T10:00:00Z", "impressions": 10, "likes": 1, "retweets": 0}]}
EXPORT = (
    "Post id,Date,Post text,Impressions,Likes,Engagements,Bookmarks,Shares,New follows,Replies,Reposts,"
    "Profile visits,Detail Expands,URL Clicks,Hashtag Clicks,Permalink Clicks\n"
)
VISITS = "# Start date: 20260901\n# End date: 20260930\nSession manual ad content,Sessions\n{content},{n}\n"
# What tells nothing of an account, so that its owner is told the same as everybody.
FOR_EVERYBODY = {
    *("GET /healthz", "GET /readyz", "GET /openapi.json", "GET /sign-in", "GET /studio/static/{name}"),
    *("GET /studio/models", "GET /studio/models/{name}", "GET /studio{path:path}", "GET /studio/experiments/new"),
    *("GET /studio/compare", "GET /studio/write/counting.json"),
}
# Days as pages write them: Dec 1, 2026 and 1 Dec 2026, 12/1/26, Saturday 5 December.
WRITTEN_DAY = (
    r"\b([A-Z][a-z]{2} \d\d?, \d{4}|\d\d? [A-Z][a-z]{2} \d{4}|\d\d?/\d\d?/\d\d|[A-Z][a-z]+day \d\d? [A-Z][a-z]+)\b"
)
# Pages also say what today is: both strangers walk on one day, which takes less than this.
WALKS_S = 240
# Whose tables name no account of their own, and how their rows are the owner's.
BY_EXPERIMENT = "experiment_id IN (SELECT id FROM experiments WHERE account_id = 'acme')"
WITHOUT_ACCOUNT = {
    "experiment_events": BY_EXPERIMENT,
    "experiment_units": BY_EXPERIMENT,
    "experiment_posts": BY_EXPERIMENT,
    "experiment_event_counts": BY_EXPERIMENT,
    "key_sessions": "key_id IN (SELECT id FROM api_keys WHERE account_id = 'acme')",
}
# Of the installation, not of an account.
SHARED = {"row_counts", "upkeep_jobs", "schema_migrations", "had_key"}


@dataclass(frozen=True)
class Ids:
    """What a path can name."""

    template_id: int
    experiment_id: str
    import_id: str
    post_id: str
    slot_id: str
    segment: str
    content: str
    key_id: str


NOBODYS = Ids(
    *(999_999, str(uuid.uuid4()), str(uuid.uuid4()), "1799999999999999801", str(uuid.uuid4()), "unheardof"),
    *("unheardof", "0" * 12),
)


def cases(ids: Ids, account: str) -> dict[str, dict[str, Any]]:
    """What is sent to each route; what comes behind # tells several cases of one route apart."""
    key = {"Idempotency-Key": "the-same-of-both"}
    form = {"draft": QUERY["query"], "language": "en"}
    two = {"name": "two", "variants": VARIANTS}
    theirs = [{"name": "a", "template_id": ids.template_id}, {"name": "b"}]
    return {
        "POST /analyze-query": {"json": QUERY, "headers": key},
        "POST /analyze-query #computed": {"json": QUERY},
        "POST /generate": {"json": QUERY},
        "POST /generate/stream": {"json": QUERY},
        "POST /optimize": {"json": {"draft": QUERY["query"]}},
        "POST /analyze": {"json": {"texts": [QUERY["query"]]}},
        "POST /predict": {"json": {"drafts": [{"text": QUERY["query"]}]}},
        "POST /compare": {"json": {"pairs": [{"a": "We open on Monday.", "b": "we open monday!!"}]}},
        "GET /predict/track-record": {"params": {"basis": "backtest"}},
        "GET /predict/track-record.png": {"params": {"basis": "backtest"}},
        "GET /predict/track-record.svg": {"params": {"basis": "backtest"}},
        "GET /predict/x-weighted": {},
        "GET /templates": {"params": {"origin": "own"}},
        "GET /templates #cursor": {"params": {"cursor": ids.template_id - 1, "origin": "own"}},
        "GET /templates/{template_id}": {},
        "GET /templates/{template_id}/performance": {},
        "POST /templates": {"json": TEMPLATE},
        "PUT /templates/{template_id}": {"json": TEMPLATE | {"version": 1}},
        "DELETE /templates/{template_id}": {},
        "POST /ab-test/create": {"json": two},
        "POST /ab-test/create #a template of another": {"json": two | {"variants": theirs}},
        "POST /ab-test/size": {"json": two},
        "POST /ab-test/{experiment_id}/start": {},
        "POST /ab-test/{experiment_id}/stop": {},
        "POST /ab-test/{experiment_id}/conclude": {},
        "POST /ab-test/{experiment_id}/reallocate": {},
        "GET /ab-test": {},
        "GET /ab-test #cursor": {"params": {"cursor": LAST}},
        "GET /ab-test/{experiment_id}": {},
        "GET /ab-test/{experiment_id}/assign": {"params": {"unit": "u"}},
        "GET /ab-test/{experiment_id}/results": {},
        "GET /ab-test/{experiment_id}/series": {},
        **{
            f"GET /ab-test/{{experiment_id}}/{subject}.{kind}": {}
            for subject in ("lift", "boundaries", "srm")
            for kind in ("png", "svg")
        },
        "POST /ab-test/{experiment_id}/events": {"json": EVENTS},
        "POST /ab-test/{experiment_id}/posts": {"json": POSTS},
        "GET /keys": {},
        "POST /keys": {"json": {"name": "mine", "scope": "read"}},
        "DELETE /keys/{key_id}": {},
        "GET /account": {},
        "PUT /account": {"json": {"length_limit": 280}},
        "POST /metrics/import": {"files": {"file": ("posts.csv", EXPORT.encode())}},
        "GET /metrics/imports": {},
        "GET /metrics/imports #cursor": {"params": {"cursor": LAST}},
        "GET /metrics/days": {},
        "GET /metrics/export": {},
        "DELETE /metrics/imports/{import_id}": {},
        "DELETE /metrics/posts/{post_id}": {},
        "GET /metrics/posts": {},
        "GET /metrics/summary": {},
        "GET /collector": {},
        "PUT /collector": {"json": {"learn_from_api": False}},
        "GET /audience/best-times": {},
        "GET /audience/best-times.png": {},
        "GET /audience/best-times.svg": {},
        "POST /plan": {"json": {"posts": [{"text": "A post of my own."}], "from": FUTURE}},
        "GET /plan": {},
        "GET /plan.ics": {},
        "GET /plan.csv": {"params": {"tool": "buffer"}},
        "PUT /plan/{slot_id}": {"json": {"text": "taken over"}},
        "DELETE /plan/{slot_id}": {},
        "POST /links/tag": {"json": {"text": "https://example.com", "campaign": "c", "content": ids.content}},
        "POST /links/import-ga4": {
            "content": VISITS.format(content="c1", n=3),
            "headers": {"content-type": "text/csv"},
        },
        "GET /links/{content}/performance": {},
        "GET /audit": {},
        "GET /audit #cursor": {"params": {"before": 2**40}},
        "GET /audit.csv": {},
        "GET /healthz": {},
        "GET /readyz": {},
        "GET /metrics": {},
        "GET /openapi.json": {},
        "GET /metrics/live": {},
        "WS /ws/metrics": {},
        "GET /sign-in": {},
        "POST /sign-in": {"data": {"key": key_of(account)}},
        "POST /studio/sign-out": {},
        "POST /studio/language/{language}": {},
        "GET /studio/static/{name}": {},
        "GET /": {},
        "POST /studio/write/findings": {"data": form},
        "POST /studio/write": {"data": form},
        "POST /studio/write/stream": {"data": form},
        "GET /studio/write/counting.json": {},
        "POST /studio/write/plan": {"data": {"text": "Another of my own.", "at": "2099-02-05T10:00", "span": "day"}},
        "POST /studio/write/test": {"data": {"name": "t", "pick": [f"a\n{MARK}\none", "b\n\ntwo"]}},
        "GET /studio/compare": {},
        "POST /studio/compare": {"data": {"a": "We open on Monday.", "b": "we open monday!!"}},
        "POST /studio/compare/test": {"data": {"a": "We open on Monday.", "b": "we open monday!!"}},
        "GET /studio/plan": {"params": {"week": "2099-03-05"}},
        "GET /studio/plan/week": {"params": {"week": "2099-03-05"}},
        "POST /studio/plan": {"data": {"text": "A third.", "from": "2099-04-01", "to": "2099-04-03"}},
        "GET /studio/plan/slots/{slot_id}": {},
        "PUT /studio/plan/slots/{slot_id}": {"data": {"text": "taken over"}},
        "DELETE /studio/plan/slots/{slot_id}": {},
        "GET /studio/experiments": {},
        "GET /studio/experiments/new": {},
        "POST /studio/experiments/form": {"data": {"name": "x"}},
        "POST /studio/experiments/size": {"data": {"name": "x", "variant": ["a", "b"]}},
        "POST /studio/experiments": {
            "data": {"name": "x", "variant": ["a", "b"], "content": ["", ""], "template_id": [str(ids.template_id), ""]}
        },
        "GET /studio/experiments/{experiment_id}": {},
        "GET /studio/experiments/{experiment_id}/row": {},
        "GET /studio/experiments/{experiment_id}/now": {},
        "POST /studio/experiments/{experiment_id}/posts": {"data": {"post_id": "1", "posted_at": "2026-01-05T10:00"}},
        "POST /studio/experiments/{experiment_id}/{change}": {"data": {"version": "1"}},
        "GET /studio/templates": {"params": {"origin": "own"}},
        "GET /studio/templates/new": {"params": {"from": ids.template_id}},
        "GET /studio/templates/{template_id}": {},
        "GET /studio/templates/{template_id}/edit": {},
        "POST /studio/templates": {"data": TEMPLATE | {"name": "of the studio"}},
        "POST /studio/templates/{template_id}": {"data": TEMPLATE | {"name": "stolen", "version": "1"}},
        "POST /studio/templates/{template_id}/archive": {},
        "GET /studio/record": {},
        "GET /studio/record/posts": {},
        "DELETE /studio/record/posts/{post_id}": {},
        "POST /studio/record/tag": {"data": {"text": "https://example.com", "campaign": "c", "content": "c1"}},
        "GET /studio/record/visits": {"params": {"content": ids.content}},
        "GET /studio/imports": {},
        "GET /studio/imports/list": {},
        "POST /studio/imports/report": {"data": {"answer": "{}"}},
        "DELETE /studio/imports/{import_id}": {},
        "GET /studio/best-times": {},
        "GET /studio/audience": {},
        "GET /studio/audience-state": {},
        "POST /studio/audience-refresh": {},
        "GET /studio/audience/{segment:path}": {},
        "GET /studio/track-record": {},
        "GET /studio/live": {},
        "GET /studio/audit": {},
        "GET /studio/models": {},
        "GET /studio/models/{name}": {},
        "GET /studio/settings": {},
        "POST /studio/settings": {"data": {"length_limit": "280", "time_zone": "UTC", "query_retention_days": ""}},
        "POST /studio/keys": {"data": {"name": "of the studio", "scope": "read", "days": ""}},
        "DELETE /studio/keys/{key_id}": {},
        "POST /studio/settings/zone": {"data": {"time_zone": "UTC"}},
        "POST /studio/settings/delete": {"data": {"confirm": OWNER}},
        "GET /studio{path:path}": {},
        "GET /audience": {},
        "GET /audience/trends": {},
        "POST /audience/refresh": {},
        "GET /audience/{segment}": {},
        "DELETE /account #of another": {"params": {"confirm": OWNER}},
        # Last, since it takes what the others left.
        "DELETE /account": {"params": {"confirm": account}},
    }


def routes() -> set[str]:
    """Every route of the product, as METHOD path."""
    told = set()
    for noun in NOUNS:
        for route in noun.router.routes:
            methods = route.methods if isinstance(route, APIRoute) else {"WS"}
            told |= {f"{method} {route.path}" for method in methods}  # type: ignore[attr-defined]  # Starlette's
    return told


@dataclass(frozen=True)
class Said:
    """What a route answered; `text` is empty for a picture, whose bytes are `raw`."""

    status: int
    text: str
    raw: bytes


def plain(text: str, account: str) -> str:
    """An answer without what differs by nature: ids, moments, how long it took, and the account's own name."""
    text = re.sub(r'"timings_ms":\{[^}]*\}', "", text).replace(account, "ACCOUNT").replace(key_of(account), "KEY")
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"\bmm_[0-9a-f]{12}_[\w-]{43}|\b[0-9a-f]{12}\b", "KEY", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.,+Z-]*|\d{8}T\d{6}Z?", "MOMENT", text)
    text = re.sub(
        r'"(id|template_id|next_cursor|object_id)":"?\d+"?|^\d+,(?=MOMENT)|(?<=template,)\d+',
        "NUMBER",
        text,
        flags=re.MULTILINE,
    )
    # The numbers of ticks, and shards by connection.
    text = re.sub(r'"(id|daily_counts)": ?\d+', "NUMBER", text)
    text = re.sub(r'/templates/\d+|value="\d+"', "NUMBER", text)
    text = re.sub(r"\b\d+ (second|minute)s? ago\b", "AGO", text)
    text = re.sub(WRITTEN_DAY, "DAY", text)
    return re.sub(r"\b\d{1,2}:\d\d(:\d\d)?(\s[AP]M)?\b", "CLOCK", text)


def filled(path: str, ids: Ids) -> str:
    """The path of a route with ids in the place of their names."""
    names = vars(ids) | {"name": "encoder" if "/models/" in path else "studio.css", "language": "es", "change": "stop"}
    return path.replace(":path}", "}").format(**names, path="/nowhere")


@dataclass(frozen=True)
class Caller:
    """Somebody who calls every route; `ids` are those that their paths name."""

    product: Product
    account: str
    ids: Ids

    def walk(self, only: tuple[str, ...] = ("",), after: Callable[[str], None] = lambda _: None) -> dict[str, Said]:
        """What each route says whose case begins with one of `only`; `after` is told each case when it was called."""
        said = {}
        with self.product.client(self.account) as client:
            for case, sent in cases(self.ids, self.account).items():
                if case.startswith(only):
                    said[case] = self._ask(client, case, sent)
                    assert said[case].status < 500, (case, said[case].text)
                    after(case)
        return said

    def _ask(self, client: httpx.Client, case: str, sent: dict[str, Any]) -> Said:
        method, _, path = case.partition(" #")[0].partition(" ")
        if method == "WS":
            headers = {"x-api-key": key_of(self.account)}
            with connect(f"ws{self.product.url[4:]}{path}", additional_headers=headers) as socket:
                return Said(101, _of_account(socket.recv()), b"")
        answer = client.request(method, filled(path, self.ids), **sent)
        # A cookie would be sent with every later call.
        client.cookies.clear()
        if answer.headers.get("content-type", "").startswith("image/png"):
            return Said(answer.status_code, "", answer.content)
        text = _of_account(answer.text) if path == "/metrics/live" else answer.text
        return Said(answer.status_code, text, answer.content)


def _of_account(figures: str | bytes) -> str:
    """The part of the live figures that is an account's: the rest tells of the machine."""
    told = json.loads(figures)
    return json.dumps({name: told[name] for name in told if name not in {"system", "id", "at", "points"}})


@dataclass(frozen=True)
class Database:
    """The database of the product, on one connection."""

    runner: asyncio.Runner
    connection: asyncpg.Connection

    def run(self, *statements: str) -> Any:
        """Run statements; the value of the last."""
        for statement in statements[:-1]:
            self.runner.run(self.connection.execute(statement))
        return self.runner.run(self.connection.fetchval(statements[-1]))


@pytest.fixture(scope="module")
def database(product: Product) -> Iterator[Database]:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(product.database_url))
        yield Database(runner, connection)
        runner.run(connection.close())


def digest_of_everything(database: Database) -> str:
    """A statement whose value tells whether any row of the owner changed, in whatever table."""
    told = database.run(
        """SELECT json_object_agg(table_name, owned) FROM (
            SELECT table_name, bool_or(column_name = 'account_id') AS owned FROM information_schema.columns
            JOIN information_schema.tables USING (table_schema, table_name)
            WHERE table_schema = 'public' AND table_type = 'BASE TABLE' GROUP BY table_name) AS tables""",
    )
    parts = []
    for table, owned in json.loads(told).items():
        if table in SHARED:
            continue
        where = "account_id = 'acme'" if owned else WITHOUT_ACCOUNT[table]
        row = "coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), 'empty')"
        parts.append(f"SELECT '{table}=' || (SELECT {row} FROM {table} AS t WHERE {where}) AS told")
    return f"SELECT string_agg(told, ' ' ORDER BY told) FROM ({' UNION ALL '.join(parts)}) AS tables"


def store_something_of_everything(product: Product, database: Database) -> Ids:
    """Give the owner rows in every table, marked; return what a path can name of them."""

    def done(answer: httpx.Response) -> Any:
        assert answer.is_success, (answer.request.url, answer.text)
        return answer.json() if answer.content else None

    start = datetime(2026, 8, 1, 9, tzinfo=UTC)
    rows = "".join(
        f'{int(POST_ID) + n},"{start + timedelta(hours=9 * n):%a, %b %d, %Y}",{MARK} bread number {n} is here,'
        f"{MANY + n},{n + 5},{n + 7},0,0,0,1,2,0,0,0,0,0\n"
        for n in range(60)
    )
    with product.client(OWNER) as client:
        done(client.put("/account", json={"length_limit": 4000, "time_zone": ZONE, "query_retention_days": 77}))
        done(client.put("/collector", json={"learn_from_api": True}))
        template = done(client.post("/templates", json=TEMPLATE | {"name": MARK, "content": f"{MARK}: {{topic}}."}))
        variants = [{"name": f"{MARK} a", "template_id": template["id"]}, {"name": f"{MARK} b", "content": MARK}]
        split = done(client.post("/ab-test/create", json={"name": MARK, "variants": variants}))
        told = [
            {"event_id": f"{kind}{n}", "unit": f"{MARK}{n}", "variant": f"{MARK} a", "type": kind}
            for n in range(30)
            for kind in ("impression", "engagement")
        ]
        done(client.post(f"/ab-test/{split['id']}/events", json={"events": told}))
        turns = done(
            client.post("/ab-test/create", json={"name": f"{MARK} 2", "variants": VARIANTS, "design": "switchback"})
        )
        done(client.post(f"/ab-test/{turns['id']}/posts", json=POSTS))
        planned = done(
            client.post("/plan", json={"posts": [{"text": f"{MARK} in the plan"}], "from": "2099-03-03T10:00:00Z"})
        )
        imported = done(client.post("/metrics/import", files={"file": (f"{MARK}.csv", (EXPORT + rows).encode())}))
        visits = VISITS.format(content=MARK, n=MANY)
        done(client.post("/links/import-ga4", content=visits, headers={"content-type": "text/csv"}))
        done(client.post("/analyze-query", json=QUERY, headers={"Idempotency-Key": "the-same-of-both"}))
        done(client.post("/audience/refresh"))
        key = done(client.post("/keys", json={"name": MARK, "scope": "admin"}))
    database.run(
        f"""INSERT INTO audience_analysis (account_id, audience_segment, n, share, stability, computed_at, outcome,
                interests, behavior_patterns, content_preferences)
            VALUES ('acme', '{MARK}', 50, 0.5, 0.9, now(), '{{"percentile": 60, "interval": [50, 70], "account": 50}}',
                '[]', '{{"actions": []}}', '{{"preferences": [], "without_evidence": [], "marked_by": []}}')""",
        f"""UPDATE audience_refreshes SET trends = jsonb_set(
                coalesce(trends, '{{"supported": true, "note": null, "until": null, "recent_posts": 1, "past_posts": 1,
                                   "tested": 1, "bursts": []}}'), '{{note}}', '"{MARK}"') WHERE account_id = 'acme'""",
        f"""INSERT INTO account_days (account_id, day, source, counts, captured_at, import_id)
            SELECT 'acme', '2026-08-01', 'overview', '{{"impressions": {MANY}}}', now(), id FROM imports
            WHERE account_id = 'acme' LIMIT 1""",
        f"""INSERT INTO key_sessions (token_hash, key_id, expires_at)
            VALUES (sha256('a token'), '{key["id"]}', now() + interval '1 day')""",
        "INSERT INTO x_accounts (account_id, user_id, refresh_token) VALUES ('acme', '12345', 'a refresh token')",
        "INSERT INTO x_months (account_id, month, microusd) VALUES ('acme', date_trunc('month', now()), 12345)",
        f"INSERT INTO x_posts VALUES ('acme', '{POST_ID}', now(), now(), now())",
        f"""INSERT INTO x_trends VALUES ('acme', 1, now(), now(), NULL, '[{{"name": "{MARK}", "posts": 5}}]')""",
        "SELECT 1",
    )
    return Ids(template["id"], split["id"], imported["id"], POST_ID, planned["slots"][0]["id"], MARK, MARK, key["id"])


@dataclass(frozen=True)
class Walks:
    """What every route said to whom, and which of them changed something of the owner."""

    ids: Ids
    early: dict[str, Said]
    later: dict[str, Said]
    owner: dict[str, Said]
    changed: list[str]


@pytest.fixture(scope="module")
def walks(product: Product, database: Database) -> Walks:
    # What the installation notes of itself is in everybody's audit: of each model once it has answered.
    with product.client(OWNER) as client:
        client.post("/compare", json=cases(NOBODYS, OWNER)["POST /compare"]["json"])
    noted = "SELECT count(*) FROM audit_log WHERE account_id IS NULL AND detail ? 'wording' AND detail ? 'generator'"
    while not database.run(noted):
        time.sleep(0.1)
    now = datetime.now(UTC)
    left = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - now
    if left < timedelta(seconds=WALKS_S):
        time.sleep(left.total_seconds())
    early = Caller(product, EARLY, NOBODYS).walk()
    ids = store_something_of_everything(product, database)
    digest = digest_of_everything(database)
    before = database.run(digest)
    assert "=empty" not in before, "the owner has nothing in a table"
    changed = []

    def note(case: str) -> None:
        nonlocal before
        now = database.run(digest)
        if now != before:
            changed.append(case)
            before = now

    later = Caller(product, LATER, ids).walk(after=note)
    owner = Caller(product, OWNER, ids).walk(("GET", "WS"))
    return Walks(ids, early, later, owner, changed)


def test_every_route_of_the_product_has_a_case() -> None:
    assert {case.partition(" #")[0] for case in cases(NOBODYS, "default")} == routes()


def test_no_call_changes_anything_of_another_account(walks: Walks) -> None:
    assert walks.changed == []


def test_an_id_of_another_account_is_not_found_as_one_that_nobody_has(walks: Walks) -> None:
    named = [case for case in walks.later if re.search(r"\{\w+_id\}|/audience/\{segment|\{content\}", case)]
    api = [case for case in named if "/studio/" not in case]
    assert len(api) > 20
    assert {case: walks.later[case].status for case in api if walks.later[case].status != 404} == {}
    assert {case for case in named if walks.later[case].status != walks.early[case].status} == set()


def test_a_stranger_is_told_the_same_as_if_nobody_else_were_there(walks: Walks) -> None:
    def without_ids(text: str, ids: Ids) -> str:
        return re.sub("|".join(rf"\b{re.escape(str(value))}\b" for value in vars(ids).values()), "ID", text)

    different = {}
    for case, said in walks.later.items():
        texts = (
            without_ids(plain(said.text, LATER), walks.ids),
            without_ids(plain(walks.early[case].text, EARLY), NOBODYS),
        )
        # The counts of the whole installation grow with everybody.
        if case != "GET /metrics" and (texts[0] != texts[1] or said.status != walks.early[case].status):
            different[case] = texts
    assert different == {}


def test_nothing_that_is_marked_is_told_to_a_stranger(walks: Walks) -> None:
    marks = [MARK, str(MANY), POST_ID, walks.ids.experiment_id, walks.ids.import_id, walks.ids.slot_id]
    told = {}
    for case, said in walks.later.items():
        # What was sent may come back.
        sent = json.dumps(cases(walks.ids, LATER)[case], default=str) + filled(case, walks.ids)
        if found := [mark for mark in marks if mark in said.text and mark not in sent]:
            told[case] = found
    assert told == {}


def test_the_owner_sees_what_strangers_do_not(walks: Walks) -> None:
    """Otherwise the tests above would pass on an empty product."""
    same = set()
    for case, said in walks.owner.items():
        of_owner, of_later = (
            (one.status, plain(one.text, account), one.raw if not one.text else b"")
            for one, account in ((said, OWNER), (walks.later[case], LATER))
        )
        if of_owner == of_later and case != "GET /metrics":
            same.add(case.partition(" #")[0])
    assert same == FOR_EVERYBODY


def test_the_counts_of_the_installation_name_no_account(walks: Walks) -> None:
    told = walks.later["GET /metrics"].text
    assert OWNER not in told
    assert LATER not in told


def test_equal_queries_of_two_accounts_at_once_are_computed_and_stored_apart(
    product: Product, database: Database
) -> None:
    body = QUERY | {"query": "the museum shows two hundred maps of the harbour from friday on", "n_templates": 20}
    with product.client(OWNER) as theirs, product.client("default") as mine, ThreadPoolExecutor(8) as pool:
        theirs.post("/templates", json=TEMPLATE | {"name": "maps", "content": f"{MARK} maps: {{topic}}."})
        clients = [theirs, mine] * 4
        answers = list(pool.map(lambda client: client.post("/analyze-query", json=body), clients))
        # Once more, now that a cache has it.
        answers += [client.post("/analyze-query", json=body) for client in clients[:2]]
    of_default = answers[1::2]
    assert len({answer.json()["id"] for answer in answers}) == 10
    assert not any(MARK in answer.text for answer in of_default)
    ids = [answer.json()["id"] for answer in of_default]
    stored = database.run(
        f"SELECT array_agg(DISTINCT account_id) FROM analyzed_queries WHERE id = ANY('{{{','.join(ids)}}}')"
    )
    assert stored == ["default"]


def test_an_idempotency_key_of_another_account_is_a_new_one(product: Product) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    with product.client(OWNER) as theirs, product.client("default") as mine:
        first = theirs.post("/analyze-query", json=QUERY, headers=key)
        second = mine.post("/analyze-query", json=QUERY | {"query": "another text altogether"}, headers=key)
        again = theirs.post("/analyze-query", json=QUERY, headers=key)
    assert (first.status_code, second.status_code) == (200, 200)
    assert again.content == first.content
    assert second.json()["id"] != first.json()["id"]
