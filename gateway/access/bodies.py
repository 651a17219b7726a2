"""How large a body may be and how slowly it may come, by what its headers say and then by what comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from gateway.access.limits import BUSY_RETRY_S, Limits, Refusal

GRACE_S = 10.0  # before the rate is looked at: a connection's first second says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """See AccessSettings."""

    max_bytes: int
    min_bytes_per_s: int
    max_s: float
    grace_s: float = GRACE_S


class BodyRefused(HTTPException):
    """Ends the reading. It was answered already: what the application says to it is dropped.

    It is of a kind that no framework takes for a failure of its own.
    """


def refused_by_headers(headers: Headers, limits: BodyLimits) -> Refusal | None:
    """What can be said before a byte of the body is read."""
    lengths = headers.getlist("content-length")
    if not lengths:
        return None
    (length, *more) = lengths
    if more or not length.isascii() or not length.isdigit() or "transfer-encoding" in headers:
        return Refusal(400, "malformed", "expected one Content-Length, a number, got other headers", 0)
    if len(length) > 18 or int(length) > limits.max_bytes:
        return _too_large(limits)
    return None


def has_body(headers: Headers) -> bool:
    """Whether something follows the headers."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


class BodyReader:
    """In the place of `receive`: passes on what comes, until it is too much or too slow.

    Args:
        receive: the server's.
        limits: of this body.
        room: of all bodies.
        refuse: answers the request; awaited before BodyRefused is raised.
        clock: seconds that only grow, as the event loop's own.
    """

    def __init__(
        self,
        receive: Receive,
        limits: BodyLimits,
        room: Limits,
        refuse: Callable[[Refusal], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receive, self._limits, self._room, self._refuse = receive, limits, room, refuse
        self._clock, self._waited_s, self._whole = clock, 0.0, False
        self.held_bytes = 0

    async def __call__(self) -> Message:
        """The next message.

        Raises:
            BodyRefused: too large, too slow, or no room for it.
        """
        if self._whole:  # what comes after a body is that the caller went away, however long that takes
            return await self._receive()
        message = await self._next()
        if message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        if self.held_bytes + size > self._limits.max_bytes:
            await self._end(_too_large(self._limits))
        if not self._room.hold(size):
            await self._end(Refusal(503, "overloaded", "The gateway holds all that it can. Ask later.", BUSY_RETRY_S))
        self.held_bytes += size
        self._whole = not message.get("more_body", False)
        return message

    async def _next(self) -> Message:
        """Only the waiting counts: what the application does in between is not the caller's slowness."""
        started = self._clock()
        try:
            async with asyncio.timeout(self._left_s()):
                return await self._receive()
        except TimeoutError:
            await self._end(Refusal(408, "too_slow", self._slow(), 0))
            raise  # never: the line above raises
        finally:
            self._waited_s += self._clock() - started

    def _left_s(self) -> float:
        earned_s = self._limits.grace_s + self.held_bytes / self._limits.min_bytes_per_s
        return max(0.0, min(earned_s, self._limits.max_s) - self._waited_s)

    def _slow(self) -> str:
        return (
            f"expected a body at {self._limits.min_bytes_per_s} bytes a second or more and within "
            f"{self._limits.max_s:g} s, got one that comes more slowly"
        )

    async def _end(self, refusal: Refusal) -> None:
        await self._refuse(refusal)
        raise BodyRefused(refusal.status)


def _too_large(limits: BodyLimits) -> Refusal:
    return Refusal(413, "too_large", f"expected a body of at most {limits.max_bytes} bytes, got a larger one", 0)
