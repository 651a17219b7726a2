"""Connections that send no request: they end after HEAD_S, and those that send one do not. No socket, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.access import AccessSettings, connections
from gateway.access.connections import HEAD_S, MAX_HEAD_BYTES
from tests.support.access_app import SECRET, door, key
from tests.support.clock import Clock, run
from tests.support.connection import Connection

HEAD = f"GET /model-info HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n".encode()


def talk(client: Callable[[Connection], Awaitable[None]]) -> tuple[float, bytes]:
    """How long the connection lasted, and what came back."""
    clock = Clock()

    async def connected() -> bytes:
        connection = Connection(door(AccessSettings(keys=(key(),)), clock).app, timeout_keep_alive=100)
        await client(connection)
        return await connection.ended()

    began, received = clock(), run(connected(), clock)
    return clock() - began, received


def test_connection_that_sends_nothing_ends() -> None:
    async def client(connection: Connection) -> None: ...

    assert talk(client) == (pytest.approx(HEAD_S), b"")


async def drip(connection: Connection) -> None:
    while not connection.is_closing():
        connection.send(b"y")
        await asyncio.sleep(0.05)


def test_headers_that_drip_end() -> None:
    async def client(connection: Connection) -> None:
        connection.send(b"GET / HTTP/1.1\r\nX: ")
        await drip(connection)

    assert talk(client) == (pytest.approx(HEAD_S, abs=0.1), b"")


def test_headers_that_drip_after_a_first_request_end() -> None:
    async def client(connection: Connection) -> None:
        connection.send(HEAD + b"\r\n" + HEAD + b"X: ")
        await drip(connection)

    seconds, received = talk(client)
    assert received.startswith(b"HTTP/1.1 200")
    assert seconds == pytest.approx(HEAD_S, abs=0.1)


def test_headers_without_end_are_refused() -> None:
    sent = 0

    async def client(connection: Connection) -> None:
        nonlocal sent
        connection.send(HEAD)
        while not connection.is_closing():
            connection.send(b"X: " + b"y" * 10_000 + b"\r\n")
            sent += 10_000

    seconds, received = talk(client)
    assert received.startswith(b"HTTP/1.1 431 ")
    assert (seconds, sent <= MAX_HEAD_BYTES + 10_000) == (0, True)


def test_slow_response_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request's headers hang while the first is answered for longer than headers may take."""
    monkeypatch.setattr(connections, "HEAD_S", 0.05)

    async def client(connection: Connection) -> None:
        wait = f"POST /wait HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\nContent-Length: 0\r\n\r\n"
        connection.send(wait.encode() + HEAD)

    seconds, received = talk(client)
    assert received.startswith(b"HTTP/1.1 200")
    assert b'{"most":' in received
    assert 0.2 <= seconds < 0.3


@pytest.mark.parametrize("more", ["", "Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"])
def test_bytes_that_are_no_request_keep_no_connection(more: str) -> None:
    """They stop uvicorn's own timer: without a key one could hold all connections there are."""

    async def client(connection: Connection) -> None:
        connection.send(f"HEAD / HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
        assert (await connection.responded()).startswith(b"HTTP/1.1 ")
        connection.send({"": b"\r\n", "C": b"x"}.get(more[:1], b"1\r\nx\r\n"))

    seconds, _ = talk(client)
    assert seconds < HEAD_S + 0.1


def test_connection_that_rests_between_requests_lives() -> None:
    async def client(connection: Connection) -> None:
        for count in range(1, 4):
            connection.send(HEAD + b"\r\n")
            await asyncio.sleep(3 * HEAD_S)
            assert connection.received.count(b"HTTP/1.1 200") == count

    seconds, _ = talk(client)
    assert seconds == pytest.approx(6 * HEAD_S + 100)
