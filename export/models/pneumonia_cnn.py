"""Chest X-ray: normal or pneumonia, with a risk level (a plain CNN)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, classifier_outputs
from export.spec import Input, ModelSpec, RiskLevel, Rules, Weights
from export.steps import PREPROCESS_IMAGE

if TYPE_CHECKING:
    from torch import nn

LABELS = ("NORMAL", "PNEUMONIA")


def build() -> nn.Module:
    from export.nets.medical_cnn import MedicalCNN

    return MedicalCNN(len(LABELS))


SPEC = ModelSpec(
    name="pneumonia_cnn",
    task="frontal chest X-ray: normal or pneumonia, with a risk level",
    graph="image_classifier",
    build=build,
    parameters=4_848_034,
    weights=Weights(filename="medical_cnn_model.pth"),
    inputs=(Input(name="image", step=PREPROCESS_IMAGE),),
    outputs=classifier_outputs(len(LABELS), heatmap=(7, 7)),
    labels=LABELS,
    feature_map="features",
    head="classifier",
    cpu_accelerator="openvino",
    rules=Rules(
        risk_levels=(
            RiskLevel(name="LOW", confidence_above=0.8, uncertainty_below=0.3),
            RiskLevel(name="MEDIUM", confidence_above=0.6, uncertainty_below=0.5),
            RiskLevel(name="HIGH", review=True),
        )
    ),
    intended_use="Frontal chest radiographs; research only.",
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="45 ms an image",
)
