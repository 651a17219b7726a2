"""HTTP for one event loop."""

from __future__ import annotations

import asyncio
import io
import math
from contextvars import ContextVar

import aiohttp

from medserve.address import Address
from medserve.calls import Arrays, Call
from medserve.errors import closed, cut_short, no_server, timed_out
from medserve.wire.http import answer, request

LARGE = 1 << 20  # bytes; aiohttp warns of larger ones that are no file
CONNECTIONS = 256  # at once; further calls wait for one, inside their timeout

_CARRIERS: ContextVar[list[asyncio.Transport]] = ContextVar("_CARRIERS")  # of the call under way


class _Request(aiohttp.ClientRequest):
    """Says what carries it: aiohttp itself tells nobody, and nothing at all of a request that failed."""

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        if conn.transport is not None:
            _CARRIERS.get().append(conn.transport)
        return await super().send(conn)


class AsyncHttpTransport:
    """See `medserve.calls.AsyncTransport`. Make it inside the loop that is to use it.

    Args:
        address: of the server.

    Raises:
        OSError: a TLS file that cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self._url = f"{address.scheme}://{address.netloc}"
        context = address.tls.context() if address.encrypted else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=context),
            headers=dict(address.headers),
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer."""
        if self._session.closed:
            raise closed(call.where)
        asked = request(call, timeout_s)
        response = None
        carriers: list[asyncio.Transport] = []
        _CARRIERS.set(carriers)
        try:
            async with self._session.request(
                asked.method,
                self._url + asked.path,
                data=io.BytesIO(asked.body) if len(asked.body) > LARGE else asked.body,
                headers=asked.headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s, ceil_threshold=math.inf),  # not by the second
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except (asyncio.TimeoutError, TimeoutError) as exc:  # noqa: UP041  two classes in Python 3.10
            raise timed_out(call.where, timeout_s) from exc
        except (aiohttp.ClientError, OSError, UnicodeError) as exc:
            if self._session.closed:
                raise closed(call.where) from exc
            begun = response is not None or _had_begun(exc)
            raise cut_short(call.where, exc) if begun else no_server(call.where, exc) from exc
        finally:
            for carrier in carriers:
                _abandon(carrier)
        return answer(call, response.status, response.headers, body)

    async def close(self) -> None:
        """May be called twice."""
        await self._session.close()


def _abandon(carrier: asyncio.Transport) -> None:
    """Drop what a call that has ended did not come to send (it was refused at its first bytes, or was late).

    A closed transport sends the rest first: it would stay, with up to the whole file, for as long as the server
    neither reads nor hangs up.
    """
    if carrier.is_closing() and carrier.get_write_buffer_size():
        carrier.abort()


def _had_begun(exc: Exception) -> bool:
    """Whether the connection ended inside the headers of an answer: aiohttp then has what came of them."""
    return isinstance(exc, aiohttp.ServerDisconnectedError) and not isinstance(exc.message, str)
