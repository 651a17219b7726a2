"""Training, validation and test parts that share no molecule the network could take for the same.

The groups are coarser than canonical SMILES: the network sees no stereo, no bond orders, and three
bonds far. What three rounds of Weisfeiler and Lehman's colouring do not tell apart, three graph
convolutions and a pool cannot either (Xu et al., arXiv 1810.00826, lemma 2). Rows of a group stay
together, each with its own measurement: an average would hide the error that such pairs cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from export.training.esol import Molecule

ROUNDS = 3  # as many as the network has convolutions
FRACTIONS = (0.8, 0.1, 0.1)
LEAST_ROWS = 50  # fewer make parts of which no figure means anything


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the three parts, ascending."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def sizes(self) -> dict[str, int]:
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}


def network_view(molecule: Molecule) -> str:
    """What the network can at most see of a molecule: equal texts, equal predictions."""
    colours = [sha256(row.tobytes()).hexdigest() for row in molecule.atoms]
    neighbours: list[list[int]] = [[] for _ in colours]
    for source, target in molecule.edges.T:
        neighbours[source].append(int(target))
    for _ in range(ROUNDS):
        colours = [
            sha256(" ".join([own, *sorted(colours[i] for i in near)]).encode()).hexdigest()
            for own, near in zip(colours, neighbours, strict=True)
        ]
    return sha256(" ".join(sorted(colours)).encode()).hexdigest()


def groups(molecules: Sequence[Molecule]) -> list[list[int]]:
    """Rows that the network cannot tell apart, together; in the order of first appearance."""
    return _gathered([network_view(molecule) for molecule in molecules])


def at_random(together: Sequence[Sequence[int]], seed: int) -> Split:
    """Whole groups, shuffled."""
    order = np.random.default_rng(seed).permutation(len(together))
    return _cut([together[i] for i in order])


def by_scaffold(molecules: Sequence[Molecule], together: Sequence[Sequence[int]]) -> Split:
    """Whole scaffolds, the largest first into training, so that the test part's are new to the network.

    A group goes with its first row's scaffold. Source: DeepChem's ScaffoldSplitter.
    """
    scaffolds = _gathered([molecules[rows[0]].scaffold for rows in together])
    sets = [sorted(row for group in scaffold for row in together[group]) for scaffold in scaffolds]
    sets.sort(key=lambda rows: (len(rows), rows[0]), reverse=True)
    total = sum(map(len, sets))
    ends = (FRACTIONS[0] * total, (FRACTIONS[0] + FRACTIONS[1]) * total)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for rows in sets:
        if len(parts[0]) + len(rows) <= ends[0]:
            parts[0].extend(rows)
        elif len(parts[0]) + len(parts[1]) + len(rows) <= ends[1]:
            parts[1].extend(rows)
        else:
            parts[2].extend(rows)
    return _split(*parts)


def _cut(ordered: Sequence[Sequence[int]]) -> Split:
    total = sum(map(len, ordered))
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    placed = 0
    for rows in ordered:
        if placed < FRACTIONS[0] * total:
            part = parts[0]
        else:
            part = parts[1 if placed < (FRACTIONS[0] + FRACTIONS[1]) * total else 2]
        part.extend(rows)
        placed += len(rows)
    return _split(*parts)


def _split(train: Sequence[int], validation: Sequence[int], test: Sequence[int]) -> Split:
    rows = len(train) + len(validation) + len(test)
    if rows < LEAST_ROWS or not (train and validation and test):
        raise ValueError(f"expected at least {LEAST_ROWS} rows that divide into three parts, got {rows}")
    return Split(tuple(sorted(train)), tuple(sorted(validation)), tuple(sorted(test)))


def _gathered(keys: Sequence[str]) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return list(found.values())


def rows_in_groups(together: Sequence[Sequence[int]]) -> dict[str, int]:
    """How many rows share a group with another, and how many groups such rows make."""
    shared: NDArray[np.int64] = np.array([len(rows) for rows in together if len(rows) > 1], np.int64)
    return {"groups": len(together), "groups_of_several": len(shared), "rows_in_them": int(shared.sum())}
