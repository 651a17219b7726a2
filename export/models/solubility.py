"""Aqueous solubility of a molecule, log S (three graph convolutions)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.spec import Gate, Input, ModelSpec, Rules, Tensor, Weights
from export.steps import FEATURIZE_MOLECULE

if TYPE_CHECKING:
    from torch import nn


def build() -> nn.Module:
    from export.nets.gcn import SolubilityGCN

    return SolubilityGCN(pool="mean")  # the source project does not say which; mean is assumed


SPEC = ModelSpec(
    name="solubility",
    task="aqueous solubility of a small molecule at room temperature",
    graph="molecule_regressor",
    build=build,
    parameters=46_209,
    weights=Weights(filename="best_drug_discovery_GNN_model.pth"),
    inputs=(Input(name="smiles", step=FEATURIZE_MOLECULE),),
    outputs=(Tensor(name="log_s", dtype="FP32", dims=(1,), meaning="log10 of solubility in mol/L"),),
    figures=("unknown_atoms",),
    unit="log mol/L",
    max_batch=64,
    rules=Rules(review_above=(("unknown_atoms", 0.0),)),
    gate=Gate(fp32=1e-3),
    intended_use="Small organic molecules like those of ESOL; research only.",
    disclaimer="A prediction, not a measurement: research use only.",
    claim="ESOL test R² 0.505, MAE 1.129, RMSE 1.452",
)
