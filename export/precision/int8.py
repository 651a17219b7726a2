"""INT8 as Q/DQ pairs around the encoder's layers: weights in eight bits by channel, activations by tensor."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from export.precision.nodes import layers
from export.precision.ranges import Ranges
from export.to_onnx import write_stamped


@dataclass(frozen=True, slots=True)
class Form:
    """A dialect of Q/DQ.

    Args:
        name: said of it in the card.
        file: the artefact's name.
        symmetric: activations as int8 around zero, which TensorRT takes alone; else uint8 with a zero point,
            which spends no step on the negative values that follow no ReLU.
    """

    name: str
    file: str
    symmetric: bool


SYMMETRIC = Form("symmetric", "int8.onnx", symmetric=True)
UNSIGNED = Form("unsigned", "int8_cpu.onnx", symmetric=False)


def write_quantised(
    source: Path, target: Path, ranges: Ranges, form: Form, kept: Collection[str] = ()
) -> tuple[int, int]:
    """Write the INT8 form of an FP32 file; returns its fingerprint.

    Only what a layer reads is in eight bits, not what it gives: measured, that harms the answers half as much and is
    faster under OpenVINO and in TensorRT, which need no more (DECISIONS.md). onnxruntime alone, whose eight-bit
    kernels want both sides, is slower for it.

    Biases stay in FP32: TensorRT refuses Int32 ones. Scales too: onnxruntime up to 1.29 truncates behind FP16 scales.

    Args:
        source: the FP32 artefact.
        target: to be written.
        ranges: of its activations.
        form: see Form.
        kept: names of layers that stay in FP32.
    """
    model = onnx.load(source)
    chosen = [node for node in layers(model) if node.name not in set(kept)]
    kinds = sorted({node.op_type for node in chosen})
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if form.symmetric else QuantType.QUInt8,
        tensors_range=ranges.tensors,
        nodes_to_quantize=[node.name for node in chosen],
        nodes_to_exclude=[],
        op_types_to_quantize=kinds,
        extra_options={
            "ActivationSymmetric": form.symmetric,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": list(kinds),
            "DedicatedQDQPair": form.symmetric,
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return write_stamped(quantizer.model.model, target)
