"""The one frame of a DICOM data set → its stored values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RLELossless

from preprocess.dicom.codestream import check_codestream
from preprocess.limits import check_size
from preprocess.rejection import Reason, Rejected, contradiction

# One decoder for each, for another one may give other pixels. Not pylibjpeg's for RLE: it panics (which is no
# Exception) and prints, where pydicom's own raises.
_PLUGINS = {RLELossless: "pydicom"}
_OTHERWISE = "pylibjpeg"


def can_decode(syntax: UID) -> bool:
    """Whether pixels of this transfer syntax can be had with what is installed."""
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return False
    return not syntax.is_encapsulated or _PLUGINS.get(syntax, _OTHERWISE) in decoder.available_plugins


def stored_values(data: Dataset) -> NDArray[np.integer[Any]]:
    """Decode, once the attributes and the codestream's own header agree on what will come out.

    Returns:
        [rows, columns], or [rows, columns, 3] as RGB: 8 or 16 bits, of BitsStored significant.

    Raises:
        Rejected: too many pixels or too few, no 8 or 16 bits allocated, contradictions.
        Exception: whatever the decoders think of a damaged frame.
    """
    rows, columns, samples = integer(data, "Rows"), integer(data, "Columns"), integer(data, "SamplesPerPixel")
    check_size(columns, rows)
    if samples != (1 if data.PhotometricInterpretation in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR") else 3):
        raise contradiction("another number of samples than its photometric interpretation has")
    allocated = _check_bits(data)
    syntax = data.file_meta.TransferSyntaxUID
    encapsulated = data["PixelData"].is_undefined_length
    if encapsulated != syntax.is_encapsulated:
        raise contradiction("pixel data of another form than its transfer syntax says")
    if encapsulated:
        check_codestream(syntax, get_frame(data.PixelData, 0, number_of_frames=1), (rows, columns, samples), allocated)
    plugin = _PLUGINS.get(syntax, _OTHERWISE) if encapsulated else ""
    stored, properties = get_decoder(syntax).as_array(data, index=0, decoding_plugin=plugin)
    expected = (rows, columns) if samples == 1 else (rows, columns, samples)
    if stored.shape != expected or (samples == 3 and properties["photometric_interpretation"] != "RGB"):
        raise contradiction("pixels of another form than its attributes say")
    return stored


def integer(data: Dataset, keyword: str) -> int:
    """An attribute with one whole number."""
    value = data.get(keyword)
    if not isinstance(value, int):
        raise contradiction(f"no single number as {keyword}")
    return value


def _check_bits(data: Dataset) -> int:
    allocated, stored = integer(data, "BitsAllocated"), integer(data, "BitsStored")
    if allocated not in (8, 16):
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS, "expected pixels of 8 or 16 bits, got others. Export it with 16 bits allocated."
        )
    if not 1 <= stored <= allocated:
        raise contradiction("more bits stored than allocated, or none")
    if integer(data, "PixelRepresentation") not in (0, 1):
        raise contradiction("pixels neither signed nor unsigned")
    if data.get("HighBit", stored - 1) != stored - 1:
        # Left-aligned values, retired in PS3.5: pydicom would read the low bits as the value.
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS, "expected the lowest bits to be used, got a high bit elsewhere. Export it again."
        )
    return allocated
