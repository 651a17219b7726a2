"""FP16: the encoder in sixteen bits, its unsafe operations not."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from export.precision.nodes import body, leaving
from export.to_onnx import write_stamped

# Sums over many terms and exponentials: beyond 65504, or below 2^-24, where FP16 ends.
UNSAFE = ("Softmax", "LogSoftmax", "LayerNormalization", "ReduceMean", "ReduceSum", "Exp", "Log", "Pow", "Sqrt", "Erf")


def write_half(source: Path, target: Path) -> tuple[int, int]:
    """Write the FP16 form of an FP32 file, inputs and outputs as they were; returns its fingerprint.

    The encoder is cut out and converted by itself: given the whole graph, the converter passes FP16
    between the nodes that it was told to leave alone, and no fingerprint survives that.
    """
    model = onnx.load(source)
    inner = body(model)
    # Typed: the converter casts what it knows to be FP32.
    part = onnx.helper.make_model(_cut_out(model, inner), opset_imports=model.opset_import, ir_version=model.ir_version)
    _unshare(part.graph)
    half = convert_float_to_float16(part, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *UNSAFE])
    lowered = {node.name for node in inner}
    outer = [node for node in model.graph.node if node.name not in lowered]
    needed = {name for node in outer for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    own = {tensor.name for tensor in constants}
    for tensor in half.graph.initializer:
        if tensor.name in own:  # both sides use it, each in its own type
            _rename(half.graph, tensor, f"{tensor.name}:half")
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend([*outer, *half.graph.node])
    model.graph.initializer.extend([*constants, *half.graph.initializer])
    OnnxModel(model).topological_sort()
    return write_stamped(model, target)


def _cut_out(model: onnx.ModelProto, inner: list[onnx.NodeProto]) -> onnx.GraphProto:
    """The graph of these nodes: what crosses into them is its inputs, what others need of them its outputs."""
    typed = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name: value for value in (*typed.value_info, *typed.input, *typed.output)}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {name for node in inner for name in node.output}
    read = {name for node in inner for name in node.input if name}
    return onnx.helper.make_graph(
        inner,
        "body",
        [known[name] for name in sorted(read - made - set(constants))],
        [known[name] for name in leaving(model)],
        [constants[name] for name in sorted(read & set(constants))],
    )


def _unshare(graph: onnx.GraphProto) -> None:
    """Give unsafe nodes constants of their own: the converter casts one shared with others once for each reader."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in UNSAFE:
            for place, read in enumerate(node.input):
                if read in constants:
                    own = graph.initializer.add()
                    own.CopyFrom(constants[read])
                    own.name = node.input[place] = f"{read}:{node.name}"


def _rename(graph: onnx.GraphProto, tensor: onnx.TensorProto, name: str) -> None:
    for node in graph.node:
        for place, read in enumerate(node.input):
            if read == tensor.name:
                node.input[place] = name
    tensor.name = name
