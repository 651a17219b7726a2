"""HTTP for threads: a pool of connections, of which a call has one to itself."""

from __future__ import annotations

import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError
from urllib3.exceptions import TimeoutError as Late

from medserve.address import Address
from medserve.calls import Arrays, Call
from medserve.errors import ClientClosed, cut_short, no_server, timed_out
from medserve.transports.deadline import PunctualSocket, PunctualTls, left_s, within
from medserve.wire.http import answer, request

CONNECTIONS = 64  # kept open between calls; more threads than that open more


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        self.timeout = left_s()
        return PunctualSocket.of(super()._new_conn())


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        self.timeout = left_s()
        return PunctualSocket.of(super()._new_conn())


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class HttpTransport:
    """See `medserve.calls.Transport`.

    Args:
        address: of the server.

    Raises:
        OSError: a TLS file that cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self._headers = dict(address.headers)
        options: dict[str, Any] = {"maxsize": CONNECTIONS, "retries": False, "timeout": None}
        self._pool: urllib3.HTTPConnectionPool
        if address.encrypted:
            context = address.tls.context()
            context.sslsocket_class = PunctualTls
            self._pool = _TlsPool(address.host, address.port, ssl_context=context, **options)
        else:
            self._pool = _Pool(address.host, address.port, **options)
        self._closed = False

    def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer."""
        if self._closed:
            raise ClientClosed(f"{call.where}: expected an open client, got a closed one")
        asked = request(call, timeout_s)
        response = None
        with within(timeout_s):
            try:
                response = self._pool.urlopen(
                    asked.method,
                    asked.path,
                    asked.body,
                    self._headers | dict(asked.headers),
                    preload_content=False,
                    redirect=False,
                    assert_same_host=False,
                )
                body = response.read()
                response.release_conn()
            except NewConnectionError as exc:  # urllib3 counts it among its timeouts
                raise no_server(call.where, exc) from exc
            except (Late, TimeoutError) as exc:
                raise timed_out(call.where, timeout_s) from exc
            except (HTTPError, OSError) as exc:
                if isinstance(exc, ProtocolError) and isinstance(exc.args[-1], TimeoutError):
                    raise timed_out(call.where, timeout_s) from exc
                raise cut_short(call.where, exc) if response is not None else no_server(call.where, exc) from exc
            finally:
                if response is not None and not response.closed:
                    response.close()  # half-read: nobody may use that connection again
        return answer(call, response.status, response.headers, body)

    def close(self) -> None:
        """May be called twice."""
        self._closed = True
        self._pool.close()
