"""Somebody who looks in four times a second: how a server feels before, during and after a load, and what it holds."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.load.target import Target
from benchmarks.load.traffic import Item
from medserve import AsyncClient, MedServeError, Retry

EVERY_S, MEMORY_EVERY = 0.25, 12


class Look(NamedTuple):
    """One call.

    Args:
        at: when it began, in seconds since 1970.
        latency_ms: until its answer; None: there was none.
    """

    at: float
    latency_ms: float | None


class Probe:
    """Looks in for as long as the block lasts.

    Args:
        target: the server.
        model: to ask.
        item: to ask for.
        timeout_s: of each call.
    """

    def __init__(self, target: Target, model: str, item: Item, timeout_s: float) -> None:
        self._target, self._model, self._item, self._timeout_s = target, model, item, timeout_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: Exception | None = None
        self.looks: list[Look] = []
        self.memory: list[tuple[float, float]] = []  # (seconds since 1970, MB)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None and exc is None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._look())
        except Exception as exc:  # raised where the block ends: half of what was to be seen is nothing
            self._error = exc

    def held(self, begin: float, end: float) -> list[float]:
        """MB at each look between these, in seconds since 1970."""
        return [mb for at, mb in self.memory if begin <= at < end]

    async def _look(self) -> None:
        client = AsyncClient(self._target.urls["grpc"], timeout_s=self._timeout_s, retry=Retry(attempts=1))
        calls: list[asyncio.Task[None]] = []
        while not self._over.is_set():
            if len(calls) % MEMORY_EVERY == 0 and (memory := self._target.watch.memory_mb()) is not None:
                self.memory.append((time.time(), memory))
            calls.append(asyncio.create_task(self._one(client)))
            await asyncio.sleep(EVERY_S)
        await asyncio.gather(*calls)
        await client.close()

    async def _one(self, client: AsyncClient) -> None:
        at = time.time()
        try:
            await client.predict(self._model, self._item)
        except MedServeError:
            self.looks.append(Look(at, None))
        else:
            self.looks.append(Look(at, (time.time() - at) * 1e3))


def recovery_s(looks: list[Look], until: float, usual_ms: float) -> float:
    """Seconds after `until` from which on every look is answered within `usual_ms`; infinite: never, or nobody looked.

    Args:
        looks: of a probe that went on after `until`.
        until: when the load ended, in seconds since 1970.
        usual_ms: what is normal.
    """
    later = sorted(look for look in looks if look.at >= until)
    late = [look.at for look in later if look.latency_ms is None or look.latency_ms > usual_ms]
    good = [look.at for look in later if not late or look.at > late[-1]]
    return max(0.0, good[0] - until) if good else float("inf")
