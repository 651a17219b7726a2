"""Both clients: alike in every word, and of one process and one loop."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import threading

import numpy as np
import pytest

from medserve import AsyncClient, Client, ClientClosed, InvalidInput
from medserve.calls import Infer, Tensor
from medserve.testing import FakeModel, FakeServer
from tests.support.clock import HANG_S
from tests.support.server_stub import films

VERBS = ["predict", "predict_batch", "models", "describe", "seen", "health", "wait_until_ready", "close"]


@pytest.fixture
def server() -> FakeServer:
    return films()


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


def test_a_slow_file_does_not_stop_the_loop(server: FakeServer) -> None:
    meeting = threading.Barrier(3)  # passed if all three files are read at the same time

    class Slow:
        def read(self) -> bytes:
            meeting.wait(HANG_S)
            return b"film"

    async def main() -> None:
        async with AsyncClient(transport=server.asynchronous()) as client:
            await asyncio.gather(*(client.predict("chest_xray", image=Slow()) for _ in range(3)))

    asyncio.run(main())


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


def test_a_server_that_was_replaced_since_it_was_described_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails when a server is restarted between calls: what it says it read the file with has to be compared."""
    from medserve import preprocessing
    from preprocess.identity import stamp

    made = (Tensor.of_array("pixels", np.zeros((1, 3), np.uint8)),), {}
    monkeypatch.setattr(preprocessing, "first_step", lambda *_: made)
    server = FakeServer({"m": FakeModel(labels=("A",), probabilities=(1.0,))})
    says = [stamp()]

    class Server:
        def send(self, call: Infer, timeout_s: float) -> dict:
            if call.model == "describe":
                found = json.loads(server.send(call, timeout_s)["description"][0, 0])
                found["m"]["net"] = "m_net"
                return {"description": np.array([[json.dumps(found).encode()]], object)}
            if call.model == "m_net":
                return {"probabilities": np.ones((1, 1), np.float32), "summary": np.zeros((1, 3), np.float32)}
            asked = Infer("m", (Tensor.of_bytes("image", b"x"),), ("report",))
            report = json.loads(server.send(asked, timeout_s)["report"][0, 0])
            report["provenance"]["preprocessing"] = says[0]
            return {"report": np.array([[json.dumps(report).encode()]], object)}

        def close(self) -> None:
            """Nothing."""

    with Client(transport=Server(), preprocess=True) as client:
        assert client.predict("m", image=b"film").label == "A"
        says[0] = "1-another"
        with pytest.raises(InvalidInput, match="an answer of one with another") as refused:
            client.predict("m", image=b"film")
        assert refused.value.code == "other_preprocessing"
