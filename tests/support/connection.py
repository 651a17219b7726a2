"""A connection to uvicorn without a socket: its own HTTP parser and timers, on the loop of `tests.support.clock`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from gateway.access.connections import BoundedHead


class Connection(asyncio.Transport):
    """One client's connection, from its first byte to its end.

    Attributes:
        received: all bytes that came back.
        unread: whether the server has yet to read what was sent.
    """

    def __init__(self, app: ASGIApp, **config: Any) -> None:
        super().__init__()
        self.received = b""
        self._unread, self._paused = b"", False
        self._responded, self._ended = asyncio.Event(), asyncio.get_running_loop().create_future()
        made = uvicorn.Config(app, http=BoundedHead, lifespan="off", log_config=None, **config)
        self._state = ServerState()
        self._protocol = BoundedHead(made, self._state, {}, asyncio.get_running_loop())
        self._protocol.connection_made(self)

    def send(self, content: bytes) -> None:
        """As a client does. Raises ConnectionResetError once the server has closed."""
        if self.is_closing():
            raise ConnectionResetError
        self._unread += content
        self._deliver()

    @property
    def unread(self) -> bool:
        return bool(self._unread)

    def hang_up(self) -> None:
        """Go away without a word."""
        self.close()

    async def ended(self) -> bytes:
        """Wait until the server closes, and its requests are done with; everything that came back."""
        await self._ended
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)
        return self.received

    async def problem(self) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of the one response after which the server closes."""
        head, _, body = (await self.ended()).partition(b"\r\n\r\n")
        assert self.received.count(b"HTTP/1.1 ") == 1, self.received
        return int(head.split()[1]), json.loads(body)

    async def responded(self) -> bytes:
        """Wait for the first response, or the end; everything that came back so far."""
        await self._responded.wait()
        return self.received

    def _deliver(self) -> None:
        if self._unread and not self._paused and not self.is_closing():
            content, self._unread = self._unread, b""
            self._protocol.data_received(content)

    # What uvicorn calls:

    def write(self, data: Any) -> None:
        self.received += bytes(data)
        if b"\r\n\r\n" in self.received:
            self._responded.set()

    def close(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
            self._responded.set()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self._ended.done()

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        asyncio.get_running_loop().call_soon(self._deliver)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default
