"""The serving graphs: raw tensors in, everything a caller is told out, in one forward pass.

Normalisation, temperature, softmax, entropy, Grad-CAM and MC dropout are ordinary operations of the
graph, so that ONNX, FP16, INT8 and TensorRT all answer alike and no step after the net computes anything.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from export.graphs.base import ServingGraph
from export.graphs.image import ImageClassifier
from export.graphs.molecule import MoleculeRegressor
from export.graphs.staged import FusionClassifier, StagedClassifier
from export.spec import ModelSpec

_GRAPHS: dict[str, Callable[[nn.Module, ModelSpec, float], ServingGraph]] = {
    "image_classifier": ImageClassifier,
    "staged_classifier": StagedClassifier,
    "fusion_classifier": FusionClassifier,
    "molecule_regressor": MoleculeRegressor,
}


def serving_graph(net: nn.Module, spec: ModelSpec, temperature: float = 1.0) -> ServingGraph:
    """The graph that `spec` declares, around `net`, in inference mode.

    Args:
        net: the network with its weights.
        spec: the model's declaration.
        temperature: divides a classifier's logits; 1.0 until it is fitted.
    """
    return _GRAPHS[spec.graph](net, spec, temperature).eval()
