"""Both clients: alike in every word, safe in threads, loops and forks, and closed without a trace."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from medserve import (
    AsyncClient,
    Client,
    ClientClosed,
    InvalidInput,
    MedServeError,
    Retry,
    ServerFault,
    Unavailable,
    UnknownModel,
)
from medserve.testing import FakeModel, FakeServer
from tests.support.server_stub import films, listening

VERBS = ["predict", "predict_batch", "models", "describe", "seen", "health", "wait_until_ready", "close"]
LOOSE = str.maketrans("", "", " \n")


def _plain(annotation: object) -> str:
    """Without what one shell must say otherwise than the other."""
    text = re.sub(r"Async(Iterator|Iterable|Transport)", r"\1", str(annotation))
    return text.replace("Iterable[T] | Iterable[T]", "Iterable[T]")


@pytest.mark.parametrize("verb", ["__init__", *VERBS])
def test_the_shells_say_the_same(verb: str) -> None:
    ours, theirs = (inspect.signature(getattr(shell, verb)) for shell in (Client, AsyncClient))
    assert list(ours.parameters) == list(theirs.parameters)
    for mine, other in zip(ours.parameters.values(), theirs.parameters.values(), strict=True):
        assert (mine.kind, mine.default, _plain(mine.annotation)) == (
            other.kind,
            other.default,
            _plain(other.annotation),
        )
    assert _plain(ours.return_annotation) == _plain(theirs.return_annotation)
    assert getattr(Client, verb).__doc__ == getattr(AsyncClient, verb).__doc__


def test_the_shells_have_the_same_verbs() -> None:
    for shell in (Client, AsyncClient):
        assert [name for name in vars(shell) if not name.startswith("_")] == VERBS


@pytest.fixture
def server() -> FakeServer:
    return films()


def _items(count: int) -> Iterator[bytes]:
    return (f"film {index}".encode() for index in range(count))


def _echo(text: str) -> str:
    return text.encode().hex()


def test_a_batch_comes_in_order_whatever_takes_long(server: FakeServer) -> None:
    def slow_first(sent) -> dict:
        index = int(sent["image"].split()[1])
        time.sleep(0.02 if index % 7 == 0 else 0)
        return {"echo": sent["image"].hex()}

    server = FakeServer({"m": FakeModel(labels=("A",), probabilities=(1.0,), answering=slow_first)})
    with Client(transport=server) as client:
        outcomes = list(client.predict_batch("m", _items(60), concurrency=7))
    assert [outcome.index for outcome in outcomes] == list(range(60))
    assert [outcome.result().report["echo"] for outcome in outcomes] == [_echo(f"film {i}") for i in range(60)]


def test_one_that_fails_is_an_outcome(server: FakeServer) -> None:
    items = [b"a", {"ct": b"b"}, 3, b"", {"image": b"e"}]
    with Client(transport=server) as client:
        outcomes = list(client.predict_batch("chest_xray", items))
    assert [type(outcome.error) for outcome in outcomes] == [type(None), *[InvalidInput] * 3, type(None)]
    assert [outcome.item for outcome in outcomes] == items
    with pytest.raises(InvalidInput):
        outcomes[1].result()
    with Client(transport=server) as client:
        assert [type(outcome.error) for outcome in client.predict_batch("gone", items)] == [UnknownModel] * 5


def test_a_server_that_is_away_is_an_outcome_too(server: FakeServer) -> None:
    server.fail(Unavailable("away"), times=2)
    with Client(transport=server) as client:
        errors = [outcome.error for outcome in client.predict_batch("chest_xray", [b"a"] * 4, concurrency=1)]
    assert [type(error) for error in errors] == [Unavailable, Unavailable, type(None), type(None)]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_endless_iterable_is_taken_piece_by_piece(server: FakeServer, concurrency: int) -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(len(taken))
            yield b"film"

    with Client(transport=server) as client:
        batch = client.predict_batch("chest_xray", endless(), concurrency=concurrency)
        for _ in range(50):
            next(batch)
        batch.close()
    assert len(taken) <= 50 + 2 * concurrency
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("medserve")]


def test_the_same_in_asyncio(server: FakeServer) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"film"

    async def main() -> None:
        async with AsyncClient(transport=server.asynchronous()) as client:
            outcomes = [
                each async for each in client.predict_batch("chest_xray", [b"a", b"", {"ct": b"c"}, *_items(40)])
            ]
            assert [each.index for each in outcomes] == list(range(43))
            assert [type(each.error) for each in outcomes[:3]] == [type(None), InvalidInput, InvalidInput]
            assert outcomes[-1].result().report["echo"] == _echo("film 39")
            batch = client.predict_batch("chest_xray", endless(), concurrency=3)
            for _ in range(20):
                await anext(batch)
            await batch.aclose()
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_slow_file_does_not_stop_the_loop(server: FakeServer) -> None:
    class Slow:
        def read(self) -> bytes:
            time.sleep(1)
            return b"film"

    async def main() -> None:
        async with AsyncClient(transport=server.asynchronous()) as client:
            started = time.monotonic()
            await asyncio.gather(*(client.predict("chest_xray", image=Slow()) for _ in range(3)))
            assert time.monotonic() - started < 2.5

    asyncio.run(main())


def test_a_progress_bar_is_shown_on_stderr_when_asked(
    server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Client(transport=server) as client:
        list(client.predict_batch("chest_xray", [b"a"] * 3))
        assert capsys.readouterr().err == ""
        list(client.predict_batch("chest_xray", [b"a"] * 3, progress=True))
    assert "3/3" in capsys.readouterr().err


def test_cancelling_a_task_drops_its_call() -> None:
    asked, dropped = threading.Event(), threading.Event()

    def slow(_sent: object) -> dict:
        asked.set()
        dropped.wait(10)
        return {}

    async def main() -> None:
        with listening(FakeServer({"m": FakeModel(labels=("A",), probabilities=(1.0,), answering=slow)})) as ports:
            for scheme in ("grpc", "http"):
                asked.clear()
                dropped.clear()
                async with AsyncClient(ports.url(scheme)) as client:
                    await client.models()
                    task = asyncio.create_task(client.predict("m", image=b"x"))
                    await asyncio.to_thread(asked.wait, 10)
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
        deadline = time.monotonic() + 5  # the stub's side of a connection takes a moment
        while process.num_fds() > files + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.num_fds() <= files + 2
        assert len([each for each in threading.enumerate() if "medserve" in each.name]) == 0
        assert threading.active_count() <= threads + 16  # the stub's own handlers


def test_a_client_belongs_to_one_process(server: FakeServer) -> None:
    client = Client(transport=server)
    client.models()
    client._process = os.getpid() + 1  # as a child of a fork sees it
    with pytest.raises(ClientClosed, match="Make one after the fork"):
        client.models()


def test_an_async_client_belongs_to_one_loop(server: FakeServer) -> None:
    client = AsyncClient(transport=server.asynchronous())
    asyncio.run(_models(client))
    with pytest.raises(ClientClosed, match="Make one in each loop"):
        asyncio.run(_models(client))


async def _models(client: AsyncClient) -> None:
    await client.models()


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


@pytest.mark.parametrize(
    "url",
    ["localhost:8001", "ftp://x:1", "grpc://", "http://127.0.0.1:99999", "grpc://h:abc", "grpc://h", "http://h:1/v2"],
)
@pytest.mark.parametrize("shell", [Client, AsyncClient])
def test_a_wrong_url_is_named(url: str, shell: type) -> None:
    with pytest.raises(ValueError, match="url: expected grpc or grpcs or http or https://host:port, got"):
        shell(url)


@pytest.mark.parametrize("headers", [{"x": "a\r\nx-other: b"}, {"a b": "c"}, {"": "c"}, {"x": "größe"}])
def test_a_header_is_one_line(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="headers: expected a header's name and a line of ASCII"):
        Client("http://localhost:1", headers=headers)
    with pytest.raises(ValueError, match="api_key: expected a line"):
        Client("http://localhost:1", api_key="secret\nx: y")


def test_a_key_does_not_travel_in_the_open() -> None:
    with pytest.raises(ValueError, match="api_key: expected grpcs:// or https://"):
        Client("http://triton.example:8000", api_key="secret")
