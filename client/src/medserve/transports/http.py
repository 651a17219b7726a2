"""HTTP for threads: idle connections are kept, and a call has one to itself.

http.client reads answers; what is above the socket is written here, because its own connections send a head and a
body in two packets, and neither they nor urllib3's can end at a moment instead of after a silence.
"""

from __future__ import annotations

import http.client
import select
import socket
import threading

from medserve.address import Address
from medserve.calls import Arrays, Call
from medserve.errors import ClientClosed, cut_short, no_server, timed_out
from medserve.transports.deadline import PunctualSocket, PunctualTls, left_s, within
from medserve.wire.http import Request, answer, request

IDLE = 64  # connections kept open between calls; more threads than that open more


class HttpTransport:
    """See `medserve.calls.Transport`.

    Args:
        address: of the server.

    Raises:
        OSError: a TLS file that cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._tls = address.tls.context() if address.encrypted else None
        if self._tls is not None:
            self._tls.sslsocket_class = PunctualTls
        self._lines = _lines({"Host": address.netloc} | dict(address.headers))
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = False

    def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer."""
        asked = request(call, timeout_s)
        response = None
        with within(timeout_s):
            connection = None
            try:
                connection = self._connection(call)
                connection.sendall(self._message(asked))
                response = http.client.HTTPResponse(connection, method=asked.method)
                response.begin()
                body = response.read()
                if not response.will_close and self._kept(connection):
                    connection = None
            except TimeoutError as exc:
                raise timed_out(call.where, timeout_s) from exc
            except http.client.RemoteDisconnected as exc:
                raise no_server(call.where, exc) from exc
            except http.client.HTTPException as exc:
                raise cut_short(call.where, exc) from exc
            except OSError as exc:
                begun = response is not None and response.status != http.client._UNKNOWN  # type: ignore[attr-defined]
                raise cut_short(call.where, exc) if begun else no_server(call.where, exc) from exc
            finally:
                if connection is not None:
                    connection.close()
                if response is not None:
                    response.close()
        return answer(call, response.status, dict(response.getheaders()), body)

    def close(self) -> None:
        """May be called twice."""
        with self._lock:
            self._closed = True
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _connection(self, call: Call) -> socket.socket:
        """An idle one that the server has not closed meanwhile, or a new one."""
        while True:
            with self._lock:
                if self._closed:
                    raise ClientClosed(f"{call.where}: expected an open client, got a closed one")
                found = self._idle.pop() if self._idle else None
            if found is None:
                return self._opened()
            if not _readable(found):
                return found
            found.close()

    def _opened(self) -> socket.socket:
        plain = socket.create_connection((self._address.host, self._address.port), left_s())
        connection: socket.socket = PunctualSocket.of(plain)
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
            self._idle.append(connection)
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


def _readable(idle: socket.socket) -> bool:
    """Nothing is to come on an idle connection but its end."""
    poll = select.poll()
    poll.register(idle, select.POLLIN)
    return bool(poll.poll(0))
