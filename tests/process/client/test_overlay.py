"""Heat maps over pictures, and the command line that writes them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.samples import picture
from medserve.cli import main
from medserve.overlay import ALPHA, colours, opened, overlay
from tests.support.dicoms import dataset, file
from tests.support.samples import SampleData


def test_colours_run_from_blue_to_red() -> None:
    low, middle, high = colours(np.float32([0, 0.5, 1])).astype(int)
    assert low[2] > low[0]
    assert middle[1] > middle[2]
    assert high[0] > high[2]
    assert (colours(np.float32([-3, 7])) == colours(np.float32([0, 1]))).all()


def test_the_map_is_enlarged_bilinearly_and_blended() -> None:
    grey = Image.new("L", (640, 480), 100)
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[3, 3] = 1
    drawn = np.asarray(overlay(grey, heatmap))[:480, :640].astype(float)
    enlarged = np.asarray(Image.fromarray(heatmap).resize((640, 480), Image.Resampling.BILINEAR))
    assert np.abs(drawn - ((1 - ALPHA) * 100 + ALPHA * colours(enlarged))).max() <= 1
    assert ALPHA == 0.4


@pytest.mark.parametrize("size", [(40, 30), (640, 480), (5000, 100), (33, 4000)])
def test_any_shape_of_picture(size: tuple[int, int]) -> None:
    drawn = overlay(Image.new("RGB", size), np.ones((64, 64), np.float32), "melanoma 0.9")
    assert max(drawn.size) <= 2600
    assert drawn.mode == "RGB"


def test_what_pillow_cannot_show_is_left_to_the_server() -> None:
    sixteen_bit = io.BytesIO()
    Image.fromarray(np.full((40, 40), 3000, np.uint16)).save(sixteen_bit, "PNG")
    assert opened(sixteen_bit.getvalue()) is None
    assert opened(file(dataset(np.zeros((40, 40), np.uint8)))) is None
    assert opened(picture(1)) is not None


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


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["brain_fusion", "a.png"], 2, "expected ct=FILE mri=FILE"),
        (["brain_fusion", "ct=a", "ct=b"], 2, "once"),
        (["brain_fusion", "pet=a"], 2, "expected ct=FILE mri=FILE"),
        (["brain_fusion", "ct=gone.png"], 1, "brain_fusion.inputs.ct: cannot be read"),
        (["pneumonia", "gone.png"], 1, "pneumonia.inputs.image: cannot be read"),
        (["solubility", "CCO", "--heatmap", "x"], 2, "expected a model of pictures"),
        (["pneumonia", "a.png", "--heatmap", "README.md"], 2, "README.md"),
        (["pneumonai", "a"], 1, "expected one of brain_ct"),
    ],
)
def test_the_command_line_refuses_with_a_sentence(
    triton, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    assert main(["predict", *arguments, "--url", triton.grpc_url]) == status
    assert words in capsys.readouterr().err


def test_a_real_film(triton, sample_data: SampleData, tmp_path: Path) -> None:
    film = sample_data.folder / "data" / "dicom" / "cxr_cr_jpeg_baseline.dcm"
    out = tmp_path / "out"
    assert main(["predict", "chest_xray", str(film), "--heatmap", str(out), "--url", triton.grpc_url]) == 0
    (written,) = out.iterdir()
    _written(written)
