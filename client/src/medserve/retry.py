"""How often to ask again, and when to stop waiting."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST_S = 86_400  # a day: sockets and clocks overflow somewhere beyond


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Asking again where nothing was answered: the server was not there, said 503 or UNAVAILABLE, or hung up.

    Args:
        attempts: at most, the first one counted; 1 never asks again.
        first_s: the longest pause before the second attempt; it doubles for each further one.
        longest_s: of any pause.
        jitter: draws the share of a pause that is waited, 0..1, so that callers do not come back all at once.
            Source: Brooker, "Exponential Backoff And Jitter", 2015: full jitter.
    """

    attempts: int = 4
    first_s: float = 0.1
    longest_s: float = 2.0
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"retry: attempts: expected at least 1, got {self.attempts}")

    def pause_s(self, attempt: int) -> float:
        """Before attempt 2, 3, …"""
        return self.jitter() * min(self.longest_s, self.first_s * 2.0 ** (attempt - 2))


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a call, all its attempts included.

    Args:
        timeout_s: of the whole.
        now: a clock that never goes back, in seconds.
    """

    timeout_s: float
    now: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started", self.now())

    @property
    def elapsed_s(self) -> float:
        """Since it was made."""
        return self.now() - self.started

    @property
    def left_s(self) -> float:
        """Negative when it is over."""
        return self.timeout_s - self.elapsed_s


def checked_timeout(timeout_s: float) -> float:
    """Raises ValueError: no number of seconds above 0 and up to LONGEST_S."""
    if not 0 < timeout_s <= LONGEST_S:
        raise ValueError(
            f"timeout_s: expected a finite number above 0 and up to {LONGEST_S} (seconds), got {timeout_s}"
        )
    return timeout_s
