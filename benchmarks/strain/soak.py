"""Four fifths of what a server can do, asked by 400 callers for half an hour."""

from __future__ import annotations

import statistics
from typing import Annotated

import msgspec

from benchmarks.figures import SOME
from benchmarks.load.generator import Generator
from benchmarks.load.run import Run
from benchmarks.load.slo import Slo
from benchmarks.load.target import Target
from benchmarks.load.traffic import Item
from benchmarks.setting import Setting
from benchmarks.strain.probe import Probe

PERCENT, SECONDS, CAPACITY_S, WARM_S = 80, 1800, 10, 20
DRIFT, GROWTH = 0.10, 0.02
CALLERS = 400  # with one call each: 100, some always under way when due, made 92% of the load
REACHED = 0.95  # of the load that was asked for: callers who wait for an answer do not ask the next thing


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """One long run.

    Args:
        capacity: 100 callers who wait for their answers: before, and again after it: what the machine itself did.
        percent: of the capacity before it, that the long one asked for.
        run: the long one.
        memory_mb: in the first and in the last tenth, medians; 0: nobody looked.
    """

    capacity: tuple[Run, Run]
    percent: int
    run: Run
    memory_mb: tuple[float, float]

    @property
    def drift(self) -> float:
        """Of p99 from the first half to the second, as a share of the first's."""
        first, second = self.run.halves
        return second.p99 / first.p99 - 1 if first.p99 else float("inf")

    @property
    def growth(self) -> float:
        """Of memory, as a share of the beginning's."""
        return self.memory_mb[1] / self.memory_mb[0] - 1 if self.memory_mb[0] else float("inf")

    def missed(self) -> list[str]:
        """Sentences; none: the promise was kept."""
        found = [sentence for each in (*self.capacity, self.run) for sentence in each.complaints()]
        wanted = self.capacity[0].per_second * self.percent / 100
        if self.run.per_second < REACHED * wanted:
            found.append(f"load: expected {wanted:.1f} answers a second, got {self.run.per_second:.1f}")
        if self.percent < PERCENT:
            found.append(f"load: expected {PERCENT}% of the capacity, {self.percent}% were asked for")
        if self.drift >= DRIFT:
            p99s = " and then ".join(f"{half.p99:.0f} ms" for half in self.run.halves)
            found.append(f"p99: expected under {DRIFT:.0%} of drift, got {p99s}")
        if self.growth >= GROWTH:
            first, second = self.memory_mb
            found.append(f"memory: expected under {GROWTH:.0%} of growth, got {first:.0f} MB, then {second:.0f} MB")
        return found


class Soaks(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="soak"):
    """`make soak`."""

    setting: Setting
    model: str
    soak: Annotated[list[Soak], SOME]


def measured(generator: Generator, target: Target, model: str, item: Item, seconds: int, percent: int) -> Soak:
    """Capacity, the long run, capacity.

    Args:
        generator: of the load.
        target: a server that nobody else asks.
        model: to ask.
        item: that the probe sends.
        seconds: of the long run.
        percent: of its capacity that are asked of it.
    """
    shares = {model: 1.0}
    at_rest = Slo(name="capacity", models=shares, seconds=CAPACITY_S, p95_ms=1e9)
    before, _ = generator.run(at_rest, target, 1)
    rate = before.per_second * percent / 100
    # One call each at most: a minute in which the machine is slower than the load would otherwise leave a queue that
    # what is left of the capacity takes many minutes to answer, and the run would tell of that minute alone.
    slo = Slo(
        name="soak", models=shares, users=CALLERS, per_second=rate, one_each=True, seconds=seconds, warm_s=WARM_S,
        p95_ms=1e9,
    )  # fmt: skip
    with Probe(target, model, item, timeout_s=30) as probe:
        run, _ = generator.run(slo, target)
    after, _ = generator.run(at_rest, target, 2)
    began, tenth = run.until - run.seconds, run.seconds / 10
    parts = (probe.held(began, began + tenth), probe.held(run.until - tenth, run.until))
    first, last = (statistics.median(part) if part else 0.0 for part in parts)
    return Soak(capacity=(before, after), percent=percent, run=run, memory_mb=(first, last))
