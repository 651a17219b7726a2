"""ONNX files through a real TensorRT builder: `tensorrt_rtx`, which needs no GPU."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, SimpleNamespace

import onnx
import pytest
from onnx import helper

from export import to_engine
from export.artefact import ARTEFACT, folder_of
from export.plans import config as builder_config
from export.plans import network as onnx_network
from export.plans import plan
from export.plans.check import Layer
from export.plans.config import TimingCache, configured, targets, timing_cache
from export.plans.network import new_network
from export.plans.plan import EngineError
from export.precision.half import write_half
from export.precision.int8 import SYMMETRIC, write_quantised
from export.precision.ranges import activations, ranges
from export.samples import generated
from export.spec import ModelSpec
from export.to_engine import Order, build_plan
from report.plan import Plan
from server import gpu
from tests.support import tiny_onnx as tiny
from tests.support.specs import affordable_specs

rtx = pytest.importorskip("tensorrt_rtx", reason="needs tensorrt_rtx (pip install tensorrt-rtx-cu13)")
AMPERE_AND_LATER = ("8.0", "8.6", "8.9", "12.0", "12.1")
FILES: dict[str, Callable[[Path], Path]] = {"fp32": tiny.fp32, "fp16": tiny.fp16, "int8": tiny.int8}


@pytest.fixture(scope="module", params=["tiny", pytest.param("real", marks=pytest.mark.slow)])
def repository(request: pytest.FixtureRequest) -> Path:
    """Tiny networks, and for the slow tests real ones where those are at hand."""
    folder: Path = request.getfixturevalue("tiny_repository" if request.param == "tiny" else "mixed_repository")
    return folder


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _gpu(monkeypatch, None)


def _gpu(monkeypatch: pytest.MonkeyPatch, capability: str | None) -> None:
    for module in (to_engine, builder_config):
        monkeypatch.setattr(module, "compute_capability", lambda: capability)


def _build(file: Path, precision: str = "fp32", spec: ModelSpec | None = None, **more: object) -> Plan:
    order = Order(onnx=file, spec=spec or tiny.spec(), precision=precision, **more)
    return build_plan(order, file.parent / "rtx.plan")


def _refused(file: Path, precision: str = "fp32", **more: object) -> str:
    """The sentence; asserts that no plan was left, not even a part of one."""
    before = set(file.parent.iterdir())
    with pytest.raises(EngineError) as refused:
        _build(file, precision, **more)
    assert set(file.parent.iterdir()) == before
    return str(refused.value)


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("spec", affordable_specs().values(), ids=lambda spec: spec.name)
def test_every_model_builds(spec: ModelSpec, precision: str, repository: Path, tmp_path: Path) -> None:
    """INT8 from generated pictures: what it answers is another test's matter."""
    if precision in dict(spec.unsupported):
        pytest.skip(f"unsupported: {dict(spec.unsupported)[precision]}")
    file = fp32 = folder_of(spec, repository) / ARTEFACT
    if precision != "fp32":
        file = tmp_path / f"{precision}.onnx"
    if precision == "fp16":
        write_half(fp32, file)
    if precision == "int8":
        write_quantised(fp32, file, ranges(activations(fp32, generated(spec, 2)), "all values"), SYMMETRIC)
    made = build_plan(Order(onnx=file, spec=spec, precision=precision), tmp_path / "rtx.plan")
    print(f"{spec.name} {precision}: {made.build_s} s, {made.size_bytes:,} bytes, {made.layers}")
    assert made.batch == (1, min(8, spec.max_batch), spec.max_batch)
    assert spec.max_batch == {"skin_lesion_medgemma": 4, "solubility": 64}.get(spec.name, 16)
    assert precision != "fp32" or {each for kinds in made.layers.values() for each in kinds} == {"FP32"}


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("asked", FILES)
@pytest.mark.parametrize("made_as", FILES)
def test_a_file_is_what_it_says_or_refused(made_as: str, asked: str, tmp_path: Path) -> None:
    file = FILES[made_as](tmp_path)
    if made_as == asked:
        assert _build(file, asked).layers["CONVOLUTION"] == {asked.upper(): 3}
    else:
        told = _refused(file, asked)
        assert told.startswith(f"{file.name}: precision: expected {asked}, got 3 CONVOLUTION {made_as.upper()}")
        assert "first: " in told


