"""Connections that ask nothing: they end, and those that ask do not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.access import AccessSettings, connections
from gateway.access.connections import BoundedHead
from tests.support.access_app import SECRET, door, key, serving

HEAD = f"GET /model-info HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(connections, "HEAD_S", 0.4)
    with serving(door(AccessSettings(keys=(key(),))).app, http=BoundedHead, timeout_keep_alive=5) as url:
        yield url


@pytest.fixture
def sent(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as sent:
        yield sent


def ends_after(sent: socket.socket) -> tuple[float, bytes]:
    started, found = time.monotonic(), b""
    while piece := sent.recv(65536):
        found += piece
    return time.monotonic() - started, found


def test_one_that_says_nothing_ends(sent: socket.socket) -> None:
    seconds, found = ends_after(sent)
    assert 0.2 < seconds < 2
    assert found == b""


def test_headers_that_drip_end(sent: socket.socket) -> None:
    started = time.monotonic()
    sent.sendall(b"GET / HTTP/1.1\r\nX: ")
    try:
        while time.monotonic() - started < 4:
            sent.sendall(b"y")
            time.sleep(0.05)
    except OSError:
        pass
    assert 0.2 < time.monotonic() - started < 2


def test_headers_that_drip_after_a_first_request_end(sent: socket.socket) -> None:
    sent.sendall(f"{HEAD}\r\n{HEAD}".encode())
    seconds, found = ends_after(sent)
    assert found.startswith(b"HTTP/1.1 200")
    assert 0.2 < seconds < 2


def test_headers_without_end_end(sent: socket.socket) -> None:
    sent.sendall(HEAD.encode())
    sent_bytes = 0
    try:
        while sent_bytes < 50_000_000:
            sent_bytes += sent.send(b"X: " + b"y" * 10_000 + b"\r\n")
    except OSError:
        pass
    assert sent_bytes < 20_000_000  # what the kernel's buffers took


def test_a_slow_answer_is_not_cut_off(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request's headers hang while the first is answered for longer than headers may take."""
    monkeypatch.setattr(connections, "HEAD_S", 0.05)
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as sent:
        wait = f"POST /wait HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\nContent-Length: 0\r\n\r\n"
        sent.sendall((wait + HEAD).encode())
        _, found = ends_after(sent)
    assert found.startswith(b"HTTP/1.1 200")
    assert b'{"most":' in found


@pytest.mark.parametrize("more", ["", "Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"])
def test_bytes_that_are_no_request_keep_no_connection(sent: socket.socket, more: str) -> None:
    """They stop uvicorn's own timer: without a key one could hold all connections there are."""
    sent.sendall(f"HEAD / HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
    assert sent.recv(65536).startswith(b"HTTP/1.1 ")
    sent.sendall({"": b"\r\n", "C": b"x"}.get(more[:1], b"1\r\nx\r\n"))
    seconds, _ = ends_after(sent)
    assert seconds < 2


def test_ordinary_connections_live(url: str) -> None:
    with httpx.Client(base_url=url, headers={"X-API-Key": SECRET}) as client:
        for pause_s in (0, 0.6, 0.6):  # longer than headers may take, between two requests
            time.sleep(pause_s)
            assert client.post("/predict/m", content=b"x" * 300_000).json()["bytes"] == 300_000
