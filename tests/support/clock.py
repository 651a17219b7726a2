"""A clock that a test advances, in the place of `time.monotonic`; and an event loop that runs by it."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
HANG_S = 300  # ends a test that would wait for ever; nothing is expected to happen within it


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass; also usable in the place of `time.sleep`."""
        self.now += seconds


def run(work: Coroutine[Any, Any, T], clock: Clock) -> T:
    """Run a coroutine in an event loop whose timers follow the clock.

    Where every task waits for a timer, the clock jumps to the earliest: no test waits, and no machine is too slow.
    Not for code that waits for threads or sockets: its timers would end first.
    """
    with asyncio.Runner(loop_factory=lambda: _Loop(clock)) as runner:
        return runner.run(work)


def until(condition: Callable[[], object], what: str, state: Callable[[], str] = str) -> None:
    """Return when it holds, because of what other threads or processes do.

    Args:
        condition: looked at again and again.
        what: is waited for, for the message of a wait that never ends.
        state: of what is looked at, for that message.
    """
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {HANG_S} s for {what}\n{state()}"
        time.sleep(0.02)


class _Selector(selectors.DefaultSelector):
    clock: Clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout else timeout)
        if timeout and not ready:
            self.clock.advance(timeout)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        selector = _Selector()
        selector.clock = clock
        super().__init__(selector)
        self._now = clock

    def time(self) -> float:
        return self._now()
