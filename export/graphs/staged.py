"""One or two pictures of a brain: class, stage and survival risk, and a heat map for each picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.graphs.base import ServingGraph
from export.graphs.parts import Encoder, Probabilities, grad_cam
from export.nets.explained import ExplainedHead
from export.nets.staged import FEATURES, StagedNet
from export.spec import ModelSpec


class _Staged(ServingGraph):
    """The heads over the joined features, and the gradient back to every encoder.

    Args:
        net: `export.nets.staged.StagedNet` with its weights.
        spec: the model's declaration; the order of `explained` is the order of the encoders.
        temperature: divides the logits.
    """

    def __init__(self, net: nn.Module, spec: ModelSpec, temperature: float) -> None:
        super().__init__()
        if not isinstance(net, StagedNet):
            raise TypeError(f"{spec.name}: build(): expected a StagedNet, got {type(net).__name__}")
        encoders = list(net.encoders.values())
        self.encoders = nn.ModuleList(Encoder(encoder, "layer4") for encoder in encoders)
        self.features = nn.ModuleList(encoder.get_submodule("fc") for encoder in encoders)
        self.head = ExplainedHead(nn.Sequential(net.normalize, *net.classifier))
        self.stage = nn.Sequential(net.normalize, net.stage, nn.Sigmoid())
        self.survival = nn.Sequential(net.normalize, net.survival, nn.Sigmoid())
        self.probabilities = Probabilities(len(spec.labels), temperature)

    def answer(self, pixels: tuple[Tensor, ...], present: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """In the order of the spec's outputs, then `summary`.

        Args:
            pixels: UINT8 [B, 3, H, W] of each picture.
            present: FP32 [B, 1] of each, 1 or 0; empty where all must be there.
        """
        maps = [encoder(picture) for encoder, picture in zip(self.encoders, pixels, strict=True)]
        features = [layer(found.mean((2, 3))) for layer, found in zip(self.features, maps, strict=True)]
        if present:
            features = [feature * there for feature, there in zip(features, present, strict=True)]
        joined = torch.cat(features, 1)
        logits, gradient = self.head(joined)
        probabilities, uncertainty = self.probabilities(logits)
        stage, survival = self.stage(joined), self.survival(joined)
        heatmaps = []
        for place, found in enumerate(maps):
            own = gradient[:, place * FEATURES : (place + 1) * FEATURES]
            # An absent picture had no part in the answer: its map is zero.
            own = own * present[place] if present else own
            heatmaps.append(grad_cam(found, own @ self.features[place].weight))
        summary = self.summary(probabilities, uncertainty, stage, survival, *present)
        return probabilities, uncertainty, *heatmaps, stage, survival, summary


class StagedClassifier(_Staged):
    """One picture."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """See `answer`."""
        return self.answer((pixels,), ())


class FusionClassifier(_Staged):
    """CT and MRI, either of which may be absent: its features are zero, as in training."""

    def forward(
        self, ct_pixels: Tensor, ct_present: Tensor, mri_pixels: Tensor, mri_present: Tensor
    ) -> tuple[Tensor, ...]:
        """See `answer`; arguments in the order of the first step's outputs."""
        return self.answer((ct_pixels, mri_pixels), (ct_present, mri_present))
