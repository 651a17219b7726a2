"""An image file → UINT8 RGB pixels of a fixed square, bit for bit as torchvision resizes them.

The source projects train on `Image.open(f).convert("RGB")` → `Resize((side, side))`: Pillow's
bilinear filter with antialiasing, the whole picture, no crop. This is the same without torch.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from preprocess.dicom import Accepts, dicom_to_image
from preprocess.dicom.file import is_dicom
from preprocess.limits import MAX_PIXELS, check_size
from preprocess.rejection import Reason, Rejected
from preprocess.seen import Note, Seen, unnoted
from preprocess.statistics import OF_A_PICTURE, STATISTICS, of_picture
from preprocess.transport import file_bytes

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
T = TypeVar("T")
_BIT_DEPTHS = (8, 10, 12, 14, 16)
_FEW = 1e-3  # of a film's pixels
_PHOTOMETRIC = 262  # TIFF tag PhotometricInterpretation; 0: white is zero


def images_to_pixels(
    images: Sequence[bytes],
    side: int,
    *,
    modalities: tuple[str, ...],
    colour: bool,
    body_parts: tuple[str, ...] = (),
    views: tuple[str, ...] = (),
    window: tuple[float, float] | None = None,
    note: Note = unnoted,
) -> dict[str, NDArray[np.uint8] | NDArray[np.float32]]:
    """Decode a batch.

    Args:
        images: files (DICOM, PNG, JPEG, BMP, TIFF, WebP, GIF), each as bytes, base64 text or `data:` URI.
        side: of the square.
        modalities, colour, body_parts, views, window: which DICOM files are taken, and how: see `Accepts`.
            Other files do not say what they show.
        note: is told of each that was read.

    Returns:
        pixels: UINT8 [B, 3, side, side], RGB.
        statistics: FP32 [B, 7] in the order of OF_A_PICTURE.

    Raises:
        Rejected: the first image that cannot be read, with its place in the batch.
    """
    accepts = Accepts(modalities, colour, body_parts, views, window)
    pixels = np.empty((len(images), 3, side, side), np.uint8)
    statistics = np.empty((len(images), len(OF_A_PICTURE)), np.float32)
    for item, sent in enumerate(images):
        try:
            pixels[item], statistics[item] = file_to_pixels(sent, side, accepts, note)
        except Rejected as rejected:
            raise rejected.at(item) from rejected
    return {"pixels": pixels, STATISTICS: statistics}


def file_to_pixels(
    sent: bytes, side: int, accepts: Accepts, note: Note
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """UINT8 [3, side, side] of one file, and what it is like: FP32 [7]."""
    content = file_bytes(sent)
    image, kind = (dicom_to_image(content, accepts), "dicom") if is_dicom(content) else _picture(content)
    # A grey picture stays one channel until after the resize: the same numbers at a third of the work.
    resized = image.resize((side, side), Image.Resampling.BILINEAR)
    if all(lowest == highest for lowest, highest in (band.getextrema() for band in resized.split())):
        raise Rejected(Reason.NO_CONTRAST, "expected a picture, got one colour in every pixel")
    note(Seen(kind, len(content), image.width * image.height))
    square = np.asarray(resized)
    pixels = np.broadcast_to(square, (3, side, side)) if square.ndim == 2 else square.transpose(2, 0, 1)
    return pixels, of_picture(image.width, image.height, resized)


def _picture(content: bytes) -> tuple[Image.Image, str]:
    """What Pillow reads, checked before it is decoded; and its format."""
    image = _opened(content)
    _check_frames(image)
    check_size(*image.size)
    if image.format == "PNG":
        _check_png_crc(content)
    return _read(lambda: _decoded(image)), str(image.format).lower()


def _opened(content: bytes) -> Image.Image:
    """Read the header only."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of what check_size refuses a line later.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as exc:
        raise Rejected(
            Reason.TOO_MANY_PIXELS, f"expected at most {MAX_PIXELS:,} pixels, the header claims far more"
        ) from exc
    except UnidentifiedImageError as exc:
        raise Rejected(
            Reason.NOT_AN_IMAGE, f"expected an image file (DICOM, {', '.join(FORMATS)}), got something else"
        ) from exc
    except Exception as exc:  # each format's reader fails in its own ways on a hostile header
        raise _corrupt(exc) from exc


