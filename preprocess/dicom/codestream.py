"""What a compressed frame's own header claims, read before a decoder believes it and allocates."""

from __future__ import annotations

import struct
from itertools import pairwise

from pydicom.uid import UID, JPEG2000TransferSyntaxes, RLELossless

from preprocess.rejection import contradiction

_SIZE_J2K = struct.Struct(">4s4x8LH")  # SOC, SIZ, Lsiz, Rsiz, 4 × (x, y), components: ISO/IEC 15444-1 A.5.1
_TILE_PART = struct.Struct(">2s2xHL")  # SOT, Lsot, tile, length to the next one (0: to the end): A.4.2
_MAX_TILES = 1024  # openjpeg holds some kilobytes for each, before it reads one
_JPEG_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}  # SOF0–15 and JPEG-LS's SOF55
_END = b"\xff\xd9"  # EOI, EOC
_HIERARCHICAL, _SCAN = 0xDE, 0xDA
_HEADER_RLE = struct.Struct("<16L")  # segments, the offset of each: PS3.5 G.5


def check_codestream(syntax: UID, frame: bytes, expected: tuple[int, int, int], allocated: int) -> None:
    """Compare with the attributes.

    Args:
        syntax: JPEG, JPEG-LS, JPEG 2000 (HTJ2K) or RLE.
        frame: the codestream, its fragments joined.
        expected: rows, columns, samples.
        allocated: bits of a sample.

    Raises:
        Rejected: another size, more bits, forms that DICOM has no use for.
        Exception: a header that is cut (struct.error, IndexError).
    """
    if syntax == RLELossless:
        _check_rle(frame, expected[0] * expected[1])
        return
    if _END not in frame[-16:]:  # before padding; a decoder would fill up what is missing without a word
        raise contradiction("a codestream that is cut short")
    found, bits = _j2k_header(frame) if syntax in JPEG2000TransferSyntaxes else _jpeg_header(frame)
    if found != expected:
        raise contradiction("a codestream of another size than its rows, columns and samples")
    if bits > allocated:
        raise contradiction("a codestream of more bits than are allocated")


def _check_rle(frame: bytes, pixels: int) -> None:
    """No segment may unfold to more than twice its plane; the decoder wants it exact, but only when it has it."""
    count, *offsets = _HEADER_RLE.unpack_from(frame)
    for place, end in pairwise([*offsets[:count], len(frame)]):
        unfolded = 0
        while place < end:
            head = frame[place]
            unfolded += 0 if head == 128 else 257 - head if head > 128 else head + 1
            place += 1 if head == 128 else 2 if head > 128 else head + 2
            if unfolded > 2 * pixels:
                raise contradiction("a run-length segment that unfolds to far more than its rows and columns")


def _j2k_header(frame: bytes) -> tuple[tuple[int, int, int], int]:
    """(rows, columns, components), bits."""
    start, right, bottom, left, top, tile_width, tile_height, _, _, components = _SIZE_J2K.unpack_from(frame)
    if start != b"\xff\x4f\xff\x51":
        raise contradiction("no JPEG 2000 codestream")  # nor one in a JP2 wrapper, which PS3.5 A.4.4 forbids
    tiles = -(-right // max(tile_width, 1)) * -(-bottom // max(tile_height, 1))
    each = frame[_SIZE_J2K.size :][: 3 * components]
    if tiles > _MAX_TILES or each != (each[:1] + b"\1\1") * components:
        raise contradiction("JPEG 2000 in many tiles, or components that differ in size or depth")
    _check_tiles(frame, tiles)
    return (bottom - top, right - left, components), (each[0] & 0x7F) + 1


def _check_tiles(frame: bytes, tiles: int) -> None:
    """Every tile is there, and the parts follow each other to the end: openjpeg leaves blank what is missing."""
    place, seen = 2, set()
    while frame[place : place + 2] != b"\xff\x90":
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
        if place >= len(frame):
            break
    while frame[place : place + 2] == b"\xff\x90":
        _, tile, length = _TILE_PART.unpack_from(frame, place)
        seen.add(tile)
        place = place + length if length else frame.rindex(_END)
        if 0 < length < 14:  # shorter than its own header: it would go on for ever
            break
    if seen != set(range(tiles)) or frame[place : place + 2] != _END:
        raise contradiction("JPEG 2000 whose tiles are not all there")


def _jpeg_header(frame: bytes) -> tuple[tuple[int, int, int], int]:
    """(rows, columns, components), bits, of the first frame header: ITU-T T.81 B.2.2, T.87 C.2.2."""
    place = 2
    while frame[:2] == b"\xff\xd8":
        mark, kind, length = struct.unpack_from(">BBH", frame, place)
        if kind == 0xFF:  # fill bytes
            place += 1
            continue
        if mark != 0xFF or kind in (_HIERARCHICAL, _SCAN) or length < 2:
            break
        if kind in _JPEG_FRAMES:
            bits, rows, columns, components = struct.unpack_from(">BHHB", frame, place + 4)
            return (rows, columns, components), bits
        place += 2 + length
    raise contradiction("no JPEG frame")
