"""Aqueous solubility of a molecule, log S (three graph convolutions)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.spec import Bounds, Gate, ModelSpec, Shipped, Tensor, Weights
from export.steps import FEATURIZE_MOLECULE
from report.declaration import Interval
from report.rules import Rules

if TYPE_CHECKING:
    from torch import nn

SOURCE_RMSE = 1.452  # log mol/L, the source project's, of its one network


def build() -> nn.Module:
    from export.nets.gcn import SolubilityEnsemble

    # The source project does not say how it pools; mean is assumed. 1.645 deviations make 90 %.
    return SolubilityEnsemble(1, "mean", half_width=((1.645 * SOURCE_RMSE) ** 2, 0.0))


def build_shipped() -> nn.Module:
    from export.nets.gcn import SolubilityEnsemble

    return SolubilityEnsemble(5, "sum")


SPEC = ModelSpec(
    name="solubility",
    aliases=("drug-properties",),
    task="aqueous solubility of a small molecule at room temperature",
    graph="molecule_regressor",
    build=build,
    parameters=46_209,
    weights=Weights(filename="best_drug_discovery_GNN_model.pth", renames=((r"^(?!members\.)", "members.0."),)),
    shipped=Shipped(
        file="solubility.safetensors",
        build=build_shipped,
        parameters=231_045,
        figures=(
            "ESOL, five random splits 80/10/10, mean ± sd of the ensembles: test R² 0.913 ± 0.030, RMSE 0.579 ± 0.078, "
            "MAE 0.407 ± 0.045 log mol/L, coverage of the 90 % interval 0.875 ± 0.050. By Murcko scaffold: R² 0.801, "
            "RMSE 0.947, coverage 0.911. Shipped: split 0, R² 0.881, RMSE 0.655, coverage 0.839"
        ),
    ),
    step=FEATURIZE_MOLECULE,
    outputs=(
        Tensor(name="log_s", dtype="FP32", dims=(1,), meaning="log10 of solubility in mol/L"),
        Tensor(name="interval", dtype="FP32", dims=(2,), meaning="lower and upper end of a 90 % interval, log mol/L"),
    ),
    figures=("log_s", "lower", "upper", "unknown_atoms"),
    unit="log mol/L",
    interval=Interval(lower="lower", upper="upper", level=0.9),
    max_batch=64,
    # ESOL's own range of measurements: beyond it the network extrapolates without end.
    rules=Rules(review_above=(("unknown_atoms", 0.0),), review_outside=(("log_s", -11.6, 1.58),)),
    unsupported=(
        (
            "int8",
            "measured on 1,064 molecules of ESOL, 64 others for calibration: log S moves by up to 1.64, by 0.03 on "
            "average, and OpenVINO is slower than with bf16 (1.4 against 2.0 times FP32 at batch 8)",
        ),
    ),
    # bf16 moves log S by up to 0.034 on ESOL: too much for a number that is read to two places.
    gate=Gate(fp32=Bounds(largest=1e-3), fp16=Bounds(largest=0.01), bf16=Bounds(largest=1e-3)),
    intended_use="Small organic molecules like those of ESOL; research only.",
    limits=(
        "The shipped weights miss the R² of 0.92 that was asked for; their 90 % interval held 84 % of their own test "
        "part, 88 % on average over five splits.",
        "Their recipe was chosen by cross-validation inside split 0, whose test part had no say; most of the others'"
        " test molecules had, and all test parts had been looked at before the last choices were made.",
        "With a source project's checkpoint the interval is 1.645 times its own RMSE, measured by nobody here.",
        "Stereochemistry, charge state and temperature of the measurement are not seen.",
        "Of elements outside C N O F P S Cl Br I nothing was learnt: such molecules are sent to a person.",
    ),
    disclaimer="A prediction, not a measurement: research use only.",
    claim="ESOL test R² 0.505, MAE 1.129, RMSE 1.452",
)
