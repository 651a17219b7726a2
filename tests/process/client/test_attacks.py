"""What a hostile reader found: each once, so that it stays mended."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import io
import json
import socket
import sys
import termios
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from medserve import AsyncClient, Client, ClientClosed, InvalidInput, MedServeError, Retry, TimedOut
from medserve.calls import Ask, Infer, Tensor
from medserve.errors import ServerFault
from medserve.testing import FakeModel, FakeServer
from medserve.transports import http
from tests.support.clock import HANG_S
from tests.support.server_stub import encoded, films, listening, proxy

ONCE = Retry(attempts=1)
# Of calls on a connection that fell silent, and of those after them: gRPC gives a connection up after two.
SILENT_S = (0.5, 0.5, HANG_S, HANG_S)


@contextmanager
def scripted(answer: Callable[[socket.socket, dict, bytes], None]) -> Iterator[str]:
    """An HTTP server whose answers are written by hand; `answer` gets each request's JSON and its body."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(caller: socket.socket) -> None:
        with caller, caller.makefile("rb") as lines:
            while head := _head(lines):
                body = lines.read(int(head.get("content-length", 0)))
                asked = json.loads(body[: int(head.get("inference-header-content-length", 0))] or b"{}")
                answer(caller, asked, body)

    def accept() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(caller,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _head(lines: io.BufferedReader) -> dict[str, str]:
    found = {}
    while (line := lines.readline().decode().strip()) or not found:
        name, _, value = line.partition(": ")
        found[name.lower()] = value
        if not line:
            return {}
    return found


def _whole(arrays: dict, asked: dict) -> bytes:
    _, headers, body = encoded(arrays, asked["id"])
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers | {"Content-Length": str(len(body))}).items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body


def test_what_comes_before_an_answer_is_none() -> None:
    def hinting(caller: socket.socket, asked: dict, body: bytes) -> None:
        caller.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        caller.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" + _whole({"echo": np.array([[body[-6:]]], object)}, asked))

    with scripted(hinting) as url:
        transport = http.HttpTransport(Client(url)._transport._address)
        for item in (b"item-A", b"item-B"):
            found = transport.send(Infer("m", (Tensor.of_bytes("image", item),), ("echo",)), HANG_S)
            assert found["echo"][0, 0] == item
        transport.close()


def test_an_answer_to_another_request_is_nobodys() -> None:
    def confused(caller: socket.socket, asked: dict, _body: bytes) -> None:
        caller.sendall(_whole({"echo": np.zeros((1, 1), np.float32)}, asked | {"id": "another"}))

    with scripted(confused) as url, Client(url) as client, pytest.raises(ServerFault, match="answer to request"):
        client.models()


@pytest.mark.parametrize("ask", ["sync", "async"])
def test_a_refusal_before_the_body_was_read_is_that_refusal(ask: str) -> None:
    """A thread reads when it has sent, which the reset ends; an event loop reads meanwhile."""
    uploads, read = [], threading.Event()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            uploads.append(caller.recv(200))
            caller.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
            if ask == "async":
                read.wait(HANG_S)
            caller.close()  # with most of the body unread: a reset

    call = Infer("m", (Tensor.of_bytes("image", bytes(4 << 20)),), ("echo",))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(InvalidInput, match="big") as refused:
            _send(url, call) if ask == "sync" else asyncio.run(_send_async(url, call))
        read.set()
        assert refused.value.status == "413"
        assert len(uploads) == 1


@pytest.mark.parametrize("refuses", [True, False])
def test_what_an_ended_call_did_not_send_does_not_stay(refuses: bool) -> None:
    """Its connection would stay, with the file, until a server that has stopped reading hangs up."""
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        caller, _ = listener.accept()
        with caller:
            caller.recv(200)
            if refuses:
                _wait_until_full(caller)
                caller.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
            ended.wait(HANG_S)

    call = Infer("m", (Tensor.of_bytes("image", bytes(8 << 20)),), ("echo",))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        told = _told(f"http://127.0.0.1:{listener.getsockname()[1]}", call, timeout_s=HANG_S if refuses else 0.5)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", ResourceWarning)
            gc.collect()
        ended.set()
    assert told is (InvalidInput if refuses else TimedOut)
    assert not heard


