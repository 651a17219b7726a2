"""CT slice of the brain: healthy or tumour (ResNet50)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, classifier_outputs
from export.spec import Explained, Gate, ModelSpec, Weights
from export.steps import PREPROCESS_CT
from report.rules import Rules

if TYPE_CHECKING:
    from torch import nn

LABELS = ("Healthy", "Tumor")


def build() -> nn.Module:
    from export.nets.vision import models

    return models.resnet50(weights=None, num_classes=len(LABELS))


SPEC = ModelSpec(
    name="brain_ct",
    task="CT slice of the brain: healthy or tumour",
    graph="image_classifier",
    build=build,
    parameters=23_512_130,
    weights=Weights(filename="best_brain_ct_model.pth"),
    step=PREPROCESS_CT,
    outputs=classifier_outputs(len(LABELS), heatmap=(7, 7)),
    labels=LABELS,
    explained=(Explained(input="image", pixels="pixels", feature_map="layer4", heatmap="heatmap"),),
    head="fc",
    rules=Rules(review_below_confidence=0.70),
    gate=Gate(critical=("Tumor",)),
    intended_use="One axial CT slice of the brain; research only.",
    limits=(
        "A DICOM slice without a window is shown in the brain window, 40 ± 40 HU; a PNG is taken as it is.",
        "One slice, not a volume. Its checkpoint's file name is assumed.",
        "The source project has no threshold for a person's look; 0.70 is that of `pneumonia`.",
    ),
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="97.47 % accuracy, AUC 0.9952; 42 ms and 89 ms for the Grad-CAM",
)