def _check_frames(image: Image.Image) -> None:
    # The first picture of an MPO (a camera's JPEG with previews) is its primary one by definition.
    frames = 1 if image.format == "MPO" else _read(lambda: getattr(image, "n_frames", 1))
    if frames != 1:
        raise Rejected(Reason.MULTI_FRAME, f"expected one picture, got {frames} frames. Send the frame that is meant.")


def _check_png_crc(content: bytes) -> None:
    """Pillow decodes PNG pixel data without looking at its checksum; changed pixels would pass."""
    _read(lambda: Image.open(io.BytesIO(content), formats=("PNG",)).verify())


def _decoded(image: Image.Image) -> Image.Image:
    """The upright picture in mode L or RGB."""
    _check_sixteen_bits(image)
    image.load()
    # Orientation is how the camera was held, not what was seen. No tag: the very same object.
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        return _from_integers(np.asarray(image))
    if image.mode == "F":
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS,
            "expected 8- or 16-bit pixels, got floating point of unknown range. Export as 8 or 16 bit.",
        )
    # Alpha is dropped as the training pipelines drop it; a palette becomes its colours.
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _check_sixteen_bits(image: Image.Image) -> None:
    """Refuse what Pillow would read wrongly without a word: it keeps the high byte of 16-bit colour and
    grey-with-alpha, which turns 12-bit pixels black, and takes 16-bit white-is-zero for black-is-zero."""
    grey = image.mode.startswith("I")
    tiles = getattr(image, "tile", ())
    raw_mode = str(tiles[0][3]) if tiles else ""
    if ";16" in raw_mode and not grey:
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS,
            "expected 16 bits in grey alone, got them in colour or with alpha. Export as 8 bit.",
        )
    if grey and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS,
            "expected black as zero in 16 bits, got white as zero. Export as 8 bit or as PNG.",
        )


def _from_integers(values: NDArray[np.int32 | np.uint16]) -> Image.Image:
    """16-bit grey → 8 bit, by the smallest detector depth (8 to 16 bit) that holds the highest value.

    Pillow's own conversion clips at 255 and turns a 12-bit film white.
    """
    highest, lowest = int(values.max()), int(values.min())
    if lowest < 0 or highest >= 1 << _BIT_DEPTHS[-1]:
        raise Rejected(Reason.UNSUPPORTED_PIXELS, "expected grey values of at most 16 bits without sign, got others")
    depth = next(bits for bits in _BIT_DEPTHS if highest < 1 << bits)
    smaller = max((bits for bits in _BIT_DEPTHS if bits < depth), default=0)
    if smaller and np.count_nonzero(values >> smaller) < _FEW * values.size:
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS,
            f"expected a film that uses its {depth} bits, got one of {smaller} with a few brighter pixels (a mark, "
            "a defect?): its brightness cannot be told. Export as 8 bit.",
        )
    return Image.fromarray((values >> (depth - 8)).astype(np.uint8))


def _read(step: Callable[[], T]) -> T:
    """Run a step of Pillow's; whatever it raises about the file is one rejection."""
    try:
        return step()
    except Rejected:
        raise
    except Exception as exc:  # OSError, SyntaxError, struct.error, ValueError, zlib.error, ...
        raise _corrupt(exc) from exc


def _corrupt(exc: Exception) -> Rejected:
    return Rejected(
        Reason.CORRUPT_IMAGE,
        f"expected a whole image file, got one that is cut short or damaged ({type(exc).__name__}). Send it again.",
    )
