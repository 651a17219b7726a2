"""What goes wrong on the way: each harm ends in its error, and what would never end when the time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from medserve import AsyncClient, BrokenAnswer, Client, MedServeError, Prediction, Retry, TimedOut, Unavailable
from medserve.testing import FakeServer
from tests.support.clock import HANG_S
from tests.support.server_stub import Ports, films, listening, proxy

LATE_S = 0.5  # of calls that nothing but their own clock ends
Ask = Callable[..., Prediction]


@pytest.fixture(scope="module")
def stub() -> Iterator[tuple[FakeServer, Ports]]:
    server = films()
    with listening(server) as ports:
        yield server, ports


def ask_sync(url: str, **options) -> Prediction:
    with Client(url, **options) as client:
        return client.predict("chest_xray", image=b"film")


def ask_async(url: str, **options) -> Prediction:
    async def ask() -> Prediction:
        async with AsyncClient(url, **options) as client:
            return await client.predict("chest_xray", image=b"film")

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [ask_sync, ask_async])
@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize(
    ("harm", "over_grpc", "over_http"),
    [
        ("reset", Unavailable, Unavailable),
        ("truncate", Unavailable, BrokenAnswer),  # gRPC does not tell a broken answer from none
        ("storm", Unavailable, Unavailable),
        ("drip", TimedOut, TimedOut),
        ("half_open", TimedOut, TimedOut),
    ],
)
def test_each_harm_is_one_error_in_time(
    stub: tuple[FakeServer, Ports],
    scheme: str,
    ask: Ask,
    harm: str,
    over_grpc: type[MedServeError],
    over_http: type[MedServeError],
) -> None:
    _, ports = stub
    with proxy(ports.grpc if scheme == "grpc" else ports.http, harm) as port:
        error = over_grpc if scheme == "grpc" else over_http
        with pytest.raises(error) as caught:
            ask(f"{scheme}://127.0.0.1:{port}", timeout_s=LATE_S if error is TimedOut else HANG_S)
        assert caught.value.__cause__ is not None or harm == "storm"


@pytest.mark.parametrize("ask", [ask_sync, ask_async])
@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_server_that_was_away_for_a_moment_is_asked_again(
    stub: tuple[FakeServer, Ports], scheme: str, ask: Ask
) -> None:
    server, ports = stub
    server.calls.clear()
    server.fail(Unavailable("busy", status="UNAVAILABLE"), times=2)
    assert ask(ports.url(scheme), timeout_s=HANG_S).report["echo"] == b"film".hex()
    assert len(server.calls) == 4  # describe three times, predict once


@pytest.mark.parametrize("ask", [ask_sync, ask_async])
@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_what_was_refused_is_not_asked_again(stub: tuple[FakeServer, Ports], scheme: str, ask: Ask) -> None:
    server, ports = stub
    server.calls.clear()
    server.fail(MedServeError("no", status="400"))
    with pytest.raises(ValueError, match="no"):
        ask(ports.url(scheme))
    assert len(server.calls) == 1


@pytest.mark.parametrize("ask", [ask_sync, ask_async])
@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_listens(scheme: str, ask: Ask) -> None:
    with pytest.raises(Unavailable, match=r"Is .* running, and is the port right"):
        ask(f"{scheme}://127.0.0.1:9", timeout_s=HANG_S, retry=Retry(attempts=2, first_s=0.01))
