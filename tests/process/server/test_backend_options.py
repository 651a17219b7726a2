"""The onnxruntime backend's reading of configs, its batching and its engines, without a server."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf.json_format import MessageToDict

from export.graphs import serving_graph
from export.models import all_specs
from export.spec import ModelSpec
from export.to_onnx import export_onnx
from server.backends.onnxruntime import engine as engines
from server.backends.onnxruntime.batching import answer_all
from server.backends.onnxruntime.completion import TRITON_TYPES, complete
from server.backends.onnxruntime.engine import OnnxRuntimeEngine, open_engine
from server.backends.onnxruntime.options import ConfigError, Options, from_config
from server.repository import Repository
from tests.support.checkout import ROOT
from tests.support.specs import tiny_specs


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


def _config(**changes):
    return {"name": "net", "default_model_filename": "fp32.onnx"} | changes


def _parameters(**values: str):
    return {key: {"string_value": value} for key, value in values.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("fp32.onnx", "model.onnx"):
        (tmp_path / name).touch()
    return tmp_path


def test_defaults_are_the_cpp_backends(folder: Path) -> None:
    assert from_config({"name": "net"}, folder) == Options(file=folder / "model.onnx")
    assert from_config(_config(), folder).file.name == "fp32.onnx"


def test_parameters(folder: Path) -> None:
    values = _parameters(
        intra_op_thread_count="3", inter_op_thread_count="2", execution_mode="1", enable_mem_arena="0"
    ) | {"memory.enable_memory_arena_shrinkage": {"string_value": "cpu:0"}}
    options = from_config(_config(parameters=values), folder)
    assert (options.threads, options.inter_op_threads, options.parallel, options.arena) == (3, 2, True, False)
    assert options.shrink_arena


@pytest.mark.parametrize(
    ("level", "name"), [(-1, "ORT_ENABLE_BASIC"), (1, "ORT_ENABLE_EXTENDED"), (2, "ORT_DISABLE_ALL")]
)
def test_graph_levels(folder: Path, level: int, name: str) -> None:
    assert from_config(_config(optimization={"graph": {"level": level}}), folder).graph_level == name


def _accelerator(name: str):
    return {"execution_accelerators": {"cpu_execution_accelerator": [{"name": name}]}}


def test_openvino_is_recognised_and_others_are_refused(folder: Path) -> None:
    assert from_config(_config(optimization=_accelerator("openvino")), folder).openvino
    with pytest.raises(ConfigError, match="expected openvino, got tvm"):
        from_config(_config(optimization=_accelerator("tvm")), folder)


def _on_gpu(**accelerator: object) -> dict:
    accelerators = {"execution_accelerators": {"gpu_execution_accelerator": [{"name": "cuda"} | accelerator]}}
    return _config(instance_group=[{"kind": "KIND_GPU"}], optimization=accelerators)


def test_cuda_options_are_those_of_the_cpp_backend(folder: Path) -> None:
    values = _parameters(cudnn_conv_algo_search="1", arena_extend_strategy="1", gpu_mem_limit="4096")
    options = from_config(_on_gpu(parameters={"use_tf32": "0"}) | {"parameters": values}, folder)
    assert options.cuda == {
        "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": "4096",
    }  # fmt: skip
    assert from_config(_config(parameters=values), folder).cuda is None  # a CPU config ignores them


def test_a_gpu_option_that_is_none_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cudnn_conv_algo_search: expected one of 0, 1, 2, got '3'"):
        from_config(_on_gpu() | {"parameters": _parameters(cudnn_conv_algo_search="3")}, folder)
    with pytest.raises(ConfigError, match="gpu_execution_accelerator: expected cuda, got tensorrt"):
        from_config(_on_gpu(name="tensorrt"), folder)


@pytest.mark.parametrize("spec", all_specs().values(), ids=lambda spec: spec.name)
def test_committed_cuda_profile_computes_exact_fp32(spec: ModelSpec, folder: Path) -> None:
    config = Repository.read(ROOT / "model_repository", "cuda").configs[spec.net]
    options = from_config(MessageToDict(config, preserving_proto_field_name=True), folder)
    assert options.file.name == "fp32.onnx"
    assert options.threads == 1
    assert options.cuda["use_tf32"] == "0"
    assert options.cuda["cudnn_conv_algo_search"] == "HEURISTIC"
    assert int(options.cuda["gpu_mem_limit"]) > 4 * spec.parameters


def test_cuda_that_cannot_be_had_is_an_error_and_never_the_cpu(repository: Path) -> None:
    file = repository / "pneumonia_net" / "1" / "fp32.onnx"
    with pytest.raises(ConfigError, match=r"expected onnxruntime on CUDA to load it, .* expected onnxruntime-gpu, got"):
        open_engine(Options(file=file, cuda={}))


def test_cuda_provider_that_does_not_start_is_an_error(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime-gpu on a machine without a driver: it warns, and offers its CPU provider instead."""
    real = engines.onnxruntime.InferenceSession

    def session(file, sess_options, providers):
        assert providers == [("CUDAExecutionProvider", {"use_tf32": "0"})]
        return real(file, sess_options=sess_options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(engines.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(engines.onnxruntime, "InferenceSession", session)
    file = repository / "pneumonia_net" / "1" / "fp32.onnx"
    with pytest.raises(ConfigError, match="expected CUDAExecutionProvider to start, got CPUExecutionProvider"):
        open_engine(Options(file=file, cuda={"use_tf32": "0"}))


def test_mistakes_are_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match="intra_op_thread_count: expected a whole number, got 'two'"):
        from_config(_config(parameters=_parameters(intra_op_thread_count="two")), folder)
    with pytest.raises(ConfigError, match="found none"):
        from_config(_config(default_model_filename="int8.onnx"), folder)


def test_requests_of_equal_shape_share_a_run_and_get_their_own_rows() -> None:
    runs = []

    def run(inputs, outputs):
        runs.append(inputs["x"].shape)
        return [inputs["x"] * (i + 2) for i, _ in enumerate(outputs)]

    requests = [({"x": np.full((rows, width), float(place))}, ["b"] if place else ["a", "b"])
                for place, (rows, width) in enumerate([(1, 3), (2, 3), (1, 5), (3, 3)])]  # fmt: skip
    answers = answer_all(requests, run, batched=True)
    assert runs == [(6, 3), (1, 5)]
    for place, ((inputs, names), answer) in enumerate(zip(requests, answers, strict=True)):
        assert list(answer) == names
        assert answer["b"].shape == inputs["x"].shape
        assert (answer["b"] == place * (2 if place == 2 else 3)).all()


def test_a_failing_group_fails_alone() -> None:
    def run(inputs, outputs):
        if inputs["x"].shape[1] == 5:
            raise RuntimeError("no")
        return [inputs["x"]]

    good, bad = ({"x": np.ones((1, 3))}, ["y"]), ({"x": np.ones((1, 5))}, ["y"])
    first, second, third = answer_all([good, bad, good], run, batched=True)
    assert isinstance(second, RuntimeError)
    assert first["y"].shape == third["y"].shape == (1, 3)


def test_without_a_batch_axis_each_runs_alone() -> None:
    runs = []

    def run(inputs, outputs):
        runs.append(inputs["x"].shape)
        return [inputs["x"]]

    answers = answer_all([({"x": np.ones(3)}, ["y"])] * 2, run, batched=False)
    assert runs == [(3,), (3,)]
    assert [answer["y"].shape for answer in answers] == [(3,), (3,)]


def test_strings_cannot_be_completed() -> None:
    class Node:
        name, type, shape = "text", "tensor(string)", ["batch"]

    class Config:
        def as_dict(self):
            return {}

        def set_max_batch_size(self, size):
            pass

        set_dynamic_batching = add_input = lambda *_: None

    assert "tensor(string)" not in TRITON_TYPES
    with pytest.raises(ValueError, match="expected a numeric tensor"):
        complete(Config(), [Node()], [])


@pytest.fixture(scope="module")
def net(repository: Path) -> Path:
    return repository / "pneumonia_net" / "1" / "fp32.onnx"


def _pixels() -> dict[str, np.ndarray]:
    return {"pixels": np.random.default_rng(0).integers(0, 255, (3, 3, 224, 224), np.uint8)}


def test_both_engines_answer_alike_and_keep_the_fingerprint(net: Path) -> None:
    reference = OnnxRuntimeEngine(Options(file=net)).run(_pixels(), ["summary", "probabilities"])
    if platform.machine() != "x86_64":
        pytest.skip("OpenVINO is served on x86-64 alone")
    answers = open_engine(Options(file=net, threads=1, openvino=True)).run(_pixels(), ["summary", "probabilities"])
    assert np.array_equal(answers[0][:, :2], reference[0][:, :2])
    assert np.abs(answers[1] - reference[1]).max() < 0.03


def test_answers_outlive_the_next_run(net: Path) -> None:
    for engine in (OnnxRuntimeEngine(Options(file=net)), open_engine(Options(file=net, openvino=True))):
        (first,) = engine.run(_pixels(), ["heatmap"])
        kept = first.copy()
        engine.run({"pixels": 255 - _pixels()["pixels"]}, ["heatmap"])
        assert np.array_equal(first, kept), engine.name


def test_the_compiled_model_is_kept_and_a_broken_one_replaced(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(engines.CACHE_VARIABLE, str(tmp_path))
    (expected,) = open_engine(Options(file=net, openvino=True)).run(_pixels(), ["probabilities"])
    (blob,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    for content in (blob.read_bytes()[: blob.stat().st_size // 2], b"", b"not a model"):
        blob.write_bytes(content)
        (again,) = open_engine(Options(file=net, openvino=True)).run(_pixels(), ["probabilities"])
        assert np.array_equal(again, expected)


@pytest.mark.slow
def test_a_compiled_model_is_never_taken_for_another_of_the_same_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies and image layers set times; trainings of one network are of one size. Measured: without the
    content in its key the cache answered with the old weights."""
    monkeypatch.setenv(engines.CACHE_VARIABLE, str(tmp_path / "compiled"))
    spec = tiny_specs()["pneumonia_cnn"]
    file = tmp_path / "fp32.onnx"
    sizes = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        fingerprint = export_onnx(serving_graph(spec.build().eval(), spec), spec, file)
        os.utime(file, (1000, 1000))
        sizes.add(file.stat().st_size)
        (summary,) = open_engine(Options(file=file, openvino=True)).run(_pixels(), ["summary"])
        assert tuple(summary[0, :2]) == fingerprint
    assert len(sizes) == 1


def test_no_usage_reporter_is_loaded(net: Path) -> None:
    import sys

    open_engine(Options(file=net, openvino=True))
    assert not [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]


@pytest.mark.parametrize("reason", ["wheel", "machine"])
def test_without_openvino_nothing_else_serves_what_was_compared_on_it(
    net: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "wheel":
        monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    else:
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(ConfigError, match=r"expected OpenVINO to load it, got ImportError|ModuleNotFoundError"):
        open_engine(Options(file=net, openvino=True))


def test_a_file_that_is_no_onnx_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.onnx"
    file.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"bad\.onnx: expected OpenVINO to load it"):
        open_engine(Options(file=file, openvino=True))
