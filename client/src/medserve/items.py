"""What a user has in hand → the bytes that a model's input takes."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medserve.errors import InvalidInput


class Readable(Protocol):
    """An open binary file."""

    def read(self) -> bytes:
        """Everything that is left."""


class Picture(Protocol):
    """A PIL image."""

    @property
    def mode(self) -> str:
        """Of its pixels."""

    def save(self, fp: Any, format: str | None = None) -> None:  # noqa: A002  Pillow's names
        """Write it."""


class Dataset(Protocol):
    """A pydicom Dataset."""

    def save_as(self, filename: Any, /) -> None:
        """Write it."""


# Whoever has a PIL image or a Dataset has its library; this one needs neither.
Sendable = bytes | bytearray | memoryview | str | os.PathLike[str] | Readable | NDArray[np.generic] | Picture | Dataset


_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # TIFF 6.0, PhotometricInterpretation


def contents(where: str, declared: Mapping[str, Any], given: Mapping[str, Sendable]) -> dict[str, bytes]:
    """What goes over the wire for each input of one item.

    Args:
        where: the model, for messages.
        declared: input name → whether it may be left out.
        given: by input name.

    Raises:
        InvalidInput: a name that is none, a value that is missing, or one that cannot be sent.
    """
    if unknown := sorted(str(name) for name in set(given) - set(declared)):
        raise InvalidInput(f"{where}.inputs: expected {', '.join(declared)}; got also {', '.join(unknown)}")
    if missing := [name for name, optional in declared.items() if name not in given and not optional]:
        raise InvalidInput(f"{where}.inputs: expected a value for {', '.join(missing)}, got none")
    found = {name: content(f"{where}.inputs.{name}", given[name]) if name in given else b"" for name in declared}
    if empty := [name for name in given if not found[name]]:  # over the wire it would mean: left out
        raise InvalidInput(f"{where}.inputs.{empty[0]}: [empty] expected bytes, got none. Leave it out.", code="empty")
    return found


def content(where: str, value: Any) -> bytes:
    """The bytes of one value: of a file its own, of a text UTF-8, of pixels a PNG, of a Dataset a DICOM file.

    Raises:
        InvalidInput: it cannot be sent.
    """
    try:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, str):
            return _text(where, value)
        if isinstance(value, os.PathLike):
            return Path(value).read_bytes()
        if isinstance(value, np.ndarray):
            return png(where, value)
        if hasattr(value, "save_as"):  # pydicom.Dataset
            return _written(where, lambda out: value.save_as(out, enforce_file_format=True))
        if hasattr(value, "read"):
            return _read(where, value)
        if hasattr(value, "save") and hasattr(value, "mode"):  # PIL.Image.Image
            return _picture(where, value)
    except InvalidInput:
        raise
    except (OSError, ValueError, TypeError) as exc:
        raise InvalidInput(f"{where}: cannot be read: {exc}") from exc
    raise InvalidInput(
        f"{where}: expected a path, bytes, an open file, a PIL image, a NumPy array, a DICOM Dataset or a str, "
        f"got {type(value).__name__}"
    )


def png(where: str, pixels: NDArray[np.generic]) -> bytes:
    """Pixels as a lossless file. Source: PNG (ISO/IEC 15948): filter 0 on each row, one IDAT.

    Args:
        where: for messages.
        pixels: UINT8 or UINT16 [h, w] grey, or UINT8 [h, w, 3] RGB.

    Raises:
        InvalidInput: other pixels: nobody but the caller knows what their black and their white are.
    """
    grey = pixels.ndim == 2 and pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2
    colour = pixels.ndim == 3 and pixels.shape[2:] == (3,) and pixels.dtype == np.uint8
    if not (grey or colour) or 0 in pixels.shape:
        raise InvalidInput(
            f"{where}: expected uint8 or uint16 [h, w], or uint8 [h, w, 3] RGB, got {pixels.dtype} "
            f"{list(pixels.shape)}. Scale to the full range and cast first; of a CT send the DICOM file."
        )
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    filtered = np.zeros((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 1:] = rows
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, 2 if colour else 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(filtered.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def _text(where: str, value: str) -> bytes:
    if len(value) < 4096 and "\0" not in value and os.path.isfile(value):
        raise InvalidInput(f"{where}: expected a Path for a file, got the str {value!r}. Pass Path({value!r}).")
    return value.encode()


def _picture(where: str, image: Any) -> bytes:
    """As the file that it was opened from would be seen: upright, and with white as white."""
    from PIL import ImageOps

    if image.mode.startswith("I") and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise InvalidInput(
            f"{where}: expected black as zero, got a 16-bit TIFF with white as zero. Invert it.",
            code="unsupported_pixels",
        )
    return _written(where, lambda out: ImageOps.exif_transpose(image).save(out, "PNG", compress_level=1))


def _written(where: str, write: Callable[[io.BytesIO], object]) -> bytes:
    out = io.BytesIO()
    try:
        write(out)
    except Exception as exc:  # Pillow's and pydicom's: any
        raise InvalidInput(f"{where}: cannot be written as a file: {exc}") from exc
    return out.getvalue()


def _read(where: str, file: Readable) -> bytes:
    try:
        found: object = file.read()
    except Exception as exc:  # a cloud's, an archive's: any
        raise InvalidInput(f"{where}: cannot be read: {type(exc).__name__}: {exc}") from exc
    if not isinstance(found, bytes):
        raise InvalidInput(f"{where}: expected a file opened in binary, got one that reads {type(found).__name__}")
    return found
