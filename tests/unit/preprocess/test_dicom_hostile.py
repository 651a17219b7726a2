"""DICOM files that are made to harm, and what of a patient must not come out."""

from __future__ import annotations

import logging
import struct
import warnings
import zlib

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from preprocess.dicom import Accepts, dicom_to_image
from preprocess.dicom import file as header
from preprocess.dicom.file import is_dicom
from preprocess.image import images_to_pixels
from preprocess.rejection import Reason, Rejected
from tests.support.dicoms import dataset, dicom, file, planted, ramp, several

ANY = Accepts(("CR", "CT", "MR", "XC"), False)
SECRET = "DOE^JANE19700131"  # 16 characters, as many as a code string may have


def _refused(content: bytes, accepts: Accepts = ANY) -> Rejected:
    with pytest.raises(Rejected) as caught:
        dicom_to_image(content, accepts)
    return caught.value


def _element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Explicit VR little endian, of the VRs with four bytes of length."""
    return struct.pack("<HH2sxxL", tag >> 16, tag & 0xFFFF, vr, len(value) if length is None else length) + value


def _with(element: bytes, content: bytes | None = None) -> bytes:
    """A sound file with something in front of its first element."""
    content = content or dicom(ramp())
    place = content.index(b"\x08\x00\x16\x00")
    return content[:place] + element + content[place:]


def test_a_deflate_bomb() -> None:
    stream = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)  # what follows does not look back
    bomb = zeros * 180 + stream.flush()
    head = dicom(ramp(), DeflatedExplicitVRLittleEndian)
    meta = head[: head.index(b"1.2.840.10008.1.2.1.99") + 22]
    assert len(meta + bomb) < 300_000
    assert _refused(meta + bomb).reason is Reason.TOO_MANY_BYTES


def test_a_cut_deflated_file() -> None:
    assert _refused(dicom(ramp(), DeflatedExplicitVRLittleEndian)[:-9]).reason is Reason.CORRUPT_IMAGE


def _codestream(kind: str) -> bytes:
    """A film of 64 × 64 whose compressed frame says 60000 × 60000."""
    if kind == "jpeg":
        content = dicom(ramp(), JPEGBaseline8Bit)
        return content.replace(b"\xff\xc0\0\x0b\x08\0\x40\0\x40", b"\xff\xc0\0\x0b\x08\xea\x60\xea\x60")
    content = bytearray(dicom(ramp(), JPEG2000Lossless))
    size = content.index(b"\xff\x4f\xff\x51")
    if kind == "j2k":
        struct.pack_into(">2L8x2L", content, size + 8, 60000, 60000, 60000, 60000)
    elif kind == "j2k_tiles":
        struct.pack_into(">2L", content, size + 24, 1, 1)
    elif kind == "j2k_components":
        struct.pack_into(">H", content, size + 40, 16384)
    return bytes(content)


@pytest.mark.parametrize("kind", ["jpeg", "j2k", "j2k_tiles", "j2k_components"])
def test_a_codestream_that_claims_more_than_the_attributes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Decoder] = []
    monkeypatch.setattr(Decoder, "as_array", lambda self, *_, **__: decoded.append(self))
    rejected = _refused(_codestream(kind))
    assert rejected.reason is Reason.CORRUPT_IMAGE
    assert "codestream" in rejected.sentence or "JPEG 2000" in rejected.sentence
    assert not decoded  # a decoder would believe it, and allocate


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGBaseline8Bit])
def test_a_codestream_that_ends_too_early(syntax: str) -> None:
    content = bytearray(dicom(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), syntax))
    place = content.rindex(b"\xff\xd9")
    content[place : place + 2] = b"\0\0"
    assert "cut short" in _refused(bytes(content)).sentence


def test_a_tile_that_is_missing() -> None:
    content = dicom(ramp(), JPEG2000Lossless)
    assert "tiles" in _refused(content.replace(b"\xff\x90\0\x0a\0\0", b"\xff\x90\0\x0a\0\1")).sentence


def test_a_run_length_bomb() -> None:
    content = dicom(ramp(), RLELossless)
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\0" * 4_000_000
    start = content.index(b"\xfe\xff\x00\xe0", content.index(b"\xe0\x7f\x10\x00") + 20)
    bomb = content[:start] + b"\xfe\xff\x00\xe0" + struct.pack("<L", len(frame)) + frame
    assert "run-length" in _refused(bomb + b"\xfe\xff\xdd\xe0\0\0\0\0").sentence


@pytest.mark.parametrize("depth", [100, 5000])
def test_deeply_nested_sequences(depth: int) -> None:
    nested = _element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    assert _refused(_with(nested * depth)).reason is Reason.CORRUPT_IMAGE


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that pydicom got from each of its reads."""
    got: list[int] = []
    own = header._MeteredFile.read

    def read(self: header._MeteredFile, size: int | None = -1, /) -> bytes:
        content = own(self, size)
        got.append(len(content))
        return content

    monkeypatch.setattr(header._MeteredFile, "read", read)
    return got


