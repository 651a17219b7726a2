"""A serving graph → an ONNX file that carries its own fingerprint."""

from __future__ import annotations

import ast
import hashlib
import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from export.artefact import external
from export.graphs.base import ServingGraph
from export.spec import ModelSpec

OPSET = 18  # TensorRT parses 17 to 20; the exporter writes 18 without converting
EXTERNAL_BYTES = 1 << 30
EXTERNAL_TENSOR_BYTES = 1 << 16  # smaller ones stay in the file, the fingerprint among them
BITS = 24  # of the fingerprint in each of its two numbers: all are exact in FP32


def export_onnx(graph: ServingGraph, spec: ModelSpec, file: Path) -> tuple[int, int]:
    """Write `file` and return its fingerprint.

    Two exports of the same weights by the same tools are the same bytes. Weights of more than
    EXTERNAL_BYTES go into `external(file)` beside it: a protobuf message cannot hold more than 2 GiB.

    Args:
        graph: in inference mode, with its weights.
        spec: gives names and dims.
        file: to be written.
    """
    return write_stamped(traced(graph, spec), file)


def traced(graph: ServingGraph, spec: ModelSpec) -> onnx.ModelProto:
    """The graph in ONNX, without a fingerprint; the batch axis and every -1 of the spec's dims stay dynamic."""
    with warnings.catch_warnings(), _quiet("torch.onnx"), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations, none of them ours to act on
        program = torch.onnx.export(
            graph,
            _example(spec),
            dynamo=True,
            dynamic_shapes=_dynamic_axes(spec),
            input_names=[tensor.name for tensor in spec.step.outputs],
            output_names=[*(output.name for output in spec.outputs), "summary"],
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError(f"{spec.name}: torch.onnx.export returned nothing")
    model = program.model_proto
    _name_nodes(model)
    _strip(model)
    return model


def write_stamped(model: onnx.ModelProto, file: Path) -> tuple[int, int]:
    """Give the model the fingerprint of its content, write it, and return the fingerprint."""
    fingerprint = _stamp(model)
    _write(model, file)
    onnx.checker.check_model(file)
    return fingerprint


def _name_nodes(model: onnx.ModelProto) -> None:
    """Call each node after its place in the PyTorch module: "encoder.body.layer1.0.conv1/Conv".

    After its weights where it has any: a convolution that swallowed its batch norm would bear that one's name.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        scopes = [prop.value for prop in node.metadata_props if prop.key == "pkg.torch.onnx.name_scopes"]
        path = _module(ast.literal_eval(scopes[0]) if scopes else [])
        own = [name for name in node.input if name in weights and name.endswith(".weight")]
        name = f"{own[0].removesuffix('.weight') if own else path}/{node.op_type}"
        seen[name] += 1
        node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"


def _module(scopes: list[str]) -> str:
    """The innermost module of a node: the exporter lists them from "" inwards, and the operation last."""
    return scopes[-2] if scopes[:1] == [""] else ""


def _write(model: onnx.ModelProto, file: Path) -> None:
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > EXTERNAL_BYTES:
        onnx.save_model(
            model, file, save_as_external_data=True, location=external(file).name, size_threshold=EXTERNAL_TENSOR_BYTES
        )
    else:
        file.write_bytes(model.SerializeToString(deterministic=True))


def _example(spec: ModelSpec) -> tuple[torch.Tensor, ...]:
    """Zeros of every net input, batch 2; a dynamic size becomes 32."""
    kinds = {"UINT8": torch.uint8, "FP32": torch.float32}
    return tuple(
        torch.zeros((2, *(32 if size < 0 else size for size in tensor.dims)), dtype=kinds[tensor.dtype])
        for tensor in spec.step.outputs
    )


def _dynamic_axes(spec: ModelSpec) -> tuple[dict[int, torch.export.Dim], ...]:
    batch, size = torch.export.Dim("batch"), torch.export.Dim("size")
    return tuple(
        {0: batch} | {axis: size for axis, length in enumerate(tensor.dims, 1) if length < 0}
        for tensor in spec.step.outputs
    )


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: stack traces with the paths of this machine."""
    del model.metadata_props[:], model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for item in (
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
    ):
        del item.metadata_props[:]
        item.doc_string = ""


def _stamp(model: onnx.ModelProto) -> tuple[int, int]:
    """Hash the model with a blank fingerprint and write 48 bits of the hash into it.

    Tensor by tensor: the whole message may be too large to serialise.
    """
    digest = hashlib.sha256()
    for tensor in model.graph.initializer:
        digest.update(tensor.SerializeToString(deterministic=True))
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.opset_import, *model.functions):
        digest.update(part.SerializeToString(deterministic=True))
    bits = int.from_bytes(digest.digest()[: 2 * BITS // 8], "big")
    fingerprint = (bits >> BITS, bits & ((1 << BITS) - 1))
    (blank,) = (tensor for tensor in model.graph.initializer if tensor.name == "fingerprint")
    stamped = numpy_helper.from_array(np.array([fingerprint], np.float32), "fingerprint")
    blank.CopyFrom(stamped)
    return fingerprint


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Silence a logger inside a block: the exporter logs its progress as warnings."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
