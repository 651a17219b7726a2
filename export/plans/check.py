"""Whether a plan is what was asked for: its tensors and the precision of its layers.

Knows nothing of TensorRT but the names of its layers; `export.to_engine` reads them out.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export.plans.plan import EngineError, Precision
from export.precision.nodes import in_encoder
from export.spec import ModelSpec, Tensor

ARITHMETIC = frozenset({"CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY", "EINSUM"})
CONVOLUTIONS = frozenset({"CONVOLUTION", "DECONVOLUTION"})
# How many of the layers that count must be in the precision asked for. A graph may keep a head in
# FP32, or convolutions that lose too much in INT8; one that keeps more is another graph.
SHARE: Mapping[Precision, float] = {"fp32": 1.0, "fp16": 0.8, "int8": 0.5}
FOREIGN: Mapping[Precision, frozenset[str]] = {
    "fp32": frozenset({"FP16", "BF16", "INT8", "FP8", "INT4", "FP4"}),
    "fp16": frozenset({"BF16", "INT8", "FP8", "INT4", "FP4"}),
    "int8": frozenset({"FP8", "INT4", "FP4"}),
}
SHOWN = 5  # offending layers in a message

_KEYS = ("Datatype", "Format/Datatype")  # the engine inspector's, of TensorRT 11 and of 10
_WORDS = (
    (re.compile(r"\bint8\b", re.I), "INT8"),
    (re.compile(r"\b(half|fp16)\b", re.I), "FP16"),
    (re.compile(r"\b(bf16|bfloat16)\b", re.I), "BF16"),
    (re.compile(r"\b(float|fp32)\b", re.I), "FP32"),
    (re.compile(r"\bfp8\b", re.I), "FP8"),
)
_CONVOLVES = re.compile(r"conv(?!er)", re.I)
_MULTIPLIES = re.compile(r"gemm|matmul|matrixmultiply|einsum|mha", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer; `precision` is what it computes in, as "FP32", "FP16", "INT8"; "" where unknown."""

    name: str
    type: str
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A tensor of the network, `dims` with the batch axis and -1 where dynamic."""

    name: str
    dtype: str
    dims: tuple[int, ...]


def counts(layers: Iterable[Layer]) -> dict[str, dict[str, int]]:
    """Type → precision → how many, of the layers that multiply."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for layer in layers:
        if layer.type in ARITHMETIC:
            found[layer.type][layer.precision] += 1
    return {kind: dict(sorted(precisions.items())) for kind, precisions in sorted(found.items())}


def check_precision(file: str, layers: Sequence[Layer], asked: Precision) -> None:
    """Every layer in "fp32"; of the encoder's that multiply, SHARE in "fp16"; of its convolutions, SHARE in "int8".

    An encoder without convolutions is judged by its matrix multiplications.

    Args:
        file: named in the error.
        layers: of the network or of the plan.
        asked: what the file is meant to be.

    Raises:
        EngineError: other precisions than asked for, or no layer to judge by.
    """
    arithmetic = [layer for layer in layers if layer.type in ARITHMETIC]
    # Lower precisions are the encoder's alone; where a library has renamed its layers, all are judged.
    encoder = [layer for layer in arithmetic if asked == "fp32" or in_encoder(layer.name)]
    judged = encoder or arithmetic
    if asked == "int8":
        judged = [layer for layer in judged if layer.type in CONVOLUTIONS] or judged
    right = [layer for layer in judged if layer.precision == asked.upper()]
    foreign = [layer for layer in layers if layer.precision in FOREIGN[asked]]
    if right and len(right) >= SHARE[asked] * len(judged) and not foreign:
        return
    offending = foreign or [layer for layer in judged if layer not in right]
    shown = ", ".join(f"{layer.name} ({layer.type} {layer.precision})" for layer in offending[:SHOWN])
    raise EngineError(
        f"{file}: precision: expected {asked}, got {_found(judged)}; {len(offending)} offending, first: "
        f"{shown or 'none, for nothing multiplies'}. Precision lives in the ONNX graph: convert or quantise that."
    )


def check_tensors(file: str, spec: ModelSpec, inputs: Sequence[Found], outputs: Sequence[Found]) -> None:
    """Names, types and dims against the spec's.

    Raises:
        EngineError: listing every difference.
    """
    wrong = [
        *_differences("input", spec.step.outputs, inputs),
        *_differences("output", (*spec.outputs, spec.summary), outputs),
    ]
    if wrong:
        raise EngineError(f"{file}: tensors: {'; '.join(wrong)}. Export {spec.name} again from its spec.")


def inspected(text: str) -> list[Layer]:
    """The layers of an engine inspector's JSON whose precision it tells.

    Without DETAILED verbosity, or for shapes that are not set, it tells none.

    Source: TensorRT developer guide, Engine Inspector; migration guide 10.x to 11.x, IEngineInspector.
    """
    found = json.loads(text).get("Layers", ())
    layers = [_inspected(layer) for layer in found if isinstance(layer, dict)]
    return [layer for layer in layers if layer.precision]


def _found(layers: Sequence[Layer]) -> str:
    kinds = Counter(f"{layer.type} {layer.precision}" for layer in layers)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no layer that multiplies"


def _differences(kind: str, wanted: Sequence[Tensor], found: Sequence[Found]) -> list[str]:
    expected = {tensor.name: (tensor.dtype, (-1, *tensor.dims)) for tensor in wanted}
    got = {tensor.name: (tensor.dtype, tensor.dims) for tensor in found}
    return [
        f"{kind} {name}: expected {_written(expected.get(name))}, got {_written(got.get(name))}"
        for name in sorted(expected | got)
        if expected.get(name) != got.get(name)
    ]


def _written(tensor: tuple[str, tuple[int, ...]] | None) -> str:
    return f"{tensor[0]} {list(tensor[1])}" if tensor else "none"


def _inspected(layer: Mapping[str, Any]) -> Layer:
    """Weights tell what a layer computes in; without them its first input does."""
    kind = f"{layer.get('LayerType', '')} {layer.get('ParameterType', '')}"
    weights = layer.get("Weights")
    told = [weights.get("Type", "")] if isinstance(weights, dict) else []
    told += [str(tensor[key]) for tensor in layer.get("Inputs", ())[:1] for key in _KEYS if key in tensor]
    precision = next((name for text in told for pattern, name in _WORDS if pattern.search(text)), "")
    return Layer(name=str(layer.get("Name", "?")), type=_type(kind), precision=precision)


def _type(kind: str) -> str:
    """TensorRT's many kernels → the network's layer types."""
    if _CONVOLVES.search(kind):
        return "CONVOLUTION"
    return "MATRIX_MULTIPLY" if _MULTIPLIES.search(kind) else kind.split(" ")[0]
