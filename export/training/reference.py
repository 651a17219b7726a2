"""What the table's molecules are like, and what the shipped ensemble says of them: later ones are compared with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.nets.gcn import SolubilityEnsemble
from export.reference_distribution import quantiles
from export.training.esol import Molecule
from export.training.train import predictions
from preprocess.statistics import OF_A_MOLECULE
from report.reference import ReferenceDistribution


def reference(source: str, molecules: Sequence[Molecule], ensemble: SolubilityEnsemble) -> ReferenceDistribution:
    """Of all rows: those that nothing was trained on are too few, and their distribution is the same.

    Args:
        source: the table's name.
        molecules: its rows.
        ensemble: what is shipped.
    """
    statistics = np.stack([molecule.statistics for molecule in molecules]).T
    log_s = predictions(ensemble.networks(), molecules).mean(0)
    return ReferenceDistribution(
        source=source,
        items=len(molecules),
        statistics={name: quantiles(values) for name, values in zip(OF_A_MOLECULE, statistics, strict=True)},
        figures={"prediction": quantiles(log_s)},
    )
