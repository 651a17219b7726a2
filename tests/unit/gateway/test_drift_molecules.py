"""Real molecules: the table that a reference was made of raises nothing, heavy ones do."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from gateway.drift import Monitor, Observation
from tests.support.drift_statistics import Statistics, quantiles
from tests.support.samples import SampleData

COLUMNS = {
    "molecular_weight": "Molecular Weight",
    "h_bond_donors": "Number of H-Bond Donors",
    "rings": "Number of Rings",
    "tpsa": "Polar Surface Area",
}
PREDICTED = "ESOL predicted log solubility in mols per litre"
Molecule = tuple[Statistics, float]


@pytest.fixture(scope="module")
def molecules(sample_data: SampleData) -> list[Molecule]:
    with (sample_data.folder / "data" / "esol" / "delaney-processed.csv").open(newline="") as table:
        rows = [*csv.DictReader(table)]
    return [({name: float(row[column]) for name, column in COLUMNS.items()}, float(row[PREDICTED])) for row in rows]


def alerted(reference: list[Molecule], stream: list[Molecule], *, requests: int, seed: int) -> int | None:
    """Requests until the alert."""
    random, monitor = np.random.default_rng(seed), Monitor()
    table = {name: quantiles([statistics[name] for statistics, _ in reference]) for name in COLUMNS}
    answers = {"prediction": quantiles([prediction for _, prediction in reference])}
    monitor.refer("m", {"source": "", "items": len(reference), "statistics": table, "figures": answers, "labels": {}})
    for sent in range(1, requests + 1):
        statistics, prediction = stream[random.integers(len(stream))]
        figures = {"prediction": prediction}
        monitor.observe(Observation(model="m", version="1", statistics=statistics, figures=figures, label=""))
        if monitor.alert("m"):
            return sent
    return None


def halves(molecules: list[Molecule], seed: int) -> tuple[list[Molecule], list[Molecule]]:
    order = np.random.default_rng(seed).permutation(len(molecules))
    first, second = np.array_split(order, 2)
    return [molecules[place] for place in first], [molecules[place] for place in second]


def test_the_same_table_raises_nothing(molecules: list[Molecule]):
    found = [alerted(*halves(molecules, seed), requests=600, seed=seed) for seed in range(30)]
    assert sum(sent is not None for sent in found) <= 1, found


def test_heavy_molecules_raise_it_within_200(molecules: list[Molecule]):
    for seed in range(10):
        reference, stream = halves(molecules, seed)
        heavy = [molecule for molecule in stream if molecule[0]["molecular_weight"] > 250]
        assert alerted(reference, heavy, requests=200, seed=seed), seed


def test_thirty_percent_more_without_rings_is_seen_in_time(molecules: list[Molecule]):
    for seed in range(10):
        reference, stream = halves(molecules, seed)
        chains = [molecule for molecule in stream if molecule[0]["rings"] == 0]
        mixed = [*stream, *(chains[place % len(chains)] for place in range(3 * len(stream) // 7))]
        assert alerted(reference, mixed, requests=4000, seed=seed), seed
