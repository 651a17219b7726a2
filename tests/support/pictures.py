"""Pixels of image files, by our own first step and by the one that networks were trained with."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from export.nets.vision import transforms
from preprocess.image import images_to_pixels

PICTURE_GROUPS = ("cxr", "derm", "brain_mri", "brain_ct")  # of the sample data


def pixels(content: bytes, side: int = 224) -> np.ndarray:
    """UINT8 [3, side, side], as it is served."""
    return images_to_pixels([content], side, modalities=("XC",), colour=True)["pixels"][0]


def by_torchvision(content: bytes, side: int = 224) -> np.ndarray:
    """The same by torchvision."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    return transforms.PILToTensor()(transforms.Resize((side, side))(image)).numpy()
