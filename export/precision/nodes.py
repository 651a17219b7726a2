"""Which nodes of a serving graph may be lowered. `export.to_onnx` names each after its place in the module."""

from __future__ import annotations

import re

import onnx

# As the graphs call the part that looks at pixels or atoms: Encoder, and the molecule's networks.
_BODY = re.compile(r"(encoder|encoders\.\d+|members\.\d+)[./]")
_WEIGHTED = ("Conv", "MatMul", "Gemm")


def in_encoder(name: str) -> bool:
    """Whether a node of this name belongs to an encoder."""
    return _BODY.match(name) is not None


def body(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The encoder's nodes in order, each encoder from its first weighted layer on.

    Raises:
        ValueError: none: the graph calls its encoder something else.
    """
    found: list[onnx.NodeProto] = []
    begun: set[str] = set()
    for node in model.graph.node:
        match = _BODY.match(node.name)
        if match is None:
            continue
        if node.op_type in _WEIGHTED:
            begun.add(match[1])
        if match[1] in begun:
            found.append(node)
    if not found:
        raise ValueError(f"expected nodes named encoder…, encoders.N… or members.N…, got {model.graph.node[-1].name}…")
    return found


def layers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The encoder's convolutions and products with weights of their own: what eight bits are for."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [
        node for node in body(model) if node.op_type in _WEIGHTED and any(name in constants for name in node.input[:2])
    ]


def leaving(model: onnx.ModelProto) -> list[str]:
    """The tensors that the rest of the graph reads of the encoder: feature maps, or what is made of atoms."""
    inner = body(model)
    names = {node.name for node in inner}
    made = {name for node in inner for name in node.output}
    asked = {name for node in model.graph.node if node.name not in names for name in node.input}
    return sorted(made & (asked | {value.name for value in model.graph.output}))
