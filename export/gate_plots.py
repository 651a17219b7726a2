"""The plots of the gate's report, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.figures import BINS, UNLABELLED, Answers
from export.parity import Reference

mpl.use("agg")
SHOWN = 5


def reliability(reference: Reference, got: Answers) -> bytes | None:
    """Confidence against accuracy, PyTorch and variant; None where no item has a label."""
    labels = reference.items.labels
    known = labels != UNLABELLED
    if not reference.spec.labels or not known.any():
        return None
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, answers in (("PyTorch FP32", reference.expected), ("variant", got)):
        probabilities = answers["probabilities"][known]
        confidence, right = probabilities.max(1), probabilities.argmax(1) == labels[known]
        places = np.minimum((confidence * BINS).astype(int), BINS - 1)
        filled = np.unique(places)
        axes.plot(
            [confidence[places == each].mean() for each in filled],
            [right[places == each].mean() for each in filled],
            marker="o",
            label=name,
        )
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title=f"{known.sum()} labelled items")
    axes.legend()
    return _png(figure)


def differences(errors: NDArray[np.float64], name: str) -> bytes:
    """Histogram of |Δ| [N] of an output, the largest of each item."""
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    axes.hist(errors[np.isfinite(errors)], bins=40)
    axes.set(xlabel=f"|Δ| of {name}", ylabel="items", yscale="log")
    return _png(figure)


def worst(reference: Reference, got: Answers, items: Sequence[int]) -> bytes | None:
    """These items side by side: the picture, PyTorch's heat map, the variant's; None where there is no picture."""
    spec = reference.spec
    if not spec.explained:
        return None
    picture = spec.explained[0]
    figure = Figure(figsize=(2.2 * len(items), 6.6), layout="constrained")
    axes: Any = figure.subplots(3, len(items), squeeze=False)
    for place, item in enumerate(items):
        pixels = np.moveaxis(reference.items.inputs[picture.pixels][item], 0, -1)
        for row, (title, answers) in enumerate(
            (("", None), ("PyTorch", reference.expected), ("variant", got)),
        ):
            axes[row, place].imshow(pixels)
            axes[row, place].axis("off")
            if answers is not None:
                height, width = pixels.shape[:2]
                axes[row, place].imshow(
                    answers[picture.heatmap][item], alpha=0.5, cmap="jet", vmin=0, vmax=1, extent=(0, width, height, 0)
                )
                label = int(answers["probabilities"][item].argmax())
                title = f"{title}: {spec.labels[label]}\n{answers['probabilities'][item, label]:.3f}"
            axes[row, place].set_title(title or f"item {item}", fontsize=8)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
