"""What every serving graph has: the fingerprint that names the artefact in its own answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ServingGraph(nn.Module):
    """What is exported.

    `fingerprint` is zero here; `export.to_onnx` writes the artefact's own into the file.
    """

    fingerprint: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fingerprint", torch.zeros(1, 2))

    def summary(self, *figures: Tensor) -> Tensor:
        """[B, 2 + F]: the fingerprint, then the figures [B, f] that the report step needs."""
        stamp = self.fingerprint.expand(figures[0].shape[0], 2)
        return torch.cat((stamp, *figures), dim=1)
