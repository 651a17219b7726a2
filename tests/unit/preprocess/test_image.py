"""Image files → pixels: bit for bit torchvision's, and every odd kind of file."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from export.samples import picture
from preprocess.image import MAX_PIXELS, images_to_pixels
from preprocess.rejection import Reason, Rejected
from tests.support.pictures import PICTURE_GROUPS, by_torchvision, pixels
from tests.support.samples import SampleData


def _file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _noise(mode: str = "RGB", size: tuple[int, int] = (90, 70)) -> Image.Image:
    shape = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8), mode if len(mode) > 1 else None)


@pytest.mark.parametrize("group", PICTURE_GROUPS)
def test_equals_torchvision_bit_for_bit_on_a_sample_of_real_pictures(sample_data: SampleData, group: str) -> None:
    """All of them: tests/process/preprocess/test_pictures.py."""
    files = sample_data.files(group)[::10]
    assert len(files) > 8
    for file in files:
        content = file.path.read_bytes()
        assert np.array_equal(pixels(content), by_torchvision(content)), file.path.name


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "CMYK"])
@pytest.mark.parametrize("side", [224, 896])
def test_equals_torchvision_on_generated_pictures(mode: str, side: int) -> None:
    image = _noise("RGBA").convert(mode) if mode != "CMYK" else _noise("RGB").convert("CMYK")
    content = _file(image, "TIFF" if mode == "CMYK" else "PNG")
    assert np.array_equal(pixels(content, side), by_torchvision(content, side))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
def test_every_format_is_read(kind: str) -> None:
    content = _file(_noise().convert("P") if kind == "GIF" else _noise(), kind)
    assert np.array_equal(pixels(content), by_torchvision(content))


@pytest.mark.parametrize("depth", [8, 10, 12, 14, 16])
def test_sixteen_bit_grey_is_scaled_by_its_detectors_depth(depth: int) -> None:
    ramp = np.linspace(0, (1 << depth) - 1, 64 * 64).astype(np.uint16).reshape(64, 64)
    found = pixels(_file(Image.fromarray(ramp)), 64)
    assert found.min() == 0
    assert found.max() == 255
    assert np.abs(found[0].astype(int) - (ramp >> (depth - 8))).max() == 0


def test_white_is_zero_in_eight_bits_is_turned_round() -> None:
    ramp = np.linspace(0, 255, 64 * 64).astype(np.uint8).reshape(64, 64)
    stored = _file(Image.fromarray(ramp), "TIFF", tiffinfo={262: 0})  # Pillow turns the stored values round
    assert Image.open(io.BytesIO(stored)).tag_v2[262] == 0
    assert (255 - ramp).tobytes() in stored
    assert np.array_equal(pixels(stored, 64), pixels(_file(Image.fromarray(ramp), "TIFF"), 64))


def test_orientation_is_applied() -> None:
    image = _noise(size=(90, 60))
    exif = Image.Exif()
    exif[274] = 6  # stored on its side: to be turned clockwise
    turned = _file(image.transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(pixels(_file(image, exif=exif)), pixels(turned))


TWELVE_BITS = np.linspace(0, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
MARKED = TWELVE_BITS.copy()
MARKED[0, :3] = 65535  # a burned-in mark at full white


def _png16(colour_type: int, channels: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads and does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = np.repeat(TWELVE_BITS[:, :, None], channels, axis=2).astype(">u2")
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", 64, 64, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


FLOATS = np.random.default_rng(0).random((64, 64), np.float32)
SIGNED = np.arange(-2048, 2048, dtype=np.int32).reshape(64, 64)


def _multi_frame(kind: str) -> bytes:
    return _file(_noise(), kind, save_all=True, append_images=[_noise("L").convert("RGB")])


def _flipped_pixel_bit() -> bytes:
    """A PNG whose pixel data changed on the way, and whose checksum says so."""
    content = bytearray(picture(1))
    content[content.index(b"IDAT") + 40] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"hello, I am text", Reason.NOT_AN_IMAGE),
        (b"<html>error</html>", Reason.NOT_AN_IMAGE),
        (picture(1)[:-2000], Reason.CORRUPT_IMAGE),
        (_file(_noise(), "JPEG")[:-900], Reason.CORRUPT_IMAGE),
        (_flipped_pixel_bit(), Reason.CORRUPT_IMAGE),
        (_file(Image.new("1", (20000, 20000))), Reason.TOO_MANY_PIXELS),
        (_file(Image.new("1", (MAX_PIXELS // 5000 + 1, 5000))), Reason.TOO_MANY_PIXELS),
        (_file(_noise(size=(31, 200))), Reason.IMAGE_TOO_SMALL),
        (_multi_frame("GIF"), Reason.MULTI_FRAME),
        (_multi_frame("TIFF"), Reason.MULTI_FRAME),
        (_multi_frame("PNG"), Reason.MULTI_FRAME),
        (_multi_frame("WEBP"), Reason.MULTI_FRAME),
        (_file(Image.fromarray(FLOATS), "TIFF"), Reason.UNSUPPORTED_PIXELS),
        (_file(Image.fromarray(TWELVE_BITS), "TIFF", tiffinfo={262: 0}), Reason.UNSUPPORTED_PIXELS),
        (_png16(2, 3), Reason.UNSUPPORTED_PIXELS),
        (_png16(4, 2), Reason.UNSUPPORTED_PIXELS),
        (_png16(6, 4), Reason.UNSUPPORTED_PIXELS),
        (_file(Image.fromarray(MARKED)), Reason.UNSUPPORTED_PIXELS),
        (_file(Image.fromarray(SIGNED), "TIFF"), Reason.UNSUPPORTED_PIXELS),
        (_file(Image.new("RGB", (64, 64), (9, 8, 7))), Reason.NO_CONTRAST),
        (_file(Image.new("L", (64, 64))), Reason.NO_CONTRAST),
    ],
)
def test_refused_with_a_reason(content: bytes, reason: Reason) -> None:
    with pytest.raises(Rejected) as caught:
        pixels(content)
    assert caught.value.reason is reason
    assert str(caught.value).startswith(f"[{reason.value}] item 0: ")


def test_the_item_of_a_batch_is_named() -> None:
    with pytest.raises(Rejected) as caught:
        images_to_pixels([picture(0), picture(1), b"x"], 224, modalities=("XC",), colour=True)
    assert caught.value.item == 2


@pytest.mark.parametrize("seed", range(300))
def test_damaged_files_are_refused_or_read_never_worse(seed: int) -> None:
    random = np.random.default_rng(seed)
    kind = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")[seed % 6]
    content = bytearray(_file(_noise().convert("P") if kind == "GIF" else _noise(), kind))
    for place in random.integers(0, min(len(content), 400), 6):
        content[place] = random.integers(256)
    with contextlib.suppress(Rejected):
        assert pixels(bytes(content)).shape == (3, 224, 224)
