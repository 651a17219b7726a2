"""MedGemma's vision tower, SigLIP, as a classifier. From transformers; nothing is ever downloaded."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

import export.nets.vision  # noqa: F401  transformers imports torchvision, which may need preparing

from transformers import SiglipVisionConfig, SiglipVisionModel  # isort: skip

PATCH = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerSize:
    """A SigLIP vision tower. The defaults are So400m/14 at 896², MedGemma's: 416,866,032 parameters."""

    layers: int = 27
    width: int = 1152
    mlp: int = 4304
    heads: int = 16
    side: int = 896


class TokenGrid(nn.Module):
    """A SigLIP tower whose tokens lie where their patches lay.

    Args:
        size: of the tower.
    """

    def __init__(self, size: TowerSize) -> None:
        super().__init__()
        self.grid = size.side // PATCH
        self.vision_model = SiglipVisionModel(
            SiglipVisionConfig(  # type: ignore[call-arg]  # its base class takes the last one
                hidden_size=size.width,
                intermediate_size=size.mlp,
                num_hidden_layers=size.layers,
                num_attention_heads=size.heads,
                image_size=size.side,
                patch_size=PATCH,
                vision_use_head=False,  # as in MedGemma: no pooling head, the tokens are averaged
                attn_implementation="sdpa",
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Feature map [B, width, side / 14, side / 14] of normalised images [B, 3, side, side]."""
        tokens: Tensor = self.vision_model(pixel_values=images).last_hidden_state
        return tokens.transpose(1, 2).unflatten(2, (self.grid, self.grid))


class SiglipClassifier(nn.Module):
    """Tower → mean of the tokens → dropout → Linear.

    Args:
        classes: C.
        size: of the tower.
    """

    def __init__(self, classes: int, size: TowerSize) -> None:
        super().__init__()
        self.vision_tower = TokenGrid(size)
        self.classifier = nn.Sequential(nn.Dropout(0.1), nn.Linear(size.width, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, C] of normalised images [B, 3, side, side]."""
        logits: Tensor = self.classifier(self.vision_tower(images).mean((2, 3)))
        return logits
