"""The training script on a small table, and the weights that it made on the real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from export.digest import EXPORT, sha256_of
from export.nets.gcn import SolubilityEnsemble
from export.training.__main__ import main
from export.training.esol import SMILES, TARGET, Table, TableError, read, targets
from export.training.evaluate import errors, interval_figures
from export.training.interval import fit
from export.training.publish import FIGURES, WEIGHTS
from export.training.reference import reference
from export.training.splits import at_random, by_scaffold, groups, network_view
from export.training.train import Recipe, joined, predictions, train
from tests.support.samples import SampleData

SHIPPED = EXPORT / "weights"
CHAINS = [
    ("C" * length + end, 1.0 - 0.6 * length) for length in range(1, 13) for end in ("O", "N", "Cl", "C(=O)O", "F")
]
CYCLES = ("c1ccccc1", "C1CCCC1", "c1ccncc1", "C1CCCCC1", "C1CCC1", "c1ccoc1", "c1ccsc1", "C1CCNCC1")
RINGS = [(f"{ring}{'C' * length}O", -0.5 * length) for ring in CYCLES for length in (1, 2, 3)]
MIRRORED = [("C[C@H](O)F", 0.1), ("C[C@@H](O)F", 0.3)]
# Branched in other places, further from every end than three bonds.
ALIKE = [("C" * 8 + "C(C)" + "C" * 10, -8.0), ("C" * 9 + "C(C)" + "C" * 9, -8.2)]


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(tmp_path_factory.mktemp("table") / "table.csv", CHAINS + RINGS + MIRRORED + ALIKE)


@pytest.fixture(scope="module")
def table(csv: Path) -> Table:
    return read(csv)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The command sets these for its process; other tests want theirs back."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def _written(path: Path, rows: list[tuple[str, object]], header: str = f"{SMILES},{TARGET}") -> Path:
    path.write_text("\n".join([header, *(f"{smiles},{log_s}" for smiles, log_s in rows)]) + "\n")
    return path


def _parts(table: Table) -> list[list[set[str]]]:
    """What the network sees of each part's molecules, of several splits."""
    together = groups(table.molecules)
    splits = [*(at_random(together, seed) for seed in range(5)), by_scaffold(table.molecules, together)]
    for split in splits:
        assert sorted(split.train + split.validation + split.test) == list(range(len(table.molecules)))
    return [
        [{network_view(table.molecules[row]) for row in part} for part in (s.train, s.validation, s.test)]
        for s in splits
    ]


def test_no_molecule_lies_in_two_parts(table: Table) -> None:
    for train_part, validation, test in _parts(table):
        assert train_part.isdisjoint(validation)
        assert train_part.isdisjoint(test)
        assert validation.isdisjoint(test)


def test_what_the_network_cannot_tell_apart_stays_together(table: Table) -> None:
    last = len(table.molecules) - 1
    together = groups(table.molecules)
    assert [rows for rows in together if len(rows) > 1] == [[last - 3, last - 2], [last - 1, last]]
    assert table.molecules[last].canonical != table.molecules[last - 1].canonical
    torch.manual_seed(0)
    net = SolubilityEnsemble(1, "sum").eval().networks()
    (outputs,) = predictions(net, table.molecules)
    views = [network_view(molecule) for molecule in table.molecules]
    for rows in together:
        assert np.ptp(outputs[rows]) <= 1e-5 * np.abs(outputs[rows]).max()
    assert len(set(views)) == len(together)


def test_scaffolds_of_the_test_part_are_new(table: Table) -> None:
    split = by_scaffold(table.molecules, groups(table.molecules))
    learnt = {table.molecules[row].scaffold for row in split.train}
    assert learnt.isdisjoint(table.molecules[row].scaffold for row in split.test)


