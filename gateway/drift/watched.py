"""One model's window, looked at now and then."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

import gateway.drift.distance as distance
import gateway.drift.state as state
from gateway.drift.alarm import Alarm
from gateway.drift.distance import Distance
from gateway.drift.history import History
from gateway.drift.reference import Key, Reference
from gateway.drift.window import Observation, Window

# Of one look, over all figures and both measures. Windows overlap: a stream has fewer independent looks than looks.
FALSE_ALARM = 0.002
EVERY = 20  # observations: a look costs about a millisecond
LEAST = 20  # different inputs


class Watched:
    """One model.

    Args:
        length: observations of its window.
        reference: None where there is none to compare with.
        refused: why one that was there cannot be read; "" otherwise.

    Attributes:
        distances: of each figure at the last look, where there was enough to compare.
        labels: of the predicted labels; None where there are none.
        since: when the alert was raised, UTC, ISO 8601; "" where it is not.
    """

    def __init__(self, length: int, reference: Reference | None, refused: str = "") -> None:
        self.reference, self.refused = reference, refused
        self.window, self.history = Window(length), History()
        self.distances: dict[Key, Distance] = {}
        self.labels: Distance | None = None
        self.since = ""
        self._alarm = Alarm()

    @property
    def alert(self) -> bool:
        """Raised."""
        return self._alarm.raised

    def observe(self, observation: Observation) -> bool:
        """Whether the window was looked at."""
        self.window.add(observation)
        if self.window.seen % EVERY:
            return False
        if self.reference is not None and self.window.size >= LEAST:
            self._look(self.reference)
        return True

    def named(self) -> dict[str, Distance]:
        """Distances of the last look by name."""
        found = {name: distance for (_, name), distance in self.distances.items()}
        return found | ({"label": self.labels} if self.labels else {})

    def _look(self, reference: Reference) -> None:
        chance = FALSE_ALARM / (2 * len(reference.figures) + 1)
        self.distances = self._figures(reference, chance)
        self.labels = self._labels(reference, chance)
        score = max((found.score for found in self.named().values()), default=0.0)
        before, now = self.alert, datetime.now(UTC).isoformat(timespec="milliseconds")
        if self._alarm.look(score) != before:
            self.since = now if self.alert else ""
        self.history.add(self._point(now, score))

    def _figures(self, reference: Reference, chance: float) -> dict[Key, Distance]:
        """A figure that some inputs lack is worth as much less."""
        worth = self.window.size / len(self.window)
        found = {key: self.window.values(key) for key in reference.figures}
        return {
            key: distance.of_values(values, len(values) * worth, reference.figures[key], reference.items, chance)
            for key, values in found.items()
            if len(values) * worth >= LEAST
        }

    def _labels(self, reference: Reference, chance: float) -> Distance | None:
        counts = self.window.labels()
        size = counts.total() * self.window.size / len(self.window)
        if not reference.labels or size < LEAST:
            return None
        names = [*{**reference.labels, **counts}]
        shares = np.array([reference.labels.get(name, 0.0) for name in names])
        return distance.of_shares(shares, np.array([counts[name] for name in names]), size, reference.items, chance)

    def _point(self, now: str, score: float) -> state.Point:
        named = self.named()
        return state.Point(
            at=now,
            seen=self.window.seen,
            score=round(score, 4),
            alert=self.alert,
            psi={name: round(found.psi, 4) for name, found in named.items()},
            ks={name: round(found.ks, 4) for name, found in named.items() if found.ks is not None},
        )
