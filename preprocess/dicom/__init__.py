"""A DICOM file → the picture that its own attributes say should be seen, if it is one that the model was made for."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from preprocess.dicom.file import open_dicom, silenced
from preprocess.dicom.frame import stored_values
from preprocess.dicom.terms import BODY_PARTS, COLOUR, GREY, MODALITIES, VIEWS, quotable
from preprocess.dicom.tones import colour_to_eight_bits, grey_to_eight_bits, palette_to_eight_bits
from preprocess.rejection import Reason, Rejected


@dataclass(frozen=True)
class Accepts:
    """What a model was made for, in DICOM's defined terms."""

    modalities: tuple[str, ...]
    colour: bool  # RGB, YBR and palettes; else MONOCHROME1 and 2
    body_parts: tuple[str, ...] = ()  # () is any
    views: tuple[str, ...] = ()  # () is any
    window: tuple[float, float] | None = None  # centre and width in HU, for files without one


def dicom_to_image(content: bytes, accepts: Accepts) -> Image.Image:
    """Decode one file.

    Args:
        content: for which `is_dicom` holds.

    Returns:
        mode L or RGB, of Rows × Columns, black is zero.

    Raises:
        Rejected: for whatever reason; no value of the file is in the sentence, in a log, or in the chain of causes.
    """
    with silenced():
        try:
            return _image(content, accepts)
        except Rejected:
            raise
        except Exception as exc:  # pydicom and its decoders fail in their own ways on a hostile file
            failure = type(exc).__name__
    # Outside of the handler: the exception quotes the file, and would travel as this one's context.
    raise Rejected(
        Reason.CORRUPT_IMAGE,
        f"expected a whole DICOM image, got one that is cut short or damaged ({failure}). Send it again.",
    )


def _image(content: bytes, accepts: Accepts) -> Image.Image:
    data = open_dicom(content)
    _check_pixels(data)
    _check_subject(data, accepts)
    _check_photometric(data, accepts)
    _check_frames(data)
    stored = stored_values(data)
    if not accepts.colour:
        return Image.fromarray(grey_to_eight_bits(stored, data, accepts.window))
    convert = palette_to_eight_bits if data.PhotometricInterpretation == "PALETTE COLOR" else colour_to_eight_bits
    return Image.fromarray(convert(stored, data))


def _check_pixels(data: Dataset) -> None:
    if "FloatPixelData" in data or "DoubleFloatPixelData" in data:
        raise Rejected(
            Reason.UNSUPPORTED_PIXELS, "expected pixels of 8 or 16 bits, got floating point. Export it as 16 bit."
        )
    if not len(data.get("PixelData") or b""):
        raise Rejected(
            Reason.NO_PIXELS,
            "expected a DICOM image, got an object without pixels (a report, a plan, a presentation state?)",
        )


def _check_subject(data: Dataset, accepts: Accepts) -> None:
    modality = _term(data, "Modality")
    if modality not in accepts.modalities:
        got = quotable(modality, MODALITIES) if modality else "none"
        raise _wrong(Reason.WRONG_MODALITY, "modality", accepts.modalities, got)
    # Vendors write words of their own here; only one that DICOM defines is sure to say another thing.
    for part in _terms(data, "BodyPartExamined") & BODY_PARTS.difference(accepts.body_parts or BODY_PARTS):
        raise _wrong(Reason.WRONG_BODY_PART, "body part", accepts.body_parts, part)
    for view in _terms(data, "ViewPosition") & VIEWS.difference(accepts.views or VIEWS):
        raise _wrong(Reason.WRONG_VIEW, "view", accepts.views, view)


def _check_photometric(data: Dataset, accepts: Accepts) -> None:
    allowed = COLOUR if accepts.colour else GREY
    photometric = _term(data, "PhotometricInterpretation")
    if photometric not in allowed:
        got = quotable(photometric, COLOUR | GREY) if photometric else "none"
        raise _wrong(Reason.WRONG_PHOTOMETRIC, "photometric interpretation", tuple(sorted(allowed)), got)
    data.PhotometricInterpretation = photometric


def _check_frames(data: Dataset) -> None:
    if int(data.get("NumberOfFrames") or 1) > 1:
        raise Rejected(Reason.MULTI_FRAME, "expected one picture, got several frames. Send the frame that is meant.")


def _term(data: Dataset, keyword: str) -> str:
    """A code string, or "" where there is none."""
    value = data.get(keyword)
    return value.strip().upper() if isinstance(value, str) else ""


def _terms(data: Dataset, keyword: str) -> set[str]:
    """Every code string of an attribute that should have one and may have several."""
    value = data.get(keyword)
    several = [value] if isinstance(value, str) else value if isinstance(value, MultiValue) else []
    return {str(term).strip().upper() for term in several}


def _wrong(reason: Reason, what: str, expected: tuple[str, ...], got: str) -> Rejected:
    return Rejected(reason, f"expected {what} {' or '.join(expected)}, got {got}. Send it to a model for that.")
