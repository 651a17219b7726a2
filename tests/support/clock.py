"""A clock that a test moves, in the place of `time.monotonic`."""

from __future__ import annotations


class Clock:
    """Stands still until it is advanced."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
