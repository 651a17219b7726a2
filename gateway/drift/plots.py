"""Pictures of a model's drift: PNGs in base64."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping

import matplotlib as mpl

from gateway.drift.distance import LEAST_KS, LEAST_PSI
from gateway.drift.state import Figure, Model, Performance, Share

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

LEVELS = np.linspace(0.0, 1.0, 101)
REFERENCE, WINDOW, FAR = "#888888", "#1f77b4", "#d62728"
_COLUMNS = 3


def figures(model: Model) -> str:
    """Each number's cumulative distribution, reference and window, and the labels' shares; "" where there is none."""
    shown = [figure for figure in model.figures if figure.quantiles or figure.reference or figure.kind == "labels"]
    if not shown:
        return ""
    rows = math.ceil(len(shown) / _COLUMNS)
    canvas, grid = plt.subplots(rows, _COLUMNS, figsize=(12, 2.9 * rows + 0.4), layout="constrained", squeeze=False)
    for axes, figure in zip(grid.flat, shown, strict=False):
        (_labels if figure.kind == "labels" else _distribution)(axes, figure)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    canvas.suptitle("share of inputs or answers up to each value: dashed the reference, solid the window", fontsize=10)
    return _png(canvas)


def history(model: Model) -> str:
    """PSI and KS of every figure over time; "" where no look was taken."""
    if not model.history:
        return ""
    canvas, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    seen = [point.seen for point in model.history]
    _lines(axes[0], seen, [point.psi for point in model.history], "PSI", LEAST_PSI)
    _lines(axes[1], seen, [point.ks for point in model.history], "KS", LEAST_KS)
    axes[2].plot(seen, [point.score for point in model.history], color=WINDOW, marker=".", label="largest score")
    axes[2].axhline(1, linestyle="--", color=REFERENCE)
    raised = [point.seen for point in model.history if point.alert]
    axes[2].plot(raised, [0] * len(raised), "s", color=FAR, label="alert")
    axes[2].set(xlabel="answers ever", title="Score (drift from 1)", ylim=(-0.05, None))
    axes[2].legend(fontsize="small")
    names = dict.fromkeys(name for point in model.history for name in point.psi)
    canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(len(names), 6))
    return _png(canvas)


def performance(found: Performance) -> str:
    """Sensitivity and specificity of each label, with their intervals."""
    names = list(found.sensitivity)
    canvas, axes = plt.subplots(figsize=(8, 0.55 * len(names) + 1.3), layout="constrained")
    _intervals(axes, found.sensitivity, -0.12, WINDOW, "sensitivity")
    _intervals(axes, found.specificity, 0.12, "#ff7f0e", "specificity")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(names) - 0.4, -0.6), xlabel="share, with its 95 % interval (Wilson)")
    axes.grid(axis="x", alpha=0.3)
    canvas.legend(loc="outside upper center", ncols=2)
    return _png(canvas)


def _distribution(axes: Axes, figure: Figure) -> None:
    if figure.reference:
        axes.plot(figure.reference, LEVELS[: len(figure.reference)], "--", color=REFERENCE)
    far = figure.score is not None and figure.score >= 1
    if figure.quantiles:
        axes.plot(figure.quantiles, LEVELS[: len(figure.quantiles)], color=FAR if far else WINDOW)
    numbers = "" if figure.ks is None or figure.psi is None else f": KS {figure.ks:.2f}, PSI {figure.psi:.2f}"
    axes.set_title(figure.name + (numbers or ": not compared"), fontsize=10, color=FAR if far else "black")
    axes.set_ylim(-0.02, 1.02)


def _labels(axes: Axes, figure: Figure) -> None:
    names = [*dict.fromkeys([*figure.reference_shares, *figure.shares])]
    places = np.arange(len(names))
    axes.barh(places + 0.2, [figure.reference_shares.get(name, 0) for name in names], 0.4, color=REFERENCE)
    far = figure.score is not None and figure.score >= 1
    axes.barh(places - 0.2, [figure.shares.get(name, 0) for name in names], 0.4, color=FAR if far else WINDOW)
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    numbers = "not compared" if figure.psi is None else f"PSI {figure.psi:.2f}"
    axes.set_title(f"predicted labels (grey: reference): {numbers}", fontsize=10, color=FAR if far else "black")


def _lines(axes: Axes, seen: list[int], points: list[dict[str, float]], title: str, least: float) -> None:
    names = [*dict.fromkeys(name for point in points for name in point)]
    for place, name in enumerate(names):
        colour = mpl.colormaps["tab20"](place % 20)
        axes.plot(seen, [point.get(name, math.nan) for point in points], color=colour, marker=".", label=name)
    axes.axhline(least, linestyle="--", color=REFERENCE)
    axes.set(xlabel="answers ever", title=f"{title} (no drift below {least})", ylim=(0, None))


def _intervals(axes: Axes, shares: Mapping[str, Share], above: float, colour: str, name: str) -> None:
    places, values, low, high = [], [], [], []
    for place, share in enumerate(shares.values()):
        if share.value is not None and share.low is not None and share.high is not None:
            places.append(place + above)
            values.append(share.value)
            low.append(max(0.0, share.value - share.low))
            high.append(max(0.0, share.high - share.value))
    axes.errorbar(values, places, xerr=[low, high], fmt="o", color=colour, capsize=3, label=name)


def _png(canvas: Canvas) -> str:
    file = io.BytesIO()
    canvas.savefig(file, format="png", dpi=80)
    plt.close(canvas)
    return base64.b64encode(file.getvalue()).decode()
