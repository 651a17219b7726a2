"""What an input is like, against figures computed another way."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from rdkit import Chem

from preprocess.image import images_to_pixels
from preprocess.molecule import molecules_to_graphs
from preprocess.statistics import OF_A_MOLECULE, OF_A_PICTURE


def _of(image: Image.Image, side: int = 224) -> dict[str, float]:
    file = io.BytesIO()
    image.save(file, "PNG")
    found = images_to_pixels([file.getvalue()], side, modalities=("XC",), colour=True)
    return dict(zip(OF_A_PICTURE, found["statistics"][0].tolist(), strict=True))


@pytest.mark.parametrize("side", [224, 896])
def test_of_noise(side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)
    found = _of(Image.fromarray(pixels), side)
    seen = pixels if side == 224 else np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.NEAREST))
    counts = np.bincount(seen.ravel(), minlength=256) / seen.size
    assert (found["width"], found["height"], found["colour"]) == (side, side, 0)
    assert found["brightness"] == pytest.approx(seen.mean(), abs=1e-3)
    assert found["contrast"] == pytest.approx(seen.std(), abs=1e-3)
    assert found["entropy"] == pytest.approx(-(counts * np.log2(counts)).sum(), abs=1e-4)
    assert abs(found["border"]) < 2


def test_of_a_frame_and_of_colour() -> None:
    frame = np.full((224, 224), 40, np.uint8)
    frame[22:-22, 22:-22] = 240
    assert _of(Image.fromarray(frame))["border"] == pytest.approx(-200)
    red = np.zeros((100, 300, 3), np.uint8)
    red[..., 0] = np.linspace(0, 200, 300)
    found = _of(Image.fromarray(red))
    assert (found["width"], found["height"]) == (300, 100)
    assert found["colour"] == pytest.approx(100, abs=1)


def test_of_a_molecule() -> None:
    found = dict(zip(OF_A_MOLECULE, molecules_to_graphs([b"CC(=O)Oc1ccccc1C(=O)O"])["statistics"][0], strict=True))
    weight = sum(
        atom.GetMass() + atom.GetTotalNumHs() * 1.008 for atom in Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O").GetAtoms()
    )
    assert found["molecular_weight"] == pytest.approx(weight, rel=1e-4)
    assert (found["atoms"], found["h_bond_donors"], found["rings"]) == (13, 1, 1)
    assert found["tpsa"] == pytest.approx(63.6, abs=0.01)  # PubChem, CID 2244
