"""Both clients over real connections: safe in threads, cancelled and closed without a trace."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from medserve import (
    AsyncClient,
    Client,
    ClientClosed,
    MedServeError,
    Retry,
    ServerFault,
)
from medserve.testing import FakeModel, FakeServer
from tests.support.clock import HANG_S, until
from tests.support.server_stub import films, listening


@pytest.fixture
def server() -> FakeServer:
    return films()


def _echo(text: str) -> str:
    return text.encode().hex()


def test_cancelling_a_task_drops_its_call() -> None:
    asked, dropped = threading.Event(), threading.Event()

    def slow(_sent: object) -> dict:
        asked.set()
        dropped.wait(HANG_S)
        return {}

    async def main() -> None:
        with listening(FakeServer({"m": FakeModel(labels=("A",), probabilities=(1.0,), answering=slow)})) as ports:
            for scheme in ("grpc", "http"):
                asked.clear()
                dropped.clear()
                async with AsyncClient(ports.url(scheme)) as client:
                    await client.models()
                    task = asyncio.create_task(client.predict("m", image=b"x"))
                    assert await asyncio.to_thread(asked.wait, HANG_S)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    dropped.set()
                    assert (await client.health()).ready

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_64_threads_share_one_client(server: FakeServer, scheme: str) -> None:
    def ask(client: Client, index: int) -> str:
        answer = client.predict("chest_xray", image=f"film {index}".encode())
        return "" if answer.report["echo"] == _echo(f"film {index}") else "another's answer"

    with listening(server) as ports, Client(ports.url(scheme)) as client, ThreadPoolExecutor(64) as pool:
        assert set(pool.map(lambda index: ask(client, index), range(1000))) == {""}


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_closing_leaves_nothing(server: FakeServer, scheme: str) -> None:
    process = psutil.Process()
    with listening(server) as ports:
        url = ports.url(scheme)
        with Client(url) as client:  # what libraries start once and keep
            client.predict("chest_xray", image=b"x")
        gc.collect()
        threads, files = threading.active_count(), process.num_fds()
        for _ in range(10):
            client = Client(url)
            client.predict("chest_xray", image=b"x")
            client.close()
            client.close()
            with pytest.raises(ClientClosed, match="got a closed one"):
                client.predict("chest_xray", image=b"x")
        gc.collect()
        until(lambda: process.num_fds() <= files + 2, "the stub to close its side of the connections")
        assert len([each for each in threading.enumerate() if "medserve" in each.name]) == 0
        assert threading.active_count() <= threads + 16  # the stub's own handlers


def test_a_restarted_server_is_found_again(server: FakeServer) -> None:
    with listening(server) as ports, Client(ports.url("http"), retry=Retry(attempts=1)) as client:
        client.predict("chest_xray", image=b"x")
        server.fail(ServerFault("died", status="UNAVAILABLE"))
        with pytest.raises(MedServeError):
            client.predict("chest_xray", image=b"x")
        assert client.predict("chest_xray", image=b"x").label == "COVID-19"


def test_headers_and_keys_go_with_each_call(server: FakeServer) -> None:
    with listening(server) as ports:
        for scheme in ("grpc", "http"):
            with Client(ports.url(scheme), headers={"X-Request-Source": "ward 7"}, api_key="secret") as client:
                client.models()
            assert ports.seen_headers[-1]["x-request-source"] == "ward 7"
            assert ports.seen_headers[-1]["authorization"] == "Bearer secret"
