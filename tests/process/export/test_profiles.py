"""Every way to serve a network: the same tensors, valid for Triton, and true of the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export import profiles
from export.models import all_specs
from export.plans.plan import COMPUTE_CAPABILITIES, plan_name
from export.plans.shapes import ranges
from export.precision.half import write_half
from export.spec import ModelSpec
from report.card import Card
from tests.support.checkout import ROOT
from tests.support.specs import affordable_specs

SPECS = affordable_specs()
COMMITTED = ROOT / "model_repository"
TYPES = {
    onnx.TensorProto.UINT8: pb.TYPE_UINT8,
    onnx.TensorProto.FLOAT: pb.TYPE_FP32,
}


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


def _configs(spec: ModelSpec, repository: Path) -> dict[str, pb.ModelConfig]:
    files = [repository / spec.net / "config.pbtxt", *(repository / spec.net / "configs").glob("*.pbtxt")]
    return {file.stem: text_format.Parse(file.read_text(), pb.ModelConfig()) for file in files}


@pytest.mark.parametrize("spec", all_specs().values(), ids=lambda spec: spec.name)
def test_all_profiles_have_the_same_tensors(spec: ModelSpec) -> None:
    configs = _configs(spec, COMMITTED)
    assert {"config", "tensorrt", "cuda"} <= set(configs)
    first = configs["config"]
    for config in configs.values():
        assert (config.name, config.max_batch_size) == (spec.net, spec.max_batch)
        assert list(config.input) == list(first.input)
        assert list(config.output) == list(first.output)
        own = config.dynamic_batching
        assert not own.HasField("default_queue_policy")  # see profiles.batching: half a second lost
        on_gpu = config.instance_group[0].kind == pb.ModelInstanceGroup.KIND_GPU
        assert own.max_queue_delay_microseconds == (profiles.GPU_DELAY_US if on_gpu else 0)


@pytest.mark.parametrize("spec", all_specs().values(), ids=lambda spec: spec.name)
def test_a_network_that_is_not_on_request_is_warm_before_it_is_ready(spec: ModelSpec) -> None:
    for profile, config in _configs(spec, COMMITTED).items():
        sizes = [sample.batch_size for sample in config.model_warmup]
        every = profile == "cuda" and spec.max_batch <= profiles.MAX_WARMED_BATCH
        largest = spec.max_batch if every else 8
        expected = range(1, largest + 1) if profile == "cuda" else [1, 8]
        assert sizes == ([] if spec.on_request else list(expected))
        for sample in config.model_warmup:
            assert {name: each.data_type for name, each in sample.inputs.items()} == {
                each.name: each.data_type for each in config.input
            }
            assert all(dim > 0 for each in sample.inputs.values() for dim in each.dims)


@pytest.mark.parametrize("spec", all_specs().values(), ids=lambda spec: spec.name)
def test_every_warm_up_has_a_shape_that_the_plan_takes(spec: ModelSpec) -> None:
    """TensorRT's backend rejects every other one, and Triton ends when a warm-up fails."""
    taken = ranges(spec)
    for config in _configs(spec, COMMITTED).values():
        for sample in config.model_warmup:
            for name, each in sample.inputs.items():
                shape = (sample.batch_size, *each.dims)
                bounds = zip(taken[name].smallest, shape, taken[name].largest, strict=True)
                assert all(low <= size <= high for low, size, high in bounds), (config.name, name, shape)


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_the_tensors_are_those_of_every_file(spec: ModelSpec, repository: Path, tmp_path: Path) -> None:
    config = _configs(spec, repository)["config"]
    files = sorted((repository / spec.net / "1").glob("*.onnx"))
    write_half(repository / spec.net / "1" / "fp32.onnx", tmp_path / "fp16.onnx")  # published of some models alone
    files.append(tmp_path / "fp16.onnx")
    for file in files:
        graph = onnx.load(file, load_external_data=False).graph
        for declared, found in ((config.input, graph.input), (config.output, graph.output)):
            assert {tensor.name for tensor in declared} == {value.name for value in found}
            by_name = {value.name: value.type.tensor_type for value in found}
            for tensor in declared:
                batch, *dims = by_name[tensor.name].shape.dim
                assert TYPES[by_name[tensor.name].elem_type] == tensor.data_type
                assert batch.dim_param, f"{file}: {tensor.name}: a fixed batch"
                assert [dim.dim_value or -1 for dim in dims] == list(tensor.dims)


@pytest.mark.parametrize("spec", all_specs().values(), ids=lambda spec: spec.name)
def test_plans_are_chosen_by_gpu(spec: ModelSpec) -> None:
    config = _configs(spec, COMMITTED)["tensorrt"]
    assert config.backend == "tensorrt"
    assert dict(config.cc_model_filenames) == {each: plan_name(each) for each in COMPUTE_CAPABILITIES}
    assert config.default_model_filename == profiles.NO_PLAN not in config.cc_model_filenames.values()
    assert [group.kind for group in config.instance_group] == [pb.ModelInstanceGroup.KIND_GPU]


def test_cuda_profile_is_exact_fp32_for_every_model() -> None:
    """Whether or not its FP16 was published, or can be: server.choices serves FP16 where it was."""
    spec = all_specs()["pneumonia"]
    for each in (spec, replace(spec, unsupported=(("fp16", "overflows"),))):
        config = profiles.cuda(each)
        assert (config.backend, config.default_model_filename) == ("onnxruntime", "fp32.onnx")
        (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
        assert (accelerator.name, dict(accelerator.parameters)) == ("cuda", {"use_tf32": "0"})
        assert config.instance_group[0].kind == pb.ModelInstanceGroup.KIND_GPU


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_the_cpu_profile_is_the_cards_choice(spec: ModelSpec, repository: Path) -> None:
    choice = Card.read(repository / spec.net / "1" / "card.json").choice
    configs = _configs(spec, repository)
    assert (choice is None) is ("cpu" not in configs)
    if choice is not None:
        accelerators = configs["cpu"].optimization.execution_accelerators.cpu_execution_accelerator
        assert configs["cpu"].default_model_filename == choice.artefact
        assert [found.name for found in accelerators] == ["openvino"] * (choice.engine == "openvino")
    assert configs["config"].default_model_filename == "fp32.onnx"
    assert not configs["config"].HasField("optimization")
