"""Heat maps over pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from export.samples import picture
from medserve.overlay import ALPHA, colours, opened, overlay
from tests.support.dicoms import dataset, file


def test_colours_run_from_blue_to_red() -> None:
    low, middle, high = colours(np.float32([0, 0.5, 1])).astype(int)
    assert low[2] > low[0]
    assert middle[1] > middle[2]
    assert high[0] > high[2]
    assert (colours(np.float32([-3, 7])) == colours(np.float32([0, 1]))).all()


def test_the_map_is_enlarged_bilinearly_and_blended() -> None:
    grey = Image.new("L", (640, 480), 100)
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[3, 3] = 1
    drawn = np.asarray(overlay(grey, heatmap))[:480, :640].astype(float)
    enlarged = np.asarray(Image.fromarray(heatmap).resize((640, 480), Image.Resampling.BILINEAR))
    assert np.abs(drawn - ((1 - ALPHA) * 100 + ALPHA * colours(enlarged))).max() <= 1
    assert ALPHA == 0.4


@pytest.mark.parametrize("size", [(40, 30), (640, 480), (5000, 100), (33, 4000)])
def test_any_shape_of_picture(size: tuple[int, int]) -> None:
    drawn = overlay(Image.new("RGB", size), np.ones((64, 64), np.float32), "melanoma 0.9")
    assert max(drawn.size) <= 2600
    assert drawn.mode == "RGB"


def test_what_pillow_cannot_show_is_left_to_the_server() -> None:
    sixteen_bit = io.BytesIO()
    Image.fromarray(np.full((40, 40), 3000, np.uint16)).save(sixteen_bit, "PNG")
    assert opened(sixteen_bit.getvalue()) is None
    assert opened(file(dataset(np.zeros((40, 40), np.uint8)))) is None
    assert opened(picture(1)) is not None
