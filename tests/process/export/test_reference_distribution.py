"""What is written of real items, and that nothing is of generated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.artefact import folder_of
from export.models import all_specs
from export.pictures import Folder, gather
from export.reference_distribution import reference_distribution
from report.card import FILENAME, Card
from tests.support.samples import SampleData

SPEC = next(spec for spec in all_specs().values() if len(spec.labels) == 4)


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


def _answers(count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(len(SPEC.labels)), count).astype(np.float32)
    return {"probabilities": probabilities, "uncertainty": random.random((count, 1), np.float32)}


def test_generated_items_are_no_reference() -> None:
    compared, _ = gather(SPEC, None)
    assert reference_distribution(SPEC, compared, _answers(len(compared))) is None


def test_of_real_films(sample_data: SampleData) -> None:
    compared, _ = gather(SPEC, Folder(sample_data.folder / "data" / "cxr", {}))
    answers = _answers(len(compared))
    found = reference_distribution(SPEC, compared, answers)
    assert found.items == len(compared)
    assert set(found.statistics) == set(SPEC.step.statistics)
    place = SPEC.step.statistics.index("brightness")
    assert found.statistics["brightness"][50] == pytest.approx(np.median(compared.statistics[:, place]), rel=1e-5)
    confidences = answers["probabilities"].max(axis=1)
    assert (found.figures["confidence"][0], found.figures["confidence"][-1]) == pytest.approx(
        (confidences.min(), confidences.max()), rel=1e-5
    )
    assert sum(found.labels.values()) == pytest.approx(1)
    assert all(len(values) == 101 for values in (*found.statistics.values(), *found.figures.values()))


def test_of_brains_with_both_pictures_or_one(sample_data: SampleData, tmp_path: Path) -> None:
    spec = all_specs()["brain_fusion"]
    for modality in ("ct", "mri"):
        (tmp_path / modality).mkdir()
        for place, file in enumerate(sample_data.files(f"brain_{modality}")[: 12 if modality == "ct" else 9]):
            (tmp_path / modality / f"{place}{file.path.suffix}").symlink_to(file.path)
    compared, _ = gather(spec, Folder(tmp_path, {}))
    answers = {"probabilities": np.full((len(compared), 3), 1 / 3), "uncertainty": np.ones((len(compared), 1))}
    found = reference_distribution(spec, compared, answers)
    assert set(found.statistics) == set(spec.step.statistics)
    assert all(len(values) == 101 for values in found.statistics.values())
    mri = compared.statistics[:, spec.step.statistics.index("mri_brightness")]
    assert 0 < np.isnan(mri).sum() < len(mri)
    assert found.statistics["mri_brightness"][50] == pytest.approx(np.nanmedian(mri), rel=1e-5)


def test_shipped_weights_bring_theirs(repository: Path) -> None:
    cards = {name: Card.read(folder_of(all_specs()[name], repository) / FILENAME) for name in ("solubility", SPEC.name)}
    assert cards["solubility"].compared.synthetic
    assert cards["solubility"].reference.items == 1128
    assert set(cards["solubility"].reference.statistics) == set(all_specs()["solubility"].step.statistics)
    assert cards[SPEC.name].reference is None
