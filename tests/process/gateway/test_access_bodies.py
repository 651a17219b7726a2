"""Bodies that are too large, too slow, or lie about their length, on a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import CollectorRegistry

from gateway.access import AccessSettings, bodies
from gateway.access.middleware import AccessMiddleware
from tests.support.access_app import SECRET, Door, door, key, serving

LIMIT = 100_000


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Door:
    made = door(
        AccessSettings(
            keys=(key(),), max_body_bytes=LIMIT, max_bodies_bytes=3 * LIMIT, min_body_bytes_per_s=10_000, max_body_s=2.0
        )
    )
    assert isinstance(made.app, AccessMiddleware)
    made.app._bodies = bodies.BodyLimits(max_bytes=LIMIT, min_bytes_per_s=10_000, max_s=2.0, grace_s=0.4)
    return made


@pytest.fixture
def url(behind: Door) -> Iterator[str]:
    with serving(behind.app) as url:
        yield url


class Raw:
    """One connection, on which what is sent is written by hand."""

    def __init__(self, url: str, *headers: str, path: str = "/predict/m", secret: str = SECRET) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        lines = [f"POST {path} HTTP/1.1", "Host: x", f"X-API-Key: {secret}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def answer(self) -> tuple[int, dict]:
        """Status and JSON; the server must end the connection, or it was told to."""
        found = b""
        while piece := self.socket.recv(65536):
            found += piece
        self.socket.close()
        head, _, body = found.partition(b"\r\n\r\n")
        assert found.count(b"HTTP/1.1 ") == 1, found
        return int(head.split()[1]), json.loads(body)


def test_a_length_above_the_limit_is_refused_before_a_byte_is_read(behind: Door, url: str) -> None:
    started = time.monotonic()
    asking = Raw(url, f"Content-Length: {LIMIT + 1}")
    status, body = asking.answer()  # nothing of the body was sent
    assert (status, body["code"], body["title"]) == (413, "too_large", "Content Too Large")
    assert time.monotonic() - started < 1
    assert behind.metric("medserve_gateway_refused_total", reason="too_large") == 1


def test_no_key_is_said_before_a_byte_is_read(url: str) -> None:
    status, body = Raw(url, f"Content-Length: {LIMIT}", secret="wrong").answer()
    assert (status, body["code"]) == (401, "bad_key")


def test_a_client_that_waits_for_100_is_told_without_sending(url: str) -> None:
    status, _ = Raw(url, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue").answer()
    assert status == 413


def test_a_body_at_the_limit_comes_in(url: str) -> None:
    answer = httpx.post(f"{url}/predict/m", content=b"x" * LIMIT, headers={"X-API-Key": SECRET})
    assert (answer.status_code, answer.json()["bytes"]) == (200, LIMIT)


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413), (50 * LIMIT, 413)])
def test_a_chunked_body_is_cut_off_at_the_limit(url: str, size: int, status: int) -> None:
    pieces = (b"x" * min(10_000, size - at) for at in range(0, size, 10_000))
    answer = httpx.post(f"{url}/predict/m", content=pieces, headers={"X-API-Key": SECRET})
    assert answer.status_code == status
    if status == 413:
        assert answer.json()["code"] == "too_large"
        assert answer.headers["connection"] == "close"


def test_an_ordinary_client_reads_why_its_large_upload_was_refused(url: str) -> None:
    """80 MB, of which the server takes almost nothing."""
    answer = httpx.post(f"{url}/predict/m", content=b"x" * 80_000_000, headers={"X-API-Key": SECRET})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/predict/m", "/feedback/1"])
def test_the_frameworks_own_reading_of_a_body_is_cut_off_too(url: str, path: str) -> None:
    """FastAPI wraps whatever goes wrong while it reads JSON: the answer is ours all the same."""
    inside = door(AccessSettings(max_body_bytes=1000))
    with serving(inside.app) as open_url:
        pieces = (b'{"label": "' if at == 0 else b"x" * 500 for at in range(10))
        answer = httpx.post(open_url + path, content=pieces, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: -1"],
        ["Content-Length: 1e3"],
        ["Content-Length: +5"],
        ["Content-Length: 0x10"],
        ["Content-Length: ٣"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length:"],
        ["Content-Length: " + "9" * 400],
    ],
)
def test_malformed_lengths_are_refused(url: str, headers: list[str]) -> None:
    asking = Raw(url, *headers, "Connection: close")
    asking.socket.shutdown(socket.SHUT_WR)
    found = b""
    while piece := asking.socket.recv(65536):
        found += piece
    asking.socket.close()
    assert found.split()[1] in (b"400", b"413"), found


async def _direct(app: Callable, headers: list[tuple[bytes, bytes]]) -> int:
    """What the door itself says, of what a server before it might let through."""
    sent: list[dict] = []

    async def receive() -> dict:
        raise AssertionError("it was read")

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict/m", "headers": headers, "state": {}}
    await app(scope, receive, send)
    return sent[0]["status"]


@pytest.mark.parametrize("lengths", [["5", "5"], ["-1"], ["+1"], [" 5"], ["²"], [""], ["5,5"], ["1_0"]])
def test_the_door_does_not_rely_on_the_server_for_it(behind: Door, lengths: list[str]) -> None:
    headers = [(b"content-length", length.encode("latin-1")) for length in lengths]
    assert asyncio.run(_direct(behind.app, headers)) == 400
    both = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    assert asyncio.run(_direct(behind.app, both)) == 400


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_body_that_never_comes_ends(behind: Door, url: str, framing: str) -> None:
    started = time.monotonic()
    status, body = Raw(url, framing).answer()
    assert (status, body["code"]) == (408, "too_slow")
    assert 0.3 < time.monotonic() - started < 2
    assert behind.metric("medserve_gateway_refused_total", reason="too_slow") == 1


def test_a_body_that_drips_ends(url: str) -> None:
    """200 bytes a second, where 10,000 are asked for."""
    asking = Raw(url, "Content-Length: 10000")
    asking.socket.settimeout(0.02)
    started = time.monotonic()
    while time.monotonic() - started < 5:
        try:
            asking.send(b"xxxx")
            if asking.socket.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            continue
    asking.socket.settimeout(10)
    assert time.monotonic() - started < 1.5
    assert asking.answer()[0] == 408


def test_a_body_that_is_quick_enough_and_yet_takes_too_long_ends(url: str) -> None:
    """20,000 bytes a second for 5 s, where 2 s are allowed."""
    asking, started = Raw(url, f"Content-Length: {LIMIT}"), time.monotonic()
    for _ in range(50):
        try:
            asking.send(b"x" * 2000)
        except OSError:
            break
        time.sleep(0.1)
    asking.socket.close()
    assert 1.8 < time.monotonic() - started < 4


def test_many_slow_bodies_hold_up_nobody_else(url: str) -> None:
    slow = [Raw(url, "Content-Length: 90000") for _ in range(100)]
    started = time.monotonic()
    answer = httpx.post(f"{url}/predict/m", content=b"x" * 50_000, headers={"X-API-Key": SECRET})
    assert answer.status_code == 200
    assert time.monotonic() - started < 1
    assert {one.answer()[0] for one in slow} == {408}


def test_all_bodies_together_have_a_bound_and_give_it_back(behind: Door, url: str) -> None:
    held = [Raw(url, f"Content-Length: {LIMIT}") for _ in range(3)]
    for one in held:
        one.send(b"x" * (LIMIT - 1))
    time.sleep(0.2)
    answer = httpx.post(f"{url}/predict/m", content=b"x" * 50_000, headers={"X-API-Key": SECRET})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "overloaded", "1")
    for one in held:
        one.socket.close()
    time.sleep(0.3)
    answer = httpx.post(f"{url}/predict/m", content=b"x" * 50_000, headers={"X-API-Key": SECRET})
    assert answer.status_code == 200
    assert behind.app._limits._bytes == 0


def test_a_refused_body_never_reaches_a_second_request(url: str) -> None:
    """What was left unread is not taken for the next request of the connection."""
    smuggled = f"GET /model-info HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n\r\n".encode()
    asking = Raw(url, f"Content-Length: {LIMIT + 1}")
    try:
        asking.send(smuggled * 10)
        assert asking.answer()[0] == 413
    except ConnectionError:  # it was closed over what was sent
        asking.socket.close()


@pytest.mark.parametrize("catches", [True, False])
def test_what_an_application_says_to_a_refused_body_is_dropped(catches: bool) -> None:
    """One answer goes out, and it is ours, also where the application takes the failure for its own."""
    sent: list[dict] = []

    async def application(scope: dict, receive: Callable, send: Callable) -> None:
        try:
            while True:
                await receive()
        except Exception:
            if not catches:
                raise
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"theirs"})

    async def receive() -> dict:
        return {"type": "http.request", "body": b"x" * 60, "more_body": True}

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/x", "headers": [(b"transfer-encoding", b"chunked")]}
    app = AccessMiddleware(application, AccessSettings(max_body_bytes=100), CollectorRegistry())
    asyncio.run(app(scope, receive, send))
    assert [(one["type"], one.get("status")) for one in sent] == [
        ("http.response.start", 413),
        ("http.response.body", None),
    ]
    assert b"too_large" in sent[1]["body"]
    assert app._limits._bytes == 0
