"""DICOM files against the live server: answered or refused, and nothing of the patient anywhere."""

from __future__ import annotations

import base64
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from export.samples import picture
from tests.support.dicoms import dataset, file, planted
from tests.support.live import Answer, Live
from tests.support.samples import SampleData

PLANTED = ("DOE^", "PLANTED", "19170704", "ACCESSION77", "Sunnyvale General", "PHYSICIAN^WHO")
IDENTITY = {
    "PatientName": "DOE^PLANTED",
    "PatientID": "PLANTED42",
    "PatientBirthDate": "19170704",
    "StudyDate": "19170704",
    "AccessionNumber": "ACCESSION77",
    "InstitutionName": "Sunnyvale General",
    "ReferringPhysicianName": "PHYSICIAN^WHO",
    "StudyDescription": "PLANTED",
    "SeriesDescription": "PLANTED",
    "ImageComments": "PLANTED",
}
# What the files' notes let one expect, by the model that is for them.
FOR_MODEL = {"CT": "brain_ct", "MR": "brain_mri", "CR": "chest_xray", "OT": "skin_lesion", "US": "skin_lesion"}
REFUSED = {
    "MR_truncated.dcm": "corrupt_image",
    "OBXXXX1A_rle.dcm": "wrong_modality",
    "RG3_J2KR.dcm": "wrong_body_part",  # a leg
    "emri_small_RLE.dcm": "multi_frame",
    "examples_jpeg2k.dcm": "wrong_modality",
    "examples_palette.dcm": "wrong_modality",
    "explicit_VR-UN.dcm": "wrong_body_part",  # an abdomen
    "image_dfl.dcm": "wrong_photometric",  # grey
    "meta_missing_tsyntax.dcm": "wrong_modality",
    "no_meta.dcm": "not_an_image",
    "reportsi.dcm": "no_pixels",
}


def _code(answer: Answer) -> str:
    if answer.status == 200:
        return ""
    assert answer.status == 400, answer.body
    return re.search(rb"\[([a-z_]+)\] item 0: ", answer.body)[1].decode()


def test_every_real_file_is_answered_or_refused_as_its_note_says(triton: Live, sample_data: SampleData) -> None:
    files = sample_data.files("dicom")
    assert len(files) == 23
    for sample in files:
        model = FOR_MODEL.get(sample.label, "chest_xray")
        for answer in (
            triton.infer_raw(model, sample.path.read_bytes()),
            triton.generate(model, image=base64.b64encode(sample.path.read_bytes()).decode()),
        ):
            print(f"{sample.path.name:32} {sample.label:5} {model:12} {_code(answer) or 'answered'}")
            assert _code(answer) == REFUSED.get(sample.path.name, ""), sample.path.name
    assert triton.request("GET", "/v2/health/ready").status == 200


def planted_file(model: str, **attributes: str) -> bytes:
    return file(_identified(model, **attributes), ExplicitVRLittleEndian)


def _identified(model: str, **attributes: str) -> Dataset:
    pixels = np.random.default_rng(1).integers(0, 4000, (64, 64)).astype(np.uint16)
    modality = {"chest_xray": "CR", "brain_ct": "CT", "brain_mri": "MR"}[model]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom knows that a name is no modality
        return dataset(pixels, **(IDENTITY | {"Modality": modality} | attributes))


def test_nothing_of_the_patient_leaves(triton: Live, tmp_path: Path) -> None:
    """Planted in every field that a person or a scanner fills in, also where only terms of DICOM belong."""
    said: list[bytes] = []
    for model in ("chest_xray", "brain_ct", "brain_mri"):
        whole = planted_file(model)
        said.append(_ask(triton, model, whole, 200))
        said.append(_ask(triton, model, whole[:-500], 400))
        said.append(_ask(triton, model, whole[:-500].replace(b"OW", b"DOE^"[:2]), 400))
        said += [
            _ask(triton, model, planted_file(model, **{keyword: "DOE^PLANTED"}), None)
            for keyword in ("Modality", "BodyPartExamined", "ViewPosition", "PhotometricInterpretation")
        ]
        said.append(_ask(triton, model, planted_file(model, Modality="US"), 400))
        said.append(_ask(triton, model, planted_file(model, NumberOfFrames="19170704"), 400))
        name_for_number = planted(_identified(model, WindowWidth="99"), "WindowCenter", "DS", b"PLANTED42 ")
        said.append(_ask(triton, model, file(name_for_number), 400))
    rle = file(dataset(np.zeros((40, 40), np.uint8), **IDENTITY), RLELossless)
    said.append(_ask(triton, "chest_xray", rle[:-20], 400))
    said.append(_ask(triton, "chest_xray", b"DOE^PLANTED PLANTED42 19170704 is no picture", 400))
    said.append(triton.generate("solubility", smiles="DOE^PLANTED").body)
    said.append(triton.generate("describe", model="DOE^PLANTED").body)
    said += [triton.request("GET", path).body for path in ("/v2/models/stats", "/v2/health/ready")]
    said.append(_metrics(triton))
    said.append(triton.text().encode())
    assert len(said) > 30
    for name in PLANTED:
        assert not any(name.encode().lower() in text.lower() for text in said), name


def _ask(triton: Live, model: str, content: bytes, status: int | None) -> bytes:
    raw = triton.infer_raw(model, content)
    text = triton.generate(model, image=base64.b64encode(content).decode())
    assert status in (None, raw.status)
    assert raw.status == text.status
    return raw.body + b"".join(f"{name}: {value}".encode() for name, value in raw.headers.items()) + text.body


def _metrics(triton: Live) -> bytes:
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{triton.metrics}/metrics") as answer:
        return answer.read()


def test_the_command_line_says_nothing_of_the_patient_but_the_name_it_was_given(
    triton: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from medserve.cli import main

    named = tmp_path / "DOE_PLANTED.dcm"
    named.write_bytes(planted_file("chest_xray"))
    assert main(["predict", "chest_xray", str(named), "--json", "--url", triton.grpc_url]) == 0
    printed = capsys.readouterr()
    said = (printed.out + printed.err).replace(str(named), "")
    assert not any(name in said for name in PLANTED)
    assert "DOE_PLANTED" not in triton.text()


def test_dicom_and_png_of_one_picture_agree(triton: Live) -> None:
    """Eight-bit grey without a window: the very same pixels either way."""
    import io

    from PIL import Image

    grey = Image.open(io.BytesIO(picture(3))).convert("L")
    png = io.BytesIO()
    grey.save(png, "PNG")
    one = triton.generate("chest_xray", image=base64.b64encode(png.getvalue()).decode()).json()
    dicom = file(dataset(np.asarray(grey)))
    other = triton.generate("chest_xray", image=base64.b64encode(dicom).decode()).json()
    assert one["probabilities"] == other["probabilities"]
