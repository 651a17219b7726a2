"""HTTP for threads: idle connections are kept, and a call has one to itself.

http.client reads answers; what is above the socket is written here, because its own connections send a head and a
body in two packets, and neither they nor urllib3's can end at a moment instead of after a silence.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import selectors
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from medserve.address import Address
from medserve.calls import Arrays, Call
from medserve.errors import MedServeError, closed, cut_short, no_server, timed_out
from medserve.transports.deadline import PunctualSocket, PunctualTls, left_s, within
from medserve.wire.http import Request, answer, request

IDLE = 64  # connections kept open between calls; more threads than that open more
IDLE_S = 60.0  # for how long: gateways forget silent ones


class HttpTransport:
    """See `medserve.calls.Transport`.

    Args:
        address: of the server.
        clock: never goes back, in seconds.

    Raises:
        OSError: a TLS file that cannot be read.
    """

    def __init__(self, address: Address, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._tls = address.tls.context() if address.encrypted else None
        if self._tls is not None:
            self._tls.sslsocket_class = PunctualTls
        self._lines = _lines({"host": address.netloc} | dict(address.headers))
        self._idle: list[tuple[socket.socket, float]] = []  # and since when
        self._busy: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False

    def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer."""
        asked = request(call, timeout_s)
        begun = False
        with within(timeout_s, self._clock):
            connection, response = None, None
            try:
                connection = self._connection(call)
                response = http.client.HTTPResponse(connection, method=asked.method)
                # A server may answer, and hang up, before it has read everything.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(self._message(asked))
                _begin(response)
                begun = True
                body = response.read()
                if not response.will_close and self._kept(connection):
                    connection = None
            except (http.client.HTTPException, OSError, UnicodeError) as exc:
                raise self._error(exc, call, timeout_s, begun=begun) from exc
            finally:
                if connection is not None:
                    with self._lock:
                        self._busy.discard(connection)
                    connection.close()
                if response is not None:
                    response.close()
        return answer(call, response.status, dict(response.getheaders()), body)

    def _error(self, exc: Exception, call: Call, timeout_s: float, *, begun: bool) -> MedServeError:
        """Of our tree; `begun`: the answer's head was read."""
        if self._closed:
            return closed(call.where)
        if isinstance(exc, TimeoutError) and exc.errno != errno.ETIMEDOUT:  # that one is the kernel's
            self._drop_idle()  # what fell silent may have done so for all of them
            return timed_out(call.where, timeout_s)
        nothing_came = isinstance(exc, (http.client.RemoteDisconnected, OSError, UnicodeError))
        return no_server(call.where, exc) if nothing_came and not begun else cut_short(call.where, exc)

    def close(self) -> None:
        """Ends the calls that are under way. May be called twice."""
        with self._lock:
            self._closed = True
            busy = list(self._busy)
        self._drop_idle()
        for connection in busy:
            with contextlib.suppress(OSError):  # its thread may just have closed it
                connection.shutdown(socket.SHUT_RDWR)

    def _drop_idle(self) -> None:
        with self._lock:
            dropped, self._idle = self._idle, []
        for connection, _ in dropped:
            connection.close()

    def _connection(self, call: Call) -> socket.socket:
        """An idle one that the server has not closed meanwhile, or a new one."""
        while True:
            with self._lock:
                if self._closed:
                    raise closed(call.where)
                found, since = self._idle.pop() if self._idle else (None, 0.0)
            if found is None:
                found = self._opened()
            elif self._clock() - since > IDLE_S or _readable(found):
                found.close()
                continue
            with self._lock:
                if not self._closed:
                    self._busy.add(found)
                    return found
            found.close()  # the client was closed while it was opened

    def _opened(self) -> socket.socket:
        connection: socket.socket = PunctualSocket.of(_connected(self._address.host, self._address.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._tls is not None:
            connection.settimeout(None)  # till the deadline
            connection = self._tls.wrap_socket(connection, server_hostname=self._address.host)
        return connection

    def _kept(self, connection: socket.socket) -> bool:
        """Whether it stays open for the next call."""
        with self._lock:
            if self._closed or len(self._idle) >= IDLE:
                return False
            self._busy.discard(connection)
            self._idle.append((connection, self._clock()))
        return True

    def _message(self, asked: Request) -> bytes:
        head = f"{asked.method} {asked.path} HTTP/1.1\r\n".encode("ascii")
        return (
            head
            + self._lines
            + _lines({**asked.headers, "Content-Length": str(len(asked.body))})
            + b"\r\n"
            + asked.body
        )


def _lines(headers: dict[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")


def _begin(response: http.client.HTTPResponse) -> None:
    """Read the head of the answer; what goes before it (RFC 9110, 15.2: any 1xx) is none."""
    response.begin()
    while 100 <= response.status < 200:
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            raise http.client.HTTPException("expected HTTP/1.1, got another protocol")
        response.headers = response.msg = None  # type: ignore[assignment]  # begin() does nothing where there are some
        response.begin()


def _connected(host: str, port: int) -> socket.socket:
    """To the first address that answers; each has its share of the time that is left."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for place, (_, _, _, _, address) in enumerate(found):
        left = left_s()
        try:
            share = None if left is None else left / (len(found) - place)
            return socket.create_connection((str(address[0]), int(address[1])), share)
        except OSError:
            if place == len(found) - 1:
                raise
    raise OSError(f"{host}: expected an address, got none")


def _readable(idle: socket.socket) -> bool:
    """Nothing is to come on an idle connection but its end."""
    with selectors.DefaultSelector() as selector:
        selector.register(idle, selectors.EVENT_READ)
        return bool(selector.select(0))