def _wait_until_full(connection: socket.socket) -> None:
    """Return when no more bytes come: what is left stays with the caller."""
    before, waiting = -1, 0
    while waiting != before:
        time.sleep(0.05)
        before, waiting = waiting, int.from_bytes(fcntl.ioctl(connection, termios.FIONREAD, bytes(4)), sys.byteorder)


def _told(url: str, call: Infer, timeout_s: float) -> type[MedServeError] | None:
    """The class alone: an error's traceback would keep the connection from being found."""
    try:
        asyncio.run(_send_async(url, call, timeout_s))
    except MedServeError as exc:
        return type(exc)
    return None


def _send(url: str, call: Infer | Ask, timeout_s: float = HANG_S) -> None:
    with Client(url) as client:
        client._transport.send(call, timeout_s)


async def _send_async(url: str, call: Infer | Ask, timeout_s: float = HANG_S) -> None:
    async with AsyncClient(url) as client:
        await client._open().send(call, timeout_s)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_connection_that_fell_silent_is_replaced(scheme: str, asynchronous: bool) -> None:
    """As behind a gateway that forgot it: nothing comes any more, not even an end."""
    forgotten = threading.Event()
    with (
        listening(films()) as ports,
        proxy(ports.grpc if scheme == "grpc" else ports.http, "forgets", forgotten) as port,
    ):
        url = f"{scheme}://127.0.0.1:{port}"
        told = []
        if asynchronous:
            asyncio.run(_asked_again(url, forgotten, told))
        else:
            with Client(url, retry=ONCE) as client:
                with ThreadPoolExecutor(4) as pool:  # several connections over HTTP
                    list(pool.map(lambda _: client.predict("chest_xray", image=b"x"), range(16)))
                forgotten.set()
                for timeout_s in SILENT_S:
                    try:
                        told.append(client.predict("chest_xray", image=b"x", timeout_s=timeout_s).label)
                    except TimedOut:
                        told.append("late")
        assert told[-2:] == ["COVID-19"] * 2


async def _asked_again(url: str, forgotten: threading.Event, told: list[str]) -> None:
    async with AsyncClient(url, retry=ONCE) as client:
        await client.predict("chest_xray", image=b"x")
        forgotten.set()
        for timeout_s in SILENT_S:
            try:
                told.append((await client.predict("chest_xray", image=b"x", timeout_s=timeout_s)).label)
            except TimedOut:
                told.append("late")


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_closing_ends_the_calls_under_way(scheme: str, asynchronous: bool) -> None:
    """While their server still works on them."""
    asked, leave = threading.Event(), threading.Event()

    def working(_sent: object) -> dict:
        asked.set()
        leave.wait(HANG_S)
        return {}

    server = FakeServer({"m": FakeModel(labels=("A",), probabilities=(1.0,), answering=working)})
    with listening(server) as ports:
        try:
            if asynchronous:
                assert asyncio.run(_closed_meanwhile(ports.url(scheme), asked)) is ClientClosed
            else:
                client = Client(ports.url(scheme))
                with ThreadPoolExecutor() as pool:
                    call = pool.submit(client.predict, "m", image=b"x")
                    assert asked.wait(HANG_S)
                    client.close()
                    assert type(call.exception(HANG_S / 2)) is ClientClosed
        finally:
            leave.set()


async def _closed_meanwhile(url: str, asked: threading.Event) -> type[BaseException]:
    client = AsyncClient(url)
    task = asyncio.create_task(client.predict("m", image=b"x"))
    assert await asyncio.to_thread(asked.wait, HANG_S)
    await client.close()
    (ended,) = await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), HANG_S / 2)
    return type(ended)


def test_addresses_that_are_all_dead_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a listener whose queue is full: a connection to it hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 3
        own = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *args, **more: found if host == "triton" else own(host, *args, **more)
        )
        with pytest.raises(TimedOut):
            _send(f"http://triton:{port}", Ask("live"), 1.0)
        for each in waiting:
            each.close()


def test_a_large_body_is_no_warning_in_asyncio() -> None:
    with listening(films()) as ports:

        async def ask() -> str:
            async with AsyncClient(ports.url("http")) as client:
                return (await client.predict("chest_xray", image=bytes(3 << 20))).label

        assert asyncio.run(ask()) == "COVID-19"
