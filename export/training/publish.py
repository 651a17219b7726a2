"""The two files that are shipped: the ensemble's weights, and every figure that is said of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from export.digest import sha256_of
from export.nets.gcn import SolubilityEnsemble
from export.training.descriptors import DESCRIPTORS
from export.training.esol import Table
from export.training.evaluate import over_splits, rounded
from export.training.experiment import Outcome
from export.training.interval import LEVEL
from export.training.reference import reference
from export.training.splits import FRACTIONS, groups, rows_in_groups
from export.training.train import Recipe

WEIGHTS, FIGURES = "solubility.safetensors", "solubility.json"
TOOLS = ("numpy", "rdkit", "torch", "torch-geometric")


def shipped_state(ensemble: SolubilityEnsemble) -> dict[str, Tensor]:
    """FP32 tensors under the ensemble's own names, without the batch counters: inference has no use for them."""
    state = ensemble.state_dict()
    return {key: state[key].contiguous() for key in sorted(state) if not key.endswith("num_batches_tracked")}


def figures_of(csv: Path, table: Table, recipe: Recipe, outcomes: Sequence[Outcome], *, members: int) -> dict[str, Any]:
    """What is said of the weights.

    Args:
        csv: the table's file, for its digest.
        table: its rows.
        recipe: how each member was trained.
        outcomes: of the random splits in the order of their seeds, then of the split by scaffold.
        members: networks in each ensemble; their seeds count from 0.
    """
    *at_random, by_scaffold = (outcome.figures for outcome in outcomes)
    tests = [figures["test"] for figures in at_random]
    return {
        "data": {
            "csv_sha256": sha256_of(csv),
            "rows": len(table.molecules),
            "rows_skipped": len(table.skipped),
            "different_smiles": len({molecule.canonical for molecule in table.molecules}),
            "same_to_the_network": rows_in_groups(groups(table.molecules)),
        },
        "tools": {"python": ".".join(map(str, sys.version_info[:2]))} | {tool: version(tool) for tool in TOOLS},
        "recipe": asdict(recipe)
        | {"optimizer": "AdamW, one cycle", "loss": "mean squared error", "members": members}
        | {"descriptors_learnt": list(DESCRIPTORS)},
        "split_fractions": FRACTIONS,
        "interval_level": LEVEL,
        "random_splits": at_random,
        "over_random_splits": {kind: over_splits([test[kind] for test in tests]) for kind in tests[0]},
        "scaffold_split": by_scaffold,
        "shipped": {"random_split": 0, "trained_on": "its training part alone"},
        "reference": asdict(reference(csv.name, table.molecules, outcomes[0].ensemble)),
    }


def write(folder: Path, ensemble: SolubilityEnsemble, figures: dict[str, Any]) -> None:
    """Both files, each whole or not at all; the figures name the weights' sha256.

    Args:
        folder: exists.
        ensemble: what is shipped.
        figures: of `figures_of`.
    """
    # No metadata: safetensors writes it in an order that changes from run to run.
    _replace(folder / WEIGHTS, save(shipped_state(ensemble)))
    text = json.dumps(rounded(figures | {"weights_sha256": sha256_of(folder / WEIGHTS)}), indent=2, sort_keys=True)
    _replace(folder / FIGURES, (text + "\n").encode())


def _replace(file: Path, content: bytes) -> None:
    fresh = file.with_name(file.name + ".part")
    fresh.write_bytes(content)
    os.replace(fresh, file)
