"""The parts that the graphs of pictures share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from export.nets.vision import create_feature_extractor

# torchvision's normalisation of the ImageNet models, which all the source projects use.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """Pixels → the last spatial feature map.

    Args:
        net: a network, or the encoder of one.
        feature_map: the submodule whose output is wanted.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, feature_map: str) -> None:
        super().__init__()
        # A tower of transformers cannot be traced into by torch.fx; it is one piece.
        whole = [type(part) for part in net.modules() if type(part).__module__.startswith("transformers.")]
        self.body = create_feature_extractor(
            net, {feature_map: "feature_map"}, tracer_kwargs={"leaf_modules": whole} if whole else None
        )
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, K, h, w] of UINT8 [B, 3, H, W]."""
        feature_map: Tensor = self.body((pixels.to(torch.float32) - self.mean) / self.std)["feature_map"]
        return feature_map


class Probabilities(nn.Module):
    """Logits → probabilities and their normalised entropy.

    Args:
        classes: C.
        temperature: divides the logits. Source: Guo et al., arXiv 1706.04599.
    """

    def __init__(self, classes: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.log_classes = math.log(classes)

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(probabilities [..., C], entropy / log C [..., 1] in 0..1) of logits [..., C]."""
        log_probabilities = torch.log_softmax(logits / self.temperature, dim=-1)
        probabilities = log_probabilities.exp()
        return probabilities, self._normalised(-(probabilities * log_probabilities).sum(-1, keepdim=True))

    def entropy(self, probabilities: Tensor) -> Tensor:
        """Normalised entropy [..., 1] of probabilities [..., C] that are not at hand as logarithms."""
        logarithms = probabilities.clamp(min=torch.finfo(torch.float32).tiny).log()
        return self._normalised(-(probabilities * logarithms).sum(-1, keepdim=True))

    def _normalised(self, entropy: Tensor) -> Tensor:
        return (entropy / self.log_classes).clamp(0.0, 1.0)


def grad_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM [B, h, w] in 0..1, of the class whose gradient is given.

    Behind a global average pool the gradient at each position is `gradient / (h w)`; the constant
    falls out of the scaling to 0..1. A product and a sum, not a matrix product: runtimes that lower
    the precision of matrix products leave it alone.

    Args:
        feature_map: [B, K, h, w].
        gradient: [B, K], of the predicted logit by the pooled features.

    Source: Selvaraju et al., arXiv 1610.02391, equations 1 and 2.
    """
    cam = torch.relu((feature_map * gradient[:, :, None, None]).sum(1))
    low, high = cam.amin((1, 2), keepdim=True), cam.amax((1, 2), keepdim=True)
    # The smallest FP32 there is, only against 0 / 0: an untrained net's map may be 1e-12 high and whole.
    return (cam - low) / (high - low).clamp(min=torch.finfo(torch.float32).tiny)
