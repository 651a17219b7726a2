"""How far a window is from its reference, and how far chance alone would put it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from gateway.drift.reference import Distribution

# Less than this matters to nobody, however sure it is. Source for PSI: Siddiqi, Credit Risk Scorecards, 2006: 0.25.
LEAST_PSI = 0.25
LEAST_KS = 0.2
_HALF = 0.5  # of an item in every bin, so that an empty one has a logarithm


@dataclass(frozen=True, slots=True)
class Distance:
    """Of one figure.

    Args:
        ks: largest distance between the two cumulative distributions, 0..1; None for labels.
        ks_chance: that chance alone exceeds with the probability that was asked for.
        psi: population stability index, 0 and above.
        psi_chance: that chance alone exceeds with that probability.
    """

    ks: float | None
    ks_chance: float | None
    psi: float
    psi_chance: float

    @property
    def score(self) -> float:
        """1.0: just both large enough to matter and too large for chance, by one measure or the other."""
        by_psi = self.psi / max(LEAST_PSI, self.psi_chance)
        if self.ks is None or self.ks_chance is None:
            return by_psi
        return max(by_psi, self.ks / max(LEAST_KS, self.ks_chance))


def of_values(values: NDArray[np.float64], size: float, of: Distribution, items: int, chance: float) -> Distance:
    """Distance of a number.

    Args:
        values: (m,) of the window; no NaN.
        size: independent observations that they are worth, at most m.
        of: the reference.
        items: that the reference was made from.
        chance: probability at which either measure exceeds what chance allows.
    """
    psi, psi_chance = _psi(of.shares, of.counts(values), size, items, chance)
    return Distance(ks=ks(values, of), ks_chance=_ks_chance(size, items, chance), psi=psi, psi_chance=psi_chance)


def of_shares(
    shares: NDArray[np.float64], counts: NDArray[np.int64], size: float, items: int, chance: float
) -> Distance:
    """Distance of categories: the reference's shares, (b,), and the window's counts, (b,)."""
    psi, psi_chance = _psi(shares, counts, size, items, chance)
    return Distance(ks=None, ks_chance=None, psi=psi, psi_chance=psi_chance)


def ks(values: NDArray[np.float64], of: Distribution) -> float:
    """Kolmogorov and Smirnov's statistic of (m,) values against a distribution that may have steps."""
    ordered = np.sort(values)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    above = steps[1:] - of.up_to(ordered)
    below = of.below(ordered) - steps[:-1]
    return max(float(above.max()), float(below.max()))


def _ks_chance(size: float, items: int, chance: float) -> float:
    """The two-sample test's asymptotic bound, an upper one where values are tied."""
    return min(1.0, math.sqrt(math.log(2 / chance) / 2 * (1 / size + 1 / items)))


def _psi(
    shares: NDArray[np.float64], counts: NDArray[np.int64], size: float, items: int, chance: float
) -> tuple[float, float]:
    """The index, and what chance allows.

    Without drift, psi / (1/items + 1/size) is about chi-square distributed with one degree less than bins.
    Source: Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020.
    """
    seen = (shares > 0) | (counts > 0)
    expected, found = _smoothed(shares[seen], items), _smoothed(counts[seen] / counts.sum(), size)
    psi = float(np.dot(found - expected, np.log(found / expected)))
    return psi, _largest_chi_square(len(expected) - 1, chance) * (1 / items + 1 / size)


def _smoothed(shares: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    return (shares * size + _HALF) / (size + _HALF * len(shares))


@lru_cache(maxsize=1024)
def _largest_chi_square(degrees: int, chance: float) -> float:
    return float(chdtri(degrees, chance)) if degrees else 0.0
