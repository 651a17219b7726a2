"""A closed loop of callers around any service that answers a picture with probabilities."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import aiohttp
import msgspec

from benchmarks.load.recorder import Latency, histogram
from benchmarks.peers.running import Running
from benchmarks.peers.task import HOST, PROBABILITIES, SPEC
from medserve import AsyncClient, MedServeError, Retry

TIMEOUT_S = 120
(IMAGE,) = (sent.name for sent in SPEC.step.inputs)
Ask = Callable[[bytes], Awaitable[Sequence[float]]]


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """What the callers saw.

    Args:
        users: of them.
        seconds: from the end of the warm-up to the last answer: a service that takes as long as a window for each
            answer is measured too.
        answered: right answers in them.
        failed: sentence → how many.
        ended: calls that ended, the warm-up's too.
    """

    users: int
    seconds: float
    answered: Latency
    failed: dict[str, int]
    ended: int

    @property
    def per_second(self) -> float:
        return self.answered.count / self.seconds if self.answered.count else 0.0


async def closed_loop(
    ask: Ask,
    expected: Mapping[bytes, Sequence[float]],
    tolerance: float,
    users: int,
    warm_s: float,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Loop:
    """Each caller asks again as soon as it is answered.

    Args:
        ask: one call.
        expected: what is right, by picture.
        tolerance: of each probability.
        users: callers.
        warm_s, seconds: that are not measured, and that calls are begun in.
        clock: never goes back, in seconds.
    """
    latencies, failed, ended = histogram(), Counter[str](), 0
    pictures = list(expected)
    start = last = clock() + warm_s

    async def caller(number: int) -> None:
        nonlocal ended, last
        turn = number
        while (began := clock()) < start + seconds:
            picture = pictures[turn % len(pictures)]
            turn += 1
            try:
                found = await ask(picture)
                pairs = zip(found, expected[picture], strict=True)
                right = all(abs(one - other) <= tolerance for one, other in pairs)  # NaN is not
                complaint = "" if right else "a wrong answer"
            except (MedServeError, aiohttp.ClientError, TimeoutError, ValueError, KeyError) as exc:
                complaint = f"{type(exc).__name__}: {exc}"[:200]
            now = clock()
            ended += 1
            if complaint:
                failed[complaint] += 1
            elif now >= start:
                latencies.record_value(max(1, round((now - began) * 1e6)))
                last = now

    await asyncio.gather(*(caller(number) for number in range(users)))
    answered = Latency.of(latencies)
    return Loop(users=users, seconds=last - start, answered=answered, failed=dict(failed), ended=ended)


@contextlib.asynccontextmanager
async def asking_peer(service: Running) -> AsyncIterator[Ask]:
    """Connections that are kept open, and no work but the body's and the answer's."""
    peer = service.peer
    url = f"http://{HOST}:{service.port}{peer.path}"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        async def ask(picture: bytes) -> Sequence[float]:
            body, headers = peer.body(picture), peer.headers
            async with session.request(peer.method, url, data=body, headers=headers) as response:
                answer = await response.read()
                if response.status != 200:
                    raise ValueError(f"HTTP {response.status}: {answer[:200]!r}")
                return peer.parse(answer)

        yield ask


@contextlib.asynccontextmanager
async def asking_medserve(url: str) -> AsyncIterator[Ask]:
    """The client's default call: all outputs, the heat map and the report."""
    async with AsyncClient(url, timeout_s=TIMEOUT_S, retry=Retry(attempts=1)) as client:

        async def ask(picture: bytes) -> Sequence[float]:
            found: Sequence[float] = (await client.predict(SPEC.name, {IMAGE: picture})).outputs[PROBABILITIES].tolist()
            return found

        yield ask
