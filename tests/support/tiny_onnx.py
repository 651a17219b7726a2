"""A network of three convolutions in every precision, and the spec that it fulfils; made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from export.spec import ModelSpec, Step, Tensor, Weights
from report.rules import Rules

SIDE, CHANNELS, LABELS = 16, 8, ("normal", "ill")


def spec() -> ModelSpec:
    pixels = Tensor(name="pixels", dtype="UINT8", dims=(3, SIDE, SIDE), meaning="RGB")
    return ModelSpec(
        name="tiny",
        task="A test.",
        graph="image_classifier",
        build=lambda: None,
        parameters=0,
        weights=Weights(filename="tiny.pth"),
        step=Step(name="decode", function="preprocess.image:images_to_pixels", inputs=(), outputs=(pixels,)),
        outputs=(Tensor(name="probabilities", dtype="FP32", dims=(2,), meaning="of each label"),),
        labels=LABELS,
        rules=Rules(review_below_confidence=None),
        max_batch=4,
        intended_use="Tests.",
        disclaimer="None.",
        claim="None.",
    )


def fp32(folder: Path, *, name: str = "fp32.onnx", extra: tuple[onnx.NodeProto, ...] = (), output: str = "") -> Path:
    """UINT8 pixels → three convolutions → probabilities [2] and summary [5].

    Args:
        folder: where the file is written.
        name: of the file.
        extra: nodes that compute nothing the network needs.
        output: another name for `probabilities`.
    """
    random = np.random.default_rng(0)
    output = output or "probabilities"
    constants, nodes, last = [], [helper.make_node("Cast", ["pixels"], ["c0"], "cast", to=TensorProto.FLOAT)], "c0"
    for index, channels in enumerate((3, CHANNELS, CHANNELS), 1):
        kernel = random.normal(0, 0.2, (CHANNELS, channels, 3, 3)).astype(np.float32)
        bias = random.normal(0, 0.2, CHANNELS).astype(np.float32)
        constants += [numpy_helper.from_array(kernel, f"w{index}"), numpy_helper.from_array(bias, f"b{index}")]
        names = [last, f"w{index}", f"b{index}"]
        nodes.append(helper.make_node("Conv", names, [f"a{index}"], f"conv{index}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"a{index}"], [f"c{index}"], f"relu{index}"))
        last = f"c{index}"
    nodes += [helper.make_node("GlobalAveragePool", [last], ["p"], "pool"), helper.make_node("Flatten", ["p"], ["f"])]
    for target, size in ((output, 2), ("summary", 5)):
        weight = random.normal(0, 0.2, (CHANNELS, size)).astype(np.float32)
        constants.append(numpy_helper.from_array(weight, f"w_{target}"))
        nodes.append(helper.make_node("MatMul", ["f", f"w_{target}"], [target], f"head_{target}"))
    graph = helper.make_graph(
        [*nodes, *extra],
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", s]) for n, s in ((output, 2), ("summary", 5))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / name)
    return folder / name


def fp16(folder: Path) -> Path:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(fp32(folder)), keep_io_types=True)
    onnx.save(model, folder / "fp16.onnx")
    return folder / "fp16.onnx"


class _Pictures(CalibrationDataReader):
    def __init__(self) -> None:
        random = np.random.default_rng(1)
        self.left = [random.integers(0, 256, (2, 3, SIDE, SIDE), np.uint8) for _ in range(3)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {"pixels": self.left.pop()} if self.left else None


def int8(folder: Path, *, default: bool = False, without: tuple[str, ...] = ()) -> Path:
    """Quantised TensorRT's way, or onnxruntime's default way, which makes biases Int32."""
    file = folder / "int8.onnx"
    options = {} if default else {"AddQDQPairToWeight": True, "DedicatedQDQPair": True, "QuantizeBias": False}
    quantize_static(
        fp32(folder),
        file,
        _Pictures(),
        quant_format=QuantFormat.QDQ,
        per_channel=not default,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=list(without),
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, **options},
    )
    return file
