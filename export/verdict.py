"""What the gate says of the figures of a comparison: a sentence for everything that speaks against publishing it."""

from __future__ import annotations

import math

from export.pictures import Items
from export.spec import Bounds, ModelSpec
from report.comparison import Comparison


def broken(found: Comparison, bounds: Bounds) -> list[str]:
    """Why these figures may not be published: a sentence for each bound that they break."""
    where = f"{found.precision} on {found.engine}, {found.samples} samples"
    sentences = []
    for name, error in found.max_error.items():
        bound = bounds.heatmap if name.startswith("heatmap") else bounds.largest
        if not error <= bound or math.isinf(error):  # NaN counts as infinite, and fails where there is no bound
            sentences.append(f"{where}: {name}: expected max |Δ| ≤ {bound:g}, got {error:.3g}")
    sentences += [
        f"{where}: {name}: expected mean |Δ| ≤ {bounds.mean:g}, got {error:.3g}"
        for name, error in found.mean_error.items()
        if not name.startswith("heatmap") and not error <= bounds.mean
    ]
    allowed = int(bounds.flips * found.samples)
    if found.label_flips - found.ties > allowed:
        sentences.append(
            f"{where}: labels: expected at most {allowed} to flip beyond ties of {bounds.tie:g}, "
            f"got {found.label_flips - found.ties}"
        )
    milder = int(bounds.milder * found.samples)
    sentences += [
        f"{where}: {what}: expected at most {milder}, got {count}"
        for what, count in (("lost reviews", found.lost_reviews), ("lowered risk levels", found.lowered_risks))
        if count > milder
    ]
    sentences += [
        f"{where}: {label}: expected none of {calls.calls} calls to be lost, got {calls.lost}"
        for label, calls in found.critical.items()
        if calls.lost
    ]
    sentences += [
        f"{where}: {name}: expected a median correlation ≥ {bounds.correlation:g}, got {value:.3f}"
        for name, value in found.heatmap_correlation.items()
        if not value >= bounds.correlation
    ]
    return sentences


def unshown(spec: ModelSpec, found: Comparison, items: Items) -> list[str]:
    """Critical classes of which a lower precision was shown too little: what nobody called, nobody could lose."""
    if found.precision == "fp32":
        return []
    seen = {label: 0 if items.origin.synthetic else calls.calls for label, calls in found.critical.items()}
    return [
        f"{found.precision} on {found.engine}: {label}: expected PyTorch to call it in at least {spec.gate.calls} real "
        f"pictures, so that a loss would show, got {calls}: PICTURES=…"
        for label, calls in seen.items()
        if calls < spec.gate.calls
    ]
