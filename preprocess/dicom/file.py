"""A DICOM file's bytes → the few attributes that a picture needs, within limits that a hostile file cannot pass.

What is not in TAGS is never read: no name, identifier or date of a patient is in memory to be told.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import VR

from preprocess.dicom.frame import can_decode
from preprocess.limits import MAX_PIXELS
from preprocess.rejection import Reason, Rejected

MAX_INFLATED_BYTES = 3 * MAX_PIXELS + (1 << 24)  # the largest picture, and room for the rest
MAX_READS = 100_000  # a reading step each for header, value and item; single pictures need some hundreds
MAX_HEADER_BYTES = 1 << 21  # of all values that are read, the pixels' left out
MAX_VALUE_BYTES = 1 << 18  # a look-up table of 65,536 entries has half of it; every other value is a few bytes

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_PALETTE = tuple(f"{c}PaletteColorLookupTable{p}" for c in ("Red", "Green", "Blue") for p in ("Descriptor", "Data"))
_KEYWORDS = (
    "Modality BodyPartExamined ViewPosition SamplesPerPixel PhotometricInterpretation PlanarConfiguration "
    "NumberOfFrames Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue "
    "PixelPaddingRangeLimit RescaleSlope RescaleIntercept RescaleType ModalityLUTSequence WindowCenter WindowWidth "
    "VOILUTFunction VOILUTSequence SegmentedRedPaletteColorLookupTableData"
)
TAGS = {int(Tag(keyword)): keyword for keyword in (*_KEYWORDS.split(), *_PALETTE, *_PIXELS)}
_TRANSFER_SYNTAX = int(Tag("TransferSyntaxUID"))
_CHARACTER_SET = int(Tag("SpecificCharacterSet"))  # pydicom reads it unasked
_VR = frozenset(vr.value.encode() for vr in VR)
_FUNCTIONAL_GROUPS = 0x5200
_UNDEFINED = 0xFFFFFFFF
_LOGGERS = ("pydicom", "pylibjpeg", "openjpeg", "libjpeg", "rle")


def is_dicom(content: bytes) -> bool:
    """Whether this begins as DICOM does: with or without the preamble, or with a bare data set (little endian)."""
    if content[128:132] == b"DICM" or content[:4] == b"DICM":
        return True  # a preamble may be made to look like a TIFF, PS3.10 7.1
    if len(content) < 16:
        return False
    group, element, length = struct.unpack_from("<HHL", content)
    if group not in (0x0002, 0x0008) or not (element == 0 or dictionary_has_tag(group << 16 | element)):
        return False
    return content[4:6] in _VR or length <= len(content) - 8


@contextmanager
def silenced() -> Iterator[None]:
    """Nothing is logged or warned of: pydicom's messages quote the values that they are about."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def open_dicom(content: bytes) -> Dataset:
    """The data set, with `file_meta.TransferSyntaxUID` that its pixels can be decoded by.

    A syntax that is not told is taken as explicit or implicit VR little endian, whichever it reads as.

    Raises:
        Rejected: a syntax that cannot be decoded, a limit passed, a cut file, frames by functional groups.
        Exception: whatever else pydicom thinks of a damaged file.
    """
    file = _MeteredFile(content)
    file.seek(132 if content[128:132] == b"DICM" else 4 if content[:4] == b"DICM" else 0)
    meta = read_dataset(file, False, True, stop_when=_after_meta, specific_tags=[_TRANSFER_SYNTAX])
    syntax = meta.get("TransferSyntaxUID")
    if syntax:
        _check_syntax(syntax)
    rest = content[file.tell() :]
    rest = _inflated(rest) if syntax == DeflatedExplicitVRLittleEndian else rest
    data = _read(rest, syntax or ImplicitVRLittleEndian)
    if not syntax:
        syntax = ImplicitVRLittleEndian if data.original_encoding[0] else ExplicitVRLittleEndian
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    return data


