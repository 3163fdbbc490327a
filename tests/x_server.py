"""A small X API v2 on loopback, with the shapes, limits and errors that X documents; posts and tokens are made up.

https://docs.x.com/x-api/posts/get-posts-by-ids, /x-api/users/get-posts, /x-api/trends/trends-by-woeid/introduction,
/x-api/fundamentals/rate-limits and /resources/fundamentals/authentication/oauth-2-0/authorization-code
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from pipelines.outcomes.collecting import id_at

USER = "2244994945"
CLIENT = "made-up-client"
PUBLIC = ("retweet_count", "reply_count", "like_count", "quote_count", "bookmark_count", "impression_count")


@dataclass
class Scripted:
    """What the next call gets in place of its answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    path: str = "/2/"


class XServer:
    """Serves one account; `returned` counts the posts that X would charge for, by path."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.posts: dict[int, dict[str, Any]] = {}
        self.hidden: set[int] = set()
        self.app_tokens = {"app-token"}
        self.access_tokens: set[str] = set()
        self.refresh_tokens = {"refresh-0"}
        self.refreshes = 0
        self.script: deque[Scripted] = deque()
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.returned = {"timeline": 0, "lookup": 0}
        self.trends: list[Any] = [{"trend_name": f"#made_up_{n}", "tweet_count": 1000 - n} for n in range(60)]
        self.page_limit = 100
        self.called = asyncio.Event()
        self.api = web.Application(middlewares=[self._scripted])
        self.api.router.add_get("/2/users/{id}/tweets", self._timeline)
        self.api.router.add_get("/2/tweets", self._lookup)
        self.api.router.add_get("/2/trends/by/woeid/{woeid}", self._trends)
        self.api.router.add_post("/2/oauth2/token", self._token)

    def post(self, at: datetime, text: str = "we open on Monday", **fields: Any) -> str:
        """Publish a post; its counts grow with its age."""
        post_id = id_at(at)
        while post_id in self.posts:
            post_id += 1
        self.posts[post_id] = {"at": at, "row": {"text": text, **fields}}
        return str(post_id)

    @web.middleware
    async def _scripted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append((request.path, dict(request.query)))
        self.called.set()
        if self.script and request.path.startswith(self.script[0].path):
            turn = self.script.popleft()
            await asyncio.sleep(turn.after_s)
            if (turn.status, turn.body) != (200, b"{}"):
                return web.Response(
                    status=turn.status, body=turn.body, headers=turn.headers, content_type="application/json"
                )
        return await handler(request)

    def _access(self, request: web.Request) -> str | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return "app" if token in self.app_tokens else "user" if token in self.access_tokens else None

    async def _timeline(self, request: web.Request) -> web.Response:
        access, asked = self._access(request), request.query
        if access is None:
            return _problem(401, "Unauthorized")
        size = int(asked.get("max_results", "10"))
        if not 5 <= size <= 100 or request.match_info["id"] != USER:
            return _problem(400, "Invalid Request")
        since, until = int(asked.get("since_id", "0")), int(asked.get("until_id", str(2**63 - 1)))
        first = int(asked.get("pagination_token", "0"))
        ids = sorted((post_id for post_id in self.posts if since < post_id < until), reverse=True)
        page = ids[first : first + min(size, self.page_limit)]
        rows, errors = self._rows(page, access, asked.get("tweet.fields", ""))
        self.returned["timeline"] += len(rows)
        meta: dict[str, Any] = {"result_count": len(rows)}
        if first + len(page) < len(ids):
            meta["next_token"] = str(first + len(page))
        return _json(({"data": rows} if rows else {}) | ({"errors": errors} if errors else {}) | {"meta": meta})

    async def _lookup(self, request: web.Request) -> web.Response:
        access = self._access(request)
        if access is None:
            return _problem(401, "Unauthorized")
        asked = request.query["ids"].split(",")
        if len(asked) > 100:
            return _problem(400, "Invalid Request")
        there = [int(one) for one in asked if int(one) in self.posts]
        rows, errors = self._rows(there, access, request.query.get("tweet.fields", ""))
        self.returned["lookup"] += len(rows)
        errors += [
            {
                "value": one,
                "detail": f"Could not find tweet with ids: [{one}].",
                "title": "Not Found Error",
                "resource_type": "tweet",
                "parameter": "ids",
                "resource_id": one,
                "type": "https://api.twitter.com/2/problems/resource-not-found",
            }
            for one in asked
            if int(one) not in self.posts
        ]
        return _json(({"data": rows} if rows else {}) | ({"errors": errors} if errors else {}))

    async def _trends(self, request: web.Request) -> web.Response:
        if self._access(request) is None:
            return _problem(401, "Unauthorized")
        size = int(request.query.get("max_trends", "20"))
        if not 1 <= size <= 50 or request.query.get("trend.fields") != "trend_name,tweet_count":
            return _problem(400, "Invalid Request")
        return _json({"data": self.trends[:size]})

    def _rows(self, ids: list[int], access: str, fields: str) -> tuple[list[Any], list[Any]]:
        rows, errors = [], []
        for post_id in ids:
            at = self.posts[post_id]["at"]
            private = "non_public_metrics" in fields
            if post_id in self.hidden or (private and (access == "app" or self.clock() - at > timedelta(days=30))):
                errors.append(
                    {
                        "resource_id": str(post_id),
                        "parameter": "ids",
                        "resource_type": "tweet",
                        "title": "Authorization Error",
                        "type": "https://api.twitter.com/2/problems/not-authorized-for-resource",
                    }
                )
                continue
            minutes = int((self.clock() - at).total_seconds() // 60)
            row = {
                "id": str(post_id),
                "created_at": at.isoformat().replace("+00:00", "Z"),
                "edit_history_tweet_ids": [str(post_id)],
                "public_metrics": dict.fromkeys(PUBLIC, 1) | {"impression_count": minutes, "like_count": minutes // 10},
            }
            if private:
                row["non_public_metrics"] = {
                    "impression_count": minutes,
                    "url_link_clicks": 3,
                    "user_profile_clicks": 2,
                    "engagements": minutes // 5,
                }
                row["organic_metrics"] = {"impression_count": minutes, "like_count": minutes // 10}
            rows.append(row | self.posts[post_id]["row"])
        return rows, errors

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_id") != CLIENT or form.get("refresh_token") not in self.refresh_tokens:
            return _problem(400, "invalid_request")
        self.refreshes += 1
        self.refresh_tokens = {f"refresh-{self.refreshes}"}
        self.access_tokens = {f"access-{self.refreshes}"}
        (refresh,), (access,) = self.refresh_tokens, self.access_tokens
        return _json({"token_type": "bearer", "expires_in": 7200, "access_token": access, "refresh_token": refresh})


def _json(content: Any) -> web.Response:
    # As X escapes: a lone surrogate travels as \udXXX.
    return web.Response(body=json.dumps(content).encode(), content_type="application/json")


def _problem(status: int, title: str) -> web.Response:
    body = {"title": title, "detail": title, "type": "about:blank", "status": status}
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/problem+json")
