"""A client that hangs up while it sends is no error of ours."""

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deployments.http.gate import Gate
from deployments.http.ingress import create_api

KEY = "a-key-of-sixteen-characters"


async def test_who_hangs_up_while_sending_is_counted_as_gone_and_logged_as_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted: list[int] = []
    gate = Gate(
        create_api(cast("Any", SimpleNamespace())), {"default": KEY}, lambda _route, status, _s: counted.append(status)
    )
    gate.max_requests = 8
    headers = [(b"x-api-key", KEY.encode()), (b"content-type", b"application/json"), (b"content-length", b"40")]
    scope = {
        "type": "http", "method": "POST", "path": "/analyze-query", "raw_path": b"/analyze-query", "query_string": b"",
        "headers": headers, "scheme": "http", "server": ("127.0.0.1", 8000), "client": None, "root_path": "",
        "http_version": "1.1",
    }  # fmt: skip
    received = iter(
        [{"type": "http.request", "body": b'{"query": "half', "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Any:
        return next(received)

    async def send(_message: Any) -> None:
        return

    with caplog.at_level(logging.ERROR):
        await gate(scope, receive, send)
    assert counted == [499]
    assert caplog.records == []
