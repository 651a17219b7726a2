"""What a hostile reader found: each once, so that it stays mended."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medserve import AsyncClient, Client, ClientClosed, InvalidInput, MedServeError, Retry, TimedOut, Unavailable
from medserve.calls import Ask, Infer, Tensor
from medserve.errors import ServerFault
from medserve.items import content
from medserve.testing import FakeModel, FakeServer
from medserve.transports import deadline, http
from tests.support.server_stub import encoded, films, listening, proxy

ONCE = Retry(attempts=1)


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
        time.sleep(0.1)
        caller.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" + _whole({"echo": np.array([[body[-6:]]], object)}, asked))

    with scripted(hinting) as url:
        transport = http.HttpTransport(Client(url)._transport._address)
        for item in (b"item-A", b"item-B"):
            found = transport.send(Infer("m", (Tensor.of_bytes("image", item),), ("echo",)), 5)
            assert found["echo"][0, 0] == item
        transport.close()


def test_an_answer_to_another_request_is_nobodys() -> None:
    def confused(caller: socket.socket, asked: dict, _body: bytes) -> None:
        caller.sendall(_whole({"echo": np.zeros((1, 1), np.float32)}, asked | {"id": "another"}))

    with scripted(confused) as url, Client(url) as client, pytest.raises(ServerFault, match="answer to request"):
        client.models()


@pytest.mark.parametrize("ask", ["sync", "async"])
def test_a_refusal_before_the_body_was_read_is_that_refusal(ask: str) -> None:
    uploads = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            uploads.append(caller.recv(200))
            caller.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
            time.sleep(0.2)
            caller.close()  # with most of the body unread: a reset

    call = Infer("m", (Tensor.of_bytes("image", bytes(4 << 20)),), ("echo",))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(InvalidInput, match="big") as refused:
            _send(url, call) if ask == "sync" else asyncio.run(_send_async(url, call))
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
                time.sleep(0.1)  # the connection is full by then
                caller.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
            ended.wait(5)

    call = Infer("m", (Tensor.of_bytes("image", bytes(8 << 20)),), ("echo",))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        told = _told(f"http://127.0.0.1:{listener.getsockname()[1]}", call, timeout_s=3 if refuses else 0.5)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", ResourceWarning)
            gc.collect()
        ended.set()
    assert told is (InvalidInput if refuses else TimedOut)
    assert not heard


def _told(url: str, call: Infer, timeout_s: float) -> type[MedServeError] | None:
    """The class alone: an error's traceback would keep the connection from being found."""
    try:
        asyncio.run(_send_async(url, call, timeout_s))
    except MedServeError as exc:
        return type(exc)
    return None


def _send(url: str, call: Infer | Ask, timeout_s: float = 5) -> None:
    with Client(url) as client:
        client._transport.send(call, timeout_s)


async def _send_async(url: str, call: Infer | Ask, timeout_s: float = 5) -> None:
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
                for _ in range(4):
                    try:
                        told.append(client.predict("chest_xray", image=b"x", timeout_s=0.5).label)
                    except TimedOut:
                        told.append("late")
        assert told[-2:] == ["COVID-19"] * 2


async def _asked_again(url: str, forgotten: threading.Event, told: list[str]) -> None:
    async with AsyncClient(url, retry=ONCE) as client:
        await client.predict("chest_xray", image=b"x")
        forgotten.set()
        for _ in range(4):
            try:
                told.append((await client.predict("chest_xray", image=b"x", timeout_s=0.5)).label)
            except TimedOut:
                told.append("late")


def _sleepy(_sent: object) -> dict:
    time.sleep(1)
    return {}


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_closing_ends_the_calls_under_way(scheme: str, asynchronous: bool) -> None:
    server = FakeServer({"m": FakeModel(labels=("A",), probabilities=(1.0,), answering=_sleepy)})
    with listening(server) as ports:
        url, ended = ports.url(scheme), []
        if asynchronous:
            asyncio.run(_closed_meanwhile(url, ended))
        else:
            client = Client(url)
            client.models()

            def ask() -> None:
                try:
                    client.predict("m", image=b"x")
                except MedServeError as exc:
                    ended.append(type(exc))

            thread = threading.Thread(target=ask)
            thread.start()
            time.sleep(0.3)
            client.close()
            thread.join(0.5)
            assert not thread.is_alive()
        assert ended == [ClientClosed]


async def _closed_meanwhile(url: str, ended: list) -> None:
    client = AsyncClient(url)
    await client.models()
    task = asyncio.create_task(client.predict("m", image=b"x"))
    await asyncio.sleep(0.3)
    await client.close()
    try:
        await task
    except MedServeError as exc:
        ended.append(type(exc))


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


