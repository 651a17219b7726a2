"""One picture, one class."""

from __future__ import annotations

from torch import Tensor, nn

from export.graphs.base import ServingGraph
from export.graphs.parts import Encoder, Probabilities, grad_cam
from export.nets.dropout import MonteCarloHead
from export.nets.explained import ExplainedHead
from export.spec import ModelSpec


class ImageClassifier(ServingGraph):
    """Probabilities, normalised entropy, Grad-CAM and, where the head has dropout, MC dropout.

    Args:
        net: the network with its weights; `spec.explained` and `spec.head` name its parts.
        spec: the model's declaration.
        temperature: divides the logits.
    """

    def __init__(self, net: nn.Module, spec: ModelSpec, temperature: float) -> None:
        super().__init__()
        (picture,) = spec.explained
        head = net.get_submodule(spec.head)
        self.encoder = Encoder(net, picture.feature_map)
        self.head = ExplainedHead(head)
        self.probabilities = Probabilities(len(spec.labels), temperature)
        self.sampled = MonteCarloHead(head, spec.mc_passes) if spec.mc_passes else None

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """In the order of the spec's outputs, then `summary`, for UINT8 [B, 3, H, W]."""
        feature_map = self.encoder(pixels)
        pooled = feature_map.mean((2, 3))
        logits, gradient = self.head(pooled)
        probabilities, uncertainty = self.probabilities(logits)
        heatmap = grad_cam(feature_map, gradient)
        if self.sampled is None:
            return probabilities, uncertainty, heatmap, self.summary(probabilities, uncertainty)
        mean, variance, aleatoric, epistemic = self._sample(self.sampled(pooled))
        summary = self.summary(probabilities, uncertainty, aleatoric, epistemic)
        return probabilities, uncertainty, heatmap, mean, variance, aleatoric, epistemic, summary

    def _sample(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(mean [B, C], variance [B, C], aleatoric [B, 1], epistemic [B, 1]) of logits [B, T, C].

        The entropy of the mean is the whole doubt; the mean entropy is what every mask agrees on.
        Source: Depeweg et al., arXiv 1710.07283, equation 2.
        """
        each, entropy = self.probabilities(logits)
        mean = each.mean(1)
        aleatoric = entropy.mean(1)
        epistemic = (self.probabilities.entropy(mean) - aleatoric).clamp(min=0.0)
        deviation = each - mean.unsqueeze(1)
        return mean, (deviation * deviation).mean(1), aleatoric, epistemic
