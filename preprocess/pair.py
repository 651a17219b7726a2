"""A CT and an MRI of one brain, or either alone → the pixels of both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from preprocess.dicom import Accepts
from preprocess.image import file_to_pixels
from preprocess.rejection import Reason, Rejected
from preprocess.seen import Note, unnoted
from preprocess.statistics import OF_A_PICTURE, STATISTICS


def pairs_to_pixels(
    ct: Sequence[bytes],
    mri: Sequence[bytes],
    side: int,
    *,
    ct_modalities: tuple[str, ...],
    mri_modalities: tuple[str, ...],
    body_parts: tuple[str, ...] = (),
    window: tuple[float, float] | None = None,
    note: Note = unnoted,
) -> dict[str, NDArray[np.uint8] | NDArray[np.float32]]:
    """Decode a batch of pairs.

    Args:
        ct, mri: files as `images_to_pixels` takes them, of one length; zero bytes: not there.
        side: of the square.
        ct_modalities, mri_modalities, body_parts: DICOM's terms, of DICOM files alone.
        window: centre and width in HU, for a CT that has none.
        note: is told of each file that was read.

    Returns:
        ct_pixels, mri_pixels: UINT8 [B, 3, side, side], RGB, zeros where there is none.
        ct_present, mri_present: FP32 [B, 1], 1 where there is one.
        statistics: FP32 [B, 14], OF_A_PICTURE of the CT, then of the MRI; NaN where there is none.

    Raises:
        Rejected: the first pair that has neither, or a file that cannot be read; the sentence says which of the two.
    """
    if len(ct) != len(mri):
        raise ValueError(f"expected as many CTs as MRIs, got {len(ct)} and {len(mri)}")
    for item, both in enumerate(zip(ct, mri, strict=True)):
        if not any(both):
            raise Rejected(Reason.EMPTY, "expected a CT, an MRI or both, got neither", item)
    ct_accepts = Accepts(ct_modalities, colour=False, body_parts=body_parts, window=window)
    mri_accepts = Accepts(mri_modalities, colour=False, body_parts=body_parts)
    of_ct, ct_statistics = _modality("ct", ct, side, ct_accepts, note)
    of_mri, mri_statistics = _modality("mri", mri, side, mri_accepts, note)
    return {**of_ct, **of_mri, STATISTICS: np.concatenate([ct_statistics, mri_statistics], axis=1)}


def _modality(
    name: str, files: Sequence[bytes], side: int, accepts: Accepts, note: Note
) -> tuple[dict[str, NDArray[np.uint8] | NDArray[np.float32]], NDArray[np.float32]]:
    pixels = np.zeros((len(files), 3, side, side), np.uint8)
    statistics = np.full((len(files), len(OF_A_PICTURE)), np.nan, np.float32)
    for item, sent in enumerate(files):
        if not sent:
            continue
        try:
            pixels[item], statistics[item] = file_to_pixels(sent, side, accepts, note)
        except Rejected as rejected:
            raise Rejected(rejected.reason, f"{name}: {rejected.sentence}", item) from rejected
    present = np.array([[float(bool(sent))] for sent in files], np.float32)
    return {f"{name}_pixels": pixels, f"{name}_present": present}, statistics
