"""100,000 lines verify in ten seconds, before and after a removal; recording is cheap."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from gateway.audit import AuditLog, Store, lines, retention
from gateway.audit.store import Line
from gateway.audit.verification import verify
from tests.support.audit_databases import KEY
from tests.support.audit_entries import entry

LINES = 100_000
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def key() -> bytes:
    return KEY


def test_a_hundred_thousand_lines(store: Store, record_property) -> None:
    for first in range(0, LINES, 5000):
        group = [entry(number, time=START + timedelta(seconds=number)) for number in range(first, first + 5000)]
        store.append([Line(each.prediction_id, lines.canonical(each)) for each in group])

    def verified_s() -> float:
        started = time.perf_counter()
        verify(store)
        return time.perf_counter() - started

    before_s = verified_s()
    started = time.perf_counter()
    assert retention.prune(store, START + timedelta(seconds=LINES // 2)) == LINES // 2
    pruned_s, after_s = time.perf_counter() - started, verified_s()
    for name, value_s in (("verify", before_s), ("prune", pruned_s), ("verify after", after_s)):
        record_property(name, value_s)
        print(f"{name}: {value_s:.2f} s")
    assert before_s < 10
    assert after_s < 10


def test_a_hundred_callers(store: Store) -> None:
    """Far above the 200 requests a second that models answer on two cores."""

    async def run() -> tuple[float, float]:
        log, numbers = AuditLog(store), iter(range(5000))
        await log.start()

        async def caller() -> None:
            for number in numbers:
                await log.record(entry(number))

        started, cpu_s = time.perf_counter(), time.process_time()
        await asyncio.gather(*(caller() for _ in range(100)))
        taken_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
        await log.close()
        return 5000 / taken_s, cpu_s / 5000

    per_s, cpu_s = asyncio.run(run())
    print(f"{per_s:.0f} lines/s, {cpu_s * 1e6:.0f} µs of processor time each")
    assert per_s > 500
