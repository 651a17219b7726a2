"""Chest X-ray: normal or pneumonia (EfficientNet-B0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, classifier_outputs
from export.spec import Input, ModelSpec, Rules, Weights
from export.steps import PREPROCESS_IMAGE

if TYPE_CHECKING:
    from torch import nn

LABELS = ("NORMAL", "PNEUMONIA")


def build() -> nn.Module:
    from export.nets.vision import models

    return models.efficientnet_b0(weights=None, num_classes=len(LABELS))


SPEC = ModelSpec(
    name="pneumonia",
    task="frontal chest X-ray: normal or pneumonia",
    graph="image_classifier",
    build=build,
    parameters=4_010_110,
    weights=Weights(filename="mediflow_lungs_best.pth"),
    inputs=(Input(name="image", step=PREPROCESS_IMAGE),),
    outputs=classifier_outputs(len(LABELS), heatmap=(7, 7)),
    labels=LABELS,
    feature_map="features",
    head="classifier",
    cpu_accelerator="openvino",
    rules=Rules(review_below_confidence=0.70),
    intended_use="Frontal chest radiographs; research only.",
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="about 95 % accuracy; 200 ms on CPU, 50 ms on GPU",
)
