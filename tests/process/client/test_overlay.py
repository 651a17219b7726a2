"""Heat maps over pictures of a real server, written by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.samples import picture
from medserve.cli import main
from tests.support.dicoms import dataset, file
from tests.support.samples import SampleData


def _written(path: Path) -> Image.Image:
    image = Image.open(path)
    image.load()
    assert np.ptp(np.asarray(image)) > 100
    return image


def test_overlays_of_a_png_and_a_dicom_file(triton, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png, dicom, out = tmp_path / "film.png", tmp_path / "film.dcm", tmp_path / "out"
    png.write_bytes(picture(1))
    dicom.write_bytes(file(dataset(np.random.default_rng(0).integers(0, 255, (300, 200), np.uint8))))
    for given in (png, dicom):
        command = ["predict", "pneumonia", str(given), "--heatmap", str(out), "--json", "--url", triton.grpc_url]
        assert main(command) == 0, capsys.readouterr().err
        (written,) = out.iterdir()
        assert _written(written).height > 448
        written.unlink()
        assert json.loads(capsys.readouterr().out)["model"] == "pneumonia"


def test_an_overlay_for_each_picture_of_the_fusion(triton, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ct, mri, out = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out"
    ct.write_bytes(picture(2))
    mri.write_bytes(picture(4))
    base = ["--heatmap", str(out), "--json", "--url", triton.http_url]
    for sent, modalities in (([f"mri={mri}", f"ct={ct}"], ["ct", "mri"]), ([f"mri={mri}"], ["mri"])):
        assert main(["predict", "brain_fusion", *sent, *base]) == 0
        assert sorted(path.stem.rsplit("-", 1)[1] for path in out.iterdir()) == modalities
        assert json.loads(capsys.readouterr().out)["modalities"] == modalities
        for path in out.iterdir():
            _written(path)
            path.unlink()


def test_a_real_film(triton, sample_data: SampleData, tmp_path: Path) -> None:
    film = sample_data.folder / "data" / "dicom" / "cxr_cr_jpeg_baseline.dcm"
    out = tmp_path / "out"
    assert main(["predict", "chest_xray", str(film), "--heatmap", str(out), "--url", triton.grpc_url]) == 0
    (written,) = out.iterdir()
    _written(written)
