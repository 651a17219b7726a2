"""Sockets that end when their call is over, however its time is spent, and clocks that are not rounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import aiohttp
import pytest

from medserve import TimedOut
from medserve.address import Address
from medserve.calls import Ask
from medserve.transports import http
from medserve.transports.deadline import PunctualSocket, left_s, within
from medserve.transports.http_aio import AsyncHttpTransport
from tests.support.clock import Clock


@pytest.fixture
def pair() -> Iterator[tuple[PunctualSocket, socket.socket]]:
    """A punctual socket, and what it is connected to."""
    ours, theirs = socket.socketpair()
    with PunctualSocket.of(ours) as punctual, theirs:
        yield punctual, theirs


def test_deadlines_within_deadlines() -> None:
    clock = Clock()
    with within(5, clock):
        clock.advance(1)
        with within(60, clock):
            assert left_s() == 4
        with within(2, clock):
            assert left_s() == 2
        assert left_s() == 4
    assert left_s() is None


def test_a_deadline_that_is_over_is_an_error() -> None:
    clock = Clock()
    with within(5, clock):
        clock.advance(5)
        with pytest.raises(TimeoutError):
            left_s()
    with within(5, clock):
        assert left_s() == 5


def test_a_socket_that_drips_ends_at_the_deadline(pair: tuple[PunctualSocket, socket.socket]) -> None:
    """A socket's own timeout would start again with each byte."""
    clock, got = Clock(), bytearray(1)
    ours, theirs = pair
    with within(5, clock):
        for _ in range(4):
            theirs.sendall(b"x")
            assert ours.recv_into(got) == 1
            clock.advance(1)
            assert ours.gettimeout() == left_s() + 1
        theirs.sendall(b"x")
        clock.advance(1)
        with pytest.raises(TimeoutError):
            ours.recv_into(got)


def test_a_socket_sends_no_longer_than_the_deadline(pair: tuple[PunctualSocket, socket.socket]) -> None:
    clock = Clock()
    with within(5, clock):
        pair[0].sendall(b"x")
        assert pair[0].gettimeout() == 5
        clock.advance(5)
        with pytest.raises(TimeoutError):
            pair[0].sendall(b"x")


@pytest.mark.parametrize("alive", [False, True])
def test_several_dead_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch, alive: bool) -> None:
    """Connecting to a dead one hangs for all the time that it is given. A last one that lives has its share."""
    clock = Clock()
    given: list[tuple[str, float]] = []
    addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", *(["10.0.0.4"] if alive else [])]
    ours, theirs = socket.socketpair()

    def connecting(address: tuple[str, int], timeout_s: float) -> socket.socket:
        given.append((address[0], timeout_s))
        if address[0] == "10.0.0.4":
            return ours
        clock.advance(timeout_s)
        raise TimeoutError("timed out")

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 8000)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "create_connection", connecting)
    with ours, theirs, within(12, clock):
        if alive:
            assert http._connected("triton", 8000) is ours
        else:
            with pytest.raises(TimeoutError):
                http._connected("triton", 8000)
    assert given == [(address, pytest.approx(12 / len(addresses))) for address in addresses]


@pytest.mark.parametrize(("idle_s", "connections"), [(http.IDLE_S - 1, 1), (http.IDLE_S + 1, 2)])
def test_a_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, idle_s: float, connections: int
) -> None:
    """Gateways forget silent ones."""
    clock, opened = Clock(), list[socket.socket]()
    transport = http.HttpTransport(Address.read("http://triton:8000", None, None, None), clock)

    def connecting(*_: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        opened.append(theirs)
        return ours

    monkeypatch.setattr(http, "_connected", connecting)
    monkeypatch.setattr(socket.socket, "setsockopt", lambda *_: None)  # this pair is not TCP
    transport.send(Ask("live"), 5)
    monkeypatch.setattr(http, "_readable", lambda _: False)  # the next answer is there already
    opened[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    clock.advance(idle_s)
    transport.send(Ask("live"), 5)
    assert len(opened) == connections
    transport.close()
    for each in opened:
        each.close()


def test_a_late_answer_is_not_waited_for_to_the_full_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp would round the end of a call of more than five seconds up."""
    ends: list[float] = []

    async def main() -> None:
        loop, connecting = asyncio.get_running_loop(), asyncio.Event()
        own = loop.call_at

        async def hangs(*_: object) -> None:
            connecting.set()
            await asyncio.Event().wait()

        def call_at(when: float, *arguments: object, **options: object) -> asyncio.TimerHandle:
            ends.append(when)
            return own(when, *arguments, **options)

        monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", hangs)
        transport = AsyncHttpTransport(Address.read("http://triton:8000", None, None, None))
        monkeypatch.setattr(loop, "time", lambda: 100.3)  # stands still
        monkeypatch.setattr(loop, "call_at", call_at)
        task = asyncio.create_task(transport.send(Ask("live"), 5.05))
        await connecting.wait()
        task.cancel()
        with pytest.raises((asyncio.CancelledError, TimedOut)):
            await task
        await transport.close()

    asyncio.run(main())
    assert pytest.approx(105.35) in ends
