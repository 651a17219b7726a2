"""How far a run is, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Progress:
    """Counts models that are done.

    Args:
        total: how many there are.
        processes: how many are worked on at the same time.
        clock: seconds that never go back.
    """

    def __init__(self, total: int, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._processes, self._clock = total, processes, clock
        self._began, self._done = clock(), 0

    def one_done(self) -> str:
        """Count one more; a phrase about the others: the mean time of those that are done, for each round left."""
        self._done += 1
        left = self._total - self._done
        passed = self._clock() - self._began
        said = f"{self._done} of {self._total} done in {duration(passed)}"
        return f"{said}, about {duration(passed / self._done * left)} left" if left else said

    def beginning(self) -> str:
        """A phrase before the first is done."""
        together = f", {self._processes} at a time" if self._processes > 1 else ""
        return f"{self._total} to export{together}" if self._total > 1 else "1 to export"


def duration(seconds: float) -> str:
    """Such as "45 s" or "3 min 20 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
