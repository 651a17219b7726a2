"""Bodies that are too large, too slow, or lie about their length: uvicorn's parser, no socket, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from gateway.access import AccessSettings
from gateway.access.bodies import GRACE_S
from gateway.access.middleware import AccessMiddleware
from tests.support.access_app import SECRET, Door, door, key
from tests.support.clock import Clock, run
from tests.support.connection import Connection

LIMIT, RATE, MAX_S = 1_000_000, 10_000, 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock(0)


@pytest.fixture
def behind(clock: Clock) -> Door:
    settings = AccessSettings(
        keys=(key(),),
        max_body_bytes=LIMIT,
        max_bodies_bytes=3 * LIMIT,
        min_body_bytes_per_s=RATE,
        max_body_s=MAX_S,
    )
    return door(settings, clock)


def opened(behind: Door, *headers: str, secret: str = SECRET) -> Connection:
    """A connection on which the head of a request was sent."""
    connection = Connection(behind.app)
    lines = ["POST /predict/m HTTP/1.1", "Host: x", f"X-API-Key: {secret}", *headers, "", ""]
    connection.send("\r\n".join(lines).encode())
    return connection


def refused(behind: Door, clock: Clock, *headers: str, secret: str = SECRET) -> tuple[int, str]:
    """Status and code, where nothing of the body is sent."""

    async def talk() -> tuple[int, dict[str, Any]]:
        return await opened(behind, *headers, secret=secret).problem()

    status, body = run(talk(), clock)
    return status, body["code"]


def test_length_above_the_limit_is_refused_before_a_byte_is_read(behind: Door, clock: Clock) -> None:
    assert refused(behind, clock, f"Content-Length: {LIMIT + 1}") == (413, "too_large")
    assert clock() == 0
    assert behind.metric("medserve_gateway_refused_total", reason="too_large") == 1


def test_wrong_key_is_refused_before_a_byte_is_read(behind: Door, clock: Clock) -> None:
    assert refused(behind, clock, f"Content-Length: {LIMIT}", secret="wrong") == (401, "bad_key")
    assert clock() == 0


def test_client_that_waits_for_100_is_refused_without_sending(behind: Door, clock: Clock) -> None:
    assert refused(behind, clock, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue") == (413, "too_large")


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413), (50 * LIMIT, 413)])
def test_chunked_body_is_cut_off_at_the_limit(behind: Door, clock: Clock, size: int, status: int) -> None:
    async def talk() -> bytes:
        connection = opened(behind, "Transfer-Encoding: chunked")
        for at in range(0, size, 10_000):
            piece = b"x" * min(10_000, size - at)
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            await asyncio.sleep(0)
            if connection.is_closing():
                break
        else:
            connection.send(b"0\r\n\r\n")
        return await connection.responded()

    received = run(talk(), clock).lower()
    assert received.startswith(b"http/1.1 %d" % status)
    assert (b'"too_large"' in received, b"connection: close" in received) == (status == 413,) * 2


@pytest.mark.parametrize("path", ["/predict/m", "/feedback/1"])
def test_body_that_the_framework_reads_is_cut_off_too(path: str) -> None:
    """FastAPI wraps whatever goes wrong while it reads JSON: the response is the middleware's all the same."""

    async def talk() -> tuple[int, dict[str, Any]]:
        connection = Connection(door(AccessSettings(max_body_bytes=1000), Clock()).app)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.send(head.encode() + b'b\r\n{"label": "\r\n')
        for _ in range(10):
            if not connection.is_closing():
                connection.send(b"1f4\r\n%s\r\n" % (b"x" * 500))
        return await connection.problem()

    status, body = run(talk(), Clock())
    assert (status, body["code"]) == (413, "too_large")


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
def test_malformed_lengths_are_refused(behind: Door, clock: Clock, headers: list[str]) -> None:
    async def talk() -> bytes:
        return await opened(behind, *headers, "Connection: close").ended()

    assert run(talk(), clock).split()[1] in (b"400", b"413")


async def _direct(app: Callable, headers: list[tuple[bytes, bytes]]) -> int:
    """What the middleware itself returns for what a server before it might let through."""
    sent: list[dict] = []

    async def receive() -> dict:
        raise AssertionError("it was read")

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict/m", "headers": headers, "state": {}}
    await app(scope, receive, send)
    return sent[0]["status"]


