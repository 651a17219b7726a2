"""Pillow's bilinear resize of 8-bit images as integer tensor operations, for ONNX and CUDA.

Pillow rounds its filter to fixed point and computes in integers, so that the same sums on any device give the same
bytes. Source: Pillow's libImaging/Resample.c; the order of the two passes is Pillow 13's. No model serves this graph
yet: readers run Pillow itself.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

PRECISION_BITS = 32 - 8 - 2  # of a fixed-point weight: a sum of 8-bit products stays below 2^31


class PillowResize(nn.Module):
    """Resize UINT8 [B, C, height, width] to UINT8 [B, C, side, side], bit for bit as Pillow 13 does.

    Only the batch axis is dynamic in an export: the filter depends on the image's size.

    Args:
        height, width: of the images, in pixels.
        side: of the square that is returned, in pixels.

    Raises:
        ValueError: a size is smaller than one pixel.
    """

    def __init__(self, height: int, width: int, side: int) -> None:
        super().__init__()
        if min(height, width, side) < 1:
            raise ValueError(f"PillowResize: expected sizes of 1 pixel or more, got {height} x {width} to {side}")
        passes = [_Pass(width, side, axis=3)] if width != side else []
        if height != side:
            passes.insert(0 if vertical_first(height, width, side) else len(passes), _Pass(height, side, axis=2))
        self.passes = nn.ModuleList(passes)

    def forward(self, images: Tensor) -> Tensor:
        """Return UINT8 [B, C, side, side] of UINT8 [B, C, height, width]."""
        for one in self.passes:
            images = one(images)
        return images


def vertical_first(height: int, width: int, side: int) -> bool:
    """Return whether Pillow 13 resizes the columns before the rows; each pass rounds to 8 bits, so the order counts.

    Pillow 12 and earlier always began with the rows: one level of difference in some pixels of tall images.
    Source: python-pillow/Pillow#9549, and 20,000 random sizes in which no other rule agreed with Pillow 13.0.
    """
    return height > side and height - side > 2 * (width - side)


class _Pass(nn.Module):
    """Resize one axis of UINT8 [B, C, H, W]."""

    index: Tensor
    weight: Tensor

    def __init__(self, size: int, target: int, axis: int) -> None:
        super().__init__()
        self.axis = axis
        index, weight = filter_taps(size, target)
        shape = (target, -1, 1) if axis == 2 else (target, -1)
        self.register_buffer("index", torch.from_numpy(index).reshape(-1))
        self.register_buffer("weight", torch.from_numpy(weight).reshape(shape))
        self.taps = index.shape

    def forward(self, images: Tensor) -> Tensor:
        taken = images.to(torch.int32).index_select(self.axis, self.index).unflatten(self.axis, self.taps)
        total = (taken * self.weight).sum(self.axis + 1, dtype=torch.int32) + (1 << (PRECISION_BITS - 1))
        # A floor division, because ONNX shifts unsigned integers alone; of integers it stays one in an export.
        scaled = total // (1 << PRECISION_BITS)
        return scaled.clamp(max=255).to(torch.uint8)


def filter_taps(size: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return which pixels of a row make each pixel of the resized one, and their fixed-point weights.

    Args:
        size: of the row, in pixels.
        target: of the resized row, in pixels.

    Returns:
        index: INT64 [target, K]; taps beyond a row's last one repeat a valid index.
        weight: INT32 [target, K] in units of 2^-PRECISION_BITS; 0 beyond a row's last tap.
    """
    scale = size / target
    support = max(scale, 1.0)  # a larger target interpolates between two pixels, a smaller one averages
    rows: list[tuple[int, list[float]]] = []
    for place in range(target):
        centre = (place + 0.5) * scale
        first, end = max(0, int(centre - support + 0.5)), min(size, int(centre + support + 0.5))
        # Python floats and this order of operations: Pillow computes in doubles, and the last bit decides a rounding.
        inverse = 1.0 / support
        weights = [max(0.0, 1.0 - abs((pixel - centre + 0.5) * inverse)) for pixel in range(first, end)]
        total = 0.0
        for weight in weights:
            total += weight
        rows.append((first, [weight / total for weight in weights] if total else weights))
    most = max(len(weights) for _, weights in rows)
    index, fixed = np.zeros((target, most), np.int64), np.zeros((target, most), np.int32)
    for place, (first, weights) in enumerate(rows):
        index[place] = np.minimum(first + np.arange(most), size - 1)
        fixed[place, : len(weights)] = [int(0.5 + weight * (1 << PRECISION_BITS)) for weight in weights]
    return index, fixed
