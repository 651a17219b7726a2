"""What a model's inputs and answers looked like when it was exported."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["input", "output"]
Key = tuple[Kind, str]  # of a figure
LEVELS = np.linspace(0.0, 1.0, 101)
# Two numbers this close, relative to the largest, are one: a server's float32 against a reference's decimal digits.
_SAME = 1e-5
_OPEN = 0.0201  # share of the reference that may lie between two values, and does not: two steps of LEVELS, rounded up
_TIED = _OPEN  # a value that more than this share of the reference has


class Distribution:
    """A cumulative distribution between quantiles, with a step wherever several of them are equal.

    Args:
        quantiles: (101,) at LEVELS, finite and rising.

    Attributes:
        cuts: (b - 1,) between the reference's deciles; a value that many share is a bin of its own.
        shares: (b,) of the reference in each bin between the cuts; they sum to 1.
    """

    def __init__(self, quantiles: NDArray[np.float64]) -> None:
        self.quantiles = quantiles
        self._same = _SAME * max(float(np.abs(quantiles).max()), 1e-9)
        self._at, self._share = _knots(quantiles, self._same)
        deciles = np.unique(quantiles[10:91:10])
        tied = self.up_to(deciles) - self.below(deciles) > _TIED
        cuts = np.unique([*deciles[~tied], *(deciles[tied] - self._same), *(deciles[tied] + self._same)])
        self.cuts = cuts[self._wide(cuts)]
        self.shares = self._between(self.cuts)

    def up_to(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the reference that is at most each value."""
        return np.interp(values + 2 * self._same, self._at, self._share)

    def below(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the reference that is less than each value."""
        return np.interp(values - 2 * self._same, self._at, self._share)

    def _between(self, cuts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.diff(np.interp(cuts, self._at, self._share), prepend=0.0, append=1.0)

    def _wide(self, cuts: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which cuts to keep: the gap between two tied values holds nothing but what quantiles leave open."""
        shares = self._between(cuts)
        thin = (shares > 0) & (shares < _OPEN)
        return np.append(~thin[:-2], not (thin[-2] or thin[-1]))

    def counts(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """(b,) of these values in each bin."""
        return np.bincount(self.cuts.searchsorted(values), minlength=len(self.shares))


def _knots(quantiles: NDArray[np.float64], same: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the distribution bends, rising strictly, and its share there: a step is a very steep line."""
    values, first, times = np.unique(quantiles, return_index=True, return_counts=True)
    last = first + times - 1
    at = np.stack([values - same * (times > 1), values + same * (times > 1)], axis=1).ravel()
    share = LEVELS[np.stack([first, last], axis=1).ravel()]
    order = np.maximum.accumulate(at)  # neighbours closer than `same`
    distinct = np.append(np.diff(order) > 0, True)
    return order[distinct], share[distinct]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One model's reference.

    Args:
        source: where its items came from.
        items: how many there were.
        figures: distribution of each number of the inputs and of the answers.
        labels: share of each predicted label; empty for a regression.
    """

    source: str
    items: int
    figures: Mapping[Key, Distribution]
    labels: Mapping[str, float]

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Reference:
        """Of a model's description.

        Raises:
            ValueError: it is not as the exporter writes it.
        """
        items = found.get("items")
        if not isinstance(items, int) or isinstance(items, bool) or items < 1:
            raise ValueError(f"reference.items: expected a count above 0, got {items!r}")
        inputs, outputs = _table(found, "statistics"), _table(found, "figures")
        figures: dict[Key, Distribution] = {}
        figures |= {("input", name): _distribution(f"statistics.{name}", inputs[name]) for name in inputs}
        figures |= {("output", name): _distribution(f"figures.{name}", outputs[name]) for name in outputs}
        return cls(source=str(found.get("source", "")), items=items, figures=figures, labels=_labels(found))


def _table(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = found.get(name) or {}
    if not isinstance(table, Mapping):
        raise ValueError(f"reference.{name}: expected an object, got {type(table).__name__}")
    return table


def _distribution(where: str, found: Any) -> Distribution:
    if not isinstance(found, Sequence) or len(found) != len(LEVELS) or not all(map(_is_number, found)):
        raise ValueError(f"reference.{where}: expected {len(LEVELS)} finite quantiles. Export the model again.")
    quantiles = np.asarray(found, np.float64)
    if (np.diff(quantiles) < 0).any():
        raise ValueError(
            f"reference.{where}: expected quantiles that rise, got some that fall. Export the model again."
        )
    return Distribution(quantiles)


def _labels(found: Mapping[str, Any]) -> dict[str, float]:
    labels = _table(found, "labels")
    total = sum(labels.values()) if all(_is_number(share) and share >= 0 for share in labels.values()) else math.nan
    if labels and not abs(total - 1) < 0.01:
        raise ValueError(f"reference.labels: expected shares that sum to 1, got {total}. Export the model again.")
    return {str(label): float(share) for label, share in labels.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