@pytest.mark.usefixtures("without_gpu")
def test_a_convolution_left_out_of_quantisation_is_counted(tmp_path: Path) -> None:
    made = _build(tiny.int8(tmp_path, without=("conv1",)), "int8")
    assert made.layers["CONVOLUTION"] == {"FP32": 1, "INT8": 2}
    told = _refused(tiny.int8(tmp_path, without=("conv1", "conv2")), "int8")
    assert "got 2 CONVOLUTION FP32, 1 CONVOLUTION INT8; 2 offending, first: conv1 (CONVOLUTION FP32), conv2" in told


@pytest.mark.usefixtures("without_gpu")
def test_an_int8_operand_alone_makes_no_int8_layer(tmp_path: Path) -> None:
    """Quantised activations with weights in FP32: the convolution runs in FP32."""
    file = tiny.int8(tmp_path)
    model = onnx.load(file)
    for node in model.graph.node:
        if node.op_type == "Conv":
            node.input[1] = node.name.replace("conv", "w")
    onnx.save(model, file)
    assert "got 3 CONVOLUTION FP32; 3 offending" in _refused(file, "int8")


@pytest.mark.usefixtures("without_gpu")
def test_a_quantised_weight_may_be_transposed(tmp_path: Path) -> None:
    file = tiny.int8(tmp_path)
    model = onnx.load(file)
    (conv,) = (node for node in model.graph.node if node.name == "conv2")
    order = {"perm": [1, 0, 2, 3]}  # the kernel is square in its channels
    model.graph.node.insert(0, helper.make_node("Transpose", [conv.input[1]], ["turned"], "turn", **order))
    conv.input[1] = "turned"
    onnx.save(model, file)
    assert _build(file, "int8").layers["CONVOLUTION"] == {"INT8": 3}


@pytest.mark.usefixtures("without_gpu")
def test_eight_bits_of_another_kind_are_not_int8(tmp_path: Path) -> None:
    file = tiny.int8(tmp_path)
    model = onnx.load(file)
    model.opset_import[0].version = 19  # the first with FP8
    for tensor in model.graph.initializer:
        if tensor.name.endswith("_zero_point"):
            zeros = [0.0] * math.prod(tensor.dims)
            tensor.CopyFrom(helper.make_tensor(tensor.name, onnx.TensorProto.FLOAT8E4M3FN, tensor.dims, zeros))
    onnx.save(model, file)
    assert "expected int8, got 3 CONVOLUTION FP8" in _refused(file, "int8")


@pytest.mark.usefixtures("without_gpu")
def test_a_bias_may_be_computed(tmp_path: Path) -> None:
    """Such a convolution holds its kernel itself, and its second input is none."""
    file = tiny.fp32(tmp_path)
    model = onnx.load(file)
    nodes = {node.name: node for node in model.graph.node}
    nodes["conv2"].input[2] = "bias"
    place = list(model.graph.node).index(nodes["conv2"])
    model.graph.node.insert(place, helper.make_node("Add", ["b2", "mean"], ["bias"]))
    model.graph.node.insert(place, helper.make_node("ReduceMean", ["c1"], ["mean"], keepdims=0))
    onnx.save(model, file)
    assert _build(file).layers["CONVOLUTION"] == {"FP32": 3}


def test_other_integers_are_no_biases(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["count"], ["float"], to=onnx.TensorProto.FLOAT)],
        "integers",
        [],
        [helper.make_tensor_value_info("float", onnx.TensorProto.FLOAT, [1])],
        [helper.make_tensor("count", onnx.TensorProto.INT32, [1], [3])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "a.onnx")
    onnx_network.refuse_integer_biases(tmp_path / "a.onnx")


@pytest.mark.usefixtures("without_gpu")
def test_int32_biases_are_refused_by_name(tmp_path: Path) -> None:
    told = _refused(tiny.int8(tmp_path, default=True), "int8")
    assert "Int32 DequantizeLinear of 3 (b1_quantized, b2_quantized, b3_quantized), which TensorRT refuses" in told
    assert told.endswith("Quantise with QuantizeBias=False.")


