"""Chest X-ray: normal or pneumonia (EfficientNet-B0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, UNCERTAIN_PARTS, classifier_outputs
from export.spec import Explained, ModelSpec, Weights
from export.steps import PREPROCESS_XRAY
from report.rules import Rules

if TYPE_CHECKING:
    from torch import nn

LABELS = ("NORMAL", "PNEUMONIA")


def build() -> nn.Module:
    from export.nets.vision import models

    return models.efficientnet_b0(weights=None, num_classes=len(LABELS))


SPEC = ModelSpec(
    name="pneumonia",
    aliases=("vision",),
    task="frontal chest X-ray: normal or pneumonia",
    graph="image_classifier",
    build=build,
    parameters=4_010_110,
    weights=Weights(filename="mediflow_lungs_best.pth"),
    step=PREPROCESS_XRAY,
    outputs=classifier_outputs(len(LABELS), heatmap=(7, 7), mc_dropout=True),
    figures=UNCERTAIN_PARTS,
    labels=LABELS,
    explained=(Explained(input="image", pixels="pixels", feature_map="features", heatmap="heatmap"),),
    head="classifier",
    mc_passes=20,
    rules=Rules(review_below_confidence=0.70),
    intended_use="Frontal chest radiographs; research only.",
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="about 95 % accuracy; 200 ms on CPU, 50 ms on GPU",
)
