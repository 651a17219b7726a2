"""Every real picture as the networks were trained on it; too many to be decoded twice in a unit test."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.pictures import PICTURE_GROUPS, by_torchvision, pixels
from tests.support.samples import SampleData


@pytest.mark.parametrize("group", PICTURE_GROUPS)
def test_equals_torchvision_bit_for_bit_on_every_real_picture(sample_data: SampleData, group: str) -> None:
    files = sample_data.files(group)
    for file in files:
        content = file.path.read_bytes()
        assert np.array_equal(pixels(content), by_torchvision(content)), file.path.name
    print(f"{group}: {len(files)} pictures equal torchvision's")
    assert len(files) > 80
