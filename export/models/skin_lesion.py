"""Dermoscopy: nine kinds of skin lesion (ResNet50 with a hidden layer)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, UNCERTAIN_PARTS, classifier_outputs
from export.spec import Explained, Gate, ModelSpec, Weights
from export.steps import PREPROCESS_SKIN
from report.rules import OperatingPoint, Rules

if TYPE_CHECKING:
    from torch import nn

LABELS = (
    "actinic keratosis",
    "basal cell carcinoma",
    "dermatofibroma",
    "melanoma",
    "nevus",
    "pigmented benign keratosis",
    "seborrheic keratosis",
    "squamous cell carcinoma",
    "vascular lesion",
)


def build() -> nn.Module:
    from torch import nn

    from export.nets.vision import models

    net = models.resnet50(weights=None)
    net.fc = nn.Sequential(nn.Linear(2048, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, len(LABELS)))
    return net


SPEC = ModelSpec(
    name="skin_lesion",
    aliases=("skin-lesion",),
    task="dermoscopic picture of a skin lesion: nine kinds",
    graph="image_classifier",
    build=build,
    parameters=24_561_737,
    weights=Weights(filename="best_skin_lesion_UNFROZEN_model.pth"),
    step=PREPROCESS_SKIN,
    outputs=classifier_outputs(len(LABELS), heatmap=(7, 7), mc_dropout=True),
    figures=UNCERTAIN_PARTS,
    labels=LABELS,
    explained=(Explained(input="image", pixels="pixels", feature_map="layer4", heatmap="heatmap"),),
    head="fc",
    mc_passes=20,
    rules=Rules(operating_points=(OperatingPoint(label="melanoma", at_least=0.2),)),
    gate=Gate(critical=("melanoma",)),
    intended_use="Dermoscopic photographs of one lesion; research only.",
    limits=(
        "The source project names neither the rate of its dropout (0.5 is assumed) nor a melanoma threshold "
        "(0.2 is the house's).",
    ),
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="86.33 % validation accuracy",
)
