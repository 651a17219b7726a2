"""A CT, an MRI, both or neither."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.pair import pairs_to_pixels
from preprocess.rejection import Reason, Rejected
from tests.support.dicoms import dicom, ramp

CT = dicom(ramp(), Modality="CT")
MRI = dicom(ramp()[::-1].copy(), Modality="MR")


def _pairs(ct: list[bytes], mri: list[bytes]) -> dict[str, np.ndarray]:
    return pairs_to_pixels(
        ct, mri, 64, ct_modalities=("CT",), mri_modalities=("MR",), body_parts=("HEAD",), window=(40.0, 80.0)
    )


def test_what_is_absent_is_zeros_and_not_present() -> None:
    found = _pairs([CT, b"", CT], [MRI, MRI, b""])
    assert {name: (array.shape, array.dtype.name) for name, array in found.items()} == {
        "ct_pixels": ((3, 3, 64, 64), "uint8"),
        "ct_present": ((3, 1), "float32"),
        "mri_pixels": ((3, 3, 64, 64), "uint8"),
        "mri_present": ((3, 1), "float32"),
        "statistics": ((3, 14), "float32"),
    }
    assert np.isnan(found["statistics"]).sum(axis=1).tolist() == [0, 7, 7]
    assert found["ct_present"].ravel().tolist() == [1, 0, 1]
    assert found["mri_present"].ravel().tolist() == [1, 1, 0]
    assert np.array_equal(found["ct_pixels"][2, 1], ramp())
    assert np.array_equal(found["mri_pixels"][1, 1], ramp()[::-1])
    assert not found["ct_pixels"][1].any()
    assert not found["mri_pixels"][2].any()


@pytest.mark.parametrize(
    ("ct", "mri", "reason", "item", "says"),
    [
        ([CT, b""], [MRI, b""], Reason.EMPTY, 1, "expected a CT, an MRI or both, got neither"),
        ([CT, MRI], [MRI, MRI], Reason.WRONG_MODALITY, 1, "ct: expected modality CT, got MR."),
        ([b""], [CT], Reason.WRONG_MODALITY, 0, "mri: expected modality MR, got CT."),
        ([CT], [MRI[:-99]], Reason.CORRUPT_IMAGE, 0, "mri: "),
        ([b"text"], [b""], Reason.NOT_AN_IMAGE, 0, "ct: "),
    ],
)
def test_refused_with_the_modality_in_the_sentence(
    ct: list[bytes], mri: list[bytes], reason: Reason, item: int, says: str
) -> None:
    with pytest.raises(Rejected) as caught:
        _pairs(ct, mri)
    assert (caught.value.reason, caught.value.item) == (reason, item)
    assert caught.value.sentence.startswith(says)
