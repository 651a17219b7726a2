"""The figures of one split, and their mean and standard deviation over several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from export.training.interval import Interval

DIGITS = 4
Figures = dict[str, float]


def errors(predicted: NDArray[np.float64], log_s: NDArray[np.float64]) -> Figures:
    """R² (coefficient of determination), RMSE and MAE, both in log mol/L, of one model's [M]."""
    difference = predicted - log_s
    squared = float((difference**2).mean())
    return {
        "r2": 1 - squared / float(log_s.var()),
        "rmse": squared**0.5,
        "mae": float(np.abs(difference).mean()),
    }


def single_models(outputs: NDArray[np.float64], log_s: NDArray[np.float64]) -> Figures:
    """The mean over the members [K, M] of each member's own errors."""
    each = [errors(member, log_s) for member in outputs]
    return {name: float(np.mean([figures[name] for figures in each])) for name in each[0]}


def interval_figures(outputs: NDArray[np.float64], log_s: NDArray[np.float64], interval: Interval) -> Figures:
    """Share of molecules inside, and the interval's whole width in log mol/L: mean, narrowest, widest."""
    half = interval.half_width(outputs)
    inside = np.abs(outputs.mean(0) - log_s) <= half
    return {
        "coverage": float(inside.mean()),
        "mean_width": float(2 * half.mean()),
        "narrowest": float(2 * half.min()),
        "widest": float(2 * half.max()),
    }


def over_splits(figures: Sequence[Mapping[str, float]]) -> dict[str, Figures]:
    """Mean and sample standard deviation of each figure; the latter is 0 for a single split."""
    return {
        name: {
            "mean": float(np.mean([each[name] for each in figures])),
            "sd": float(np.std([each[name] for each in figures], ddof=1)) if len(figures) > 1 else 0.0,
        }
        for name in figures[0]
    }


def rounded(value: object) -> object:
    """The same JSON value, its floats at `DIGITS` decimals: more would be noise."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value
