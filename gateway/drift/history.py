"""A bounded record of looks that reaches back to the first."""

from __future__ import annotations

from gateway.drift.state import Point

MOST = 60


class History:
    """Keeps every look, then every second, every fourth, …; at most MOST, and the last one always."""

    def __init__(self) -> None:
        self._kept: list[Point] = []
        self._last: Point | None = None
        self._stride = 1
        self._looks = 0

    def add(self, point: Point) -> None:
        """The newest."""
        if self._looks % self._stride == 0:
            self._kept.append(point)
        if len(self._kept) >= MOST:
            self._kept = self._kept[::2]
            self._stride *= 2
        self._last = point
        self._looks += 1

    def points(self) -> list[Point]:
        """Oldest first."""
        if self._last is None or self._kept[-1] is self._last:
            return [*self._kept]
        return [*self._kept, self._last]