def _read(content: bytes, syntax: UID) -> Dataset:
    file = _MeteredFile(content)
    data = read_dataset(
        file, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=file.begins, specific_tags=list(TAGS)
    )
    if file.tell() > len(content):  # pydicom skips beyond the end without a word
        raise _cut()
    tags = data.keys()  # to go through the data set itself would convert its values
    for tag in tags:
        raw = data.get_item(tag)
        if isinstance(raw, RawDataElement):
            _check_raw(raw)
    return data


def _check_syntax(syntax: UID) -> None:
    # One without a name in PS3.6 is not told: a field that anybody can write into may hold anything.
    known = isinstance(syntax, UID) and syntax.name != str(syntax)
    if not (known and syntax.is_transfer_syntax and can_decode(syntax)):
        name = syntax.name if known else "another"
        raise Rejected(
            Reason.UNSUPPORTED_TRANSFER_SYNTAX,
            f"expected a transfer syntax that can be decoded here, got {name}. Export it as Explicit VR Little Endian.",
        )


def _after_meta(tag: int, _vr: str | None, _length: int) -> bool:
    return tag >> 16 != 2


def _check_raw(raw: RawDataElement) -> None:
    size = len(raw.value or b"")
    if raw.length not in (size, _UNDEFINED):
        raise _cut()
    if size > MAX_VALUE_BYTES and TAGS.get(int(raw.tag)) not in _PIXELS:
        raise _damaged_header("a value over the limit")


def _inflated(content: bytes) -> bytes:
    """RFC 1951, as PS3.5 A.5 has it. pydicom would inflate without a limit: 32 MB can become 32 GB."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = stream.decompress(content, MAX_INFLATED_BYTES + 1)
    if len(inflated) > MAX_INFLATED_BYTES:
        raise Rejected(
            Reason.TOO_MANY_BYTES, f"expected at most {MAX_INFLATED_BYTES:,} bytes when inflated, got more of them"
        )
    if not stream.eof:
        raise _cut()
    return inflated


class _MeteredFile(io.BytesIO):
    """Ends a header that costs far more to hold than to send.

    pydicom reads sequences of undefined length whole, wanted or not: an empty item is 8 bytes there and half a
    kilobyte here, and a character set of 30 MB of backslashes took 36 seconds.
    """

    reads = 0
    header_bytes = 0
    in_pixels = False

    def begins(self, tag: int, vr: str | None, length: int) -> bool:
        """pydicom's `stop_when`, called for each element of the outermost level."""
        name = TAGS.get(tag)
        self.in_pixels = name in _PIXELS and vr not in ("SQ", "UN")
        if tag >> 16 == _FUNCTIONAL_GROUPS:
            # Enhanced objects keep window and rescale in here, one for each frame.
            raise Rejected(
                Reason.MULTI_FRAME,
                "expected one picture, got an enhanced object with functional groups. Send the frame that is meant, "
                "as a classic single-frame object.",
            )
        wanted = name is not None or tag == _CHARACTER_SET
        if wanted and not self.in_pixels and length != _UNDEFINED and length > MAX_VALUE_BYTES:
            raise _damaged_header("a value over the limit")
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        size = len(self.getbuffer()) if size is None or size < 0 else size
        if size > MAX_VALUE_BYTES and not self.in_pixels:  # in a sequence, and nothing that is wanted
            self.seek(size, io.SEEK_CUR)
            return b""
        self.reads += 1
        self.header_bytes += 0 if self.in_pixels else size
        if self.reads > MAX_READS or self.header_bytes > MAX_HEADER_BYTES:
            raise _damaged_header("one that is far larger")
        return super().read(size)


def _cut() -> Rejected:
    return Rejected(Reason.CORRUPT_IMAGE, "expected a whole DICOM file, got one that ends too early. Send it again.")


def _damaged_header(what: str) -> Rejected:
    return Rejected(Reason.CORRUPT_IMAGE, f"expected the header of a single picture, got {what}. Send it again.")
