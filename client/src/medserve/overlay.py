"""A heat map over its picture. Needs Pillow: `pip install 'medserve[overlay]'`."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

ALPHA = 0.4  # of the colours over the picture
SMALLEST, LARGEST = 448, 2048  # pixels of the longer side
# Google's "turbo" at even steps: perceptually smoother than "jet", and as familiar.
# Source: Mikhailov, "Turbo, An Improved Rainbow Colormap for Visualization", 2019.
_TURBO = np.array(
    [
        (48, 18, 59), (70, 107, 227), (40, 188, 235), (50, 242, 152), (164, 252, 60),
        (238, 207, 58), (251, 126, 33), (209, 47, 5), (122, 4, 3),
    ],
    np.float32,
)  # fmt: skip


def overlay(picture: Image.Image, heatmap: NDArray[np.generic], caption: str = "") -> Image.Image:
    """The picture under its heat map, with a colour bar on the right.

    Args:
        picture: as the caller sent it, or as the network saw it; the map covers all of it.
        heatmap: [h, w] in 0..1; enlarged bilinearly.
        caption: a line below the picture.
    """
    picture = _fitted(ImageOps.exif_transpose(picture).convert("RGB"))
    grid = Image.fromarray(np.asarray(heatmap, np.float32))
    large = np.asarray(grid.resize(picture.size, Image.Resampling.BILINEAR))
    blended = Image.blend(picture, Image.fromarray(colours(large)), ALPHA)
    return _framed(blended, caption)


def colours(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """RGB [..., 3] of numbers in 0..1."""
    steps = np.linspace(0, 1, len(_TURBO))
    clipped = np.clip(np.asarray(values, np.float32), 0, 1)
    return (
        np.stack([np.interp(clipped, steps, _TURBO[:, channel]) for channel in range(3)], -1).round().astype(np.uint8)
    )


def opened(content: bytes) -> Image.Image | None:
    """The picture in a file's bytes; None for what Pillow does not read, such as DICOM."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a DICOM preamble that looks like a TIFF
            image = Image.open(io.BytesIO(content))
            image.load()
    except Exception:  # each format's reader fails in its own ways
        return None
    # 16 bits and more: what is white and what is black is the server's decision.
    return image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr") else None


def _fitted(picture: Image.Image) -> Image.Image:
    longer = max(picture.size)
    scale = min(max(1.0, SMALLEST / longer), LARGEST / longer)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)


def _framed(picture: Image.Image, caption: str) -> Image.Image:
    """The picture with its colour bar, and the caption below."""
    size = max(12, picture.height // 40)
    font = ImageFont.load_default(size)
    bar, gap, text = size * 3 // 2, size, size * 3
    canvas = Image.new("RGB", (picture.width + gap + bar + text, picture.height + 2 * size), "white")
    canvas.paste(picture, (0, 0))
    ramp = np.linspace(1, 0, picture.height, dtype=np.float32)[:, None].repeat(bar, 1)
    left = picture.width + gap
    canvas.paste(Image.fromarray(colours(ramp)), (left, 0))
    draw = ImageDraw.Draw(canvas)
    for value, top in ((1.0, 0), (0.5, picture.height // 2 - size // 2), (0.0, picture.height - size - size // 4)):
        draw.text((left + bar + size // 4, top), f"{value:.1f}", fill="black", font=font)
    draw.text((size // 4, picture.height + size // 3), caption, fill="black", font=font)
    return canvas
