"""The closed loop that every service is measured by, and what a comparison may conclude."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from benchmarks.load.recorder import Latency
from benchmarks.peers.loop import Loop, closed_loop
from benchmarks.peers.report import Service, Turn, missed, table
from tests.support.clock import Clock

EXPECTED = {b"a": [0.1, 0.9], b"b": [0.8, 0.2]}


USERS = 5


def _looped(answer: Callable[[bytes], Sequence[float]], takes_s: float, warm_s: float, seconds: float) -> Loop:
    """A loop around calls that take so long: each user's turn moves the clock by its share."""
    clock = Clock()

    async def ask(picture: bytes) -> Sequence[float]:
        await asyncio.sleep(0)  # the others begin
        clock.advance(takes_s / USERS)
        await asyncio.sleep(0)  # the others move it too
        return answer(picture)

    return asyncio.run(closed_loop(ask, EXPECTED, 0.01, USERS, warm_s, seconds, clock))


def test_right_answers_are_counted_and_timed() -> None:
    loop = _looped(EXPECTED.__getitem__, takes_s=0.01, warm_s=0.1, seconds=0.5)
    assert not loop.failed
    assert loop.ended > loop.answered.count
    assert loop.answered.count == pytest.approx(USERS * 0.5 / 0.01, abs=2 * USERS)
    assert loop.answered.p50 == pytest.approx(10, rel=0.01)
    assert loop.seconds == pytest.approx(0.5, abs=0.011)
    assert loop.per_second == loop.answered.count / loop.seconds


def test_answers_that_take_longer_than_the_window_are_measured() -> None:
    loop = _looped(EXPECTED.__getitem__, takes_s=0.4, warm_s=0.1, seconds=0.1)
    assert loop.answered.count == USERS
    assert loop.seconds == pytest.approx(0.3)  # from the end of the warm-up to the last answer


def _raising(_picture: bytes) -> Sequence[float]:
    raise ValueError("HTTP 500")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda picture: [float("nan"), EXPECTED[picture][1]], "a wrong answer"),
        (lambda _: EXPECTED[b"a"], "a wrong answer"),
        (_raising, "HTTP 500"),
        (lambda _: [0.1], "ValueError: zip()"),
    ],
)
def test_other_answers_are_failures(answer: Callable[[bytes], Sequence[float]], said: str) -> None:
    loop = _looped(answer, takes_s=0.01, warm_s=0.0, seconds=0.2)
    assert any(said in sentence for sentence in loop.failed), loop.failed


def _service(name: str, variant: str, rate: float, p50: float, failed: dict[str, int] | None = None) -> Service:
    hundred = Loop(users=100, seconds=10, answered=Latency(int(rate * 10), 1, 1, 2, 3, 4), failed=failed or {}, ended=9)
    one = Loop(users=1, seconds=3, answered=Latency(10, p50, p50, p50, p50, p50), failed={}, ended=9)
    return Service(
        name=name, variant=variant, version="1", lines=8, one=one, hundred=hundred, cpu_ms=1, memory_mb=1
    )  # fmt: skip


OURS = _service("medserve grpc", "", 100, 10)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (_service("fastapi", "documented", 10, 11), ""),
        (_service("fastapi", "documented", 11, 11), "expected 10.0 times its answers a second, got 9.09"),
        (_service("litserve", "documented", 49, 11), ""),
        (_service("litserve", "documented", 51, 11), "expected 2.0 times"),
        (_service("litserve", "documented", 49, 9.5), "p50 at most 0 ms above its, got 0.5 ms"),
        (_service("litserve", "engine", 76, 9.5), ""),
        (_service("litserve", "engine", 78, 9.5), "expected 1.3 times"),
        (_service("litserve", "engine", 76, 8.5), "p50 at most 1 ms above its, got 1.5 ms"),
        (_service("medserve http", "", 120, 1), ""),
        (_service("litserve", "engine", 10, 9.5, {"a wrong answer": 3}), "3 × a wrong answer"),
        (_service("litserve", "engine", 0, 9.5), "no answer"),
    ],
)
def test_what_a_comparison_concludes(other: Service, said: str) -> None:
    found = "\n".join(missed([Turn(OURS, other)] * 3))
    assert said in found
    assert bool(found) == bool(said)


def test_the_table_has_a_row_for_each_service() -> None:
    turns = [Turn(OURS, _service("litserve", "engine", rate, 9.5)) for rate in (50, 20, 40)]
    lines = table(turns).splitlines()
    assert len(lines) == 4
    assert "| 40.0 | 2.50 |" in lines[3]
