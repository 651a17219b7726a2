"""A batch cut into pieces that run side by side, one core each.

An operator that is spread over all cores ends when the slowest of them does, and under load every core is now and
then another process's: all wait. Pieces wait for nobody, and a small one stays in its core's cache. A single item is
answered soonest by all cores together, so that is what it gets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


class Engine(Protocol):
    """Runs one loaded file. Not thread-safe: a Triton instance owns it."""

    name: str

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The named outputs, in this order; arrays of their own that a later run leaves alone."""


class Lanes:
    """An engine made of engines.

    Args:
        whole: computes one item on every core.
        lanes: each computes on one core; they may run at the same time.
        piece: the most items that a lane gets at once.
    """

    def __init__(self, whole: Engine, lanes: Sequence[Engine], piece: int) -> None:
        self.name = f"{whole.name}, {len(lanes)} lanes of {piece}"
        self.whole = whole
        self._lanes = lanes
        self._piece = piece
        self._pool = ThreadPoolExecutor(len(lanes), "lane")

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        count = len(next(iter(inputs.values())))
        if count == 1 or not outputs:
            return self.whole.run(inputs, outputs)
        size = min(self._piece, math.ceil(count / len(self._lanes)))
        starts = range(0, count, size)
        queue = _Shared(iter(starts))
        found: dict[int, list[Array]] = {}

        def work(lane: Engine) -> None:
            for start in queue:
                found[start] = lane.run({name: array[start : start + size] for name, array in inputs.items()}, outputs)

        running = [self._pool.submit(work, lane) for lane in self._lanes]
        wait(running)  # also where one failed: no lane may still be at work when the next batch comes
        for done in running:
            done.result()
        return [np.concatenate([found[start][place] for start in starts]) for place in range(len(outputs))]


class _Shared:
    """An iterator for several threads: whoever is free takes the next."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._lock = Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._lock:
            return next(self._source)