def test_an_answer_does_not_wait_for_more_items() -> None:
    asked = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"first"
        assert asked.wait(5)
        yield b"second"
        yield b"third"

    with Client(transport=films()) as client:
        batch = client.predict_batch("chest_xray", slow())
        threading.Timer(0.2, asked.set).start()
        assert next(batch).index == 0  # long before 32 were taken
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


def test_an_empty_file_is_not_one_that_was_left_out() -> None:
    server = FakeServer(
        {"pair": FakeModel(labels=("A",), probabilities=(1.0,), inputs=("ct", "mri"), optional=("ct",))}
    )
    with Client(transport=server) as client:
        assert client.predict("pair", mri=b"x").label == "A"
        for empty in (b"", io.BytesIO(b"")):
            with pytest.raises(InvalidInput, match=r"ct: \[empty\] expected bytes") as refused:
                client.predict("pair", mri=b"x", ct=empty)
            assert refused.value.code == "empty"


def test_a_pil_image_is_seen_as_its_file_is() -> None:
    """By the server's own reader: the camera's orientation counts."""
    from preprocess.image import images_to_pixels

    pixels = np.zeros((80, 40, 3), np.uint8)
    pixels[:20] = 250
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    image = Image.open(io.BytesIO(file.getvalue()))
    as_file, as_image = (
        images_to_pixels([sent], side=32, modalities=("XC",), colour=True)["pixels"]
        for sent in (file.getvalue(), content("m", image))
    )
    np.testing.assert_array_equal(as_file, as_image)
    assert np.ptp(as_file.astype(int).mean((0, 1))[0]) > 50  # it was turned


def test_white_as_zero_in_sixteen_bits_is_refused_not_inverted() -> None:
    head = struct.pack("<2sHI", b"II", 42, 8)
    tags = [(256, 4, 4), (257, 4, 4), (258, 3, 16), (259, 3, 1), (262, 3, 0), (273, 4, 122), (277, 3, 1), (278, 4, 4),
            (279, 4, 32)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    file = head + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    file += np.arange(16, dtype="<u2").tobytes()
    assert len(file) == 122 + 32
    with pytest.raises(InvalidInput, match="white as zero") as refused:
        content("m", Image.open(io.BytesIO(file)))
    assert refused.value.code == "unsupported_pixels"


def test_an_upload_of_a_web_framework_is_a_file() -> None:
    class Upload:  # as werkzeug's FileStorage
        mode = "rb"

        def save(self, target: object) -> None:
            raise AssertionError

        def read(self) -> bytes:
            return b"film"

    assert content("m", Upload()) == b"film"


def test_deadlines_within_deadlines() -> None:
    with deadline.within(5):
        with deadline.within(60):
            assert deadline.left_s() <= 5
        assert 4 < deadline.left_s() <= 5
    assert deadline.left_s() is None


@pytest.mark.parametrize("alive", [False, True])
def test_several_dead_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch, alive: bool) -> None:
    """Each is a listener whose queue is full: a connection to it hangs. A last one that lives has its share."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        ports = stack.enter_context(listening(films()))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 3
        found += [(*found[0][:4], ("127.0.0.1", ports.http))] if alive else []
        own = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *args, **more: found if host == "triton" else own(host, *args, **more)
        )
        started = time.monotonic()
        with nullcontext() if alive else pytest.raises(TimedOut):
            _send(f"http://triton:{port}", Ask("live"), 1.0)
        assert time.monotonic() - started < 1.5
        for each in waiting:
            each.close()


def test_a_late_answer_is_not_waited_for_to_the_full_second() -> None:
    def silent(caller: socket.socket, _asked: dict, _body: bytes) -> None:
        caller.recv(1)

    async def took(url: str) -> float:
        async with AsyncClient(url) as client:
            await asyncio.sleep(1 - asyncio.get_running_loop().time() % 1)  # where rounding up costs most
            started = time.monotonic()
            with pytest.raises(TimedOut):
                await client._open().send(Ask("live"), 5.05)
            return time.monotonic() - started

    with scripted(silent) as url:
        assert asyncio.run(took(url)) < 5.5


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "x-bin", "x!y"])
def test_headers_that_frame_a_message_are_ours(name: str) -> None:
    with pytest.raises(ValueError, match="headers: expected"):
        Client("http://localhost:1", headers={name: "a"})


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="no user and password") as refused:
        Client("http://me:secret@localhost:1")
    assert "secret" not in str(refused.value)


def test_a_large_body_is_no_warning_in_asyncio() -> None:
    with listening(films()) as ports:

        async def ask() -> str:
            async with AsyncClient(ports.url("http")) as client:
                return (await client.predict("chest_xray", image=bytes(3 << 20))).label

        assert asyncio.run(ask()) == "COVID-19"


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
