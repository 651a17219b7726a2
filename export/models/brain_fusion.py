"""CT and MRI of one brain, or either: healthy, benign or malignant, with stage and survival risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, classifier_outputs, staging_outputs
from export.spec import Explained, Gate, ModelSpec, Weights
from export.staging import STAGING_FIGURES, STAGING_LIMITS, STAGING_RULES
from export.steps import PREPROCESS_CT_MRI

if TYPE_CHECKING:
    from torch import nn

LABELS = ("Healthy", "Benign", "Malignant")
MODALITIES = ("ct", "mri")


def build() -> nn.Module:
    from export.nets.staged import StagedNet

    return StagedNet(MODALITIES, len(LABELS))


SPEC = ModelSpec(
    name="brain_fusion",
    task="CT and MRI slice of one brain, or one of them: healthy, benign or malignant",
    graph="fusion_classifier",
    build=build,
    parameters=49_640_069,
    weights=Weights(filename="best_brain_fusion_model.pth", renames=((r"^(ct|mri)_encoder\.", r"encoders.\1."),)),
    step=PREPROCESS_CT_MRI,
    outputs=(*classifier_outputs(len(LABELS), heatmap=(7, 7), pictures=MODALITIES), *staging_outputs()),
    figures=(*STAGING_FIGURES, *(f"present:{modality}" for modality in MODALITIES)),
    labels=LABELS,
    explained=tuple(
        Explained(
            input=modality,
            pixels=f"{modality}_pixels",
            feature_map=f"encoders.{modality}.layer4",
            heatmap=f"heatmap_{modality}",
            present=f"{modality}_present",
        )
        for modality in MODALITIES
    ),
    head="classifier",
    rules=STAGING_RULES,
    gate=Gate(critical=("Malignant",)),
    intended_use="One CT slice and one MRI slice of the same brain; research only.",
    limits=(
        *STAGING_LIMITS,
        "Nothing checks that both pictures are of one patient: identifiers are not read.",
        "Its checkpoint's file name and key names are assumed.",
    ),
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="97.73 % accuracy; 7.6 images/s",
)
