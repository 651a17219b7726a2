"""How a network is served: one config for each profile of Triton's --model-config-name, the same tensors in all.

config.pbtxt            any CPU: FP32 on onnxruntime
configs/cpu.pbtxt       this machine's choice (`python -m export tune`); never committed
configs/tensorrt.pbtxt  a plan for the GPU that is there, by compute capability
configs/cuda.pbtxt      onnxruntime on a GPU, no plan needed: exact FP32. A launch serves FP16 where it was published
"""

from __future__ import annotations

from collections.abc import Iterable

from tritonclient.grpc import model_config_pb2 as pb

from export.artefact import ARTEFACT
from export.plans.plan import COMPUTE_CAPABILITIES, plan_name
from export.plans.shapes import ranges
from export.spec import ModelSpec, Tensor
from queueing.queue import MOST_PLACES, PLACES
from report.answer import CPU_PROFILE, CUDA_PROFILE, TENSORRT_PROFILE
from report.card import Choice
from server.backends.onnxruntime.options import LANE_BATCH

CPU, TENSORRT, CUDA = CPU_PROFILE, TENSORRT_PROFILE, CUDA_PROFILE
NO_PLAN = "no-plan-for-this-gpu.plan"  # what Triton looks for, and names, where no capability fits
# How long a request waits for others to be computed with. On a CPU they gather while others are at work: waiting gained
# nothing with 1, 8 and 100 callers, and cost a lone one its millisecond. On a GPU it has not been measured.
GPU_DELAY_US = 1000
WARM_UP = (1, 8)  # batches, before a network is READY
MAX_WARMED_BATCH = 16  # on CUDA each size is warmed up to here: cuDNN chooses its algorithms for each
CUDA_SETTINGS = {
    "cudnn_conv_algo_search": "1",  # by heuristics: an exhaustive search for each new batch size would stall calls
    "arena_extend_strategy": "1",  # by what is needed: doubled arenas of eight networks do not fit next to each other
    "intra_op_thread_count": "1",  # the GPU computes; threads would only spin
}
WORKSPACE_BYTES = 4 << 30  # for activations and cuDNN, next to the weights, twice. Not measured yet
_TYPES = {"BYTES": pb.TYPE_STRING, "UINT8": pb.TYPE_UINT8, "FP32": pb.TYPE_FP32}


def any_cpu(spec: ModelSpec) -> pb.ModelConfig:
    """FP32 on onnxruntime: exact to the gate's 1e-4 on every machine."""
    config = _net(spec, pb.ModelInstanceGroup.KIND_CPU)
    config.backend, config.default_model_filename = "onnxruntime", ARTEFACT
    bound(config)
    return config


def this_cpu(spec: ModelSpec, choice: Choice) -> pb.ModelConfig:
    """What was measured to be the fastest of those that passed their gate here."""
    config = any_cpu(spec)
    config.default_model_filename = choice.artefact
    if choice.engine == "openvino":
        config.optimization.execution_accelerators.cpu_execution_accelerator.add(name=choice.engine)
    if choice.lane_batch:
        config.parameters[LANE_BATCH].string_value = str(choice.lane_batch)
    return config


def tensorrt(spec: ModelSpec) -> pb.ModelConfig:
    """Plans, which `make engines` builds on the GPU that is to load them."""
    config = _net(spec, pb.ModelInstanceGroup.KIND_GPU)
    config.backend, config.default_model_filename = "tensorrt", NO_PLAN
    for capability in COMPUTE_CAPABILITIES:
        config.cc_model_filenames[capability] = plan_name(capability)
    return config


def cuda(spec: ModelSpec) -> pb.ModelConfig:
    """FP32 on onnxruntime's CUDA provider: every model has that file, and without TF32 it computes what the gate saw.

    Names and places are the C++ backend's: where `parameters` has any of the four below, it no longer reads them from
    the accelerator; `use_tf32` it reads there alone.
    """
    largest = spec.max_batch if spec.max_batch <= MAX_WARMED_BATCH else max(WARM_UP)
    config = _net(spec, pb.ModelInstanceGroup.KIND_GPU, warm_up=range(1, largest + 1))
    config.backend, config.default_model_filename = "onnxruntime", ARTEFACT
    accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name=CUDA)
    accelerator.parameters["use_tf32"] = "0"
    settings = CUDA_SETTINGS | {"gpu_mem_limit": str(2 * 4 * spec.parameters + WORKSPACE_BYTES)}
    for name, value in settings.items():
        config.parameters[name].string_value = value
    bound(config)
    return config


def _net(spec: ModelSpec, kind: int, warm_up: Iterable[int] = WARM_UP) -> pb.ModelConfig:
    config = pb.ModelConfig(
        name=spec.net,
        max_batch_size=spec.max_batch,
        dynamic_batching=batching(GPU_DELAY_US if kind == pb.ModelInstanceGroup.KIND_GPU else 0),
    )
    for tensor in spec.step.outputs:
        add_input(config, tensor)
    add_outputs(config, spec)
    add_output(config, spec.summary)
    config.instance_group.add(count=1, kind=kind)
    for size in warm_up if not spec.on_request else ():
        _warm_up(config, spec, min(size, spec.max_batch))
    return config


def _warm_up(config: pb.ModelConfig, spec: ModelSpec, size: int) -> None:
    """A batch of nothing before the network is READY: the first caller does not wait for what an engine does once."""
    sample = config.model_warmup.add(name=f"batch of {size}", batch_size=size)
    shapes = ranges(spec)  # a plan takes no other shapes, and a warm-up that fails ends the server
    for tensor in spec.step.outputs:
        dims = shapes[tensor.name].smallest[1:]
        sample.inputs[tensor.name].CopyFrom(
            pb.ModelWarmup.Input(data_type=_TYPES[tensor.dtype], dims=dims, zero_data=True)
        )


def batching(delay_us: int = 0) -> pb.ModelDynamicBatching:
    """Requests that came meanwhile are handed over together.

    No policy of Triton's: with a bound or a timeout its queue hands nothing over ahead, and who comes while the model
    is busy waits for the next one to come, or for half a second. Python models have their own bound: queueing.worker.

    Args:
        delay_us: how long one waits for others.
    """
    return pb.ModelDynamicBatching(max_queue_delay_microseconds=delay_us)


def bound(config: pb.ModelConfig) -> None:
    """How many may wait for a python model; a launch on a small machine writes less: server.sizing."""
    config.parameters[PLACES].string_value = str(MOST_PLACES)


def add_input(config: pb.ModelConfig, tensor: Tensor) -> None:
    """Declare an input."""
    config.input.add(name=tensor.name, data_type=_TYPES[tensor.dtype], dims=tensor.dims, optional=tensor.optional)


def add_output(config: pb.ModelConfig, tensor: Tensor, label_file: str = "") -> None:
    """Declare an output."""
    config.output.add(name=tensor.name, data_type=_TYPES[tensor.dtype], dims=tensor.dims, label_filename=label_file)


def add_outputs(config: pb.ModelConfig, spec: ModelSpec) -> None:
    """Declare what callers get, without `summary`."""
    for output in spec.outputs:
        add_output(config, output, "labels.txt" if output.name == "probabilities" else "")
