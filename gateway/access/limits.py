"""How much: of one caller, and of all together.

One process, one event loop, and nothing is awaited between the look and the count: so the limits hold exactly. Of the
libraries, `limits` knows windows and no bucket, and pyrate-limiter takes a thread and a lock for each.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.access.caller import Caller

BUSY_RETRY_S = 1.0
_ROUNDING_S = 1e-9
_SWEEP = 1024  # callers, above which those are forgotten who have asked nothing of late


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not now.

    Args:
        status: HTTP's.
        code: for programs.
        detail: for people.
        retry_s: after which it may be otherwise.
    """

    status: int
    code: str
    detail: str
    retry_s: float


@dataclass(slots=True)
class _Use:
    """Of one caller: its bucket is full again at `full_at` (the generic cell rate algorithm, GCRA)."""

    full_at: float = 0.0
    under_way: int = 0


class Limits:
    """The requests under way, and the buckets.

    Args:
        most_at_once: requests in all.
        max_bytes: of bodies in all.
        clock: seconds that only grow.
    """

    def __init__(self, *, most_at_once: int, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._max_bytes, self._clock = most_at_once, max_bytes, clock
        self._uses: dict[str, _Use] = {}
        self._under_way = self._bytes = 0
        self._sweep_above = _SWEEP

    def enter(self, caller: Caller, *, counted: bool) -> Refusal | None:
        """Take a place; whoever gets None must `leave`. A refused request uses up nothing.

        Args:
            caller: who asks.
            counted: whether it takes one of the places of all.
        """
        if counted and self._under_way >= self._most:
            return Refusal(503, "overloaded", "The gateway has more to do than it can. Ask later.", BUSY_RETRY_S)
        use = self._uses.get(caller.id) or _Use()
        if caller.concurrency is not None and use.under_way >= caller.concurrency:
            sentence = f"expected at most {caller.concurrency} requests under way with this key, got one more"
            return Refusal(429, "too_many_at_once", sentence, BUSY_RETRY_S)
        if (wait_s := self._draw(use, caller)) > 0:
            return _rate_limited(caller, wait_s)
        use.under_way += 1
        self._under_way += counted
        self._uses[caller.id] = use
        return None

    def charge(self, caller: Caller, more: int) -> Refusal | None:
        """What was let in as one request is more: the caller's next ones wait until it is paid for.

        A bucket is overdrawn by one such request at a time. Others that were let in beside it are refused here, and
        use up nothing: else as many as the burst would each bring their many.
        """
        if caller.rate_per_s is None or more <= 0:
            return None
        use, now, each_s = self._uses[caller.id], self._clock(), 1 / caller.rate_per_s
        if (wait_s := use.full_at - now - caller.burst * each_s) > _ROUNDING_S:
            use.full_at -= each_s
            return _rate_limited(caller, wait_s)
        use.full_at = max(use.full_at, now) + more * each_s
        return None

    def leave(self, caller: Caller, *, counted: bool, held_bytes: int) -> None:
        """Give the place back, and what its body took."""
        self._uses[caller.id].under_way -= 1
        self._under_way -= counted
        self._bytes -= held_bytes
        if len(self._uses) > self._sweep_above:
            self._sweep()

    def hold(self, more_bytes: int) -> bool:
        """Room for so much more of a body; False where there is none, and then nothing is taken."""
        if self._bytes + more_bytes > self._max_bytes:
            return False
        self._bytes += more_bytes
        return True

    def _draw(self, use: _Use, caller: Caller) -> float:
        """Take a token; else the seconds until there is one."""
        if caller.rate_per_s is None:
            return 0.0
        now, each_s = self._clock(), 1 / caller.rate_per_s
        full_at = max(use.full_at, now) + each_s
        wait_s = full_at - now - caller.burst * each_s
        if wait_s > _ROUNDING_S:
            return wait_s
        use.full_at = full_at
        return 0.0

    def _sweep(self) -> None:
        now = self._clock()
        self._uses = {name: use for name, use in self._uses.items() if use.under_way or use.full_at > now}
        self._sweep_above = max(_SWEEP, 2 * len(self._uses))


def _rate_limited(caller: Caller, wait_s: float) -> Refusal:
    sentence = f"expected at most {caller.rate_per_s:g} requests a second with this key, got more"
    return Refusal(429, "rate_limited", sentence, wait_s)
