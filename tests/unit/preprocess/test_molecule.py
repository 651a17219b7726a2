"""SMILES → padded graphs."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.molecule import ATOM_FEATURES, BUCKETS, MAX_ATOMS, molecules_to_graphs
from preprocess.rejection import Reason, Rejected


def test_ethanol() -> None:
    graph = molecules_to_graphs([b"CCO"])
    assert graph["atoms"].shape == (1, 32, 15)
    assert len(ATOM_FEATURES) == 15
    assert graph["mask"][0].tolist() == [1, 1, 1] + [0] * 29
    assert np.argwhere(graph["bonds"][0]).tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    carbon, oxygen = graph["atoms"][0, 0], graph["atoms"][0, 2]
    assert carbon.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25, 0, 0.75, 0, 0]
    assert oxygen.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0.25, 0, 0.25, 0, 0]


def test_charge_aromaticity_and_unknown_elements() -> None:
    features = dict(zip(ATOM_FEATURES, molecules_to_graphs([b"[Na+]"])["atoms"][0, 0], strict=True))
    assert features["is another element"] == 1
    assert features["formal charge"] == 1
    benzene = molecules_to_graphs([b"c1ccccc1"])["atoms"][0, :6]
    assert (benzene[:, -2:] == 1).all()


@pytest.mark.parametrize("count", [1, 32, 33, 64, 65, 128, 129, 256])
def test_the_smallest_bucket_that_holds_the_molecule(count: int) -> None:
    graph = molecules_to_graphs([b"C" * count])
    size = graph["atoms"].shape[1]
    assert size == min(bucket for bucket in BUCKETS if bucket >= count)
    assert graph["bonds"].shape == (1, size, size)
    assert graph["mask"].sum() == count


def test_a_batch_shares_one_size() -> None:
    graph = molecules_to_graphs([b"C", b"C" * 40])
    assert graph["atoms"].shape == (2, 64, 15)
    assert graph["mask"].sum(1).tolist() == [1, 40]


def test_blanks_around_and_cx_extension_are_ignored() -> None:
    plain = molecules_to_graphs([b"CCO"])
    for written in (b" CCO \n", b"CCO |$;;OH$|"):
        assert all(np.array_equal(molecules_to_graphs([written])[name], plain[name]) for name in plain)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("", Reason.EMPTY),
        (" \t\n", Reason.EMPTY),
        ("CCO ethanol", Reason.NOT_SMILES),
        ("C🧪", Reason.NOT_SMILES),
        ("CＣ", Reason.NOT_SMILES),
        ("ССО", Reason.NOT_SMILES),
        ("C\x00C", Reason.NOT_SMILES),
        ("[C,N]", Reason.NOT_SMILES),
        ("CCO>>CC=O", Reason.NOT_SMILES),
        ("C(C", Reason.INVALID_MOLECULE),
        ("aspirin", Reason.INVALID_MOLECULE),
        ("C" * (MAX_ATOMS + 1), Reason.TOO_MANY_ATOMS),
        ("C" * 10000, Reason.TOO_MANY_BYTES),
        ("C(" * 5000, Reason.TOO_MANY_BYTES),
    ],
)
def test_refused_with_a_reason(sent: str, reason: Reason, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Rejected) as caught:
        molecules_to_graphs([sent.encode()])
    assert caught.value.reason is reason
    assert not sent.strip() or sent not in str(caught.value)
    assert capfd.readouterr().err == ""  # RDKit would print the compound


def test_chemistry_is_explained() -> None:
    with pytest.raises(Rejected, match="valence") as caught:
        molecules_to_graphs([b"C(C)(C)(C)(C)C"])
    assert caught.value.reason is Reason.INVALID_MOLECULE
