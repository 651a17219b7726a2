"""A model's last observations."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.drift.reference import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One answered prediction.

    Args:
        model, version: that answered.
        statistics: numbers of the input; NaN where there is none.
        figures: numbers of the answer: its confidence, its uncertainty, or a regression's prediction.
        label: predicted; "" for a regression.
    """

    model: str
    version: str
    statistics: Mapping[str, float]
    figures: Mapping[str, float]
    label: str


class Window:
    """The last `length` observations of one model, in the order of a ring.

    Args:
        length: most that are kept.
    """

    def __init__(self, length: int) -> None:
        self._rows = np.full((length, 0), np.nan)
        self._columns: dict[Key, int] = {}
        self._others: deque[tuple[bytes, str, str]] = deque(maxlen=length)  # an input's print, label, version
        self._copies: Counter[bytes] = Counter()
        self._squares = 0  # of the numbers of copies, summed
        self.seen = 0  # ever

    def __len__(self) -> int:
        return len(self._others)

    def add(self, observation: Observation) -> None:
        """The oldest makes room."""
        row = self._row(observation)
        if len(self._others) == self._others.maxlen:
            self._forget(self._others[0][0])
        # An input that comes again brings the same numbers. What a network answers may vary in its last digit.
        known = observation.statistics or observation.figures
        print_ = np.array([*known.values()], np.float64).tobytes()
        self._rows[self.seen % len(self._rows)] = row
        self._others.append((print_, observation.label, observation.version))
        self._squares += 2 * self._copies[print_] + 1
        self._copies[print_] += 1
        self.seen += 1

    @property
    def size(self) -> float:
        """Independent observations that this window is worth: ten copies of one picture are nearly one.

        Source: Kish, Survey Sampling, 1965: (sum of weights)² / sum of squared weights.
        """
        return len(self) ** 2 / self._squares if self._squares else 0.0

    @property
    def most_copies(self) -> int:
        """Of one and the same input."""
        return max(self._copies.values(), default=0)

    def keys(self) -> list[Key]:
        """Of every figure that any observation ever had."""
        return list(self._columns)

    def values(self, key: Key) -> NDArray[np.float64]:
        """(m,) without NaN; m may be 0."""
        if key not in self._columns:
            return np.empty(0)
        column = self._rows[: len(self), self._columns[key]]
        return column[~np.isnan(column)]

    def labels(self) -> Counter[str]:
        """How often each was predicted; a regression has none."""
        return Counter(label for _, label, _ in self._others if label)

    def versions(self) -> Counter[str]:
        """Which answered how often."""
        return Counter(version for _, _, version in self._others)

    def _row(self, observation: Observation) -> NDArray[np.float64]:
        keys: list[tuple[Key, float]] = [(("input", name), value) for name, value in observation.statistics.items()]
        keys += [(("output", name), value) for name, value in observation.figures.items()]
        if any(key not in self._columns for key, _ in keys):
            self._widen([key for key, _ in keys if key not in self._columns])
        row = np.full(len(self._columns), np.nan)
        for key, value in keys:
            row[self._columns[key]] = value
        return row

    def _widen(self, keys: list[Key]) -> None:
        self._columns |= {key: len(self._columns) + place for place, key in enumerate(keys)}
        new = np.full((len(self._rows), len(keys)), np.nan)
        self._rows = np.concatenate([self._rows, new], axis=1)

    def _forget(self, print_: bytes) -> None:
        self._squares -= 2 * self._copies[print_] - 1
        self._copies[print_] -= 1
        if not self._copies[print_]:
            del self._copies[print_]
