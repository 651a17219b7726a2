"""Connections that send no request, or never finish its headers: uvicorn itself waits for ever, and keeps what comes.

For uvicorn's `http=`; the middleware sees a request only when its headers are whole.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
MAX_HEAD_BYTES = 64 << 10


class BoundedHead(HttpToolsProtocol):
    """Closes a connection whose next headers take longer than HEAD_S, or more than MAX_HEAD_BYTES."""

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        waited_for = self._timer
        super().data_received(data)
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start()  # bytes that are no request stop uvicorn's own timer, and begin none
        if self._timer is None or self._timer is not waited_for:  # the headers are whole, or the next ones began here
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(head.encode("ascii"))
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._timer is None:
            self._start()

    def on_headers_complete(self) -> None:
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _start(self) -> None:
        self._head_bytes = 0
        self._timer = self.loop.call_later(HEAD_S, self._end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # an earlier request is being answered
            self._start()
        elif not self.transport.is_closing():
            self.transport.close()
