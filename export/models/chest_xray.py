"""Chest X-ray: normal, pneumonia, COVID-19 or lung opacity (ResNet50)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, classifier_outputs
from export.spec import Explained, Gate, ModelSpec, Weights
from export.steps import PREPROCESS_XRAY

if TYPE_CHECKING:
    from torch import nn

LABELS = ("Normal", "Pneumonia", "COVID-19", "Lung Opacity")


def build() -> nn.Module:
    from export.nets.vision import models

    return models.resnet50(weights=None, num_classes=len(LABELS))


SPEC = ModelSpec(
    name="chest_xray",
    aliases=("chest-xray",),
    task="frontal chest X-ray: normal, pneumonia, COVID-19 or lung opacity",
    graph="image_classifier",
    build=build,
    parameters=23_516_228,
    weights=Weights(filename="best_chest_xray_COMBINED_model.pth"),
    step=PREPROCESS_XRAY,
    outputs=classifier_outputs(len(LABELS), heatmap=(7, 7)),
    labels=LABELS,
    explained=(Explained(input="image", pixels="pixels", feature_map="layer4", heatmap="heatmap"),),
    head="fc",
    gate=Gate(critical=("COVID-19",)),
    intended_use="Frontal chest radiographs of adults; research only.",
    limits=("Lateral films are refused where the DICOM file says so; a PNG does not say.",),
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="82.7 % validation accuracy",
)
