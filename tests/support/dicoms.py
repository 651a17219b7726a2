"""DICOM files that tests write themselves: sound ones by pydicom, and values that it would not write."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from preprocess.dicom import Accepts

XRAY = Accepts(("CR", "DX", "RG"), False, ("CHEST", "THORAX", "LUNG"), ("AP", "PA"))
CT = Accepts(("CT",), False, ("HEAD", "BRAIN", "SKULL", "HEADNECK"), window=(40.0, 80.0))
MR = Accepts(("MR",), False, ("HEAD", "BRAIN", "SKULL", "HEADNECK"))
SKIN = Accepts(("DMS", "XC", "OT"), True)


def dataset(pixels: np.ndarray, **attributes) -> Dataset:
    """[rows, columns(, 3)] of 8 or 16 bits; a chest film or a photograph unless told otherwise."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.7"), UID("1.2.3.4")
    data.PatientName, data.PatientID, data.PatientBirthDate = "DOE^JANE", "SECRET42", "19700131"
    colour = pixels.ndim == 3
    data.Modality, data.PhotometricInterpretation = ("XC", "RGB") if colour else ("CR", "MONOCHROME2")
    data.SamplesPerPixel = 3 if colour else 1
    if colour:
        data.PlanarConfiguration = 0
    data.Rows, data.Columns = pixels.shape[:2]
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    data["PixelData"].VR = "OW" if data.BitsAllocated > 8 else "OB"
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    data.HighBit = attributes.get("HighBit", data.BitsStored - 1)
    return data


def file(data: Dataset, syntax: UID = ExplicitVRLittleEndian, frame: bytes = b"") -> bytes:
    """`frame` if there is one; else the pixels: encoded for RLE and JPEG 2000, as JPEG with the quality of 95."""
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if frame:
        data.PixelData = encapsulate([frame])
        data["PixelData"].is_undefined_length = True
    elif syntax in (RLELossless, JPEG2000Lossless):
        data.compress(syntax, generate_instance_uid=False)
    elif syntax == JPEGBaseline8Bit:
        data.PixelData = encapsulate([jpeg(data)])
        data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is planted
        data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def jpeg(data: Dataset) -> bytes:
    shape = (data.Rows, data.Columns, 3)[: 3 if data.SamplesPerPixel == 3 else 2]
    buffer = io.BytesIO()
    Image.fromarray(np.frombuffer(data.PixelData, np.uint8).reshape(shape)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def dicom(pixels: np.ndarray, syntax: UID = ExplicitVRLittleEndian, **attributes) -> bytes:
    return file(dataset(pixels, **attributes), syntax)


def planted(data: Dataset, keyword: str, vr: str, value: bytes) -> Dataset:
    """Put bytes under this keyword, whatever they are; uncompressed files alone keep them as they are."""
    data.set_original_encoding(False, True, default_encoding)  # or the writer would convert them
    tag = Tag(keyword)
    data[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return data


def ramp(highest: int = 255, side: int = 64, dtype: type = np.uint8) -> np.ndarray:
    """[side, side], from 0 to highest."""
    return np.linspace(0, highest, side * side).astype(dtype).reshape(side, side)


def several() -> dict[str, bytes]:
    """One file of each form that can be written here."""
    colour = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    grey = ramp(4095, 64, np.uint16)
    twelve = {"BitsStored": 12, "WindowCenter": "2048", "WindowWidth": "4096"}
    return {
        "explicit": dicom(grey, **twelve),
        "deflated": dicom(grey, DeflatedExplicitVRLittleEndian, **twelve),
        "rle": dicom(grey, RLELossless, **twelve),
        "rle_colour": dicom(colour, RLELossless),
        "j2k": dicom(grey, JPEG2000Lossless, **twelve),
        "j2k_colour": dicom(colour, JPEG2000Lossless),
        "jpeg": dicom(ramp(), JPEGBaseline8Bit),
        "jpeg_colour": dicom(colour, JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422"),
    }
