"""The brain tumour networks: one ResNet50 for each modality, their features joined, three heads.

One modality is `brain_mri`, CT and MRI together are `brain_fusion`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.nets.explained import L2Normalize
from export.nets.vision import models

FEATURES = 512  # of each encoder


class StagedNet(nn.Module):
    """Encoders → join → L2 normalisation → class, stage and survival risk.

    Args:
        modalities: names of the pictures, in the order of the joined features.
        classes: C.
    """

    def __init__(self, modalities: tuple[str, ...], classes: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(
            {name: models.resnet50(weights=None, num_classes=FEATURES) for name in modalities}
        )
        joined = FEATURES * len(modalities)
        self.normalize = L2Normalize()
        self.classifier = _head(joined, 256, classes)
        self.stage = _head(joined, 128, 1)
        self.survival = _head(joined, 128, 1)

    def forward(self, images: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(logits [B, C], stage [B, 1], survival risk [B, 1]) of normalised images [B, 3, H, W].

        Args:
            images: by modality, at least one; the features of a missing one are zero.
        """
        batch = len(next(iter(images.values())))
        features = [
            encoder(images[name]) if name in images else torch.zeros(batch, FEATURES)
            for name, encoder in self.encoders.items()
        ]
        joined = self.normalize(torch.cat(features, 1))
        return self.classifier(joined), torch.sigmoid(self.stage(joined)), torch.sigmoid(self.survival(joined))


def _head(features: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