@pytest.mark.usefixtures("one_thread")
def test_the_same_seed_gives_the_same_bits(table: Table) -> None:
    recipe = Recipe(epochs=3)
    first, again, other = (train(table.molecules, recipe, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["conv1.lin.weight"], other["conv1.lin.weight"])


@pytest.mark.usefixtures("one_thread")
def test_training_learns(table: Table) -> None:
    net = train(table.molecules, Recipe(epochs=40), 0)
    assert errors(predictions([net], table.molecules)[0], targets(table.molecules))["r2"] > 0.9


@pytest.mark.usefixtures("one_thread")
def test_the_command_writes_the_same_files_twice(csv: Path, tmp_path: Path) -> None:
    for out in ("first", "second"):
        assert main(["--csv", str(csv), "--out", str(tmp_path / out), "--epochs", "1", "--members", "2"]) == 0
    for name in (WEIGHTS, FIGURES):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert sorted(file.name for file in (tmp_path / "first").iterdir()) == sorted((WEIGHTS, FIGURES))
    text = (tmp_path / "first" / FIGURES).read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["data"]["csv_sha256"] == sha256_of(csv)
    _loaded(tmp_path / "first", members=2)


def test_a_table_without_the_column_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = _written(tmp_path / "table.csv", [("CCO", -1)], header="smiles,solubility")
    assert main(["--csv", str(csv), "--out", str(tmp_path / "out")]) == 1
    assert TARGET in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unreadable_rows_are_listed_or_counted(tmp_path: Path) -> None:
    rows = [("CCO", -1), ("C(C)(C)(C)(C)C", 0), ("not a molecule", 0), ("CCN", "high"), ("CCCO", -2), ("", 1)]
    csv = _written(tmp_path / "table.csv", rows)
    with pytest.raises(TableError, match="4 unreadable rows") as refused:
        read(csv)
    assert [f"line {line}:" in str(refused.value) for line in range(2, 8)] == [False, True, True, True, False, True]
    table = read(csv, skip=True)
    assert len(table.molecules) == 2
    assert len(table.skipped) == 4


def test_a_short_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = _written(tmp_path / "table.csv", [("C" * length, -length) for length in range(1, 20)])
    assert main(["--csv", str(csv), "--out", str(tmp_path)]) == 1
    assert "at least 50 rows" in capsys.readouterr().err


@pytest.mark.parametrize("informative", [True, False])
def test_the_interval_covers_what_it_says(informative: bool) -> None:
    generator = np.random.default_rng(3)
    difficulty = generator.uniform(0.1, 1.0, 4000)
    log_s = generator.normal(0, 2, 4000)
    noise = generator.normal(size=(5, 4000)) * (difficulty if informative else 0.3)
    outputs = log_s + noise + generator.normal(size=4000) * (2 * difficulty if informative else 0.5)
    interval = fit(outputs[:, :2000], log_s[:2000])
    figures = interval_figures(outputs[:, 2000:], log_s[2000:], interval)
    assert figures["coverage"] == pytest.approx(0.9, abs=0.03)
    assert interval.a >= 0
    assert interval.b >= 0
    assert (interval.b * 0.3**2 > interval.a) is informative


def test_members_that_agree_get_one_width_for_all() -> None:
    interval = fit(np.zeros((5, 9)), np.arange(9.0))
    assert interval.half_width(np.zeros((5, 3))) == pytest.approx([8.0] * 3)


def _loaded(folder: Path, members: int = 5) -> SolubilityEnsemble:
    state = load_file(folder / WEIGHTS)
    ensemble = SolubilityEnsemble(members, "sum")
    expected = {key: value for key, value in ensemble.state_dict().items() if "num_batches_tracked" not in key}
    assert {key: (value.shape, value.dtype) for key, value in state.items()} == {
        key: (value.shape, torch.float32) for key, value in expected.items()
    }
    ensemble.load_state_dict(state, strict=False)
    return ensemble.eval()


def test_the_shipped_files_belong_together() -> None:
    figures = json.loads((SHIPPED / FIGURES).read_text())
    assert figures["weights_sha256"] == sha256_of(SHIPPED / WEIGHTS)
    assert (SHIPPED / WEIGHTS).stat().st_size <= 2_000_000
    assert sum(parameter.numel() for parameter in _loaded(SHIPPED).parameters()) == 231_045
    over = figures["over_random_splits"]
    assert over["ensemble"]["rmse"]["mean"] <= 0.60
    assert 0.85 <= over["interval"]["coverage"]["mean"] <= 0.95


@pytest.mark.xfail(strict=True, reason="reached 0.913 ± 0.030; why: the model's card and DECISIONS 23")
def test_the_target_of_r2() -> None:
    figures = json.loads((SHIPPED / FIGURES).read_text())
    assert figures["over_random_splits"]["ensemble"]["r2"]["mean"] >= 0.92


def test_the_shipped_figures_are_those_of_the_shipped_weights(sample_data: SampleData) -> None:
    csv = sample_data.folder / "data" / "esol" / "delaney-processed.csv"
    said = json.loads((SHIPPED / FIGURES).read_text())
    assert said["data"]["csv_sha256"] == sha256_of(csv)
    table = read(csv)
    split = at_random(groups(table.molecules), said["shipped"]["random_split"])
    tested = [table.molecules[row] for row in split.test]
    ensemble = _loaded(SHIPPED)
    with torch.no_grad():
        log_s, half = (column.squeeze(1).double().numpy() for column in ensemble(*joined(tested)))
    figures = said["random_splits"][0]["test"]
    assert errors(log_s, targets(tested)) == pytest.approx(figures["ensemble"], abs=1e-3)
    assert np.mean(np.abs(log_s - targets(tested)) <= half) == pytest.approx(figures["interval"]["coverage"], abs=0.01)
    assert 2 * half.mean() == pytest.approx(figures["interval"]["mean_width"], abs=1e-3)


def test_the_shipped_reference_is_the_tables(sample_data: SampleData) -> None:
    csv = sample_data.folder / "data" / "esol" / "delaney-processed.csv"
    said = json.loads((SHIPPED / FIGURES).read_text())["reference"]
    found = reference(csv.name, read(csv).molecules, _loaded(SHIPPED))
    assert (said["source"], said["items"], said["labels"]) == (found.source, found.items, {})
    assert said["statistics"] == {name: pytest.approx(list(each), abs=1e-3) for name, each in found.statistics.items()}
    assert said["figures"] == {name: pytest.approx(list(each), abs=1e-3) for name, each in found.figures.items()}
