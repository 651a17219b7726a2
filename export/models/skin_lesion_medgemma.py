"""Dermoscopy: seven kinds of skin lesion (MedGemma's SigLIP tower at 896²)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.outputs import NOT_FOR_DIAGNOSIS, UNCERTAIN_PARTS, classifier_outputs
from export.spec import Explained, Gate, ModelSpec, Weights
from export.steps import PREPROCESS_SKIN_896
from report.rules import OperatingPoint, Rules

if TYPE_CHECKING:
    from torch import nn

LABELS = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def build() -> nn.Module:
    from export.nets.siglip import SiglipClassifier, TowerSize

    return SiglipClassifier(len(LABELS), TowerSize())


SPEC = ModelSpec(
    name="skin_lesion_medgemma",
    task="dermoscopic picture of a skin lesion: seven kinds",
    graph="image_classifier",
    build=build,
    parameters=416_874_103,
    # MedGemma's own files hold the tower under these very names, beside a language model.
    weights=Weights(
        filename="skin_lesion_medgemma.safetensors",
        ignored=r"language_model\.|multi_modal_projector\.|lm_head\.|vision_tower\.vision_model\.head\.",
        renames=((r"^classifier\.(weight|bias)$", r"classifier.1.\1"),),
    ),
    step=PREPROCESS_SKIN_896,
    outputs=classifier_outputs(len(LABELS), heatmap=(64, 64), mc_dropout=True),
    figures=UNCERTAIN_PARTS,
    labels=LABELS,
    explained=(Explained(input="image", pixels="pixels", feature_map="vision_tower", heatmap="heatmap"),),
    head="classifier",
    mc_passes=20,
    max_batch=4,
    on_request=True,
    packages=("transformers",),
    gate=Gate(critical=("mel",), samples=2),  # each takes PyTorch many seconds on a CPU
    rules=Rules(operating_points=(OperatingPoint(label="mel", at_least=0.2),)),
    intended_use="Dermoscopic photographs of one lesion; research only.",
    limits=(
        "A model for a GPU: on two CPU cores a picture took 84 s in FP32, its worker 5 GB; raise the caller's timeout.",
        "Its checkpoint's file name and key names (MedGemma's for the tower) are assumed.",
        "The source project names no melanoma threshold; 0.2 is the house's.",
        "Its heat map stands on the tokens after 27 layers of attention: less local than a convolution's.",
    ),
    disclaimer=NOT_FOR_DIAGNOSIS,
    claim="melanoma recall 93 %",
)
