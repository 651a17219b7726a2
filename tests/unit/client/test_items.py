"""What a user has in hand, and the bytes that are sent for it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal  # starts `lscpu` when it is imported, so not inside a test
from PIL import Image
from pydicom.data import get_testdata_file

from medserve import InvalidInput
from medserve.items import content, contents, png

GREY = np.arange(35, dtype=np.uint8).reshape(5, 7)
COLOUR = np.arange(105, dtype=np.uint8).reshape(5, 7, 3)


def test_bytes_files_and_paths_are_sent_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "film.png"
    file.write_bytes(b"a film")
    with file.open("rb") as handle:
        for value in (b"a film", bytearray(b"a film"), memoryview(b"a film"), file, handle, io.BytesIO(b"a film")):
            assert content("m", value) == b"a film"
    assert content("m", "CCO") == b"CCO"
    assert content("m", "data:image/png;base64," + "A" * 200_000).startswith(b"data:")


@pytest.mark.parametrize(
    "pixels",
    [GREY, COLOUR, GREY.astype(np.uint16) * 1000, np.asfortranarray(COLOUR), GREY[::2, ::-1], GREY.astype(">u2")],
)
def test_an_array_is_a_lossless_picture(pixels: np.ndarray) -> None:
    read = Image.open(io.BytesIO(content("m", pixels)))
    assert_array_equal(np.asarray(read).astype(pixels.dtype), pixels)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_a_pil_image_is_a_lossless_picture(mode: str) -> None:
    image = Image.fromarray(GREY.astype(np.uint16)) if mode == "I;16" else Image.fromarray(COLOUR).convert(mode)
    assert_array_equal(np.asarray(Image.open(io.BytesIO(content("m", image)))), np.asarray(image))


def test_a_dicom_dataset_is_a_dicom_file() -> None:
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    again = pydicom.dcmread(io.BytesIO(content("m", dataset)))
    assert again.SOPInstanceUID == dataset.SOPInstanceUID
    assert_array_equal(again.pixel_array, dataset.pixel_array)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (GREY.astype(np.float32), r"expected uint8 or uint16 \[h, w\].* got float32 \[5, 7\]"),
        (GREY[None], r"got uint8 \[1, 5, 7\]"),
        (np.zeros((5, 7, 4), np.uint8), r"got uint8 \[5, 7, 4\]"),
        (np.zeros((0, 7), np.uint8), r"got uint8 \[0, 7\]"),
        (3, "expected a path, bytes, .* got int"),
        (None, "got NoneType"),
        (Path("gone.png"), r"cannot be read: .*gone\.png"),
        (io.StringIO("text"), "opened in binary, got one that reads str"),
        (Image.new("F", (5, 5)), "cannot be written as a file: cannot write mode F as PNG"),
        (pydicom.Dataset(), "cannot be written as a file"),
    ],
)
def test_what_cannot_be_sent_is_told(value: object, told: str) -> None:
    with pytest.raises(InvalidInput, match=f"m: .*{told}|m: {told}"):
        content("m", value)  # type: ignore[arg-type]


def test_a_file_that_fails_in_its_own_way_fails_alone() -> None:
    class Cloud:
        def read(self) -> bytes:
            raise RuntimeError("the bucket is gone")

    with pytest.raises(InvalidInput, match="m: cannot be read: RuntimeError: the bucket is gone") as caught:
        content("m", Cloud())
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_str_that_is_a_file_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "film.png"
    file.write_bytes(b"x")
    with pytest.raises(InvalidInput, match="expected a Path for a file, got the str"):
        content("m", str(file))


def test_names_are_checked() -> None:
    declared = {"ct": True, "mri": False}
    assert contents("m", declared, {"mri": b"x"}) == {"ct": b"", "mri": b"x"}
    with pytest.raises(InvalidInput, match=r"m\.inputs: expected ct, mri; got also image"):
        contents("m", declared, {"mri": b"x", "image": b"y"})
    with pytest.raises(InvalidInput, match=r"m\.inputs: expected a value for mri, got none"):
        contents("m", declared, {"ct": b"x"})


def test_png_needs_no_library() -> None:
    assert png("m", GREY).startswith(b"\x89PNG\r\n\x1a\n")
