"""The integer resize on every sample image, at both sizes that networks here take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, UnidentifiedImageError

from export.graphs.resize import PillowResize
from tests.support.samples import SampleData

pytestmark = pytest.mark.slow

LARGEST = 4096 * 4096  # pixels; the readers refuse none of these, but a larger one takes gigabytes here


@pytest.mark.parametrize("side", [224, 896])
def test_resize_every_sample_image_equals_pillow(sample_data: SampleData, side: int) -> None:
    compared, different = 0, []
    for file in sample_data.files("cxr", "derm", "brain_ct", "brain_mri"):
        try:
            image = Image.open(file.path).convert("RGB")
        except UnidentifiedImageError:
            continue  # a DICOM file
        if image.width * image.height > LARGEST:
            continue
        expected = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
        resized = PillowResize(image.height, image.width, side)(pixels)[0].permute(1, 2, 0)
        compared += 1
        if not np.array_equal(resized.numpy(), expected):
            different.append(file.path.name)
    assert not different
    assert compared >= 300
    print(f"{compared} images of {side} x {side} are the same bytes")
