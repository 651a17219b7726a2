"""Stored DICOM values → 8 bits, by the grey scale pipeline of PS3.3 C.11 and PS3.4 N.2.

Every step is a function of the stored value alone. So it is done once for each value that can occur, at most
65,536 of them, by pydicom's own functions, and the picture is looked up: the same numbers, for megabytes less.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing

from preprocess.dicom.frame import integer
from preprocess.rejection import Reason, Rejected, contradiction

_FEW = 1e-3  # of a picture's pixels, at either end
Floats = NDArray[np.floating[Any]]


def grey_to_eight_bits(
    stored: NDArray[np.integer[Any]], data: Dataset, window: tuple[float, float] | None
) -> NDArray[np.uint8]:
    """Modality LUT → VOI LUT or window → MONOCHROME1 turned round.

    Args:
        stored: [rows, columns].
        window: centre and width in HU, for a file that has neither window nor VOI LUT, but has HU.

    Returns:
        UINT8 [rows, columns], black is zero. The whole range that the VOI step can give is 0..255. Without one:
        8-bit values as they are, others from the lowest to the highest that is not padding.

    Raises:
        Rejected: a window or LUT that PS3.3 does not allow, numbers that are not finite, nothing but padding.
    """
    ramp, index = _ramp(stored)
    counts = np.bincount(index.ravel(), minlength=ramp.size)
    tones = _tones(ramp, np.where(_is_padding(ramp, data), 0, counts), data, window)
    if data.PhotometricInterpretation == "MONOCHROME1":
        # White is zero. PresentationLUTShape INVERSE says the same again (PS3.3 C.8.11.3.1.2): turned once, not twice.
        tones = np.subtract(255, tones, dtype=np.uint8)
    return tones[index]


def palette_to_eight_bits(stored: NDArray[np.integer[Any]], data: Dataset) -> NDArray[np.uint8]:
    """UINT8 [rows, columns, 3]."""
    if "SegmentedRedPaletteColorLookupTableData" in data:
        # A few kilobytes of segments unfold to gigabytes of entries; ultrasound alone uses them.
        raise Rejected(Reason.UNSUPPORTED_PIXELS, "expected a plain palette, got a segmented one. Export it as RGB.")
    entries, first, bits = _descriptor(data.RedPaletteColorLookupTableDescriptor)
    if entries > 256 and len(data.RedPaletteColorLookupTableData) < 2 * entries:
        raise contradiction("a palette of too few bytes")  # pydicom would take the index modulo 256
    ramp, index = _ramp(stored)
    colours = apply_color_lut(np.clip(ramp, first, first + entries - 1), data)[:, :3]
    return _eight_bits(colours.astype(np.float64), 0, _highest(colours, bits))[index]


def colour_to_eight_bits(stored: NDArray[np.integer[Any]], data: Dataset) -> NDArray[np.uint8]:
    """UINT8 [rows, columns, 3] of RGB."""
    bits = integer(data, "BitsStored")
    if integer(data, "PixelRepresentation") or (bits != 8 and "YBR" in data.PhotometricInterpretation):
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS, "expected unsigned RGB, or YBR of 8 bits, got others. Export it as 8-bit RGB."
        )
    ramp, index = _ramp(stored)
    return _eight_bits(ramp.astype(np.float64), 0, _highest(ramp, bits))[index]


def _ramp(stored: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Every value from the lowest to the highest, and each pixel's place in it."""
    lowest, highest = int(stored.min()), int(stored.max())
    return np.arange(lowest, highest + 1, dtype=np.int32), stored.astype(np.int32) - np.int32(lowest)


def _tones(
    ramp: NDArray[np.int32], counts: NDArray[np.int64], data: Dataset, window: tuple[float, float] | None
) -> NDArray[np.uint8]:
    """The tone of each value of the ramp; `counts` says how many pixels that are no padding have it."""
    values = apply_modality_lut(ramp, data)
    if not np.isfinite(values).all():
        raise contradiction("a rescale that gives no numbers")
    if _has_voi_lut(data):
        return _through_voi_lut(values, data)
    if _has_window(data):
        return _through_window(values, data)
    if window and _is_in_hu(data):
        data.WindowCenter, data.WindowWidth = window
        data.VOILUTFunction = "LINEAR"
        return _through_window(values, data)
    if integer(data, "PixelRepresentation") == 0 and integer(data, "BitsStored") == 8 and np.array_equal(values, ramp):
        return values.astype(np.uint8)
    if not counts.any():
        raise Rejected(Reason.NO_CONTRAST, "expected a picture, got padding in every pixel")
    lowest, highest = values[counts > 0].min(), values[counts > 0].max()
    _check_outliers(values, counts, highest - lowest)
    return _eight_bits(values, lowest, highest)


