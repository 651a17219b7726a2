"""Numbers of pictures and molecules as the server's first step gives them, and references made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 224
LARGE = 2 * SIDE
Statistics = dict[str, float]


def statistics(picture: Image.Image, scale: float = 1.0) -> Statistics:
    """Of one picture that was `scale` times as wide."""
    plain = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
    small = plain.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    grey, colours = np.asarray(small.convert("L"), np.float64), np.asarray(small.convert("RGB"), np.float64)
    shares = np.bincount(grey.astype(np.uint8).ravel(), minlength=256) / grey.size
    shares = shares[shares > 0]
    edge = SIDE // 10
    outer = np.ones_like(grey, bool)
    outer[edge:-edge, edge:-edge] = False
    return {
        "width": picture.width * scale,
        "height": picture.height * scale,
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "entropy": float(-(shares * np.log2(shares)).sum()),
        "border": float(grey[outer].mean() - grey[~outer].mean()),
        "colour": float((colours.max(axis=2) - colours.min(axis=2)).mean()),
    }


def measured(file: Path, *changes: Callable[[Image.Image], Image.Image]) -> list[Statistics]:
    """Of a file as it is, and after each change.

    It is read at half a size or less where that leaves LARGE pixels: the statistics are of SIDE, and decoding takes
    most of the time.
    """
    with Image.open(file) as whole:
        width = whole.width
        whole.draft(whole.mode, (LARGE, LARGE))
        picture = whole.reduce(max(1, min(whole.size) // LARGE))
    scale = width / picture.width
    return [statistics(picture, scale), *(statistics(change(picture), scale) for change in changes)]


def quantiles(values: Sequence[float]) -> list[float]:
    """101, as the exporter writes them."""
    found: list[float] = np.quantile(values, np.linspace(0, 1, 101)).tolist()
    return found


def reference(items: Sequence[Mapping[str, float]], labels: Sequence[str] = ()) -> dict[str, object]:
    """As a model describes itself. `confidence` is a figure; everything else a statistic."""
    table = {name: quantiles([item[name] for item in items]) for name in items[0]}
    return {
        "source": "a test",
        "items": len(items),
        "figures": {name: table.pop(name) for name in ("confidence",) if name in table},
        "statistics": table,
        "labels": {label: labels.count(label) / len(labels) for label in sorted({*labels})},
    }
