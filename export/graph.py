"""The serving graph: raw tensors in, everything a caller is told out, in one forward pass.

Normalisation, temperature, softmax, entropy and Grad-CAM are ordinary operations of the graph,
so that ONNX, FP16, INT8 and TensorRT all answer alike and no step after the net computes anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from export.nets.heads import ExplainedHead
from export.spec import ModelSpec

# torchvision's normalisation of the ImageNet models, which all the source projects use.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
UNKNOWN_ELEMENT = 9  # "is another element" in preprocess.molecule.ATOM_FEATURES


class ServingGraph(nn.Module):
    """What is exported. Holds the fingerprint that names the artefact in its own answers.

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


class ImageClassifier(ServingGraph):
    """Probabilities, normalised entropy and Grad-CAM of one image classifier.

    Args:
        net: the network with its weights; `spec.feature_map` and `spec.head` name its parts.
        spec: the model's declaration.
        temperature: divides the logits; 1.0 until it is fitted. Source: Guo et al., arXiv 1706.04599.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, spec: ModelSpec, temperature: float = 1.0) -> None:
        super().__init__()
        from export.nets.vision import create_feature_extractor

        self.encoder = create_feature_extractor(net, {spec.feature_map: "feature_map"})
        self.head = ExplainedHead(net.get_submodule(spec.head))
        self.temperature = temperature
        self.log_classes = math.log(len(spec.labels))
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(probabilities [B, C], uncertainty [B, 1], heatmap [B, h, w], summary) of UINT8 [B, 3, H, W]."""
        feature_map = self.encoder((pixels.to(torch.float32) - self.mean) / self.std)["feature_map"]
        logits, gradient = self.head(feature_map.mean((2, 3)))
        log_probabilities = torch.log_softmax(logits / self.temperature, dim=1)
        probabilities = log_probabilities.exp()
        entropy = -(probabilities * log_probabilities).sum(1, keepdim=True)
        uncertainty = (entropy / self.log_classes).clamp(0.0, 1.0)
        heatmap = grad_cam(feature_map, gradient)
        return probabilities, uncertainty, heatmap, self.summary(probabilities, uncertainty)


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


class MoleculeRegressor(ServingGraph):
    """Log S of padded molecules.

    Args:
        net: `export.nets.gcn.SolubilityGCN` with its weights.
        spec: the model's declaration.
    """

    def __init__(self, net: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        from export.nets.gcn import DenseGCN, SolubilityGCN

        if not isinstance(net, SolubilityGCN):
            raise TypeError(f"{spec.name}: build(): expected a SolubilityGCN, got {type(net).__name__}")
        self.dense = DenseGCN(net)

    def forward(self, atoms: Tensor, bonds: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(log_s [B, 1], summary [B, 4]); see `DenseGCN.forward` for the arguments.

        The second figure counts the atoms that the features cannot tell apart (metals, `*`):
        the network has learnt little or nothing of them.
        """
        log_s = self.dense(atoms, bonds, mask)
        unknown_atoms = atoms[:, :, UNKNOWN_ELEMENT].sum(1, keepdim=True)
        return log_s, self.summary(log_s, unknown_atoms)


GRAPHS: dict[str, Callable[[nn.Module, ModelSpec], ServingGraph]] = {
    "image_classifier": ImageClassifier,
    "molecule_regressor": MoleculeRegressor,
}


def serving_graph(net: nn.Module, spec: ModelSpec) -> ServingGraph:
    """The graph that `spec` declares, around `net`, in inference mode."""
    return GRAPHS[spec.graph](net, spec).eval()