def _check_outliers(values: Floats, counts: NDArray[np.int64], span: float) -> None:
    """Refuse what a few pixels would make dark or pale: a mark burned into a film, a defect of the detector."""
    share = np.cumsum(counts) / counts.sum()
    bulk = np.flatnonzero((share > _FEW) & (share - counts / counts.sum() < 1 - _FEW))
    if 4 * abs(values[bulk[-1]] - values[bulk[0]]) < span:
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS,
            "expected a window, or values that fill their range, got neither: a few pixels (a mark, a defect?) lie far "
            "from all others, so its brightness cannot be told. Set a window, or export as 8 bit.",
        )


def _has_voi_lut(data: Dataset) -> bool:
    items = data.get("VOILUTSequence")
    return bool(items) and "LUTDescriptor" in items[0] and "LUTData" in items[0]


def _through_voi_lut(values: Floats, data: Dataset) -> NDArray[np.uint8]:
    item = data.VOILUTSequence[0]
    entries, first, bits = _descriptor(item.LUTDescriptor)
    if first > 0x7FFF and values.min() < 0:
        first -= 1 << 16  # signed as the values are (PS3.3 C.11.2.1.1), though pydicom goes by the pixels
    # pydicom counts places in the type of the LUT's entries, so they would wrap round at 256 or 65,536: clipped
    # before (values outside get the first or last entry, PS3.3 C.11.2.1.1), and counted in 16 bits.
    item.LUTDescriptor = [entries, first, 16]
    places = np.clip(np.rint(values), first, first + entries - 1).astype(np.int64)
    tones = apply_voi(places, data)
    return _eight_bits(tones.astype(np.float64), 0, _highest(tones, bits))


def _has_window(data: Dataset) -> bool:
    """Whether there is a window that PS3.3 C.11.2.1.2 allows.

    Empty or of width 0 is how consoles write "not set". What else is malformed is refused: its author meant some
    window, and the picture without it would be another one.
    """
    centre, width = _first(data, "WindowCenter"), _first(data, "WindowWidth")
    if centre is None or width is None or width == 0:
        return False
    function = data.get("VOILUTFunction") or "LINEAR"
    least = 1.0 if function == "LINEAR" else 0.0
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID") or not (math.isfinite(centre) and least <= width < 1e9):
        raise contradiction("a window that DICOM does not allow")
    data.WindowCenter, data.WindowWidth, data.VOILUTFunction = centre, width, function
    return True


def _first(data: Dataset, keyword: str) -> float | None:
    value = data.get(keyword)
    if isinstance(value, MultiValue):  # alternatives: the first is what a viewer shows first
        value = value[0] if value else None
    return None if value is None or value == "" else float(value)


def _through_window(values: Floats, data: Dataset) -> NDArray[np.uint8]:
    # What lies infinitely far below and above gives the exact ends of the output range; a negative slope swaps
    # pydicom's ends, and here swaps them back.
    with np.errstate(over="ignore"):
        low, high = apply_windowing(np.array([-np.inf, np.inf]), data)
        return _eight_bits(apply_windowing(values, data), low, high)


def _is_in_hu(data: Dataset) -> bool:
    return "RescaleSlope" in data and "RescaleIntercept" in data and data.get("RescaleType") in (None, "", "HU")


def _is_padding(ramp: NDArray[np.int32], data: Dataset) -> NDArray[np.bool_]:
    """PS3.3 C.7.5.1.1.2: a value, or all between two, that stand for no measurement."""
    one = data.get("PixelPaddingValue")
    other = data.get("PixelPaddingRangeLimit", one)
    if not (isinstance(one, int) and isinstance(other, int)):
        return np.zeros(ramp.size, np.bool_)
    return (ramp >= min(one, other)) & (ramp <= max(one, other))


def _descriptor(descriptor: MultiValue[int]) -> tuple[int, int, int]:
    """Entries, the first value that is mapped, bits of an entry: PS3.3 C.11.1.1."""
    entries, first, bits = (int(number) for number in descriptor)
    if not (0 <= entries <= 1 << 16 and 8 <= bits <= 16):
        raise contradiction("a look-up table of impossible size")
    return entries or 1 << 16, first, bits


def _highest(values: NDArray[Any], bits: int) -> int:
    highest = (1 << bits) - 1
    if values.max() > highest:
        raise contradiction("values of more bits than it says")
    return highest


def _eight_bits(values: Floats, low: float, high: float) -> NDArray[np.uint8]:
    """From low, 0, to high, 255; what lies outside gets the nearer of them."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise contradiction("values that are no numbers")
    if low == high:
        raise Rejected(Reason.NO_CONTRAST, "expected a picture, got one value in every pixel")
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
