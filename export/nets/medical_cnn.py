"""The plain convolutional network of the `pneumonia_cnn` project, in its key names."""

from __future__ import annotations

from torch import Tensor, nn

WIDTHS = (32, 64, 128, 256, 512)


class MedicalCNN(nn.Module):
    """Five blocks of (Conv 3×3, BatchNorm, ReLU) × 2 and a MaxPool, global average pool, 512 → 256 → C.

    Args:
        classes: C.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(_block(before, after) for before, after in zip((3, *WIDTHS), WIDTHS, strict=False))
        )
        self.classifier = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, C] of normalised images [B, 3, H, W]."""
        logits: Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
