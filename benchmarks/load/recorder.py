"""What became of each call, second by second, in histograms that can be added up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram

LONGEST_US = 600_000_000
DIGITS = 3  # significant ones: 0.1 % of a latency


def histogram() -> HdrHistogram:
    """An empty one, of microseconds."""
    return HdrHistogram(1, LONGEST_US, DIGITS)


class Recorder:
    """Counts calls by the second in which they ended; after the last measured second too, where they were begun
    before: a server that freezes must not lose its worst answers.

    Args:
        warm_s: what ends earlier is not counted.
    """

    def __init__(self, warm_s: float) -> None:
        self._warm_s = warm_s
        self.answered: dict[int, HdrHistogram] = defaultdict(histogram)  # by second after the warm-up
        self.refused: dict[int, HdrHistogram] = defaultdict(histogram)  # by the server's queues
        self.models: dict[str, HdrHistogram] = defaultdict(histogram)
        self.failed: Counter[str] = Counter()  # sentence → how many

    def answer(self, model: str, now_s: float, latency_s: float) -> None:
        """A right answer, `now_s` after the start."""
        if now_s >= self._warm_s:
            self.answered[int(now_s - self._warm_s)].record_value(_us(latency_s))
            self.models[model].record_value(_us(latency_s))

    def refusal(self, now_s: float, latency_s: float) -> None:
        """UNAVAILABLE: the server sheds load."""
        if now_s >= self._warm_s:
            self.refused[int(now_s - self._warm_s)].record_value(_us(latency_s))

    def failure(self, sentence: str) -> None:
        """Anything else, in the warm-up too."""
        self.failed[sentence] += 1

    def packed(self) -> dict[str, Any]:
        """For another process; see `add`."""
        return {
            "answered": {str(second): each.encode().decode() for second, each in self.answered.items()},
            "refused": {str(second): each.encode().decode() for second, each in self.refused.items()},
            "models": {model: each.encode().decode() for model, each in self.models.items()},
            "failed": dict(self.failed),
        }

    def add(self, packed: Mapping[str, Any]) -> None:
        """What another process has counted."""
        for second, text in packed["answered"].items():
            self.answered[int(second)].decode_and_add(text)
        for second, text in packed["refused"].items():
            self.refused[int(second)].decode_and_add(text)
        for model, text in packed["models"].items():
            self.models[model].decode_and_add(text)
        self.failed.update(packed["failed"])

    def clear(self) -> None:
        """After it was sent away."""
        self.answered.clear()
        self.refused.clear()
        self.models.clear()
        self.failed.clear()


def _us(seconds: float) -> int:
    return min(max(1, round(seconds * 1e6)), LONGEST_US)


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds of a number of calls."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, found: HdrHistogram) -> Latency:
        """Zeros where there was none."""
        if not found.total_count:
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        at = found.get_percentile_to_value_dict([50.0, 95.0, 99.0])
        p50, p95, p99 = (at[quantile] / 1e3 for quantile in (50.0, 95.0, 99.0))
        return cls(found.total_count, _mean_us(found) / 1e3, p50, p95, p99, found.get_max_value() / 1e3)


def _mean_us(found: HdrHistogram) -> float:
    """Mean of what was recorded, each value at the middle of its bucket.

    The library's own `get_mean_value` steps through every empty bucket in Python: 0.3 s for one histogram.
    """
    counts = np.ctypeslib.as_array(found.counts)
    (recorded,) = counts.nonzero()
    lowest = [found.get_value_from_index(int(index)) for index in recorded]
    middle = [(value + found.get_highest_equivalent_value(value) + 1) / 2 for value in lowest]
    return float(np.dot(middle, counts[recorded]) / found.total_count)


def total(parts: Mapping[int, HdrHistogram]) -> HdrHistogram:
    """All seconds together."""
    whole = histogram()
    for part in parts.values():
        whole.add(part)
    return whole
