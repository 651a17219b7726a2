"""Many items, several at once: in order, each with its own outcome, and no more taken than needed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from medserve import AsyncClient, Client, InvalidInput, Unavailable, UnknownModel
from medserve import client as client_module
from medserve.batch import AHEAD
from medserve.testing import FakeModel, FakeServer
from tests.support.clock import HANG_S
from tests.support.server_stub import films


@pytest.fixture
def server() -> FakeServer:
    return films()


def _items(count: int) -> Iterator[bytes]:
    return (f"film {index}".encode() for index in range(count))


def _echo(text: str) -> str:
    return text.encode().hex()


def test_a_batch_comes_in_order_whatever_takes_long() -> None:
    begun = [threading.Event() for _ in range(60)]

    def slow_first(sent) -> dict:
        index = int(sent["image"].split()[1])
        begun[index].set()
        if index % 7 == 0:  # ends after the one behind it has begun
            assert begun[index + 1].wait(HANG_S)
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
    assert len(taken) <= 50 + AHEAD * concurrency
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


def test_a_progress_bar_is_shown_on_stderr_when_asked(
    server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Client(transport=server) as client:
        list(client.predict_batch("chest_xray", [b"a"] * 3))
        assert capsys.readouterr().err == ""
        list(client.predict_batch("chest_xray", [b"a"] * 3, progress=True))
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize("asynchronous", [False, True])
def test_nothing_that_an_item_does_ends_its_batch(asynchronous: bool) -> None:
    class Odd:
        def __fspath__(self) -> bytes:
            return b"a"

    items = [b"a", "a\udc80", Path("a\0b"), {1: b"x"}, Odd(), b"z"]
    if asynchronous:
        outcomes = asyncio.run(_batch(items))
    else:
        with Client(transport=films()) as client:
            outcomes = list(client.predict_batch("chest_xray", items))
    assert [outcome.error is None for outcome in outcomes] == [True, *[False] * 4, True]
    assert all(isinstance(outcome.error, InvalidInput) for outcome in outcomes[1:5])


async def _batch(items: list) -> list:
    async with AsyncClient(transport=films().asynchronous()) as client:
        return [outcome async for outcome in client.predict_batch("chest_xray", items)]


def test_one_item_is_no_batch() -> None:
    with Client(transport=films()) as client:
        for one in ("CCO", b"film", {"image": b"film"}):
            with pytest.raises(TypeError, match=r"items: expected an iterable of items, got one \w+\. Pass \[item\]"):
                next(client.predict_batch("chest_xray", one))


def test_an_answer_does_not_wait_for_more_items(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted: list[Future] = []
    taken: list[bytes] = []

    class Pool(ThreadPoolExecutor):
        def submit(self, *arguments: object) -> Future:
            submitted.append(super().submit(*arguments))
            return submitted[-1]

    def slow() -> Iterator[bytes]:
        for item in (b"first", b"second", b"third"):
            for earlier in submitted:
                earlier.result(HANG_S)  # it is answered before the next item comes
            taken.append(item)
            yield item

    monkeypatch.setattr(client_module, "ThreadPoolExecutor", Pool)
    with Client(transport=server) as client:
        batch = client.predict_batch("chest_xray", slow())
        assert next(batch).index == 0
        # Of the AHEAD * 16 that might be taken first; none but the first where that was answered at once.
        assert taken in ([b"first"], [b"first", b"second"])
        assert [outcome.index for outcome in batch] == [1, 2]


def test_a_failed_outcome_holds_no_file() -> None:
    server = films()
    with Client(transport=server) as client:
        client.models()
        server.fail(Unavailable("away"))
        (outcome,) = client.predict_batch("chest_xray", [b"x"])
    error: BaseException | None = outcome.error
    while error is not None:
        assert error.__traceback__ is None
        error = error.__cause__ or error.__context__
