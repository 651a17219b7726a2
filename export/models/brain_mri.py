"""MRI slice of the brain: healthy, benign or malignant, with stage and survival risk (ResNet50)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, classifier_outputs, staging_outputs
from export.spec import Explained, Gate, ModelSpec, Weights
from export.staging import STAGING_FIGURES, STAGING_LIMITS, STAGING_RULES
from export.steps import PREPROCESS_MRI

if TYPE_CHECKING:
    from torch import nn

LABELS = ("Healthy", "Benign", "Malignant")


def build() -> nn.Module:
    from export.nets.staged import StagedNet

    return StagedNet(("mri",), len(LABELS))


SPEC = ModelSpec(
    name="brain_mri",
    task="MRI slice of the brain: healthy, benign or malignant",
    graph="staged_classifier",
    build=build,
    parameters=24_820_805,
    weights=Weights(filename="best_brain_mri_model.pth", renames=((r"^encoder\.", "encoders.mri."),)),
    step=PREPROCESS_MRI,
    outputs=(*classifier_outputs(len(LABELS), heatmap=(7, 7)), *staging_outputs()),
    figures=STAGING_FIGURES,
    labels=LABELS,
    explained=(Explained(input="image", pixels="pixels", feature_map="encoders.mri.layer4", heatmap="heatmap"),),
    head="classifier",
    rules=STAGING_RULES,
    gate=Gate(critical=("Malignant",)),
    intended_use="One MRI slice of the brain; research only.",
    limits=(*STAGING_LIMITS, "One slice, not a volume. Its checkpoint's file name and key names are assumed."),
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="96.14 % accuracy",
)
