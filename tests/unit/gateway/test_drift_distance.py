"""Distances against scipy's, on distributions that are awkward, and what chance allows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from gateway.drift import distance
from gateway.drift.reference import LEVELS, Distribution, Reference
from tests.support.drift_statistics import quantiles

RANDOM = np.random.default_rng(8)
SAMPLES = {
    "normal": RANDOM.normal(100, 20, 400),
    "long tail": RANDOM.lognormal(0, 2, 400),
    "counts": RANDOM.poisson(2, 400).astype(float),
    "mostly zero": np.where(RANDOM.random(400) < 0.9, 0.0, RANDOM.random(400)),
    "two values": RANDOM.choice([512.0, 1024.0], 400),
    "constant": np.full(400, 1024.0),
    "tiny": RANDOM.normal(0, 1e-7, 400),
    "negative": RANDOM.normal(-5000, 1, 400),
}


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Whichever tests ran before."""
    RANDOM.bit_generator.state = np.random.default_rng(9).bit_generator.state


def of(values: np.ndarray) -> Distribution:
    return Distribution(np.array(quantiles(values)))


PAIRS = [(reference, window) for reference in SAMPLES for window in SAMPLES]
PAIRS.remove(("mostly zero", "tiny"))  # a ten-millionth is zero, where others reach 1


@pytest.mark.parametrize(("reference", "window"), PAIRS)
def test_ks_is_scipys(reference: str, window: str):
    """But for what lies between two of the 101 quantiles."""
    values = SAMPLES[window][:200]
    expected = ks_2samp(SAMPLES[reference], values, method="asymp").statistic
    assert distance.ks(values, of(SAMPLES[reference])) == pytest.approx(expected, abs=0.025)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_distribution_is_one(name: str):
    found, values = of(SAMPLES[name]), SAMPLES[name]
    assert found.shares.sum() == pytest.approx(1)
    assert (found.shares >= 0).all()
    assert len(found.cuts) == len(found.shares) - 1
    assert (found.below(values) <= found.up_to(values)).all()
    assert (np.diff(found.up_to(np.sort(values))) >= 0).all()
    assert found.counts(values).sum() == len(values)
    assert found.counts(values) / len(values) == pytest.approx(found.shares, abs=0.03)


def test_a_value_that_many_share_is_a_bin_of_its_own():
    found = of(SAMPLES["constant"])
    assert found.shares == pytest.approx([0, 1, 0])
    assert list(found.counts(np.array([1023.0, 1024.0, 1025.0, 1025.0]))) == [1, 1, 2]


def test_float32_of_the_same_numbers_is_no_drift():
    """A server tells float32, a reference was written in decimals."""
    values = np.array([20.23, 0.1, 131.93, 4.7] * 50)
    written = Distribution(np.array([float(f"{value:.7g}") for value in quantiles(values)]))
    found = distance.of_values(values.astype(np.float32).astype(float), 200, written, 200, 0.001)
    assert found.ks is not None
    assert found.ks < 0.02
    assert found.psi < 0.02


def test_psi_is_its_formula():
    expected, found = np.array([0.5, 0.3, 0.2]), np.array([20000, 30000, 50000])
    shares = found / found.sum()
    formula = float(((shares - expected) * np.log(shares / expected)).sum())
    assert distance.of_shares(expected, found, 100_000, 100_000, 0.001).psi == pytest.approx(formula, rel=1e-3)


def test_psi_of_an_empty_and_of_an_unseen_bin_is_finite():
    found = distance.of_shares(np.array([1.0, 0.0, 0.0]), np.array([0, 0, 50]), 50, 20, 0.001)
    assert math.isfinite(found.psi)
    assert found.score > 1


@pytest.mark.parametrize(("items", "size"), [(20, 30), (80, 60), (400, 200), (5000, 200)])
@pytest.mark.parametrize("name", ["normal", "counts", "mostly zero"])
def test_chance_exceeds_seldom(name: str, items: int, size: int):
    """Of 1,000 windows without drift, at a chance of 1 %: 10 are expected, and ties make it fewer.

    At a chance of 4 % this would pass in one run of 150.
    """
    draw = {
        "normal": lambda n: RANDOM.normal(0, 1, n),
        "counts": lambda n: RANDOM.poisson(2, n).astype(float),
        "mostly zero": lambda n: np.where(RANDOM.random(n) < 0.9, 0.0, RANDOM.random(n)),
    }[name]
    ks = psi = 0
    for _ in range(100):
        reference = of(draw(items))
        for _ in range(10):
            found = distance.of_values(draw(size), size, reference, items, 0.01)
            ks += found.ks > found.ks_chance
            psi += found.psi > found.psi_chance
    assert ks <= 25
    assert psi <= 25


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"items": 0}, "items"),
        ({"items": True}, "items"),
        ({"items": "20"}, "items"),
        ({}, "items"),
        ({"items": 20, "statistics": [1]}, "statistics: expected an object"),
        ({"items": 20, "statistics": {"width": [1.0] * 100}}, "statistics.width: expected 101"),
        ({"items": 20, "statistics": {"width": [*([1.0] * 100), math.nan]}}, "statistics.width: expected 101"),
        ({"items": 20, "statistics": {"width": [None] * 101}}, "statistics.width: expected 101"),
        ({"items": 20, "statistics": {"width": "x" * 101}}, "statistics.width: expected 101"),
        ({"items": 20, "figures": {"confidence": [*LEVELS[::-1]]}}, "figures.confidence: expected quantiles that rise"),
        ({"items": 20, "labels": {"normal": 0.5}}, "labels: expected shares that sum to 1"),
        ({"items": 20, "labels": {"normal": "all"}}, "labels: expected shares"),
        ({"items": 20, "labels": {"normal": 2.0, "other": -1.0}}, "labels: expected shares"),
    ],
)
def test_a_broken_reference_is_refused_in_a_sentence(broken: dict, said: str):
    with pytest.raises(ValueError, match=said):
        Reference.read(broken)
