"""Drift in words."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from gateway.drift.distance import LEAST_KS, LEAST_PSI, Distance
from gateway.drift.reference import Distribution, Reference
from gateway.drift.window import Window

FEW_ITEMS = 50  # of a reference: chance alone then explains a KS of 0.35 and more


def of_figure(name: str, distance: Distance, values: NDArray[np.float64], of: Distribution) -> str:
    """Why a number gives an alert."""
    median, was = np.median(values), of.quantiles[50]
    outside = 1 - float(np.mean((of.up_to(values) > 0) & (of.below(values) < 1)))
    ranges = f", {outside:.0%} outside the reference's range" if outside > 0.05 else ""
    return f"{name}: median {median:.4g}, reference {was:.4g}{ranges}; {_measures(distance)}."


def of_labels(distance: Distance, counts: Counter[str], reference: Reference) -> str:
    """Why the predicted labels give an alert: the three that changed most."""
    total = counts.total()
    changed = {
        label: (counts[label] / total, reference.labels.get(label, 0.0)) for label in {*counts, *reference.labels}
    }
    most = sorted(changed, key=lambda label: (-abs(changed[label][0] - changed[label][1]), label))[:3]
    shares = ", ".join(f"{label} {changed[label][0]:.0%} (reference {changed[label][1]:.0%})" for label in most)
    return f"predicted labels: {shares}; {_measures(distance)}."


def notes(reference: Reference | None, refused: str, window: Window, least: int) -> list[str]:
    """What limits the comparison."""
    found = []
    if refused:
        found.append(f"Nothing is compared. {refused}")
    elif reference is None:
        found.append("Nothing is compared: no reference was written when this model was exported.")
    elif reference.items < FEW_ITEMS:
        found.append(
            f"The reference has {reference.items} items only: nothing but gross drift can be told from chance."
        )
    if reference is not None and window.size < least:
        found.append(f"Nothing is compared before {least} different inputs are in the window.")
    if len(window) >= least and window.most_copies > len(window) / 2:
        found.append(
            f"{window.most_copies} of the last {len(window)} inputs are one and the same: a test, a caller that repeats"
            " itself, or a source that is stuck."
        )
    return found + _missing(reference, window)


def _missing(reference: Reference | None, window: Window) -> list[str]:
    """Figures that the reference has and no observation of the window does."""
    if reference is None or not len(window):
        return []
    names = sorted(key[1] for key in reference.figures if not len(window.values(key)))
    return [f"Not compared, since no answer in the window has it: {', '.join(names)}."] if names else []


def _measures(distance: Distance) -> str:
    psi = f"PSI {distance.psi:.2f} (drift from {max(LEAST_PSI, distance.psi_chance):.2f})"
    if distance.ks is None or distance.ks_chance is None:
        return psi
    return f"KS {distance.ks:.2f} (drift from {max(LEAST_KS, distance.ks_chance):.2f}), {psi}"
