"""Sockets that end a call at its deadline, however slowly the other side drips.

A socket's own timeout starts anew with each byte that comes.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from medserve.retry import Deadline

_thread = threading.local()


@contextmanager
def within(timeout_s: float, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Sockets of this thread end with TimeoutError when the time is over."""
    outer: Deadline | None = getattr(_thread, "deadline", None)
    own = Deadline(timeout_s, clock)
    _thread.deadline = own if outer is None or own.left_s < outer.left_s else outer
    try:
        yield
    finally:
        _thread.deadline = outer


def left_s() -> float | None:
    """Seconds until this thread's deadline; None where it has none.

    Raises:
        TimeoutError: it is over.
    """
    deadline: Deadline | None = getattr(_thread, "deadline", None)
    if deadline is None:
        return None
    if (left := deadline.left_s) <= 0:
        raise TimeoutError("timed out")
    return left


class _Punctual:
    """Waits no longer than the deadline of the thread that calls."""

    def settimeout(self, value: float | None) -> None:
        left = left_s()
        limits = [limit for limit in (value, left) if limit is not None]
        super().settimeout(min(limits, default=None))  # type: ignore[misc]

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(None)
        return int(super().recv_into(*arguments))  # type: ignore[misc]

    def send(self, *arguments: Any, **gevents: Any) -> int:  # its sendall says `timeout` to its send
        self.settimeout(None)
        return int(super().send(*arguments, **gevents))  # type: ignore[misc]

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(None)  # the whole of it counts, for both kinds of socket
        super().sendall(*arguments)  # type: ignore[misc]


class PunctualSocket(_Punctual, socket.socket):
    """TCP."""

    @classmethod
    def of(cls, plain: socket.socket) -> PunctualSocket:
        """Takes the connection over."""
        timeout = plain.gettimeout()
        taken = cls(plain.family, plain.type, plain.proto, plain.detach())
        socket.socket.settimeout(taken, timeout)
        return taken


class PunctualTls(_Punctual, ssl.SSLSocket):
    """TLS over TCP."""
