"""Chest X-ray: normal or pneumonia, with a risk level (a plain CNN)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, UNCERTAIN_PARTS, classifier_outputs
from export.spec import Explained, ModelSpec, Weights
from export.steps import PREPROCESS_XRAY
from report.rules import RiskLevel, Rules

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
    step=PREPROCESS_XRAY,
    outputs=classifier_outputs(len(LABELS), heatmap=(7, 7), mc_dropout=True),
    figures=UNCERTAIN_PARTS,
    labels=LABELS,
    explained=(Explained(input="image", pixels="pixels", feature_map="features", heatmap="heatmap"),),
    head="classifier",
    mc_passes=20,
    rules=Rules(
        review_below_confidence=None,  # its risk levels decide
        risk_levels=(
            RiskLevel(name="LOW", confidence_above=0.8, uncertainty_below=0.3),
            RiskLevel(name="MEDIUM", confidence_above=0.6, uncertainty_below=0.5),
            RiskLevel(name="HIGH", review=True),
        ),
    ),
    intended_use="Frontal chest radiographs; research only.",
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="45 ms an image",
)
