"""What a user has in hand, and the bytes that are sent for it."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal  # starts `lscpu` when it is imported, so not inside a test
from PIL import Image
from pydicom.data import get_testdata_file

from medserve import Client, InvalidInput
from medserve.items import content, contents, png
from medserve.testing import FakeModel, FakeServer

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


def test_an_empty_file_is_not_one_that_was_left_out() -> None:
    server = FakeServer(
        {"pair": FakeModel(labels=("A",), probabilities=(1.0,), inputs=("ct", "mri"), optional=("ct",))}
    )
    with Client(transport=server) as client:
        assert client.predict("pair", mri=b"x").label == "A"
        for empty in (b"", io.BytesIO(b"")):
            with pytest.raises(InvalidInput, match=r"ct: \[empty\] expected bytes") as refused:
                client.predict("pair", mri=b"x", ct=empty)
            assert refused.value.code == "empty"


def test_a_pil_image_is_seen_as_its_file_is() -> None:
    """By the server's own reader: the camera's orientation counts."""
    from preprocess.image import images_to_pixels

    pixels = np.zeros((80, 40, 3), np.uint8)
    pixels[:20] = 250
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    image = Image.open(io.BytesIO(file.getvalue()))
    as_file, as_image = (
        images_to_pixels([sent], side=32, modalities=("XC",), colour=True)["pixels"]
        for sent in (file.getvalue(), content("m", image))
    )
    np.testing.assert_array_equal(as_file, as_image)
    assert np.ptp(as_file.astype(int).mean((0, 1))[0]) > 50  # it was turned


def test_white_as_zero_in_sixteen_bits_is_refused_not_inverted() -> None:
    head = struct.pack("<2sHI", b"II", 42, 8)
    tags = [(256, 4, 4), (257, 4, 4), (258, 3, 16), (259, 3, 1), (262, 3, 0), (273, 4, 122), (277, 3, 1), (278, 4, 4),
            (279, 4, 32)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    file = head + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    file += np.arange(16, dtype="<u2").tobytes()
    assert len(file) == 122 + 32
    with pytest.raises(InvalidInput, match="white as zero") as refused:
        content("m", Image.open(io.BytesIO(file)))
    assert refused.value.code == "unsupported_pixels"


def test_an_upload_of_a_web_framework_is_a_file() -> None:
    class Upload:  # as werkzeug's FileStorage
        mode = "rb"

        def save(self, target: object) -> None:
            raise AssertionError

        def read(self) -> bytes:
            return b"film"

    assert content("m", Upload()) == b"film"
