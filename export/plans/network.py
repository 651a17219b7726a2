"""An ONNX file → TensorRT's network, strongly typed, and what its layers compute in.

The library comes as an argument: `tensorrt` 10 or 11, or `tensorrt_rtx`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx

from export.plans.check import ARITHMETIC, Found, Layer
from export.plans.plan import EngineError

SHOWN = 5  # tensors in a message
OPERANDS = 2  # of a layer that multiplies; the third input of a convolution is its bias
_NAMES = {"FLOAT": "FP32", "HALF": "FP16"}  # TensorRT's → Triton's; the others are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A network and the parser, which owns the weights: both are needed until the plan is built."""

    network: Any
    parser: Any


def refuse_integer_biases(file: Path) -> None:
    """Name the one thing that onnxruntime's default quantisation does and TensorRT does not take.

    Raises:
        EngineError: DequantizeLinear of an Int32 tensor.
    """
    graph = onnx.load(file, load_external_data=False).graph
    integers = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT32}
    found = [node.input[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in integers]
    if found:
        raise EngineError(
            f"{file.name}: expected biases in floating point, got Int32 DequantizeLinear of {len(found)} "
            f"({', '.join(found[:SHOWN])}{', …' if len(found) > SHOWN else ''}), which TensorRT refuses. "
            "Quantise with QuantizeBias=False."
        )


def new_network(trt: ModuleType, builder: Any) -> Any:
    """An empty network whose tensors keep the types of the graph.

    TensorRT 10 and RTX must be told; in 11 every network is so, and the flag may be gone.

    Raises:
        EngineError: a TensorRT that would choose the types itself.
    """
    flag = getattr(getattr(trt, "NetworkDefinitionCreationFlag", None), "STRONGLY_TYPED", None)
    if flag is not None:
        return builder.create_network(1 << int(flag))
    if int(trt.__version__.split(".")[0]) >= 11:
        return builder.create_network(0)
    raise EngineError(
        f"{trt.__name__} {trt.__version__}: expected strongly typed networks, which 10.12 and later have, got none. "
        "Install a later one."
    )


def parse(trt: ModuleType, builder: Any, logger: Any, file: Path) -> Parsed:
    """Raises EngineError with every error of the parser."""
    refuse_integer_biases(file)
    network = new_network(trt, builder)
    parser = trt.OnnxParser(network, logger)
    if parser.parse_from_file(str(file)):
        return Parsed(network=network, parser=parser)
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    told = "; ".join(map(_told, errors)) or "none that it names, so the file itself cannot be read"
    raise EngineError(
        f"{file.name}: expected a graph that TensorRT parses, got {len(errors)} errors: {told}. "
        "Replace those nodes in the serving graph."
    )


def _told(error: Any) -> str:
    return f"{error.node_operator()} {error.node_name()!r}: {error.code().name}, {error.desc().strip()}"


def tensors(network: Any) -> tuple[list[Found], list[Found]]:
    """Inputs and outputs."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    return [_found(tensor) for tensor in inputs], [_found(tensor) for tensor in outputs]


def layers(network: Any) -> list[Layer]:
    """Every layer with its precision.

    In a strongly typed network a multiplication is of the type of its operands; it is INT8 where
    both come from a DequantizeLinear of INT8, which TensorRT fuses into it.
    """
    every = [network.get_layer(index) for index in range(network.num_layers)]
    makers = {tensor.name: layer for layer in every for tensor in _outputs(layer)}
    return [Layer(name=layer.name, type=layer.type.name, precision=_precision(layer, makers)) for layer in every]


def _precision(layer: Any, makers: dict[str, Any]) -> str:
    if layer.type.name not in ARITHMETIC:
        return next((_name(tensor) for tensor in _outputs(layer)), "")
    inputs = (layer.get_input(index) for index in range(min(OPERANDS, layer.num_inputs)))
    operands = [tensor for tensor in inputs if tensor is not None]
    stored = [_stored(tensor, makers) for tensor in operands]
    # One operand: the layer holds its weights itself, which are then of the type of its input.
    return stored[0] if len(set(stored)) == 1 and len(stored) == OPERANDS else _name(operands[0])


def _stored(tensor: Any, makers: dict[str, Any]) -> str:
    """The type that an operand has before it is dequantised, if it is."""
    maker = makers.get(tensor.name)
    while maker is not None and maker.type.name == "SHUFFLE":  # a transposed or reshaped weight
        maker = makers.get(maker.get_input(0).name)
    if maker is None or maker.type.name != "DEQUANTIZE":
        return _name(tensor)
    return _name(maker.get_input(0))


def _outputs(layer: Any) -> Iterator[Any]:
    return (layer.get_output(index) for index in range(layer.num_outputs))


def _found(tensor: Any) -> Found:
    return Found(name=tensor.name, dtype=_name(tensor), dims=tuple(tensor.shape))


def _name(tensor: Any) -> str:
    return _NAMES.get(tensor.dtype.name, tensor.dtype.name)
