"""A table of SMILES and measured log S → graphs, featurized as the server featurizes them.

The table is ESOL's: Delaney, J. Chem. Inf. Comput. Sci. 44, 1000 (2004), 1,128 rows.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from export.training.descriptors import described
from preprocess.molecule import molecules_to_graphs
from preprocess.rejection import Rejected
from preprocess.statistics import STATISTICS

SMILES = "smiles"
TARGET = "measured log solubility in mols per litre"


class TableError(ValueError):
    """A table that nothing should be trained on."""


@dataclass(frozen=True, slots=True)
class Molecule:
    """One row of the table.

    Args:
        atoms: FP32 [N, 15], without padding.
        edges: int64 [2, E], both directions of each bond.
        log_s: measured, log10 of mol/L.
        canonical: RDKit's canonical SMILES without stereo and isotopes, which no feature reads.
        scaffold: Murcko scaffold's SMILES without stereo; empty for a molecule without rings.
        descriptors: see `export.training.descriptors`; for training alone.
        statistics: FP32 [k], see `preprocess.statistics`: what callers' molecules are compared with.
    """

    atoms: NDArray[np.float32]
    edges: NDArray[np.int64]
    log_s: float
    canonical: str
    scaffold: str
    descriptors: tuple[float, ...]
    statistics: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows in the file's order, and the lines that were left out."""

    molecules: tuple[Molecule, ...]
    skipped: tuple[str, ...]


def read(path: Path, *, smiles: str = SMILES, target: str = TARGET, skip: bool = False) -> Table:
    """Read a CSV with a header line.

    Args:
        path: UTF-8, with the columns `smiles` and `target`.
        smiles: the column of SMILES.
        target: the column of log10 of mol/L.
        skip: leave unreadable rows out, and count them, instead of refusing the table.

    Raises:
        TableError: no such columns, nothing left, or unreadable rows, all listed by line and reason.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        header = reader.fieldnames or []
        if missing := [name for name in (smiles, target) if name not in header]:
            raise TableError(f"{path}: expected the columns {missing}, found {list(header)}")
        molecules: list[Molecule] = []
        complaints: list[str] = []
        for row in reader:
            try:
                molecules.append(_molecule(row[smiles] or "", row[target] or ""))
            except ValueError as exc:  # `Rejected` is one
                why = exc.sentence if isinstance(exc, Rejected) else str(exc)
                complaints.append(f"line {reader.line_num}: {why}")
    if complaints and not skip:
        raise TableError(
            f"{path}: {len(complaints)} unreadable rows. Correct them, or leave them out with --skip-unreadable:\n  "
            + "\n  ".join(complaints)
        )
    if not molecules:
        raise TableError(f"{path}: expected rows under the header, found none that can be read")
    return Table(tuple(molecules), tuple(complaints))


def _molecule(smiles: str, target: str) -> Molecule:
    try:
        log_s = float(target)
    except ValueError:
        log_s = math.nan
    if not math.isfinite(log_s):
        raise ValueError(f"expected a number as log S, got {target!r}")
    graph = molecules_to_graphs([smiles.encode()])
    count = int(graph["mask"].sum())
    edges = np.stack(np.nonzero(graph["bonds"][0])).astype(np.int64)
    # The server's reader has accepted the string, so that RDKit does too.
    parsed = Chem.MolFromSmiles(smiles.strip())
    return Molecule(
        atoms=graph["atoms"][0, :count].astype(np.float32),
        edges=edges,
        log_s=log_s,
        canonical=Chem.MolToSmiles(parsed, isomericSmiles=False),
        scaffold=MurckoScaffold.MurckoScaffoldSmiles(mol=parsed, includeChirality=False),
        descriptors=described(parsed),
        statistics=graph[STATISTICS][0].astype(np.float32),
    )


def targets(molecules: Sequence[Molecule]) -> NDArray[np.float64]:
    """Measured log S [M]."""
    return np.array([molecule.log_s for molecule in molecules])
