"""A client for each server that answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.versions import Route
from medserve import AsyncClient

REST_S = 30.0  # for which another server is not asked that gave no answer


class Clients:
    """Opens a client for each URL when it is first asked, and keeps it.

    Args:
        own: of the gateway's own server.
        connect: makes one of another URL.
        clock: seconds that only grow.
    """

    def __init__(
        self, own: AsyncClient, connect: Callable[[str], AsyncClient], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._own, self._connect, self._clock = own, connect, clock
        self._others: dict[str, AsyncClient] = {}
        self._rests_until: dict[tuple[str, str], float] = {}

    def of(self, route: Route) -> AsyncClient:
        """The one that a route is answered by."""
        if route.own:
            return self._own
        if route.url not in self._others:
            self._others[route.url] = self._connect(route.url)
        return self._others[route.url]

    def rest(self, route: Route) -> None:
        """It gave no answer: whoever comes next shall not wait for it."""
        self._rests_until[route.url, route.serves] = self._clock() + REST_S

    def rests(self, route: Route) -> bool:
        """Whether it gave no answer of late."""
        return self._clock() < self._rests_until.get((route.url, route.serves), 0.0)

    async def close(self) -> None:
        """End them all."""
        await asyncio.gather(self._own.close(), *(client.close() for client in self._others.values()))
