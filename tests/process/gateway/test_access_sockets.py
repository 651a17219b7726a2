"""What a client meets on a real connection; by how much, and after how long, is in the unit tests."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.access import AccessSettings, connections
from gateway.access.bodies import BodyLimits
from gateway.access.connections import BoundedHead
from gateway.access.middleware import AccessMiddleware
from gateway.app import create_app
from gateway.settings import Settings
from tests.support.access_app import SECRET, Door, answered_without_a_key, documented, door, key, serving, sha256
from tests.support.clock import until
from tests.support.gateway_app import film_server

LIMIT, PATIENCE_S, CLIENTS = 100_000, 120, 50
RIGHT = {"X-API-Key": SECRET}


@pytest.fixture
def behind() -> Door:
    settings = AccessSettings(keys=(key(),), max_body_bytes=LIMIT, max_bodies_bytes=3 * LIMIT, max_body_s=PATIENCE_S)
    return door(settings)


@pytest.fixture
def url(behind: Door) -> Iterator[str]:
    with serving(behind.app, http=BoundedHead) as url:
        yield url


@contextmanager
def opened(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as connection:
        yield connection


def head(*headers: str) -> bytes:
    return "\r\n".join(["POST /predict/m HTTP/1.1", "Host: x", f"X-API-Key: {SECRET}", *headers, "", ""]).encode()


def to_the_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def refused(connection: socket.socket) -> tuple[int, str]:
    """Status and code of the one response after which the server closes."""
    received = to_the_end(connection)
    assert received.count(b"HTTP/1.1 ") == 1, received
    lines, _, body = received.partition(b"\r\n\r\n")
    return int(lines.split()[1]), json.loads(body)["code"]


def post(url: str, content: bytes) -> httpx.Response:
    return httpx.post(f"{url}/predict/m", content=content, headers=RIGHT, timeout=PATIENCE_S)


def test_no_documented_route_answers_without_a_key(behind: Door, url: str) -> None:
    document = behind.inner.openapi()
    assert len(documented(document)) >= 7
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        assert answered_without_a_key(client, document) == []


def test_length_above_the_limit_is_refused_without_a_body(url: str) -> None:
    with opened(url) as connection:
        connection.sendall(head(f"Content-Length: {LIMIT + 1}"))
        assert refused(connection) == (413, "too_large")


def test_body_at_the_limit_comes_in(url: str) -> None:
    answer = post(url, b"x" * LIMIT)
    assert (answer.status_code, answer.json()["bytes"]) == (200, LIMIT)


def test_an_ordinary_client_reads_why_its_large_upload_was_refused(url: str) -> None:
    """80 MB, of which the server takes almost nothing."""
    assert post(url, b"x" * 80_000_000).status_code == 413


def test_body_that_never_comes_ends(behind: Door, url: str) -> None:
    assert isinstance(behind.app, AccessMiddleware)
    behind.app._bodies = BodyLimits(max_bytes=LIMIT, min_bytes_per_s=10_000, max_s=2.0, grace_s=0.4)
    with opened(url) as connection:
        connection.sendall(head("Content-Length: 1000"))
        assert refused(connection) == (408, "too_slow")


def test_bodies_that_are_given_up_give_back_their_memory(behind: Door, url: str) -> None:
    parts = urlsplit(url)
    held = [socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) for _ in range(3)]
    for connection in held:
        connection.sendall(head(f"Content-Length: {LIMIT}") + b"x" * (LIMIT - 1))
    until(lambda: behind.app._limits._bytes == 3 * (LIMIT - 1), "three bodies")
    assert post(url, b"x" * 50_000).json()["code"] == "overloaded"
    for connection in held:
        connection.close()
    until(lambda: behind.app._limits._bytes == 0, "their end")
    assert post(url, b"x" * 50_000).status_code == 200


def test_refused_body_never_reaches_a_second_request(url: str) -> None:
    """What was left unread is not taken for the next request of the connection."""
    smuggled = f"GET /model-info HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n\r\n".encode()
    with opened(url) as connection:
        connection.sendall(head(f"Content-Length: {LIMIT + 1}"))
        try:
            connection.sendall(smuggled * 10)
            assert refused(connection) == (413, "too_large")
        except ConnectionError:  # it was closed over what was sent
            pass


def test_connection_that_sends_nothing_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    with opened(url) as connection:
        assert to_the_end(connection) == b""


def test_headers_without_end_end(url: str) -> None:
    sent = 0
    with opened(url) as connection:
        try:
            connection.sendall(head()[:-2])
            while sent < 50_000_000:
                sent += connection.send(b"X: " + b"y" * 10_000 + b"\r\n")
        except OSError:
            pass
    assert sent < 20_000_000  # what the kernel's buffers took


async def flood(url: str, path: str, each: int = 1) -> Counter[int]:
    """Statuses of 50 clients, each with its own connection, all at once."""
    many = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(timeout=PATIENCE_S, headers=RIGHT, limits=many) as client:

        async def ask() -> list[int]:
            return [(await client.post(url + path)).status_code for _ in range(each)]

        return Counter(status for found in await asyncio.gather(*(ask() for _ in range(CLIENTS))) for status in found)


def test_a_rate_holds_under_50_clients() -> None:
    behind = door(AccessSettings(keys=(key(rate_per_s=1e-6, burst=37),)))
    with serving(behind.app) as url:
        assert asyncio.run(flood(url, "/predict/m", each=4)) == {200: 37, 429: CLIENTS * 4 - 37}


def test_clients_that_go_away_give_back_their_places() -> None:
    """50 that hang up in the middle of their request, with 3 places."""
    behind = door(AccessSettings(keys=(key(concurrency=3),)))

    def under_way() -> int:
        return sum(use.under_way for use in behind.app._limits._uses.values())

    with serving(behind.app) as url:
        for _ in range(CLIENTS):
            with opened(url) as connection:
                connection.sendall(head("Content-Length: 99") + b"x")
                until(under_way, "a request under way")
            until(lambda: not under_way(), "its place")
        assert asyncio.run(flood(url, "/wait"))[200] >= 3
    assert behind.inner.state.most == 3


# ── before the whole application ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def whole(folder: Path, **access: str) -> Iterator[str]:
    """The URL of a gateway before a server in memory."""
    settings = Settings(audit=f"sqlite:///{folder}/audit.sqlite3")
    transports = {settings.server: film_server().asynchronous()}
    with serving(
        create_app(settings, AccessSettings.from_environment(access), transports=transports), http=BoundedHead
    ) as url:
        yield url


@pytest.mark.parametrize("path", ["/page/../predict/film", "/page/%2e%2e/predict/film", "/page/../metrics"])
def test_a_way_round_is_refused(tmp_path: Path, path: str) -> None:
    end = "Host: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with whole(tmp_path, GATEWAY_KEYS=f"ward:{sha256(SECRET)}") as url:
        for method, statuses in (("GET", (b"401", b"404")), ("POST", (b"401",))):
            with opened(url) as connection:
                connection.sendall(f"{method} {path} HTTP/1.1\r\n{end}".encode())
                assert to_the_end(connection).split()[1] in statuses


def test_bodies_are_bounded_before_they_are_read(tmp_path: Path) -> None:
    start = b"POST /predict/film HTTP/1.1\r\nHost: x\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n200\r\n%s\r\n200\r\n%s\r\n" % (bytes(0x200), bytes(0x200))
    with whole(tmp_path, GATEWAY_MAX_BODY_BYTES="1000") as url:
        for rest in (b"Content-Length: 1001\r\n\r\n", chunked):
            with opened(url) as connection:
                connection.sendall(start + rest)
                assert refused(connection) == (413, "too_large")
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            assert client.post("/predict/film", content=b"x" * 1000).status_code == 200
            form = {"file": ("x", b"x" * 1000)}
            assert client.post("/predict/film", files=form).json()["code"] == "too_large"


def test_a_body_that_trickles_ends(tmp_path: Path) -> None:
    with whole(tmp_path, GATEWAY_MAX_BODY_S="1") as url, opened(url) as connection:
        connection.sendall(b"POST /predict/film HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nx")
        assert refused(connection) == (408, "too_slow")


def test_concurrency_holds(tmp_path: Path) -> None:
    """Bodies that are not finished hold their places."""
    request = head("Content-Length: 105").replace(b"/predict/m", b"/predict/film") + b"x" * 100
    keys = {"GATEWAY_KEYS": f"ward:{sha256(SECRET)}", "GATEWAY_CONCURRENCY": "3"}
    keys["GATEWAY_MIN_BODY_BYTES_PER_S"] = "1"  # a byte earns a second
    with whole(tmp_path, **keys) as url, httpx.Client(base_url=url, headers=RIGHT, timeout=PATIENCE_S) as client:

        def status() -> int:
            return client.post("/predict/film", content=b"x").status_code

        with opened(url) as one, opened(url) as two:
            with opened(url) as three:
                for connection in (one, two, three):
                    connection.sendall(request)
                until(lambda: status() == 429, "three under way")
            until(lambda: status() == 200, "the place of one that went away")
            for connection in (one, two):
                connection.sendall(b"xxxxx")
                assert b" 200 " in connection.recv(65536).split(b"\r\n")[0]
