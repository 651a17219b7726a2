"""FP16 and INT8 as graphs: what is lowered, what is not, and that repair finds the layers that do the harm."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from export import samples
from export.artefact import ARTEFACT, folder_of
from export.engines import run
from export.graphs import serving_graph
from export.precision import repair
from export.precision.half import UNSAFE, write_half
from export.precision.int8 import SYMMETRIC, UNSIGNED, Form, write_quantised
from export.precision.nodes import body, layers
from export.precision.ranges import METHODS, Seen, activations, ranges
from export.precision.sensitivity import Harm
from export.to_onnx import export_onnx
from tests.support.specs import affordable_specs

SPECS = affordable_specs()
CNN = SPECS["pneumonia_cnn"]


@pytest.fixture(scope="module", params=["tiny", pytest.param("real", marks=pytest.mark.slow)])
def repository(request: pytest.FixtureRequest) -> Path:
    """Tiny networks, and for the slow tests real ones where those are at hand."""
    folder: Path = request.getfixturevalue("tiny_repository" if request.param == "tiny" else "mixed_repository")
    return folder


def _fp32(repository: Path, name: str) -> Path:
    return folder_of(SPECS[name], repository) / ARTEFACT


def _constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose layers form one chain, with random weights; no gate judges it."""
    torch.manual_seed(5)
    file = tmp_path_factory.mktemp("cnn") / ARTEFACT
    export_onnx(serving_graph(CNN.build().eval(), CNN), CNN, file)
    return file


@pytest.fixture(scope="module")
def quantised(cnn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Form, onnx.ModelProto]:
    folder = tmp_path_factory.mktemp("int8")
    seen = activations(cnn, samples.generated(CNN, 4))
    for form in (SYMMETRIC, UNSIGNED):
        write_quantised(cnn, folder / form.file, ranges(seen, "99.999 %"), form)
    return {form: onnx.load(folder / form.file) for form in (SYMMETRIC, UNSIGNED)}


@pytest.mark.parametrize("name", list(SPECS))
def test_fp16_lowers_the_encoder_and_nothing_else(name: str, repository: Path, tmp_path: Path) -> None:
    spec, fp32 = SPECS[name], onnx.load(_fp32(repository, name))
    write_half(_fp32(repository, name), tmp_path / "fp16.onnx")
    half = onnx.load(tmp_path / "fp16.onnx")
    assert list(half.graph.input) == list(fp32.graph.input)
    assert [output.name for output in half.graph.output] == [output.name for output in fp32.graph.output]
    assert {output.type.tensor_type.elem_type for output in half.graph.output} == {TensorProto.FLOAT}
    constants, lowered = _constants(half), {node.name for node in body(fp32)}
    for node in half.graph.node:
        own = [constants[read] for read in node.input if read in constants and constants[read].dtype.kind == "f"]
        expected = np.float16 if node.name in lowered and node.op_type not in UNSAFE else np.float32
        if node.op_type != "Cast":
            assert {array.dtype for array in own} <= {np.dtype(expected)}, node.name
    assert constants["fingerprint"].dtype == np.float32
    answers = run(spec, tmp_path / "fp16.onnx", "onnxruntime", "fp16", samples.generated(spec, 2))
    assert (answers.answers["summary"][:, :2] == constants["fingerprint"]).all()


def test_int8_of_the_encoders_layers_alone(cnn: Path, quantised: dict[Form, onnx.ModelProto]) -> None:
    names = {node.name for node in layers(onnx.load(cnn))}
    for model in quantised.values():
        dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
        eight = {node.name for node in model.graph.node if set(node.input[:2]) <= dequantised and len(node.input) > 1}
        assert eight == names
        quantises = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
        assert (
            len(quantises) == len({node.input[0] for node in quantises}) <= len(names)
        )  # what is read, not what is given


@pytest.mark.parametrize(("form", "kind"), [(SYMMETRIC, np.int8), (UNSIGNED, np.uint8)], ids=["symmetric", "unsigned"])
def test_the_forms_of_int8(quantised: dict[Form, onnx.ModelProto], form: Form, kind: type) -> None:
    model = quantised[form]
    constants = _constants(model)
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            assert constants[node.input[2]].dtype == kind
            assert form is UNSIGNED or constants[node.input[2]] == 0
        if node.op_type == "DequantizeLinear":
            assert constants[node.input[1]].dtype == np.float32
            zero = constants[node.input[2]]
            assert zero.dtype in (kind, np.int8)  # never Int32: TensorRT refuses it
            if node.input[0] in constants:  # weights: by channel, around zero
                assert constants[node.input[0]].dtype == np.int8
                assert len(zero) == len(constants[node.input[0]])
                assert not zero.any()