@pytest.mark.usefixtures("without_gpu")
def test_a_renamed_output_is_refused(tmp_path: Path) -> None:
    told = _refused(tiny.fp32(tmp_path, output="scores"))
    assert "output probabilities: expected FP32 [-1, 2], got none" in told
    assert "output scores: expected none, got FP32 [-1, 2]" in told


@pytest.mark.usefixtures("without_gpu")
def test_every_error_of_the_parser_is_told(tmp_path: Path) -> None:
    extra = (
        helper.make_node("Unique", ["f"], ["u"], "distinct"),
        helper.make_node("DynamicQuantizeLinear", ["f"], ["q", "s", "z"], "dynamic"),
    )
    told = _refused(tiny.fp32(tmp_path, extra=extra))
    assert "got 2 errors: Unique 'distinct': UNSUPPORTED_NODE" in told
    assert "; DynamicQuantizeLinear 'dynamic': UNSUPPORTED_NODE" in told


@pytest.mark.usefixtures("without_gpu")
def test_a_plan_is_described(tmp_path: Path) -> None:
    file = tiny.fp32(tmp_path)
    made = _build(file, timing_cache=tmp_path / "timing.cache")
    content = (tmp_path / "rtx.plan").read_bytes()
    assert {entry.name for entry in tmp_path.iterdir()} == {"fp32.onnx", "rtx.plan"}
    facts = asdict(made)
    assert facts.pop("build_s") > 0
    assert facts == {
        "file": "rtx.plan",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "library": f"tensorrt_rtx {rtx.__version__}",
        "compute_capabilities": AMPERE_AND_LATER,
        "precision": "fp32",
        "onnx": "fp32.onnx",
        "onnx_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "batch": (1, 4, 4),
        "layers": {"CONVOLUTION": {"FP32": 3}, "MATRIX_MULTIPLY": {"FP32": 2}},
        "checked_by": "network",
        "timing_cache": "unused by tensorrt_rtx",
        "comparison": None,
    }


@pytest.mark.usefixtures("without_gpu")
def test_what_the_builder_says_is_told(tmp_path: Path) -> None:
    """RTX compiles no FP32 matrix multiplication for Turing; the sentence is this build's, not an earlier one's."""
    file = tiny.fp32(tmp_path)
    for _ in range(2):
        told = _refused(file, capabilities=("7.5",))
        assert told.startswith("fp32.onnx: expected a plan for 7.5, got none: ")
        assert told.count("FP32 GEMM is not supported") == 1
    assert _build(file, capabilities=("8.9",)).compute_capabilities == ("8.9",)


