"""A SMILES string → the padded graph of its atoms and bonds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors, rdMolDescriptors

from preprocess.rejection import Reason, Rejected
from preprocess.seen import Note, Seen, unnoted
from preprocess.statistics import OF_A_MOLECULE, STATISTICS

MAX_CHARACTERS = 2000
MAX_ATOMS = 256
BUCKETS = (32, 64, 128, 256)  # padded sizes: molecules of one bucket share a batch

_ELEMENTS = ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
ATOM_FEATURES = (
    *(f"is {element}" for element in _ELEMENTS),
    "is another element",
    "degree (bonded heavy neighbours) / 4",
    "formal charge",
    "hydrogens (explicit and implicit) / 4",
    "is aromatic",
    "is in a ring",
)

# RDKit reads a name behind a blank, and stops in silence at some characters outside ASCII.
_SMILES = re.compile(r"[A-Za-z0-9\[\]()=#$:/\\@+\-.%*~]+")
_EXTENSION = re.compile(r"\s+\|[^|]*\|$")  # CXSMILES: drawing and labels, which no feature reads


def molecules_to_graphs(
    smiles: Sequence[bytes], *, note: Note = unnoted
) -> dict[str, NDArray[np.float32] | NDArray[np.uint8]]:
    """Featurize a batch.

    Args:
        smiles: one SMILES each, ASCII; blanks around it are ignored.
        note: is told of each that was read.

    Returns:
        atoms: FP32 [B, N, 15] in the order of ATOM_FEATURES, zero rows as padding.
        bonds: UINT8 [B, N, N], 1 where two atoms are bonded, symmetric, no self-loops.
        mask: FP32 [B, N], 1 for an atom. N is the smallest of BUCKETS that holds the largest molecule.
        statistics: FP32 [B, 5] in the order of OF_A_MOLECULE.

    Raises:
        Rejected: the first string that is not a molecule, with its place in the batch.
    """
    molecules = []
    for item, sent in enumerate(smiles):
        try:
            molecules.append(_parsed(sent))
        except Rejected as rejected:
            raise rejected.at(item) from rejected
        note(Seen("smiles", len(sent)))
    largest = max((molecule.GetNumAtoms() for molecule in molecules), default=1)
    size = next(bucket for bucket in BUCKETS if largest <= bucket)
    atoms = np.zeros((len(molecules), size, len(ATOM_FEATURES)), np.float32)
    bonds = np.zeros((len(molecules), size, size), np.uint8)
    mask = np.zeros((len(molecules), size), np.float32)
    statistics = np.zeros((len(molecules), len(OF_A_MOLECULE)), np.float32)
    for item, molecule in enumerate(molecules):
        count = molecule.GetNumAtoms()
        atoms[item, :count] = [_features(atom) for atom in molecule.GetAtoms()]
        bonds[item, :count, :count] = Chem.GetAdjacencyMatrix(molecule)
        mask[item, :count] = 1
        statistics[item] = _statistics(molecule)
    return {"atoms": atoms, "bonds": bonds, "mask": mask, STATISTICS: statistics}


def _parsed(sent: bytes) -> Chem.Mol:
    text = _text(sent)
    with rdBase.BlockLogs():  # RDKit prints what it was given: a compound may be a secret
        raw = Chem.MolFromSmiles(text, sanitize=False)
        if raw is None:
            raise Rejected(Reason.INVALID_MOLECULE, "expected a SMILES, got text that does not parse as one")
        molecule = Chem.MolFromSmiles(text)
        if molecule is None:
            raise Rejected(Reason.INVALID_MOLECULE, f"expected a possible molecule: {_problems(raw)}")
    count = molecule.GetNumAtoms()
    if not 1 <= count <= MAX_ATOMS:
        raise Rejected(Reason.TOO_MANY_ATOMS, f"expected 1 to {MAX_ATOMS} atoms, got {count}")
    return molecule


def _text(sent: bytes) -> str:
    if len(sent) > MAX_CHARACTERS:
        raise Rejected(
            Reason.TOO_MANY_BYTES, f"expected at most {MAX_CHARACTERS} characters of SMILES, got {len(sent):,}"
        )
    text = _EXTENSION.sub("", sent.decode("ascii", errors="replace").strip(" \t\r\n"))
    if not text:
        raise Rejected(Reason.EMPTY, "expected a SMILES, got nothing or blanks")
    if not _SMILES.fullmatch(text):
        raise Rejected(
            Reason.NOT_SMILES,
            "expected the characters of one SMILES in ASCII (no blanks inside, names, SMARTS), got others",
        )
    return text


def _problems(molecule: Chem.Mol) -> str:
    """RDKit's own sentences about valence and aromaticity; they name atoms by number and element."""
    problems = Chem.DetectChemistryProblems(molecule)
    return "; ".join(problem.Message() for problem in problems) or "RDKit cannot sanitize this one"


def _features(atom: Chem.Atom) -> list[float]:
    symbol = atom.GetSymbol()
    kinds = [float(symbol == element) for element in _ELEMENTS]
    return [
        *kinds,
        1.0 - sum(kinds),
        atom.GetDegree() / 4,
        float(atom.GetFormalCharge()),
        atom.GetTotalNumHs() / 4,
        float(atom.GetIsAromatic()),
        float(atom.IsInRing()),
    ]


def _statistics(molecule: Chem.Mol) -> NDArray[np.float32]:
    """FP32 [5] in the order of OF_A_MOLECULE; no log P, which takes longer than all the rest of a molecule."""
    return np.array(
        [
            molecule.GetNumHeavyAtoms(),
            Descriptors.MolWt(molecule),  # type: ignore[attr-defined]
            rdMolDescriptors.CalcNumHBD(molecule),
            rdMolDescriptors.CalcTPSA(molecule),
            rdMolDescriptors.CalcNumRings(molecule),
        ],
        np.float32,
    )