def test_a_layer_that_is_kept_reads_what_it_read(cnn: Path, tmp_path: Path) -> None:
    source = onnx.load(cnn)
    first, *_, last = layers(source)
    seen = activations(cnn, samples.generated(CNN, 2))
    write_quantised(cnn, tmp_path / "int8.onnx", ranges(seen, "all values"), SYMMETRIC, [first.name, last.name])
    found = {node.name: list(node.input) for node in onnx.load(tmp_path / "int8.onnx").graph.node}
    assert found[first.name] == list(first.input)
    assert found[last.name] == list(last.input)


@pytest.mark.slow  # a network of real size
@pytest.mark.parametrize("name", ["chest_xray"])
def test_a_quarter_of_the_bytes(name: str, real_repository: Path, tmp_path: Path) -> None:
    """The target is 27 % of FP32 for a ResNet50."""
    fp32 = _fp32(real_repository, name)
    seen = activations(fp32, samples.generated(SPECS[name], 2))
    for form in (SYMMETRIC, UNSIGNED):
        write_quantised(fp32, tmp_path / form.file, ranges(seen, "all values"), form)
        assert (tmp_path / form.file).stat().st_size <= 0.27 * fp32.stat().st_size
    write_half(fp32, tmp_path / "fp16.onnx")
    assert (tmp_path / "fp16.onnx").stat().st_size <= 0.51 * fp32.stat().st_size


def test_how_wide_ranges_are() -> None:
    counts = np.zeros(2001)
    centres = np.linspace(-1, 1, 2001)
    counts[1000:1101] = 10_000  # 0 to 0.1: a million values
    counts[2000] = 50  # and one far out, fifty times
    seen = {"x": Seen(counts, centres, 0.0, 1.0)}
    ends = {method: float(ranges(seen, method).tensors["x"].highest) for method in METHODS}
    assert ends["all values"] == 1.0
    assert ends["99.999 %"] == 1.0
    assert ends["99.99 %"] == pytest.approx(0.1)
    assert ends["99.9 %"] == pytest.approx(0.1, abs=2e-3)
    assert all(float(ranges(seen, method).tensors["x"].lowest) == 0.0 for method in METHODS)


def test_the_layer_that_does_the_harm_comes_first(cnn: Path, tmp_path: Path) -> None:
    inputs = samples.generated(CNN, 4)
    source = onnx.load(cnn)
    victim = layers(source)[4]
    found = ranges(activations(cnn, inputs), "all values")
    found.tensors[victim.input[0]].highest = np.float32(found.tensors[victim.input[0]].highest * 40)
    write_quantised(cnn, tmp_path / "int8.onnx", found, SYMMETRIC)
    harm = Harm(source, inputs)
    assert harm.of(source) == 0
    ranked = harm.by_layer(onnx.load(tmp_path / "int8.onnx"))
    assert {name for name, _ in ranked} == {node.name for node in layers(source)}
    assert ranked[0][0] == victim.name
    assert ranked[0][1] > 3 * ranked[1][1]


class _Gate:
    """Content once a layer's number is kept; counts how often it is asked."""

    def __init__(self, enough: int, layer_count: int) -> None:
        self.enough, self.layer_count, self.asked = enough, layer_count, []

    def keeping(self, count: int) -> SimpleNamespace:
        self.asked.append(count)
        how = SimpleNamespace(layers=self.layer_count - count, kept=tuple(range(count)))
        return SimpleNamespace(passed=count >= self.enough, passes=2 * (count >= self.enough), how=how)


@pytest.mark.parametrize(
    ("enough", "kept"), [(0, 0), (1, 1), (2, 2), (3, 3), (5, 5), (8, 8), (11, 11), (16, 16), (17, 0), (99, 0)]
)
def test_repair_keeps_the_fewest_layers_or_none(monkeypatch: pytest.MonkeyPatch, enough: int, kept: int) -> None:
    gate = _Gate(enough, 40)
    monkeypatch.setattr(repair, "_Attempts", lambda *_: gate)
    made = repair.quantised(None, None, Path("fp32.onnx"), SYMMETRIC)
    assert len(made.how.kept) == kept
    assert made.passed is (kept >= enough)
    assert len(gate.asked) <= 12


def test_repair_prefers_what_passes_on_most_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing passes on both; four layers back make it pass on one, and more change nothing."""
    gate = _Gate(99, 40)
    attempt = gate.keeping

    def keeping(count: int) -> SimpleNamespace:
        return SimpleNamespace(**vars(attempt(count)) | {"passes": int(count >= 4)})

    monkeypatch.setattr(gate, "keeping", keeping)
    monkeypatch.setattr(repair, "_Attempts", lambda *_: gate)
    assert len(repair.quantised(None, None, Path("fp32.onnx"), SYMMETRIC).how.kept) == 4
