"""The callers of one process, in an event loop of their own.

Not greenlets: gRPC's loop for gevent keeps answers back for as much as a second where many large calls are under way
(measured: a report that threads had after 10 ms took 800), and a load generator that waits measures itself.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchmarks.load import run
from benchmarks.load.caller import Caller, WrongAnswer
from benchmarks.load.recorder import Recorder
from benchmarks.load.slo import Campaign, Slo
from benchmarks.load.traffic import items
from medserve import MedServeError, Overloaded

TIMEOUT_S = 30.0
STOP_S = 0.5  # in which a caller who waits to be due notices the end
T = TypeVar("T")


class Ended(NamedTuple):
    """A call that is over, for Locust's own page."""

    model: str
    latency_s: float
    failure: Exception | None


class Crowd:
    """All callers of one process.

    Args:
        campaign: the file of promises.
        slo: the one that is run.
        url: of the server.
        data: the sample data, if it is at hand.
        clock: never goes back, in seconds.
        sleep: waits so many seconds of that clock, in the event loop.
    """

    def __init__(
        self,
        campaign: Campaign,
        slo: Slo,
        url: str,
        data: Path | None,
        *,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self.slo, self.campaign = slo, campaign
        self.timeout_s = slo.timeout_s or TIMEOUT_S
        self.recorder = Recorder(campaign.warm(slo))
        self.ended: deque[Ended] = deque()
        self._items = {model: items(campaign.sent(slo, model), data) for model in slo.models}
        self._counts = Counter[str]()
        self._random = random.Random(time.time_ns())  # noqa: S311
        self._planned_s = sum(seconds for seconds, _ in campaign.phases(slo))
        self._started, self._until = self._clock(), 0.0
        self._cpu_s: float | None = None  # while it is measured
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="callers").start()
        self._caller: Caller = self._in_loop(self._made(url))

    def learn(self) -> Future[None]:
        """What the right answers are, before there is any load."""
        return asyncio.run_coroutine_threadsafe(self._caller.learn(self._items), self._loop)

    def start(self, began: Callable[[], object], ended: Callable[[], object]) -> None:
        """The clock, and nothing counted yet.

        Args:
            began: called when the warm-up is over.
            ended: called after the last measured second.
        """
        warm_s = self.campaign.warm(self.slo)

        def begin() -> None:
            self._until = time.time() + self._planned_s
            self.recorder.clear()
            self._counts.clear()
            self._caller.compared = 0
            self._started = self._clock()
            self._loop.call_later(warm_s, measure)
            self._loop.call_later(self._planned_s, end)

        def measure() -> None:
            self._cpu_s = time.process_time()
            began()

        def end() -> None:
            self._count_cpu()
            self._cpu_s = None
            ended()

        self._at_once(begin)

    def join(self, stopped: threading.Event) -> Future[None]:
        """One more caller, until `stopped` is set; over when its last call is."""
        callers = self._arrive if self.slo.per_second else self._wait
        return asyncio.run_coroutine_threadsafe(callers(stopped), self._loop)

    def taken(self) -> dict[str, Any]:
        """What was counted since it was last taken, for a master."""

        def take() -> dict[str, Any]:
            self._count_cpu()
            self._counts["checked"] += self._caller.compared
            self._caller.compared = 0
            found = {"recorded": self.recorder.packed(), "counts": dict(self._counts)}
            self.recorder.clear()
            self._counts.clear()
            return found

        return self._at_once(take)

    def add(self, taken: Mapping[str, Any]) -> None:
        """What a worker has counted."""
        self.recorder.add(taken["recorded"])
        self._counts.update(taken["counts"])

    def result(self) -> run.Run:
        """All of it."""
        self.add(self.taken())
        counts = self._counts
        if lost := counts["begun"] - counts["ended"]:
            self.recorder.failed["never ended"] += lost
        if (short_s := self._planned_s - self._now_s) > 0:
            self.recorder.failed[f"ended {short_s:.1f} s too early"] += 1
        return run.of(
            self.recorder,
            self.slo.name,
            list(self.slo.models),
            self._planned_s - self.campaign.warm(self.slo),
            offered=counts["offered"],
            checked=counts["checked"],
            client_cpu_s=counts["cpu_ms"] / 1e3,
            until=self._until,
        )

    def _count_cpu(self) -> None:
        if self._cpu_s is not None:
            now = time.process_time()
            self._counts["cpu_ms"] += round((now - self._cpu_s) * 1e3)
            self._cpu_s = now

    async def _wait(self, stopped: threading.Event) -> None:
        """Asks again as soon as it is answered: a closed loop."""
        while not stopped.is_set():
            await self._one()

    async def _arrive(self, stopped: threading.Event) -> None:
        """Calls by Poisson's law, whatever became of those before: an open loop. Many such callers are one, of their
        rates' sum."""
        mean_s = self.slo.users / (self.slo.per_second or 1)
        due = self._clock() + self._random.expovariate(1 / mean_s)
        under_way: set[asyncio.Task[None]] = set()
        while not stopped.is_set():
            await self._sleep(min(max(0.0, due - self._clock()), STOP_S))
            if (late := self._clock() - due) >= 0:
                if not (self.slo.one_each and under_way):
                    under_way.add(task := asyncio.create_task(self._one(late)))
                    task.add_done_callback(under_way.discard)
                due += self._random.expovariate(1 / mean_s)
        await asyncio.gather(*under_way)

    async def _one(self, waited_s: float = 0.0) -> None:
        """One call, from choosing its item to its record.

        Args:
            waited_s: since it was due: a caller who came on time has waited for that too.
        """
        (model,) = self._random.choices(list(self.slo.models), list(self.slo.models.values()))
        place = self._random.randrange(len(self._items[model]))
        begun = self._clock() - waited_s
        failure: Exception | None = None
        self._counts["begun"] += 1
        self._counts["offered"] += self.campaign.warm(self.slo) <= self._now_s < self._planned_s
        try:
            latency = await self._caller.call(model, place) + waited_s
            self.recorder.answer(model, self._now_s, latency)
        except (MedServeError, WrongAnswer) as exc:
            latency, failure = self._clock() - begun, exc
            if isinstance(exc, Overloaded) and self.slo.may_refuse:  # its queues shed it; nobody there is no refusal
                self.recorder.refusal(self._now_s, latency)
            else:
                self.recorder.failure(f"{type(exc).__name__}: {exc}"[:200])
        self._counts["ended"] += 1
        self.ended.append(Ended(model, latency, failure))

    @property
    def _now_s(self) -> float:
        return self._clock() - self._started

    async def _made(self, url: str) -> Caller:
        return Caller(url, self.slo.send, self.timeout_s, self.slo.batch)

    def _in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _at_once(self, function: Callable[[], T]) -> T:
        """In the loop's thread, where nothing else then is at work."""

        async def call() -> T:
            return function()

        return self._in_loop(call())
