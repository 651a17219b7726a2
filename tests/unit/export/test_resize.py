"""The integer resize against Pillow, which every reader runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from export.graphs.resize import PillowResize, filter_taps

SIZES = st.integers(1, 400)


def _resized_by_pillow(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """UINT8 [C, side, side] of UINT8 [C, H, W]."""
    channels = [Image.fromarray(one).resize((side, side), Image.Resampling.BILINEAR) for one in image]
    return np.stack([np.asarray(one) for one in channels])


@settings(max_examples=40, deadline=None)
@given(height=SIZES, width=SIZES, side=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_resize_any_size_equals_pillow(height: int, width: int, side: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (1, height, width), np.uint8)
    resized = PillowResize(height, width, side)(torch.from_numpy(image)[None])
    assert np.array_equal(resized[0].numpy(), _resized_by_pillow(image, side))


@pytest.mark.parametrize("level", [0, 255])
def test_resize_uniform_image_stays_uniform(level: int) -> None:
    resized = PillowResize(977, 531, 224)(torch.full((1, 3, 977, 531), level, dtype=torch.uint8))
    assert torch.equal(resized, torch.full((1, 3, 224, 224), level, dtype=torch.uint8))


def test_resize_keeps_an_image_of_the_right_size() -> None:
    image = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    assert torch.equal(PillowResize(224, 224, 224)(image), image)


@pytest.mark.parametrize("size", [1, 223, 224, 225, 299, 1024, 8192])
def test_filter_sums_fit_32_bits(size: int) -> None:
    _, weight = filter_taps(size, 224)
    assert int(weight.astype(np.int64).sum(axis=1).max()) * 255 + (1 << 21) < 1 << 31


def test_resize_without_pixels_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected sizes of 1 pixel or more, got 0 x 5 to 224"):
        PillowResize(0, 5, 224)


@pytest.mark.filterwarnings("ignore")  # the exporter's own deprecations
def test_resize_in_onnx_equals_pillow(tmp_path: Path) -> None:
    images = np.random.default_rng(5).integers(0, 256, (3, 3, 299, 181), np.uint8)
    program = torch.onnx.export(
        PillowResize(299, 181, 224).eval(),
        (torch.from_numpy(images),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
        input_names=["images"],
        output_names=["resized"],
        verbose=False,
    )
    assert program is not None
    program.save(tmp_path / "resize.onnx")
    session = ort.InferenceSession(tmp_path / "resize.onnx", providers=["CPUExecutionProvider"])
    (resized,) = session.run(["resized"], {"images": images[:2]})
    assert np.array_equal(resized, [_resized_by_pillow(image, 224) for image in images[:2]])