@pytest.mark.parametrize("lengths", [["5", "5"], ["-1"], ["+1"], [" 5"], ["²"], [""], ["5,5"], ["1_0"]])
def test_malformed_lengths_that_a_server_lets_through_are_refused(behind: Door, lengths: list[str]) -> None:
    headers = [(b"content-length", length.encode("latin-1")) for length in lengths]
    assert asyncio.run(_direct(behind.app, headers)) == 400
    both = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    assert asyncio.run(_direct(behind.app, both)) == 400


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_body_that_never_comes_ends_after_the_grace(behind: Door, clock: Clock, framing: str) -> None:
    assert refused(behind, clock, framing) == (408, "too_slow")
    assert clock() == pytest.approx(GRACE_S)
    assert behind.metric("medserve_gateway_refused_total", reason="too_slow") == 1


def dripped(behind: Door, clock: Clock, piece: bytes, pause_s: float) -> tuple[int, float]:
    """The status, and after how many seconds, of a body that comes piece by piece."""

    async def talk() -> tuple[int, dict[str, Any]]:
        connection = opened(behind, f"Content-Length: {LIMIT}")
        while not connection.is_closing():
            connection.send(piece)
            await asyncio.sleep(pause_s)
        return await connection.problem()

    status, _ = run(talk(), clock)
    return status, clock()


def test_body_that_drips_ends_after_the_grace(behind: Door, clock: Clock) -> None:
    """200 bytes a second, where RATE is expected: each second earns a fiftieth of one."""
    assert dripped(behind, clock, b"xxxx", 0.02) == (408, pytest.approx(GRACE_S * 1.02, abs=0.05))


def test_body_that_is_quick_enough_and_takes_too_long_ends(behind: Door, clock: Clock) -> None:
    """12,000 bytes a second would take 83 s, where 60 are allowed."""
    assert dripped(behind, clock, b"x" * 1200, 0.1) == (408, pytest.approx(MAX_S, abs=0.2))


def test_many_slow_bodies_hold_up_no_other(behind: Door, clock: Clock) -> None:
    async def talk() -> list[int]:
        slow = [opened(behind, "Content-Length: 90000") for _ in range(100)]
        quick = opened(behind, "Content-Length: 5")
        quick.send(b"12345")
        assert (await quick.responded()).startswith(b"HTTP/1.1 200")
        assert (clock(), [one for one in slow if one.received]) == (0, [])
        return [(await one.problem())[0] for one in slow]

    assert set(run(talk(), clock)) == {408}


def test_all_bodies_together_have_a_bound_and_give_it_back(behind: Door, clock: Clock) -> None:
    async def talk() -> None:
        held = [opened(behind, f"Content-Length: {LIMIT}") for _ in range(3)]
        for one in held:
            for _ in range(9):  # all but a tenth
                one.send(b"x" * (LIMIT // 10))
                while one.unread:
                    await asyncio.sleep(0)
            one.send(b"x" * (LIMIT // 10 - 1))
        await asyncio.sleep(0.001)
        assert behind.app._limits._bytes == 3 * (LIMIT - 1)
        refused = opened(behind, "Content-Length: 50000")
        refused.send(b"x" * 50_000)
        status, body = await refused.problem()
        assert (status, body["code"], b"retry-after: 1\r\n" in refused.received) == (503, "overloaded", True)
        for one in held:
            one.hang_up()
        await asyncio.sleep(0.001)
        again = opened(behind, "Content-Length: 50000")
        again.send(b"x" * 50_000)
        assert (await again.responded()).startswith(b"HTTP/1.1 200")

    run(talk(), clock)
    assert behind.app._limits._bytes == 0


def test_refused_body_never_reaches_a_second_request(behind: Door, clock: Clock) -> None:
    """What was left unread is not taken for the next request of the connection."""
    smuggled = f"GET /model-info HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n\r\n".encode()

    async def talk() -> tuple[int, dict[str, Any]]:
        connection = opened(behind, f"Content-Length: {LIMIT + 1}")
        connection.send(smuggled * 10)
        return await connection.problem()

    assert run(talk(), clock)[0] == 413


@pytest.mark.parametrize("catches", [True, False])
def test_what_an_application_sends_after_a_refused_body_is_dropped(catches: bool) -> None:
    """One response goes out, and it is the middleware's, also where the application takes the failure for its own."""
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


def test_body_at_the_limit_comes_in(behind: Door) -> None:
    answer = TestClient(behind.app).post("/predict/m", content=b"x" * LIMIT, headers={"X-API-Key": SECRET})
    assert (answer.status_code, answer.json()["bytes"]) == (200, LIMIT)
