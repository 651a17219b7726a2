"""The serving graphs: raw tensors in, everything a caller is told out, in one forward pass.

Normalisation, temperature, softmax, entropy, Grad-CAM and MC dropout are ordinary operations of the
graph, so that ONNX, FP16, INT8 and TensorRT all answer alike and no step after the net computes anything.
"""

from __future__ import annotations

from importlib import import_module

from torch import nn

from export.graphs.base import ServingGraph
from export.spec import ModelSpec

# By name: graphs of molecules import PyTorch Geometric, which takes seconds, and no other needs it.
_GRAPHS = {
    "image_classifier": "image:ImageClassifier",
    "staged_classifier": "staged:StagedClassifier",
    "fusion_classifier": "staged:FusionClassifier",
    "molecule_regressor": "molecule:MoleculeRegressor",
}


def serving_graph(net: nn.Module, spec: ModelSpec, temperature: float = 1.0) -> ServingGraph:
    """The graph that `spec` declares, around `net`, in inference mode.

    Args:
        net: the network with its weights.
        spec: the model's declaration.
        temperature: divides a classifier's logits; 1.0 until it is fitted.
    """
    module, _, name = _GRAPHS[spec.graph].partition(":")
    graph: ServingGraph = getattr(import_module(f"{__name__}.{module}"), name)(net, spec, temperature)
    return graph.eval()
