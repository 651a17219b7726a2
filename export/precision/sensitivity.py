"""What eight bits do to what the encoder hands on, and how much of it each layer does: by leaving each out.

Measured on feature maps, not on answers: thousands of figures for each picture tell a layer's part where
a few probabilities tell mostly chance (DECISIONS.md). Nothing here sees a picture of the comparison.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from export.precision.nodes import layers, leaving

BATCH = 8
Inputs = Mapping[str, NDArray[np.generic]]


class Harm:
    """Compares INT8 forms of one FP32 model on the same items.

    Args:
        original: the FP32 model.
        inputs: calibration items, [N, ...].
    """

    def __init__(self, original: onnx.ModelProto, inputs: Inputs) -> None:
        self._original, self._inputs = original, inputs
        self._watched = _floats(original, leaving(original))
        self._expected = self._features(original)

    def of(self, quantised: onnx.ModelProto) -> float:
        """Squared error of the feature maps, as a share of their own squares."""
        squares = [
            (float(((want - got) ** 2).sum()), float((want**2).sum()))
            for want, got in zip(self._expected, self._features(quantised), strict=True)
        ]
        return sum(error / (whole or 1.0) for error, whole in squares) / len(squares)

    def by_layer(self, quantised: onnx.ModelProto) -> list[tuple[str, float]]:
        """Every quantised layer with what leaving it out takes off `of`, most harmful first."""
        whole, eight = self.of(quantised), _eight_bit_layers(quantised)
        gains = [
            (layer.name, whole - self.of(self._without(quantised, layer.name)))
            for layer in layers(self._original)
            if layer.name in eight
        ]
        return sorted(gains, key=lambda gain: -gain[1])

    def _features(self, model: onnx.ModelProto) -> list[NDArray[np.float64]]:
        watched = copy.deepcopy(model)
        del watched.graph.output[:]
        watched.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in self._watched
        )
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # constants that nothing reads any more
        session = onnxruntime.InferenceSession(
            watched.SerializeToString(), sess_options=settings, providers=["CPUExecutionProvider"]
        )
        batches: list[list[Any]] = [session.run(None, batch) for batch in self._batches()]
        return [np.concatenate(parts).astype(np.float64) for parts in zip(*batches, strict=True)]

    def _batches(self) -> list[dict[str, NDArray[np.generic]]]:
        count = len(next(iter(self._inputs.values())))
        return [
            {name: array[start : start + BATCH] for name, array in self._inputs.items()}
            for start in range(0, count, BATCH)
        ]

    def _without(self, quantised: onnx.ModelProto, layer: str) -> onnx.ModelProto:
        """The INT8 model with one layer reading what it read in FP32."""
        model = copy.deepcopy(quantised)
        (source,) = (node for node in self._original.graph.node if node.name == layer)
        (target,) = (node for node in model.graph.node if node.name == layer)
        target.input[:2] = source.input[:2]
        there = {tensor.name for tensor in model.graph.initializer}
        model.graph.initializer.extend(
            tensor
            for tensor in self._original.graph.initializer
            if tensor.name in source.input[:2] and tensor.name not in there
        )
        return model


def _floats(model: onnx.ModelProto, names: list[str]) -> list[str]:
    """Those that hold FP32: a shape may leave the encoder too."""
    typed = onnx.shape_inference.infer_shapes(model).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*typed.value_info, *typed.output)}
    return [name for name in names if kinds.get(name) == onnx.TensorProto.FLOAT]


def _eight_bit_layers(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that read nothing but dequantised values."""
    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return {node.name for node in model.graph.node if len(node.input) > 1 and set(node.input[:2]) <= dequantised}
