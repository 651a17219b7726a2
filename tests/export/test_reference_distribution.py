"""What is written of real items, and that nothing is of generated ones."""

from __future__ import annotations

import numpy as np
import pytest

from export.models import all_specs
from export.pictures import Folder, gather
from export.reference_distribution import reference_distribution
from tests.conftest import SampleData

SPEC = next(spec for spec in all_specs().values() if len(spec.labels) == 4)


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
