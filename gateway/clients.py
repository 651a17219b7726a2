"""A client for each server that answers."""

from __future__ import annotations

import asyncio

from gateway.versions import Route
from medserve import AsyncClient


class Clients:
    """Opens a client for each URL when it is first asked, and keeps it.

    Args:
        own: of the gateway's own server.
        timeout_s: of each call to another one.
    """

    def __init__(self, own: AsyncClient, timeout_s: float) -> None:
        self._own, self._timeout_s = own, timeout_s
        self._others: dict[str, AsyncClient] = {}

    def of(self, route: Route) -> AsyncClient:
        """The one that a route is answered by."""
        if route.own:
            return self._own
        if route.url not in self._others:
            self._others[route.url] = AsyncClient(route.url, timeout_s=self._timeout_s)
        return self._others[route.url]

    async def close(self) -> None:
        """End them all."""
        await asyncio.gather(self._own.close(), *(client.close() for client in self._others.values()))
