"""Streams of answers about chest films, drawn at random, and how long a monitor takes to say that they drifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.drift import Monitor, Observation
from tests.support.drift_statistics import Statistics, reference

MODEL = "a_model"


@dataclass(frozen=True)
class Pools:
    """Statistics of pictures, film by film where films were changed.

    Args:
        films: as they are.
        changed: by what was done to them, and "dermoscopy".
        classes: of each film.
    """

    films: Sequence[Statistics]
    changed: Mapping[str, Sequence[Statistics]]
    classes: Sequence[str]


class Half:
    """The films split at random: one half is the reference, from the other comes the stream.

    Args:
        pools: of all.
        seed: of the split and of what is drawn.
    """

    def __init__(self, pools: Pools, seed: int) -> None:
        self._pools, self._random = pools, np.random.default_rng(seed)
        order = self._random.permutation(len(pools.films))
        kept, self._streamed = np.array_split(order, 2)
        self.reference = reference([pools.films[i] for i in kept], [pools.classes[i] for i in kept])
        self.monitor = Monitor()
        self.monitor.refer(MODEL, self.reference)

    def send(self, requests: int, *, kind: str = "", share: float = 1.0) -> int | None:
        """How many requests it took to the alert; None: there was none.

        Args:
            requests: at most.
            kind: of `Pools.changed`; "": films as they are.
            share: of the requests that are of this kind.
        """
        for sent in range(1, requests + 1):
            if kind and self._random.random() < share:
                self._observe(self._drawn(kind), "")
            else:
                film = self._streamed[self._random.integers(len(self._streamed))]
                self._observe(self._pools.films[film], self._pools.classes[film])
            if sent % 10 == 0 and self.monitor.alert(MODEL):
                return sent
        return None

    def _drawn(self, kind: str) -> Statistics:
        pool = self._pools.changed[kind]
        same_films = len(pool) == len(self._pools.films) and kind != "dermoscopy"
        places = self._streamed if same_films else range(len(pool))
        return pool[places[self._random.integers(len(places))]]

    def _observe(self, statistics: Statistics, label: str) -> None:
        observed = Observation(model=MODEL, version="1", statistics=statistics, figures={}, label=label)
        self.monitor.observe(observed)
