"""What goes wrong in practice, done on purpose to a trained network: the gate of INT8 stops each of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from export.artefact import ARTEFACT, folder_of
from export.engines import run
from export.graphs import serving_graph
from export.loading import loaded_net
from export.models import all_specs
from export.parity import Reference
from export.pictures import Folder, Items, gather
from export.precision.int8 import SYMMETRIC, write_quantised
from export.precision.nodes import layers
from export.precision.ranges import activations, ranges
from export.precision.repair import quantised
from export.spec import ModelSpec
from export.suspects import suspects
from export.to_onnx import export_onnx
from export.variants import variants
from report.comparison import Comparison
from tests.support.samples import SampleData

pytestmark = pytest.mark.slow  # trained networks of real size; test_publish.py does harm to a tiny one

CNN, EFFICIENTNET = all_specs()["pneumonia_cnn"], all_specs()["pneumonia"]
TEMPERATURE = 2.9


def _items(spec: ModelSpec, sample_data: SampleData, which: slice) -> tuple[Items, Items]:
    found = gather(spec, Folder(sample_data.folder / "data" / "cxr", {}))
    return tuple(
        replace(
            items,
            inputs={name: array[which] for name, array in items.inputs.items()},
            labels=items.labels[which],
        )
        for items in found
    )


def _reference(spec: ModelSpec, fp32: Path, items: Items) -> Reference:
    """FP32 on onnxruntime stands for PyTorch, to which its own gate holds it."""
    answers = run(spec, fp32, "onnxruntime", "fp32", items.inputs).answers
    return Reference(spec=spec, expected={k: v for k, v in answers.items() if k != "summary"}, items=items)


@pytest.fixture(scope="module")
def cnn(
    sample_data: SampleData, checkpoints: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Reference, Items]:
    """A calibrated FP32 file, what its variants are held to, and 24 pictures to calibrate on."""
    if checkpoints is None:
        pytest.skip("needs the sample checkpoints")
    net, _ = loaded_net(CNN, checkpoints / CNN.weights.filename)
    file = tmp_path_factory.mktemp("cnn") / ARTEFACT
    export_onnx(serving_graph(net, CNN, TEMPERATURE), CNN, file)
    compared, calibrating = _items(CNN, sample_data, slice(48))
    held = _reference(CNN, file, compared)
    return file, replace(held, suspects=cache(lambda: suspects(net, CNN, compared, TEMPERATURE))), calibrating


def _gated(cnn: tuple[Path, Reference, Items], source: Path, target: Path, black: bool = False) -> Comparison:
    _, reference, calibrating = cnn
    inputs = {name: array[:24] for name, array in calibrating.inputs.items()}
    if black:
        inputs = {name: np.zeros_like(array) for name, array in inputs.items()}
    first = layers(onnx.load(source))[0].name  # what repair keeps of this network
    fingerprint = write_quantised(source, target, ranges(activations(source, inputs), "99.999 %"), SYMMETRIC, [first])
    (found,) = reference.comparisons(target, "int8", ["onnxruntime"], fingerprint)
    return found


def _scale_weights(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name.startswith("encoder.body") and tensor.name.endswith(".weight"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.1), tensor.name))


def _swap_channels(model: onnx.ModelProto) -> None:
    first = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    for tensor in model.graph.initializer:
        if tensor.name == first:
            swapped = np.ascontiguousarray(numpy_helper.to_array(tensor)[:, ::-1])
            tensor.CopyFrom(numpy_helper.from_array(swapped, tensor.name))


def _forget_normalisation(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name in ("encoder.mean", "encoder.std"):
            value = {"encoder.mean": 0.0, "encoder.std": 255.0}[tensor.name]
            same = np.full_like(numpy_helper.to_array(tensor), value)
            tensor.CopyFrom(numpy_helper.from_array(same, tensor.name))


def _drop_temperature(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.size == 1 and array.dtype == np.float32 and abs(float(array.ravel()[0]) - TEMPERATURE) < 1e-6:
            tensor.CopyFrom(numpy_helper.from_array(np.ones_like(array), tensor.name))


def test_a_sound_one_passes(cnn, tmp_path: Path) -> None:
    assert _gated(cnn, cnn[0], tmp_path / "int8.onnx").refused == ()


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (_scale_weights, "the weights were scaled by 1.1"),
        (_swap_channels, "red and blue were swapped behind the normalisation"),
        (_forget_normalisation, "the normalisation was forgotten"),
        (_drop_temperature, "the temperature was dropped"),
    ],
)
def test_a_false_one_does_not(cnn, tmp_path: Path, harm, named: str | None) -> None:
    model = onnx.load(cnn[0])
    before = model.SerializeToString()
    harm(model)
    assert model.SerializeToString() != before, "the harm hit nothing"
    onnx.save(model, tmp_path / "harmed.onnx")
    refused = _gated(cnn, tmp_path / "harmed.onnx", tmp_path / "int8.onnx").refused
    print(harm.__name__, refused)
    figures = [sentence for sentence in refused if sentence.startswith("int8 on onnxruntime, 48 samples: ")]
    assert figures
    fault = [f"these are the answers of a network where {named}"] if named else []
    assert list(refused) == figures + fault


def test_calibration_on_black_pictures_does_not(cnn, tmp_path: Path) -> None:
    """Its figures are refused; and it is not even made, and told by its name, where it would be published."""
    assert _gated(cnn, cnn[0], tmp_path / "int8.onnx", black=True).refused
    file, reference, calibrating = cnn
    inputs = {name: array.copy() for name, array in calibrating.inputs.items()}
    inputs["pixels"][:3] = 0
    for made in variants(reference, replace(calibrating, inputs=inputs), file, trained=True, anyway=False):
        told = f"not calibrated: 3 of {len(calibrating)} pictures to calibrate on are blank: take them out"
        assert made.precision != "int8" or made.why == (told,)


class _Films(CalibrationDataReader):
    def __init__(self, pixels: np.ndarray) -> None:
        self._left = [{"pixels": pixels[start : start + 8]} for start in range(0, len(pixels), 8)]

    def get_next(self) -> dict | None:
        return self._left.pop() if self._left else None


@pytest.fixture(scope="module")
def efficientnet(repository: Path, sample_data: SampleData, checkpoints: Path | None) -> tuple[Path, Reference, Items]:
    if checkpoints is None:
        pytest.skip("needs the sample checkpoints")
    fp32 = folder_of(EFFICIENTNET, repository) / ARTEFACT
    third = slice(None, None, 3)  # all of them take twice as long
    compared, calibrating = _items(EFFICIENTNET, sample_data, third)
    return fp32, _reference(EFFICIENTNET, fp32, compared), calibrating


@pytest.mark.slow
def test_the_default_recipe_ruins_efficientnet_and_is_stopped(efficientnet, tmp_path: Path) -> None:
    """onnxruntime's `quantize_static` as its documentation has it: every operator, min-max, by tensor."""
    fp32, reference, calibrating = efficientnet
    quantize_static(fp32, tmp_path / "int8.onnx", _Films(calibrating.inputs["pixels"]))
    (found,) = reference.comparisons(tmp_path / "int8.onnx", "int8", ["onnxruntime"], (0, 0))
    print(f"label flips {found.label_flips} of {found.samples}", found.refused)
    assert any("labels: expected at most " in sentence for sentence in found.refused)
    assert found.label_flips > 0.1 * found.samples


@pytest.mark.slow
def test_efficientnet_passes_after_repair_in_tensorrts_form(efficientnet, tmp_path: Path) -> None:
    fp32, reference, calibrating = efficientnet
    (tmp_path / ARTEFACT).write_bytes(fp32.read_bytes())
    made = quantised(reference, calibrating, tmp_path / ARTEFACT, SYMMETRIC)
    print(made.how.ranges, made.how.kept, made.how.looks, [found.refused for found in made.comparisons])
    assert made.passes
    assert 0 < len(made.how.kept) <= 8
    assert made.how.calibrated == calibrating.origin
