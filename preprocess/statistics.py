"""What an input is like, in a few numbers: whoever watches for other inputs than a model was made for compares them.

They are computed where the file is decoded anyway, and say nothing of whose picture it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageStat

OF_A_PICTURE = ("width", "height", "brightness", "contrast", "entropy", "border", "colour")
OF_A_MOLECULE = ("atoms", "molecular_weight", "h_bond_donors", "tpsa", "rings")
MEANING_OF_A_PICTURE = (
    "width and height of the file in pixels; of the square that the network sees: mean grey (0..255), its standard "
    "deviation, the entropy of its histogram (bits), mean of the outer tenth minus that of the rest, mean distance "
    "between a pixel's highest and lowest channel"
)
MEANING_OF_A_MOLECULE = (
    "heavy atoms, molecular weight (g/mol), hydrogen-bond donors, topological polar surface (Å²), rings"
)
STATISTICS = "statistics"  # the output of every first step that holds them
_FINEST = 224  # a larger square is looked at in so many rows and columns


def of_picture(width: int, height: int, square: Image.Image) -> NDArray[np.float32]:
    """FP32 [7] in the order of OF_A_PICTURE.

    Args:
        width, height: of the file's picture, in pixels.
        square: in mode L or RGB, as the network sees it.
    """
    if square.width > _FINEST:
        square = square.resize((_FINEST, _FINEST), Image.Resampling.NEAREST)
    grey = square.convert("L")
    histogram = np.array(grey.histogram(), np.float64) / (grey.width * grey.height)
    levels = np.arange(256)
    brightness = float(histogram @ levels)
    contrast = float(np.sqrt(histogram @ (levels - brightness) ** 2))
    some = histogram[histogram > 0]
    entropy = float(-(some @ np.log2(some)))
    return np.array(
        [width, height, brightness, contrast, entropy, _border(np.asarray(grey)), _colour(square)], np.float32
    )


def _border(grey: NDArray[np.uint8]) -> float:
    edge = len(grey) // 10
    inner = grey[edge:-edge, edge:-edge]
    total, inside = float(grey.sum(dtype=np.int64)), float(inner.sum(dtype=np.int64))
    return (total - inside) / (grey.size - inner.size) - inside / inner.size


def _colour(square: Image.Image) -> float:
    if square.mode == "L":
        return 0.0
    red, green, blue = square.split()
    highest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    lowest = ImageChops.darker(ImageChops.darker(red, green), blue)
    return float(ImageStat.Stat(ImageChops.subtract(highest, lowest)).mean[0])