@pytest.mark.usefixtures("without_gpu")
def test_an_interrupted_build_leaves_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    file = tiny.fp32(tmp_path)
    monkeypatch.setattr(plan.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _build(file)
    assert [entry.name for entry in tmp_path.iterdir()] == ["fp32.onnx"]


def test_the_configuration(tmp_path: Path) -> None:
    builder = rtx.Builder(to_engine._logger(rtx))
    assert builder.create_builder_config().get_flag(rtx.BuilderFlag.TF32), "on by default: the reason to clear it"
    config = configured(rtx, builder, tiny.spec(), ("8.0", "12.1"))
    assert not config.get_flag(rtx.BuilderFlag.TF32)
    assert config.profiling_verbosity == rtx.ProfilingVerbosity.DETAILED
    assert config.num_optimization_profiles == 1
    assert [config.get_compute_capability(index).name for index in range(2)] == ["SM80", "SM121"]


def test_rtx_builds_for_what_it_knows() -> None:
    assert targets(rtx, ()) == AMPERE_AND_LATER
    assert targets(rtx, ("7.5", "8.6")) == ("7.5", "8.6")
    with pytest.raises(EngineError, match=r"expected some of 7\.5, 8\.0, .*, 12\.1, got 9\.0, 8\.0"):
        targets(rtx, ("9.0", "8.0"))


def test_tensorrt_builds_for_the_gpu_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    trt = _fake("11.4.1")
    _gpu(monkeypatch, "7.5")
    assert targets(trt, ()) == targets(trt, ("7.5",)) == ("7.5",)
    with pytest.raises(EngineError, match=r"expected some of 7\.5, got 9\.0"):
        targets(trt, ("9.0",))
    _gpu(monkeypatch, None)
    with pytest.raises(EngineError, match="expected some of no GPU, got none"):
        targets(trt, ())


def _fake(version: str, **members: object) -> ModuleType:
    module = ModuleType("tensorrt")
    module.__dict__.update(__version__=version, **members)
    return module


BUILDER = SimpleNamespace(create_network=lambda flags: flags)


def test_networks_are_strongly_typed_in_every_version() -> None:
    flag = SimpleNamespace(STRONGLY_TYPED=1, EXPLICIT_BATCH=0)
    assert new_network(_fake("10.12.0.36", NetworkDefinitionCreationFlag=flag), BUILDER) == 2
    assert new_network(_fake("11.0.0", NetworkDefinitionCreationFlag=flag), BUILDER) == 2
    assert new_network(_fake("11.4.1", NetworkDefinitionCreationFlag=SimpleNamespace()), BUILDER) == 0
    assert new_network(_fake("12.0.0"), BUILDER) == 0
    with pytest.raises(EngineError, match=r"tensorrt 8\.6\.1: expected strongly typed networks"):
        new_network(_fake("8.6.1", NetworkDefinitionCreationFlag=SimpleNamespace(EXPLICIT_BATCH=0)), BUILDER)
    real = new_network(rtx, rtx.Builder(to_engine._logger(rtx)))
    assert real.get_flag(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def test_the_library_is_the_gpus(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    trt = _fake("11.4.1")
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    _gpu(monkeypatch, "9.0")
    assert to_engine.library() is trt
    _gpu(monkeypatch, None)
    assert to_engine.library() is rtx
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert not caplog.records
    _gpu(monkeypatch, "9.0")
    assert to_engine.library() is rtx
    assert "no tensorrt" in caplog.text
    bindings = ModuleType("tensorrt_bindings")  # all that NVIDIA's Triton image needs besides its own library
    monkeypatch.setitem(sys.modules, "tensorrt_bindings", bindings)
    assert to_engine.library() is bindings
    monkeypatch.setitem(sys.modules, "tensorrt_bindings", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(ValueError, match="pip install tensorrt-rtx-cu13"):
        to_engine.library()


class _Config:
    """The timing cache of `tensorrt`, for which building takes a GPU: fits what begins with "mine"."""

    def create_timing_cache(self, stored: bytes) -> SimpleNamespace | None:
        return None if stored == b"rubbish" else SimpleNamespace(stored=stored, serialize=lambda: b"mine, saved")

    def set_timing_cache(self, cache: SimpleNamespace, ignore_mismatch: bool) -> bool:
        self.attached = cache.stored
        return ignore_mismatch or cache.stored in (b"", b"mine")


@pytest.mark.parametrize(
    ("before", "use", "attached"),
    [
        (None, "new", b""),
        (b"mine", "reused", b"mine"),
        (b"another's", "refused, new", b""),
        (b"rubbish", "refused, new", b""),
    ],
)
def test_the_timing_cache_is_loaded_if_it_fits(before: bytes | None, use: str, attached: bytes, tmp_path: Path) -> None:
    file, config = tmp_path / "timing.cache", _Config()
    if before:
        file.write_bytes(before)
    times = timing_cache(_fake("11.4.1"), config, file)
    assert (times.use, config.attached) == (use, attached)
    times.save()
    assert file.read_bytes() == b"mine, saved"


@pytest.mark.usefixtures("without_gpu")
def test_the_timing_cache_is_saved_after_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = tmp_path / "timing.cache"
    times = TimingCache(use="new", file=saved, times=SimpleNamespace(serialize=lambda: b"times"))
    monkeypatch.setattr(to_engine, "timing_cache", lambda *_: times)
    _refused(tiny.fp32(tmp_path), capabilities=("7.5",))
    assert not saved.exists()
    assert _build(tiny.fp32(tmp_path)).timing_cache == "new"
    assert saved.read_bytes() == b"times"


def test_no_timing_cache_is_touched_unasked() -> None:
    times = timing_cache(_fake("11.4.1"), None, None)
    assert times.use == ""
    times.save()


def test_what_the_inspector_says_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the GPU that a plan is for, the plan itself is asked; a faked one, for loading takes a real one."""
    file, asked = tiny.fp32(tmp_path), []
    _gpu(monkeypatch, "8.9")
    half = [Layer(name="conv1", type="CONVOLUTION", precision="FP16")]
    monkeypatch.setattr(to_engine, "_inspect", lambda *_: asked.append(1) or half)
    assert _refused(file).startswith("rtx.plan: precision: expected fp32, got 1 CONVOLUTION FP16")
    monkeypatch.setattr(to_engine, "_inspect", lambda *_: [Layer(name="c", type="CONVOLUTION", precision="FP32")])
    made = _build(file)
    assert (made.checked_by, made.layers) == ("engine inspector", {"CONVOLUTION": {"FP32": 1}})
    monkeypatch.setattr(to_engine, "_inspect", lambda *_: [])
    assert _build(file).checked_by == "network"
    _gpu(monkeypatch, "9.0")
    monkeypatch.setattr(to_engine, "_inspect", lambda *_: half)
    assert _build(file).checked_by == "network", "no plan for this GPU"
    assert asked == [1]


def test_loading_a_plan_takes_a_gpu(tmp_path: Path) -> None:
    """Why RTX plans are checked by their network where there is no GPU."""
    if gpu.compute_capability():
        pytest.skip("this machine has a GPU")
    _build(tiny.fp32(tmp_path))
    content = memoryview((tmp_path / "rtx.plan").read_bytes())
    with pytest.raises(EngineError, match=r"expected one that this GPU loads, got none: .*CUDA driver"):
        to_engine._inspect(rtx, content, tiny.spec())


def test_a_plan_is_inspected_on_its_gpu(tmp_path: Path) -> None:
    capability = gpu.compute_capability()
    if capability is None:
        pytest.skip("needs a GPU that the installed TensorRT builds for")
    for precision, make in FILES.items():
        made = _build(make(tmp_path), precision)
        expected = "engine inspector" if capability in made.compute_capabilities else "network"
        assert made.checked_by == expected


def test_the_driver_is_asked_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def driver(init: int = 0, device: int = 0, attribute: int = 0) -> SimpleNamespace:
        def get(value: ctypes.c_int, which: int, _: ctypes.c_int) -> int:
            value._obj.value = {16: 132, 75: 12, 76: 1}[which]
            return attribute

        def name(buffer: ctypes.Array, _size: int, _device: ctypes.c_int) -> int:
            buffer.value = b"NVIDIA H100 80GB HBM3"
            return attribute

        return SimpleNamespace(
            cuInit=lambda _: init, cuDeviceGet=lambda _, index: device or index, cuDeviceGetAttribute=get,
            cuDeviceGetName=name,
        )  # fmt: skip

    def answer(library: object) -> str | None:
        monkeypatch.setattr(gpu.ctypes, "CDLL", library)
        return gpu.compute_capability()

    def absent(_: str) -> None:
        raise OSError("no such file")

    assert answer(lambda _: driver()) == "12.1"
    assert gpu.first_gpu() == gpu.Gpu("NVIDIA H100 80GB HBM3", "12.1", 132)
    assert answer(absent) is None
    assert gpu.first_gpu() is None
    assert answer(lambda _: driver(init=100)) is None
    assert answer(lambda _: driver(device=101)) is None
    with pytest.raises(OSError, match="expected 0, got error 3"):
        answer(lambda _: driver(attribute=3))


@pytest.mark.usefixtures("without_gpu")
def test_warnings_of_the_builder_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger = to_engine._logger(rtx)
    logger.errors.clear()
    with caplog.at_level(logging.INFO):
        for severity in (rtx.ILogger.INTERNAL_ERROR, rtx.ILogger.ERROR, rtx.ILogger.WARNING, rtx.ILogger.INFO):
            logger.log(severity, f" {severity.name} ")
    assert logger.errors == ["INTERNAL_ERROR", "ERROR"]
    assert [record.getMessage() for record in caplog.records] == ["tensorrt_rtx: WARNING"]


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_network, "refuse_integer_biases", lambda _: None)
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    assert "expected a graph that TensorRT parses, got" in _refused(tmp_path / "broken.onnx")