def test_a_header_of_items_alone(reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MAX_READS", 5000)
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 1_000_000 + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert _refused(_with(_element(0x00081140, b"SQ", items, 0xFFFFFFFF))).reason is Reason.CORRUPT_IMAGE
    assert len(reads) < 5100  # those before the data set too


@pytest.mark.parametrize("size", [250_000, 30_000_000])
def test_a_character_set_of_separators_in_a_sequence(size: int, reads: list[int]) -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + _element(0x00080005, b"UT", b"\\" * size)
    content = _with(_element(0x00081140, b"SQ", item * (30_000_000 // size), 0xFFFFFFFF))
    assert _refused(content).reason is Reason.CORRUPT_IMAGE
    assert sum(reads) <= header.MAX_HEADER_BYTES  # pydicom took a second for each of these megabytes


def test_a_large_value_in_a_private_sequence_is_passed_over() -> None:
    item = _element(0x00091010, b"OB", bytes(3_000_000))
    item = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(item)) + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    content = _with(_element(0x00081140, b"SQ", item, 0xFFFFFFFF))
    assert np.array_equal(np.asarray(dicom_to_image(content, ANY)), ramp())


@pytest.mark.parametrize("tag", [0x00080005, 0x00281050, 0x00283010])
def test_a_value_that_is_far_too_long(tag: int) -> None:
    vr = b"SQ" if tag == 0x00283010 else b"UT"
    assert _refused(_with(_element(tag, vr, b"1\\" * 1_000_000))).reason is Reason.CORRUPT_IMAGE


@pytest.mark.parametrize("lie", [1, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
def test_lengths_that_lie(lie: int) -> None:
    content = dicom(ramp())
    place = content.index(b"\xe0\x7f\x10\x00") + 8
    lying = content[:place] + struct.pack("<L", lie) + content[place + 4 :]
    assert _refused(lying).reason in (Reason.CORRUPT_IMAGE, Reason.NO_PIXELS)
    assert _refused(_with(_element(0x00091001, b"OB", b"", lie))).reason in (Reason.CORRUPT_IMAGE, Reason.NO_PIXELS)


def test_native_pixels_under_a_compressed_syntax_and_the_reverse() -> None:
    native, compressed = (
        dicom(ramp()),
        dicom(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), RLELossless),
    )
    for content, before, after in (
        (native, b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"),
        (compressed, b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0"),
    ):
        assert _refused(content.replace(before, after)).reason is Reason.CORRUPT_IMAGE


@pytest.mark.parametrize("frames", [b"9" * 10_000, b"99999999999999999999", b"-1", b"0.5", b"nan"])
def test_odd_numbers_of_frames(frames: bytes) -> None:
    rejected = _refused(file(planted(dataset(ramp()), "NumberOfFrames", "IS", frames)))
    assert rejected.reason in (Reason.MULTI_FRAME, Reason.CORRUPT_IMAGE)


def test_enhanced_objects_are_refused_before_their_frames_are_read() -> None:
    data = dataset(ramp())
    data.SharedFunctionalGroupsSequence = [Dataset()]
    assert _refused(file(data)).reason is Reason.MULTI_FRAME


TEXTS = """
    Modality BodyPartExamined ViewPosition PhotometricInterpretation VOILUTFunction RescaleType SpecificCharacterSet
    WindowCenter WindowWidth RescaleSlope RescaleIntercept NumberOfFrames PatientName PatientID StudyDate
    PatientBirthDate WindowCenterWidthExplanation
"""
NUMBERS = "Rows Columns SamplesPerPixel BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue"


def _with_secrets() -> dict[str, bytes]:
    secret = SECRET.encode()
    vrs = {"WindowCenter": "DS", "WindowWidth": "DS", "RescaleSlope": "DS", "RescaleIntercept": "DS"}
    vrs |= {"NumberOfFrames": "IS", "PatientName": "PN", "StudyDate": "DA", "PatientBirthDate": "DA"}
    windowed = {"WindowCenter": "40", "WindowWidth": "80", "RescaleSlope": "1", "RescaleIntercept": "0"}
    plain = file(dataset(ramp()))
    files = {"TransferSyntaxUID": plain.replace(b"1.2.840.10008.1.2.1\0", secret + b"1.31")}
    for keyword in TEXTS.split():
        files[keyword] = file(planted(dataset(ramp(), **windowed), keyword, vrs.get(keyword, "CS"), secret))
    for keyword in NUMBERS.split():
        files[keyword] = file(planted(dataset(ramp()), keyword, "US", secret))
    item = planted(planted(Dataset(), "LUTDescriptor", "US", secret), "LUTData", "OW", secret)
    files["VOILUTSequence"] = file(dataset(ramp(), VOILUTSequence=[item]))
    files["ModalityLUTSequence"] = file(dataset(ramp(), ModalityLUTSequence=[item]))
    for name, content in several().items():
        place = content.rindex(b"\xe0\x7f\x10\x00") if name != "deflated" else len(content) - 40
        files[f"pixels of {name}"] = content[: place + 20] + secret * 4 + content[place + 84 :]
    return files


@pytest.mark.parametrize(
    ("place", "content"), _with_secrets().items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_nothing_of_a_patient_comes_out(
    place: str, content: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for colour in (False, True):
            try:
                images_to_pixels([content], 32, modalities=ANY.modalities, colour=colour, body_parts=("CHEST",))
            except Rejected as rejected:
                told += _whole(rejected)
    out, err = capfd.readouterr()
    assert (warned, caplog.records, out, err) == ([], [], "", "")
    for part in (SECRET, "DOE", "JANE", "1970", "SECRET42"):
        assert part not in told, place


def _whole(error: BaseException | None) -> str:
    """What a traceback of it, of its cause and of its context would say."""
    if error is None:
        return ""
    return f"{error!r} {error} {error.args} {_whole(error.__cause__)} {_whole(error.__context__)}"


def test_the_loggers_are_left_as_they_were() -> None:
    logger = logging.getLogger("pydicom")
    logger.setLevel(logging.INFO)
    _refused(b"DICM" + bytes(99))
    assert logger.level == logging.INFO
    logger.setLevel(logging.WARNING)


def test_changed_and_cut_files_are_refused_or_read_never_worse(capfd: pytest.CaptureFixture[str]) -> None:
    answered, refused = 0, []
    sources = list(several().items())
    for seed in range(1600):
        name, source = sources[seed % len(sources)]
        content = _changed(source, np.random.default_rng(seed))
        if not is_dicom(content):
            continue
        try:
            image = dicom_to_image(content, Accepts(ANY.modalities, "colour" in name))
        except Rejected as rejected:
            refused.append(rejected)
        else:
            answered += 1
            assert image.mode in ("L", "RGB")
    assert min(answered, len(refused)) > 100
    assert not any(rejected.__cause__ or rejected.__context__ for rejected in refused)
    assert capfd.readouterr() == ("", "")


def _changed(source: bytes, random: np.random.Generator) -> bytes:
    content = bytearray(source)
    if random.random() < 0.2:
        return bytes(content[: random.integers(132, len(content))])
    pixels = source.rfind(b"\xe0\x7f\x10\x00")
    begin, end = ((132, len(content)), (132, min(900, len(content))), (max(pixels, 132), len(content)))[
        random.integers(3)
    ]
    for place in random.integers(begin, end, random.choice([1, 2, 8, 32])):
        content[place] = random.integers(256)
    return bytes(content)
