"""Ten times as many calls as a server can answer, for a minute; and what comes after it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Annotated

import msgspec

from benchmarks.figures import SOME
from benchmarks.load.generator import Generator
from benchmarks.load.run import Run
from benchmarks.load.slo import Slo
from benchmarks.load.target import Target
from benchmarks.load.traffic import Item
from benchmarks.setting import Setting
from benchmarks.strain.probe import Probe, recovery_s
from server.machine import usable_cores

TIMES, USERS, TIMEOUT_S = 10, 300, 2.0
SECONDS, CAPACITY_S, QUIET_S, AFTER_S = 60, 10, 5, 10
GOODPUT, LATE_MS, RECOVERY_S, GROWTH = 0.90, 50.0, 2.0, 0.05
ENOUGH = 0.9  # of TIMES: a load generator on the same two cores does not quite reach it
USUAL = 2.0  # times a quiet server's slowest look: what is normal again


class Overload(msgspec.Struct, frozen=True, kw_only=True):
    """One minute.

    Args:
        one_each: whether at most USERS calls were under way at once: each caller is due as often as it takes to make
            ten times the capacity, and does not come while its last call is under way.
        capacity: 100 callers who wait for their answers, right before.
        run: the minute.
        recovery_s: after it.
        memory_mb: (first half, second half), medians; 0: nobody looked.
    """

    one_each: bool
    capacity: Run
    run: Run
    recovery_s: float
    memory_mb: tuple[float, float]

    @property
    def kind(self) -> str:
        """Who calls."""
        return f"{USERS} callers" if self.one_each else "whoever comes"

    @property
    def times(self) -> float:
        """Offered, as a multiple of capacity."""
        return self.run.offered / self.run.seconds / self.capacity.per_second

    @property
    def goodput(self) -> float:
        """Right answers a second, as a share of capacity."""
        return self.run.per_second / self.capacity.per_second

    @property
    def goodput_of_rest(self) -> float:
        """The same, of the time that the load generator, on the same cores, leaves to the server."""
        return self.goodput * _left(self.capacity) / _left(self.run)

    def missed(self) -> list[str]:
        """Sentences; none: the promise was kept."""
        late_ms = self.run.refused.longest - TIMEOUT_S * 1e3
        first, second = self.memory_mb
        found = [*self.capacity.complaints(), *self.run.complaints()]
        if not self.run.refused.count:
            found.append("nothing was refused: it was no overload")
        if not self.one_each and self.times < TIMES * ENOUGH:
            found.append(f"load: expected {TIMES} times capacity, got {self.times:.1f}")
        if self.goodput < GOODPUT:
            found.append(f"goodput: expected {GOODPUT} of capacity, got {self.goodput:.2f}")
        if late_ms > LATE_MS:
            found.append(f"refusals: expected within {LATE_MS:g} ms of the deadline, got {late_ms:.0f} ms after it")
        if self.recovery_s > RECOVERY_S:
            found.append(f"recovery: expected within {RECOVERY_S:g} s, got {self.recovery_s:.1f} s")
        if not first or not second or second > first * (1 + GROWTH):
            found.append(f"memory: expected no growth, got {first:.0f} MB and then {second:.0f} MB")
        return [f"{self.kind}: {sentence}" for sentence in found]


class Overloads(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="overload"):
    """`make overload`."""

    setting: Setting
    model: str
    overload: Annotated[list[Overload], SOME]


def measured(generator: Generator, target: Target, model: str, item: Item, seconds: int, *, one_each: bool) -> Overload:
    """Capacity, the minute, and what came after.

    Args:
        generator: of the load.
        target: a server that nobody else asks.
        model: to ask.
        item: that the probe sends.
        seconds: of the overload.
        one_each: see Slo; otherwise one source sends all of it, since a task for each caller would cost the load
            generator the CPU that it needs to be on time.
    """
    shares = {model: 1.0}
    at_rest = Slo(name="capacity", models=shares, seconds=CAPACITY_S, p95_ms=1e9)
    capacity, _ = generator.run(at_rest, target)
    slo = Slo(
        name="overload", models=shares, users=USERS if one_each else 1, per_second=TIMES * capacity.per_second,
        one_each=one_each, seconds=seconds, timeout_s=TIMEOUT_S, may_refuse=True, p95_ms=1e9,
    )  # fmt: skip
    with Probe(target, model, item, TIMEOUT_S) as probe:
        time.sleep(QUIET_S)
        quiet = max((look.latency_ms or 0.0 for look in probe.looks), default=0.0)
        run, _ = generator.run(slo, target)
        time.sleep(AFTER_S)
    began, middle = run.until - run.seconds, run.until - run.seconds / 2
    halves = probe.held(began, middle), probe.held(middle, run.until)
    return Overload(
        one_each=one_each,
        capacity=capacity,
        run=run,
        recovery_s=recovery_s(probe.looks, run.until, USUAL * quiet),
        memory_mb=(_median(halves[0]), _median(halves[1])),
    )


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def _left(run: Run) -> float:
    """The share of the cores' time that the load generator did not take."""
    return 1 - run.client_cpu_s / run.seconds / usable_cores()
