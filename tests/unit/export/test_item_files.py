"""Which real items a path holds for a model: single pictures, pictures of one brain, a table's molecules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.commands.options import pictures_of
from export.figures import UNLABELLED
from export.item_files import items_at
from export.models import all_specs
from export.pictures import Folder, gather
from export.samples import MOLECULES, picture
from export.sources import sources

CNN, FUSION, SOLUBILITY = (all_specs()[name] for name in ("pneumonia_cnn", "brain_fusion", "solubility"))


@pytest.fixture
def brains(tmp_path: Path) -> Path:
    """Twelve brains: 0–9 with both pictures, of two formats; 10 with a CT alone, 11 with an MRI alone."""
    for modality, seeds in (("ct", range(11)), ("mri", (*range(10), 11))):
        for seed in seeds:
            place = tmp_path / modality / ("healthy" if seed % 2 else "tumour")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{seed}.{'png' if modality == 'ct' else 'PNG'}").write_bytes(picture(seed))
    (tmp_path / "ct" / "README.md").write_text("not a picture")
    return tmp_path


def test_pictures_of_one_brain_have_one_name(brains: Path) -> None:
    items = {item.where.split("/")[-1].split(".")[0]: item for item in items_at(FUSION, brains)}
    assert set(items) == {str(seed) for seed in range(12)}
    for seed in range(12):
        ct, mri = items[str(seed)].read()
        assert ct == (picture(seed) if seed != 11 else b"")
        assert mri == (picture(seed) if seed != 10 else b"")
    assert len({item.sha256 for item in items.values()}) == 12


def test_they_are_compared_with_what_is_left_out(brains: Path) -> None:
    compared, calibrating = gather(FUSION, Folder(brains, {"tumour": "Malignant"}))
    assert len(compared) + len(calibrating) == 12
    present = np.concatenate([each.inputs["mri_present"].ravel() for each in (compared, calibrating)])
    assert sorted(present) == [0.0] + [1.0] * 11
    assert set(compared.labels) <= {FUSION.labels.index("Healthy"), FUSION.labels.index("Malignant")}
    assert not compared.origin.synthetic
    place = FUSION.step.statistics.index("mri_brightness")
    missing = np.concatenate([each.statistics[:, place] for each in (compared, calibrating)])
    assert np.isnan(missing).sum() == 1


def test_pictures_that_cannot_be_told_apart_are_refused(brains: Path) -> None:
    (brains / "ct" / "healthy" / "1.jpeg").write_bytes(picture(1))
    with pytest.raises(ValueError, match=r"one picture of each name, found .*1\.jpeg and .*1\.png"):
        items_at(FUSION, brains)
    with pytest.raises(ValueError, match="expected folders named ct and mri"):
        items_at(FUSION, brains / "ct")


def test_a_table_of_molecules(tmp_path: Path) -> None:
    table = tmp_path / "molecules.csv"
    table.write_text("name,smiles\n" + "".join(f"a name,{smiles}\n" for smiles in (*MOLECULES, MOLECULES[0])), "utf-8")
    compared, calibrating = gather(SOLUBILITY, Folder(table, {}))
    assert len(compared) + len(calibrating) == len(MOLECULES)  # the copy counts once
    assert np.all(compared.labels == UNLABELLED)
    assert compared.origin.source == "molecules.csv"
    table.write_text(table.read_text("utf-8") + "a name,C1CC\n", "utf-8")
    with pytest.raises(ValueError, match=rf"molecules\.csv, line {len(MOLECULES) + 3}: \[invalid_molecule\]"):
        gather(SOLUBILITY, Folder(table, {}))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "molecule,log_s\nC,1\n", r"expected a column smiles, found molecule, log_s"),
        ("a.csv", "", r"expected a column smiles, found none"),
        ("a.csv", "smiles\n", r"expected pictures or rows for solubility in .*a\.csv, found none"),
        ("a.png", "smiles\nC\n", r"expected a table \(\*\.csv\)"),
    ],
)
def test_tables_that_hold_none(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ValueError, match=says):
        items_at(SOLUBILITY, tmp_path / name)
    with pytest.raises(ValueError, match="expected a table"):
        items_at(SOLUBILITY, tmp_path)


def test_a_folder_for_all_is_of_single_pictures(tmp_path: Path) -> None:
    for_all, named = sources("PICTURES", str(tmp_path)), sources("PICTURES", f"brain_fusion={tmp_path}")
    assert pictures_of(CNN, for_all, {}) == Folder(tmp_path, {})
    assert pictures_of(FUSION, for_all, {}) is None
    assert pictures_of(SOLUBILITY, for_all, {}) is None
    assert pictures_of(FUSION, named, {}) == Folder(tmp_path, {})
