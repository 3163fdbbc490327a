"""What strangers send to the port: requests that two servers could read differently, and clients that never finish.

Raw bytes on sockets, since no client library would send them. Behind HAProxy and without it the promise is the same.
"""

import contextlib
import re
import socket
import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.serve.conftest import KEY, Cluster

HOST = "Host: 127.0.0.1\r\n"
POST = f"POST /analyze HTTP/1.1\r\n{HOST}x-api-key: {KEY}\r\ncontent-type: application/json\r\n"
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "
BODY = '{"texts":["a"]}'
# Requests whose end two servers could see in different places.
AMBIGUOUS = {
    "content-length before chunks": f"{POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "chunks before content-length": f"{POST}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "two lengths": f"{POST}Content-Length: 15\r\nContent-Length: 3\r\n\r\n{BODY}{SMUGGLED}",
    "two lengths in one": f"{POST}Content-Length: 15, 3\r\n\r\n{BODY}{SMUGGLED}",
    "a length with a sign": f"{POST}Content-Length: +15\r\n\r\n{BODY}{SMUGGLED}",
    "a negative length": f"{POST}Content-Length: -1\r\n\r\n{BODY}{SMUGGLED}",
    "a length in hex": f"{POST}Content-Length: 0xf\r\n\r\n{BODY}{SMUGGLED}",
    "an unknown coding": f"{POST}Transfer-Encoding: xchunked\r\nContent-Length: 15\r\n\r\n{BODY}{SMUGGLED}",
    "a space before the colon": f"{POST}Transfer-Encoding : chunked\r\nContent-Length: 15\r\n\r\n{BODY}{SMUGGLED}",
    "a folded header": f"{POST}Transfer-Encoding:\r\n chunked\r\nContent-Length: 15\r\n\r\n{BODY}{SMUGGLED}",
    "chunked twice": f"{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "a chunk longer than it says": f"{POST}Transfer-Encoding: chunked\r\n\r\n3\r\n{BODY}\r\n0\r\n\r\n{SMUGGLED}",
    "chunks with bare line feeds": f"{POST}Transfer-Encoding: chunked\r\n\r\nf\n{BODY}\n0\n\n{SMUGGLED}",
    "an old version with chunks": POST.replace("1.1", "1.0", 1)
    + f"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "a body on GET": f"GET /healthz HTTP/1.1\r\n{HOST}Content-Length: {len(SMUGGLED)}\r\n\r\n{SMUGGLED}",
}
MANY = "".join(f"X-{number}: {number}\r\n" for number in range(2_000))
MALFORMED = {
    "NUL in a header": f"GET /healthz HTTP/1.1\r\n{HOST}X-A: a\0b\r\n\r\n",
    "a carriage return in a header": f"GET /healthz HTTP/1.1\r\n{HOST}X-A: a\rb\r\n\r\n",
    "a header without a name": f"GET /healthz HTTP/1.1\r\n{HOST}: a\r\n\r\n",
    "a line that is no header": f"GET /healthz HTTP/1.1\r\n{HOST}nothing\r\n\r\n",
    "no method of this world": f"G3T\x01/ /healthz HTTP/1.1\r\n{HOST}\r\n",
    "no version": "GET /healthz\r\n\r\n",
    "a header of 128 KB": f"GET /healthz HTTP/1.1\r\n{HOST}X-A: {'a' * 131_072}\r\n\r\n",
    "2,000 headers": f"GET /healthz HTTP/1.1\r\n{HOST}{MANY}\r\n",
    "a path of 128 KB": f"GET /{'a' * 131_072} HTTP/1.1\r\n{HOST}\r\n",
    "a byte that is no ASCII in the path": f"GET /\xff HTTP/1.1\r\n{HOST}\r\n",
    "CONNECT": f"CONNECT 127.0.0.1:6379 HTTP/1.1\r\n{HOST}\r\n",
    "TRACE": f"TRACE / HTTP/1.1\r\n{HOST}x-api-key: {KEY}\r\n\r\n",
    "a method that nobody knows": f"BREW /analyze HTTP/1.1\r\n{HOST}x-api-key: {KEY}\r\n\r\n",
}
# What HAProxy refuses and uvicorn, which stands alone without it, takes.
OF_HAPROXY = {"no version", "a header of 128 KB", "2,000 headers"}
ELSEWHERE = (
    "%2e%2e/%2e%2e/pyproject.toml",
    "..%2f..%2fpyproject.toml",
    "../../pyproject.toml",
    "..%5c..%5cpyproject.toml",
)
ODD_PATHS = (
    "/%zz",
    "/%00",
    "/%ff%fe",
    "/templates/%c0%ae%c0%ae",
    "//healthz",
    "/templates/%",
    "/audience/%ff",
    "/;/../metrics",
)


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[socket.socket]:
    address = urlsplit(cluster.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        yield connection


def answered(cluster: Cluster, sent: str, seconds: float = 0.25) -> bytes:
    """All that comes back until the server closes or says nothing for so long."""
    told = b""
    with connected(cluster) as connection, contextlib.suppress(ConnectionError, TimeoutError):
        connection.settimeout(seconds)
        connection.sendall(sent.encode("latin-1"))
        while piece := connection.recv(65536):
            told += piece
    return told


def answered_once(cluster: Cluster, headers: str) -> bytes:
    """The answer to one request, after which the server closes."""
    return answered(cluster, f"{headers}Connection: close\r\n\r\n", seconds=10)


def statuses(told: bytes) -> list[int]:
    return [int(part[2:5]) for part in told.split(b"HTTP/1.")[1:]]


def assert_others_get_their_own(cluster: Cluster) -> None:
    """Requests of other clients: each is answered with its own id, and none with what a stranger left."""
    with cluster.client() as client:
        for _ in range(4):
            own = f"own-{uuid.uuid4()}"
            # On a connection of its own each: HAProxy gives it one of those to the replica.
            answer = client.get("/nowhere", headers={"x-request-id": own, "connection": "close"})
            assert (answer.status_code, answer.json()["request_id"]) == (404, own)
        assert client.post("/analyze", json={"texts": ["a"]}).status_code == 200


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_nothing_is_left_for_another_client_of_a_request_with_two_ends(cluster: Cluster, sent: str):
    # Several, so that a connection behind HAProxy would be poisoned that others are given.
    for _ in range(2):
        told = answered(cluster, sent)
        assert all(status < 500 for status in statuses(told)), told[:400]
    assert_others_get_their_own(cluster)


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request_is_refused(cluster: Cluster, name: str):
    told = answered(cluster, MALFORMED[name])
    taken = not cluster.optimized and name in OF_HAPROXY
    assert all((200 if taken else 400) <= status < 500 for status in statuses(told)), told[:400]
    assert KEY.encode() not in told
    assert_others_get_their_own(cluster)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_path_leaves_the_folder_of_the_studios_files(cluster: Cluster, name: str):
    told = answered_once(cluster, f"GET /studio/static/{name} HTTP/1.1\r\n{HOST}x-api-key: {KEY}\r\n")
    assert statuses(told) == [404]
    assert b"murmuration" not in told.partition(b"\r\n\r\n")[2].lower()


@pytest.mark.parametrize("path", ODD_PATHS)
def test_an_odd_path_is_answered_and_no_fault(cluster: Cluster, path: str):
    (status,) = statuses(answered_once(cluster, f"GET {path} HTTP/1.1\r\n{HOST}x-api-key: {KEY}\r\n"))
    assert 200 <= status < 500


def test_another_host_in_the_address_reaches_nothing_else(cluster: Cluster):
    told = answered(cluster, f"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\n{HOST}x-api-key: {KEY}\r\n\r\n")
    assert all(400 <= status < 500 for status in statuses(told)), told[:400]


def test_nobody_is_upgraded_to_http_2_without_encryption(cluster: Cluster):
    headers = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    upgrade = f"GET /healthz HTTP/1.1\r\n{HOST}{headers}\r\n"
    assert 101 not in statuses(answered(cluster, upgrade))
    preface = answered(cluster, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    assert all(status >= 400 for status in statuses(preface)), preface[:200]


def test_requests_in_one_go_are_answered_in_order(cluster: Cluster):
    ids = [f"in-order-{number}" for number in range(20)]
    requests = [f"GET /nowhere HTTP/1.1\r\n{HOST}x-api-key: {KEY}\r\nx-request-id: {own}\r\n" for own in ids]
    assert re.findall('"request_id":"([^"]+)"', answered_once(cluster, "\r\n".join(requests)).decode()) == ids


def test_clients_that_never_finish_keep_nobody_waiting(cluster: Cluster):
    """300 that are still sending headers, and 100 that are still sending a body without a key."""
    address = urlsplit(cluster.url)
    waiting = []
    try:
        for number in range(400):
            connection = socket.create_connection((address.hostname, address.port), timeout=5)
            waiting.append(connection)
            without_key = POST.replace(f"x-api-key: {KEY}\r\n", "")
            slow = f"GET / HTTP/1.1\r\n{HOST}X-A: " if number % 4 else f"{without_key}Content-Length: 1000\r\n\r\n{{"
            connection.sendall(slow.encode())
        with cluster.client() as client:
            for _ in range(20):
                started = time.monotonic()
                assert client.post("/analyze", json={"texts": ["a"]}).status_code == 200
                assert time.monotonic() - started < 5
    finally:
        for connection in waiting:
            connection.close()
