"""DICOM → pictures: numbers by hand from PS3.3, every real file, and what is not for a model."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from preprocess.dicom import Accepts, dicom_to_image
from preprocess.dicom.file import is_dicom
from preprocess.image import images_to_pixels
from preprocess.rejection import Reason, Rejected
from tests.support import codestreams
from tests.support.dicoms import CT, MR, SKIN, XRAY, dataset, dicom, file, jpeg, planted, ramp
from tests.support.samples import SampleData

ANY = Accepts(("CR", "CT", "MR"), False)
COLOURS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def _array(content: bytes, accepts: Accepts = ANY) -> np.ndarray:
    return np.asarray(dicom_to_image(content, accepts))


def _refused(content: bytes, accepts: Accepts = ANY) -> Rejected:
    with pytest.raises(Rejected) as caught:
        dicom_to_image(content, accepts)
    return caught.value


def _shades(values: list[int], dtype: type = np.uint16, **attributes) -> list[int]:
    """What becomes of these stored values."""
    pixels = np.resize(np.array(values, dtype), (32, max(32, len(values))))
    pixels[:, : len(values)] = values
    return _array(dicom(pixels, **attributes))[0, : len(values)].tolist()


def _lut(entries: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    item.ModalityLUTType = "US"
    return item


# PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, computed by hand.
@pytest.mark.parametrize(
    ("function", "width", "expected"),
    [
        (None, 51, {0: 0, 74: 0, 75: 3, 100: 130, 124: 252, 125: 255, 4095: 255}),
        ("LINEAR", 51, {0: 0, 74: 0, 75: 3, 100: 130, 124: 252, 125: 255, 4095: 255}),
        ("LINEAR", 1, {98: 0, 99: 0, 100: 255, 101: 255}),
        ("LINEAR_EXACT", 50, {74: 0, 75: 0, 81: 31, 101: 133, 125: 255, 126: 255}),
        ("SIGMOID", 50, {0: 0, 75: 30, 110: 176, 150: 250, 4095: 255}),
    ],
)
def test_windows_by_hand(function: str | None, width: int, expected: dict[int, int]) -> None:
    attributes = {"WindowCenter": "100", "WindowWidth": str(width), "BitsStored": 12}
    if function:
        attributes["VOILUTFunction"] = function
    assert _shades(list(expected), **attributes) == list(expected.values())
    inverted = _shades(list(expected), PhotometricInterpretation="MONOCHROME1", **attributes)
    assert inverted == [255 - shade for shade in expected.values()]


def test_the_first_of_several_windows() -> None:
    both = {"WindowCenter": ["100", "2000"], "WindowWidth": ["51", "4000"]}
    assert _shades([75, 100, 124], **both) == [3, 130, 252]


def test_rescale_comes_before_the_window() -> None:
    # 1100 × 2 − 2100 = 100
    rescaled = {"RescaleSlope": "2", "RescaleIntercept": "-2100", "WindowCenter": "100", "WindowWidth": "51"}
    assert _shades([0, 1087, 1100, 1112, 4095], **rescaled) == [0, 0, 130, 252, 255]


def test_a_negative_slope_turns_the_values_not_the_window() -> None:
    rescaled = {"RescaleSlope": "-1", "RescaleIntercept": "0", "WindowCenter": "-100", "WindowWidth": "51"}
    assert _shades([0, 100, 4095], **rescaled) == [255, 130, 0]


def test_signed_values() -> None:
    assert _shades([-1024, -50, 0, 49, 50], np.int16, WindowCenter="0", WindowWidth="101") == [0, 1, 129, 254, 255]
    assert _shades([-1000, 0, 1000], np.int16) == [0, 128, 255]


def test_modality_lut() -> None:
    modality = {"ModalityLUTSequence": [_lut([0, 99, 100, 200], 10, 16)]}
    window = {"WindowCenter": "100", "WindowWidth": "1"}
    assert _shades([0, 10, 11, 12, 13, 500], **modality, **window) == [0, 0, 0, 255, 255, 255]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_voi_lut_is_scaled_by_its_nominal_bits_and_preferred_to_a_window(syntax: str) -> None:
    lut = {"VOILUTSequence": [_lut([0, 1000, 2000, 3000], 100, 12)]}
    pixels = np.resize(np.array([0, 100, 101, 102, 103, 65535], np.uint16), (36, 36))
    found = _array(dicom(pixels, syntax, **lut, WindowCenter="9", WindowWidth="1"))[0, :6]
    assert found.tolist() == [0, 0, 62, 125, 187, 187]  # of 4095


def test_an_eight_bit_voi_lut_of_many_entries_does_not_wrap_round() -> None:
    lut = {"VOILUTSequence": [_lut([place >> 4 for place in range(4096)], 0, 8)], "BitsStored": 12}
    assert _shades([0, 255, 256, 2048, 4095], **lut) == [0, 15, 16, 128, 255]


def test_a_voi_lut_takes_rescaled_values_at_their_place() -> None:
    lut = {"VOILUTSequence": [_lut([0, 50, 100, 255], -2, 8)], "RescaleSlope": "1", "RescaleIntercept": "-100"}
    assert _shades([0, 98, 99, 100, 101, 65535], **lut) == [0, 0, 50, 100, 255, 255]


def test_a_negative_place_in_an_unsigned_descriptor() -> None:
    """As implicit VR leaves it: the pixels are unsigned, and what the modality step gives is not."""
    lut = {"VOILUTSequence": [_lut([0, 50, 100, 255], 65534, 8)], "RescaleSlope": "1", "RescaleIntercept": "-100"}
    assert _shades([0, 98, 99, 100, 101, 65535], **lut) == [0, 0, 50, 100, 255, 255]


def test_without_a_window_eight_bits_stay_and_others_are_stretched() -> None:
    assert _shades([10, 20, 30], np.uint8) == [10, 20, 30]
    assert _shades([1000, 2000, 3000]) == [0, 128, 255]
    assert _shades([1000, 2000, 3000, 63536], PixelPaddingValue=63536) == [0, 128, 255, 255]
    ranged = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 9}
    assert _shades([0, 5, 9, 1000, 3000], **ranged) == [0, 0, 0, 0, 255]


def test_the_models_window_is_for_hounsfield_units_without_a_window() -> None:
    values = np.resize(np.array([1024 + hu for hu in (-1000, 0, 40, 79, 80, 1000)], np.int16), (36, 36))
    units = {"Modality": "CT", "RescaleSlope": "1", "RescaleIntercept": "-1024"}
    assert _array(dicom(values, **units), CT)[0, :6].tolist() == [0, 0, 129, 255, 255, 255]
    assert _array(dicom(values, **units, WindowCenter="40", WindowWidth="1"), CT)[0, :6].tolist() == [0, 0] + [255] * 4
    for other in ({"RescaleType": "US"}, {"WindowCenter": "", "WindowWidth": "", "RescaleType": "OD"}):
        assert _array(dicom(values, **units, **other), CT)[0, :6].tolist() == [0, 128, 133, 138, 138, 255]
    del units["RescaleSlope"]
    assert _array(dicom(values, **units), CT)[0, :6].tolist() == [0, 128, 133, 138, 138, 255]


@pytest.mark.parametrize("unset", [{"WindowCenter": "0", "WindowWidth": "0"}, {"WindowCenter": "9"}])
def test_a_window_that_is_not_set(unset: dict[str, str]) -> None:
    assert _shades([1000, 2000, 3000], **unset) == [0, 128, 255]


@pytest.mark.parametrize(
    ("centre", "width", "function"),
    [(b"40", b"0.5 ", b""), (b"40", b"-9", b""), (b"40", b"nan ", b""), (b"inf ", b"80", b""), (b"40", b"80", b"LOG ")],
)
def test_a_malformed_window_is_refused(centre: bytes, width: bytes, function: bytes) -> None:
    data = planted(planted(dataset(ramp()), "WindowCenter", "DS", centre), "WindowWidth", "DS", width)
    assert _refused(file(planted(data, "VOILUTFunction", "CS", function))).reason is Reason.CORRUPT_IMAGE


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless]
)
def test_lossless_syntaxes_give_the_same_pixels(syntax: str) -> None:
    window = {"BitsStored": 12, "WindowCenter": "2048", "WindowWidth": "4096"}
    plain = _array(dicom(ramp(4095, 64, np.uint16), **window))
    assert np.array_equal(_array(dicom(ramp(4095, 64, np.uint16), syntax, **window)), plain)
    if syntax != DeflatedExplicitVRLittleEndian:
        assert np.array_equal(_array(dicom(COLOURS, syntax), SKIN), COLOURS)


def test_jpeg_equals_the_jpeg_itself() -> None:
    for pixels, accepts, photometric in ((ramp(), ANY, "MONOCHROME2"), (COLOURS, SKIN, "YBR_FULL_422")):
        data = dataset(pixels)
        itself = np.asarray(Image.open(io.BytesIO(jpeg(data)))).astype(int)
        data.PhotometricInterpretation = photometric
        # Two decoders, and Pillow smooths the halved colours: alike, not equal.
        difference = np.abs(_array(file(data, JPEGBaseline8Bit), accepts) - itself)
        assert difference.max() <= 2 if pixels.ndim == 2 else difference.mean() < 25


@pytest.mark.parametrize(
    ("syntax", "frame", "wanted", "tolerance"),
    [
        (HTJ2KLossless, codestreams.HTJ2K, codestreams.RAMP, 0),
        (JPEGLossless, codestreams.JPEG_LOSSLESS, codestreams.RAMP, 0),
        (JPEGLosslessSV1, codestreams.JPEG_LOSSLESS, codestreams.RAMP, 0),
        (JPEGLSLossless, codestreams.JPEG_LS, codestreams.RAMP, 0),
        (JPEGExtended12Bit, codestreams.JPEG_EXTENDED_12_BIT, codestreams.SLOPE, 1),
    ],
    ids=["htj2k", "jpeg lossless", "jpeg lossless SV1", "jpeg-ls", "jpeg extended"],
)
def test_frames_of_other_encoders(syntax: UID, frame: bytes, wanted: np.ndarray, tolerance: int) -> None:
    data = dataset(wanted, BitsStored=12, WindowCenter="2048", WindowWidth="4096")
    shown = _array(file(data, syntax, frame)).astype(int)
    assert np.abs(shown - wanted / 4095 * 255).max() <= 1 + tolerance
    assert np.ptp(shown) > 200


def test_colour_in_planes_and_as_ybr() -> None:
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1)).tobytes()
    assert np.array_equal(_array(dicom(COLOURS, PlanarConfiguration=1, PixelData=planes), SKIN), COLOURS)
    ybr = np.asarray(Image.fromarray(COLOURS).convert("YCbCr"))
    found = _array(dicom(ybr, PhotometricInterpretation="YBR_FULL"), SKIN)
    assert np.abs(found.astype(int) - COLOURS).max() <= 3  # rounded twice on the way


def test_sixteen_bit_colour_is_scaled_by_its_bits() -> None:
    wide = np.repeat(ramp(1023, 64, np.uint16)[:, :, None], 3, 2)
    found = _array(dicom(wide, BitsStored=10), SKIN)
    assert found[0, 0].tolist() == [0, 0, 0]
    assert found[-1, -1].tolist() == [255, 255, 255]
    assert np.array_equal(found, np.rint(wide / 1023 * 255).astype(np.uint8))


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes(bits: int) -> None:
    levels = np.linspace(0, 2**bits - 1, 4).astype(f"<u{bits // 8}")
    data = dataset(np.resize(np.array([0, 5, 6, 7, 8, 255], np.uint8), (36, 36)), Modality="XC")
    data.PhotometricInterpretation = "PALETTE COLOR"
    for colour, entries in (("Red", levels), ("Green", levels[::-1]), ("Blue", levels[:1].repeat(4))):
        setattr(data, f"{colour}PaletteColorLookupTableDescriptor", [4, 5, bits])
        setattr(data, f"{colour}PaletteColorLookupTableData", entries.tobytes())
    found = _array(file(data), SKIN)[0, :6]
    assert found[:, 0].tolist() == [0, 0, 85, 170, 255, 255]
    assert found[:, 1].tolist() == [255, 255, 170, 85, 0, 0]
    assert not found[:, 2].any()


def test_a_segmented_palette_is_refused() -> None:
    data = dataset(ramp(), Modality="XC", PhotometricInterpretation="PALETTE COLOR")
    data.SegmentedRedPaletteColorLookupTableData = b"\0\0\1\0\0\0"
    assert _refused(file(data), SKIN).reason is Reason.UNSUPPORTED_PIXELS


def _bare(content: bytes) -> bytes:
    """Without preamble and file meta: from (0008,0016) on."""
    return content[content.index(b"\x08\x00\x16\x00") :]


def test_recognised_with_preamble_without_and_with_nothing() -> None:
    whole = dicom(ramp())
    bare = _bare(whole)
    implicit = _bare(dicom(ramp(), ImplicitVRLittleEndian))
    for content in (whole, b"II*\0" + whole[4:], whole[128:], whole[132:], bare, implicit):
        assert is_dicom(content)
        assert np.array_equal(_array(content), ramp())
        assert images_to_pixels([content], 64, modalities=("CR",), colour=False)["pixels"].shape == (1, 3, 64, 64)
    for content in (b"", b"DIC", b"\x08\0\0", b"\x08\0\xff\xff" + bytes(40), b"\x89PNG\r\n\x1a\n" + bytes(200)):
        assert not is_dicom(content)


def test_big_endian() -> None:
    data = dataset(ramp(4095, 64, np.uint16), BitsStored=12)
    plain = _array(file(data))
    data.PixelData = np.frombuffer(data.PixelData, "<u2").byteswap().tobytes()
    swapped = io.BytesIO()
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    data.save_as(swapped, implicit_vr=False, little_endian=False, enforce_file_format=True)
    assert np.array_equal(_array(swapped.getvalue()), plain)


@pytest.mark.parametrize(
    ("attributes", "accepts", "reason", "says"),
    [
        ({"Modality": "CT"}, XRAY, Reason.WRONG_MODALITY, "got CT."),
        ({"Modality": "DOE_JANE"}, XRAY, Reason.WRONG_MODALITY, "got another."),
        ({"Modality": ""}, XRAY, Reason.WRONG_MODALITY, "got none."),
        ({"BodyPartExamined": "KNEE"}, XRAY, Reason.WRONG_BODY_PART, "got KNEE."),
        ({"ViewPosition": "LL"}, XRAY, Reason.WRONG_VIEW, "got LL."),
        ({"Modality": "XC"}, SKIN, Reason.WRONG_PHOTOMETRIC, "got MONOCHROME2."),
        ({"NumberOfFrames": "2"}, XRAY, Reason.MULTI_FRAME, ""),
        ({"Rows": 60000, "Columns": 60000}, XRAY, Reason.TOO_MANY_PIXELS, "60000 × 60000"),
        ({"Rows": 0}, XRAY, Reason.IMAGE_TOO_SMALL, ""),
        ({"Rows": 65}, XRAY, Reason.CORRUPT_IMAGE, ""),
        ({"SamplesPerPixel": 3}, XRAY, Reason.CORRUPT_IMAGE, ""),
        ({"BitsStored": 9}, XRAY, Reason.CORRUPT_IMAGE, ""),
        ({"BitsAllocated": 32, "BitsStored": 32}, XRAY, Reason.UNSUPPORTED_PIXELS, ""),
        ({"BitsStored": 6, "HighBit": 7}, XRAY, Reason.UNSUPPORTED_PIXELS, ""),
        ({"PixelData": b""}, XRAY, Reason.NO_PIXELS, ""),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, XRAY, Reason.NO_CONTRAST, ""),
    ],
)
def test_refused_with_a_reason(attributes: dict, accepts: Accepts, reason: Reason, says: str) -> None:
    rejected = _refused(dicom(ramp(), **attributes), accepts)
    assert rejected.reason is reason
    assert says in rejected.sentence


def test_words_that_dicom_does_not_define_pass() -> None:
    for words in (
        {},
        {"BodyPartExamined": "TORAX_AP", "ViewPosition": "FRONT"},
        {"BodyPartExamined": "", "ViewPosition": ""},
    ):
        assert np.array_equal(_array(dicom(ramp(), **words), XRAY), ramp())


def test_floating_point_and_no_pixels() -> None:
    for keyword in ("FloatPixelData", "DoubleFloatPixelData"):
        data = dataset(ramp())
        del data.PixelData
        setattr(data, keyword, bytes(64 * 64 * 8))
        assert _refused(file(data)).reason is Reason.UNSUPPORTED_PIXELS
    del data.DoubleFloatPixelData
    assert _refused(file(data)).reason is Reason.NO_PIXELS


def test_a_transfer_syntax_is_named_if_it_has_a_name() -> None:
    content = dicom(ramp(), JPEGBaseline8Bit)
    mpeg = content.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.99")
    assert "got another." in _refused(mpeg).sentence
    retired = content.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.55")
    assert "JPEG Full Progression, Non-Hierarchical" in _refused(retired).sentence
    assert _refused(retired).reason is _refused(mpeg).reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX


def test_a_decoder_that_is_not_installed_is_told_by_the_syntax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preprocess.dicom.frame._OTHERWISE", "gdcm")
    rejected = _refused(dicom(ramp(), JPEGBaseline8Bit))
    assert rejected.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX
    assert "got JPEG Baseline (Process 1)." in rejected.sentence


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_syntax_that_is_not_told_is_read_as_it_looks(syntax: str) -> None:
    whole = dicom(ramp(), syntax)
    start = whole.index(b"\x02\0\x10\0UI")
    without = whole[:start] + whole[start + 8 + whole[start + 6] :]
    assert b"\x02\0\x10\0UI" not in without
    assert np.array_equal(_array(without), ramp())


M, P, B, N = Reason.WRONG_MODALITY, Reason.WRONG_PHOTOMETRIC, Reason.WRONG_BODY_PART, Reason.NO_PIXELS
CUT, FRAMES, NOT = Reason.CORRUPT_IMAGE, Reason.MULTI_FRAME, Reason.NOT_AN_IMAGE
# For an X-ray, a CT, an MRI and a skin model; None is an answer.
OUTCOMES = {
    "693_J2KR.dcm": (M, None, M, M),
    "CT_small.dcm": (M, None, M, M),
    "J2K_pixelrep_mismatch.dcm": (M, None, M, M),
    "MR_small.dcm": (M, M, None, M),
    "MR_small_RLE.dcm": (M, M, None, M),
    "MR_small_bigendian.dcm": (M, M, None, M),
    "MR_small_implicit.dcm": (M, M, None, M),
    "MR_small_jp2klossless.dcm": (M, M, None, M),
    "MR_small_jpeg_ls_lossless.dcm": (M, M, None, M),
    "MR_truncated.dcm": (CUT, CUT, CUT, CUT),
    "OBXXXX1A_rle.dcm": (M, M, M, M),
    "RG3_J2KR.dcm": (B, M, M, M),
    "SC_rgb_jpeg_gdcm.dcm": (M, M, M, None),
    "cxr_cr_jpeg_baseline.dcm": (None, M, M, M),
    "cxr_cr_monochrome1_tag.dcm": (None, M, M, M),
    "emri_small_RLE.dcm": (M, M, FRAMES, M),
    "examples_jpeg2k.dcm": (M, M, M, M),
    "examples_palette.dcm": (M, M, M, M),
    "explicit_VR-UN.dcm": (M, B, M, M),
    "image_dfl.dcm": (M, M, M, P),
    "meta_missing_tsyntax.dcm": (M, M, M, M),
    "no_meta.dcm": (NOT, NOT, NOT, NOT),
    "reportsi.dcm": (N, N, N, N),
}


def _outcome(content: bytes, accepts: Accepts) -> Reason | None:
    try:
        pixels = images_to_pixels([content], 224, **vars(accepts))["pixels"]
    except Rejected as rejected:
        return rejected.reason
    assert pixels.shape == (1, 3, 224, 224)
    return None


def test_every_real_file_has_its_outcome(sample_data: SampleData) -> None:
    files = {sample.path.name: sample.path for sample in sample_data.files("dicom")}
    assert files.keys() == OUTCOMES.keys()
    for name, path in files.items():
        content = path.read_bytes()
        assert tuple(_outcome(content, accepts) for accepts in (XRAY, CT, MR, SKIN)) == OUTCOMES[name], name


def test_ultrasound_in_colour_can_be_read_for_a_model_of_ultrasound(sample_data: SampleData) -> None:
    for name in ("OBXXXX1A_rle.dcm", "examples_jpeg2k.dcm", "examples_palette.dcm"):
        image = dicom_to_image((sample_data.folder / "data/dicom" / name).read_bytes(), Accepts(("US",), True))
        assert image.mode == "RGB"
        assert np.ptp(np.asarray(image)) > 200


def test_one_picture_in_six_encodings(sample_data: SampleData) -> None:
    files = [sample for sample in sample_data.files("dicom") if sample.path.name.startswith("MR_small")]
    pictures = [_array(sample.path.read_bytes(), MR) for sample in files]
    assert len(pictures) == 6
    assert all(np.array_equal(picture, pictures[0]) for picture in pictures)


def test_monochrome1_is_the_twin_turned_once(sample_data: SampleData) -> None:
    film, twin = (
        (sample_data.folder / "data/dicom" / f"cxr_cr_{name}.dcm").read_bytes()
        for name in ("jpeg_baseline", "monochrome1_tag")
    )
    assert np.array_equal(_array(twin, XRAY), 255 - _array(film, XRAY))
    first, second = (images_to_pixels([content], 224, **vars(XRAY))["pixels"].astype(int) for content in (film, twin))
    assert np.abs(first + second - 255).max() <= 1


@pytest.mark.parametrize("value", ["ABDOMEN\\PELVIS", "ABDOMEN\\", "CHEST\\ABDOMEN"])
def test_several_values_hide_no_other_body_part(value: str) -> None:
    assert _refused(dicom(ramp(), BodyPartExamined=value), XRAY).reason is Reason.WRONG_BODY_PART
    assert _refused(dicom(ramp(), ViewPosition="LL\\"), XRAY).reason is Reason.WRONG_VIEW
    _array(dicom(ramp(), BodyPartExamined="CHEST\\THORAX", ViewPosition="PA\\AP"), XRAY)


def test_a_few_pixels_far_from_all_others_are_refused_without_a_window() -> None:
    film = ramp(999, 256, np.uint16)
    assert _array(dicom(film, BitsStored=12)).mean() == pytest.approx(127, abs=1)
    film[100:104, 100:104] = 4095  # would bring the mean down to 31
    assert _refused(dicom(film, BitsStored=12)).reason is Reason.UNSUPPORTED_PIXELS
    film[100:140, 100:140] = 4095  # as many as that are a finding, not a mark
    _array(dicom(film, BitsStored=12))
    _array(dicom(film, BitsStored=12, WindowCenter="500", WindowWidth="1000"))
