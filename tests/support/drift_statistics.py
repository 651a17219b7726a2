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
    grey = np.asarray(small.convert("L"))
    red, green, blue = (np.asarray(plane) for plane in small.convert("RGB").split())
    colour = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    counts = np.bincount(grey.ravel(), minlength=256)
    shares, levels = counts / grey.size, np.arange(256)
    brightness = float(shares @ levels)
    edge = SIDE // 10
    inner = grey[edge:-edge, edge:-edge]
    outer = (int(grey.sum(dtype=np.int64)) - int(inner.sum(dtype=np.int64))) / (grey.size - inner.size)
    seen = shares[shares > 0]
    return {
        "width": picture.width * scale,
        "height": picture.height * scale,
        "brightness": brightness,
        "contrast": float(np.sqrt(shares @ (levels - brightness) ** 2)),
        "entropy": float(-(seen * np.log2(seen)).sum()),
        "border": float(outer - inner.mean()),
        "colour": float(colour.mean()),
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
